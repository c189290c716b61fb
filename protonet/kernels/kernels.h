/* The kernels' arguments: one struct per kernel, named <kernel>_args, and the calls that find
 * and run them. This one header is read by the C compiler and by cffi alike, so it holds plain
 * declarations only.
 *
 * A buffer is `void *`: float or double, as the variant of the kernel says (kernel_find).
 * Sizes are elements, not bytes. What changes from pass to pass is read through a pointer, so
 * that a recorded struct stays true. */

/* ---- running ---------------------------------------------------------------------------- */

typedef void (*kernel)(const void *args);
typedef struct { kernel run; const void *args; } step;

/* The kernel of that name for float (is_double 0) or double, or NULL. */
kernel kernel_find(const char *name, int is_double);
/* Runs the steps in order; with seconds != NULL adds each step's time to its entry. */
void replay(const step *steps, int64_t count, double *seconds);
/* The instruction set in use; choosing one by name gives 0, or -1 if this machine lacks it. */
const char *isa_name(void);
int isa_choose(const char *name);
int threads_count(void);
void threads_choose(int count);

/* ---- matrix product and convolution ----------------------------------------------------- */

/* C[m,n] = A[m,k] B[k,n] + beta C, then + bias[row] or bias[column] where given.
 * Element (i, j) of A is a[i * a_row + j * a_column]; likewise B. C's rows are c_row apart. */
typedef struct {
    const void *a; const void *b; void *c; const void *row_bias; const void *column_bias;
    int64_t m; int64_t n; int64_t k;
    int64_t a_row; int64_t a_column; int64_t b_row; int64_t b_column; int64_t c_row;
    double beta;
} matmul_args;

/* A convolution's geometry over `axes` spatial axes: x is n, channels, size[...]; y is
 * n, outputs, out[...]; weights are outputs, channels / group, kernel[...]. */
typedef struct {
    const void *x; const void *weight; const void *bias; void *y;
    int64_t n; int64_t channels; int64_t outputs; int64_t group; int64_t axes;
    int64_t size[8]; int64_t out[8]; int64_t kernel[8];
    int64_t stride[8]; int64_t pad[8]; int64_t dilation[8];
    int64_t by_columns; /* 1: im2col into a buffer, then the product; the readable reference */
} convolution_args;
/* dx from dy; dx is set, not added to. */
typedef struct { convolution_args shape; const void *dy; void *dx; } convolution_backward_data_args;
/* dweight += and dbias += from x and dy; either may be NULL. */
typedef struct {
    convolution_args shape; const void *dy; void *dweight; void *dbias;
} convolution_backward_weight_args;
/* columns[c * prod(kernel) + tap, out...] of each image; and its transpose, which adds up. */
typedef struct { convolution_args shape; void *columns; } im2col_args;
typedef struct { convolution_args shape; const void *columns; void *x; } col2im_args;

/* ---- elementwise ------------------------------------------------------------------------ */

/* y = max(x, 0) + slope * min(x, 0). x == y is allowed here and in all of this section. */
typedef struct { const void *x; void *y; int64_t n; double slope; } relu_args;
/* dx = dy * (x > 0 ? 1 : slope). x may be relu's y where slope >= 0. */
typedef struct {
    const void *x; const void *dy; void *dx; int64_t n; double slope;
} relu_backward_args;
/* y[i] = value. */
typedef struct { void *y; int64_t n; double value; } fill_args;
/* y = x. */
typedef struct { const void *x; void *y; int64_t n; } copy_args;
/* y[column] += sum over rows of x[rows, columns]. */
typedef struct { const void *x; void *y; int64_t rows; int64_t columns; } sum_rows_args;
/* y = a x + b y. */
typedef struct { const void *x; void *y; int64_t n; double a; double b; } axpby_args;

/* ---- solvers ---------------------------------------------------------------------------- */

/* What changes from step to step: the rate, the factor that clipping and iter_size put before the
 * gradient, Adam's correction, whether the change stays in `diff` (else zeros do), and the
 * gradient's norm. */
enum {
    UPDATE_RATE, UPDATE_SCALE, UPDATE_CORRECTION, UPDATE_KEEP, UPDATE_NORM, UPDATE_STEP_SIZE
};
enum { UPDATE_BLOCK = 8192 };

/* With g = scale diff + l2 weight + l1 sign(weight) and the rule's state first, second:
 * weight -= change(rate lr_mult, g) + rate lr_mult decoupled weight, and diff = the change or 0.
 * *broken (int32) becomes 1 if a weight is not finite. */
typedef struct {
    void *weight; void *diff; void *first; void *second; const void *step; void *broken;
    int64_t n; double lr_mult; double l2; double l1; double decoupled;
    double momentum; double decay; double delta;
} update_args;
typedef update_args update_sgd_args;
typedef update_args update_nesterov_args;
typedef update_args update_adagrad_args;
typedef update_args update_rmsprop_args;
typedef update_args update_adadelta_args;
typedef update_args update_adam_args;
/* sums[b] (double) = the sum of the squares of x's b-th UPDATE_BLOCK elements. */
typedef struct { const void *x; void *sums; int64_t n; } sum_of_squares_args;
/* step's scale = share, times limit / norm if the norm, the root of all n sums, is above limit. */
typedef struct { const void *sums; void *step; int64_t n; double limit; double share; }
    gradient_scale_args;

