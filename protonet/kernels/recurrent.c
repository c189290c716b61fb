/* The elementwise parts of recurrent steps; the products around them are matmul's. */

/* gates (rows × 4 size: i, f, o, g) are replaced by their activations. */
KERNEL(lstm_unit) {
    ARGS(lstm_unit);
    const real *c_before = a->c_before, *cont = a->cont;
    const real *gates = a->gates;
    real *active = a->active, *c = a->c, *h = a->h;
    const int64_t size = a->size;
    PARALLEL_FOR(a->rows * size * 16)
    for (int64_t row = 0; row < a->rows; row++) {
        const real goes_on = cont[row];
        SIMD
        for (int64_t j = 0; j < size; j++) {
            const int64_t at = row * 4 * size + j;
            const real in = FN(sigmoid_of)(gates[at]);
            const real kept = goes_on * FN(sigmoid_of)(gates[at + size]);
            const real forget = goes_on == 0 ? 0 : kept;
            const real out = FN(sigmoid_of)(gates[at + 2 * size]);
            const real next = FN(tanh_of)(gates[at + 3 * size]);
            active[at] = in;
            active[at + size] = forget;
            active[at + 2 * size] = out;
            active[at + 3 * size] = next;
            const real value = forget * c_before[row * size + j] + in * next;
            c[row * size + j] = value;
            h[row * size + j] = out * FN(tanh_of)(value);
        }
    }
}

KERNEL(lstm_unit_backward) {
    ARGS(lstm_unit_backward);
    const real *c_before = a->c_before, *active = a->active, *c = a->c;
    const real *dc = a->dc, *dh = a->dh;
    real *dc_before = a->dc_before, *dgates = a->dgates;
    const int64_t size = a->size;
    PARALLEL_FOR(a->rows * size * 16)
    for (int64_t row = 0; row < a->rows; row++)
        SIMD
        for (int64_t j = 0; j < size; j++) {
            const int64_t at = row * 4 * size + j, i = row * size + j;
            const real in = active[at], forget = active[at + size];
            const real out = active[at + 2 * size], next = active[at + 3 * size];
            const real squashed = FN(tanh_of)(c[i]);
            const real down = (dc ? dc[i] : 0) + dh[i] * out * (1 - squashed * squashed);
            const real before = c_before[i];
            dgates[at] = down * next * in * (1 - in);
            dgates[at + size] = down * before * forget * (1 - forget);
            dgates[at + 2 * size] = dh[i] * squashed * out * (1 - out);
            dgates[at + 3 * size] = down * in * (1 - next * next);
            dc_before[i] = down * forget;
        }
}

/* y = tanh(x); x == y is allowed. */
KERNEL(rnn_unit) {
    ARGS(rnn_unit);
    const real *x = a->x;
    real *y = a->y;
    FOR_EACH(i, a->n, 8) y[i] = FN(tanh_of)(x[i]);
}

/* dx = (dy + more) (1 - y²); more may be NULL. */
KERNEL(rnn_unit_backward) {
    ARGS(rnn_unit_backward);
    const real *y = a->y, *dy = a->dy, *more = a->more;
    real *dx = a->dx;
    if (more) {
        FOR_EACH(i, a->n, 1) dx[i] = (dy[i] + more[i]) * (1 - y[i] * y[i]);
    } else {
        FOR_EACH(i, a->n, 1) dx[i] = dy[i] * (1 - y[i] * y[i]);
    }
}
