/* Softmax over the middle axis of outer × classes × inner, the loss on it, and accuracy. Positions
 * (outer × inner) are taken in blocks of a fixed size, so sums over them do not depend on the team. */

#define POSITION_BLOCK 256

typedef struct { int64_t outer, classes, inner; } FN(sheaf);

INLINE int64_t FN(position_blocks)(const FN(sheaf) *s) {
    return (s->inner + POSITION_BLOCK - 1) / POSITION_BLOCK;
}

/* Where block `at` starts, and how many positions it has. */
INLINE int64_t FN(block_start)(const FN(sheaf) *s, int64_t at, int64_t *some) {
    const int64_t blocks = FN(position_blocks)(s), first = at % blocks * POSITION_BLOCK;
    *some = MIN(POSITION_BLOCK, s->inner - first);
    return at / blocks * s->classes * s->inner + first;
}

static real FN(greatest_of)(const real *x, int64_t n) {
    real most = x[0];
    int64_t i = 1;
    if (n >= 2 * LANES) {
        real lanes[LANES];
        memcpy(lanes, x, sizeof lanes);
        for (i = LANES; i + LANES <= n; i += LANES)
            for (int64_t lane = 0; lane < LANES; lane++)
                lanes[lane] = x[i + lane] > lanes[lane] ? x[i + lane] : lanes[lane];
        most = lanes[0];
        for (int64_t lane = 1; lane < LANES; lane++) most = MAX(most, lanes[lane]);
    }
    for (; i < n; i++) most = x[i] > most ? x[i] : most;
    return most;
}

/* One row of contiguous classes. */
static void FN(softmax_row)(const real *x, real *y, int64_t classes) {
    const real most = FN(greatest_of)(x, classes);
    SIMD
    for (int64_t c = 0; c < classes; c++) y[c] = FN(exp_of)(x[c] - most);
    const real scale = 1 / FN(sum_run)(y, classes);
    SIMD
    for (int64_t c = 0; c < classes; c++) y[c] *= scale;
}

/* `some` positions side by side, their classes `step` apart. */
static void FN(softmax_block)(const real *x, real *y, int64_t classes, int64_t step, int64_t some) {
    real most[POSITION_BLOCK], total[POSITION_BLOCK];
    for (int64_t i = 0; i < some; i++) most[i] = x[i];
    for (int64_t c = 1; c < classes; c++)
        for (int64_t i = 0; i < some; i++)
            most[i] = x[c * step + i] > most[i] ? x[c * step + i] : most[i];
    for (int64_t i = 0; i < some; i++) total[i] = 0;
    for (int64_t c = 0; c < classes; c++)
        SIMD
        for (int64_t i = 0; i < some; i++) {
            const real e = FN(exp_of)(x[c * step + i] - most[i]);
            y[c * step + i] = e;
            total[i] += e;
        }
    for (int64_t i = 0; i < some; i++) total[i] = 1 / total[i];
    for (int64_t c = 0; c < classes; c++)
        SIMD
        for (int64_t i = 0; i < some; i++) y[c * step + i] *= total[i];
}

INLINE void FN(softmax_at)(const FN(sheaf) *s, const real *x, real *y, int64_t some) {
    if (s->inner == 1)
        FN(softmax_row)(x, y, s->classes);
    else
        FN(softmax_block)(x, y, s->classes, s->inner, some);
}

KERNEL(softmax) {
    ARGS(softmax);
    const FN(sheaf) s = {a->outer, a->classes, a->inner};
    if (!s.classes) return;
    PARALLEL_FOR(a->outer * a->classes * a->inner * 8)
    for (int64_t at = 0; at < a->outer * FN(position_blocks)(&s); at++) {
        int64_t some, start = FN(block_start)(&s, at, &some);
        FN(softmax_at)(&s, (const real *)a->x + start, (real *)a->y + start, some);
    }
}

