/* Losses of scores against labels or targets. Sums run over blocks of a fixed size, added up in
 * order, so they do not depend on the team. A label of no class is told in `bad` and adds nothing. */

/* -(t log s(x) + (1 - t) log(1 - s(x))) = max(x, 0) - x t + log(1 + e^-|x|), s the sigmoid. */
INLINE real FN(sigmoid_loss_of)(real x, real target) {
    const real size = x < 0 ? -x : x;
    return (x > 0 ? x : 0) - x * target + FN(log1p_of)(FN(exp_of)(-size));
}

KERNEL(sigmoid_loss) {
    ARGS(sigmoid_loss);
    const real *x = a->x, *target = a->target, ignore = (real)a->ignore;
    const int64_t has_ignore = a->has_ignore, n = a->n, blocks = (n + EACH_BLOCK - 1) / EACH_BLOCK;
    double *sums = workspace(WORKSPACE_PARTIAL, sizeof(double) * 2 * (size_t)(blocks + 1));
    PARALLEL_FOR(n * 8)
    for (int64_t at = 0; at < blocks; at++) {
        const int64_t end = MIN(n, (at + 1) * EACH_BLOCK);
        real sum = 0, counted = 0;
        if (has_ignore) {
            PRAGMA(omp simd reduction(+ : sum, counted))
            for (int64_t i = at * EACH_BLOCK; i < end; i++) {
                const real counts = (real)(int32_t)target[i] == ignore ? 0 : 1;
                const real loss = FN(sigmoid_loss_of)(x[i], target[i]);
                sum += counts != 0 ? loss : 0;
                counted += counts;
            }
        } else {
            PRAGMA(omp simd reduction(+ : sum))
            for (int64_t i = at * EACH_BLOCK; i < end; i++)
                sum += FN(sigmoid_loss_of)(x[i], target[i]);
            counted = (real)(end - at * EACH_BLOCK);
        }
        sums[2 * at] = (double)sum;
        sums[2 * at + 1] = (double)counted;
    }
    double total = 0, counted = 0;
    for (int64_t at = 0; at < blocks; at++) {
        total += sums[2 * at];
        counted += sums[2 * at + 1];
    }
    const double divisor = FN(loss_divisor)(a->normalization, n, counted, a->outer);
    *(real *)a->loss = (real)(total / divisor);
    *(double *)a->normalizer = divisor;
    int64_t bad = -1;
    if (total != total) /* seldom: look for the target that is no number */
        for (int64_t i = n - 1; i >= 0; i--) bad = target[i] != target[i] ? i : bad;
    *(int64_t *)a->bad = bad;
}

KERNEL(sigmoid_loss_backward) {
    ARGS(sigmoid_loss_backward);
    const sigmoid_loss_args *l = &a->shape;
    const real *x = l->x, *target = l->target, ignore = (real)l->ignore;
    const int64_t has_ignore = l->has_ignore;
    const real scale = (real)((double)*(const real *)a->dy / *(const double *)l->normalizer);
    real *dx = a->dx;
    if (!has_ignore) {
        FOR_EACH(i, l->n, 4) dx[i] = scale * (FN(sigmoid_of)(x[i]) - target[i]);
        return;
    }
    FOR_EACH(i, l->n, 4) {
        const real d = scale * (FN(sigmoid_of)(x[i]) - target[i]);
        dx[i] = (real)(int32_t)target[i] == ignore ? 0 : d;
    }
}

/* max(x, 0), and NaN for NaN. */
INLINE real FN(above_zero)(real x) { return x < 0 ? 0 : x; }

/* One row: sum of max(0, 1 + x), or of its square. */
static real FN(margin_sum)(const real *x, int64_t classes, int squared) {
    real sum = 0;
    if (squared) {
        PRAGMA(omp simd reduction(+ : sum))
        for (int64_t c = 0; c < classes; c++)
            sum += FN(above_zero)(1 + x[c]) * FN(above_zero)(1 + x[c]);
        return sum;
    }
    PRAGMA(omp simd reduction(+ : sum))
    for (int64_t c = 0; c < classes; c++) sum += FN(above_zero)(1 + x[c]);
    return sum;
}

