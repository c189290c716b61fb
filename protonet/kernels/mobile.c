/* Piecewise activations of nets for small machines, and a scaled sum. x == y and dy == dx are
 * allowed in the activations. */

KERNEL(relu6) {
    ARGS(relu6);
    const real *x = a->x, slope = (real)a->slope, limit = (real)a->limit;
    real *y = a->y;
    FOR_EACH(i, a->n, 1) {
        const real value = x[i] > 0 ? x[i] : slope * x[i];
        y[i] = value > limit ? limit : value;
    }
}

KERNEL(relu6_backward) {
    ARGS(relu6_backward);
    const real *x = a->x, *dy = a->dy, slope = (real)a->slope, limit = (real)a->limit;
    real *dx = a->dx;
    FOR_EACH(i, a->n, 1) dx[i] = x[i] >= limit ? 0 : (x[i] > 0 ? dy[i] : slope * dy[i]);
}

KERNEL(hard_sigmoid) {
    ARGS(hard_sigmoid);
    const real *x = a->x, alpha = (real)a->alpha, beta = (real)a->beta;
    real *y = a->y;
    FOR_EACH(i, a->n, 1) {
        const real value = alpha * x[i] + beta;
        y[i] = value < 0 ? 0 : (value > 1 ? 1 : value);
    }
}

KERNEL(hard_sigmoid_backward) {
    ARGS(hard_sigmoid_backward);
    const real *y = a->y, *dy = a->dy, alpha = (real)a->alpha;
    real *dx = a->dx;
    FOR_EACH(i, a->n, 1) dx[i] = y[i] > 0 && y[i] < 1 ? alpha * dy[i] : 0;
}

KERNEL(hard_swish) {
    ARGS(hard_swish);
    const real *x = a->x;
    real *y = a->y;
    FOR_EACH(i, a->n, 1) {
        const real gate = x[i] * (real)(1.0 / 6) + (real)0.5;
        y[i] = x[i] * (gate < 0 ? 0 : (gate > 1 ? 1 : gate));
    }
}

KERNEL(hard_swish_backward) {
    ARGS(hard_swish_backward);
    const real *x = a->x, *dy = a->dy;
    real *dx = a->dx;
    FOR_EACH(i, a->n, 1) {
        const real inside = x[i] * (real)(1.0 / 3) + (real)0.5;
        dx[i] = dy[i] * (x[i] <= -3 ? 0 : (x[i] >= 3 ? 1 : inside));
    }
}

KERNEL(scaled_sum) {
    ARGS(scaled_sum);
    const real *scale = a->scale;
    PARALLEL_FOR(a->rows * a->inner)
    for (int64_t row = 0; row < a->rows; row++) {
        const real *x = (const real *)a->x + row * a->inner, *z = (const real *)a->z + row * a->inner;
        real *y = (real *)a->y + row * a->inner, by = scale[row];
        SIMD
        for (int64_t i = 0; i < a->inner; i++) y[i] = by * x[i] + z[i];
    }
}
