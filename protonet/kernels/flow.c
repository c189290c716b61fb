/* Optical flow: correlation of two feature maps, images fetched along a flow, norms over channels,
 * and resizing by taps. Each output row, plane or block is one round of a loop that the team shares. */

/* Row `row` of a plane with `pad` zeros around it, rows and columns counted from the padding on. */
static void FN(padded_row)(const correlation_args *c, const real *plane, int64_t row, real *out) {
    const int64_t inside = row - c->pad;
    if (inside < 0 || inside >= c->height) {
        memset(out, 0, sizeof(real) * (size_t)(c->width + 2 * c->pad));
        return;
    }
    memset(out, 0, sizeof(real) * (size_t)c->pad);
    memcpy(out + c->pad, plane + inside * c->width, sizeof(real) * (size_t)c->width);
    memset(out + c->pad + c->width, 0, sizeof(real) * (size_t)c->pad);
}

/* sums[x] += u[s x] v[s x], or |u - v|. */
INLINE void FN(correlate)(real *sums, const real *u, const real *v, int64_t n, int64_t s,
                          int subtract) {
    if (s == 1 && !subtract)
        SIMD
        for (int64_t x = 0; x < n; x++) sums[x] += u[x] * v[x];
    else
        for (int64_t x = 0; x < n; x++) {
            const real d = u[s * x] - v[s * x];
            sums[x] += subtract ? (d < 0 ? -d : d) : u[s * x] * v[s * x];
        }
}

KERNEL(correlation) {
    ARGS(correlation);
    const int64_t grid = 2 * a->radius + 1, wide = a->width + 2 * a->pad, plane = a->height * a->width;
    const real scale = (real)(1.0 / (double)(a->kernel * a->kernel * a->channels));
    const int subtract = a->subtract != 0;
    PARALLEL_FOR(a->n * a->out_height * a->out_width * grid * grid * a->channels)
    for (int64_t at = 0; at < a->n * a->out_height; at++) {
        const int64_t image = at / a->out_height, row = at % a->out_height;
        const int64_t first = row * a->stride_1 + a->displacement;
        const real *x0 = (const real *)a->a + image * a->channels * plane;
        const real *x1 = (const real *)a->b + image * a->channels * plane;
        real *u = workspace(WORKSPACE_PARTIAL,
                            sizeof(real) * (size_t)(2 * wide + grid * a->out_width));
        real *v = u + wide, *sums = v + wide;
        for (int64_t p = 0; p < grid; p++) {
            const int64_t down = (p - a->radius) * a->stride_2;
            for (int64_t i = 0; i < grid * a->out_width; i++) sums[i] = 0;
            for (int64_t j = 0; j < a->kernel; j++)
                for (int64_t c = 0; c < a->channels; c++) {
                    FN(padded_row)(a, x0 + c * plane, first + j, u);
                    FN(padded_row)(a, x1 + c * plane, first + j + down, v);
                    for (int64_t i = 0; i < a->kernel; i++)
                        for (int64_t o = 0; o < grid; o++)
                            FN(correlate)(sums + o * a->out_width, u + a->displacement + i,
                                          v + a->displacement + i + (o - a->radius) * a->stride_2,
                                          a->out_width, a->stride_1, subtract);
                }
            for (int64_t o = 0; o < grid; o++) {
                real *y = (real *)a->y +
                          (((image * grid + p) * grid + o) * a->out_height + row) * a->out_width;
                for (int64_t i = 0; i < a->out_width; i++) y[i] = sums[o * a->out_width + i] * scale;
            }
        }
    }
}

/* The gradient of one map, row after row: all outputs that saw the row give it their dy times what
 * they saw in the other map (or the sign of the difference). */