/* As if every class were wrong, then put right for the class that the label names. */
KERNEL(hinge_loss) {
    ARGS(hinge_loss);
    const real *x = a->x, *label = a->label;
    const int squared = a->squared != 0;
    double *sums = workspace(WORKSPACE_PARTIAL, sizeof(double) * (size_t)(a->rows + 1));
    PARALLEL_FOR(a->rows * a->classes)
    for (int64_t row = 0; row < a->rows; row++) {
        const real *scores = x + row * a->classes;
        const int64_t truth = FN(class_of)(label[row], a->classes, 0, 0);
        double sum = (double)FN(margin_sum)(scores, a->classes, squared);
        if (truth >= 0) {
            const double wrong = MAX(1 + (double)scores[truth], 0);
            const double right = MAX(1 - (double)scores[truth], 0);
            sum += squared ? right * right - wrong * wrong : right - wrong;
        }
        sums[row] = sum;
    }
    double total = 0;
    int64_t bad = -1;
    for (int64_t row = 0; row < a->rows; row++) total += sums[row];
    for (int64_t row = a->rows - 1; row >= 0; row--)
        bad = FN(class_of)(label[row], a->classes, 0, 0) < 0 ? row : bad;
    *(real *)a->loss = (real)(total / (double)MAX(1, a->rows));
    *(int64_t *)a->bad = bad;
}

KERNEL(hinge_loss_backward) {
    ARGS(hinge_loss_backward);
    const hinge_loss_args *l = &a->shape;
    const real *x = l->x, *label = l->label;
    const real scale = *(const real *)a->dy / (real)MAX(1, l->rows);
    const int squared = l->squared != 0;
    real *dx = a->dx;
    PARALLEL_FOR(l->rows * l->classes)
    for (int64_t row = 0; row < l->rows; row++) {
        const int64_t start = row * l->classes;
        SIMD
        for (int64_t i = start; i < start + l->classes; i++) {
            const real margin = FN(above_zero)(1 + x[i]);
            dx[i] = squared ? 2 * scale * margin : (margin > 0 ? scale : 0);
        }
        const int64_t truth = FN(class_of)(label[row], l->classes, 0, 0);
        if (truth < 0) continue;
        const real margin = FN(above_zero)(1 - x[start + truth]);
        dx[start + truth] = squared ? -2 * scale * margin : (margin > 0 ? -scale : 0);
    }
}

/* Caffe's floor under a probability whose logarithm is taken; NaN stays NaN. */
INLINE real FN(floored)(real p) { return p < (real)1e-20 ? (real)1e-20 : p; }

KERNEL(log_loss) {
    ARGS(log_loss);
    const real *p = a->probability, *label = a->label;
    double total = 0;
    int64_t bad = -1;
    for (int64_t row = 0; row < a->rows; row++) {
        const int64_t truth = FN(class_of)(label[row], a->classes, 0, 0);
        if (truth >= 0) {
            total -= log((double)FN(floored)(p[row * a->classes + truth]));
        } else if (bad < 0) {
            bad = row;
        }
    }
    *(real *)a->loss = (real)(total / (double)MAX(1, a->rows));
    *(int64_t *)a->bad = bad;
}

KERNEL(log_loss_backward) {
    ARGS(log_loss_backward);
    const log_loss_args *l = &a->shape;
    const real *p = l->probability, *label = l->label;
    const real scale = -*(const real *)a->dy / (real)MAX(1, l->rows);
    real *dx = a->dx;
    PARALLEL_FOR(l->rows * l->classes)
    for (int64_t row = 0; row < l->rows; row++) {
        memset(dx + row * l->classes, 0, sizeof(real) * (size_t)l->classes);
        const int64_t truth = FN(class_of)(label[row], l->classes, 0, 0);
        if (truth < 0) continue;
        const int64_t at = row * l->classes + truth;
        dx[at] = scale / FN(floored)(p[at]);
    }
}

/* log p of the probability that softmax gives x; p's greatest is one over the sum of e^(x - most),
 * so that one logarithm serves all classes of a position. */
INLINE real FN(log_softmax_of)(real x, real most, real log_greatest) {
    const real log_p = x - most + log_greatest, least = (real)-46.051701859880914; /* log 1e-20 */
    return log_p < least ? least : log_p;
}

/* Of `some` positions side by side: loss = -sum over classes of H[label, class] log p[class]. */
static double FN(infogain_block)(const real *x, const real *p, const real *gain,
                                 const int64_t *truth, int64_t classes, int64_t step,
                                 int64_t some) {
    real sum = 0;
    if (step == 1) {
        if (truth[0] < 0) return 0;
        const real *row = gain + truth[0] * classes, most = FN(greatest_of)(x, classes);
        const real log_greatest = FN(log_of)(FN(greatest_of)(p, classes));
        PRAGMA(omp simd reduction(+ : sum))
        for (int64_t c = 0; c < classes; c++)
            sum -= row[c] * FN(log_softmax_of)(x[c], most, log_greatest);
        return (double)sum;
    }
    real most[POSITION_BLOCK], log_greatest[POSITION_BLOCK];
    for (int64_t i = 0; i < some; i++) most[i] = x[i];
    for (int64_t i = 0; i < some; i++) log_greatest[i] = p[i];
    for (int64_t c = 1; c < classes; c++)
        for (int64_t i = 0; i < some; i++) {
            most[i] = MAX(x[c * step + i], most[i]);
            log_greatest[i] = MAX(p[c * step + i], log_greatest[i]);
        }
    SIMD
    for (int64_t i = 0; i < some; i++) log_greatest[i] = FN(log_of)(log_greatest[i]);
    for (int64_t c = 0; c < classes; c++)
        PRAGMA(omp simd reduction(+ : sum))
        for (int64_t i = 0; i < some; i++) {
            const real value = FN(log_softmax_of)(x[c * step + i], most[i], log_greatest[i]);
            sum -= truth[i] < 0 ? 0 : gain[MAX(truth[i], 0) * classes + c] * value;
        }
    return (double)sum;
}

