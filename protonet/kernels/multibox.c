/* SSD's loss over matched and mined prior boxes. */

/* ---- mining ------------------------------------------------------------------------------ */

/* The class that a matched prior shall have. */
INLINE int64_t FN(truth_class)(const multibox_args *a, int64_t found) {
    return a->agnostic ? a->background + 1 : (int64_t)((const real *)a->truth)[found * 8 + 1];
}

/* The class that prior p shall have, by its match at the last location class that has one. */
static int64_t FN(wanted_class)(const multibox_args *a, const int64_t *match, int64_t p) {
    int64_t wanted = a->background;
    for (int64_t c = 0; c < a->locations; c++)
        if (match[c * a->priors + p] >= 0) wanted = FN(truth_class)(a, match[c * a->priors + p]);
    return wanted;
}

/* How far the offsets of a matched prior are from those of its true box, in what the loss sees, and
 * the derivative of that: 0 at corners outside the image with inside_only. */
static void FN(location_error)(const multibox_args *a, const real *offset, int64_t p,
                               int64_t found, real *error, real *slope) {
    const real *prior = (const real *)a->prior + p * 4, *variance = prior + a->priors * 4;
    real box[4], target[4];
    FN(encode_box)((const real *)a->truth + found * 8 + 3, prior, variance, &a->code, target);
    memcpy(box, prior, sizeof box);
    if (a->inside_only && a->match_decoded) FN(decode_box)(offset, prior, variance, &a->code, box);
    for (int k = 0; k < 4; k++) {
        const int outside = a->inside_only && (box[k] < 0 || box[k] > 1);
        slope[k] = outside ? 0 : a->code.in_target ? 1 / variance[k] : 1;
        error[k] = outside ? 0 : (offset[k] - target[k]) * slope[k];
    }
}

static real FN(location_loss)(const multibox_args *a, const real *offset, int64_t p,
                              int64_t found) {
    real error[4], slope[4], loss = 0;
    FN(location_error)(a, offset, p, found, error, slope);
    for (int k = 0; k < 4; k++)
        loss += a->smooth ? FN(smooth_l1)(error[k], 1) : (real)0.5 * error[k] * error[k];
    return loss;
}

/* -log softmax(x)[wanted], at most -log of the smallest normal number. */
static real FN(class_loss_softmax)(const real *x, int64_t classes, int64_t wanted) {
    real most = x[0], sum = 0;
    for (int64_t c = 1; c < classes; c++) most = MAX(most, x[c]);
    PRAGMA(omp simd reduction(+ : sum))
    for (int64_t c = 0; c < classes; c++) sum += FN(exp_of)(x[c] - most);
    return -FN(log_of)(MAX(FN(exp_of)(x[wanted] - most) / sum, REAL_MIN));
}

/* Cross-entropy of sigmoid(x) and a target of 0 or 1. */
INLINE real FN(class_loss_logistic)(real x, int target) {
    return MAX(x, 0) - x * (real)target + FN(log1p_of)(FN(exp_of)(-(real)fabs(x)));
}

/* What class c of prior p is trained towards by the logistic loss. */
INLINE int FN(logistic_target)(const multibox_args *a, const int64_t *match, int is_negative,
                               int64_t p, int64_t c) {
    if (is_negative) return c == a->background;
    for (int64_t place = 0; place < a->locations; place++) {
        const int64_t found = match[place * a->priors + p];
        if (found >= 0 && FN(truth_class)(a, found) == c) return 1;
    }
    return 0;
}

static real FN(class_loss)(const multibox_args *a, const int64_t *match, int is_negative,
                           const real *x, int64_t p) {
    if (!a->logistic)
        return FN(class_loss_softmax)(x, a->classes, FN(wanted_class)(a, match, p));
    real loss = 0;
    for (int64_t c = 0; c < a->classes; c++)
        loss += FN(class_loss_logistic)(x[c], FN(logistic_target)(a, match, is_negative, p, c));
    return loss;
}

/* Marks the negatives that take part; hard-example mining also drops matches. One image; `loss`,
 * `boxes` and `picked` are scratch of a number, 4 numbers and an index for each prior. */