KERNEL(correlation_backward) {
    ARGS(correlation_backward);
    const correlation_args *s = &a->shape;
    const int64_t grid = 2 * s->radius + 1, wide = s->width + 2 * s->pad, plane = s->height * s->width;
    const real scale = (real)(1.0 / (double)(s->kernel * s->kernel * s->channels));
    const real *mine = a->second ? s->b : s->a, *others = a->second ? s->a : s->b;
    PARALLEL_FOR(s->n * s->height * s->width * grid * grid * s->channels)
    for (int64_t at = 0; at < s->n * s->height; at++) {
        const int64_t image = at / s->height, row = at % s->height + s->pad;
        real *own = workspace(WORKSPACE_PARTIAL, sizeof(real) * 3 * (size_t)wide);
        real *other = own + wide, *sums = other + wide;
        const real *dy = (const real *)a->dy + image * grid * grid * s->out_height * s->out_width;
        for (int64_t c = 0; c < s->channels; c++) {
            const int64_t start = (image * s->channels + c) * plane;
            FN(padded_row)(s, mine + start, row, own);
            for (int64_t i = 0; i < wide; i++) sums[i] = 0;
            for (int64_t p = 0; p < grid; p++) {
                const int64_t down = (p - s->radius) * s->stride_2;
                const int64_t centre = a->second ? row - down : row;
                FN(padded_row)(s, others + start, a->second ? row - down : row + down, other);
                for (int64_t j = 0; j < s->kernel; j++) {
                    const int64_t from = centre - s->displacement - j;
                    if (from < 0 || from % s->stride_1 || from / s->stride_1 >= s->out_height)
                        continue;
                    for (int64_t o = 0; o < grid; o++) {
                        const int64_t along = (o - s->radius) * s->stride_2;
                        const real *g = dy + ((p * grid + o) * s->out_height + from / s->stride_1) *
                                                 s->out_width;
                        for (int64_t i = 0; i < s->kernel; i++) {
                            const int64_t left = s->displacement + i;
                            const int64_t here = a->second ? left + along : left;
                            const int64_t there = a->second ? left : left + along;
                            real *to = sums + here;
                            const real *u = own + here, *v = other + there;
                            const int64_t step = s->stride_1;
                            if (!s->subtract && step == 1)
                                SIMD
                                for (int64_t x = 0; x < s->out_width; x++) to[x] += g[x] * v[x];
                            else
                                for (int64_t x = 0; x < s->out_width; x++) {
                                    const real d = u[step * x] - v[step * x];
                                    const real sign = d > 0 ? 1 : (d < 0 ? -1 : 0);
                                    to[step * x] += g[x] * (s->subtract ? sign : v[step * x]);
                                }
                        }
                    }
                }
            }
            real *dx = (real *)a->dx + start + (row - s->pad) * s->width;
            for (int64_t i = 0; i < s->width; i++) dx[i] = sums[s->pad + i] * scale;
        }
    }
}

/* Where a flow leads: the offset of the pixel up and left of it, the steps to the right and down
 * (0 at the border) and how far it is from there. */
typedef struct { int64_t at, right, down; real alpha, beta; } FN(target);

INLINE FN(target) FN(follow)(const flow_warp_args *w, int64_t image, int64_t y, int64_t x) {
    const int64_t plane = w->height * w->width;
    const real *flow = (const real *)w->flow + 2 * image * plane + y * w->width + x;
    const real x2 = (real)x + flow[0], y2 = (real)y + flow[plane];
    FN(target) t = {-1, 0, 0, 0, 0};
    if (x2 >= 0 && y2 >= 0 && x2 < (real)w->width && y2 < (real)w->height) { /* NaN is not */
        const int64_t left = (int64_t)x2, top = (int64_t)y2;
        t.at = top * w->width + left;
        t.right = left + 1 < w->width ? 1 : 0;
        t.down = top + 1 < w->height ? w->width : 0;
        t.alpha = x2 - (real)left;
        t.beta = y2 - (real)top;
    }
    return t;
}

/* A row of `channels` planes at once: a target is looked up once for all of them. */
INLINE void FN(warp_row)(const FN(target) *targets, int64_t width, int64_t plane, int channels,
                         real fill, const real *x, real *y) {
    for (int64_t i = 0; i < width; i++) {
        const FN(target) t = targets[i];
        for (int c = 0; c < channels; c++) {
            if (t.at < 0) {
                y[c * plane + i] = fill;
                continue;
            }
            const real *from = x + c * plane + t.at;
            y[c * plane + i] =
                (1 - t.beta) * ((1 - t.alpha) * from[0] + t.alpha * from[t.right]) +
                t.beta * ((1 - t.alpha) * from[t.down] + t.alpha * from[t.down + t.right]);
        }
    }
}

