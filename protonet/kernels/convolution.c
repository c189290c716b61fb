/* Convolution as Caffe defines it: im2col and a matrix product per image and group. Work is
 * shared among the team image by image, or inside the one image; the choice depends on the
 * shape alone, and so do the bits. */

/* C = A B (+ beta C), on the team or on this thread alone. */
static void FN(multiply)(int shared, const real *a, int64_t a_row, int64_t a_column, const real *b,
                         int64_t b_row, int64_t b_column, real *c, int64_t m, int64_t n, int64_t k,
                         real beta, const real *row_bias, const FN(finish) *finish) {
    FN(strided) right = {b, b_row, b_column};
    FN(product) p = {.a = a, .a_row = a_row, .a_column = a_column, .b = &right,
                     .pack_b = FN(pack_strided), .c = c, .m = m, .n = n, .k = k, .c_row = n,
                     .beta = beta, .row_bias = row_bias, .finish = finish};
    if (shared)
        FN(product_shared)(&p);
    else
        FN(product_alone)(&p);
}

/* The readable way: columns written out, then one product per group. */
static void FN(convolve_by_columns)(const convolution_args *s, const FN(extent) *e, int64_t image,
                                    int shared) {
    real *columns = e->pointwise ? NULL
                                 : workspace(WORKSPACE_COLUMNS, sizeof(real) * e->depth * e->out);
    for (int64_t g = 0; g < s->group; g++) {
        const real *x = (const real *)s->x + image * FN(x_step)(s, e) + g * e->in_group * e->plane;
        const real *weight = (const real *)s->weight + g * e->out_group * e->depth;
        const int64_t at = image * FN(y_step)(s, e) + g * e->out_group * e->out;
        const FN(finish) finish = FN(group_finish)(s, g * e->out_group, at);
        if (columns) FN(gather)(s, x, e->in_group, columns, shared);
        FN(multiply)(shared, weight, e->depth, 1, columns ? columns : x, e->out, 1,
                     (real *)s->y + at, e->out_group, e->out, e->depth, 0,
                     s->bias ? (const real *)s->bias + g * e->out_group : NULL,
                     FN(finishes)(&finish) ? &finish : NULL);
    }
}

/* The same product with its columns packed straight from the image; weights are packed already. */
static void FN(convolve_image)(const convolution_args *s, const FN(extent) *e, const real *packed,
                               int64_t image, int shared) {
    for (int64_t g = 0; g < s->group; g++) {
        const real *x = (const real *)s->x + image * FN(x_step)(s, e) + g * e->in_group * e->plane;
        const int64_t at = image * FN(y_step)(s, e) + g * e->out_group * e->out;
        const FN(finish) finish = FN(group_finish)(s, g * e->out_group, at);
        FN(image) columns = {s, x};
        FN(strided) pixels = {x, e->out, 1};
        FN(product) p = {.packed_a = packed + g * FN(packed_size)(e->out_group, e->depth),
                         .b = e->pointwise ? (const void *)&pixels : (const void *)&columns,
                         .pack_b = e->pointwise ? FN(pack_strided) : FN(pack_image),
                         .c = (real *)s->y + at, .m = e->out_group, .n = e->out, .k = e->depth,
                         .c_row = e->out,
                         .row_bias = s->bias ? (const real *)s->bias + g * e->out_group : NULL,
                         .finish = FN(finishes)(&finish) ? &finish : NULL};
        if (shared)
            FN(product_shared)(&p);
        else
            FN(product_alone)(&p);
    }
}

static void FN(convolve)(const convolution_args *s, const FN(extent) *e, const real *packed,
                         int64_t image, int shared) {
    if (s->by_columns)
        FN(convolve_by_columns)(s, e, image, shared);
    else
        FN(convolve_image)(s, e, packed, image, shared);
}

/* Bytes of all groups' weights as convolve_image takes them. */
static int64_t FN(groups_size)(const convolution_args *s, const FN(extent) *e) {
    return (int64_t)sizeof(real) * s->group * FN(packed_size)(e->out_group, e->depth);
}

static void FN(pack_groups)(const convolution_args *s, const FN(extent) *e, real *packed) {
    PARALLEL_FOR(s->outputs * e->depth / 4)
    for (int64_t g = 0; g < s->group; g++)
        FN(pack_all_a)((const real *)s->weight + g * e->out_group * e->depth, e->depth, 1,
                       e->out_group, e->depth, packed + g * FN(packed_size)(e->out_group, e->depth));
}

