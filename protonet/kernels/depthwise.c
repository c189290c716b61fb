/* Convolution of two axes with one input channel to a group: no product of matrices would have any
 * depth. A plane is laid into scratch with its border, one phase image for each place within the
 * stride, all of the output's pitch. Then every tap is that scratch at an offset, and a run of
 * outputs, rows' ends included, is a row of vectors; what lies between rows is not taken out. */

#define DEPTHWISE_TAPS 512
#define DEPTHWISE_CHUNK 8192 /* elements of a run: they and the scratch stay in cache */
#define DEPTHWISE_STEP (8 * LANES)

typedef struct {
    int64_t top, left;    /* scratch (0, 0) is position (-top, -left) of the source's phases */
    int64_t rows, pitch;  /* of a phase image */
    int64_t image;        /* elements of a phase image */
} FN(phases);

/* With what the last row's vectors and taps read beyond it. */
INLINE int64_t FN(image_size)(int64_t rows, int64_t pitch) {
    return (rows + 1) * pitch + DEPTHWISE_STEP;
}

static int FN(is_depthwise)(const convolution_args *s) {
    if (s->axes != 2 || s->channels != s->group || s->by_columns) return 0;
    if (s->group == 1 && s->outputs >= 16) return 0; /* many filters of one channel: direct.c */
    for (int axis = 0; axis < 2; axis++)
        if (s->stride[axis] > 4) return 0;
    return s->kernel[0] * s->kernel[1] * (s->outputs / s->group) <= DEPTHWISE_TAPS;
}

/* One row of a phase: to[i] = from[i * stride + start], 0 outside 0 … size - 1. */
static void FN(lay_row)(const real *from, int64_t size, int64_t start, int64_t stride, real *to,
                        int64_t count) {
    const int64_t before = start < 0 ? MIN(count, (-start + stride - 1) / stride) : 0;
    const int64_t within = start < size ? (size - start + stride - 1) / stride : 0;
    const int64_t end = MAX(before, MIN(count, within));
    for (int64_t i = 0; i < before; i++) to[i] = 0;
    if (stride == 1)
        memcpy(to + before, from + before + start, sizeof(real) * (size_t)(end - before));
    else if (stride == 2) {
        int64_t i = before;
        for (; i + LANES < end; i += LANES) {
            const VEC *pairs = (const VEC *)(from + i * 2 + start);
            *(VEC *)(to + i) = FN(every_second)(pairs[0], pairs[1], 0);
        }
        for (; i < end; i++) to[i] = from[i * 2 + start];
    } else if (stride == 4) {
        int64_t i = before;
        for (; i + LANES < end; i += LANES) {
            const VEC *fours = (const VEC *)(from + i * 4 + start);
            *(VEC *)(to + i) = FN(every_second)(FN(every_second)(fours[0], fours[1], 0),
                                                FN(every_second)(fours[2], fours[3], 0), 0);
        }
        for (; i < end; i++) to[i] = from[i * 4 + start];
    } else
        for (int64_t i = before; i < end; i++) to[i] = from[i * stride + start];
    for (int64_t i = end; i < count; i++) to[i] = 0;
}

/* A plane's phases: row r, column c of phase (p, q) is the plane's (r stride + p - pad, …). Phases
 * that no tap reads are left out. */
static void FN(lay_phases)(const real *x, const convolution_args *s, int64_t first_row,
                           const FN(phases) *f, real *scratch) {
    const int64_t down = MIN(s->stride[0], (s->kernel[0] - 1) * s->dilation[0] + 1);
    const int64_t across = MIN(s->stride[1], (s->kernel[1] - 1) * s->dilation[1] + 1);
    for (int64_t p = 0; p < down; p++)
        for (int64_t q = 0; q < across; q++) {
            real *to = scratch + (p * s->stride[1] + q) * f->image;
            for (int64_t r = 0; r < f->rows; r++, to += f->pitch) {
                const int64_t at = (first_row + r) * s->stride[0] + p - s->pad[0];
                if (at < 0 || at >= s->size[0])
                    memset(to, 0, sizeof(real) * (size_t)f->pitch);
                else
                    FN(lay_row)(x + at * s->size[1], s->size[1], q - s->pad[1], s->stride[1], to,
                                f->pitch);
            }
            memset(to, 0, sizeof(real) * (size_t)(f->pitch + DEPTHWISE_STEP));
        }
}

