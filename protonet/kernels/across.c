/* Vectors across the output channels, as sums have them whose weights lie side by side, and rows of
 * pixels, as y has them. */

/* a[i], i < pixels ≤ LANES, holds `channels` channels of pixel i; channel c's pixels go, finished, side
 * by side to y[at + c plane]. a is scratch afterwards. */
INLINE void FN(store_across)(const FN(finish) *finish, VEC slopes, VEC *a, int64_t pixels,
                             int64_t channels, int64_t plane, int64_t at, real *y) {
    VEC b[LANES];
    for (int64_t i = pixels; i < LANES; i++) a[i] = (VEC){0};
    if (!finish->residual && finish->what != PLAIN)
        for (int64_t i = 0; i < pixels; i++) a[i] = FN(activated)(finish, a[i], slopes);
    FN(transpose)(a, b);
    if (finish->residual)
        for (int64_t i = 0; i < channels; i++) {
            a[i] += FN(load_some)(finish->residual + at + i * plane, pixels);
            if (finish->what != PLAIN)
                a[i] = FN(activated)(finish, a[i], (VEC){0} + slopes[i]);
        }
    for (int64_t i = 0; i < channels; i++) FN(store_some)(y + at + i * plane, a[i], pixels);
}

/* Slopes of a vector of channels. */
INLINE VEC FN(slopes_across)(const FN(finish) *finish, int64_t channel, int64_t channels) {
    if (finish->row_slopes) return FN(load_some)(finish->row_slopes + channel, channels);
    return (VEC){0} + finish->slope;
}