static int FN(forward_by_winograd)(const convolution_args *s, const FN(extent) *e) {
    return FN(winograd_pays)(s, e->in_group, e->out_group, s->out[0], s->out[1],
                             FN(direct_pays)(s) ? 0.93 : 0.75);
}

static int FN(can_go)(const convolution_args *s, const FN(extent) *e, int64_t way) {
    switch (way) {
        case WAY_STRIPS: return FN(strips_can)(s);
        case WAY_LINES: return FN(lines_can)(s);
        case WAY_TILES: return FN(tiles_can)(s);
        case WAY_SMALL: return FN(small_can)(s);
        case WAY_STRASSEN: return FN(strassen_can)(s);
        case WAY_WINOGRAD: return FN(winograd_can)(s, e->in_group, e->out_group);
        case WAY_PIXELS: return !s->pool && FN(pixelwise_can)(s);
        case WAY_DIRECT: return !s->pool && FN(direct_can)(s);
        case WAY_COLUMNS: return !s->pool;
    }
    return 0;
}

/* The ways that a turned convolution can go, too, or else WAY_COLUMNS. */
static int64_t FN(plain_way)(const convolution_args *s) {
    if (FN(pixelwise_pays)(s)) return WAY_PIXELS;
    return FN(direct_pays)(s) ? WAY_DIRECT : WAY_COLUMNS;
}

static void FN(plain_pack)(const convolution_args *s, int64_t way, int turned, real *packed) {
    switch (way) {
        case WAY_PIXELS: FN(pixelwise_pack)(s, turned, packed); break;
        case WAY_DIRECT: FN(direct_pack)(s, turned, packed); break;
    }
}

static void FN(plain_convolve)(const convolution_args *s, int64_t way, const real *packed) {
    switch (way) {
        case WAY_PIXELS: FN(pixelwise_convolve)(s, packed); break;
        case WAY_DIRECT: FN(direct_convolve)(s, packed); break;
    }
}

/* The way that is asked for, or else the one that should take least time. */
static int64_t FN(way_of)(const convolution_args *s, const FN(extent) *e) {
    if (FN(is_depthwise)(s) || s->by_columns) return WAY_AS_THEY_ARE;
    if (s->way && FN(can_go)(s, e, s->way)) return s->way;
    if (FN(strips_pay)(s)) return WAY_STRIPS;
    if (FN(lines_pay)(s)) return WAY_LINES;
    if (FN(tiles_pay)(s)) return WAY_TILES;
    if (FN(small_pays)(s)) return WAY_SMALL;
    if (FN(forward_by_winograd)(s, e)) return WAY_WINOGRAD;
    if (FN(strassen_pays)(s)) return WAY_STRASSEN;
    return FN(plain_way)(s);
}

/* Bytes of all groups' weights as a way takes them. */
static int64_t FN(way_size)(const convolution_args *s, const FN(extent) *e, int64_t way) {
    switch (way) {
        case WAY_STRIPS: return FN(strips_size)(s);
        case WAY_LINES: return FN(lines_size)(s);
        case WAY_TILES: return FN(tiled_filters_size)(s);
        case WAY_SMALL: return FN(small_size)(s);
        case WAY_STRASSEN: return FN(strassen_size)(s);
        case WAY_WINOGRAD: return FN(winograd_groups_size)(s, 0);
        case WAY_PIXELS: return FN(pixelwise_size)(s);
        case WAY_DIRECT: return FN(direct_size)(s);
        case WAY_COLUMNS: return FN(groups_size)(s, e);
    }
    return 0;
}

static void FN(way_pack)(const convolution_args *s, const FN(extent) *e, int64_t way, void *packed) {
    switch (way) {
        case WAY_STRIPS: FN(strips_pack)(s, packed); break;
        case WAY_LINES: FN(lines_pack)(s, packed); break;
        case WAY_TILES: FN(tiled_filters)(s, packed); break;
        case WAY_SMALL: FN(small_pack)(s, packed); break;
        case WAY_WINOGRAD: FN(winograd_pack_groups)(s, 0, packed); break;
        case WAY_STRASSEN: FN(strassen_pack)(s, packed); break;
        case WAY_PIXELS:
        case WAY_DIRECT: FN(plain_pack)(s, way, 0, packed); break;
        case WAY_COLUMNS: FN(pack_groups)(s, e, packed); break;
    }
}