/* dx = y (dy - sum over classes of dy y). */
KERNEL(softmax_backward) {
    ARGS(softmax_backward);
    const FN(sheaf) s = {a->outer, a->classes, a->inner};
    PARALLEL_FOR(a->outer * a->classes * a->inner * 4)
    for (int64_t at = 0; at < a->outer * FN(position_blocks)(&s); at++) {
        int64_t some, start = FN(block_start)(&s, at, &some);
        const real *y = (const real *)a->y + start, *dy = (const real *)a->dy + start;
        real *dx = (real *)a->dx + start;
        real along[POSITION_BLOCK];
        for (int64_t i = 0; i < some; i++) along[i] = 0;
        if (s.inner == 1) {
            real total = 0;
            PRAGMA(omp simd reduction(+ : total))
            for (int64_t c = 0; c < s.classes; c++) total += dy[c] * y[c];
            SIMD
            for (int64_t c = 0; c < s.classes; c++) dx[c] = y[c] * (dy[c] - total);
            continue;
        }
        for (int64_t c = 0; c < s.classes; c++)
            SIMD
            for (int64_t i = 0; i < some; i++) along[i] += dy[c * s.inner + i] * y[c * s.inner + i];
        for (int64_t c = 0; c < s.classes; c++)
            SIMD
            for (int64_t i = 0; i < some; i++)
                dx[c * s.inner + i] = y[c * s.inner + i] * (dy[c * s.inner + i] - along[i]);
    }
}

/* The class that a label names: -1 if it is to be ignored, -2 if there is none such. */
INLINE int64_t FN(class_of)(real label, int64_t classes, int64_t has_ignore, int64_t ignore) {
    if (!(label > -9e15 && label < 9e15)) return -2;
    const int64_t whole = (int64_t)label;
    if (has_ignore && whole == ignore) return -1;
    return whole >= 0 && whole < classes ? whole : -2;
}

/* The divisor that loss_param asks for: over positions, counted ones, or `outer`. */
INLINE double FN(loss_divisor)(int64_t mode, int64_t positions, double counted, int64_t outer) {
    double divisor = 1;
    if (mode == LOSS_FULL) divisor = (double)positions;
    if (mode == LOSS_VALID) divisor = counted;
    if (mode == LOSS_BATCH_SIZE) divisor = (double)outer;
    return MAX(1, divisor);
}

typedef struct { double loss; int64_t counted, bad; } FN(tally);

KERNEL(softmax_loss) {
    ARGS(softmax_loss);
    const FN(sheaf) s = {a->outer, a->classes, a->inner};
    const int64_t blocks = a->outer * FN(position_blocks)(&s);
    const real *label = a->label, *weight = a->class_weight;
    FN(tally) *tallies = workspace(WORKSPACE_PARTIAL, sizeof(FN(tally)) * (size_t)blocks);
    PARALLEL_FOR(a->outer * a->classes * a->inner * 8)
    for (int64_t at = 0; at < blocks; at++) {
        int64_t some, start = FN(block_start)(&s, at, &some);
        real *probability = (real *)a->probability + start;
        FN(softmax_at)(&s, (const real *)a->x + start, probability, some);
        FN(tally) tally = {0, 0, -1};
        const int64_t position = start / (s.classes * s.inner) * s.inner + start % s.inner;
        real own[POSITION_BLOCK], share[POSITION_BLOCK];
        for (int64_t i = 0; i < some; i++) {
            const int64_t truth =
                FN(class_of)(label[position + i], s.classes, a->has_ignore, a->ignore);
            const real p = truth < 0 ? 1 : probability[truth * s.inner + i];
            own[i] = p < (real)FLT_MIN ? (real)FLT_MIN : p; /* NaN stays NaN */
            share[i] = truth < 0 ? 0 : weight ? weight[truth] : 1;
            tally.counted += truth >= 0;
            if (truth == -2 && tally.bad < 0) tally.bad = position + i;
        }
        SIMD
        for (int64_t i = 0; i < some; i++) own[i] = FN(log_of)(own[i]);
        for (int64_t i = 0; i < some; i++) tally.loss -= (double)share[i] * (double)own[i];
        tallies[at] = tally;
    }
    FN(tally) all = {0, 0, -1};
    for (int64_t at = 0; at < blocks; at++) {
        all.loss += tallies[at].loss;
        all.counted += tallies[at].counted;
        if (all.bad < 0) all.bad = tallies[at].bad;
    }
    const double normalizer =
        FN(loss_divisor)(a->normalization, a->outer * a->inner, (double)all.counted, a->outer);
    *(real *)a->loss = (real)(all.loss / normalizer);
    *(double *)a->normalizer = normalizer;
    *(int64_t *)a->bad = all.bad;
}

