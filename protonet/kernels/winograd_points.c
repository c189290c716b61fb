/* The transforms of Winograd's convolutions F(4, 3), F(4, 4) and F(4, 5) along one axis (Lavin and Gray
 * 2016): values of polynomials at the points 0, 1, -1, 2, -2, then of 4 taps -1/2, of 5 taps 1/2 and
 * -1/2, and ∞: a tile's edge has 6, 7 or 8; over values `step` apart, where nothing else is said in
 * place. */

#define MOST_TAPS 5
#define MOST_POINTS 64

/* `call` with the number of taps as the constant TAPS. */
#define WITH_TAPS(taps, call)                 \
    do {                                      \
        if ((taps) == 3) {                    \
            enum { TAPS = 3 };                \
            call;                             \
        } else if ((taps) == 4) {             \
            enum { TAPS = 4 };                \
            call;                             \
        } else {                              \
            enum { TAPS = 5 };                \
            call;                             \
        }                                     \
    } while (0)

/* Points along a tile's edge. */
INLINE int FN(tile_edge)(int taps) { return taps + 3; }
INLINE int FN(tile_size)(int taps) { return FN(tile_edge)(taps) * FN(tile_edge)(taps); }

/* A tile's edge of the input to its points. */
INLINE void FN(input_points)(int taps, VEC *d, int step) {
    VEC d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step];
    VEC d5 = d[5 * step];
    if (taps == 4) { /* the other points' polynomials have the factor x + 1/2 */
        const real half = (real)0.5;
        const VEC d6 = d[6 * step], lone = 4 * d1 - 5 * d3 + d5;
        d0 = half * d0 + d1;
        d1 = half * d1 + d2;
        d2 = half * d2 + d3;
        d3 = half * d3 + d4;
        d4 = half * d4 + d5;
        d[6 * step] = half * d5 + d6 + 4 * d1 - 5 * d3;
        d[5 * step] = lone;
    }
    if (taps < 5) {
        const VEC even = d4 - 4 * d2, odd = d3 - 4 * d1, near = d4 - d2, far = 2 * (d3 - d1);
        if (taps == 3) d[5 * step] += 4 * d1 - 5 * d3;
        d[0] = 4 * d0 - 5 * d2 + d4;
        d[step] = even + odd;
        d[2 * step] = even - odd;
        d[3 * step] = near + far;
        d[4 * step] = near - far;
        return;
    }
    const VEC d6 = d[6 * step];
    const real a = (real)5.25, b = (real)4.25, c = (real)1.25, half = (real)0.5;
    const VEC one = d2 + d6 - b * d4, one_odd = d1 + d5 - b * d3;
    const VEC two = d6 + (real)0.25 * d2 - c * d4, two_odd = half * d1 + 2 * d5 - 2 * c * d3;
    const VEC part = d6 + 4 * d2 - 5 * d4, part_odd = 2 * d1 + half * d5 - 2 * c * d3;
    d[7 * step] += a * (d3 - d5) - d1;
    d[0] = d0 - d6 + a * (d4 - d2);
    d[step] = one + one_odd;
    d[2 * step] = one - one_odd;
    d[3 * step] = two + two_odd;
    d[4 * step] = two - two_odd;
    d[5 * step] = part + part_odd;
    d[6 * step] = part - part_odd;
}

/* A tile's edge to four outputs. */
INLINE void FN(output_points)(int taps, VEC *m, int step) {
    const VEC one = m[step] + m[2 * step], other = m[step] - m[2 * step];
    const VEC two = m[3 * step] + m[4 * step], third = m[3 * step] - m[4 * step];
    const VEC last = m[(taps + 2) * step];
    VEC y0 = m[0] + one + two, y1 = other + 2 * third, y2 = one + 4 * two, y3 = other + 8 * third;
    if (taps == 4) {
        const VEC lone = m[5 * step];
        y0 += lone;
        y1 -= (real)0.5 * lone;
        y2 += (real)0.25 * lone;
        y3 -= (real)0.125 * lone;
    }
    if (taps == 5) {
        const VEC half = m[5 * step] + m[6 * step], fifth = m[5 * step] - m[6 * step];
        y0 += half;
        y1 += (real)0.5 * fifth;
        y2 += (real)0.25 * half;
        y3 += (real)0.125 * fifth;
    }
    m[0] = y0;
    m[step] = y1;
    m[2 * step] = y2;
    m[3 * step] = y3 + last;
}

