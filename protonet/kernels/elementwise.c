/* Elementwise maps: one pass over memory, any of the inputs may be the output. */

KERNEL(relu) {
    ARGS(relu);
    const real *x = a->x;
    real *y = a->y;
    real slope = (real)a->slope;
    PARALLEL_FOR(a->n)
    for (int64_t i = 0; i < a->n; i++) y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

KERNEL(relu_backward) {
    ARGS(relu_backward);
    const real *x = a->x, *dy = a->dy;
    real *dx = a->dx;
    real slope = (real)a->slope;
    PARALLEL_FOR(a->n)
    for (int64_t i = 0; i < a->n; i++) dx[i] = x[i] > 0 ? dy[i] : slope * dy[i];
}

KERNEL(fill) {
    ARGS(fill);
    real *y = a->y, value = (real)a->value;
    PARALLEL_FOR(a->n)
    for (int64_t i = 0; i < a->n; i++) y[i] = value;
}

KERNEL(copy) {
    ARGS(copy);
    const real *x = a->x;
    real *y = a->y;
    PARALLEL_FOR(a->n)
    for (int64_t i = 0; i < a->n; i++) y[i] = x[i];
}

KERNEL(axpby) {
    ARGS(axpby);
    const real *x = a->x;
    real *y = a->y, p = (real)a->a, q = (real)a->b;
    PARALLEL_FOR(a->n)
    for (int64_t i = 0; i < a->n; i++) y[i] = p * x[i] + q * y[i];
}

/* Blocks of columns are shared out; each column adds its rows in order. */
KERNEL(sum_rows) {
    ARGS(sum_rows);
    const real *x = a->x;
    real *y = a->y;
    const int64_t block = 256, blocks = (a->columns + block - 1) / block;
    PARALLEL_FOR(a->rows * a->columns)
    for (int64_t at = 0; at < blocks; at++)
        for (int64_t row = 0; row < a->rows; row++)
            for (int64_t i = at * block; i < MIN(a->columns, (at + 1) * block); i++)
                y[i] += x[row * a->columns + i];
}
