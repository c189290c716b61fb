/* Boxes: xmin, ymin, xmax, ymax. `extra` is 1 where xmax and ymax are the last pixel inside, and 0
 * where they are the border. */

INLINE real FN(box_area)(const real *b, real extra) {
    if (!(b[2] >= b[0] && b[3] >= b[1])) return 0;
    return (b[2] - b[0] + extra) * (b[3] - b[1] + extra);
}

/* Intersection over union of two boxes of known areas. */
INLINE real FN(box_overlap)(const real *a, real a_area, const real *b, real b_area, real extra) {
    const real width = MIN(a[2], b[2]) - MAX(a[0], b[0]) + extra;
    const real height = MIN(a[3], b[3]) - MAX(a[1], b[1]) + extra;
    if (!(width > 0 && height > 0)) return 0;
    const real common = width * height;
    return common / (a_area + b_area - common);
}

/* What an offset is measured in: the prior's size for centres and sized corners, times its variance
 * unless that is in the target. */
typedef struct { real unit[4], variance[4]; } FN(box_scale);

static FN(box_scale) FN(box_scale_of)(const real *prior, const real *variance,
                                      const box_code *code) {
    const real width = prior[2] - prior[0], height = prior[3] - prior[1];
    FN(box_scale) scale;
    for (int k = 0; k < 4; k++) {
        scale.unit[k] = code->kind == BOX_CORNER ? 1 : k % 2 ? height : width;
        scale.variance[k] = code->in_target ? 1 : variance[k];
    }
    return scale;
}

static void FN(decode_box)(const real *offset, const real *prior, const real *variance,
                           const box_code *code, real *box) {
    const FN(box_scale) s = FN(box_scale_of)(prior, variance, code);
    if (code->kind != BOX_CENTER_SIZE) {
        for (int k = 0; k < 4; k++) box[k] = prior[k] + s.variance[k] * offset[k] * s.unit[k];
        return;
    }
    for (int k = 0; k < 2; k++) {
        const real centre =
            s.variance[k] * offset[k] * s.unit[k] + (prior[k] + prior[k + 2]) / 2;
        const real size = FN(exp_of)(s.variance[k + 2] * offset[k + 2]) * s.unit[k];
        box[k] = centre - size / 2;
        box[k + 2] = centre + size / 2;
    }
}

static void FN(encode_box)(const real *box, const real *prior, const real *variance,
                           const box_code *code, real *offset) {
    const FN(box_scale) s = FN(box_scale_of)(prior, variance, code);
    if (code->kind != BOX_CENTER_SIZE) {
        for (int k = 0; k < 4; k++) offset[k] = (box[k] - prior[k]) / s.unit[k] / s.variance[k];
        return;
    }
    for (int k = 0; k < 2; k++) {
        const real between = (box[k] + box[k + 2]) / 2 - (prior[k] + prior[k + 2]) / 2;
        offset[k] = between / s.unit[k] / s.variance[k];
        offset[k + 2] = FN(log_of)((box[k + 2] - box[k]) / s.unit[k]) / s.variance[k + 2];
    }
}

KERNEL(decode_boxes) {
    ARGS(decode_boxes);
    const real *offsets = a->offsets, *priors = a->priors;
    real *boxes = a->boxes;
    PARALLEL_FOR(a->images * a->count * a->locations * 32)
    for (int64_t at = 0; at < a->images * a->count; at++) {
        const real *prior = priors + at % a->count * 4, *variance = prior + a->count * 4;
        for (int64_t i = at * a->locations; i < (at + 1) * a->locations; i++)
            FN(decode_box)(offsets + i * 4, prior, variance, &a->code, boxes + i * 4);
    }
}

KERNEL(encode_boxes) {
    ARGS(encode_boxes);
    const real *boxes = a->boxes, *priors = a->priors;
    real *offsets = a->offsets;
    for (int64_t i = 0; i < a->count; i++) {
        const real *prior = priors + i * 4, *variance = prior + a->count * 4;
        FN(encode_box)(boxes + i * 4, prior, variance, &a->code, offsets + i * 4);
    }
}

KERNEL(box_overlaps) {
    ARGS(box_overlaps);
    const real *x = a->a, *y = a->b, extra = (real)a->extra;
    real *overlaps = a->overlaps;
    PARALLEL_FOR(a->a_count * a->b_count * 8)
    for (int64_t i = 0; i < a->a_count; i++) {
        const real area = FN(box_area)(x + i * 4, extra);
        for (int64_t j = 0; j < a->b_count; j++)
            overlaps[i * a->b_count + j] = FN(box_overlap)(
                x + i * 4, area, y + j * 4, FN(box_area)(y + j * 4, extra), extra);
    }
}

