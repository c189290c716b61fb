/* Depthwise convolution by 3×3 or 5×5 taps at steps of 1 or 2, as nearly all are, with nothing
 * copied: a tile of outputs, some rows of one vector each, stays in registers while the rows of
 * input under it pass once. Every output is one chain of multiply-adds in the order of its taps, so
 * its bits do not depend on its tile. */

#define PLANEWISE_ROWS 4
#define PLANEWISE_WORK 16384 /* outputs that are worth a job of their own */

typedef struct {
    int64_t height, width, out_height, out_width, top, left; /* of a plane; top, left: its padding */
} FN(planewise);

static int FN(planewise_pays)(const convolution_args *s) {
    return LANES >= 4 && (s->kernel[0] == 3 || s->kernel[0] == 5) &&
           s->kernel[1] == s->kernel[0] && s->stride[0] <= 2 && s->stride[1] == s->stride[0] &&
           s->dilation[0] == 1 && s->dilation[1] == 1;
}

/* Lane i is row[at + i], or zero outside 0 … width - 1. */
INLINE VEC FN(load_within)(const real *row, int64_t at, int64_t width) {
    const int64_t before = MAX(0, MIN(LANES, -at)), end = MAX(before, MIN(LANES, width - at));
#if defined(__AVX512F__) && REAL_IS_FLOAT
    const __mmask16 lanes = (__mmask16)(((1u << end) - 1) & ~((1u << before) - 1));
    return (VEC)_mm512_maskz_loadu_ps(lanes, row + at);
#else
    if (end - before == LANES) return *(const VEC *)(row + at);
    VEC value = {0};
    for (int64_t i = before; i < end; i++) value[i] = row[at + i];
    return value;
#endif
}

INLINE VEC FN(load_inside)(const real *row, int64_t at, int64_t width, int inside) {
    return inside ? *(const VEC *)(row + at) : FN(load_within)(row, at, width);
}

/* The inputs under `taps` taps of LANES outputs, the first tap at column `at`; one more is read. */
INLINE void FN(load_taps)(const real *row, int64_t at, int64_t width, int inside, int taps, int step,
                          VEC *to) {
    if (step == 1) {
#pragma GCC unroll 5
        for (int j = 0; j < taps; j++) to[j] = FN(load_inside)(row, at + j, width, inside);
        return;
    }
#pragma GCC unroll 3
    for (int j = 0; j < taps; j += 2) {
        const VEC a = FN(load_inside)(row, at + j, width, inside);
        const VEC b = FN(load_inside)(row, at + j + LANES, width, inside);
#if defined(__clang__) || VECTOR_LANES == 1
        for (int i = 0; i < LANES; i++) {
            const int even = 2 * i, odd = 2 * i + 1;
            to[j][i] = even < LANES ? a[even] : b[even - LANES];
            if (j + 1 < taps) to[j + 1][i] = odd < LANES ? a[odd] : b[odd - LANES];
        }
#else
        FN(lanes) even, odd;
        for (int i = 0; i < LANES; i++) even[i] = 2 * i, odd[i] = 2 * i + 1;
        to[j] = __builtin_shuffle(a, b, even);
        if (j + 1 < taps) to[j + 1] = __builtin_shuffle(a, b, odd);
#endif
    }
}

/* A plane's input, filter and outputs. */
typedef struct {
    const FN(planewise) *shape;
    const FN(finish) *finish;
    const real *x, *weight, *residual; /* residual: or NULL */
    real bias, slope, *y;
} FN(plane);

/* Outputs of rows row … row + rows - 1, `some` ≤ LANES columns from `column` on. `inside`: every
 * column that they see exists; `by`: the weights of 3×3 taps. */
INLINE void FN(planewise_tile)(const FN(plane) *p, int rows, int taps, int step, int inside,
                               const VEC *by, int64_t row, int64_t column, int64_t some) {
    const FN(planewise) *shape = p->shape;
    const int64_t top = row * step - shape->top, left = column * step - shape->left;
    VEC sum[PLANEWISE_ROWS];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) sum[r] = (VEC){0} + p->bias;
