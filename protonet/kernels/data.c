/* Records of a database to values of a batch. Records are what files hold, so nothing in them is
 * trusted: every length is checked against the record's end. */

/* Reads a base-128 number at *at and moves past it; 0 if it does not end before `end`. */
static int FN(read_varint)(const uint8_t **at, const uint8_t *end, uint64_t *value) {
    *value = 0;
    for (int shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        *value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return 1;
    }
    return 0;
}

/* Moves past a field's value and gives its number or, for bytes, its length; 0 if it is cut. */
static int FN(read_field)(const uint8_t **at, const uint8_t *end, int wire, uint64_t *value) {
    int64_t size = wire == 1 ? 8 : wire == 5 ? 4 : 0;
    *value = 0;
    if (wire == 0) return FN(read_varint)(at, end, value);
    if (wire == 2) {
        if (!FN(read_varint)(at, end, value) || *value > (uint64_t)(end - *at)) return 0;
        size = (int64_t)*value;
    } else if (!size || end - *at < size) {
        return 0;
    }
    *at += size;
    return 1;
}

static int FN(read_datum)(datum *found, const uint8_t *start, const uint8_t *end) {
    const uint8_t *at = start;
    while (at < end) {
        uint64_t tag, value;
        if (!FN(read_varint)(&at, end, &tag)) return 0;
        int wire = tag & 7;
        if (!FN(read_field)(&at, end, wire, &value)) return 0;
        switch (tag) {
        case 1 << 3: found->channels = (int32_t)value; break;
        case 2 << 3: found->height = (int32_t)value; break;
        case 3 << 3: found->width = (int32_t)value; break;
        case 5 << 3: found->label = (int32_t)value; break;
        case 7 << 3: found->encoded = value != 0; break;
        case 4 << 3 | 2: found->pixels = (int64_t)(intptr_t)(at - value); found->size = (int64_t)value; break;
        case 6 << 3 | 2: found->floats += (int64_t)value / 4; break;
        case 6 << 3 | 5: found->floats++; break;
        }
    }
    return 1;
}

/* Whether the datum holds channels × height × width bytes; nothing here can overflow. */
static int FN(is_raw)(const datum *d) {
    if (d->broken || d->encoded || d->size < 1 || d->height < 1 || d->width < 1) return 0;
    const int64_t area = d->height * d->width;
    return d->size % area == 0 && d->size / area == d->channels;
}

KERNEL(read_datums) {
    ARGS(read_datums);
    const uint8_t *const *records = a->records;
    const int64_t *sizes = a->sizes;
    datum *found = a->found;
    for (int64_t i = 0; i < a->n; i++) {
        found[i] = (datum){0};
        found[i].broken = !FN(read_datum)(&found[i], records[i], records[i] + sizes[i]);
        found[i].raw = FN(is_raw)(&found[i]);
    }
}

/* One row of a crop. Constant arguments make it a loop of its own for each layout in memory. */
static inline __attribute__((always_inline)) void FN(map_row)(
    const void *pixels, int is_float, int64_t step, const real *restrict mean, int64_t mean_step,
    real scale, real *restrict y, int64_t n, int mirror) {
    const uint8_t *restrict bytes = pixels;
    const float *restrict floats = pixels;
    for (int64_t w = 0; w < n; w++) {
        int64_t from = mirror ? n - 1 - w : w;
        real x = is_float ? (real)floats[from * step] : (real)bytes[from * step];
        y[w] = (x - mean[from * mean_step]) * scale;
    }
}

#define MAP_ROW(is_float, step)                                                                  \
    (p->mirror ? mean_step                                                                       \
                     ? FN(map_row)(x, is_float, step, mean, 1, scale, y, n, 1)                   \
                     : FN(map_row)(x, is_float, step, mean, 0, scale, y, n, 1)                   \
     : mean_step ? FN(map_row)(x, is_float, step, mean, 1, scale, y, n, 0)                       \
                 : FN(map_row)(x, is_float, step, mean, 0, scale, y, n, 0))

static void FN(transform_row)(const picture *p, int64_t offset, const real *mean, int64_t mean_step,
                              real scale, real *y, int64_t n) {
    const char *x = (const char *)(intptr_t)p->pixels + offset * (p->is_float ? 4 : 1);
    if (p->is_float)
        MAP_ROW(1, p->column_step);
    else if (p->column_step == 1)
        MAP_ROW(0, 1);
    else if (p->column_step == 3)
        MAP_ROW(0, 3);
    else if (p->column_step == 4)
        MAP_ROW(0, 4);
    else
        MAP_ROW(0, p->column_step);
}

KERNEL(transform_pictures) {
    ARGS(transform_pictures);
    const picture *pictures = a->pictures;
    const real *mean = a->mean;
    real *y = a->y;
    int64_t channels = a->channels, height = a->height, width = a->width;
    PARALLEL_FOR(a->n * channels * height * width)
    for (int64_t i = 0; i < a->n; i++) {
        const picture *p = &pictures[i];
        /* Rows that follow each other, here and in the mean, are one long row. */
        int one = !p->mirror && p->row_step == width * p->column_step &&
                  a->mean_row_step == width * a->mean_column_step;
        int64_t rows = one ? 1 : height, n = one ? height * width : width;
        for (int64_t c = 0; c < channels; c++)
            for (int64_t h = 0; h < rows; h++) {
                int64_t row = p->top + h;
                FN(transform_row)(
                    p, c * p->channel_step + row * p->row_step + p->left * p->column_step,
                    mean + c * a->mean_channel_step + row * a->mean_row_step +
                        p->left * a->mean_column_step,
                    a->mean_column_step, (real)a->scale,
                    y + ((i * channels + c) * height + h) * width, n);
            }
    }
}

#undef MAP_ROW
