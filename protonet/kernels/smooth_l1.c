/* The smooth L1 loss. */

/* 0.5 (sigma d)² within 1 / sigma² of 0, else |d| - 0.5 / sigma²; and its derivative. */
INLINE real FN(smooth_l1)(real d, real sigma2) {
    const real size = d < 0 ? -d : d;
    return size * sigma2 < 1 ? (real)0.5 * d * d * sigma2 : size - (real)0.5 / sigma2;
}
INLINE real FN(smooth_l1_slope)(real d, real sigma2) {
    const real slope = d * sigma2;
    return slope >= 1 ? 1 : slope <= -1 ? -1 : slope;
}

/* The sum over n elements; inside and outside may be NULL. */
INLINE double FN(smooth_l1_block)(const real *x, const real *target, const real *inside,
                                  const real *outside, int64_t n, real sigma2) {
    real sum = 0;
    PRAGMA(omp simd reduction(+ : sum))
    for (int64_t i = 0; i < n; i++) {
        const real d = (x[i] - target[i]) * (inside ? inside[i] : 1);
        sum += FN(smooth_l1)(d, sigma2) * (outside ? outside[i] : 1);
    }
    return (double)sum;
}

KERNEL(smooth_l1_loss) {
    ARGS(smooth_l1_loss);
    const real *x = a->x, *target = a->target, *inside = a->inside, *outside = a->outside;
    const real sigma2 = (real)a->sigma2;
    const int64_t blocks = (a->n + EACH_BLOCK - 1) / EACH_BLOCK;
    double *partial = workspace(WORKSPACE_PARTIAL, sizeof(double) * (size_t)(blocks + 1));
    PARALLEL_FOR(a->n * 2)
    for (int64_t at = 0; at < blocks; at++) {
        const int64_t start = at * EACH_BLOCK, some = MIN(a->n - start, EACH_BLOCK);
        const real *in = inside ? inside + start : NULL, *out = outside ? outside + start : NULL;
        if (in && out)
            partial[at] = FN(smooth_l1_block)(x + start, target + start, in, out, some, sigma2);
        else if (in)
            partial[at] = FN(smooth_l1_block)(x + start, target + start, in, NULL, some, sigma2);
        else
            partial[at] = FN(smooth_l1_block)(x + start, target + start, NULL, NULL, some, sigma2);
    }
    double total = 0;
    for (int64_t at = 0; at < blocks; at++) total += partial[at];
    *(real *)a->loss = (real)(total * a->scale);
}

KERNEL(smooth_l1_loss_backward) {
    ARGS(smooth_l1_loss_backward);
    const smooth_l1_loss_args *s = &a->shape;
    const real *x = s->x, *target = s->target, *inside = s->inside, *outside = s->outside;
    const real sigma2 = (real)s->sigma2, scale = (real)(s->scale * a->sign) * *(const real *)a->dy;
    real *dx = a->dx;
    FOR_EACH(i, s->n, 2) {
        const real weight = inside ? inside[i] : 1;
        const real slope = FN(smooth_l1_slope)((x[i] - target[i]) * weight, sigma2);
        dx[i] = scale * slope * weight * (outside ? outside[i] : 1);
    }
}
