/* SSD's parts: scaled L2 norms, the choice of detections. */

/* Positions are taken in blocks, so that all channels of a block stay near the core. */
INLINE int64_t FN(norm_positions)(const l2_normalize_args *a) {
    return MAX(1, a->across ? a->inner : MIN(256, a->inner));
}

KERNEL(l2_normalize) {
    ARGS(l2_normalize);
    const int64_t block = FN(norm_positions)(a), blocks = (a->inner + block - 1) / block;
    const real *scale = a->scale, eps = (real)a->eps;
    PARALLEL_FOR(a->outer * a->channels * a->inner * 2)
    for (int64_t at = 0; at < a->outer * blocks; at++) {
        const int64_t n = at / blocks, first = at % blocks * block;
        const int64_t some = MIN(block, a->inner - first);
        const real *x = (const real *)a->x + n * a->channels * a->inner + first;
        real *y = (real *)a->y + n * a->channels * a->inner + first;
        if (a->across) {
            real sum = 0;
            for (int64_t c = 0; c < a->channels; c++) {
                const real *from = x + c * a->inner;
                real part = 0;
                PRAGMA(omp simd reduction(+ : part))
                for (int64_t i = 0; i < some; i++) part += from[i] * from[i];
                sum += part;
            }
            const real norm = (real)sqrt(sum + eps);
            ((real *)a->norm)[n] = norm;
            for (int64_t c = 0; c < a->channels; c++) {
                const real factor = scale[c * a->scale_step] / norm;
                for (int64_t i = c * a->inner; i < c * a->inner + some; i++) y[i] = x[i] * factor;
            }
        } else {
            real *norm = (real *)a->norm + n * a->inner + first;
            for (int64_t i = 0; i < some; i++) norm[i] = eps;
            for (int64_t c = 0; c < a->channels; c++)
                for (int64_t i = 0; i < some; i++)
                    norm[i] += x[c * a->inner + i] * x[c * a->inner + i];
            real inverse[256];
            for (int64_t i = 0; i < some; i++) {
                norm[i] = (real)sqrt(norm[i]);
                inverse[i] = 1 / norm[i];
            }
            for (int64_t c = 0; c < a->channels; c++) {
                const real factor = scale[c * a->scale_step];
                for (int64_t i = 0; i < some; i++)
                    y[c * a->inner + i] = x[c * a->inner + i] * inverse[i] * factor;
            }
        }
    }
}

/* With u = x / norm: dx = (s dy - u sum of s dy u) / norm. */
KERNEL(l2_normalize_backward) {
    ARGS(l2_normalize_backward);
    const l2_normalize_args *s = &a->shape;
    const int64_t block = FN(norm_positions)(s), blocks = (s->inner + block - 1) / block;
    const real *scale = s->scale;
    PARALLEL_FOR(s->outer * s->channels * s->inner * 4)
    for (int64_t at = 0; at < s->outer * blocks; at++) {
        const int64_t n = at / blocks, first = at % blocks * block;
        const int64_t some = MIN(block, s->inner - first);
        const int64_t start = n * s->channels * s->inner + first;
        const real *x = (const real *)s->x + start, *dy = (const real *)a->dy + start;
        real *dx = (real *)a->dx + start;
        if (s->across) {
            const real norm = ((const real *)s->norm)[n];
            real sum = 0;
            for (int64_t c = 0; c < s->channels; c++) {
                const real *g = dy + c * s->inner, *from = x + c * s->inner;
                real part = 0;
                PRAGMA(omp simd reduction(+ : part))
                for (int64_t i = 0; i < some; i++) part += g[i] * from[i];
                sum += part * scale[c * s->scale_step];
            }
            const real share = sum / (norm * norm);
            for (int64_t c = 0; c < s->channels; c++) {
                const real factor = scale[c * s->scale_step];
                for (int64_t i = 0; i < some; i++) {
                    const int64_t j = c * s->inner + i;
                    dx[j] = (factor * dy[j] - x[j] * share) / norm;
                }
            }
        } else {
            const real *norm = (const real *)s->norm + n * s->inner + first;
            real share[256], inverse[256];
            for (int64_t i = 0; i < some; i++) {
                share[i] = 0;
                inverse[i] = 1 / norm[i];
            }
            for (int64_t c = 0; c < s->channels; c++)
                for (int64_t i = 0, j = c * s->inner; i < some; i++, j++)
                    share[i] += scale[c * s->scale_step] * dy[j] * x[j];
            for (int64_t i = 0; i < some; i++) share[i] *= inverse[i] * inverse[i];
            for (int64_t c = 0; c < s->channels; c++) {
                const real factor = scale[c * s->scale_step];
                for (int64_t i = 0; i < some; i++) {
                    const int64_t j = c * s->inner + i;
                    dx[j] = (factor * dy[j] - x[j] * share[i]) * inverse[i];
                }
            }
        }
    }
}