static void FN(mine_image)(const mine_examples_args *a, int64_t image, real *loss, real *boxes,
                           int64_t *index, int64_t *picked) {
    const multibox_args *m = &a->shape;
    int64_t *match = (int64_t *)m->match + image * m->priors;
    uint8_t *negative = (uint8_t *)m->negative + image * m->priors;
    const real *overlap = (const real *)a->best_overlap + image * m->priors;
    const real *scores = (const real *)m->scores + image * m->priors * m->classes;
    const real *offsets = (const real *)m->offsets + image * m->priors * 4;
    int64_t eligible = 0, matched = 0, truths = 0;
    memset(negative, 0, (size_t)m->priors);
    for (int64_t r = 0; r < m->truths; r++)
        truths += FN(is_truth)(m, (const real *)m->truth + r * 8, image);
    if (!truths) return;
    for (int64_t p = 0; p < m->priors; p++) {
        matched += match[p] >= 0;
        if (!a->hard_examples && !(match[p] == -1 && overlap[p] < (real)a->negative_overlap))
            continue;
        loss[eligible] = FN(class_loss)(m, match, match[p] < 0, scores + p * m->classes, p);
        if (a->hard_examples && match[p] >= 0)
            loss[eligible] += FN(location_loss)(m, offsets + p * 4, p, match[p]);
        index[eligible++] = p;
    }
    int64_t most = a->hard_examples ? a->sample_size
                                    : (int64_t)((real)matched * (real)a->negatives_per_match);
    nms_rule rule = a->rule;
    for (int64_t i = 0; i < eligible && a->suppress; i++) {
        const real *prior = (const real *)m->prior + index[i] * 4;
        if (a->suppress_priors) memcpy(boxes + i * 4, prior, 4 * sizeof(real));
        else
            FN(decode_box)(offsets + index[i] * 4, prior, prior + m->priors * 4, &m->code,
                           boxes + i * 4);
    }
    if (a->suppress) {
        const int64_t left = FN(suppress)(boxes, 4, loss, 1, eligible, &rule, picked);
        most = MIN(most, left);
    } else {
        const FN(nms_space) space = FN(nms_space_for)(eligible);
        for (int64_t i = 0; i < eligible; i++) space.items[i] = (FN(scored)){loss[i], i};
        most = MIN(most, eligible);
        FN(best_to_front)(space.items, eligible, most);
        for (int64_t i = 0; i < most; i++) picked[i] = space.items[i].index;
    }
    for (int64_t i = 0; i < most; i++) negative[index[picked[i]]] = 1;
    for (int64_t p = 0; p < m->priors; p++)
        if (match[p] >= 0) {
            if (a->hard_examples && !negative[p]) match[p] = -1;
            negative[p] = 0;
        } else if (match[p] == -2) negative[p] = 0;
}

KERNEL(mine_examples) {
    ARGS(mine_examples);
    const multibox_args *m = &a->shape;
    const size_t each = 5 * sizeof(real) + 2 * sizeof(int64_t);
    PARALLEL_FOR(m->images * m->priors * (m->classes + 8) * 8)
    for (int64_t image = 0; image < m->images; image++) {
        int64_t *index = workspace(WORKSPACE_COLUMNS, each * (size_t)m->priors);
        int64_t *picked = index + m->priors;
        real *loss = (real *)(picked + m->priors), *boxes = loss + m->priors;
        FN(mine_image)(a, image, loss, boxes, index, picked);
    }
}

/* ---- the loss ---------------------------------------------------------------------------- */

/* Whether prior p takes part in the loss of classes, and whether as one that matches nothing. */
INLINE int FN(takes_part)(const multibox_args *a, int64_t image, const int64_t *match, int64_t p,
                          int *is_negative) {
    int is_match = 0;
    for (int64_t c = 0; c < a->locations; c++) is_match |= match[c * a->priors + p] >= 0;
    *is_negative = !is_match && a->mined;
    return is_match || !a->mined || ((const uint8_t *)a->negative)[image * a->priors + p];
}

