/* Matching prior boxes with true boxes. Rows of truth: image, class, instance, box, difficult. */

INLINE int FN(is_used)(const multibox_args *a, const real *row) {
    return row[0] != -1 && (a->use_difficult || row[7] == 0);
}

/* Whether its class is one, and not the background. */
INLINE int FN(has_class)(const multibox_args *a, const real *row) {
    const int is_class = row[1] > -1 && (a->agnostic || row[1] < (real)a->classes);
    return is_class && (int64_t)row[1] != a->background;
}

INLINE int FN(is_truth)(const multibox_args *a, const real *row, int64_t image) {
    return row[0] == (real)image && FN(is_used)(a, row) && FN(has_class)(a, row);
}

KERNEL(judge_truths) {
    ARGS(judge_truths);
    const real *truth = a->shape.truth;
    int64_t bad = -1;
    for (int64_t r = a->shape.truths - 1; r >= 0; r--) {
        const real *row = truth + r * 8;
        if (!FN(is_used)(&a->shape, row)) continue;
        int known = FN(has_class)(&a->shape, row);
        for (int k = 0; k < 8; k++) known &= row[k] == row[k];
        if (!known) bad = r;
    }
    *(int64_t *)a->bad = bad;
}

/* The overlap of each of `count` true boxes with each prior, 0 where it is next to nothing. */
static void FN(overlaps_of_truths)(const multibox_args *a, const int64_t *rows, int64_t count,
                                   const real *boxes, int64_t step, real *overlaps) {
    for (int64_t t = 0; t < count; t++) {
        const real *box = (const real *)a->truth + rows[t] * 8 + 3, area = FN(box_area)(box, 0);
        for (int64_t p = 0; p < a->priors; p++) {
            const real *prior = boxes + p * step;
            const real both = FN(box_overlap)(prior, FN(box_area)(prior, 0), box, area, 0);
            overlaps[t * a->priors + p] = both > (real)1e-6 ? both : 0;
        }
    }
}

static int64_t FN(best_free_prior)(const real *overlaps, const int64_t *match, int64_t priors) {
    int64_t best = -1;
    for (int64_t p = 0; p < priors; p++)
        if (match[p] == -1 && overlaps[p] > (best < 0 ? 0 : overlaps[best])) best = p;
    return best;
}

/* One match per true box: the pair of the greatest overlap first (the first prior, then the first
 * box, of equals), until boxes or overlapping priors run out. */
static void FN(match_pairs)(const real *overlaps, const int64_t *rows, int64_t count,
                            int64_t priors, int64_t *best, int64_t *match) {
    for (int64_t t = 0; t < count; t++)
        best[t] = FN(best_free_prior)(overlaps + t * priors, match, priors);
    for (int64_t left = count; left > 0; left--) {
        int64_t first = -1;
        for (int64_t t = 0; t < count; t++) {
            if (best[t] < 0) continue;
            const real better = overlaps[t * priors + best[t]];
            const real good = first < 0 ? 0 : overlaps[first * priors + best[first]];
            if (better > good || (better == good && best[t] < best[first])) first = t;
        }
        if (first < 0) return;
        const int64_t taken = best[first];
        match[taken] = rows[first];
        best[first] = -1;
        for (int64_t t = 0; t < count; t++)
            if (best[t] == taken)
                best[t] = FN(best_free_prior)(overlaps + t * priors, match, priors);
    }
}

/* Matches for the true boxes of `label` (-1: all) in an image: match and the best overlaps. */
static void FN(match_image)(const multibox_args *a, int64_t image, int64_t label,
                            const real *boxes, int64_t step, int64_t *match, real *overlap) {
    const size_t each = sizeof(real) * (size_t)a->priors + 2 * sizeof(int64_t);
    int64_t *rows = workspace(WORKSPACE_PARTIAL, each * (size_t)(a->truths + 1));
    int64_t *best = rows + a->truths, count = 0;
    real *overlaps = (real *)(best + a->truths);
    for (int64_t r = 0; r < a->truths; r++) {
        const real *row = (const real *)a->truth + r * 8;
        if (FN(is_truth)(a, row, image) && (label < 0 || row[1] == (real)label)) rows[count++] = r;
    }
    for (int64_t p = 0; p < a->priors; p++) {
        match[p] = -1;
        overlap[p] = 0;
    }
    if (!count) return;
    FN(overlaps_of_truths)(a, rows, count, boxes, step, overlaps);
    for (int64_t p = 0; p < a->priors; p++) {
        const real *box = boxes + p * step;
        int outside = 0;
        for (int k = 0; k < 4; k++) outside |= box[k] < 0 || box[k] > 1;
        if (a->ignore_crossing && outside) {
            match[p] = -2;
            continue;
        }
        for (int64_t t = 0; t < count; t++)
            overlap[p] = MAX(overlap[p], overlaps[t * a->priors + p]);
    }
    FN(match_pairs)(overlaps, rows, count, a->priors, best, match);
    if (!a->per_prediction) return;
    for (int64_t p = 0; p < a->priors; p++) {
        if (match[p] != -1) continue;
        real most = 0;
        for (int64_t t = 0; t < count; t++) {
            const real both = overlaps[t * a->priors + p];
            if (both >= (real)a->overlap && both > most) {
                most = both;
                match[p] = rows[t];
            }
        }
    }
}

/* Without shared locations a match counts for the true box's class only. */
KERNEL(match_boxes) {
    ARGS(match_boxes);
    const multibox_args *m = &a->shape;
    const real *truth = m->truth;
    PARALLEL_FOR(m->images * m->priors * (m->truths + 4) * 8)
    for (int64_t image = 0; image < m->images; image++) {
        int64_t *match = (int64_t *)m->match + image * m->locations * m->priors;
        real *overlap = (real *)a->best_overlap + image * m->priors;
        const real *decoded = a->decoded;
        if (decoded) decoded += image * m->priors * m->locations * 4;
        for (int64_t c = 0; c < m->locations; c++)
            if (decoded)
                FN(match_image)(m, image, m->locations > 1 ? c : -1, decoded + c * 4,
                                m->locations * 4, match + c * m->priors, overlap);
            else if (c == 0) FN(match_image)(m, image, -1, m->prior, 4, match, overlap);
        for (int64_t c = m->locations - 1; c >= 0 && m->locations > 1; c--)
            for (int64_t p = 0; p < m->priors; p++) {
                const int64_t found = match[(decoded ? c * m->priors : 0) + p];
                const int fits =
                    found >= 0 && c != m->background && truth[found * 8 + 1] == (real)c;
                match[c * m->priors + p] = fits ? found : -1;
            }
    }
}