/* ---- the best first ---------------------------------------------------------------------- */

typedef struct { real score; int64_t index; } FN(scored);

INLINE int FN(is_better)(FN(scored) a, FN(scored) b) {
    return a.score > b.score || (a.score == b.score && a.index < b.index);
}

/* Sorts by falling score, equals by their indices; the result is in one of the two, which is
 * returned. Merging runs of 1, 2, 4, ...: n log n whatever the order. */
static FN(scored) *FN(best_first)(FN(scored) *items, FN(scored) *spare, int64_t n) {
    for (int64_t run = 1; run < n; run *= 2) {
        for (int64_t start = 0; start < n; start += 2 * run) {
            const int64_t middle = MIN(start + run, n), end = MIN(start + 2 * run, n);
            int64_t left = start, right = middle;
            for (int64_t i = start; i < end; i++)
                spare[i] = right == end || (left < middle && FN(is_better)(items[left], items[right]))
                               ? items[left++]
                               : items[right++];
        }
        FN(scored) *swap = items;
        items = spare;
        spare = swap;
    }
    return items;
}

/* Moves the `most` best of n items to the front, in any order: quickselect. */
static void FN(best_to_front)(FN(scored) *items, int64_t n, int64_t most) {
    int64_t low = 0, high = n - 1;
    while (low < high) {
        const FN(scored) pivot = items[low + (high - low) / 2];
        int64_t left = low, right = high;
        while (left <= right) {
            while (FN(is_better)(items[left], pivot)) left++;
            while (FN(is_better)(pivot, items[right])) right--;
            if (left > right) break;
            const FN(scored) swap = items[left];
            items[left++] = items[right];
            items[right--] = swap;
        }
        if (most <= right) high = right;
        else if (most >= left) low = left;
        else return;
    }
}

/* What suppression needs of a thread's memory, for n candidates. */
typedef struct { FN(scored) *items, *spare; real *boxes; } FN(nms_space);

static FN(nms_space) FN(nms_space_for)(int64_t n) {
    const size_t each = 2 * sizeof(FN(scored)) + 5 * sizeof(real);
    FN(nms_space) space;
    space.items = workspace(WORKSPACE_PARTIAL, each * (size_t)(n + 1));
    space.spare = space.items + n;
    space.boxes = (real *)(space.spare + n);
    return space;
}

/* Non-maximum suppression of n boxes, `step` apart, by their scores, `score_step` apart: those
 * above the least score, the best first, are kept unless they overlap a kept one by more than the
 * limit, which shrinks by eta at each one kept while it is above 1/2. Returns how many are kept. */
static int64_t FN(suppress)(const real *boxes, int64_t step, const real *scores, int64_t score_step,
                            int64_t n, const nms_rule *rule, int64_t *kept) {
    const FN(nms_space) space = FN(nms_space_for)(n);
    const real least = (real)rule->least_score, extra = (real)rule->extra;
    int64_t candidates = 0;
    for (int64_t i = 0; i < n; i++) {
        const real score = scores[i * score_step];
        if (score > least) space.items[candidates++] = (FN(scored)){score, i};
    }
    if (rule->top_k >= 0 && rule->top_k < candidates) {
        FN(best_to_front)(space.items, candidates, rule->top_k);
        candidates = rule->top_k;
    }
    const FN(scored) *best = FN(best_first)(space.items, space.spare, candidates);
    const int64_t most = rule->keep >= 0 ? rule->keep : n;
    real limit = (real)rule->overlap;
    int64_t count = 0;
    for (int64_t i = 0; i < candidates && count < most; i++) {
        const real *box = boxes + best[i].index * step;
        const real area = FN(box_area)(box, extra);
        if (area < (real)rule->least_area) continue;
        int64_t k = 0;
        while (k < count && FN(box_overlap)(box, area, space.boxes + k * 5, space.boxes[k * 5 + 4],
                                            extra) <= limit)
            k++;
        if (k < count) continue;
        memcpy(space.boxes + count * 5, box, 4 * sizeof(real));
        space.boxes[count * 5 + 4] = area;
        kept[count++] = best[i].index;
        if (rule->eta < 1 && limit > (real)0.5) limit *= (real)rule->eta;
    }
    return count;
}

KERNEL(suppress_boxes) {
    ARGS(suppress_boxes);
    *(int64_t *)a->count = FN(suppress)(a->boxes, 4, a->scores, 1, a->n, &a->rule, a->kept);
}
