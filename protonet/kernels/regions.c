/* Regions of interest: pooled into bins of equal number, and proposed from anchors. A region is
 * image, xmin, ymin, xmax, ymax in pixels, the last two inside it. */

#define FAR_AWAY 1e9 /* no image is as large: what is beyond is no region */

INLINE int FN(is_region)(const real *roi, int64_t images) {
    int near = roi[0] > -1 && roi[0] < (real)images;
    for (int k = 1; k < 5; k++) near &= fabs((double)roi[k]) < FAR_AWAY;
    return near;
}

KERNEL(judge_regions) {
    ARGS(judge_regions);
    int64_t bad = -1;
    for (int64_t i = a->count - 1; i >= 0; i--)
        if (!FN(is_region)((const real *)a->rois + i * 5, a->images)) bad = i;
    *(int64_t *)a->bad = bad;
}

/* Bin `at` of a side that starts at `whole + start`: its positions, limited to 0 … size. A whole
 * start is added after rounding: at · bin_size is often just a whole number. Products are made in
 * double, where they are exact, so that fused multiply-adds give what others give. */
typedef struct { int64_t from, to; } FN(bin);

INLINE real FN(edge_of)(double at, real bin_size, real start) {
    return (real)(at * (double)bin_size + (double)start);
}

INLINE FN(bin) FN(bin_of)(int64_t at, real bin_size, real start, int64_t whole, int64_t size) {
    const int64_t from = whole + (int64_t)floor((double)FN(edge_of)((double)at, bin_size, start));
    const int64_t to = whole + (int64_t)ceil((double)FN(edge_of)((double)(at + 1), bin_size, start));
    return (FN(bin)){MIN(MAX(from, 0), size), MIN(MAX(to, 0), size)};
}

/* Where a region starts on the map (row + top, column + left) and how large a bin is. */
typedef struct { int64_t row, column; real top, left, bin_height, bin_width; } FN(frame);

/* Fast R-CNN's, on whole positions. */

static FN(frame) FN(frame_of)(const roi_args *a, const real *roi) {
    const real scale = (real)a->scale, pad = (real)a->pad;
    const real wide = (roi[3] - roi[1] + 1) * pad, high = (roi[4] - roi[2] + 1) * pad;
    const real left = (real)round((roi[1] - wide) * scale);
    const real top = (real)round((roi[2] - high) * scale);
    const real right = (real)round((roi[3] + wide) * scale);
    const real bottom = (real)round((roi[4] + high) * scale);
    return (FN(frame)){(int64_t)top, (int64_t)left, 0, 0,
                       MAX(bottom - top + 1, 1) / (real)a->out_height,
                       MAX(right - left + 1, 1) / (real)a->out_width};
}

/* Sets the bins of a region: those of its rows, then those of its columns. */
static void FN(bins_of)(const roi_args *a, FN(frame) frame, FN(bin) *bins) {
    for (int64_t i = 0; i < a->out_height; i++)
        bins[i] = FN(bin_of)(i, frame.bin_height, frame.top, frame.row, a->height);
    for (int64_t i = 0; i < a->out_width; i++)
        bins[a->out_height + i] = FN(bin_of)(i, frame.bin_width, frame.left, frame.column, a->width);
}

/* The greatest of a bin for each of `some` channels, which stand side by side (positions are `step`
 * apart), and where it is. An empty bin gives 0 and -1. */
static void FN(greatest_of_bin)(const real *x, int64_t step, int64_t width, FN(bin) rows,
                                FN(bin) columns, real *most, int32_t *found, int64_t some) {
    const int empty = rows.to <= rows.from || columns.to <= columns.from;
    for (int64_t c = 0; c < some; c++) {
        most[c] = empty ? 0 : -REAL_MAX;
        found[c] = -1;
    }
    for (int64_t h = rows.from; h < rows.to; h++)
        for (int64_t w = columns.from; w < columns.to; w++) {
            const int32_t at = (int32_t)(h * width + w);
            const real *from = x + at * step;
            SIMD
            for (int64_t c = 0; c < some; c++) {
                const int better = from[c] > most[c];
                found[c] = better ? at : found[c];
                most[c] = better ? from[c] : most[c];
            }
        }
}

#define REGION_CHANNELS 64

