/* Convolution as a product by AMX tiles (tiled.c): columns are read from the image as
 * a block needs them, those of all images side by side. */

#if defined(__AVX512F__) && REAL_IS_FLOAT

/* Columns of all images of one group. */
typedef struct {
    FN(image) image; /* the first */
    int64_t x_image, out, plane;
    int pointwise;
} FN(images);

static const real *FN(read_images)(const void *source, int64_t first, int64_t count, int64_t k,
                                   int64_t depth, real *scratch, int64_t *step) {
    const FN(images) *s = source;
    *step = AMX_SIDE;
    for (int64_t j = 0, some; j < count; j += some) {
        const int64_t pixel = (first + j) % s->out;
        some = MIN(count - j, s->out - pixel);
        const FN(image) image = {s->image.shape, s->image.x + (first + j) / s->out * s->x_image};
        const FN(strided) pixels = {image.x, s->out, 1};
        if (s->pointwise && some == count) {
            *step = s->plane;
            return image.x + k * s->plane + pixel;
        }
        real *to = some == count ? scratch : scratch + TILED_READ;
        if (s->pointwise)
            FN(pack_strided)(&pixels, to, k, depth, pixel, some);
        else
            FN(pack_image)(&image, to, k, depth, pixel, some);
        if (to != scratch)
            for (int64_t d = 0; d < depth; d++)
                memcpy(scratch + d * AMX_SIDE + j, to + d * AMX_SIDE, sizeof(real) * (size_t)some);
    }
    return scratch;
}

static int64_t FN(tiled_filters_size)(const convolution_args *s) { /* bytes of all groups' weights */
    const FN(extent) e = FN(extent_of)(s);
    return 64 + s->group * FN(tiled_size)(e.out_group, e.depth);
}

static void FN(tiled_filters)(const convolution_args *s, void *packed) {
    const FN(extent) e = FN(extent_of)(s);
    for (int64_t g = 0; g < s->group; g++) {
        const FN(tiled) t = {.a = (const real *)s->weight + g * e.out_group * e.depth, .a_row = e.depth,
                             .m = e.out_group, .k = e.depth};
        FN(tiled_pack)(&t, 0, FN(aligned)(packed) + g * FN(tiled_size)(e.out_group, e.depth));
    }
}

static void FN(tiled_convolve)(const convolution_args *s) {
    const FN(extent) e = FN(extent_of)(s);
    for (int64_t g = 0; g < s->group; g++) {
        const int64_t at = g * e.out_group * e.out;
        const FN(finish) finish = FN(group_finish)(s, g * e.out_group, at);
        const FN(images) images = {{s, (const real *)s->x + g * e.in_group * e.plane}, FN(x_step)(s, &e),
                                   e.out, e.plane, e.pointwise};
        const FN(tiled) t = {
            .packed_a = FN(aligned)(s->packed) + g * FN(tiled_size)(e.out_group, e.depth),
            .columns = FN(read_images), .b = &images, .m = e.out_group, .n = s->n * e.out, .k = e.depth, .c = (real *)s->y + at,
            .c_row = e.out, .plane = e.out, .c_image = FN(y_step)(s, &e),
            .row_bias = s->bias ? (const real *)s->bias + g * e.out_group : NULL,
            .finish = FN(finishes)(&finish) ? &finish : NULL};
        FN(tiled_product)(&t);
    }
}

/* The time that vectors take for all images of a group, in cycles of one vector product. */
static double FN(vectors_cost)(const convolution_args *s, const FN(extent) *e) {
    const double direct = (double)(s->n * e->out) * (double)e->out_group * (double)e->depth / 14;
    if (!FN(winograd_can)(s, e->in_group, e->out_group)) return direct;
    return MIN(direct, FN(winograd_cost)(s, e->in_group, e->out_group, s->out[0], s->out[1]));
}

/* What an element of the columns' matrix takes to gather and split. */
static double FN(gather_cost)(const convolution_args *s, const FN(extent) *e) {
    if (e->pointwise) return 0.6;
    return s->axes && s->stride[s->axes - 1] == 1 ? 2.5 : e->taps == 1 ? 3 : 6;
}

static int FN(tiles_can)(const convolution_args *s) {
    return s->tiles && amx_supported() && !s->by_columns && !s->pool;
}

static int FN(tiles_pay)(const convolution_args *s) {
    if (!FN(tiles_can)(s)) return 0;
    const FN(extent) e = FN(extent_of)(s);
    if (e.depth < 16 || e.out_group < 8 || s->n * e.out < 16) return 0;
    return FN(tiled_cost)(e.out_group, s->n * e.out, e.depth, 0, FN(gather_cost)(s, &e)) <
           FN(vectors_cost)(s, &e);
}

#else
static int FN(tiles_can)(const convolution_args *s) { return (void)s, 0; }
static int FN(tiles_pay)(const convolution_args *s) { return (void)s, 0; }
static int64_t FN(tiled_filters_size)(const convolution_args *s) { return (void)s, 0; }
static void FN(tiled_filters)(const convolution_args *s, void *packed) { (void)s, (void)packed; }
static void FN(tiled_convolve)(const convolution_args *s) { (void)s; }
#endif