/* A filter's edge to its points. */
INLINE void FN(filter_points)(int taps, const VEC *g, int step, VEC *u, int u_step) {
    const VEC g0 = g[0], g1 = g[step], g2 = g[2 * step], last = g[(taps - 1) * step];
    if (taps == 3) {
        const VEC ends = (g0 + g2) * (real)(-1.0 / 6), middle = g1 * (real)(1.0 / 6);
        const VEC mixed = g0 * (real)(1.0 / 24) + g2 * (real)(1.0 / 6), half = g1 * (real)(1.0 / 12);
        u[0] = g0 * (real)0.25;
        u[u_step] = ends - middle;
        u[2 * u_step] = ends + middle;
        u[3 * u_step] = mixed + half;
        u[4 * u_step] = mixed - half;
    } else if (taps == 4) {
        const VEC even = g0 + g2, odd = g1 + last, far = g0 + 4 * g2, wide = 2 * g1 + 8 * last;
        const VEC lone = 16 * g0 - 8 * g1 + 4 * g2 - 2 * last;
        u[0] = (real)0.5 * g0;
        u[u_step] = (even + odd) * (real)(-1.0 / 9);
        u[2 * u_step] = (even - odd) * (real)(1.0 / 3);
        u[3 * u_step] = (far + wide) * (real)(1.0 / 60);
        u[4 * u_step] = (far - wide) * (real)(-1.0 / 36);
        u[5 * u_step] = lone * (real)(-2.0 / 45);
    } else {
        const VEC g3 = g[3 * step];
        const real a = (real)(-2.0 / 9), b = (real)(1.0 / 90), c = (real)(2.0 / 45);
        const VEC one = a * (g0 + g2 + last), one_odd = a * (g1 + g3);
        const VEC two = b * (g0 + 4 * g2 + 16 * last), two_odd = b * (2 * g1 + 8 * g3);
        const VEC half = c * (16 * g0 + 4 * g2 + last), half_odd = c * (8 * g1 + 2 * g3);
        u[0] = g0;
        u[u_step] = one + one_odd;
        u[2 * u_step] = one - one_odd;
        u[3 * u_step] = two + two_odd;
        u[4 * u_step] = two - two_odd;
        u[5 * u_step] = half + half_odd;
        u[6 * u_step] = half - half_odd;
    }
    u[(taps + 2) * u_step] = last;
}

/* Four values to a tile's edge: the transpose of output_points. */
INLINE void FN(gradient_points)(int taps, const VEC *e, int step, VEC *u, int u_step) {
    const VEC e0 = e[0], e1 = e[step], e2 = e[2 * step], e3 = e[3 * step];
    const VEC even = e0 + e2, odd = e1 + e3, far = e0 + 4 * e2, wide = 2 * e1 + 8 * e3;
    u[(taps + 2) * u_step] = e3;
    u[0] = e0;
    u[u_step] = even + odd;
    u[2 * u_step] = even - odd;
    u[3 * u_step] = far + wide;
    u[4 * u_step] = far - wide;
    if (taps == 4) u[5 * u_step] = e0 - (real)0.5 * e1 + (real)0.25 * e2 - (real)0.125 * e3;
    if (taps == 5) {
        const VEC half = e0 + (real)0.25 * e2, fifth = (real)0.5 * e1 + (real)0.125 * e3;
        u[5 * u_step] = half + fifth;
        u[6 * u_step] = half - fifth;
    }
}

/* A tile's edge to taps: the transpose of filter_points. */
INLINE void FN(tap_points)(int taps, const VEC *m, int step, VEC *g, int g_step) {
    const VEC one = m[step] + m[2 * step], other = m[step] - m[2 * step];
    const VEC two = m[3 * step] + m[4 * step], third = m[3 * step] - m[4 * step];
    const VEC last = m[(taps + 2) * step];
    if (taps == 3) {
        const VEC near = one * (real)(1.0 / 6);
        g[g_step] = third * (real)(1.0 / 12) - other * (real)(1.0 / 6);
        g[0] = m[0] * (real)0.25 - near + two * (real)(1.0 / 24);
        g[2 * g_step] = two * (real)(1.0 / 6) - near + last;
        return;
    }
    if (taps == 4) {
        const VEC plus = m[step] * (real)(-1.0 / 9), minus = m[2 * step] * (real)(1.0 / 3);
        const VEC up = m[3 * step] * (real)(1.0 / 60), down = m[4 * step] * (real)(-1.0 / 36);
        const VEC lone = m[5 * step] * (real)(-2.0 / 45), ends = plus + minus, odds = plus - minus;
        g[0] = (real)0.5 * m[0] + ends + (up + down) + 16 * lone;
        g[g_step] = odds + 2 * (up - down) - 8 * lone;
        g[2 * g_step] = ends + 4 * (up + down) + 4 * lone;
        g[3 * g_step] = odds + 8 * (up - down) - 2 * lone + last;
        return;
    }
    const VEC near = one * (real)(-2.0 / 9), near_odd = other * (real)(-2.0 / 9);
    const VEC far = two * (real)(1.0 / 90), far_odd = third * (real)(1.0 / 90);
    const VEC half = (m[5 * step] + m[6 * step]) * (real)(2.0 / 45);
    const VEC half_odd = (m[5 * step] - m[6 * step]) * (real)(2.0 / 45);
    g[0] = m[0] + near + far + 16 * half;
    g[g_step] = near_odd + 2 * far_odd + 8 * half_odd;
    g[2 * g_step] = near + 4 * far + 4 * half;
    g[3 * g_step] = near_odd + 8 * far_odd + 2 * half_odd;
    g[4 * g_step] = near + 16 * far + half + last;
}