#pragma GCC unroll 11
    for (int i = 0; i < (rows - 1) * step + taps; i++) {
        VEC from[6];
        if (top + i < 0 || top + i >= shape->height) continue;
        FN(load_taps)(p->x + (top + i) * shape->width, left, shape->width, inside, taps, step, from);
#pragma GCC unroll 4
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
    real *y = p->y + row * shape->out_width + column;
    const real *residual = p->residual + (p->residual ? y - p->y : 0);
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++, y += shape->out_width, residual += shape->out_width) {
        if (p->residual) sum[r] += FN(load_some)(residual, some);
        if (p->finish->what != PLAIN)
            sum[r] = FN(activated)(p->finish, sum[r], (VEC){0} + p->slope);
        if (some == LANES)
            *(VEC *)y = sum[r];
        else
            FN(store_some)(y, sum[r], some);
    }
}

/* A tile that would leave the rows or the columns begins earlier, and does some outputs once more. */
INLINE void FN(planewise_bands)(const FN(plane) *p, int rows, int taps, int step, int64_t first,
                                int64_t end) {
    const FN(planewise) *shape = p->shape;
    const int64_t some = MIN(LANES, shape->out_width), reach = taps - 1 + step * LANES;
    VEC by[9];
    for (int t = 0; t < 9; t++) by[t] = (VEC){0} + p->weight[t];
    for (int64_t at = first; at < end; at += rows)
        for (int64_t i = 0; i < shape->out_width; i += LANES) {
            const int64_t row = MIN(at, end - rows), column = MIN(i, shape->out_width - some);
            const int64_t left = column * step - shape->left;
            if (left >= 0 && left + reach <= shape->width && some == LANES)
                FN(planewise_tile)(p, rows, taps, step, 1, by, row, column, LANES);
            else
                FN(planewise_tile)(p, rows, taps, step, 0, by, row, column, some);
        }
}

#define PLANEWISE(taps, step)                                                                     \
    static __attribute__((noinline)) void FN(planewise_##taps##_##step)(                          \
        const FN(plane) *p, int64_t first, int64_t end) {                                         \
        if (end - first >= PLANEWISE_ROWS)                                                        \
            FN(planewise_bands)(p, PLANEWISE_ROWS, taps, step, first, end);                       \
        else                                                                                      \
            FN(planewise_bands)(p, 1, taps, step, first, end);                                    \
    }
PLANEWISE(3, 1)
PLANEWISE(3, 2)
PLANEWISE(5, 1)
PLANEWISE(5, 2)

/* y = the convolution of x; `turned`: with each filter turned by half a circle. */
static void FN(planewise_convolve)(const convolution_args *s, int turned, const real *x, real *y) {
    const FN(planewise) p = {s->size[0], s->size[1], s->out[0], s->out[1], s->pad[0], s->pad[1]};
    const int taps = (int)s->kernel[0], step = (int)s->stride[0];
    const int64_t many = s->outputs / s->group, out = p.out_height * p.out_width;
    const int64_t x_image = s->x_image ? s->x_image : s->channels * p.height * p.width;
    const int64_t y_image = s->y_image ? s->y_image : s->outputs * out;
    const FN(finish) finish = FN(finish_of)(&s->store, 1);
    const int64_t most = PLANEWISE_WORK / MAX(1, p.out_width) / PLANEWISE_ROWS * PLANEWISE_ROWS;
    const int64_t rows = MAX(PLANEWISE_ROWS, most);
    const int64_t jobs = (p.out_height + rows - 1) / rows;
    void (*run)(const FN(plane) *, int64_t, int64_t) =
        taps == 3 ? step == 1 ? FN(planewise_3_1) : FN(planewise_3_2)
        : step == 1 ? FN(planewise_5_1)
                    : FN(planewise_5_2);
    PARALLEL_FOR(s->n * s->outputs * (out + 64) * taps * taps / 64)
    for (int64_t job = 0; job < s->n * s->outputs * jobs; job++) {
        const int64_t plane = job / jobs, first = job % jobs * rows;
        const int64_t o = plane % s->outputs, image = plane / s->outputs;
        const real *weight = (const real *)s->weight + o * taps * taps;
        real back[25];
        if (turned) {
            for (int t = 0; t < taps * taps; t++) back[t] = weight[taps * taps - 1 - t];
            weight = back;
        }
        const int64_t at = image * y_image + o * out, end = MIN(p.out_height, first + rows);
        const FN(plane) this = {.shape = &p, .finish = &finish, .weight = weight, .y = y + at,
                                .x = x + image * x_image + o / many * p.height * p.width,
                                .residual = finish.residual ? finish.residual + at : NULL,
                                .bias = s->bias ? ((const real *)s->bias)[o] : 0,
                                .slope = finish.row_slopes ? finish.row_slopes[o] : finish.slope};
        run(&this, first, end);
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