KERNEL(flow_warp) {
    ARGS(flow_warp);
    const int64_t plane = a->height * a->width;
    const real fill = (real)a->fill;
    PARALLEL_FOR(a->n * a->channels * plane * 4)
    for (int64_t at = 0; at < a->n * a->height; at++) {
        const int64_t image = at / a->height, row = at % a->height;
        FN(target) *targets =
            workspace(WORKSPACE_PARTIAL, sizeof(FN(target)) * (size_t)a->width);
        for (int64_t i = 0; i < a->width; i++) targets[i] = FN(follow)(a, image, row, i);
        const real *x = (const real *)a->x + image * a->channels * plane;
        real *y = (real *)a->y + image * a->channels * plane + row * a->width;
        int64_t c = 0;
        for (; c + 4 <= a->channels; c += 4)
            FN(warp_row)(targets, a->width, plane, 4, fill, x + c * plane, y + c * plane);
        for (; c < a->channels; c++)
            FN(warp_row)(targets, a->width, plane, 1, fill, x + c * plane, y + c * plane);
    }
}

KERNEL(flow_warp_backward_image) {
    ARGS(flow_warp_backward_image);
    const flow_warp_args *w = &a->shape;
    const int64_t plane = w->height * w->width;
    PARALLEL_FOR(w->n * w->channels * plane * 4)
    for (int64_t at = 0; at < w->n * w->channels; at++) {
        const real *dy = (const real *)a->dy + at * plane;
        real *dx = (real *)a->dx + at * plane;
        memset(dx, 0, sizeof(real) * (size_t)plane);
        for (int64_t i = 0; i < plane; i++) {
            const FN(target) t = FN(follow)(w, at / w->channels, i / w->width, i % w->width);
            if (t.at < 0) continue;
            real *to = dx + t.at;
            to[0] += dy[i] * (1 - t.alpha) * (1 - t.beta);
            to[t.right] += dy[i] * t.alpha * (1 - t.beta);
            to[t.down] += dy[i] * (1 - t.alpha) * t.beta;
            to[t.down + t.right] += dy[i] * t.alpha * t.beta;
        }
    }
}

KERNEL(flow_warp_backward_flow) {
    ARGS(flow_warp_backward_flow);
    const flow_warp_args *w = &a->shape;
    const int64_t plane = w->height * w->width;
    PARALLEL_FOR(w->n * w->channels * plane * 4)
    for (int64_t at = 0; at < w->n * w->height; at++) {
        const int64_t image = at / w->height, row = at % w->height;
        real *du = (real *)a->dflow + 2 * image * plane + row * w->width, *dv = du + plane;
        for (int64_t i = 0; i < w->width; i++) {
            const FN(target) t = FN(follow)(w, image, row, i);
            real across = 0, along = 0;
            for (int64_t c = 0; c < w->channels && t.at >= 0; c++) {
                const int64_t start = (image * w->channels + c) * plane;
                const real *x = (const real *)w->x + start + t.at;
                const real g = ((const real *)a->dy)[start + row * w->width + i];
                across += g * ((1 - t.beta) * (x[t.right] - x[0]) +
                               t.beta * (x[t.down + t.right] - x[t.down]));
                along += g * ((1 - t.alpha) * (x[t.down] - x[0]) +
                              t.alpha * (x[t.down + t.right] - x[t.right]));
            }
            du[i] = across;
            dv[i] = along;
        }
    }
}

