/* Vectors across the output channels, as sums have them whose weights lie side by side, and rows of
 * pixels, as y has them. */

/* a[i], i < pixels ≤ LANES, holds `channels` channels of pixel i; channel c's pixels go, finished, side
 * by side to y[at + c plane]. a is scratch afterwards; what the rest of it holds does not matter. */
INLINE void FN(store_across)(const FN(finish) *finish, VEC slopes, VEC *a, int64_t pixels,
                             int64_t channels, int64_t plane, int64_t at, real *y) {
    VEC b[LANES];
    if (!finish->residual && finish->what == RECTIFY) {
#pragma GCC unroll 16
        for (int64_t i = 0; i < LANES; i++) a[i] = FN(rectified)(a[i]);
    } else if (!finish->residual && finish->what == ACTIVATE)
        for (int64_t i = 0; i < pixels; i++) a[i] = FN(activated)(finish, a[i], slopes);
    FN(transpose)(a, b);
    if (finish->residual)
        for (int64_t i = 0; i < channels; i++) {
            a[i] += FN(load_some)(finish->residual + at + i * plane, pixels);
            if (finish->what != PLAIN)
                a[i] = FN(activated)(finish, a[i], (VEC){0} + slopes[i]);
        }
    if (channels == LANES && pixels == LANES) {
#pragma GCC unroll 16
        for (int64_t i = 0; i < LANES; i++) *(VEC *)(y + at + i * plane) = a[i];
        return;
    }
    if (channels == LANES) {
#pragma GCC unroll 16
        for (int64_t i = 0; i < LANES; i++) FN(store_some)(y + at + i * plane, a[i], pixels);
        return;
    }
    for (int64_t i = 0; i < channels; i++) FN(store_some)(y + at + i * plane, a[i], pixels);
}

/* Slopes of a vector of channels. */
INLINE VEC FN(slopes_across)(const FN(finish) *finish, int64_t channel, int64_t channels) {
    if (finish->row_slopes) return FN(load_some)(finish->row_slopes + channel, channels);
    return (VEC){0} + finish->slope;
}

/* Planes of output channels, all pixels of one side by side. */
typedef struct {
    FN(finish) finish;  /* at y */
    const real *bias;   /* of the first channel, or NULL */
    real *y;
    int64_t plane, outputs; /* elements from channel to channel; channels */
} FN(output_planes);

/* `pixels` pixels of one vector of channels, turned, finished and stored; their sums lie `vectors`
 * vectors apart, readable to whole vectors of pixels. */
static void FN(store_pixels)(const FN(output_planes) *to, int pixels, const VEC *sum, int vectors,
                             int64_t channel, int64_t at) {
    const int64_t some = MIN(LANES, to->outputs - channel);
    const VEC slopes = FN(slopes_across)(&to->finish, channel, some);
    VEC a[LANES], bias = {0};
    if (to->bias) bias = FN(load_some)(to->bias + channel, some);
    for (int first = 0; first < pixels; first += (int)LANES) {
        const int64_t here = MIN(LANES, pixels - first);
#pragma GCC unroll 16
        for (int64_t i = 0; i < LANES; i++) a[i] = sum[(first + i) * vectors] + bias;
        FN(store_across)(&to->finish, slopes, a, here, some, to->plane, channel * to->plane + at + first,
                         to->y);
    }
}

/* Calls for what is about to be stored at `pixels` pixels of channels first ... end - 1. */
INLINE void FN(call_for_pixels)(const FN(output_planes) *to, int64_t first, int64_t end, int64_t at,
                                int64_t pixels) {
    for (int64_t c = first; c < end; c++) {
        __builtin_prefetch(to->y + c * to->plane + at, 1);
        __builtin_prefetch(to->y + c * to->plane + at + pixels - 1, 1);
        if (to->finish.residual) {
            __builtin_prefetch(to->finish.residual + c * to->plane + at);
            __builtin_prefetch(to->finish.residual + c * to->plane + at + pixels - 1);
        }
    }
}