KERNEL(convolution_pack) {
    ARGS(convolution_pack);
    const FN(extent) e = FN(extent_of)(&a->shape);
    int64_t *size = a->size;
    convolution_args shape = a->shape; /* as it will be gone, with the weights packed */
    shape.packed = size;
    size[1] = FN(way_of)(&shape, &e);
    if (size[1] == WAY_STRASSEN && !FN(strassen_holds)(&shape)) {
        shape.mixes = 0;
        size[1] = FN(way_of)(&shape, &e);
    }
    size[0] = FN(way_size)(&a->shape, &e, size[1]);
    if (a->packed) FN(way_pack)(&a->shape, &e, size[1], a->packed);
}

KERNEL(convolution) {
    ARGS(convolution);
    TINY_IS_ZERO;
    if (a->n == 0) return;
    if (FN(is_depthwise)(a)) {
        FN(depthwise)(a);
        return;
    }
    const FN(extent) e = FN(extent_of)(a);
    convolution_args shape = *a;
    if (!a->packed) shape.tiles = shape.way = 0;
    const int64_t way = FN(way_of)(&shape, &e);
    switch (way) {
        case WAY_STRIPS: FN(strips_convolve)(a); return;
        case WAY_LINES: FN(lines_convolve)(a); return;
        case WAY_TILES: FN(tiled_convolve)(a); return;
        case WAY_WINOGRAD: FN(winograd_convolve)(a, 0, a->x, a->y); return;
    }
    const real *packed = a->packed;
    if (!packed && way != WAY_AS_THEY_ARE) {
        real *now = workspace(WORKSPACE_PACKED, (size_t)FN(way_size)(a, &e, way));
        FN(way_pack)(a, &e, way, now);
        packed = now;
    }
    switch (way) {
        case WAY_SMALL: FN(small_convolve)(a, packed); return;
        case WAY_STRASSEN: FN(strassen_convolve)(a, packed); return;
        case WAY_PIXELS:
        case WAY_DIRECT: FN(plain_convolve)(a, way, packed); return;
    }
    if (a->n == 1) {
        FN(convolve)(a, &e, packed, 0, 1);
        return;
    }
    PARALLEL_FOR(a->n * a->outputs * e.out * e.depth / 16)
    for (int64_t image = 0; image < a->n; image++) FN(convolve)(a, &e, packed, image, 0);
}

/* dx = the columns that the weights' transpose makes of dy, added up. `packed` holds the transpose of
 * each group. */
static void FN(convolve_back_image)(const convolution_backward_data_args *a, const FN(extent) *e,
                                    const real *packed, int64_t image, int shared) {
    const convolution_args *s = &a->shape;
    real *columns = e->pointwise ? NULL
                                 : workspace(WORKSPACE_COLUMNS, sizeof(real) * e->depth * e->out);
    for (int64_t g = 0; g < s->group; g++) {
        const real *dy = (const real *)a->dy + (image * s->outputs + g * e->out_group) * e->out;
        real *dx = (real *)a->dx + (image * s->channels + g * e->in_group) * e->plane;
        FN(strided) right = {dy, e->out, 1};
        FN(product) p = {.packed_a = packed + g * FN(packed_size)(e->depth, e->out_group),
                         .b = &right, .pack_b = FN(pack_strided), .c = columns ? columns : dx,
                         .m = e->depth, .n = e->out, .k = e->out_group, .c_row = e->out};
        if (shared)
            FN(product_shared)(&p);
        else
            FN(product_alone)(&p);
        if (columns) FN(scatter)(s, columns, e->in_group, dx, shared);
    }
}

/* Elements that lie densely, `rows` × `columns` a plane, to where strides put them, zeros between. */
static void FN(spread)(const convolution_args *s, const real *dense, int64_t rows, int64_t columns,
                       real *dx) {
    const int64_t size = s->size[0] * s->size[1];
    PARALLEL_FOR(s->n * s->channels * size)
    for (int64_t plane = 0; plane < s->n * s->channels; plane++) {
        const real *from = dense + plane * rows * columns;
        real *to = dx + plane * size;
        memset(to, 0, sizeof(real) * (size_t)size);
        for (int64_t row = 0; row < rows; row++, from += columns)
            for (int64_t i = 0; i < columns; i++)
                to[row * s->stride[0] * s->size[1] + i * s->stride[1]] = from[i];
    }
}