KERNEL(l2_normalize_gradient) {
    ARGS(l2_normalize_gradient);
    const l2_normalize_args *s = &a->shape;
    real *sums = workspace(WORKSPACE_PARTIAL, sizeof(real) * (size_t)s->channels);
    PARALLEL_FOR(s->outer * s->channels * s->inner * 2)
    for (int64_t c = 0; c < s->channels; c++) {
        real sum = 0;
        for (int64_t n = 0; n < s->outer; n++) {
            const int64_t start = (n * s->channels + c) * s->inner;
            const real *x = (const real *)s->x + start, *dy = (const real *)a->dy + start;
            const real *norm = (const real *)s->norm + (s->across ? n : n * s->inner);
            real part = 0;
            if (s->across) {
                PRAGMA(omp simd reduction(+ : part))
                for (int64_t i = 0; i < s->inner; i++) part += dy[i] * x[i];
                part /= norm[0];
            } else {
                PRAGMA(omp simd reduction(+ : part))
                for (int64_t i = 0; i < s->inner; i++) part += dy[i] * x[i] / norm[i];
            }
            sum += part;
        }
        sums[c] = sum;
    }
    real *dscale = a->dscale;
    for (int64_t c = 0; c < s->channels; c++) dscale[c * s->scale_step] += sums[c];
}

/* ---- detections -------------------------------------------------------------------------- */

/* Keeps the `keep` best of one image over all its classes, each class's best first. */
static void FN(keep_best)(const detect_args *a, const real *scores, int64_t *kept,
                          int64_t *counts) {
    int64_t total = 0, n = 0;
    for (int64_t c = 0; c < a->classes; c++) total += counts[c];
    if (a->keep < 0 || total <= a->keep) return;
    const FN(nms_space) space = FN(nms_space_for)(total);
    for (int64_t c = 0; c < a->classes; c++) {
        for (int64_t at = c * a->most; at < c * a->most + counts[c]; at++)
            space.items[n++] = (FN(scored)){scores[kept[at] * a->classes + c], at};
        counts[c] = 0;
    }
    /* A class's places come up in their order, so what is still to be read is never written. */
    const FN(scored) *best = FN(best_first)(space.items, space.spare, n);
    for (int64_t i = 0; i < a->keep; i++) {
        const int64_t c = best[i].index / a->most;
        kept[c * a->most + counts[c]++] = kept[best[i].index];
    }
}

KERNEL(detect) {
    ARGS(detect);
    int64_t *kept = a->kept, *counts = a->counts;
    const int64_t size = a->priors * a->classes;
    PARALLEL_FOR(a->images * size * 4)
    for (int64_t at = 0; at < a->images * a->classes; at++) {
        const int64_t image = at / a->classes, c = at % a->classes;
        if (c == a->background) {
            counts[at] = 0;
            continue;
        }
        const real *boxes = (const real *)a->boxes + image * a->priors * a->locations * 4;
        counts[at] = FN(suppress)(
            boxes + (a->locations > 1 ? c * 4 : 0), a->locations * 4,
            (const real *)a->scores + image * size + c, a->classes, a->priors, &a->rule,
            kept + at * a->most);
    }
    for (int64_t i = 0; i < a->images; i++)
        FN(keep_best)(a, (const real *)a->scores + i * size, kept + i * a->classes * a->most,
                      counts + i * a->classes);
}

KERNEL(detection_rows) {
    ARGS(detection_rows);
    const detect_args *d = &a->found;
    const int64_t *kept = d->kept, *counts = d->counts;
    real *row = a->rows;
    for (int64_t image = 0; image < d->images; image++)
        for (int64_t c = 0; c < d->classes; c++) {
            const int64_t at = image * d->classes + c, place = d->locations > 1 ? c : 0;
            for (int64_t j = 0; j < counts[at]; j++, row += 7) {
                const int64_t prior = image * d->priors + kept[at * d->most + j];
                row[0] = (real)image;
                row[1] = (real)c;
                row[2] = ((const real *)d->scores)[prior * d->classes + c];
                memcpy(row + 3, (const real *)d->boxes + (prior * d->locations + place) * 4,
                       4 * sizeof(real));
            }
        }
}
