/* 1×1 convolution with seven products where the sum takes eight (Strassen 1969, in Winograd's form; on
 * blocks of registers as Huang et al. 2016 have it): two panels of outputs, two tiles of pixels and
 * two halves of the input channels make four blocks each of weights, A, and of pixels, B:
 *
 *     T1 = B12 - B11   T2 = B22 - T1    T3 = B22 - B12   T4 = B21 - T2
 *     S1 = A21 + A22   S2 = S1 - A11    S3 = A11 - A21   S4 = A12 - S2
 *     C11 = A11 B11 + A12 B21           U  = A11 B11 + S2 T2
 *     C12 = U + S1 T1 + S4 B22          C21 = U + S3 T3 + A22 T4     C22 = U + S3 T3 + S1 T1
 *
 * Weights are packed with their sums, pixels as they are used; what is added to products is where
 * the next one's sums begin. Blocks are the same for any team, and so are the bits.
 *
 * In float32 the error is some three times that of the sum, of the largest channels in a block for all
 * of them: so it is for weights whose channels are of a scale, and for those who allow it. */

#define STRASSEN_STEPS 7
#define STRASSEN_ROW ((TILE_ROWS + LANES - 1) / LANES * LANES) /* a tile's pixels, in whole vectors */
#define STRASSEN_PAIRS 64
#define STRASSEN_SPREAD 64 /* of the channels' largest weights, at most */
#define STRASSEN_BYTES (768 << 10) /* of pixels, which stay in the second cache */

/* One group's convolution. */
typedef struct {
    const convolution_args *s;
    int64_t in, out, half; /* channels of the group; the greater half of `in` */
    int64_t units;         /* pairs of panels of outputs */
    int64_t pixels, pairs; /* of an image; pairs of tiles */
    int gathers;           /* pixels do not lie side by side */
    int as_they_are;       /* pixels that are no sums are read where they lie */
} FN(strassen);

static FN(strassen) FN(strassen_of)(const convolution_args *s) {
    FN(strassen) d = {.s = s, .in = s->channels / s->group, .out = s->outputs / s->group};
    d.half = (d.in + 1) / 2;
    d.units = (FN(panels_of)(d.out) + 1) / 2;
    d.pixels = s->out[0] * s->out[1];
    d.pairs = (d.pixels + 2 * TILE_ROWS - 1) / (2 * TILE_ROWS);
    d.gathers = s->size[0] != s->out[0] || s->size[1] != s->out[1];
    d.as_they_are = !d.gathers && d.in % 2 == 0;
    return d;
}

/* ---- weights ---------------------------------------------------------------------------------- */

INLINE int64_t FN(strassen_weights_step)(const FN(strassen) *d) { return d->half * TILE_COLUMNS; }

/* Elements of one group's weights, with what packing runs over. */
static int64_t FN(strassen_group_size)(const FN(strassen) *d) {
    return d->units * STRASSEN_STEPS * FN(strassen_weights_step)(d) + TILE_COLUMNS;
}

static int64_t FN(strassen_size)(const convolution_args *s) { /* bytes of all groups' weights */
    const FN(strassen) d = FN(strassen_of)(s);
    return (int64_t)sizeof(real) * s->group * FN(strassen_group_size)(&d);
}

/* One block of weights: a panel's of a half of the inputs; what is beyond either is zero. */
static void FN(strassen_block)(const FN(strassen) *d, const FN(filters) *f, int64_t panel, int64_t half,
                               real *to) {
    const int64_t o = panel * TILE_COLUMNS, i = half * d->half, depth = MIN(d->half, d->in - i);
    const int64_t some = o < d->out ? depth : 0;
    if (some) FN(pack_filters)(f, to, i, depth, o, MIN(TILE_COLUMNS, d->out - o));
    memset(to + some * TILE_COLUMNS, 0, sizeof(real) * (size_t)((d->half - some) * TILE_COLUMNS));
}