/* Whether columns, in which no product is with a zero of dy's border, take less time than a
 * convolution of dy; in cycles of one vector product, as measured. */
static int FN(columns_back_pay)(const convolution_args *s, const convolution_args *turned) {
    const int64_t in = s->channels / s->group, taps = s->kernel[0] * s->kernel[1];
    const int64_t rows = FN(padded_rows)(in * taps);
    const int64_t vectors = FN(panels_of)(s->out[0] * s->out[1]) * TILE_VECTORS;
    const int64_t added = in * s->size[0] * ((s->size[1] + LANES - 1) / LANES) * taps * 3;
    if (taps == 1) return 0;
    return 1.2 * (double)(rows * vectors * (s->outputs / s->group + 8) + added) <
           MIN(FN(along_pixels)(turned), FN(across_channels)(turned));
}

/* As a convolution of dy, without a matrix of columns, if that pays. */
static int FN(convolve_back_directly)(const convolution_backward_data_args *a) {
    const convolution_args *s = &a->shape;
    convolution_args turned;
    if (s->axes != 2 || s->by_columns || !FN(turned_shape)(s, &turned)) return 0;
    if (FN(columns_back_pay)(s, &turned)) return 0;
    const int64_t way = FN(plain_way)(&turned);
    if (way == WAY_COLUMNS) return 0;
    const int dense = turned.out[0] != s->size[0] || turned.out[1] != s->size[1];
    const int64_t size = s->n * s->channels * turned.out[0] * turned.out[1];
    turned.x = a->dy;
    turned.y = dense ? workspace(WORKSPACE_RESULT, sizeof(real) * (size_t)size) : a->dx;
    real *packed = workspace(WORKSPACE_PACKED, (size_t)FN(way_size)(&turned, NULL, way));
    FN(plain_pack)(&turned, way, 1, packed);
    FN(plain_convolve)(&turned, way, packed);
    if (dense) FN(spread)(s, turned.y, turned.out[0], turned.out[1], a->dx);
    return 1;
}

KERNEL(convolution_backward_data) {
    ARGS(convolution_backward_data);
    TINY_IS_ZERO;
    const convolution_args *s = &a->shape;
    if (s->n == 0) return;
    if (FN(is_depthwise)(s)) {
        FN(depthwise_backward_data)(a);
        return;
    }
    FN(extent) e = FN(extent_of)(s);
    const int large = s->kernel[0] > 3; /* the other ways do better then */
    if (s->stride[0] == 1 &&
        FN(winograd_pays)(s, e.out_group, e.in_group, s->size[0], s->size[1], large ? 0.85 : 0.7)) {
        FN(winograd_convolve)(s, 1, a->dy, a->dx);
        return;
    }
    if (FN(convolve_back_directly)(a)) return;
    real *packed = workspace(WORKSPACE_PACKED, sizeof(real) * (size_t)(s->group * FN(packed_size)(e.depth, e.out_group)));
    PARALLEL_FOR(s->outputs * e.depth / 4)
    for (int64_t g = 0; g < s->group; g++)
        FN(pack_all_a)((const real *)s->weight + g * e.out_group * e.depth, 1, e.depth, e.depth,
                       e.out_group, packed + g * FN(packed_size)(e.depth, e.out_group));
    if (s->n == 1) {
        FN(convolve_back_image)(a, &e, packed, 0, 1);
        return;
    }
    PARALLEL_FOR(s->n * s->outputs * e.out * e.depth / 16)
    for (int64_t image = 0; image < s->n; image++) FN(convolve_back_image)(a, &e, packed, image, 0);
}

