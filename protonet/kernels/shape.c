/* Moving elements about: cut boxes out, change the order of axes, repeat. */

/* Rows along the last axis, the others walked as an odometer over the smaller blob. */
INLINE void FN(crop_walk)(const crop_args *a, int64_t row, int64_t *inside) {
    int64_t at = a->offset[a->axes - 1], scale = a->size[a->axes - 1];
    for (int64_t axis = a->axes - 2; axis >= 0; axis--) {
        at += (row % a->out[axis] + a->offset[axis]) * scale;
        scale *= a->size[axis];
        row /= a->out[axis];
    }
    *inside = at;
}

KERNEL(crop) {
    ARGS(crop);
    const int64_t run = a->out[a->axes - 1], rows = FN(product_of)(a->out, a->axes - 1);
    PARALLEL_FOR(rows * run)
    for (int64_t row = 0; row < rows; row++) {
        int64_t at;
        FN(crop_walk)(a, row, &at);
        memcpy((real *)a->y + row * run, (const real *)a->x + at, sizeof(real) * (size_t)run);
    }
}

KERNEL(crop_backward) {
    ARGS(crop_backward);
    const crop_args *c = &a->shape;
    const int64_t run = c->out[c->axes - 1], rows = FN(product_of)(c->out, c->axes - 1);
    const int64_t count = FN(product_of)(c->size, c->axes);
    real *dx = a->dx;
    FOR_EACH(i, count, 1) dx[i] = 0;
    PARALLEL_FOR(rows * run)
    for (int64_t row = 0; row < rows; row++) {
        int64_t at;
        FN(crop_walk)(c, row, &at);
        memcpy(dx + at, (const real *)a->dy + row * run, sizeof(real) * (size_t)run);
    }
}

/* The last axis of y and the axis along which x is contiguous are walked in tiles, so that both
 * are read and written by whole cache lines; the other axes are an odometer. */
#define PERMUTE_TILE 64

/* y[i * y_step + k] = x[i + k * x_step] for height × width elements, in blocks of vectors. */
static void FN(transpose_tile)(const real *x, int64_t x_step, real *y, int64_t y_step,
                               int64_t height, int64_t width) {
    const int64_t rows = height / LANES * LANES, columns = width / LANES * LANES;
    for (int64_t k = 0; k < columns; k += LANES)
        for (int64_t i = 0; i < rows; i += LANES)
            FN(transpose_rows)(x + i + k * x_step, x_step, LANES, y + i * y_step + k, y_step);
    for (int64_t k = columns; k < width; k++)
        for (int64_t i = 0; i < rows; i++) y[i * y_step + k] = x[i + k * x_step];
    for (int64_t i = rows; i < height; i++)
        for (int64_t k = 0; k < width; k++) y[i * y_step + k] = x[i + k * x_step];
}

/* The same where rows of y are narrow and lie one after another: `width` runs of x interleaved. */
INLINE void FN(interleave)(const real *x, int64_t x_step, real *restrict y, int64_t height,
                           int64_t width) {
    for (int64_t i = 0; i < height; i++)
        for (int64_t k = 0; k < width; k++) y[i * width + k] = x[i + k * x_step];
}

/* Rows of y of one width lie y_step apart. */
static void FN(transpose_band)(const real *x, int64_t x_step, real *y, int64_t y_step,
                               int64_t height, int64_t width) {
    if (y_step == 2 && width == 2)
        FN(interleave)(x, x_step, y, height, 2);
    else if (y_step == 3 && width == 3)
        FN(interleave)(x, x_step, y, height, 3);
    else if (y_step == 4 && width == 4)
        FN(interleave)(x, x_step, y, height, 4);
    else
        FN(transpose_tile)(x, x_step, y, y_step, height, width);
}

KERNEL(permute) {
    ARGS(permute);
    const int64_t last = a->axes - 1;
    int64_t out_step[8], plain = last;
    for (int64_t axis = last, step = 1; axis >= 0; step *= a->size[axis--]) {
        out_step[axis] = step;
        if (a->step[axis] == 1) plain = axis;
    }
    const int64_t width = a->size[last], x_step = a->step[last];
    const int64_t height = plain == last ? 1 : a->size[plain];
    int64_t rest = 1;
    for (int64_t axis = 0; axis < last; axis++)
        if (axis != plain) rest *= a->size[axis];
    const int64_t bands = (height + PERMUTE_TILE - 1) / PERMUTE_TILE;
    PARALLEL_FOR(rest * height * width * 2)
    for (int64_t at = 0; at < rest * bands; at++) {
        const int64_t from = at % bands * PERMUTE_TILE, to = MIN(height, from + PERMUTE_TILE);
        const real *x = a->x;
        real *y = a->y;
        int64_t left = at / bands;
        for (int64_t axis = last - 1; axis >= 0; axis--) {
            if (axis == plain) continue;
            x += left % a->size[axis] * a->step[axis];
            y += left % a->size[axis] * out_step[axis];
            left /= a->size[axis];
        }
        if (plain == last && x_step == 1) {
            memcpy(y, x, sizeof(real) * (size_t)width);
            continue;
        }
        if (plain == last) /* no axis of more than one element is contiguous in x */
            for (int64_t k = 0; k < width; k++) y[k] = x[k * x_step];
        else
            FN(transpose_band)(x + from, x_step, y + from * out_step[plain], out_step[plain],
                               to - from, width);
    }
}

KERNEL(repeat) {
    ARGS(repeat);
    PARALLEL_FOR(a->rows * a->columns * a->tiles)
    for (int64_t at = 0; at < a->rows * a->tiles; at++)
        memcpy((real *)a->y + at * a->columns, (const real *)a->x + at / a->tiles * a->columns,
               sizeof(real) * (size_t)a->columns);
}

KERNEL(repeat_backward) {
    ARGS(repeat_backward);
    const int64_t block = MIN(MAX(a->columns, 1), 1024), blocks = (a->columns + block - 1) / block;
    PARALLEL_FOR(a->rows * a->columns * a->tiles)
    for (int64_t at = 0; at < a->rows * blocks; at++) {
        const int64_t row = at / blocks, first = at % blocks * block;
        const int64_t some = MIN(block, a->columns - first);
        const real *dy = (const real *)a->dy + row * a->tiles * a->columns + first;
        real *restrict dx = (real *)a->dx + row * a->columns + first;
        for (int64_t i = 0; i < some; i++) dx[i] = 0;
        for (int64_t tile = 0; tile < a->tiles; tile++)
            for (int64_t i = 0; i < some; i++) dx[i] += dy[tile * a->columns + i];
    }
}