KERNEL(roi_max_pool) {
    ARGS(roi_max_pool);
    const roi_args *r = &a->shape;
    const int64_t plane = r->height * r->width, out = r->out_height * r->out_width;
    const int64_t blocks = (r->channels + REGION_CHANNELS - 1) / REGION_CHANNELS;
    real *turned = a->turned;
    PARALLEL_FOR(r->images * r->channels * plane)
    for (int64_t at = 0; at < r->images * plane; at++)
        for (int64_t c = 0; c < r->channels; c++)
            turned[at * r->channels + c] =
                ((const real *)r->x)[(at / plane * r->channels + c) * plane + at % plane];
    PARALLEL_FOR(r->count * r->channels * out * 4)
    for (int64_t at = 0; at < r->count * blocks; at++) {
        const int64_t first = at % blocks * REGION_CHANNELS, i = at / blocks;
        const int64_t some = MIN(REGION_CHANNELS, r->channels - first);
        const real *roi = (const real *)r->rois + i * 5;
        real *y = (real *)r->y + (i * r->channels + first) * out, most[REGION_CHANNELS];
        int32_t *mask = (int32_t *)a->mask + (i * r->channels + first) * out;
        int32_t found[REGION_CHANNELS];
        FN(bin) *bins = workspace(
            WORKSPACE_PARTIAL, sizeof(FN(bin)) * (size_t)(r->out_height + r->out_width));
        if (!FN(is_region)(roi, r->images)) {
            memset(y, 0, sizeof(real) * (size_t)(some * out));
            memset(mask, -1, sizeof(int32_t) * (size_t)(some * out));
            continue;
        }
        FN(bins_of)(r, FN(frame_of)(r, roi), bins);
        const real *x = turned + (int64_t)roi[0] * plane * r->channels + first;
        for (int64_t k = 0; k < out; k++) {
            FN(greatest_of_bin)(x, r->channels, r->width, bins[k / r->out_width],
                                bins[r->out_height + k % r->out_width], most, found, some);
            for (int64_t c = 0; c < some; c++) {
                y[c * out + k] = most[c];
                mask[c * out + k] = found[c];
            }
        }
    }
}

/* Regions may meet in one position, so channels are shared out, not regions. */
KERNEL(roi_max_pool_backward) {
    ARGS(roi_max_pool_backward);
    const roi_args *r = &a->shape;
    const int64_t plane = r->height * r->width, out = r->out_height * r->out_width;
    memset(a->dx, 0, sizeof(real) * (size_t)(r->images * r->channels * plane));
    PARALLEL_FOR(r->count * r->channels * out * 2)
    for (int64_t c = 0; c < r->channels; c++)
        for (int64_t i = 0; i < r->count; i++) {
            const real *roi = (const real *)r->rois + i * 5;
            if (!FN(is_region)(roi, r->images)) continue;
            const real *dy = (const real *)a->dy + (i * r->channels + c) * out;
            const int32_t *mask = (const int32_t *)a->mask + (i * r->channels + c) * out;
            real *dx = (real *)a->dx + ((int64_t)roi[0] * r->channels + c) * plane;
            for (int64_t k = 0; k < out; k++)
                if (mask[k] >= 0) dx[mask[k]] += dy[k];
        }
}

/* ---- position-sensitive pooling: bin (i, j) of output d from channel (d G + i) G + j ----- */

static FN(frame) FN(sensitive_frame)(const roi_args *a, const real *roi) {
    const double scale = (double)(real)a->scale;
    const real left = (real)(round(roi[1]) * scale), top = (real)(round(roi[2]) * scale);
    const real right = (real)((round(roi[3]) + 1) * scale);
    const real bottom = (real)((round(roi[4]) + 1) * scale);
    return (FN(frame)){0, 0, top, left, MAX(bottom - top, (real)0.1) / (real)a->out_height,
                       MAX(right - left, (real)0.1) / (real)a->out_width};
}

KERNEL(roi_position_pool) {
    ARGS(roi_position_pool);
    const roi_args *r = a;
    const int64_t plane = r->height * r->width, out = r->out_height * r->out_width;
    PARALLEL_FOR(r->count * r->channels * 8)
    for (int64_t i = 0; i < r->count; i++) {
        const real *roi = (const real *)r->rois + i * 5;
        real *y = (real *)r->y + i * r->channels;
        FN(bin) *bins = workspace(
            WORKSPACE_PARTIAL, sizeof(FN(bin)) * (size_t)(r->out_height + r->out_width));
        memset(y, 0, sizeof(real) * (size_t)r->channels);
        if (!FN(is_region)(roi, r->images)) continue;
        FN(bins_of)(r, FN(sensitive_frame)(r, roi), bins);
        const real *x = (const real *)r->x + (int64_t)roi[0] * r->channels * plane;
        for (int64_t c = 0; c < r->channels; c++, x += plane) {
            const FN(bin) rows = bins[c % out / r->out_width];
            const FN(bin) columns = bins[r->out_height + c % r->out_width];
            const int64_t area = (rows.to - rows.from) * (columns.to - columns.from);
            if (rows.to <= rows.from || columns.to <= columns.from) continue;
            real sum = 0;
            for (int64_t h = rows.from; h < rows.to; h++)
                for (int64_t w = columns.from; w < columns.to; w++) sum += x[h * r->width + w];
            y[c] = sum / (real)area;
        }
    }
}

