/* Several buffers into one, and strided copies. Up to COMBINE_MOST inputs at a time; any of them may
 * be the output. */

KERNEL(combine_sum) {
    ARGS(combine_sum);
    real *y = a->y;
    const real *x0 = a->x[0], *x1 = a->x[1];
    const real c0 = (real)a->coefficient[0], c1 = (real)a->coefficient[1];
    if (a->count == 1) {
        FOR_EACH(i, a->n, 1) y[i] = c0 * x0[i];
    } else if (a->count == 2 && c0 == 1 && c1 == 1) {
        FOR_EACH(i, a->n, 1) y[i] = x0[i] + x1[i];
    } else if (a->count == 2) {
        FOR_EACH(i, a->n, 1) y[i] = c0 * x0[i] + c1 * x1[i];
    } else {
        PARALLEL_FOR(a->n * a->count)
        for (int64_t start = 0; start < a->n; start += EACH_BLOCK) {
            real sum[EACH_BLOCK];
            const int64_t some = MIN(EACH_BLOCK, a->n - start);
            for (int64_t i = 0; i < some; i++) sum[i] = 0;
            for (int64_t k = 0; k < a->count; k++) {
                const real *x = (const real *)a->x[k] + start, c = (real)a->coefficient[k];
                for (int64_t i = 0; i < some; i++) sum[i] += c * x[i];
            }
            memcpy(y + start, sum, sizeof(real) * (size_t)some);
        }
    }
}

/* A sum and the ReLU behind it. Reads 2 n, writes n. */
KERNEL(add_relu) {
    ARGS(add_relu);
    const real *x0 = a->a, *x1 = a->b, slope = (real)a->slope;
    real *y = a->y;
    FOR_EACH(i, a->n, 2) {
        const real sum = x0[i] + x1[i];
        y[i] = sum > 0 ? sum : slope * sum;
    }
}

/* Backward through two readers, the ReLU and the sum. Reads and writes up to 3 n each. */
KERNEL(add_relu_backward) {
    ARGS(add_relu_backward);
    const real slope = (real)a->slope;
    PARALLEL_FOR(3 * a->n)
    for (int64_t start = 0; start < a->n; start += EACH_BLOCK) {
        const int64_t some = MIN(EACH_BLOCK, a->n - start);
        const real *dy = (const real *)a->dy + start, *y = (const real *)a->y + start;
        const real *other = a->other_dy ? (const real *)a->other_dy + start : NULL;
        real *sum = (real *)a->sum + start;
        if (other)
            for (int64_t i = 0; i < some; i++) sum[i] = dy[i] + other[i];
        else if (sum != dy)
            memcpy(sum, dy, sizeof(real) * (size_t)some);
        for (int64_t i = 0; i < some; i++) sum[i] = y[i] > 0 ? sum[i] : slope * sum[i];
        if (a->da) memcpy((real *)a->da + start, sum, sizeof(real) * (size_t)some);
        if (a->db) memcpy((real *)a->db + start, sum, sizeof(real) * (size_t)some);
    }
}

KERNEL(combine_product) {
    ARGS(combine_product);
    real *y = a->y;
    const real *x0 = a->x[0], *x1 = a->x[1];
    if (a->count == 1) {
        FOR_EACH(i, a->n, 1) y[i] = x0[i];
    } else if (a->count == 2) {
        FOR_EACH(i, a->n, 1) y[i] = x0[i] * x1[i];
    } else {
        PARALLEL_FOR(a->n * a->count)
        for (int64_t start = 0; start < a->n; start += EACH_BLOCK) {
            real product[EACH_BLOCK];
            const int64_t some = MIN(EACH_BLOCK, a->n - start);
            for (int64_t i = 0; i < some; i++) product[i] = 1;
            for (int64_t k = 0; k < a->count; k++) {
                const real *x = (const real *)a->x[k] + start;
                for (int64_t i = 0; i < some; i++) product[i] *= x[i];
            }
            memcpy(y + start, product, sizeof(real) * (size_t)some);
        }
    }
}

/* Of the first two inputs the second wins a tie, later ones must be greater. (Caffe) */
KERNEL(combine_max) {
    ARGS(combine_max);
    real *y = a->y;
    uint8_t *mask = a->mask;
    const uint8_t first = (uint8_t)a->first;
    if (first == 0 && a->count == 2) {
        const real *x0 = a->x[0], *x1 = a->x[1];
        if (mask) {
            FOR_EACH(i, a->n, 1) {
                const int kept = x0[i] > x1[i];
                mask[i] = kept ? 0 : 1;
                y[i] = kept ? x0[i] : x1[i];
            }
        } else {
            FOR_EACH(i, a->n, 1) y[i] = x0[i] > x1[i] ? x0[i] : x1[i];
        }
        return;
    }
    PARALLEL_FOR(a->n * a->count)
    for (int64_t start = 0; start < a->n; start += EACH_BLOCK) {
        real most[EACH_BLOCK];
        uint8_t which[EACH_BLOCK];
        const int64_t some = MIN(EACH_BLOCK, a->n - start);
        if (first)
            for (int64_t i = 0; i < some; i++) {
                most[i] = y[start + i];
                which[i] = mask ? mask[start + i] : 0;
            }
        for (int64_t k = 0; k < a->count; k++) {
            const real *x = (const real *)a->x[k] + start;
            const uint8_t index = (uint8_t)(first + k);
            if (index == 0)
                for (int64_t i = 0; i < some; i++) most[i] = x[i], which[i] = 0;
            else if (index == 1)
                for (int64_t i = 0; i < some; i++) {
                    const int kept = most[i] > x[i];
                    most[i] = kept ? most[i] : x[i];
                    which[i] = kept ? which[i] : 1;
                }
            else
                for (int64_t i = 0; i < some; i++) {
                    const int more = x[i] > most[i];
                    most[i] = more ? x[i] : most[i];
                    which[i] = more ? index : which[i];
                }
        }
        memcpy(y + start, most, sizeof(real) * (size_t)some);
        if (mask) memcpy(mask + start, which, (size_t)some);
    }
}

KERNEL(combine_max_backward) {
    ARGS(combine_max_backward);
    const real *dy = a->dy;
    const uint8_t *mask = a->mask;
    const uint8_t index = (uint8_t)a->index;
    real *dx = a->dx;
    FOR_EACH(i, a->n, 1) dx[i] = mask[i] == index ? dy[i] : 0;
}

KERNEL(divide_product) {
    ARGS(divide_product);
    const real *x = a->x, *y = a->y, *dy = a->dy;
    real *dx = a->dx;
    FOR_EACH(i, a->n, 1) dx[i] = y[i] / x[i] * dy[i];
}

/* Rows shorter than a page are shared out whole; longer ones in pieces. */
KERNEL(copy_rows) {
    ARGS(copy_rows);
    const int64_t piece = 4096, pieces = (a->columns + piece - 1) / piece;
    PARALLEL_FOR(a->rows * a->columns)
    for (int64_t at = 0; at < a->rows * pieces; at++) {
        const int64_t row = at / pieces, first = at % pieces * piece;
        memcpy((real *)a->y + row * a->y_row + first, (const real *)a->x + row * a->x_row + first,
               sizeof(real) * (size_t)MIN(piece, a->columns - first));
    }
}
