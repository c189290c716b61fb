/* Depthwise convolution by 3×3 or 5×5 taps at steps of 1 or 2, as nearly all are, with nothing
 * copied: a tile of outputs, some rows of one vector each, stays in registers while the rows of
 * input under it pass once. Every output is one chain of multiply-adds in the order of its taps, so
 * its bits do not depend on its tile. */

#define PLANEWISE_ROWS 4
#undef PLANEWISE_TALL
#if VECTOR_LANES == 16
#define PLANEWISE_TALL 7 /* as many as registers hold; the planes of most nets are 7 · 2^k high */
#else
#define PLANEWISE_TALL PLANEWISE_ROWS
#endif
#define PLANEWISE_BAND 2048 /* outputs whose inputs stay in the first cache */
#define PLANEWISE_WORK 16384 /* outputs that are worth a job of their own */

/* What all planes share. */
typedef struct {
    const real *x, *weight, *bias; /* bias: or NULL */
    real *y;
    FN(finish) finish;
    int64_t height, width, out_height, out_width, top, left; /* of a plane; top, left: its padding */
    int64_t x_image, y_image, outputs, many; /* elements of an image; planes; outputs of an input */
    int turned;                              /* each filter is turned by half a circle */
} FN(planewise);

static int FN(planewise_pays)(const convolution_args *s) {
    return LANES >= 4 && (s->kernel[0] == 3 || s->kernel[0] == 5) &&
           s->kernel[1] == s->kernel[0] && s->stride[0] <= 2 && s->stride[1] == s->stride[0] &&
           s->dilation[0] == 1 && s->dilation[1] == 1;
}

/* The vectors of a row that `taps` taps of LANES outputs, the first tap at its start, are taken
 * from: which of their lanes exist, and whether all do. */
typedef struct {
    FN(existing) lanes[2 * 3];
    int all;
} FN(sight);

INLINE FN(sight) FN(sight_at)(int64_t at, int64_t width, int all, int taps, int step) {
    FN(sight) sight = {.all = all};
    const int count = step == 1 ? taps : (taps + 1) / 2 * 2;
    if (all) return sight;
#pragma GCC unroll 6
    for (int j = 0; j < count; j++)
        sight.lanes[j] = FN(existing_at)(at + (step == 1 ? j : j / 2 * 2 + j % 2 * LANES), width);
    return sight;
}

INLINE VEC FN(seen)(const real *from, const FN(sight) *sight, int number) {
    VEC value = sight->all ? *(const VEC *)from : FN(load_existing)(from, sight->lanes[number], (VEC){0});
#if defined(__x86_64__) && defined(__GNUC__) && VECTOR_LANES > 1
    __asm__("" : "+v"(value)); /* loaded once, not by each product again */
#endif
    return value;
}

/* The inputs under the taps; with a step of 2 one more is read. */
INLINE void FN(load_taps)(const real *row, const FN(sight) *sight, int taps, int step, VEC *to) {
    if (step == 1) {
#pragma GCC unroll 5
        for (int j = 0; j < taps; j++) to[j] = FN(seen)(row + j, sight, j);
        return;
    }
#pragma GCC unroll 3
    for (int j = 0; j < taps; j += 2) {
        const VEC a = FN(seen)(row + j, sight, j), b = FN(seen)(row + j + LANES, sight, j + 1);
        to[j] = FN(every_second)(a, b, 0);
        if (j + 1 < taps) to[j + 1] = FN(every_second)(a, b, 1);
    }
}

/* A plane's input, filter and outputs. */
typedef struct {
    const FN(planewise) *shape;
    const real *x, *weight, *residual; /* residual: or NULL */
    real bias, slope, *y;
} FN(plane);

/* Outputs of rows row … row + rows - 1, `some` ≤ LANES columns from `column` on; `by`: the weights
 * of 3×3 taps. */
INLINE void FN(planewise_tile)(const FN(plane) *p, int rows, int taps, int step,
                               const FN(sight) *sight, const VEC *by, int64_t row, int64_t column,
                               int64_t some) {
    const FN(planewise) *shape = p->shape;
    const int64_t top = row * step - shape->top, wide = shape->out_width, at = row * wide + column;
    const real *x = p->x + top * shape->width + column * step - shape->left;
    VEC sum[PLANEWISE_TALL];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) sum[r] = p->bias - (VEC){0};
