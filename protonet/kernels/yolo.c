/* YOLO v2's grid of anchors. A predictor's numbers are `plane` apart: x, y, log width, log height,
 * objectness, one for each class. Boxes are centre and size here, relative to the image. */

typedef struct { real x, y, width, height; } FN(middle);

INLINE real FN(middle_overlap)(FN(middle) a, FN(middle) b) {
    const real width = MIN(a.x + a.width / 2, b.x + b.width / 2) -
                       MAX(a.x - a.width / 2, b.x - b.width / 2);
    const real height = MIN(a.y + a.height / 2, b.y + b.height / 2) -
                        MAX(a.y - a.height / 2, b.y - b.height / 2);
    if (!(width > 0 && height > 0)) return 0;
    const real common = width * height;
    return common / (a.width * a.height + b.width * b.height - common);
}

/* The box of the anchor of that number at a position of the grid. */
static FN(middle) FN(predicted)(const yolo_grid *g, const real *x, int64_t anchor, int64_t at) {
    const real *size = (const real *)g->anchor_sizes + 2 * anchor;
    const int64_t plane = g->height * g->width;
    return (FN(middle)){((real)(at % g->width) + FN(sigmoid_of)(x[0])) / (real)g->width,
                        ((real)(at / g->width) + FN(sigmoid_of)(x[plane])) / (real)g->height,
                        FN(exp_of)(x[2 * plane]) * size[0] / (real)g->width,
                        FN(exp_of)(x[3 * plane]) * size[1] / (real)g->height};
}

KERNEL(yolo_boxes) {
    ARGS(yolo_boxes);
    const yolo_grid *g = &a->grid;
    const int64_t plane = g->height * g->width, size = (5 + g->classes) * plane;
    PARALLEL_FOR(g->images * g->anchors * plane * (g->classes + 4) * 8)
    for (int64_t i = 0; i < g->images * g->anchors * plane; i++) {
        const int64_t image = i / (g->anchors * plane), at = i / g->anchors % plane;
        const int64_t anchor = i % g->anchors;
        const real *x = (const real *)g->x + (image * g->anchors + anchor) * size + at;
        const int64_t to = image * a->count + a->first + i % (g->anchors * plane);
        const FN(middle) box = FN(predicted)(g, x, anchor, at);
        real *y = (real *)a->boxes + to * 4, sum = 0;
        y[0] = box.x - box.width / 2;
        y[1] = box.y - box.height / 2;
        y[2] = box.x + box.width / 2;
        y[3] = box.y + box.height / 2;
        int64_t best = 0;
        const real *scores = x + 5 * plane;
        for (int64_t c = 1; c < g->classes; c++)
            if (scores[c * plane] > scores[best * plane]) best = c;
        for (int64_t c = 0; c < g->classes; c++)
            sum += FN(exp_of)(scores[c * plane] - scores[best * plane]);
        ((real *)a->scores)[to] = FN(sigmoid_of)(x[4 * plane]) / sum;
        ((int64_t *)a->labels)[to] = best;
    }
}

/* ---- the loss ---------------------------------------------------------------------------- */

typedef struct { FN(middle) box; int64_t label; } FN(object);

/* Box and class of row t of an image; 0 if that is none, -1 if its class is none or it holds what is
 * no number. */
static int FN(object_of)(const region_loss_args *a, int64_t image, int64_t t, FN(object) *object) {
    real label;
    if (a->rows) {
        const real *row = (const real *)a->truth + t * 8;
        if (row[0] != row[0]) return -1;
        if (row[0] != (real)image) return 0;
        label = row[1] - (real)a->first_class;
        object->box = (FN(middle)){(row[3] + row[5]) / 2, (row[4] + row[6]) / 2, row[5] - row[3],
                                   row[6] - row[4]};
    } else {
        const real *row = (const real *)a->truth + (image * a->truths + t) * 5;
        label = row[0];
        object->box = (FN(middle)){row[1], row[2], row[3], row[4]};
    }
    const FN(middle) box = object->box;
    if (box.x != box.x || box.y != box.y || box.width != box.width || box.height != box.height)
        return -1;
    if (!(box.width > 0 && box.height > 0)) return 0;
    if (!(box.x >= 0 && box.x < 1 && box.y >= 0 && box.y < 1)) return 0;
    if (!(label > -1 && label < (real)a->labels)) return -1;
    object->label = a->label_map ? ((const int64_t *)a->label_map)[(int64_t)label] : (int64_t)label;
    return 1;
}

