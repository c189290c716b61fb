/* Losses of the distance between two blobs. */

/* Whether a mark, taken without its fraction, is not 0. */
INLINE int FN(is_similar)(real mark) { return mark >= 1 || mark <= -1; }

/* d² of each row, and its share of the loss. */
KERNEL(contrastive_loss) {
    ARGS(contrastive_loss);
    const real *x = a->a, *y = a->b, *similar = a->similar;
    real *squares = a->squares;
    PARALLEL_FOR(a->rows * a->size)
    for (int64_t row = 0; row < a->rows; row++) {
        real sum = 0;
        PRAGMA(omp simd reduction(+ : sum))
        for (int64_t i = row * a->size; i < (row + 1) * a->size; i++)
            sum += (x[i] - y[i]) * (x[i] - y[i]);
        squares[row] = sum;
    }
    double total = 0;
    int64_t bad = -1;
    for (int64_t row = a->rows - 1; row >= 0; row--)
        if (similar[row] != similar[row]) bad = row;
    *(int64_t *)a->bad = bad;
    for (int64_t row = 0; row < a->rows; row++) {
        const double square = (double)squares[row];
        const double short_by = a->margin - (a->legacy ? square : sqrt(square));
        const double apart = short_by < 0 ? 0 : short_by;
        total += FN(is_similar)(similar[row]) ? square : a->legacy ? apart : apart * apart;
    }
    *(real *)a->loss = (real)(total / 2 / (double)MAX(1, a->rows));
}

/* Similar: x - y. Not: -(margin - d) (x - y) / (d + 1e-4), as Caffe keeps off 0; legacy -(x - y);
 * 0 beyond the margin. */
KERNEL(contrastive_loss_backward) {
    ARGS(contrastive_loss_backward);
    const contrastive_loss_args *l = &a->shape;
    const real *x = l->a, *y = l->b, *similar = l->similar, *squares = l->squares;
    const double scale = a->sign * (double)*(const real *)a->dy / (double)MAX(1, l->rows);
    real *dx = a->dx;
    PARALLEL_FOR(l->rows * l->size)
    for (int64_t row = 0; row < l->rows; row++) {
        const double square = (double)squares[row], d = sqrt(square);
        const double short_by = l->margin - (l->legacy ? square : d);
        double factor = scale;
        if (!FN(is_similar)(similar[row]))
            factor = short_by > 0 ? (l->legacy ? -scale : -scale * short_by / (d + 1e-4)) : 0;
        const real by = (real)factor;
        SIMD
        for (int64_t i = row * l->size; i < (row + 1) * l->size; i++) dx[i] = by * (x[i] - y[i]);
    }
}

INLINE real FN(apart)(const real *x, const real *y, int64_t i) {
    return y ? x[i] - y[i] : x[i];
}

/* weight · sum of d² over channels, for `some` positions side by side from `start` on. */
static void FN(squares_at)(const l1_loss_args *l, int64_t start, int64_t some, real *squares,
                           real *numbers) {
    const real weight = (real)l->weight;
    for (int64_t i = 0; i < some; i++) squares[i] = numbers[i] = 0;
    for (int64_t c = 0; c < l->channels; c++)
        SIMD
        for (int64_t i = 0; i < some; i++) {
            const real d = FN(apart)(l->a, l->b, start + c * l->inner + i);
            squares[i] += d == d ? d * d : 0;
            numbers[i] += d == d ? 1 : 0;
        }
    for (int64_t i = 0; i < some; i++) squares[i] *= weight;
}

static void FN(l1_per_location)(const l1_loss_args *l, double *total, double *entries) {
    const FN(sheaf) s = {l->outer, l->channels, l->inner};
    const int64_t blocks = l->outer * FN(position_blocks)(&s);
    const real plateau = (real)(l->plateau * l->plateau), epsilon = (real)l->epsilon;
    double *sums = workspace(WORKSPACE_PARTIAL, sizeof(double) * 2 * (size_t)(blocks + 1));
    PARALLEL_FOR(l->outer * l->channels * l->inner)
    for (int64_t at = 0; at < blocks; at++) {
        int64_t some, start = FN(block_start)(&s, at, &some);
        real squares[POSITION_BLOCK], numbers[POSITION_BLOCK], sum = 0, counted = 0;
        FN(squares_at)(l, start, some, squares, numbers);
        for (int64_t i = 0; i < some; i++) {
            sum += (real)sqrt((double)((squares[i] < plateau ? 0 : squares[i]) + epsilon));
            counted += numbers[i];
        }
        sums[2 * at] = (double)sum;
        sums[2 * at + 1] = (double)counted;
    }
    for (int64_t at = 0; at < blocks; at++) {
        *total += sums[2 * at];
        *entries += sums[2 * at + 1];
    }
}