#pragma GCC unroll 17
    for (int i = 0; i < (rows - 1) * step + taps; i++, x += shape->width) {
        VEC from[6];
        if ((uint64_t)(top + i) >= (uint64_t)shape->height) continue;
        FN(load_taps)(x, sight, taps, step, from);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            const int first = (i - r * step) * taps;
            if (first < 0 || first >= taps * taps) continue;
#pragma GCC unroll 5
            for (int j = 0; j < taps; j++) {
                if (taps == 3)
                    sum[r] += by[first + j] * from[j];
                else
                    sum[r] += p->weight[first + j] * from[j];
            }
        }
    }
    if (p->residual)
        for (int r = 0; r < rows; r++)
            sum[r] += FN(load_some)(p->residual + at + r * wide, some);
    if (shape->finish.what == RECTIFY)
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) sum[r] = FN(rectified)(sum[r]);
    else if (shape->finish.what == ACTIVATE)
        for (int r = 0; r < rows; r++)
            sum[r] = FN(activated)(&shape->finish, sum[r], (VEC){0} + p->slope);
    if (some == LANES)
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) *(VEC *)(p->y + at + r * wide) = sum[r];
    else
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) FN(store_some)(p->y + at + r * wide, sum[r], some);
}

/* Calls for what a tile at these rows and columns will touch: rows are too far apart for the core to
 * guess. Behind a plane's last row lies the next plane's first. */
INLINE void FN(prefetch_band)(const FN(plane) *p, int rows, int step, int64_t row, int64_t column) {
    const FN(planewise) *s = p->shape;
    const real *x = p->x + row * step * s->width + column * step;
    const real *y = p->y + row * s->out_width + column;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) __builtin_prefetch(y + r * s->out_width, 1);
#pragma GCC unroll 14
    for (int r = 0; r < rows * step; r++)
#pragma GCC unroll 2
        for (int i = 0; i < step; i++) __builtin_prefetch(x + r * s->width + i * LANES);
}

/* Rows first … end - 1 of a plane. A tile that would leave the rows or the columns begins earlier, and
 * does some outputs once more. */
INLINE void FN(planewise_plane)(const FN(plane) *p, int rows, int taps, int step, int64_t first,
                                int64_t end) {
    const FN(planewise) *shape = p->shape;
    const int64_t wide = shape->out_width, some = MIN(LANES, wide), reach = taps - 1 + step * LANES;
    const int64_t band = MAX(rows, PLANEWISE_BAND / wide / rows * rows);
    const int calls = wide > (step == 1 ? LANES : 3 * LANES + LANES / 2);
    VEC by[9];
    for (int t = 0; t < 9; t++) by[t] = p->weight[t] - (VEC){0};
    for (int64_t from = first; from < end; from += band)
        for (int64_t i = 0; i < wide; i += LANES) {
            const int64_t column = MIN(i, wide - some), left = column * step - shape->left;
            const int inside = left >= 0 && left + reach <= shape->width && some == LANES;
            const FN(sight) sight = FN(sight_at)(left, shape->width, inside, taps, step);
            for (int64_t at = from; at < MIN(end, from + band); at += rows) {
                const int64_t row = MIN(at, end - rows);
                if (calls) FN(prefetch_band)(p, rows, step, row + band, column);
                if (inside)
                    FN(planewise_tile)(p, rows, taps, step, &(FN(sight)){.all = 1}, by, row, column,
                                       LANES);
                else
                    FN(planewise_tile)(p, rows, taps, step, &sight, by, row, column, some);
            }
        }
}

/* Rows first … end - 1 of the planes from o0 to o1 - 1 of an image. */
INLINE void FN(planewise_rows)(const FN(planewise) *s, int rows, int taps, int step, int64_t image,
                               int64_t o0, int64_t o1, int64_t first, int64_t end) {
    real back[25];
    for (int64_t o = o0; o < o1; o++) {
        const int64_t at = image * s->y_image + o * s->out_height * s->out_width;
        const FN(plane) plane = {
            .shape = s, .weight = s->turned ? back : s->weight + o * taps * taps, .y = s->y + at,
            .x = s->x + image * s->x_image + o / s->many * s->height * s->width,
            .residual = s->finish.residual ? s->finish.residual + at : NULL,
            .bias = s->bias ? s->bias[o] : 0,
            .slope = s->finish.row_slopes ? s->finish.row_slopes[o] : s->finish.slope};
        if (s->turned)
            for (int t = 0; t < taps * taps; t++)
                back[t] = s->weight[(o + 1) * taps * taps - 1 - t];
        FN(planewise_plane)(&plane, rows, taps, step, first, end);
    }
}