/* ---- per-channel maps: buffers are outer × channels × inner ------------------------------- */

/* y = x * scale[channel] + bias[channel]; either may be NULL (1 and 0). x == y is allowed. */
typedef struct {
    const void *x; const void *scale; const void *bias; void *y;
    int64_t outer; int64_t channels; int64_t inner;
} scale_args;
/* dscale = keep dscale + sum dy x, dbias = keep dbias + sum dy; either may be NULL. */
typedef struct {
    const void *x; const void *dy; void *dscale; void *dbias;
    int64_t outer; int64_t channels; int64_t inner; double keep;
} scale_gradient_args;
/* y = (x - mean) / sqrt(variance + eps) with this batch's statistics, which are also added to
 * the running ones: running = fraction running + new (variance: the unbiased one), weight =
 * fraction weight + 1. mean and inverse_std (channels each) are kept for the backward pass, and
 * a copy of y in `normalized` unless NULL. x == y is allowed. */
typedef struct {
    const void *x; void *y; void *normalized; void *mean; void *inverse_std;
    void *running_mean; void *running_variance; void *running_weight;
    int64_t outer; int64_t channels; int64_t inner; double eps; double fraction;
} batch_norm_args;
/* The same with the running statistics, divided by their weight (0: mean 0, variance 0). */
typedef struct {
    const void *x; void *y; void *inverse_std;
    const void *running_mean; const void *running_variance; const void *running_weight;
    int64_t outer; int64_t channels; int64_t inner; double eps;
} batch_norm_global_args;
/* dx of batch_norm from normalized, or from x and mean if that is NULL. dx == dy is allowed. */
typedef struct {
    const void *normalized; const void *x; const void *mean; const void *inverse_std;
    const void *dy; void *dx; int64_t outer; int64_t channels; int64_t inner;
} batch_norm_backward_args;
/* Rows of `size`: y = x - mean(x), over std(x) + eps; that divisor is kept in std (rows) for the
 * backward pass. With std NULL the variance is left as it is. x == y is allowed. */
typedef struct {
    const void *x; void *y; void *std; int64_t rows; int64_t size; double eps;
} mvn_args;
typedef struct {
    const void *y; const void *std; const void *dy; void *dx; int64_t rows; int64_t size;
} mvn_backward_args;

/* ---- rows ---------------------------------------------------------------------------------- */

/* y[i] = x[index[i]] for `count` rows of `size` elements; index holds whole numbers as reals. */
typedef struct {
    const void *x; const void *index; void *y; int64_t count; int64_t size;
} gather_rows_args;
/* x[index[i]] += y[i]. */
typedef struct {
    const void *y; const void *index; void *x; int64_t count; int64_t size;
} scatter_rows_args;
/* *bad (int64_t) = the first i with index[i] outside 0 ... limit - 1 (NaN too), else -1. */
typedef struct { const void *index; int64_t count; int64_t limit; void *bad; } check_index_args;

/* ---- data ------------------------------------------------------------------------------- */

/* What a Datum record says: sizes, label, where its bytes lie (an address) and how many they
 * are, how many floats it has; `broken` if it is no whole protobuf message. */
typedef struct {
    int64_t channels; int64_t height; int64_t width; int64_t label;
    int64_t pixels; int64_t size; int64_t floats; int64_t encoded; int64_t broken;
} datum;
/* found[i] (datum) = what the record of sizes[i] bytes at records[i] says. */
typedef struct { const void *records; const void *sizes; void *found; int64_t n; }
    read_datums_args;

/* An image in memory: the address of element (0, 0, 0), uint8 or float, the steps in elements from
 * one channel, row and column to the next; where its crop begins and whether it is mirrored. */
typedef struct {
    int64_t pixels; int64_t is_float; int64_t channel_step; int64_t row_step; int64_t column_step;
    int64_t top; int64_t left; int64_t mirror;
} picture;
/* y[i, c, h, w] = (picture i at (c, top + h, left + w) - mean there) * scale, mirrored in w. The
 * mean's steps are 0 along axes that it does not have. One pass; writes n·channels·height·width. */
typedef struct {
    const void *pictures; const void *mean; void *y;
    int64_t n; int64_t channels; int64_t height; int64_t width;
    int64_t mean_channel_step; int64_t mean_row_step; int64_t mean_column_step; double scale;
} transform_pictures_args;

/* ---- recurrent steps --------------------------------------------------------------------- */

/* c = f c_before + i g, h = o tanh(c), for rows × size; gates (rows × 4 size) holds i, f, o, g
 * before activation, active takes them after (gates == active is allowed): f times cont[row]. */
typedef struct {
    const void *c_before; const void *gates; const void *cont; void *active; void *c; void *h;
    int64_t rows; int64_t size;
} lstm_unit_args;
/* dgates (before activation) and dc_before from dc (NULL: zeros) and dh. */
typedef struct {
    const void *c_before; const void *active; const void *c; const void *dc; const void *dh;
    void *dc_before; void *dgates; int64_t rows; int64_t size;
} lstm_unit_backward_args;
/* y = tanh(x), and dx = (dy + more) (1 - y y). */
typedef struct { const void *x; void *y; int64_t n; } rnn_unit_args;
typedef struct {
    const void *y; const void *dy; const void *more; void *dx; int64_t n;
} rnn_unit_backward_args;