KERNEL(channel_norm) {
    ARGS(channel_norm);
    const FN(sheaf) s = {a->outer, a->channels, a->inner};
    const int64_t blocks = FN(position_blocks)(&s);
    PARALLEL_FOR(a->outer * a->channels * a->inner)
    for (int64_t at = 0; at < a->outer * blocks; at++) {
        int64_t some, start = FN(block_start)(&s, at, &some);
        const real *x = (const real *)a->x + start;
        real *y = (real *)a->y + at / blocks * a->inner + at % blocks * POSITION_BLOCK;
        real sums[POSITION_BLOCK];
        for (int64_t i = 0; i < some; i++) sums[i] = 0;
        for (int64_t c = 0; c < a->channels; c++)
            SIMD
            for (int64_t i = 0; i < some; i++) sums[i] += x[c * a->inner + i] * x[c * a->inner + i];
        for (int64_t i = 0; i < some; i++) y[i] = (real)sqrt((double)sums[i]);
    }
}

KERNEL(channel_norm_backward) {
    ARGS(channel_norm_backward);
    const channel_norm_args *n = &a->shape;
    PARALLEL_FOR(n->outer * n->channels * n->inner)
    for (int64_t at = 0; at < n->outer * n->channels; at++) {
        const real *x = (const real *)n->x + at * n->inner;
        const real *y = (const real *)n->y + at / n->channels * n->inner;
        const real *dy = (const real *)a->dy + at / n->channels * n->inner;
        real *dx = (real *)a->dx + at * n->inner;
        SIMD
        for (int64_t i = 0; i < n->inner; i++) dx[i] = dy[i] * x[i] / (y[i] + (real)1e-9);
    }
}

/* A row of outputs from the rows below x; where the taps are two by two, no loop is left inside. */
INLINE void FN(resample_row)(const resample_args *a, const real *down, const real *x, real *between,
                             real *y) {
    const int32_t *column = a->column;
    const real *across = a->column_weight;
    if (a->row_taps == 2 && a->column_taps == 2 && down[0] != 0 && down[1] != 0) {
        SIMD
        for (int64_t i = 0; i < a->width; i++)
            between[i] = down[0] * x[i] + down[1] * x[a->width + i];
        SIMD
        for (int64_t i = 0; i < a->out_width; i++)
            y[i] = across[2 * i] * between[column[i]] + across[2 * i + 1] * between[column[i] + 1];
        return;
    }
    for (int64_t i = 0; i < a->width; i++) between[i] = 0;
    for (int64_t k = 0; k < a->row_taps; k++) {
        if (down[k] == 0) continue; /* what it does not see may be no number */
        SIMD
        for (int64_t i = 0; i < a->width; i++) between[i] += down[k] * x[k * a->width + i];
    }
    for (int64_t i = 0; i < a->out_width; i++, across += a->column_taps) {
        real sum = 0;
        for (int64_t k = 0; k < a->column_taps; k++) sum += across[k] * between[column[i] + k];
        y[i] = sum;
    }
}

/* Each dy of a row to the `taps` neighbours it was made of. */
INLINE void FN(share_row)(const resample_args *r, int64_t taps, const real *dy, real *share) {
    const int32_t *column = r->column;
    const real *across = r->column_weight;
    for (int64_t i = 0; i < r->out_width; i++, across += taps)
        for (int64_t k = 0; k < taps; k++) share[column[i] + k] += across[k] * dy[i];
}

KERNEL(resample) {
    ARGS(resample);
    const int32_t *row = a->row;
    PARALLEL_FOR(a->planes * a->out_height * (a->width * a->row_taps + a->out_width * a->column_taps))
    for (int64_t at = 0; at < a->planes * a->out_height; at++) {
        const int64_t h = at % a->out_height;
        const real *x = (const real *)a->x + (at / a->out_height * a->height + row[h]) * a->width;
        const real *down = (const real *)a->row_weight + h * a->row_taps;
        real *y = (real *)a->y + at * a->out_width;
        real *between = workspace(WORKSPACE_PARTIAL, sizeof(real) * (size_t)a->width);
        FN(resample_row)(a, down, x, between, y);
    }
}