/* Whether tall tiles are less work than low ones, their own rows and two more each. */
INLINE int FN(in_tall_tiles)(int64_t rows) {
    const int64_t tall = (rows + PLANEWISE_TALL - 1) / PLANEWISE_TALL * (PLANEWISE_TALL + 2);
    const int64_t low = (rows + PLANEWISE_ROWS - 1) / PLANEWISE_ROWS * (PLANEWISE_ROWS + 2);
    return PLANEWISE_TALL > PLANEWISE_ROWS && rows >= PLANEWISE_TALL && tall <= low;
}

typedef void FN(planewise_part)(const FN(planewise) *s, int64_t image, int64_t o0, int64_t o1,
                                int64_t first, int64_t end);
#define PLANEWISE(taps, step)                                                                     \
    static __attribute__((noinline)) void FN(planewise_##taps##_##step)(                          \
        const FN(planewise) *s, int64_t image, int64_t o0, int64_t o1, int64_t first,             \
        int64_t end) {                                                                            \
        if (taps == 3 && FN(in_tall_tiles)(end - first))                                          \
            FN(planewise_rows)(s, PLANEWISE_TALL, taps, step, image, o0, o1, first, end);         \
        else if (end - first >= PLANEWISE_ROWS)                                                   \
            FN(planewise_rows)(s, PLANEWISE_ROWS, taps, step, image, o0, o1, first, end);         \
        else                                                                                      \
            FN(planewise_rows)(s, 1, taps, step, image, o0, o1, first, end);                      \
    }
PLANEWISE(3, 1)
PLANEWISE(3, 2)
PLANEWISE(5, 1)
PLANEWISE(5, 2)

/* y = the convolution of x; `turned`: with each filter turned by half a circle. */
static void FN(planewise_convolve)(const convolution_args *s, int turned, const real *x, real *y) {
    const int64_t out = s->out[0] * s->out[1], size = s->size[0] * s->size[1];
    const FN(planewise) p = {
        .x = x, .weight = s->weight, .bias = s->bias, .y = y,
        .finish = FN(finish_of)(&s->store, 1),
        .height = s->size[0], .width = s->size[1], .out_height = s->out[0], .out_width = s->out[1],
        .top = s->pad[0], .left = s->pad[1],
        .x_image = s->x_image ? s->x_image : s->channels * size,
        .y_image = s->y_image ? s->y_image : s->outputs * out,
        .outputs = s->outputs, .many = s->outputs / s->group, .turned = turned};
    const int taps = (int)s->kernel[0], step = (int)s->stride[0];
    FN(planewise_part) *part = taps == 3 ? step == 1 ? FN(planewise_3_1) : FN(planewise_3_2)
                               : step == 1 ? FN(planewise_5_1)
                                           : FN(planewise_5_2);
    /* A job is some rows of a plane, or some planes. */
    const int64_t most = MAX(1, PLANEWISE_WORK / MAX(1, p.out_width)), high = p.out_height;
    const int64_t cuts = (high + most - 1) / most;
    const int64_t some = MAX(1, MIN(s->outputs, PLANEWISE_WORK / 4 / MAX(1, out)));
    const int64_t runs = (s->outputs + some - 1) / some;
    PARALLEL_FOR(s->n * s->outputs * (out + 64) * taps * taps * step / 12)
    for (int64_t job = 0; job < s->n * runs * cuts; job++) {
        const int64_t run = job / cuts % runs, cut = job % cuts;
        part(&p, job / cuts / runs, s->outputs * run / runs, s->outputs * (run + 1) / runs,
             high * cut / cuts, high * (cut + 1) / cuts);
    }
}

/* The gradient of the input as such a convolution of dy; false if it is none. */
static int FN(planewise_back)(const convolution_backward_data_args *a) {
    const convolution_args *s = &a->shape;
    if (!FN(planewise_pays)(s) || s->outputs != s->group) return 0;
    convolution_args turned;
    if (!FN(turned_shape)(s, &turned)) return 0;
    FN(planewise_convolve)(&turned, 1, a->dy, a->dx);
    return 1;
}