/* The anchor whose shape fits a true box best: its own, or what is predicted there. */
static int64_t FN(best_anchor)(const region_loss_args *a, const real *x, FN(middle) box,
                               int64_t at) {
    const yolo_grid *g = &a->grid;
    const real *sizes = g->anchor_sizes;
    int64_t best = 0;
    real most = 0;
    box.x = box.y = 0;
    for (int64_t anchor = 0; anchor < g->anchors; anchor++) {
        FN(middle) shape = {0, 0, sizes[2 * anchor] / (real)g->width,
                            sizes[2 * anchor + 1] / (real)g->height};
        if (!a->match_anchors) {
            const int64_t plane = g->height * g->width;
            shape = FN(predicted)(g, x + anchor * (5 + g->classes) * plane + at, anchor, at);
            shape.x = shape.y = 0;
        }
        const real overlap = FN(middle_overlap)(shape, box);
        if (overlap > most) {
            most = overlap;
            best = anchor;
        }
    }
    return best;
}

/* Squared error of one number: adds the loss, returns the derivative. */
INLINE real FN(squared)(real error, real scale, double *loss) {
    *loss += (double)((real)0.5 * scale * error * error);
    return scale * error;
}

/* -log of the probability of a class within its group, and of its ancestors in theirs. */
static void FN(class_path)(const region_loss_args *a, const real *x, real *delta, int64_t label,
                           double *loss) {
    const int64_t plane = a->grid.height * a->grid.width;
    const real scale = (real)a->class_scale;
    const int64_t *parent = a->parent, *start = a->group_start, *size = a->group_size;
    for (int64_t c = label; c >= 0; c = parent[c]) {
        const int64_t first = start[c], end = first + size[c];
        real most = x[first * plane], sum = 0;
        for (int64_t k = first; k < end; k++) most = MAX(most, x[k * plane]);
        for (int64_t k = first; k < end; k++) sum += FN(exp_of)(x[k * plane] - most);
        *loss += (double)(scale * (FN(log_of)(sum) + most - x[c * plane]));
        for (int64_t k = first; k < end; k++)
            delta[k * plane] = scale * (FN(exp_of)(x[k * plane] - most) / sum - (k == c ? 1 : 0));
    }
}

/* Pulls a predictor towards the true box that it stands for. */
static void FN(pull)(const region_loss_args *a, const real *x, real *delta, int64_t anchor,
                     int64_t at, const FN(object) *object, double *loss) {
    const yolo_grid *g = &a->grid;
    const int64_t plane = g->height * g->width;
    const real *size = (const real *)g->anchor_sizes + 2 * anchor;
    const FN(middle) box = object->box;
    const real overlap = FN(middle_overlap)(FN(predicted)(g, x, anchor, at), box);
    const real wanted[4] = {
        box.x * (real)g->width - (real)(at % g->width),
        box.y * (real)g->height - (real)(at / g->width),
        FN(log_of)(box.width * (real)g->width / size[0]),
        FN(log_of)(box.height * (real)g->height / size[1])};
    const real scale = (real)a->coord_scale * (a->rescore ? 1 : 2 - box.width * box.height);
    for (int k = 0; k < 4; k++) {
        const real value = k < 2 ? FN(sigmoid_of)(x[k * plane]) : x[k * plane];
        const real slope = FN(squared)(value - wanted[k], scale, loss);
        delta[k * plane] = k < 2 ? slope * value * (1 - value) : slope;
    }
    const real found = FN(sigmoid_of)(x[4 * plane]);
    const real slope = FN(squared)(found - (a->rescore ? overlap : 1), (real)a->object_scale, loss);
    delta[4 * plane] = slope * found * (1 - found);
    FN(class_path)(a, x + 5 * plane, delta + 5 * plane, object->label, loss);
}