static void FN(strassen_pack)(const convolution_args *s, real *packed) {
    const FN(strassen) d = FN(strassen_of)(s);
    const int64_t step = FN(strassen_weights_step)(&d);
    PARALLEL_FOR(s->outputs * d.in / 4)
    for (int64_t job = 0; job < s->group * d.units; job++) {
        const int64_t g = job / d.units, unit = job % d.units;
        const FN(filters) f = FN(filters_of)(s, g, 0);
        real *a = workspace(WORKSPACE_PACK_A, sizeof(real) * (size_t)(4 * step + TILE_COLUMNS));
        real *to = packed + g * FN(strassen_group_size)(&d) + unit * STRASSEN_STEPS * step;
        for (int64_t block = 0; block < 4; block++)
            FN(strassen_block)(&d, &f, 2 * unit + block / 2, block % 2, a + block * step);
        for (int64_t i = 0; i < step; i += LANES) {
            VEC value[4], *sums[STRASSEN_STEPS];
            for (int j = 0; j < 4; j++) value[j] = *(const VEC *)(a + j * step + i);
            for (int j = 0; j < STRASSEN_STEPS; j++) sums[j] = (VEC *)(to + j * step + i);
            const VEC s1 = value[2] + value[3], s2 = s1 - value[0];
            *sums[0] = value[0];
            *sums[1] = value[1];
            *sums[2] = s2;
            *sums[3] = value[0] - value[2];
            *sums[4] = s1;
            *sums[5] = value[3];
            *sums[6] = value[1] - s2;
        }
    }
}

/* ---- pixels ----------------------------------------------------------------------------------- */

INLINE int64_t FN(strassen_pixels_step)(const FN(strassen) *d) { return d->half * STRASSEN_ROW + LANES; }

INLINE int64_t FN(pair_begin)(const FN(strassen) *d, int64_t pair) { return d->pixels * pair / d->pairs; }

/* Sums of `count` (of the second tile: `second`) pixels of one channel of each half, and `copies` of them
 * behind; lower NULL: zeros. */
INLINE void FN(strassen_sums)(const real *upper, const real *lower, int64_t count, int64_t second,
                              int copies, real *to, int64_t step) {
    for (int64_t i = 0; i < count; i += LANES, to += LANES) {
        const int64_t here = MIN(LANES, count - i), there = MAX(0, MIN(LANES, second - i));
        const VEC b11 = FN(load_some)(upper + i, here), b12 = FN(load_some)(upper + count + i, there);
        const VEC b21 = lower ? FN(load_some)(lower + i, here) : (VEC){0};
        const VEC b22 = lower ? FN(load_some)(lower + count + i, there) : (VEC){0};
        const VEC t1 = b12 - b11, t2 = b22 - t1;
        *(VEC *)to = t2;
        *(VEC *)(to + step) = b22 - b12;
        *(VEC *)(to + 2 * step) = t1;
        *(VEC *)(to + 3 * step) = b21 - t2;
        if (copies) {
            *(VEC *)(to + 4 * step) = b11;
            *(VEC *)(to + 5 * step) = b21;
            *(VEC *)(to + 6 * step) = b22;
        }
    }
}

/* `count` outputs' pixels of a channel, from output `first` on, side by side. */
static void FN(gather_pixels)(const convolution_args *s, const real *x, int64_t first, int64_t count,
                              real *to) {
    const int64_t width = s->out[1], step = s->stride[1];
    for (int64_t row = first / width, column = first % width, some; count > 0;
         row++, column = 0, to += some, count -= some) {
        const real *from = x + row * s->stride[0] * s->size[1] + column * step;
        some = MIN(count, width - column);
        for (int64_t i = 0; i < some; i++) to[i] = from[i * step];
    }
}

/* Pairs `from` … `end` - 1 of an image, all channels: a_pair elements apart. */
static void FN(strassen_pairs)(const FN(strassen) *d, const real *x, int64_t from, int64_t end,
                               int64_t a_pair, real *to) {
    const convolution_args *s = d->s;
    const int64_t plane = s->size[0] * s->size[1], step = FN(strassen_pixels_step)(d);
    const int64_t start = FN(pair_begin)(d, from), all = FN(pair_begin)(d, end) - start;
    int64_t begin[STRASSEN_PAIRS + 1];
    for (int64_t pair = from; pair <= end; pair++) begin[pair - from] = FN(pair_begin)(d, pair) - start;
    for (int64_t k = 0; k < d->half; k++, to += STRASSEN_ROW) {
        const real *upper = x + k * plane, *lower = upper + d->half * plane;
        const int both = k + d->half < d->in;
        real side_by_side[2][STRASSEN_PAIRS * 2 * TILE_ROWS];
        if (d->gathers) {
            FN(gather_pixels)(s, upper, start, all, side_by_side[0]);
            if (both) FN(gather_pixels)(s, lower, start, all, side_by_side[1]);
            upper = side_by_side[0], lower = side_by_side[1];
        } else {
            upper += start, lower += start;
            for (int64_t at = 0; at < all; at += 16) {
                __builtin_prefetch(upper + 2 * plane + at);
                __builtin_prefetch(lower + 2 * plane + at);
            }
        }
        for (int64_t pair = 0; pair < end - from; pair++) {
            const int64_t count = begin[pair + 1] - begin[pair], first = (count + 1) / 2;
            FN(strassen_sums)(upper + begin[pair], both ? lower + begin[pair] : NULL, first, count - first,
                              !d->as_they_are, to + pair * a_pair, step);
        }
    }
}

