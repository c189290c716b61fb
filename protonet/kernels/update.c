/* The solvers' updates: one pass over a parameter reads its gradient, adds the decay, and
 * writes state and weight once. Bound by memory: n reads and n writes each of weight, gradient
 * and state. Work is cut into blocks of a fixed size, so that neither a sum nor the edge of a
 * vector loop depends on the number of threads. */

#define FABS(x) (REAL_IS_FLOAT ? fabsf(x) : fabs(x))
#define SQRT(x) (REAL_IS_FLOAT ? sqrtf(x) : sqrt(x))

/* `__VA_ARGS__` makes `change` from the gradient g; lr is this parameter's rate. */
#define UPDATE(name, ...)                                                                     \
    KERNEL(name) {                                                                            \
        ARGS(name);                                                                           \
        const real *step = a->step;                                                           \
        const real lr = step[UPDATE_RATE] * (real)a->lr_mult, scale = step[UPDATE_SCALE];      \
        const real correction = step[UPDATE_CORRECTION], shrink = lr * (real)a->decoupled;    \
        const real l2 = (real)a->l2, l1 = (real)a->l1;                                        \
        const real momentum = (real)a->momentum, decay = (real)a->decay;                      \
        const real delta = (real)a->delta, kept = step[UPDATE_KEEP] != 0;                     \
        const int64_t blocks = (a->n + UPDATE_BLOCK - 1) / UPDATE_BLOCK;                       \
        (void)correction, (void)momentum, (void)decay, (void)delta;                           \
        PARALLEL_FOR(a->n)                                                                    \
        for (int64_t block = 0; block < blocks; block++) {                                    \
            const int64_t start = block * UPDATE_BLOCK, n = MIN(a->n - start, UPDATE_BLOCK);   \
            real *restrict weight = (real *)a->weight + start;                                \
            real *restrict diff = (real *)a->diff + start;                                    \
            real *restrict first = (real *)a->first + start;                                  \
            real *restrict second = a->second ? (real *)a->second + start : NULL;             \
            (void)second;                                                                     \
            for (int64_t i = 0; i < n; i++) {                                                 \
                const real w = weight[i];                                                     \
                const real sign = w > 0 ? l1 : w < 0 ? -l1 : 0;                               \
                const real g = scale * diff[i] + l2 * w + sign;                               \
                real change;                                                                  \
                __VA_ARGS__                                                                   \
                change += shrink * w;                                                         \
                weight[i] = w - change;                                                       \
                diff[i] = kept != 0 ? change : 0;                                             \
            }                                                                                 \
            if (!FN(all_finite)(weight, n))                                                   \
                __atomic_store_n((int32_t *)a->broken, 1, __ATOMIC_RELAXED);                  \
        }                                                                                     \
    }

/* Integers, because their sums may be taken in any order. */
static int FN(all_finite)(const real *x, int64_t n) {
    int32_t broken = 0;
    for (int64_t i = 0; i < n; i++) broken |= !(FABS(x[i]) <= REAL_MAX);
    return !broken;
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

/* A block's sum goes to its own place: adding them in order is gradient_scale's part. Within a
 * block eight sums stand side by side, so that vectors can take them. */
KERNEL(sum_of_squares) {
    ARGS(sum_of_squares);
    double *sums = a->sums;
    const int64_t blocks = (a->n + UPDATE_BLOCK - 1) / UPDATE_BLOCK;
    PARALLEL_FOR(a->n)
    for (int64_t block = 0; block < blocks; block++) {
        const real *x = (const real *)a->x + block * UPDATE_BLOCK;
        const int64_t n = MIN(a->n - block * UPDATE_BLOCK, UPDATE_BLOCK);
        double sum[8] = {0};
        int64_t i = 0;
        for (; i + 8 <= n; i += 8)
            for (int64_t k = 0; k < 8; k++) sum[k] += (double)x[i + k] * (double)x[i + k];
        for (; i < n; i++) sum[i % 8] += (double)x[i] * (double)x[i];
        for (int64_t k = 1; k < 8; k++) sum[0] += sum[k];
        sums[block] = sum[0];
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
#undef FABS
#undef SQRT
