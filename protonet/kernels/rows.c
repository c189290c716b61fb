/* Kernels that move whole rows: chosen, repeated, added up. */

/* y[i] = x[index[i]], rows of `size` elements. */
KERNEL(gather_rows) {
    ARGS(gather_rows);
    const real *x = a->x, *index = a->index;
    real *y = a->y;
    PARALLEL_FOR(a->count * a->size)
    for (int64_t i = 0; i < a->count; i++)
        memcpy(y + i * a->size, x + (int64_t)index[i] * a->size, sizeof(real) * (size_t)a->size);
}

/* x[index[i]] += y[i]: several i may meet in one row, so columns are shared out, not rows. */
KERNEL(scatter_rows) {
    ARGS(scatter_rows);
    const real *y = a->y, *index = a->index;
    real *x = a->x;
    const int64_t block = 64, blocks = (a->size + block - 1) / block;
    PARALLEL_FOR(a->count * a->size)
    for (int64_t at = 0; at < blocks; at++)
        for (int64_t i = 0; i < a->count; i++) {
            real *to = x + (int64_t)index[i] * a->size;
            const real *from = y + i * a->size;
            for (int64_t j = at * block; j < MIN(a->size, (at + 1) * block); j++) to[j] += from[j];
        }
}

/* The first i whose index is not a whole number in 0 … limit - 1 goes to *bad, else -1. */
KERNEL(check_index) {
    ARGS(check_index);
    const real *index = a->index;
    int64_t bad = -1;
    for (int64_t i = a->count - 1; i >= 0; i--)
        if (!(index[i] > -1 && index[i] < (real)a->limit)) bad = i;
    *(int64_t *)a->bad = bad;
}