KERNEL(infogain_loss) {
    ARGS(infogain_loss);
    const FN(sheaf) s = {a->outer, a->classes, a->inner};
    const int64_t blocks = a->outer * FN(position_blocks)(&s);
    const real *label = a->label, *gain = a->gain;
    real *gain_sums = a->gain_sums;
    for (int64_t row = 0; row < s.classes; row++)
        gain_sums[row] = FN(sum_run)(gain + row * s.classes, s.classes);
    FN(tally) *tallies = workspace(WORKSPACE_PARTIAL, sizeof(FN(tally)) * (size_t)(blocks + 1));
    PARALLEL_FOR(a->outer * a->classes * a->inner * 16)
    for (int64_t at = 0; at < blocks; at++) {
        int64_t some, start = FN(block_start)(&s, at, &some), truth[POSITION_BLOCK];
        const real *x = (const real *)a->x + start;
        real *probability = (real *)a->probability + start;
        FN(softmax_at)(&s, x, probability, some);
        const int64_t position = start / (s.classes * s.inner) * s.inner + start % s.inner;
        FN(tally) tally = {0, 0, -1};
        for (int64_t i = 0; i < some; i++) {
            truth[i] = FN(class_of)(label[position + i], s.classes, a->has_ignore, a->ignore);
            tally.counted += truth[i] >= 0;
            if (truth[i] == -2 && tally.bad < 0) tally.bad = position + i;
        }
        tally.loss = FN(infogain_block)(x, probability, gain, truth, s.classes, s.inner, some);
        tallies[at] = tally;
    }
    FN(tally) all = {0, 0, -1};
    for (int64_t at = 0; at < blocks; at++) {
        all.loss += tallies[at].loss;
        all.counted += tallies[at].counted;
        if (all.bad < 0) all.bad = tallies[at].bad;
    }
    const double divisor = FN(loss_divisor)(a->normalization, a->outer * a->inner,
                                            (double)all.counted, a->outer);
    *(real *)a->loss = (real)(all.loss / divisor);
    *(double *)a->normalizer = divisor;
    *(int64_t *)a->bad = all.bad;
}

KERNEL(infogain_loss_backward) {
    ARGS(infogain_loss_backward);
    const infogain_loss_args *l = &a->shape;
    const FN(sheaf) s = {l->outer, l->classes, l->inner};
    const real *label = l->label, *gain = l->gain, *gain_sums = l->gain_sums;
    const real scale = (real)((double)*(const real *)a->dy / *(const double *)l->normalizer);
    PARALLEL_FOR(l->outer * l->classes * l->inner * 4)
    for (int64_t at = 0; at < l->outer * FN(position_blocks)(&s); at++) {
        int64_t some, start = FN(block_start)(&s, at, &some), row[POSITION_BLOCK];
        const real *p = (const real *)l->probability + start;
        real *dx = (real *)a->dx + start, total[POSITION_BLOCK], weight[POSITION_BLOCK];
        const int64_t position = start / (s.classes * s.inner) * s.inner + start % s.inner;
        for (int64_t i = 0; i < some; i++) {
            const int64_t truth =
                FN(class_of)(label[position + i], s.classes, l->has_ignore, l->ignore);
            row[i] = MAX(truth, 0) * s.classes;
            total[i] = gain_sums[MAX(truth, 0)];
            weight[i] = truth < 0 ? 0 : scale;
        }
        if (s.inner == 1)
            SIMD
            for (int64_t c = 0; c < s.classes; c++)
                dx[c] = weight[0] * (p[c] * total[0] - gain[row[0] + c]);
        else
            for (int64_t c = 0; c < s.classes; c++)
                SIMD
                for (int64_t i = 0; i < some; i++)
                    dx[c * s.inner + i] =
                        weight[i] * (p[c * s.inner + i] * total[i] - gain[row[i] + c]);
    }
}
