/* Planes taken from planes: by an index for each value, by an index for each row and column, or by
 * bilinear interpolation between rows and columns. Planes or rows are shared among the team. */

KERNEL(unpool) {
    ARGS(unpool);
    const real *x = a->x, *index = a->index, limit = (real)a->out;
    int64_t *wrong = workspace(WORKSPACE_PARTIAL, sizeof(int64_t) * (size_t)(a->planes + 1));
    PARALLEL_FOR(a->planes * a->out)
    for (int64_t plane = 0; plane < a->planes; plane++) {
        real *y = (real *)a->y + plane * a->out;
        memset(y, 0, sizeof(real) * (size_t)a->out);
        wrong[plane] = -1;
        for (int64_t i = plane * a->size; i < (plane + 1) * a->size; i++)
            if (index[i] > -1 && index[i] < limit)
                y[(int64_t)index[i]] = x[i];
            else if (wrong[plane] < 0)
                wrong[plane] = i;
    }
    int64_t bad = -1;
    for (int64_t plane = a->planes - 1; plane >= 0; plane--)
        bad = wrong[plane] < 0 ? bad : wrong[plane];
    *(int64_t *)a->bad = bad;
}

KERNEL(unpool_backward) {
    ARGS(unpool_backward);
    const real *index = a->index, *dy = a->dy;
    real *dx = a->dx;
    PARALLEL_FOR(a->planes * a->size)
    for (int64_t plane = 0; plane < a->planes; plane++) {
        const real *from = dy + plane * a->out;
        for (int64_t i = plane * a->size; i < (plane + 1) * a->size; i++)
            dx[i] = index[i] > -1 && index[i] < (real)a->out ? from[(int64_t)index[i]] : 0;
    }
}

/* The columns that are picked, if they are one unbroken run: from *first, *some of them. */
static int FN(is_one_run)(const int32_t *column, int64_t out, int64_t *first, int64_t *some) {
    int64_t from = 0, to = out;
    while (from < out && column[from] < 0) from++;
    while (to > from && column[to - 1] < 0) to--;
    for (int64_t i = from + 1; i < to; i++)
        if (column[i] != column[i - 1] + 1 || column[i - 1] < 0) return 0;
    *first = from;
    *some = to - from;
    return 1;
}

/* A row that is one unbroken run of `some` columns, from `first` on, between others of `fill`. */
INLINE void FN(pick_run)(const real *x, const int32_t *column, int64_t out, int64_t first,
                         int64_t some, real fill, real *restrict y) {
    for (int64_t i = 0; i < first; i++) y[i] = fill;
    if (some) memcpy(y + first, x + column[first], sizeof(real) * (size_t)some);
    for (int64_t i = first + some; i < out; i++) y[i] = fill;
}

KERNEL(pick_pixels) {
    ARGS(pick_pixels);
    const int32_t *row = a->row, *column = a->column;
    const real fill = (real)a->fill;
    int64_t first = 0, some = 0;
    const int run = FN(is_one_run)(column, a->out_width, &first, &some);
    int whole = 1;
    for (int64_t i = 0; i < a->out_width; i++) whole = whole && column[i] >= 0;
    PARALLEL_FOR(a->planes * a->out_height * a->out_width)
    for (int64_t plane = 0; plane < a->planes; plane++)
        for (int64_t h = 0; h < a->out_height; h++) {
            real *restrict y = (real *)a->y + (plane * a->out_height + h) * a->out_width;
            if (row[h] < 0) {
                for (int64_t i = 0; i < a->out_width; i++) y[i] = fill;
            } else if (h && row[h] == row[h - 1]) {
                memcpy(y, y - a->out_width, sizeof(real) * (size_t)a->out_width);
            } else {
                const real *x = (const real *)a->x + (plane * a->height + row[h]) * a->width;
                if (run)
                    FN(pick_run)(x, column, a->out_width, first, some, fill, y);
                else if (whole)
                    for (int64_t i = 0; i < a->out_width; i++) y[i] = x[column[i]];
                else
                    for (int64_t i = 0; i < a->out_width; i++)
                        y[i] = column[i] < 0 ? fill : x[column[i]];
            }
        }
}

KERNEL(pick_pixels_backward) {
    ARGS(pick_pixels_backward);
    const pick_pixels_args *p = &a->shape;
    const int32_t *row = p->row, *column = p->column;
    const int64_t size = p->height * p->width;
    int64_t first = 0, some = 0, rows = 0, before = 0;
    int rising = 1, falling = 1; /* then no row is picked twice */
    const int run = FN(is_one_run)(column, p->out_width, &first, &some);
    for (int64_t h = 0; h < p->out_height; h++) {
        if (row[h] < 0) continue;
        rising = rising && (!rows || row[h] > before);
        falling = falling && (!rows || row[h] < before);
        before = row[h];
        rows++;
    }
    const int once = run && (rising || falling);
    const int whole = once && rows == p->height && some == p->width;
    PARALLEL_FOR(p->planes * (size + p->out_height * p->out_width))
    for (int64_t plane = 0; plane < p->planes; plane++) {
        real *dx = (real *)a->dx + plane * size;
        if (!whole) memset(dx, 0, sizeof(real) * (size_t)size);
        for (int64_t h = 0; h < p->out_height; h++) {
            const real *dy = (const real *)a->dy + (plane * p->out_height + h) * p->out_width;
            if (row[h] < 0 || (run && !some)) continue;
            real *restrict to = dx + row[h] * p->width + (run ? column[first] : 0);
            if (once)
                memcpy(to, dy + first, sizeof(real) * (size_t)some);
            else if (run)
                for (int64_t i = 0; i < some; i++) to[i] += dy[first + i];
            else
                for (int64_t i = 0; i < p->out_width; i++)
                    if (column[i] >= 0) to[column[i]] += dy[i];
        }
    }
}