/* The sum of sizes and the number of numbers. */
INLINE void FN(l1_block)(const real *x, const real *y, int64_t n, real plateau, double *sums) {
    real sum = 0, counted = 0;
    PRAGMA(omp simd reduction(+ : sum, counted))
    for (int64_t i = 0; i < n; i++) {
        const real d = FN(apart)(x, y, i), size = d < 0 ? -d : d;
        sum += size >= plateau ? size : 0; /* NaN is not */
        counted += d == d ? (real)1 : (real)0;
    }
    sums[0] = (double)sum;
    sums[1] = (double)counted;
}

static void FN(l1_per_entry)(const l1_loss_args *l, double *total, double *entries) {
    const int64_t n = l->outer * l->channels * l->inner, blocks = (n + EACH_BLOCK - 1) / EACH_BLOCK;
    const real plateau = (real)l->plateau;
    double *sums = workspace(WORKSPACE_PARTIAL, sizeof(double) * 2 * (size_t)(blocks + 1));
    PARALLEL_FOR(n)
    for (int64_t at = 0; at < blocks; at++) {
        const int64_t start = at * EACH_BLOCK, some = MIN(n - start, EACH_BLOCK);
        const real *x = (const real *)l->a + start;
        const real *y = l->b ? (const real *)l->b + start : NULL;
        if (y)
            FN(l1_block)(x, y, some, plateau, sums + 2 * at);
        else
            FN(l1_block)(x, NULL, some, plateau, sums + 2 * at);
    }
    for (int64_t at = 0; at < blocks; at++) {
        *total += sums[2 * at];
        *entries += sums[2 * at + 1];
    }
}

KERNEL(l1_loss) {
    ARGS(l1_loss);
    double total = 0, entries = 0;
    if (a->per_location)
        FN(l1_per_location)(a, &total, &entries);
    else
        FN(l1_per_entry)(a, &total, &entries);
    double divisor = a->by_entries ? entries / (double)MAX(1, a->channels) : (double)a->outer;
    divisor = divisor > 0 ? divisor : 1;
    *(real *)a->loss = (real)(total / divisor);
    *(double *)a->normalizer = divisor;
}

/* dx = weight d / √(weight · sum d² + epsilon) per location, else the sign of d. */
KERNEL(l1_loss_backward) {
    ARGS(l1_loss_backward);
    const l1_loss_args *l = &a->shape;
    const real scale =
        (real)(a->sign * (double)*(const real *)a->dy / *(const double *)l->normalizer);
    real *dx = a->dx;
    if (!l->per_location) {
        const real plateau = (real)l->plateau;
        FOR_EACH(i, l->outer * l->channels * l->inner, 1) {
            const real d = FN(apart)(l->a, l->b, i);
            dx[i] = (d > 0 ? d : -d) >= plateau ? (d > 0 ? scale : d < 0 ? -scale : 0) : 0;
        }
        return;
    }
    const FN(sheaf) s = {l->outer, l->channels, l->inner};
    const real plateau = (real)(l->plateau * l->plateau), epsilon = (real)l->epsilon;
    const real weight = (real)l->weight;
    PARALLEL_FOR(l->outer * l->channels * l->inner)
    for (int64_t at = 0; at < l->outer * FN(position_blocks)(&s); at++) {
        int64_t some, start = FN(block_start)(&s, at, &some);
        real squares[POSITION_BLOCK], by[POSITION_BLOCK];
        FN(squares_at)(l, start, some, squares, by);
        for (int64_t i = 0; i < some; i++)
            by[i] = squares[i] < plateau || squares[i] + epsilon == 0
                        ? 0
                        : scale * weight / (real)sqrt((double)(squares[i] + epsilon));
        for (int64_t c = 0; c < l->channels; c++)
            SIMD
            for (int64_t i = 0; i < some; i++) {
                const int64_t j = start + c * l->inner + i;
                const real d = FN(apart)(l->a, l->b, j);
                dx[j] = d == d ? by[i] * d : 0;
            }
    }
}