/* sum[outputs, depth] = (or +=) dy columns^T, as one product over `images` images' pixels. */
static void FN(weight_gradient)(const convolution_backward_weight_args *a, const FN(extent) *e,
                                int64_t first, int64_t images, real *sum, real beta, int shared) {
    const convolution_args *s = &a->shape;
    for (int64_t g = 0; g < s->group; g++) {
        FN(image) columns = {
            s, (const real *)s->x + (first * s->channels + g * e->in_group) * e->plane};
        FN(product) p = {.a = (const real *)a->dy + (first * s->outputs + g * e->out_group) * e->out,
                         .a_row = e->out, .a_column = 1, .image = e->out,
                         .a_image = s->outputs * e->out, .b = &columns,
                         .pack_b = FN(pack_image_transposed),
                         .c = sum + g * e->out_group * e->depth, .m = e->out_group, .n = e->depth,
                         .k = images * e->out, .c_row = e->depth, .beta = beta};
        if (shared)
            FN(product_shared)(&p);
        else
            FN(product_alone)(&p);
    }
}

/* Of gradients with too few tiles for a team, partial sums over runs of images are added up in
 * order: their number is a constant, so the result does not depend on the team. */
#define PARTIAL_SUMS 8
#define PARTIAL_TILES 16

static void FN(bias_gradient)(const convolution_args *s, const real *dy, int64_t out, real *db) {
    PARALLEL_FOR(s->n * s->outputs * out)
    for (int64_t c = 0; c < s->outputs; c++) {
        real total = 0;
        for (int64_t image = 0; image < s->n; image++) {
            const real *plane = dy + (image * s->outputs + c) * out;
            VEC sum = {0};
            int64_t i = 0;
            for (; i + LANES <= out; i += LANES) sum += *(const VEC *)(plane + i);
            for (int64_t lane = 0; lane < LANES; lane++) total += sum[lane];
            for (; i < out; i++) total += plane[i];
        }
        db[c] += total;
    }
}

KERNEL(convolution_backward_weight) {
    ARGS(convolution_backward_weight);
    TINY_IS_ZERO;
    const convolution_args *s = &a->shape;
    if (s->n == 0) return;
    FN(extent) e = FN(extent_of)(s);
    if (a->dbias) FN(bias_gradient)(s, a->dy, e.out, a->dbias);
    if (!a->dweight) return;
    if (FN(is_depthwise)(s)) {
        FN(depthwise_backward_weight)(a);
        return;
    }
    const int large = s->kernel[0] > 3; /* the other ways do much better then */
    const int taps = FN(edge_taps)(s);
    const int64_t in = taps ? FN(phases_in)(s) * e.in_group : 0;
    if (in >= 16 && /* fewer are not worth dy's tiles */
        FN(tile_size)(taps) * in * e.out_group <= WINOGRAD_MOST_SUMS &&
        FN(winograd_pays)(s, e.in_group, e.out_group, s->out[0], s->out[1], large ? 1.4 : 0.7)) {
        FN(winograd_weight)(s, a->dy, a->dweight);
        return;
    }
    const int by_taps = FN(gradient_by_taps_pays)(s);
    const int few = e.in_group <= FEW_CHANNELS && (TAPS_ROWS <= 3 || s->kernel[1] <= 3);
    if ((!by_taps || few) && FN(gradient_directly_pays)(s)) {
        FN(gradient_directly)(s, a->dy, a->dweight);
        return;
    }
    if (by_taps) {
        FN(gradient_by_taps)(s, a->dy, a->dweight);
        return;
    }
    const int64_t size = s->outputs * e.depth, parts = MIN(s->n, PARTIAL_SUMS);
    if (parts == 1 || s->group * FN(panels_of)(e.depth) * ((e.out_group + TILE_ROWS - 1) / TILE_ROWS) >=
                          PARTIAL_TILES) {
        FN(weight_gradient)(a, &e, 0, s->n, a->dweight, 1, 1);
        return;
    }
    real *partial = workspace(WORKSPACE_PARTIAL, sizeof(real) * size * parts);
    PARALLEL_FOR(s->n * size * e.out / 16)
    for (int64_t part = 0; part < parts; part++) {
        const int64_t first = s->n * part / parts, end = s->n * (part + 1) / parts;
        FN(weight_gradient)(a, &e, first, end - first, partial + part * size, 0, 0);
    }
    real *dweight = a->dweight;
    PARALLEL_FOR(size * parts)
    for (int64_t i = 0; i < size; i++) {
        real total = partial[i];
        for (int64_t part = 1; part < parts; part++) total += partial[part * size + i];
        dweight[i] += total;
    }
}