/* Pushes the objectness of a predictor down unless its box fits a true one. */
static void FN(push)(const region_loss_args *a, const real *x, real *delta, int64_t image,
                     int64_t anchor, int64_t at, double *loss) {
    const int64_t plane = a->grid.height * a->grid.width;
    const FN(middle) box = FN(predicted)(&a->grid, x, anchor, at);
    FN(object) object;
    for (int64_t t = 0; t < a->truths; t++)
        if (FN(object_of)(a, image, t, &object) > 0 &&
            FN(middle_overlap)(box, object.box) > (real)a->threshold)
            return;
    const real found = FN(sigmoid_of)(x[4 * plane]);
    delta[4 * plane] = FN(squared)(found, (real)a->no_object_scale, loss) * found * (1 - found);
}

KERNEL(region_loss) {
    ARGS(region_loss);
    const yolo_grid *g = &a->grid;
    const int64_t plane = g->height * g->width, each = (5 + g->classes) * plane;
    const int64_t predictors = g->anchors * plane;
    double *partial = workspace(WORKSPACE_PARTIAL, 2 * sizeof(double) * (size_t)(g->images + 1));
    PARALLEL_FOR(g->images * predictors * (a->truths + 4) * 8)
    for (int64_t image = 0; image < g->images; image++) {
        const real *x = (const real *)g->x + image * g->anchors * each;
        real *delta = (real *)a->delta + image * g->anchors * each;
        int64_t *owner = (int64_t *)a->owner + image * predictors, bad = -1;
        double loss = 0;
        FN(object) object;
        memset(delta, 0, sizeof(real) * (size_t)(g->anchors * each));
        for (int64_t i = 0; i < predictors; i++) owner[i] = -1;
        for (int64_t t = 0; t < a->truths; t++) {
            const int known = FN(object_of)(a, image, t, &object);
            if (known < 0 && bad < 0) bad = t;
            if (known <= 0) continue;
            const int64_t at = (int64_t)(object.box.y * (real)g->height) * g->width +
                               (int64_t)(object.box.x * (real)g->width);
            owner[FN(best_anchor)(a, x, object.box, at) * plane + at] = t;
        }
        for (int64_t i = 0; i < predictors; i++) {
            const int64_t anchor = i / plane, at = i % plane, from = anchor * each + at;
            if (owner[i] < 0) FN(push)(a, x + from, delta + from, image, anchor, at, &loss);
            else {
                FN(object_of)(a, image, owner[i], &object);
                FN(pull)(a, x + from, delta + from, anchor, at, &object, &loss);
            }
        }
        partial[2 * image] = loss;
        partial[2 * image + 1] = (double)bad;
    }
    double total = 0;
    *(int64_t *)a->bad = -1;
    for (int64_t image = g->images - 1; image >= 0; image--) {
        total += partial[2 * image];
        const int64_t bad = (int64_t)partial[2 * image + 1];
        if (bad >= 0) *(int64_t *)a->bad = bad + (a->rows ? 0 : image * a->truths);
    }
    *(real *)a->loss = (real)(total / (double)MAX(g->images, 1));
}

/* dx = scale dy delta. */
KERNEL(scale_by) {
    ARGS(scale_by);
    const real *x = a->x, factor = (real)a->scale * *(const real *)a->factor;
    real *y = a->y;
    FOR_EACH(i, a->n, 1) y[i] = factor * x[i];
}

/* ---- blocks to channels ------------------------------------------------------------------ */

KERNEL(reorg) {
    ARGS(reorg);
    const real *x = a->x;
    real *y = a->y;
    const int64_t s = a->stride, groups = a->channels / (s * s);
    PARALLEL_FOR(a->n * a->channels * a->height * a->width * 2)
    for (int64_t plane = 0; plane < a->n * a->channels; plane++) {
        const int64_t c = plane % a->channels, place = c / groups;
        const int64_t wide = ((plane / a->channels * groups + c % groups) * a->height * s);
        for (int64_t h = 0; h < a->height; h++)
            for (int64_t w = 0; w < a->width; w++) {
                const int64_t small = (plane * a->height + h) * a->width + w;
                const int64_t large =
                    (wide + h * s + place / s) * a->width * s + w * s + place % s;
                if (a->enlarge) y[large] = x[small];
                else y[small] = x[large];
            }
    }
}