/* A plane of outputs with zeros around: row r, column c is the plane's (first_row + r - top, …). */
static void FN(lay_plane)(const real *y, int64_t height, int64_t width, int64_t first_row,
                          const FN(phases) *f, real *scratch) {
    for (int64_t r = 0; r < f->rows; r++, scratch += f->pitch) {
        const int64_t at = first_row + r - f->top;
        if (at < 0 || at >= height)
            memset(scratch, 0, sizeof(real) * (size_t)f->pitch);
        else
            FN(lay_row)(y + at * width, width, -f->left, 1, scratch, f->pitch);
    }
    memset(scratch, 0, sizeof(real) * (size_t)(f->pitch + DEPTHWISE_STEP));
}

/* run[i] = start + sum of weight[t] x[offset[t] + i], i < n rounded up to whole steps. */
static void FN(depthwise_run)(const real *x, const int64_t *offset, const real *weight, int64_t taps,
                          real start, real *run, int64_t n) {
    for (int64_t at = 0; at < n; at += DEPTHWISE_STEP) {
        VEC sum[8];
        for (int v = 0; v < 8; v++) sum[v] = (VEC){0} + start;
        for (int64_t t = 0; t < taps; t++) {
            const real *from = x + offset[t] + at, by = weight[t];
            for (int v = 0; v < 8; v++) sum[v] += by * *(const VEC *)(from + v * LANES);
        }
        for (int v = 0; v < 8; v++) *(VEC *)(run + at + v * LANES) = sum[v];
    }
}

/* sum[t] += sum over i < n of dy[i] x[offset[t] + i], n rounded up to whole vectors. */
static void FN(depthwise_taps)(const real *x, const int64_t *offset, int64_t taps, const real *dy,
                               int64_t n, real *sum) {
    for (int64_t first = 0; first < taps; first += 5) {
        const int64_t some = MIN(5, taps - first);
        int64_t from[5];
        VEC one[5], other[5];
        for (int t = 0; t < 5; t++) {
            from[t] = offset[first + (t < some ? t : 0)];
            one[t] = other[t] = (VEC){0};
        }
        for (int64_t i = 0; i < n; i += 2 * LANES) {
            const VEC a = *(const VEC *)(dy + i), b = *(const VEC *)(dy + i + LANES);
            for (int t = 0; t < 5; t++) {
                one[t] += a * *(const VEC *)(x + from[t] + i);
                other[t] += b * *(const VEC *)(x + from[t] + i + LANES);
            }
        }
        for (int64_t t = 0; t < some; t++) {
            const VEC both = one[t] + other[t];
            for (int64_t lane = 0; lane < LANES; lane++) sum[first + t] += both[lane];
        }
    }
}

/* The phases that `rows` rows of outputs read, and each tap's offset in them. */
static FN(phases) FN(input_phases)(const convolution_args *s, int64_t rows, int64_t *offset) {
    FN(phases) f = {0};
    f.rows = rows + (s->kernel[0] - 1) * s->dilation[0] / s->stride[0];
    f.pitch = s->out[1] + (s->kernel[1] - 1) * s->dilation[1] / s->stride[1];
    f.image = FN(image_size)(f.rows, f.pitch);
    for (int64_t i = 0; i < s->kernel[0]; i++)
        for (int64_t j = 0; j < s->kernel[1]; j++) {
            const int64_t down = i * s->dilation[0], right = j * s->dilation[1];
            const int64_t phase = down % s->stride[0] * s->stride[1] + right % s->stride[1];
            *offset++ = phase * f.image + down / s->stride[0] * f.pitch + right / s->stride[1];
        }
    return f;
}

static int64_t FN(chunk_rows)(int64_t rows, int64_t pitch) {
    return MAX(1, MIN(rows, DEPTHWISE_CHUNK / MAX(1, pitch)));
}

static int64_t FN(depthwise_chunk)(const convolution_args *s) {
    return FN(chunk_rows)(s->out[0], s->out[1] + s->kernel[1] * s->dilation[1] / s->stride[1]);
}