KERNEL(resample_backward) {
    ARGS(resample_backward);
    const resample_args *r = &a->shape;
    const int32_t *row = r->row;
    const int64_t size = r->height * r->width;
    PARALLEL_FOR(r->planes * r->out_height * (r->width * r->row_taps + r->out_width * r->column_taps))
    for (int64_t plane = 0; plane < r->planes; plane++) {
        real *dx = (real *)a->dx + plane * size;
        real *share = workspace(WORKSPACE_PARTIAL, sizeof(real) * (size_t)r->width);
        memset(dx, 0, sizeof(real) * (size_t)size);
        for (int64_t h = 0; h < r->out_height; h++) {
            const real *dy = (const real *)a->dy + (plane * r->out_height + h) * r->out_width;
            const real *down = (const real *)r->row_weight + h * r->row_taps;
            memset(share, 0, sizeof(real) * (size_t)r->width);
            if (r->column_taps == 2)
                FN(share_row)(r, 2, dy, share);
            else
                FN(share_row)(r, r->column_taps, dy, share);
            for (int64_t k = 0; k < r->row_taps; k++) {
                real *to = dx + (row[h] + k) * r->width;
                for (int64_t i = 0; i < r->width; i++) to[i] += down[k] * share[i];
            }
        }
    }
}

/* One output from its taps: the weighted mean of what are numbers. */
static real FN(mean_of_taps)(const resample_args *a, const real *x, const real *down,
                             const real *across) {
    real sum = 0, known = 0, unknown = 0;
    for (int64_t j = 0; j < a->row_taps; j++)
        for (int64_t k = 0; k < a->column_taps; k++) {
            const real value = x[j * a->width + k], w = down[j] * across[k];
            const int is_number = value == value;
            sum += is_number ? w * value : 0;
            known += is_number ? w : 0;
            unknown += is_number ? 0 : w;
        }
    return 2 * unknown > known || known == 0 ? NAN : sum / known;
}

/* The weighted mean of what are numbers; NaN where more than half of their weight is not. Where
 * all are numbers, rows first over the whole width, then columns. */
KERNEL(mean_of_numbers) {
    ARGS(mean_of_numbers);
    const int32_t *row = a->row, *column = a->column;
    const int64_t width = a->width;
    real *weights = workspace(WORKSPACE_RESULT, sizeof(real) * (size_t)a->out_width);
    for (int64_t i = 0; i < a->out_width; i++) { /* of an output's taps along its row */
        weights[i] = 0;
        for (int64_t k = 0; k < a->column_taps; k++)
            weights[i] += ((const real *)a->column_weight)[i * a->column_taps + k];
    }
    PARALLEL_FOR(a->planes * a->out_height * (width * a->row_taps + a->out_width * a->column_taps))
    for (int64_t at = 0; at < a->planes * a->out_height; at++) {
        const int64_t h = at % a->out_height;
        const real *x = (const real *)a->x + (at / a->out_height * a->height + row[h]) * width;
        const real *down = (const real *)a->row_weight + h * a->row_taps;
        real *y = (real *)a->y + at * a->out_width, all = 0, weight = 0;
        real *between = workspace(WORKSPACE_PARTIAL, sizeof(real) * (size_t)(width + LANES));
        VEC sums = {0};
        for (int64_t j = 0; j < a->row_taps; j++) weight += down[j];
        for (int64_t i = 0; i < width; i += LANES) {
            VEC sum = {0};
            for (int64_t j = 0; j < a->row_taps; j++)
                sum += down[j] * FN(load_some)(x + j * width + i, MIN(LANES, width - i));
            *(VEC *)(between + i) = sum;
            sums += sum;
        }
        for (int64_t lane = 0; lane < LANES; lane++) all += sums[lane];
        for (int64_t i = 0; i < a->out_width; i++) {
            const real *across = (const real *)a->column_weight + i * a->column_taps;
            if (all != all) {
                y[i] = FN(mean_of_taps)(a, x + column[i], down, across);
                continue;
            }
            const real known = weights[i] * weight;
            real sum = 0;
            for (int64_t k = 0; k < a->column_taps; k++) sum += across[k] * between[column[i] + k];
            y[i] = known == 0 ? NAN : sum / known;
        }
    }
}