/* dx = (probability - [class is the label]) dy / normalizer; 0 where the label is ignored. */
KERNEL(softmax_loss_backward) {
    ARGS(softmax_loss_backward);
    const softmax_loss_args *l = &a->shape;
    const FN(sheaf) s = {l->outer, l->classes, l->inner};
    const real *label = l->label, *weight = l->class_weight;
    const real scale = (real)((double)*(const real *)a->dy / *(const double *)l->normalizer);
    PARALLEL_FOR(l->outer * l->classes * l->inner * 2)
    for (int64_t at = 0; at < l->outer * FN(position_blocks)(&s); at++) {
        int64_t some, start = FN(block_start)(&s, at, &some);
        const real *probability = (const real *)l->probability + start;
        real *dx = (real *)a->dx + start;
        const int64_t position = start / (s.classes * s.inner) * s.inner + start % s.inner;
        const int64_t run = s.inner == 1 ? s.classes : some;
        for (int64_t c = 0; c < (s.inner == 1 ? 1 : s.classes); c++)
            SIMD
            for (int64_t i = 0; i < run; i++)
                dx[c * s.inner + i] = probability[c * s.inner + i] * scale;
        for (int64_t i = 0; i < some; i++) {
            const int64_t truth =
                FN(class_of)(label[position + i], s.classes, l->has_ignore, l->ignore);
            if (truth >= 0) dx[truth * s.inner + i] -= scale;
            if (truth < 0)
                for (int64_t c = 0; c < s.classes; c++) dx[c * s.inner + i] = 0;
            else if (weight)
                for (int64_t c = 0; c < s.classes; c++) dx[c * s.inner + i] *= weight[truth];
        }
    }
}

#define VERDICT_IGNORED 0
#define VERDICT_WRONG 1
#define VERDICT_RIGHT 2
#define VERDICT_BAD 3

/* Right where fewer than top_k other classes have a score that is not below the label's. */
KERNEL(accuracy) {
    ARGS(accuracy);
    const FN(sheaf) s = {a->outer, a->classes, a->inner};
    const real *label = a->label;
    const int64_t positions = a->outer * a->inner;
    uint8_t *verdicts = workspace(WORKSPACE_PARTIAL, (size_t)positions + 1);
    PARALLEL_FOR(a->outer * a->classes * a->inner)
    for (int64_t at = 0; at < a->outer * FN(position_blocks)(&s); at++) {
        int64_t some, start = FN(block_start)(&s, at, &some);
        const real *x = (const real *)a->x + start;
        const int64_t position = start / (s.classes * s.inner) * s.inner + start % s.inner;
        real score[POSITION_BLOCK];
        int32_t better[POSITION_BLOCK];
        for (int64_t i = 0; i < some; i++) {
            const int64_t truth =
                FN(class_of)(label[position + i], s.classes, a->has_ignore, a->ignore);
            verdicts[position + i] = truth == -1 ? VERDICT_IGNORED : truth < 0 ? VERDICT_BAD : VERDICT_WRONG;
            score[i] = x[MAX(truth, 0) * s.inner + i];
            better[i] = -1; /* the label's own class */
        }
        if (s.inner == 1) {
            int32_t count = -1;
            const real own = score[0];
            PRAGMA(omp simd reduction(+ : count))
            for (int64_t c = 0; c < s.classes; c++) count += !(x[c] < own);
            better[0] = count;
        } else {
            for (int64_t c = 0; c < s.classes; c++)
                SIMD
                for (int64_t i = 0; i < some; i++) better[i] += !(x[c * s.inner + i] < score[i]);
        }
        for (int64_t i = 0; i < some; i++)
            if (verdicts[position + i] == VERDICT_WRONG && better[i] < a->top_k)
                verdicts[position + i] = VERDICT_RIGHT;
    }
    int64_t counted = 0, right = 0, bad = -1;
    real *class_right = a->per_class, *class_counted = a->per_class_counts;
    if (class_right)
        for (int64_t c = 0; c < s.classes; c++) class_right[c] = class_counted[c] = 0;
    for (int64_t i = 0; i < positions; i++) {
        if (verdicts[i] == VERDICT_BAD && bad < 0) bad = i;
        if (verdicts[i] != VERDICT_WRONG && verdicts[i] != VERDICT_RIGHT) continue;
        counted++;
        right += verdicts[i] == VERDICT_RIGHT;
        if (!class_right) continue;
        class_counted[(int64_t)label[i]]++;
        class_right[(int64_t)label[i]] += verdicts[i] == VERDICT_RIGHT;
    }
    *(real *)a->accuracy = counted ? (real)((double)right / (double)counted) : 0;
    if (class_right)
        for (int64_t c = 0; c < s.classes; c++)
            class_right[c] = class_counted[c] > 0 ? class_right[c] / class_counted[c] : 0;
    *(int64_t *)a->bad = bad;
}
