/* The sizes of a convolution that follow from its geometry. */

typedef struct {
    int64_t taps, out, plane;        /* elements of a filter plane, an output plane, an input plane */
    int64_t in_group, out_group;     /* channels of a group */
    int64_t depth;                   /* in_group * taps: the product's inner size */
    int pointwise;                   /* the columns are the image itself */
} FN(extent);

static FN(extent) FN(extent_of)(const convolution_args *s) {
    FN(extent) e;
    e.taps = FN(product_of)(s->kernel, s->axes);
    e.out = FN(product_of)(s->out, s->axes);
    e.plane = FN(product_of)(s->size, s->axes);
    e.in_group = s->channels / s->group;
    e.out_group = s->outputs / s->group;
    e.depth = e.in_group * e.taps;
    e.pointwise = e.taps == 1;
    for (int64_t i = 0; i < s->axes; i++)
        e.pointwise = e.pointwise && s->stride[i] == 1 && s->pad[i] == 0;
    return e;
}

/* Elements from one image of x, and of y, to the next. */
INLINE int64_t FN(x_step)(const convolution_args *s, const FN(extent) *e) {
    return s->x_image ? s->x_image : s->channels * e->plane;
}
INLINE int64_t FN(y_step)(const convolution_args *s, const FN(extent) *e) {
    return s->y_image ? s->y_image : s->outputs * e->out;
}