static void FN(depthwise)(const convolution_args *s) {
    if (FN(planewise_pays)(s)) {
        FN(planewise_convolve)(s, 0, s->x, s->y);
        return;
    }
    const int64_t taps = s->kernel[0] * s->kernel[1], many = s->outputs / s->group;
    const int64_t chunk = FN(depthwise_chunk)(s), out = s->out[0] * s->out[1];
    const int64_t chunks = chunk ? (s->out[0] + chunk - 1) / chunk : 0;
    const FN(finish) finish = FN(finish_of)(&s->store, 1);
    PARALLEL_FOR(s->n * s->outputs * out * taps / 8)
    for (int64_t job = 0; job < s->n * s->channels * chunks; job++) {
        const int64_t plane = job / chunks, first = job % chunks * chunk;
        const int64_t c = plane % s->channels, rows = MIN(chunk, s->out[0] - first);
        int64_t offset[DEPTHWISE_TAPS];
        const FN(phases) f = FN(input_phases)(s, rows, offset);
        const int64_t images = s->stride[0] * s->stride[1];
        real *scratch = workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)(images * f.image));
        real *run = workspace(WORKSPACE_PARTIAL,
                              sizeof(real) * (size_t)FN(image_size)(rows, f.pitch));
        const int64_t size = s->size[0] * s->size[1], image = plane / s->channels;
        const int64_t x_image = s->x_image ? s->x_image : s->channels * size;
        const int64_t y_image = s->y_image ? s->y_image : s->outputs * out;
        FN(lay_phases)((const real *)s->x + image * x_image + c * size, s, first, &f, scratch);
        for (int64_t o = c * many; o < (c + 1) * many; o++) {
            FN(depthwise_run)(scratch, offset, (const real *)s->weight + o * taps, taps,
                          s->bias ? ((const real *)s->bias)[o] : 0, run, rows * f.pitch);
            for (int64_t r = 0; r < rows; r++)
                FN(store_row)(&finish, o, image * y_image + o * out + (first + r) * s->out[1],
                              run + r * f.pitch, s->out[1], s->y);
        }
    }
}

/* The taps that write to phase (p, q) of the padded input: their weights, and their offsets in the
 * scratch of dy. */
static int64_t FN(taps_of_phase)(const convolution_args *s, int64_t c, int64_t p, int64_t q,
                                 const FN(phases) *f, int64_t *offset, real *weight) {
    const int64_t many = s->outputs / s->group;
    int64_t found = 0;
    for (int64_t o = 0; o < many; o++)
        for (int64_t i = 0; i < s->kernel[0]; i++)
            for (int64_t j = 0; j < s->kernel[1]; j++) {
                const int64_t down = i * s->dilation[0], right = j * s->dilation[1];
                if (down % s->stride[0] != p || right % s->stride[1] != q) continue;
                offset[found] = o * f->image + (f->top - down / s->stride[0]) * f->pitch +
                                f->left - right / s->stride[1];
                weight[found++] = ((const real *)s->weight)[
                    ((c * many + o) * s->kernel[0] + i) * s->kernel[1] + j];
            }
    return found;
}

/* A run of one phase, rows of its input's pitch, to the plane. */
static void FN(take_phase)(const convolution_args *s, const real *run, int64_t pitch, int64_t first,
                           int64_t rows, int64_t p, int64_t q, real *dx) {
    const int64_t step = s->stride[1], shift = q - s->pad[1];
    const int64_t from = shift < 0 ? (-shift + step - 1) / step : 0;
    const int64_t to = s->size[1] > shift ? (s->size[1] - shift + step - 1) / step : 0;
    for (int64_t r = 0; r < rows; r++) {
        const int64_t at = (first + r) * s->stride[0] + p - s->pad[0];
        if (at < 0 || at >= s->size[0]) continue;
        real *row = dx + at * s->size[1] + shift;
        const real *values = run + r * pitch;
        if (step == 1 && to > from)
            memcpy(row + from, values + from, sizeof(real) * (size_t)(to - from));
        else
            for (int64_t i = from; i < to; i++) row[i * step] = values[i];
    }
}