/* ---- products --------------------------------------------------------------------------------- */

#define STRASSEN_TILE (TILE_ROWS * TILE_COLUMNS)

/* What the parts of a group's work share. */
typedef struct {
    FN(strassen) d;
    const real *x, *weights;
    FN(output_planes) to; /* of the first image */
    int64_t x_image, y_image;
    int64_t all;          /* pairs of all images */
    int by_units;         /* jobs are numbered unit by unit; or else pair by pair */
} FN(strassen_work);

/* A pair and a unit: what its products read and make. */
typedef struct {
    const real *image, *sums; /* the group's channels; what strassen_pairs made of the pair */
    real *kept;               /* two tiles, which stay from one product to the next */
    FN(output_planes) to;
    int64_t begin, first, second; /* its first pixel, the pixels of its tiles */
    int64_t panel;                /* the first of the unit's */
} FN(strassen_job);

static FN(strassen_job) FN(strassen_job_of)(const FN(strassen_work) *w, int64_t pair, int64_t unit) {
    const FN(strassen) *d = &w->d;
    const int64_t image = pair / d->pairs, within = pair % d->pairs;
    const int64_t begin = FN(pair_begin)(d, within), count = FN(pair_begin)(d, within + 1) - begin;
    FN(strassen_job) job = {.image = w->x + image * w->x_image, .to = w->to, .begin = begin,
                            .first = (count + 1) / 2, .second = count / 2, .panel = 2 * unit};
    job.to.y += image * w->y_image;
    if (job.to.finish.residual) job.to.finish.residual += image * w->y_image;
    return job;
}

/* Pixels of a tile and weights of a step: the kept tile, or one of zeros, goes on with them. */
INLINE void FN(strassen_product)(const FN(strassen) *d, const FN(strassen_job) *job, int step,
                                 const real *weights, FN(ahead) ahead, real *sums) {
    static const int from[STRASSEN_STEPS] = {4, 5, 0, 1, 2, 3, 6}; /* where strassen_sums has it */
    const int lies = d->as_they_are && from[step] > 3;
    const int64_t plane = d->s->size[0] * d->s->size[1];
    const FN(point_product) p = {d->half, lies ? plane : STRASSEN_ROW, TILE_COLUMNS,
                                 step != 0 && step != 4, ahead.from, ahead.step};
    const real *x = job->sums + from[step] * FN(strassen_pixels_step)(d);
    if (lies)
        x = job->image + job->begin + (step == 0 ? 0 : d->half * plane) + (step == 6 ? job->first : 0);
    FN(multiply_tiles)(&p, step == 6 ? job->second : job->first, TILE_VECTORS, x, weights, sums);
}

/* A block of results, of the second panel and the second tile or the first ones. */
static void FN(strassen_store)(const FN(strassen_job) *job, const real *sums, int panel, int tile) {
    const int64_t channel = (job->panel + panel) * TILE_COLUMNS;
    const int64_t pixels = tile ? job->second : job->first, at = job->begin + (tile ? job->first : 0);
    for (int64_t v = 0; v < TILE_VECTORS && channel + v * LANES < job->to.outputs; v++)
        FN(store_pixels)(&job->to, (int)pixels, (const VEC *)sums + v, TILE_VECTORS,
                         channel + v * LANES, at);
}

INLINE void FN(strassen_call)(const FN(strassen_job) *job, int panel, int tile) {
    const int64_t channel = (job->panel + panel) * TILE_COLUMNS;
    FN(call_for_pixels)(&job->to, channel, MIN(job->to.outputs, channel + TILE_COLUMNS),
                        job->begin + (tile ? job->first : 0), tile ? job->second : job->first);
}

