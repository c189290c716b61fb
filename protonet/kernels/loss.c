/* Losses over whole buffers. Sums run over blocks of a fixed size, added up in order. */

KERNEL(euclidean_loss) {
    ARGS(euclidean_loss);
    const real *x = a->a, *t = a->b;
    const int64_t blocks = (a->n + EACH_BLOCK - 1) / EACH_BLOCK;
    double *partial = workspace(WORKSPACE_PARTIAL, sizeof(double) * (size_t)(blocks + 1));
    PARALLEL_FOR(a->n)
    for (int64_t at = 0; at < blocks; at++) {
        real sum = 0;
        PRAGMA(omp simd reduction(+ : sum))
        for (int64_t i = at * EACH_BLOCK; i < MIN(a->n, (at + 1) * EACH_BLOCK); i++) {
            const real d = x[i] - t[i];
            sum += d * d;
        }
        partial[at] = (double)sum;
    }
    double total = 0;
    for (int64_t at = 0; at < blocks; at++) total += partial[at];
    *(real *)a->y = (real)(total * a->scale);
}

KERNEL(euclidean_loss_backward) {
    ARGS(euclidean_loss_backward);
    const real *x = a->a, *t = a->b, scale = (real)a->scale * *(const real *)a->dy;
    real *dx = a->dx;
    FOR_EACH(i, a->n, 1) dx[i] = scale * (x[i] - t[i]);
}
