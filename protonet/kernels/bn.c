/* Batch normalisation with its own slope and bias in one layer, as SegNet and PSPNet have it. */

/* The mean of a channel, and its biased variance. */
static void FN(channel_moments)(const real *x, int64_t outer, int64_t channels, int64_t inner,
                                int64_t c, double *mean, double *variance) {
    const double count = (double)(outer * inner);
    double sum, squares;
    FN(channel_sums)(x, NULL, 0, outer, channels, inner, c, &sum, &squares);
    *mean = sum / count;
    const real middle = (real)*mean;
    double offset = 0;
    squares = 0;
    for (int64_t o = 0; o < outer; o++) {
        const real *from = x + (o * channels + c) * inner;
        for (int64_t start = 0; start < inner; start += SUMS_OF_A_LANE * LANES) {
            real total = 0, product = 0;
            PRAGMA(omp simd reduction(+ : total, product))
            for (int64_t i = start; i < MIN(inner, start + SUMS_OF_A_LANE * LANES); i++) {
                const real d = from[i] - middle;
                total += d;
                product += d * d;
            }
            offset += (double)total;
            squares += (double)product;
        }
    }
    offset /= count;
    *variance = MAX(0, squares / count - offset * offset);
}

KERNEL(bn) {
    ARGS(bn);
    const real *x = a->x, *slope = a->slope, *bias = a->bias;
    real *y = a->y, *mean = a->mean, *inverse = a->inverse_std, *kept = a->variance;
    real *running_mean = a->running_mean, *running_variance = a->running_variance;
    const real below = a->rectify ? (real)a->below : 1;
    PARALLEL_FOR(a->outer * a->channels * a->inner * 2)
    for (int64_t c = 0; c < a->channels; c++) {
        double m, v;
        if (a->use_running) {
            m = (double)running_mean[c];
            v = (double)running_variance[c];
        } else {
            FN(channel_moments)(x, a->outer, a->channels, a->inner, c, &m, &v);
            if (running_mean) {
                running_mean[c] = (real)(a->momentum * running_mean[c] + (1 - a->momentum) * m);
                running_variance[c] =
                    (real)(a->momentum * running_variance[c] + (1 - a->momentum) * v);
            }
        }
        mean[c] = (real)m;
        inverse[c] = (real)(1 / sqrt(v + a->eps));
        if (kept) kept[c] = (real)v;
        const real middle = mean[c], by = slope[c] * inverse[c], more = bias[c];
        for (int64_t o = 0; o < a->outer; o++) {
            const int64_t start = (o * a->channels + c) * a->inner;
            SIMD
            for (int64_t i = start; i < start + a->inner; i++) {
                const real value = (x[i] - middle) * by + more;
                y[i] = value < 0 ? below * value : value;
            }
        }
    }
}

/* As channel_sums of dy and x, of dy as it is before a ReLU (y is behind it). */
static void FN(rectified_sums)(const bn_args *n, const real *dy, int64_t c, double *sum, double *product) {
    const real *x = n->x, *y = n->y, shift = ((const real *)n->mean)[c], below = (real)n->below;
    *sum = *product = 0;
    for (int64_t o = 0; o < n->outer; o++) {
        const int64_t first = (o * n->channels + c) * n->inner;
        for (int64_t start = first; start < first + n->inner; start += SUMS_OF_A_LANE * LANES) {
            real total = 0, products = 0;
            PRAGMA(omp simd reduction(+ : total, products))
            for (int64_t i = start; i < MIN(first + n->inner, start + SUMS_OF_A_LANE * LANES); i++) {
                const real d = y[i] > 0 ? dy[i] : below * dy[i];
                total += d;
                products += d * (x[i] - shift);
            }
            *sum += (double)total;
            *product += (double)products;
        }
    }
}

/* With z = (x - mean) / std: dslope += sum dy z, dbias += sum dy, dx = slope / std (dy - mean(dy) -
 * z mean(dy z)), the means left out where the statistics were the running ones. */
KERNEL(bn_backward) {
    ARGS(bn_backward);
    const bn_args *n = &a->shape;
    const real *x = n->x, *dy = a->dy, *slope = n->slope, *mean = n->mean, *inverse = n->inverse_std;
    const real *y = n->y, below = (real)n->below;
    real *dx = a->dx, *dslope = a->dslope, *dbias = a->dbias;
    const double count = (double)(n->outer * n->inner);
    PARALLEL_FOR(n->outer * n->channels * n->inner * 2)
    for (int64_t c = 0; c < n->channels; c++) {
        double sum = 0, product = 0;
        if (n->rectify)
            FN(rectified_sums)(n, dy, c, &sum, &product);
        else if (dslope || dbias || !n->use_running)
            FN(channel_sums)(dy, x, mean[c], n->outer, n->channels, n->inner, c, &sum, &product);
        if (dslope) dslope[c] += (real)(product * inverse[c]);
        if (dbias) dbias[c] += (real)sum;
        if (!dx) continue;
        const real by = slope[c] * inverse[c], middle = mean[c];
        const real average = n->use_running ? 0 : (real)(sum / count);
        const real along =
            n->use_running ? 0 : (real)(product / count * (double)inverse[c] * (double)inverse[c]);
        for (int64_t o = 0; o < n->outer; o++) {
            const int64_t start = (o * n->channels + c) * n->inner;
            if (n->rectify)
                SIMD
                for (int64_t i = start; i < start + n->inner; i++) {
                    const real d = y[i] > 0 ? dy[i] : below * dy[i];
                    dx[i] = by * (d - average - (x[i] - middle) * along);
                }
            else
                SIMD
                for (int64_t i = start; i < start + n->inner; i++)
                    dx[i] = by * (dy[i] - average - (x[i] - middle) * along);
        }
    }
}