/* The products in their order; weights of the next are called for meanwhile. */
static void FN(strassen_step)(const FN(strassen) *d, const FN(strassen_job) *job, int step,
                              const real *weights, FN(ahead) ahead) {
    const int64_t all = job->first * TILE_COLUMNS;
    real fresh[STRASSEN_TILE + VECTOR_LANES * TILE_COLUMNS]; /* read as whole vectors of pixels */
    real *a = job->kept, *b = a + STRASSEN_TILE;
    switch (step) {
        case 0: /* A11 B11 */
        case 2: /* U */
            FN(strassen_product)(d, job, step, weights, ahead, a);
            break;
        case 1: /* C11 */
            FN(strassen_call)(job, 0, 0);
            memcpy(b, a, sizeof(real) * (size_t)all);
            FN(strassen_product)(d, job, step, weights, ahead, b);
            FN(strassen_store)(job, b, 0, 0);
            break;
        case 3: /* U + S3 T3 */
            memcpy(b, a, sizeof(real) * (size_t)all);
            FN(strassen_product)(d, job, step, weights, ahead, b);
            break;
        case 4: /* U + S1 T1, and C22 */
            FN(strassen_call)(job, 1, 1);
            FN(strassen_product)(d, job, step, weights, ahead, fresh);
            for (int64_t i = 0; i < all; i += LANES) {
                const VEC more = *(const VEC *)(fresh + i);
                *(VEC *)(a + i) += more;
                *(VEC *)(fresh + i) = *(const VEC *)(b + i) + more;
            }
            FN(strassen_store)(job, fresh, 1, 1);
            break;
        case 5: /* C21 */
            FN(strassen_call)(job, 1, 0);
            FN(strassen_product)(d, job, step, weights, ahead, b);
            FN(strassen_store)(job, b, 1, 0);
            break;
        case 6: /* C12 */
            FN(strassen_call)(job, 0, 1);
            FN(strassen_product)(d, job, step, weights, ahead, a);
            FN(strassen_store)(job, a, 0, 1);
            break;
    }
}

/* Jobs j0 … j1 - 1, each a pair and a unit. */
static void FN(strassen_part)(const FN(strassen_work) *w, int64_t j0, int64_t j1) {
    if (j0 == j1) return;
    const FN(strassen) *d = &w->d;
    const int64_t step = FN(strassen_weights_step)(d);
    const int64_t a_pair = (d->as_they_are ? 4 : STRASSEN_STEPS) * FN(strassen_pixels_step)(d);
    const int64_t most = MAX(1, MIN(STRASSEN_PAIRS, STRASSEN_BYTES / (a_pair * (int64_t)sizeof(real))));
    const int64_t p0 = w->by_units ? 0 : j0 / d->units;
    const int64_t p1 = w->by_units ? w->all : (j1 + d->units - 1) / d->units;
    const int64_t chunks = (p1 - p0 + most - 1) / most, chunk = (p1 - p0 + chunks - 1) / chunks;
    real *sums = workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)(chunk * (a_pair + 2 * STRASSEN_TILE) +
                                                                      LANES * TILE_COLUMNS));
    real *kept = sums + chunk * a_pair;
    for (int64_t from = p0; from < p1; from += chunk) {
        const int64_t end = MIN(p1, from + chunk);
        for (int64_t pair = from, next; pair < end; pair = next) {
            const int64_t image = pair / d->pairs, before = image * d->pairs;
            next = MIN(end, before + d->pairs);
            FN(strassen_pairs)(d, w->x + image * w->x_image, pair - before, next - before, a_pair,
                               sums + (pair - from) * a_pair);
        }
        for (int64_t unit = 0; unit < d->units; unit++) {
            /* Of the unit's jobs those from j0 on, before j1. */
            int64_t first = from, last = end;
            if (w->by_units) {
                first = MAX(first, j0 - unit * w->all);
                last = MIN(last, j1 - unit * w->all);
            } else {
                first += from * d->units + unit < j0;
                last -= (end - 1) * d->units + unit >= j1;
            }
            if (first >= last) continue;
            const int64_t ahead_step = (TILE_COLUMNS + last - first - 1) / (last - first);
            const real *weights = w->weights + unit * STRASSEN_STEPS * step;
            for (int i = 0; i < STRASSEN_STEPS; i++, weights += step)
                for (int64_t pair = first; pair < last; pair++) {
                    FN(strassen_job) job = FN(strassen_job_of)(w, pair, unit);
                    job.sums = sums + (pair - from) * a_pair;
                    job.kept = kept + (pair - from) * 2 * STRASSEN_TILE;
                    const real *next = weights + step + (pair - first) * ahead_step * d->half;
                    FN(strassen_step)(d, &job, i, weights, (FN(ahead)){next, ahead_step});
                }
        }
    }
}