KERNEL(roi_position_pool_backward) {
    ARGS(roi_position_pool_backward);
    const roi_args *r = &a->shape;
    const int64_t plane = r->height * r->width, out = r->out_height * r->out_width;
    const int64_t sides = r->out_height + r->out_width;
    FN(bin) *bins = workspace(WORKSPACE_COLUMNS, sizeof(FN(bin)) * (size_t)(r->count * sides + 1));
    memset(a->dx, 0, sizeof(real) * (size_t)(r->images * r->channels * plane));
    for (int64_t i = 0; i < r->count; i++) {
        const real *roi = (const real *)r->rois + i * 5;
        if (FN(is_region)(roi, r->images))
            FN(bins_of)(r, FN(sensitive_frame)(r, roi), bins + i * sides);
    }
    PARALLEL_FOR(r->count * r->channels * 8)
    for (int64_t channel = 0; channel < r->channels; channel++)
        for (int64_t i = 0; i < r->count; i++) {
            const real *roi = (const real *)r->rois + i * 5;
            if (!FN(is_region)(roi, r->images)) continue;
            const FN(bin) rows = bins[i * sides + channel % out / r->out_width];
            const FN(bin) columns = bins[i * sides + r->out_height + channel % r->out_width];
            const int64_t area = (rows.to - rows.from) * (columns.to - columns.from);
            if (rows.to <= rows.from || columns.to <= columns.from) continue;
            const real share = ((const real *)a->dy)[i * r->channels + channel] / (real)area;
            real *dx = (real *)a->dx + ((int64_t)roi[0] * r->channels + channel) * plane;
            for (int64_t h = rows.from; h < rows.to; h++)
                for (int64_t w = columns.from; w < columns.to; w++) dx[h * r->width + w] += share;
        }
}

/* ---- proposals --------------------------------------------------------------------------- */

/* An anchor at (x, y), moved and sized by offsets `step` apart, and limited to the image. */
static void FN(propose_box)(const real *anchor, real x, real y, const real *offset, int64_t step,
                            const real *size, real *box) {
    for (int k = 0; k < 2; k++) {
        const real extent = anchor[k + 2] - anchor[k] + 1;
        const real centre = anchor[k] + (k ? y : x) + extent / 2 + offset[k * step] * extent;
        const real half = FN(exp_of)(offset[(k + 2) * step]) * extent / 2, last = size[1 - k] - 1;
        box[k] = MAX(MIN(centre - half, last), 0);
        box[k + 2] = MAX(MIN(centre + half, last), 0);
    }
}

KERNEL(propose) {
    ARGS(propose);
    const int64_t plane = a->height * a->width, size = plane * a->anchors;
    const real *anchors = a->anchor_boxes;
    for (int64_t image = 0; image < a->images; image++) {
        const real *info = (const real *)a->info + image * a->info_size;
        const real *scores = (const real *)a->class_scores + (image * 2 + 1) * size;
        const real *offsets = (const real *)a->offsets + image * size * 4;
        real *boxes = (real *)a->boxes + image * size * 4, *best = (real *)a->scores + image * size;
        const real least[2] = {(real)a->min_size * info[a->info_size > 3 ? 3 : 2],
                               (real)a->min_size * info[2]};
        PARALLEL_FOR(size * 32)
        for (int64_t at = 0; at < plane; at++)
            for (int64_t k = 0; k < a->anchors; k++) {
                const int64_t i = at * a->anchors + k;
                real *box = boxes + i * 4;
                FN(propose_box)(anchors + k * 4, (real)(at % a->width * a->stride),
                                (real)(at / a->width * a->stride), offsets + k * 4 * plane + at,
                                plane, info, box);
                const int large =
                    box[2] - box[0] + 1 >= least[0] && box[3] - box[1] + 1 >= least[1];
                best[i] = large ? scores[k * plane + at] : -INFINITY;
            }
        ((int64_t *)a->counts)[image] = FN(suppress)(
            boxes, 4, best, 1, size, &a->rule, (int64_t *)a->kept + image * a->most);
    }
}

KERNEL(proposal_rows) {
    ARGS(proposal_rows);
    const propose_args *p = &a->found;
    const int64_t size = p->height * p->width * p->anchors;
    real *row = a->rows, *score = a->row_scores;
    for (int64_t image = 0; image < p->images; image++)
        for (int64_t j = 0; j < ((const int64_t *)p->counts)[image]; j++, row += 5) {
            const int64_t i = image * size + ((const int64_t *)p->kept)[image * p->most + j];
            row[0] = (real)image;
            memcpy(row + 1, (const real *)p->boxes + i * 4, 4 * sizeof(real));
            if (score) *score++ = ((const real *)p->scores)[i];
        }
}
