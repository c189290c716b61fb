/* Scale, bias and batch normalisation: per-channel maps over outer × channels × inner. Sums
 * run over one channel in the order of memory, so that they do not depend on the team. */

#define SUMS_OF_A_LANE 256

/* sum over outer and inner of u, and of u * v (v may be NULL), for one channel. */
static void FN(channel_sums)(const real *u, const real *v, real shift, int64_t outer,
                             int64_t channels, int64_t inner, int64_t channel, double *sum,
                             double *product) {
    double total = 0, total_product = 0;
    for (int64_t o = 0; o < outer; o++) {
        const int64_t start = (o * channels + channel) * inner;
        int64_t i = 0;
        while (i + LANES <= inner) { /* few to a lane: the rest is added up in double */
            VEC sums = {0}, products = {0};
            const int64_t end = MIN(inner, i + SUMS_OF_A_LANE * LANES);
            for (; i + LANES <= end; i += LANES) {
                VEC a = *(const VEC *)(u + start + i);
                sums += a;
                if (v) products += a * (*(const VEC *)(v + start + i) - shift);
            }
            for (int64_t lane = 0; lane < LANES; lane++) {
                total += (double)sums[lane];
                total_product += (double)products[lane];
            }
        }
        for (; i < inner; i++) {
            total += (double)u[start + i];
            if (v) total_product += (double)u[start + i] * (double)(v[start + i] - shift);
        }
    }
    *sum = total;
    *product = total_product;
}

/* Channels side by side. */
static void FN(scale_row)(const real *x, const real *scale, const real *bias, int64_t channels,
                          real *y) {
    if (scale && bias)
        SIMD for (int64_t c = 0; c < channels; c++) y[c] = x[c] * scale[c] + bias[c];
    else if (scale)
        SIMD for (int64_t c = 0; c < channels; c++) y[c] = x[c] * scale[c];
    else if (bias)
        SIMD for (int64_t c = 0; c < channels; c++) y[c] = x[c] + bias[c];
    else
        memmove(y, x, sizeof(real) * (size_t)channels);
}

KERNEL(scale) {
    ARGS(scale);
    const real *x = a->x, *scale = a->scale, *bias = a->bias;
    real *y = a->y;
    if (a->inner == 1) {
        PARALLEL_FOR(a->outer * a->channels)
        for (int64_t row = 0; row < a->outer; row++)
            FN(scale_row)(x + row * a->channels, scale, bias, a->channels, y + row * a->channels);
        return;
    }
    PARALLEL_FOR(a->outer * a->channels * a->inner)
    for (int64_t row = 0; row < a->outer * a->channels; row++) {
        const int64_t c = row % a->channels;
        const real m = scale ? scale[c] : 1, b = bias ? bias[c] : 0;
        const real *from = x + row * a->inner;
        real *to = y + row * a->inner;
        for (int64_t i = 0; i < a->inner; i++) to[i] = from[i] * m + b;
    }
}

KERNEL(scale_gradient) {
    ARGS(scale_gradient);
    real *dscale = a->dscale, *dbias = a->dbias;
    const real keep = (real)a->keep;
    PARALLEL_FOR(a->outer * a->channels * a->inner)
    for (int64_t c = 0; c < a->channels; c++) {
        double sum, product;
        FN(channel_sums)(a->dy, dscale ? a->x : NULL, 0, a->outer, a->channels, a->inner, c, &sum,
                         &product);
        if (dscale) dscale[c] = keep * dscale[c] + (real)product;
        if (dbias) dbias[c] = keep * dbias[c] + (real)sum;
    }
}

KERNEL(batch_norm) {
    ARGS(batch_norm);
    const real *x = a->x;
    real *y = a->y, *normalized = a->normalized;
    real *mean = a->mean, *inverse = a->inverse_std;
    real *running_mean = a->running_mean, *running_variance = a->running_variance;
    real *weight = a->running_weight;
    const double count = (double)(a->outer * a->inner);
    const real kept = (real)a->fraction;
    PARALLEL_FOR(a->outer * a->channels * a->inner)
    for (int64_t c = 0; c < a->channels; c++) {
        double first = (double)x[c * a->inner], sum = 0, squares = 0;
        for (int64_t o = 0; o < a->outer; o++) { /* around the first value: no cancellation */
            const real *from = x + (o * a->channels + c) * a->inner;
            VEC sums = {0}, products = {0};
            int64_t i = 0;
            for (; i + LANES <= a->inner; i += LANES) {
                VEC d = *(const VEC *)(from + i) - (real)first;
                sums += d;
                products += d * d;
            }
            for (int64_t lane = 0; lane < LANES; lane++) {
                sum += (double)sums[lane];
                squares += (double)products[lane];
            }
            for (; i < a->inner; i++) {
                double d = (double)from[i] - first;
                sum += d;
                squares += d * d;
            }
        }
        const double offset = sum / count;
        const double variance = MAX(0, squares / count - offset * offset);
        mean[c] = (real)(first + offset);
        inverse[c] = (real)(1 / sqrt(variance + a->eps));
        const double unbiased = count > 1 ? count / (count - 1) : 1;
        running_mean[c] = kept * running_mean[c] + mean[c];
        running_variance[c] = kept * running_variance[c] + (real)(unbiased * variance);
        for (int64_t o = 0; o < a->outer; o++) {
            const int64_t start = (o * a->channels + c) * a->inner;
            const real m = mean[c], s = inverse[c];
            for (int64_t i = start; i < start + a->inner; i++) y[i] = (x[i] - m) * s;
            if (normalized)
                memcpy(normalized + start, y + start, sizeof(real) * (size_t)a->inner);
        }
    }
    weight[0] = kept * weight[0] + 1;
}

