/* Filters as convolutions pack them: as they lie, or turned round with inputs and outputs exchanged,
 * which makes the gradient of the data a convolution of dy. */

/* Weight of output o, input i and tap t: weight[o out_step + i in_step + t], or taps - 1 - t if turned. */
typedef struct {
    const real *weight;
    int64_t out_step, in_step, taps;
    int turned;
} FN(filters);

/* Group g of a convolution's filters; of a turned one (shape_turned) the weights are the original's. */
static FN(filters) FN(filters_of)(const convolution_args *s, int64_t g, int turned) {
    const int64_t in = s->channels / s->group, out = s->outputs / s->group;
    const int64_t taps = FN(product_of)(s->kernel, s->axes);
    const real *weight = (const real *)s->weight + g * in * out * taps;
    if (turned) return (FN(filters)){weight, taps, out * taps, taps, taps > 1};
    return (FN(filters)){weight, in * taps, taps, taps, 0};
}

/* The matrix of inputs and taps × outputs, in panels (an FN(packer)). */
static void FN(pack_filters)(const void *source, real *packed, int64_t k, int64_t depth, int64_t j,
                             int64_t width) {
    const FN(filters) *f = source;
    if (!f->turned) {
        FN(strided) matrix = {f->weight, f->taps == 1 ? f->in_step : 1, f->out_step};
        FN(pack_strided)(&matrix, packed, k, depth, j, width);
        return;
    }
    for (int64_t at = 0; at < width; at += TILE_COLUMNS, packed += TILE_COLUMNS * depth) {
        const int64_t some = MIN(TILE_COLUMNS, width - at);
        for (int64_t d = 0; d < depth; d++) {
            const real *from = f->weight + (j + at) * f->out_step + (k + d) / f->taps * f->in_step +
                               f->taps - 1 - (k + d) % f->taps;
            for (int64_t i = 0; i < TILE_COLUMNS; i++)
                packed[d * TILE_COLUMNS + i] = i < some ? from[i * f->out_step] : 0;
        }
    }
}

/* Its transpose's rows `from` … `end` - 1, at most TILE_ROWS, as a panel of A. */
static void FN(pack_filter_rows)(const FN(filters) *f, int64_t from, int64_t end, int64_t depth,
                                 real *packed) {
    const real *weight = f->weight + from * f->out_step;
    if (!f->turned) {
        FN(pack_a)(weight, f->out_step, f->taps == 1 ? f->in_step : 1, end - from, depth, packed);
        return;
    }
    for (int64_t d = 0; d < depth; d++)
        for (int64_t r = 0; r < TILE_ROWS; r++)
            packed[d * TILE_ROWS + r] =
                r < end - from ? weight[r * f->out_step + d / f->taps * f->in_step + f->taps - 1 -
                                        d % f->taps]
                               : 0;
}

/* The convolution of dy that gives dx, where there is one: strides are 1, or the filter is one tap
 * without padding, and then dx's elements that were seen lie densely. */
static int FN(turned_shape)(const convolution_args *s, convolution_args *t) {
    *t = (convolution_args){.weight = s->weight, .n = s->n, .channels = s->outputs,
                            .outputs = s->channels, .group = s->group, .axes = s->axes};
    for (int64_t axis = 0; axis < s->axes; axis++) {
        const int64_t reach = (s->kernel[axis] - 1) * s->dilation[axis];
        const int dense = s->kernel[axis] == 1 && s->pad[axis] == 0;
        if (!dense && (s->stride[axis] != 1 || s->pad[axis] > reach)) return 0;
        t->size[axis] = s->out[axis];
        t->out[axis] = dense ? s->out[axis] : s->size[axis];
        t->kernel[axis] = s->kernel[axis];
        t->dilation[axis] = s->dilation[axis];
        t->pad[axis] = dense ? 0 : reach - s->pad[axis];
        t->stride[axis] = 1;
    }
    return 1;
}
