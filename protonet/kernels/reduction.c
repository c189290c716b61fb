/* Rows made one number each, and the places of their greatest elements. */

#define REDUCE_RUN(term)                                                      \
    {                                                                         \
        PRAGMA(omp simd reduction(+ : sum))                                   \
        for (int64_t i = 0; i < n; i++) sum += (term);                        \
    }

static real FN(reduce_run)(const real *x, int64_t n, int64_t operation) {
    real sum = 0;
    if (operation == REDUCE_SUM) sum = FN(sum_run)(x, n);
    if (operation == REDUCE_ABSOLUTE) REDUCE_RUN(x[i] < 0 ? -x[i] : x[i])
    if (operation == REDUCE_SQUARES) REDUCE_RUN(x[i] * x[i])
    return sum;
}

/* Each row in blocks of a fixed size, added up in order. */
KERNEL(reduce) {
    ARGS(reduce);
    const int64_t blocks = MAX(1, (a->columns + EACH_BLOCK - 1) / EACH_BLOCK);
    double *partial = workspace(WORKSPACE_PARTIAL, sizeof(double) * (size_t)(a->rows * blocks + 1));
    PARALLEL_FOR(a->rows * a->columns)
    for (int64_t at = 0; at < a->rows * blocks; at++) {
        const int64_t first = at % blocks * EACH_BLOCK;
        partial[at] = (double)FN(reduce_run)((const real *)a->x + at / blocks * a->columns + first,
                                             MIN(EACH_BLOCK, a->columns - first), a->operation);
    }
    for (int64_t row = 0; row < a->rows; row++) {
        double total = 0;
        for (int64_t block = 0; block < blocks; block++) total += partial[row * blocks + block];
        ((real *)a->y)[row] = (real)(total * a->factor);
    }
}

KERNEL(reduce_backward) {
    ARGS(reduce_backward);
    const reduce_args *r = &a->shape;
    const real *all = r->x;
    const int64_t blocks = (r->columns + EACH_BLOCK - 1) / EACH_BLOCK;
    PARALLEL_FOR(r->rows * r->columns)
    for (int64_t at = 0; at < r->rows * blocks; at++) {
        const int64_t row = at / blocks, first = at % blocks * EACH_BLOCK;
        const int64_t n = MIN(EACH_BLOCK, r->columns - first), start = row * r->columns + first;
        const real each = (real)r->factor * ((const real *)a->dy)[row];
        const real *x = all ? all + start : NULL;
        real *dx = (real *)a->dx + start;
        if (r->operation == REDUCE_SUM)
            for (int64_t i = 0; i < n; i++) dx[i] = each;
        if (r->operation == REDUCE_ABSOLUTE)
            for (int64_t i = 0; i < n; i++) dx[i] = x[i] > 0 ? each : (x[i] < 0 ? -each : 0);
        if (r->operation == REDUCE_SQUARES)
            for (int64_t i = 0; i < n; i++) dx[i] = 2 * each * x[i];
    }
}

/* Best first, the later of equal ones first, NaN last. */
static void FN(best_of)(const real *x, int64_t n, int64_t step, int64_t top_k, real *value,
                        int64_t *index) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        const real v = x[i * step];
        if (count == top_k && !(v >= value[count - 1] || value[count - 1] != value[count - 1]))
            continue;
        int64_t at = count < top_k ? count++ : count - 1;
        for (; at > 0 && (v >= value[at - 1] || (value[at - 1] != value[at - 1])); at--) {
            value[at] = value[at - 1];
            index[at] = index[at - 1];
        }
        value[at] = v;
        index[at] = i;
    }
}

/* The best of many positions side by side. */
static void FN(best_side_by_side)(const arg_max_args *a, int64_t image) {
    const FN(sheaf) s = {1, a->classes, a->inner};
    PARALLEL_FOR(a->classes * a->inner)
    for (int64_t at = 0; at < FN(position_blocks)(&s); at++) {
        int64_t some, start = FN(block_start)(&s, at, &some);
        const real *x = (const real *)a->x + image * a->classes * a->inner + start;
        real most[POSITION_BLOCK], which[POSITION_BLOCK];
        for (int64_t i = 0; i < some; i++) most[i] = x[i], which[i] = 0;
        for (int64_t c = 1; c < a->classes; c++)
            for (int64_t i = 0; i < some; i++) {
                const real v = x[c * a->inner + i];
                const int better = v >= most[i] || most[i] != most[i];
                most[i] = better ? v : most[i];
                which[i] = better ? (real)c : which[i];
            }
        const size_t size = sizeof(real) * (size_t)some;
        if (a->indices) memcpy((real *)a->indices + image * a->image_step + start, which, size);
        if (a->values) memcpy((real *)a->values + image * a->image_step + start, most, size);
    }
}

KERNEL(arg_max) {
    ARGS(arg_max);
    const int64_t k = a->top_k;
    if (k == 1 && a->inner > 1) {
        for (int64_t image = 0; image < a->outer; image++) FN(best_side_by_side)(a, image);
        return;
    }
    PARALLEL_FOR(a->outer * a->classes * a->inner)
    for (int64_t at = 0; at < a->outer * a->inner; at++) {
        const int64_t image = at / a->inner, place = at % a->inner;
        real *value = workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)k);
        int64_t *index = workspace(WORKSPACE_PARTIAL, sizeof(int64_t) * (size_t)k);
        FN(best_of)((const real *)a->x + image * a->classes * a->inner + place, a->classes,
                    a->inner, k, value, index);
        for (int64_t i = 0; i < k; i++) {
            const int64_t to = image * a->image_step + i * a->inner + place;
            if (a->indices) ((real *)a->indices)[to] = (real)index[i];
            if (a->values) ((real *)a->values)[to] = value[i];
        }
    }
}
