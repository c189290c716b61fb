/* The solvers' updates: one pass over a parameter reads its gradient, adds the decay, and
 * writes state and weight once. Bound by memory: n reads and n writes each of weight, gradient
 * and state. Work is cut into blocks of a fixed size, so that neither a sum nor the edge of a
 * vector loop depends on the number of threads. */

#define SQRT(x) (REAL_IS_FLOAT ? sqrtf(x) : sqrt(x))
#define FABS(x) (REAL_IS_FLOAT ? fabsf(x) : fabs(x))
#ifdef _OPENMP
#define SIMD_ANY(flag) PRAGMA(omp simd reduction(| : flag))
#define SIMD_SUM(sum) PRAGMA(omp simd reduction(+ : sum))
#else
#define SIMD_ANY(flag)
#define SIMD_SUM(sum)
#endif

/* `__VA_ARGS__` makes `change` from the gradient g; lr is this parameter's rate. */
#define UPDATE(name, ...)                                                                     \
    KERNEL(name) {                                                                            \
        ARGS(name);                                                                           \
        real *weight = a->weight, *diff = a->diff, *first = a->first, *second = a->second;    \
        const real *step = a->step;                                                           \
        const real lr = step[UPDATE_RATE] * (real)a->lr_mult, scale = step[UPDATE_SCALE];      \
        const real correction = step[UPDATE_CORRECTION], shrink = lr * (real)a->decoupled;    \
        const real l2 = (real)a->l2, l1 = (real)a->l1;                                        \
        const real momentum = (real)a->momentum, decay = (real)a->decay;                      \
        const real delta = (real)a->delta;                                                    \
        const int keep = step[UPDATE_KEEP] != 0;                                              \
        const int64_t blocks = (a->n + UPDATE_BLOCK - 1) / UPDATE_BLOCK;                       \
        (void)second, (void)correction, (void)momentum, (void)decay, (void)delta;             \
        PARALLEL_FOR(a->n)                                                                    \
        for (int64_t block = 0; block < blocks; block++) {                                    \
            const int64_t end = MIN(a->n, (block + 1) * UPDATE_BLOCK);                        \
            int broken = 0;                                                                   \
            SIMD_ANY(broken)                                                                  \
            for (int64_t i = block * UPDATE_BLOCK; i < end; i++) {                            \
                const real w = weight[i];                                                     \
                const real g = scale * diff[i] + l2 * w + l1 * (real)((w > 0) - (w < 0));     \
                real change;                                                                  \
                __VA_ARGS__                                                                   \
                change += shrink * w;                                                         \
                weight[i] = w - change;                                                       \
                diff[i] = keep ? change : 0;                                                  \
                broken |= !(FABS(w - change) <= REAL_MAX);                                    \
            }                                                                                 \
            if (broken) __atomic_store_n((int32_t *)a->broken, 1, __ATOMIC_RELAXED);          \
        }                                                                                     \
    }

UPDATE(update_sgd, { change = first[i] = momentum * first[i] + lr * g; })

UPDATE(update_nesterov, {
    const real before = first[i];
    first[i] = momentum * before + lr * g;
    change = (1 + momentum) * first[i] - momentum * before;
})

UPDATE(update_adagrad, {
    first[i] += g * g;
    change = lr * g / (SQRT(first[i]) + delta);
})

UPDATE(update_rmsprop, {
    first[i] = decay * first[i] + (1 - decay) * g * g;
    change = lr * g / (SQRT(first[i]) + delta);
})

UPDATE(update_adadelta, {
    first[i] = decay * first[i] + (1 - decay) * g * g;
    const real move = g * SQRT((delta + second[i]) / (delta + first[i]));
    second[i] = decay * second[i] + (1 - decay) * move * move;
    change = lr * move;
})

UPDATE(update_adam, {
    first[i] = momentum * first[i] + (1 - momentum) * g;
    second[i] = decay * second[i] + (1 - decay) * g * g;
    change = lr * correction * first[i] / (SQRT(second[i]) + delta);
})

/* A block's sum goes to its own place: adding them in order is gradient_scale's part. */
KERNEL(sum_of_squares) {
    ARGS(sum_of_squares);
    const real *x = a->x;
    double *sums = a->sums;
    const int64_t blocks = (a->n + UPDATE_BLOCK - 1) / UPDATE_BLOCK;
    PARALLEL_FOR(a->n)
    for (int64_t block = 0; block < blocks; block++) {
        const int64_t end = MIN(a->n, (block + 1) * UPDATE_BLOCK);
        double sum = 0;
        SIMD_SUM(sum)
        for (int64_t i = block * UPDATE_BLOCK; i < end; i++) sum += (double)x[i] * (double)x[i];
        sums[block] = sum;
    }
}

KERNEL(gradient_scale) {
    ARGS(gradient_scale);
    const double *sums = a->sums;
    real *step = a->step;
    double square = 0;
    for (int64_t i = 0; i < a->n; i++) square += sums[i];
    const double norm = sqrt(square);
    const double clip = norm > a->limit ? a->limit / norm : 1;
    step[UPDATE_SCALE] = (real)(clip * a->share);
    step[UPDATE_NORM] = (real)norm;
}

#undef UPDATE
#undef SIMD_ANY
#undef SIMD_SUM
#undef SQRT
#undef FABS