KERNEL(batch_norm_global) {
    ARGS(batch_norm_global);
    const real *x = a->x, *running_mean = a->running_mean, *running_variance = a->running_variance;
    real *y = a->y, *inverse = a->inverse_std;
    const real weight = *(const real *)a->running_weight, one_over = weight == 0 ? 0 : 1 / weight;
    for (int64_t c = 0; c < a->channels; c++)
        inverse[c] = (real)(1 / sqrt((double)(running_variance[c] * one_over) + a->eps));
    PARALLEL_FOR(a->outer * a->channels * a->inner)
    for (int64_t row = 0; row < a->outer * a->channels; row++) {
        const int64_t c = row % a->channels, start = row * a->inner;
        const real m = running_mean[c] * one_over, s = inverse[c];
        for (int64_t i = start; i < start + a->inner; i++) y[i] = (x[i] - m) * s;
    }
}

/* With z the normalised x: dx = (dy - mean(dy) - z mean(dy z)) / std. */
KERNEL(batch_norm_backward) {
    ARGS(batch_norm_backward);
    const real *dy = a->dy, *z = a->normalized, *x = a->x, *mean = a->mean;
    const real *inverse = a->inverse_std;
    real *dx = a->dx;
    const double count = (double)(a->outer * a->inner);
    PARALLEL_FOR(a->outer * a->channels * a->inner)
    for (int64_t c = 0; c < a->channels; c++) {
        double sum, product;
        const real m = mean[c], s = inverse[c];
        FN(channel_sums)(dy, z ? z : x, z ? 0 : m, a->outer, a->channels, a->inner, c, &sum,
                         &product);
        const real along = (real)(product / count) * (z ? 1 : s), average = (real)(sum / count);
        for (int64_t o = 0; o < a->outer; o++) {
            const int64_t start = (o * a->channels + c) * a->inner;
            if (z)
                for (int64_t i = start; i < start + a->inner; i++)
                    dx[i] = (dy[i] - average - z[i] * along) * s;
            else
                for (int64_t i = start; i < start + a->inner; i++)
                    dx[i] = (dy[i] - average - (x[i] - m) * s * along) * s;
        }
    }
}

/* Each row by itself: y = x - mean, then / (std + eps) unless std is NULL. */
KERNEL(mvn) {
    ARGS(mvn);
    const real *x = a->x;
    real *y = a->y, *std = a->std;
    PARALLEL_FOR(a->rows * a->size)
    for (int64_t row = 0; row < a->rows; row++) {
        double sum, squares;
        const real *from = x + row * a->size;
        real *to = y + row * a->size;
        FN(channel_sums)(from, NULL, 0, 1, 1, a->size, 0, &sum, &squares);
        const real mean = (real)(sum / (double)a->size);
        for (int64_t i = 0; i < a->size; i++) to[i] = from[i] - mean;
        if (!std) continue;
        FN(channel_sums)(to, to, 0, 1, 1, a->size, 0, &sum, &squares);
        std[row] = (real)(sqrt(squares / (double)a->size) + a->eps);
        for (int64_t i = 0; i < a->size; i++) to[i] /= std[row];
    }
}

/* dx = (dy - mean(dy) - y mean(dy y)) / (std + eps), or dy - mean(dy) where std is NULL. */
KERNEL(mvn_backward) {
    ARGS(mvn_backward);
    const real *y = a->y, *dy = a->dy, *std = a->std;
    real *dx = a->dx;
    PARALLEL_FOR(a->rows * a->size)
    for (int64_t row = 0; row < a->rows; row++) {
        double sum, product;
        const int64_t start = row * a->size;
        FN(channel_sums)(dy + start, std ? y + start : NULL, 0, 1, 1, a->size, 0, &sum, &product);
        const real mean = (real)(sum / (double)a->size);
        const real along = std ? (real)(product / (double)a->size) : 0, s = std ? 1 / std[row] : 1;
        for (int64_t i = start; i < start + a->size; i++)
            dx[i] = (dy[i] - mean - (std ? y[i] * along : 0)) * s;
    }
}