/* ---- the convolution -------------------------------------------------------------------------- */

static void FN(strassen_convolve)(const convolution_args *s, const real *packed) {
    FN(strassen_work) w = {.d = FN(strassen_of)(s)};
    const int64_t plane = s->size[0] * s->size[1], team = threads_count();
    w.x_image = s->x_image ? s->x_image : s->channels * plane;
    w.y_image = s->y_image ? s->y_image : s->outputs * w.d.pixels;
    w.all = s->n * w.d.pairs;
    w.by_units = w.d.out > s->n * w.d.pixels;
    for (int64_t g = 0; g < s->group; g++) {
        const int64_t at = g * w.d.out * w.d.pixels;
        w.x = (const real *)s->x + g * w.d.in * plane;
        w.weights = packed + g * FN(strassen_group_size)(&w.d);
        w.to = (FN(output_planes)){FN(group_finish)(s, g * w.d.out, at),
                                   s->bias ? (const real *)s->bias + g * w.d.out : NULL,
                                   (real *)s->y + at, w.d.pixels, w.d.out};
        const int64_t jobs = w.all * w.d.units;
        PARALLEL_FOR(s->n * w.d.out * w.d.pixels * w.d.in / 16)
        for (int64_t part = 0; part < team; part++)
            FN(strassen_part)(&w, jobs * part / team, jobs * (part + 1) / team);
    }
}

static int FN(strassen_can)(const convolution_args *s) {
    if (!REAL_IS_FLOAT || LANES < 4 || !s->mixes || !s->packed) return 0;
    if (s->axes != 2 || s->by_columns || s->pool) return 0;
    return s->kernel[0] * s->kernel[1] == 1 && s->pad[0] == 0 && s->pad[1] == 0 &&
           s->channels / s->group > 1 && s->out[0] * s->out[1] > 0 &&
           (s->out[0] - 1) * s->stride[0] < s->size[0] && (s->out[1] - 1) * s->stride[1] < s->size[1];
}

/* As measured: sums pay where there are many products for each of them, and planes are so small that
 * neither is read from far away. */
static int FN(strassen_pays)(const convolution_args *s) {
    const int64_t in = s->channels / s->group, out = s->outputs / s->group;
    const int64_t pixels = s->out[0] * s->out[1];
    return FN(strassen_can)(s) && in >= 256 && out >= 256 && in * out >= 1 << 18 &&
           pixels >= 3 * TILE_ROWS && pixels <= 400;
}

/* Whether no channel's largest weight, of inputs or of outputs, is much less than another's: the error of
 * sums would be large for it, or for the inputs that are as much larger. */
static int FN(strassen_holds)(const convolution_args *s) {
    const int64_t in = s->channels / s->group;
    real *of_in = workspace(WORKSPACE_PACK_A, sizeof(real) * (size_t)in);
    for (int64_t g = 0; g < s->group; g++) {
        const real *weight = (const real *)s->weight + g * s->outputs / s->group * in;
        real least = REAL_MAX, most = 0;
        for (int64_t i = 0; i < in; i++) of_in[i] = 0;
        for (int64_t o = 0; o < s->outputs / s->group; o++, weight += in) {
            real of_out = 0;
            for (int64_t i = 0; i < in; i++) {
                const real size = weight[i] < 0 ? -weight[i] : weight[i];
                if (!(size <= (real)1e30)) return 0; /* their sums may be no numbers */
                of_out = MAX(of_out, size);
                of_in[i] = MAX(of_in[i], size);
            }
            least = MIN(least, of_out);
            most = MAX(most, of_out);
        }
        if (least * STRASSEN_SPREAD < most) return 0;
        least = REAL_MAX;
        for (int64_t i = 0; i < in; i++) least = MIN(least, of_in[i]);
        if (least * STRASSEN_SPREAD < most) return 0;
    }
    return 1;
}