/* A row between two others: rows first, over the whole width, which is vector code; then columns. */
static void FN(row_between)(const bilinear_resize_args *a, const real *above, const real *below,
                            real down, real *y) {
    const int32_t *column = a->column;
    const real *column_weight = a->column_weight;
    real *between = workspace(WORKSPACE_PARTIAL, sizeof(real) * (size_t)a->width);
    SIMD
    for (int64_t i = 0; i < a->width; i++) between[i] = above[i] + down * (below[i] - above[i]);
    SIMD
    for (int64_t i = 0; i < a->out_width; i++) {
        const real left = between[column[2 * i]], right = between[column[2 * i + 1]];
        y[i] = left + column_weight[i] * (right - left);
    }
}

/* The same of bytes: columns first, and each product is rounded as OpenCV rounds it. */
static void FN(byte_row_between)(const bilinear_resize_args *a, const uint8_t *above,
                                 const uint8_t *below, const int32_t *down, uint8_t *y) {
    const int32_t *column = a->column, *column_weight = a->column_weight;
    const int64_t step = ((const picture *)a->picture)->column_step;
    for (int64_t i = 0; i < a->out_width; i++) {
        const int64_t left = column[2 * i] * step, right = column[2 * i + 1] * step;
        const int32_t before = column_weight[2 * i], after = column_weight[2 * i + 1];
        const int32_t upper = (above[left] * before + above[right] * after) >> 4;
        const int32_t lower = (below[left] * before + below[right] * after) >> 4;
        y[i] = (uint8_t)((((down[0] * upper) >> 16) + ((down[1] * lower) >> 16) + 2) >> 2);
    }
}

KERNEL(bilinear_resize) {
    ARGS(bilinear_resize);
    const picture *p = a->picture;
    const int32_t *row = a->row;
    PARALLEL_FOR(a->planes * a->out_height * (a->width + 4 * a->out_width))
    for (int64_t at = 0; at < a->planes * a->out_height; at++) {
        const int64_t plane = at / a->out_height, h = at % a->out_height;
        if (a->x) {
            const real *x = (const real *)a->x + plane * a->height * a->width;
            FN(row_between)(a, x + row[2 * h] * a->width, x + row[2 * h + 1] * a->width,
                            ((const real *)a->row_weight)[h], (real *)a->y + at * a->out_width);
        } else {
            const uint8_t *x = (const uint8_t *)(intptr_t)p->pixels + plane * p->channel_step;
            FN(byte_row_between)(a, x + row[2 * h] * p->row_step, x + row[2 * h + 1] * p->row_step,
                                 (const int32_t *)a->row_weight + 2 * h,
                                 (uint8_t *)a->y + at * a->out_width);
        }
    }
}

KERNEL(bilinear_resize_backward) {
    ARGS(bilinear_resize_backward);
    const bilinear_resize_args *b = &a->shape;
    const int32_t *row = b->row, *column = b->column;
    const real *row_weight = b->row_weight, *column_weight = b->column_weight;
    const int64_t size = b->height * b->width;
    PARALLEL_FOR(b->planes * b->out_height * (b->width + 4 * b->out_width))
    for (int64_t plane = 0; plane < b->planes; plane++) {
        real *dx = (real *)a->dx + plane * size;
        real *share = workspace(WORKSPACE_PARTIAL, sizeof(real) * (size_t)b->width);
        memset(dx, 0, sizeof(real) * (size_t)size);
        for (int64_t h = 0; h < b->out_height; h++) {
            const real *dy = (const real *)a->dy + (plane * b->out_height + h) * b->out_width;
            memset(share, 0, sizeof(real) * (size_t)b->width);
            for (int64_t i = 0; i < b->out_width; i++) {
                share[column[2 * i]] += (1 - column_weight[i]) * dy[i];
                share[column[2 * i + 1]] += column_weight[i] * dy[i];
            }
            real *above = dx + row[2 * h] * b->width, *below = dx + row[2 * h + 1] * b->width;
            const real down = row_weight[h];
            for (int64_t i = 0; i < b->width; i++) {
                above[i] += (1 - down) * share[i];
                below[i] += down * share[i];
            }
        }
    }
}