static void FN(depthwise_backward_data)(const convolution_backward_data_args *a) {
    if (FN(planewise_back)(a)) return;
    const convolution_args *s = &a->shape;
    const int64_t many = s->outputs / s->group, out = s->out[0] * s->out[1];
    const int64_t size = s->size[0] * s->size[1], taps = s->kernel[0] * s->kernel[1];
    FN(phases) all = {0};
    all.top = (s->kernel[0] - 1) * s->dilation[0] / s->stride[0];
    all.left = (s->kernel[1] - 1) * s->dilation[1] / s->stride[1];
    const int64_t height = (s->pad[0] + s->size[0] - 1) / s->stride[0] + 1; /* of a phase */
    all.pitch = (s->pad[1] + s->size[1] - 1) / s->stride[1] + 1 + all.left;
    const int64_t chunk = FN(chunk_rows)(height, all.pitch), chunks = (height + chunk - 1) / chunk;
    PARALLEL_FOR(s->n * s->outputs * out * taps / 8)
    for (int64_t job = 0; job < s->n * s->channels * chunks; job++) {
        const int64_t plane = job / chunks, first = job % chunks * chunk, c = plane % s->channels;
        const int64_t rows = MIN(chunk, height - first);
        FN(phases) f = all;
        f.rows = rows + f.top;
        f.image = FN(image_size)(f.rows, f.pitch);
        real *scratch = workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)(many * f.image));
        real *run = workspace(WORKSPACE_PARTIAL,
                              sizeof(real) * (size_t)FN(image_size)(rows, f.pitch));
        const real *dy = (const real *)a->dy + (plane / s->channels * s->outputs + c * many) * out;
        for (int64_t o = 0; o < many; o++)
            FN(lay_plane)(dy + o * out, s->out[0], s->out[1], first, &f, scratch + o * f.image);
        for (int64_t p = 0; p < s->stride[0]; p++)
            for (int64_t q = 0; q < s->stride[1]; q++) {
                int64_t offset[DEPTHWISE_TAPS];
                real weight[DEPTHWISE_TAPS];
                const int64_t found = FN(taps_of_phase)(s, c, p, q, &f, offset, weight);
                FN(depthwise_run)(scratch, offset, weight, found, 0, run, rows * f.pitch);
                FN(take_phase)(s, run, f.pitch, first, rows, p, q, (real *)a->dx + plane * size);
            }
    }
}

static void FN(depthwise_backward_weight)(const convolution_backward_weight_args *a) {
    const convolution_args *s = &a->shape;
    const int64_t taps = s->kernel[0] * s->kernel[1], many = s->outputs / s->group;
    const int64_t out = s->out[0] * s->out[1], chunk = FN(depthwise_chunk)(s);
    PARALLEL_FOR(s->n * s->outputs * out * taps / 8)
    for (int64_t c = 0; c < s->channels; c++)
        for (int64_t job = 0; job < s->n * ((s->out[0] + chunk - 1) / chunk); job++) {
            const int64_t image = job % s->n, first = job / s->n * chunk;
            const int64_t rows = MIN(chunk, s->out[0] - first);
            int64_t offset[DEPTHWISE_TAPS];
            const FN(phases) f = FN(input_phases)(s, rows, offset);
            const FN(phases) plain = {0, 0, rows, f.pitch, 0};
            const int64_t images = s->stride[0] * s->stride[1];
            real *scratch = workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)(images * f.image));
            real *run = workspace(WORKSPACE_PARTIAL,
                                  sizeof(real) * (size_t)FN(image_size)(rows, f.pitch));
            const real *x = (const real *)s->x + (image * s->channels + c) * s->size[0] * s->size[1];
            FN(lay_phases)(x, s, first, &f, scratch);
            for (int64_t o = c * many; o < (c + 1) * many; o++) {
                const real *dy = (const real *)a->dy + (image * s->outputs + o) * out;
                FN(lay_plane)(dy, s->out[0], s->out[1], first, &plain, run);
                FN(depthwise_taps)(scratch, offset, taps, run, rows * f.pitch,
                                   (real *)a->dweight + o * taps);
            }
        }
}
