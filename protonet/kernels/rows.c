/* Kernels that move whole rows: chosen, repeated, added up. */

/* Whether an index, perhaps not a number, is one of `rows` rows. */
INLINE int FN(is_row)(real index, int64_t rows) { return index > -1 && index < (real)rows; }

/* y[i] = x[index[i]], rows of `size` elements; 0 where there is no such row, and the first such i goes
 * to *bad, else -1. */
KERNEL(gather_rows) {
    ARGS(gather_rows);
    const real *x = a->x, *index = a->index;
    real *y = a->y;
    int64_t bad = -1;
    for (int64_t i = a->count - 1; i >= 0; i--)
        if (!FN(is_row)(index[i], a->rows)) bad = i;
    *(int64_t *)a->bad = bad;
    PARALLEL_FOR(a->count * a->size)
    for (int64_t i = 0; i < a->count; i++)
        if (FN(is_row)(index[i], a->rows))
            memcpy(y + i * a->size, x + (int64_t)index[i] * a->size,
                   sizeof(real) * (size_t)a->size);
        else
            memset(y + i * a->size, 0, sizeof(real) * (size_t)a->size);
}

/* x[index[i]] += y[i], where there is such a row: several i may meet in one, so columns are shared
 * out, not rows. */
KERNEL(scatter_rows) {
    ARGS(scatter_rows);
    const real *y = a->y, *index = a->index;
    real *x = a->x;
    const int64_t block = 64, blocks = (a->size + block - 1) / block;
    PARALLEL_FOR(a->count * a->size)
    for (int64_t at = 0; at < blocks; at++)
        for (int64_t i = 0; i < a->count; i++) {
            if (!FN(is_row)(index[i], a->rows)) continue;
            real *to = x + (int64_t)index[i] * a->size;
            const real *from = y + i * a->size;
            for (int64_t j = at * block; j < MIN(a->size, (at + 1) * block); j++) to[j] += from[j];
        }
}

/* The numbers of the rows whose selector is not 0 to kept, how many they are to *found; the first
 * selector that is not a number to *bad, else -1. */
KERNEL(select_rows) {
    ARGS(select_rows);
    const real *selector = a->selector;
    real *kept = a->kept;
    int64_t found = 0, bad = -1;
    for (int64_t i = 0; i < a->count; i++) {
        if (selector[i] != selector[i] && bad < 0) bad = i;
        if (selector[i] != 0) kept[found++] = (real)i;
    }
    *(int64_t *)a->found = found;
    *(int64_t *)a->bad = bad;
}