KERNEL(multibox_loss) {
    ARGS(multibox_loss);
    const multibox_args *m = &a->shape;
    double *partial = workspace(WORKSPACE_PACK_A, 3 * sizeof(double) * (size_t)(m->images + 1));
    PARALLEL_FOR(m->images * m->priors * (m->classes + 4) * 8)
    for (int64_t image = 0; image < m->images; image++) {
        const int64_t *match = (const int64_t *)m->match + image * m->locations * m->priors;
        const real *offsets = (const real *)m->offsets + image * m->priors * m->locations * 4;
        const real *scores = (const real *)m->scores + image * m->priors * m->classes;
        double location = 0, classes = 0;
        int64_t matched = 0;
        for (int64_t p = 0; p < m->priors; p++) {
            int is_negative;
            for (int64_t c = 0; c < m->locations; c++) {
                const int64_t found = match[c * m->priors + p];
                if (found < 0) continue;
                const real *offset = offsets + (p * m->locations + c) * 4;
                location += (double)FN(location_loss)(m, offset, p, found);
                matched++;
            }
            if (FN(takes_part)(m, image, match, p, &is_negative))
                classes +=
                    (double)FN(class_loss)(m, match, is_negative, scores + p * m->classes, p);
        }
        partial[image * 3] = location;
        partial[image * 3 + 1] = classes;
        partial[image * 3 + 2] = (double)matched;
    }
    double location = 0, classes = 0, matched = 0, divisor = 1;
    for (int64_t image = 0; image < m->images; image++) {
        location += partial[image * 3];
        classes += partial[image * 3 + 1];
        matched += partial[image * 3 + 2];
    }
    if (a->normalization == LOSS_FULL) divisor = (double)(m->images * m->priors);
    if (a->normalization == LOSS_VALID) divisor = matched;
    if (a->normalization == LOSS_BATCH_SIZE) divisor = (double)m->images;
    divisor = MAX(divisor, 1);
    *(real *)m->divisor = (real)divisor;
    const double total = location * m->location_weight + classes * m->class_weight;
    *(real *)a->loss = (real)(total / divisor);
}

KERNEL(multibox_location_backward) {
    ARGS(multibox_location_backward);
    const multibox_args *m = &a->shape;
    const real scale = *(const real *)a->dy / *(const real *)m->divisor * (real)m->location_weight;
    PARALLEL_FOR(m->images * m->priors * m->locations * 8)
    for (int64_t at = 0; at < m->images * m->priors; at++) {
        const int64_t image = at / m->priors, p = at % m->priors;
        const int64_t *match = (const int64_t *)m->match + image * m->locations * m->priors;
        for (int64_t c = 0; c < m->locations; c++) {
            const int64_t found = match[c * m->priors + p], place = (at * m->locations + c) * 4;
            real *dx = (real *)a->dx + place, error[4], slope[4];
            memset(dx, 0, sizeof error);
            if (found < 0) continue;
            FN(location_error)(m, (const real *)m->offsets + place, p, found, error, slope);
            for (int k = 0; k < 4; k++) {
                const real pull = m->smooth ? FN(smooth_l1_slope)(error[k], 1) : error[k];
                dx[k] = scale * slope[k] * pull;
            }
        }
    }
}

KERNEL(multibox_class_backward) {
    ARGS(multibox_class_backward);
    const multibox_args *m = &a->shape;
    const real scale = *(const real *)a->dy / *(const real *)m->divisor * (real)m->class_weight;
    PARALLEL_FOR(m->images * m->priors * m->classes * 4)
    for (int64_t at = 0; at < m->images * m->priors; at++) {
        const int64_t image = at / m->priors, p = at % m->priors;
        const int64_t *match = (const int64_t *)m->match + image * m->locations * m->priors;
        const real *x = (const real *)m->scores + at * m->classes;
        real *dx = (real *)a->dx + at * m->classes;
        int is_negative;
        if (!FN(takes_part)(m, image, match, p, &is_negative)) {
            memset(dx, 0, sizeof(real) * (size_t)m->classes);
        } else if (m->logistic) {
            for (int64_t c = 0; c < m->classes; c++)
                dx[c] = scale * (FN(sigmoid_of)(x[c]) -
                                 (real)FN(logistic_target)(m, match, is_negative, p, c));
        } else {
            FN(softmax_row)(x, dx, m->classes);
            dx[FN(wanted_class)(m, match, p)] -= 1;
            for (int64_t c = 0; c < m->classes; c++) dx[c] *= scale;
        }
    }
}
