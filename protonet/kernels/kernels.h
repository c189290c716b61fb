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
/* A pointer `at` bytes into the arguments of a step; one of what every image has a part of goes `image`
 * bytes on from image to image, one of what is needed in between (own) is a place in memory that
 * each thread has of its own. */
typedef struct { int64_t step; int64_t at; int64_t image; int64_t own; } image_pointer;
/* Steps that are recorded for one image, run for each: all of them for one image before the next, as
 * many images at once as there are threads. `own`: bytes of each thread's memory. Pointers are in
 * the order of the steps; sizes are those of the steps' arguments, at most MOST_ARGUMENTS. */
typedef struct {
    const step *steps; const int64_t *sizes; const image_pointer *pointers;
    int64_t count; int64_t pointer_count; int64_t images; int64_t own;
} by_image_args;
enum { MOST_ARGUMENTS = 1024 };
void by_image(const void *arguments);
/* The instruction set in use; choosing one by name gives 0, or -1 if this machine lacks it. */
const char *isa_name(void);
int isa_choose(const char *name);
int threads_count(void);
void threads_choose(int count);

/* ---- blocks of a LevelDB ------------------------------------------------------------------- */

/* Writes what Snappy packed into n bytes, the size in front of them taken off, and returns how many
 * bytes that makes; -1 if they are more than `room`, or broken. */
int64_t unsnap(const void *packed, int64_t n, void *y, int64_t room);
/* CRC-32C (Castagnoli). */
uint32_t crc32c(const void *bytes, int64_t n);

/* ---- matrix product and convolution ----------------------------------------------------- */

/* What the store of a product does besides the bias: v + residual, then v < 0 ? slope v : v, then
 * that kept within low ... high. */
typedef struct {
    const void *residual; /* laid out as the result; NULL: none */
    const void *slopes;   /* one for each output channel instead of slope; NULL: none */
    int64_t activate;     /* 0: nothing is done after the residual */
    double slope; double low; double high;
} epilogue_args;

/* C[m,n] = A[m,k] B[k,n] + beta C, then + bias[row] or bias[column] where given; then the epilogue,
 * whose channels are the columns. Element (i, j) of A is a[i * a_row + j * a_column]; likewise B. C's
 * rows are c_row apart. packed: B as matmul_pack left it, or NULL. */
typedef struct {
    const void *a; const void *b; void *c; const void *row_bias; const void *column_bias;
    int64_t m; int64_t n; int64_t k;
    int64_t a_row; int64_t a_column; int64_t b_row; int64_t b_column; int64_t c_row;
    double beta;
    epilogue_args store; const void *packed;
    int64_t tiles; /* 1: a packed B may be multiplied by AMX tiles (amx.h), with their error */
    int64_t rounds; /* 1: a packed B may be rounded to 20 bits (short_weights.c) */
} matmul_args;
/* size (int64[2]) = the bytes of B packed, 0 if the product reads it as it is, and which way that
 * is: what is packed for one way does for all shapes that take it. packed, if not NULL, is filled. */
typedef struct { matmul_args shape; void *packed; void *size; } matmul_pack_args;

/* A convolution's geometry over `axes` spatial axes: x is n, channels, size[...]; y is
 * n, outputs, out[...]; weights are outputs, channels / group, kernel[...]. */
typedef struct {
    const void *x; const void *weight; const void *bias; void *y;
    int64_t n; int64_t channels; int64_t outputs; int64_t group; int64_t axes;
    int64_t size[8]; int64_t out[8]; int64_t kernel[8];
    int64_t stride[8]; int64_t pad[8]; int64_t dilation[8];
    int64_t by_columns; /* 1: im2col into a buffer, then the product; the readable reference */
    epilogue_args store;
    const void *packed; /* the weights as convolution_pack left them, or NULL */
    int64_t x_image; int64_t y_image; /* elements from one image to the next, 0: no gap */
    int64_t pool; /* 1: y is the greatest of each 2×2 outputs, for ways that can: out even, no residual */
    int64_t tiles; /* 1: packed weights may be multiplied by AMX tiles (amx.h), with their error */
    int64_t way; /* if not 0: the one to go, where that can be and weights are packed */
    int64_t mixes; /* 1: packed weights may be sums of several channels' (strassen.c), with their error */
} convolution_args;
/* As kernels.WAYS has them. */
enum { WAY_AS_THEY_ARE, WAY_WINOGRAD, WAY_PIXELS, WAY_DIRECT, WAY_COLUMNS, WAY_TILES, WAY_STRIPS,
       WAY_LINES, WAY_SMALL, WAY_STRASSEN };
/* As matmul_pack, for the weights and the way that a convolution of this shape takes. */
typedef struct { convolution_args shape; void *packed; void *size; } convolution_pack_args;
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

/* y = (x - mean) / sqrt(variance + eps) slope + bias per channel, with the batch's statistics or the
 * running ones (use_running). The batch's are added to the running ones unless those are NULL:
 * running = momentum running + (1 - momentum) new. mean, inverse_std and variance (may be NULL)
 * become what was used. x == y is allowed. Where `rectify`, y becomes max(y, 0) + below min(y, 0). */
typedef struct {
    const void *x; const void *slope; const void *bias; void *y; void *mean; void *inverse_std;
    void *variance; void *running_mean; void *running_variance;
    int64_t outer; int64_t channels; int64_t inner; int64_t use_running; double eps; double momentum;
    int64_t rectify; double below;
} bn_args;
/* dx is set, dslope and dbias are added to; any may be NULL. dx == dy is allowed. dy is that of what
 * was rectified, if it was: shape.y, by whose sign it goes. */
typedef struct { bn_args shape; const void *dy; void *dx; void *dslope; void *dbias; }
    bn_backward_args;

/* ---- rows ---------------------------------------------------------------------------------- */

/* y[i] = x[index[i]] for `count` rows of `size` elements; index holds whole numbers as reals, from 0
 * to `rows` - 1. *bad (int64_t) = the first i of which this is not true (NaN too), else -1. */
typedef struct {
    const void *x; const void *index; void *y; int64_t count; int64_t size; int64_t rows; void *bad;
} gather_rows_args;
/* x[index[i]] += y[i]. */
typedef struct {
    const void *y; const void *index; void *x; int64_t count; int64_t size; int64_t rows;
} scatter_rows_args;
/* kept = the i with selector[i] != 0, as reals; *found (int64_t) = how many; *bad (int64_t) = the
 * first i whose selector is NaN, else -1. */
typedef struct { const void *selector; int64_t count; void *kept; void *found; void *bad; }
    select_rows_args;

/* ---- data ------------------------------------------------------------------------------- */

/* What a Datum record says: sizes, label, where its bytes lie (an address) and how many they
 * are, how many floats it has; `broken` if it is no whole protobuf message; `raw` if its bytes
 * are channels × height × width pixels. */
typedef struct {
    int64_t channels; int64_t height; int64_t width; int64_t label;
    int64_t pixels; int64_t size; int64_t floats; int64_t encoded; int64_t broken; int64_t raw;
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

/* ---- activations: x == y and dy == dx are allowed ------------------------------------------ */

typedef struct { const void *x; void *y; int64_t n; } map_args;
typedef struct { const void *x; const void *dy; void *dx; int64_t n; } map_backward_args;
/* These gradients take y, not x. */
typedef struct { const void *y; const void *dy; void *dx; int64_t n; } map_backward_of_y_args;
/* y = 1 / (1 + e^-x). */
typedef map_args sigmoid_args;
typedef map_backward_of_y_args sigmoid_backward_args;
typedef map_args tanh_args;
typedef map_backward_of_y_args tanh_backward_args;
/* y = |x|; the gradient at 0 is 0. */
typedef map_args absolute_args;
typedef map_backward_args absolute_backward_args;
/* y = log(1 + e^x). */
typedef map_args bnll_args;
typedef map_backward_args bnll_backward_args;
/* y = x > 0 ? x : alpha (e^x - 1); the gradient needs both x and y. */
typedef struct { const void *x; void *y; int64_t n; double alpha; } elu_args;
typedef struct {
    const void *x; const void *y; const void *dy; void *dx; int64_t n; double alpha;
} elu_backward_args;
/* y = x / (1 + e^(-beta x)). */
typedef struct { const void *x; void *y; int64_t n; double beta; } swish_args;
typedef struct { const void *x; const void *dy; void *dx; int64_t n; double beta; }
    swish_backward_args;
/* y = min(max(x, low), high); the gradient passes at both ends. */
typedef struct { const void *x; void *y; int64_t n; double low; double high; } clip_args;
typedef struct { const void *x; const void *dy; void *dx; int64_t n; double low; double high; }
    clip_backward_args;
/* y = x > limit ? 1 : 0. */
typedef struct { const void *x; void *y; int64_t n; double limit; } threshold_args;
/* y = factor e^(inner x). */
typedef struct { const void *x; void *y; int64_t n; double factor; double inner; } exponential_args;
/* dx = dy y inner. */
typedef struct { const void *y; const void *dy; void *dx; int64_t n; double inner; }
    exponential_backward_args;
/* y = factor log(scale x + shift). */
typedef struct { const void *x; void *y; int64_t n; double factor; double scale; double shift; }
    logarithm_args;
typedef struct {
    const void *x; const void *dy; void *dx; int64_t n; double factor; double scale; double shift;
} logarithm_backward_args;
/* y = (scale x + shift)^power; NaN for a negative base and a broken power. */
typedef struct { const void *x; void *y; int64_t n; double power; double scale; double shift; }
    power_args;
typedef struct {
    const void *x; const void *dy; void *dx; int64_t n; double power; double scale; double shift;
} power_backward_args;
/* y = x > 0 ? x : slope[channel] x over outer × channels × inner; dslope is added to. */
typedef struct {
    const void *x; const void *slope; void *y; int64_t outer; int64_t channels; int64_t inner;
} prelu_args;
typedef struct {
    const void *x; const void *slope; const void *dy; void *dx;
    int64_t outer; int64_t channels; int64_t inner;
} prelu_backward_args;
typedef struct {
    const void *x; const void *dy; void *dslope; int64_t outer; int64_t channels; int64_t inner;
} prelu_gradient_args;

/* y = min(x > 0 ? x : slope x, limit). The gradient's x may be y where slope >= 0. */
typedef struct { const void *x; void *y; int64_t n; double slope; double limit; } relu6_args;
typedef struct {
    const void *x; const void *dy; void *dx; int64_t n; double slope; double limit;
} relu6_backward_args;
/* y = alpha x + beta, within 0 ... 1. */
typedef struct { const void *x; void *y; int64_t n; double alpha; double beta; } hard_sigmoid_args;
typedef struct { const void *y; const void *dy; void *dx; int64_t n; double alpha; }
    hard_sigmoid_backward_args;
/* y = x times x / 6 + 1/2, within 0 ... 1. */
typedef map_args hard_swish_args;
typedef map_backward_args hard_swish_backward_args;
/* y = scale[row] x + z, rows of `inner`. */
typedef struct {
    const void *x; const void *scale; const void *z; void *y; int64_t rows; int64_t inner;
} scaled_sum_args;

/* ---- random ------------------------------------------------------------------------------- */

/* What draws of a layer depend on besides the element's index: uint64 key and number of the pass,
 * which each pass raises by 1. */
enum { RANDOM_KEY, RANDOM_PASS, RANDOM_SIZE };
/* y = scale x where mask (uint8, set here) is 1, which it is with probability 1 - ratio; else 0.
 * x == y is allowed. */
typedef struct {
    const void *x; void *y; void *mask; void *state; int64_t n; double ratio; double scale;
} dropout_args;
typedef struct { const void *dy; const void *mask; void *dx; int64_t n; double scale; }
    dropout_backward_args;

/* ---- pooling ------------------------------------------------------------------------------ */

/* Windows over `planes` planes of height × width. */
typedef struct {
    const void *x; void *y; int64_t planes; int64_t height; int64_t width;
    int64_t out_height; int64_t out_width; int64_t kernel_height; int64_t kernel_width;
    int64_t stride_height; int64_t stride_width; int64_t pad_height; int64_t pad_width;
} pooling_args;
/* y = the greatest of each window, mask (int32) its index h width + w, -1 if nothing in the window is
 * above the lowest number; argmax the same as a real. mask and argmax may be NULL, argmax needs mask. */
typedef struct { pooling_args shape; void *mask; void *argmax; } max_pool_args;
/* dx[mask] += dy in each plane of `size` inputs and `out` outputs; the rest of dx is 0. */
typedef struct {
    const void *dy; const void *mask; void *dx; int64_t planes; int64_t size; int64_t out;
} pool_scatter_args;
/* y = the sum of each window over its size clipped to H + P. */
typedef pooling_args average_pool_args;
typedef struct { pooling_args shape; const void *dy; void *dx; } average_pool_backward_args;
/* y = an element drawn with a probability in proportion to its value (negative ones count 0); mask
 * as in max_pool, for pool_scatter. */
typedef struct { pooling_args shape; void *mask; void *state; } stochastic_pool_args;
/* y = the mean of what would be drawn. */
typedef pooling_args stochastic_mean_args;
typedef struct { pooling_args shape; const void *dy; void *dx; } stochastic_mean_backward_args;

/* ---- planes from planes ------------------------------------------------------------------- */

/* y[index] = x in each plane of `size` inputs and `out` outputs, the rest 0; index holds whole
 * numbers as reals. *bad (int64) = the first i whose index is outside the plane, else -1. */
typedef struct {
    const void *x; const void *index; void *y; void *bad; int64_t planes; int64_t size; int64_t out;
} unpool_args;
typedef struct {
    const void *index; const void *dy; void *dx; int64_t planes; int64_t size; int64_t out;
} unpool_backward_args;
/* y[h, w] = x[row[h], column[w]] (int32), fill where either is -1. */
typedef struct {
    const void *x; void *y; const void *row; const void *column; int64_t planes;
    int64_t height; int64_t width; int64_t out_height; int64_t out_width; double fill;
} pick_pixels_args;
typedef struct { pick_pixels_args shape; const void *dy; void *dx; } pick_pixels_backward_args;
/* y[h, w] from rows row[2h], row[2h + 1] with weights 1 - row_weight[h], row_weight[h], and columns
 * likewise. If x is NULL the planes are the channels of a picture of bytes, y is bytes too, and the
 * weights are int32 in 1/2048, two for each row and column, in OpenCV's fixed point. */
typedef struct {
    const void *x; const void *picture; void *y; const void *row; const void *row_weight;
    const void *column; const void *column_weight; int64_t planes;
    int64_t height; int64_t width; int64_t out_height; int64_t out_width;
} bilinear_resize_args;
typedef struct { bilinear_resize_args shape; const void *dy; void *dx; }
    bilinear_resize_backward_args;

/* ---- local response normalisation ---------------------------------------------------------- */

/* scale = k + alpha / size * (sum of x² over `size` channels around), y = x scale^-beta, for n ×
 * channels × plane. x == y is allowed; scale is kept unless NULL. */
typedef struct {
    const void *x; void *y; void *scale; int64_t n; int64_t channels; int64_t plane;
    int64_t size; double alpha; double beta; double k;
} lrn_across_args;
typedef struct { lrn_across_args shape; const void *dy; void *dx; } lrn_across_backward_args;
/* The same over size × size positions of each plane; the divisor is size², k is 1. */
typedef struct {
    const void *x; void *y; void *scale; int64_t planes; int64_t height; int64_t width;
    int64_t size; double alpha; double beta;
} lrn_within_args;
typedef struct { lrn_within_args shape; const void *dy; void *dx; } lrn_within_backward_args;

/* ---- softmax: buffers are outer × classes × inner ------------------------------------------ */

typedef struct { const void *x; void *y; int64_t outer; int64_t classes; int64_t inner; }
    softmax_args;
typedef struct {
    const void *y; const void *dy; void *dx; int64_t outer; int64_t classes; int64_t inner;
} softmax_backward_args;
/* loss = -sum of log max(probability[label], FLT_MIN) / normalizer, each times class_weight[label]
 * unless that is NULL. `normalizer` (double) becomes the divisor, at least 1: positions, positions
 * not ignored, outer, or 1. `bad` (int64) becomes the first position whose label is no class, or -1. */
enum { LOSS_FULL, LOSS_VALID, LOSS_BATCH_SIZE, LOSS_NONE };
typedef struct {
    const void *x; const void *label; const void *class_weight;
    void *probability; void *loss; void *normalizer; void *bad;
    int64_t outer; int64_t classes; int64_t inner;
    int64_t has_ignore; int64_t ignore; int64_t normalization;
} softmax_loss_args;
/* dy is one number. */
typedef struct { softmax_loss_args shape; const void *dy; void *dx; } softmax_loss_backward_args;
/* accuracy = the share of positions whose label is among the top_k greatest scores, ties against
 * it; per_class the same for each class, with counts as scratch (both NULL or classes long). */
typedef struct {
    const void *x; const void *label; void *accuracy; void *per_class; void *per_class_counts;
    void *bad; int64_t outer; int64_t classes; int64_t inner; int64_t top_k;
    int64_t has_ignore; int64_t ignore;
} accuracy_args;

/* ---- losses ------------------------------------------------------------------------------- */

/* y = scale * sum (a - b)². */
typedef struct { const void *a; const void *b; void *y; int64_t n; double scale; }
    euclidean_loss_args;
/* dx = scale dy (a - b); dy is one number. */
typedef struct {
    const void *a; const void *b; const void *dy; void *dx; int64_t n; double scale;
} euclidean_loss_backward_args;

/* In these `loss`, `normalizer` and `bad` are as in softmax_loss; dy is one number.
 * loss = -sum of t log s(x) + (1 - t) log(1 - s(x)), s the sigmoid; a target whose whole part is
 * `ignore` adds nothing, NaN is bad. */
typedef struct {
    const void *x; const void *target; void *loss; void *normalizer; void *bad;
    int64_t n; int64_t outer; int64_t has_ignore; int64_t ignore; int64_t normalization;
} sigmoid_loss_args;
typedef struct { sigmoid_loss_args shape; const void *dy; void *dx; } sigmoid_loss_backward_args;
/* loss = sum of max(0, 1 - x) for the label's class and max(0, 1 + x) for the others, or of their
 * squares, / rows. */
typedef struct {
    const void *x; const void *label; void *loss; void *bad;
    int64_t rows; int64_t classes; int64_t squared;
} hinge_loss_args;
typedef struct { hinge_loss_args shape; const void *dy; void *dx; } hinge_loss_backward_args;
/* loss = -sum of log max(probability[label], 1e-20) / rows. */
typedef struct {
    const void *probability; const void *label; void *loss; void *bad;
    int64_t rows; int64_t classes;
} log_loss_args;
typedef struct { log_loss_args shape; const void *dy; void *dx; } log_loss_backward_args;
/* loss = -sum of gain[label, class] log max(probability[class], 1e-20); gain is classes × classes,
 * gain_sums (classes) is set to the sums of its rows for the backward pass. */
typedef struct {
    const void *x; const void *label; const void *gain; void *gain_sums; void *probability;
    void *loss; void *normalizer; void *bad; int64_t outer; int64_t classes; int64_t inner;
    int64_t has_ignore; int64_t ignore; int64_t normalization;
} infogain_loss_args;
typedef struct { infogain_loss_args shape; const void *dy; void *dx; } infogain_loss_backward_args;
/* With d² (kept in `squares`, one a row) the squared distance of the rows of a and b: loss = sum of
 * d² where similar is not 0, else max(0, margin - d)², or max(0, margin - d²) if legacy, / 2 rows.
 * `bad` becomes the first row whose mark of similarity is no number, or -1. */
typedef struct {
    const void *a; const void *b; const void *similar; void *squares; void *loss; void *bad;
    int64_t rows; int64_t size; double margin; int64_t legacy;
} contrastive_loss_args;
/* dx = sign times the gradient of a. */
typedef struct { contrastive_loss_args shape; const void *dy; void *dx; double sign; }
    contrastive_loss_backward_args;
/* d = a - b (b NULL: 0) over outer × channels × inner, NaN adds nothing. loss = sum of |d|, those
 * below plateau not, or per_location of √(weight · sum over channels of d² + epsilon), sums below
 * plateau² as 0; over outer, or if by_entries over the entries that are numbers / channels. */
typedef struct {
    const void *a; const void *b; void *loss; void *normalizer;
    int64_t outer; int64_t channels; int64_t inner;
    int64_t per_location; int64_t by_entries; double weight; double epsilon; double plateau;
} l1_loss_args;
typedef struct { l1_loss_args shape; const void *dy; void *dx; double sign; } l1_loss_backward_args;

/* ---- optical flow ------------------------------------------------------------------------- */

/* With a and b (n × channels × height × width) in `pad` zeros: y[p, o, h, w] = the mean over channels
 * and kernel × kernel places of a[s h + d + j, s w + d + i] times b there, moved down by
 * (p - radius) stride_2 and right by (o - radius) stride_2; s is stride_1, d displacement. Or, with
 * `subtract`, of the absolute difference. */
typedef struct {
    const void *a; const void *b; void *y; int64_t n; int64_t channels; int64_t height; int64_t width;
    int64_t out_height; int64_t out_width; int64_t pad; int64_t kernel; int64_t displacement;
    int64_t radius; int64_t stride_1; int64_t stride_2; int64_t subtract;
} correlation_args;
/* dx is the gradient of a, or of b if `second`. */
typedef struct { correlation_args shape; const void *dy; void *dx; int64_t second; }
    correlation_backward_args;
/* y[h, w] = x at (w + flow[0, h, w], h + flow[1, h, w]) between four pixels; fill outside. */
typedef struct {
    const void *x; const void *flow; void *y;
    int64_t n; int64_t channels; int64_t height; int64_t width; double fill;
} flow_warp_args;
typedef struct { flow_warp_args shape; const void *dy; void *dx; } flow_warp_backward_image_args;
typedef struct { flow_warp_args shape; const void *dy; void *dflow; } flow_warp_backward_flow_args;
/* y (outer × inner) = the root of the sum of x² over channels. */
typedef struct { const void *x; void *y; int64_t outer; int64_t channels; int64_t inner; }
    channel_norm_args;
/* dx = dy x / (y + 1e-9). */
typedef struct { channel_norm_args shape; const void *dy; void *dx; } channel_norm_backward_args;
/* y[h, w] = sum of row_weight[h, j] column_weight[w, k] x[row[h] + j, column[w] + k], j < row_taps,
 * k < column_taps. */
typedef struct {
    const void *x; void *y; const void *row; const void *row_weight;
    const void *column; const void *column_weight; int64_t planes; int64_t height; int64_t width;
    int64_t out_height; int64_t out_width; int64_t row_taps; int64_t column_taps;
} resample_args;
typedef struct { resample_args shape; const void *dy; void *dx; } resample_backward_args;
/* The same over the sum of the weights, NaN left out; NaN where those weigh more than half of the
 * others. */
typedef resample_args mean_of_numbers_args;

/* ---- several buffers ----------------------------------------------------------------------- */

enum { COMBINE_MOST = 8 };
/* y = sum of coefficient[k] x[k], k < count. y may be one of them, here and below. */
typedef struct {
    const void *x[8]; double coefficient[8]; void *y; int64_t count; int64_t n;
} combine_sum_args;
/* y = max(v, 0) + slope * min(v, 0) of v = a + b. */
typedef struct { const void *a; const void *b; void *y; int64_t n; double slope; } add_relu_args;
/* sum = da = db = (dy + other_dy) * (y > 0 ? 1 : slope), where slope >= 0. other_dy, da, db may be NULL,
 * sum may be dy. */
typedef struct {
    const void *dy; const void *other_dy; const void *y; void *sum; void *da; void *db; int64_t n;
    double slope;
} add_relu_backward_args;
/* y = product of x[k]. */
typedef struct { const void *x[8]; void *y; int64_t count; int64_t n; } combine_product_args;
/* y = the greatest, mask (uint8 or NULL) the number of the input it is from; these inputs have the
 * numbers first, first + 1, ..., and with first > 0 y and mask already hold those before. */
typedef struct { const void *x[8]; void *y; void *mask; int64_t count; int64_t first; int64_t n; }
    combine_max_args;
/* dx = dy where mask is index, else 0. */
typedef struct { const void *dy; const void *mask; void *dx; int64_t index; int64_t n; }
    combine_max_backward_args;
/* dx = dy y / x. */
typedef struct { const void *x; const void *y; const void *dy; void *dx; int64_t n; }
    divide_product_args;
/* y[row, :] = x[row, :] for rows of `columns`, which lie x_row and y_row apart. */
typedef struct {
    const void *x; void *y; int64_t rows; int64_t columns; int64_t x_row; int64_t y_row;
} copy_rows_args;

/* ---- moving elements ------------------------------------------------------------------------ */

/* y = the box of x (size) that begins at offset and is `out` large; and its transpose, 0 outside. */
typedef struct {
    const void *x; void *y; int64_t axes; int64_t size[8]; int64_t out[8]; int64_t offset[8];
} crop_args;
typedef struct { crop_args shape; const void *dy; void *dx; } crop_backward_args;
/* y (size) with axes in another order: step is x's step along each of y's axes. */
typedef struct { const void *x; void *y; int64_t axes; int64_t size[8]; int64_t step[8]; }
    permute_args;
/* Each row of `columns` repeated `tiles` times; dx = the sum over the copies. */
typedef struct { const void *x; void *y; int64_t rows; int64_t columns; int64_t tiles; } repeat_args;
typedef struct { const void *dy; void *dx; int64_t rows; int64_t columns; int64_t tiles; }
    repeat_backward_args;

/* ---- rows made numbers ------------------------------------------------------------------------ */

enum { REDUCE_SUM = 1, REDUCE_ABSOLUTE, REDUCE_SQUARES };
/* y[row] = factor * sum of x, |x| or x²; the backward pass of REDUCE_SUM needs no x. */
typedef struct {
    const void *x; void *y; int64_t rows; int64_t columns; int64_t operation; double factor;
} reduce_args;
typedef struct { reduce_args shape; const void *dy; void *dx; } reduce_backward_args;
/* The top_k greatest of x (outer × classes × inner) along the classes, the greatest first, of
 * equal ones the later first; their indices and values, each NULL or with images image_step apart. */
typedef struct {
    const void *x; void *indices; void *values; int64_t outer; int64_t classes; int64_t inner;
    int64_t top_k; int64_t image_step;
} arg_max_args;

/* ---- detection: boxes are xmin, ymin, xmax, ymax ------------------------------------------------ */

/* How a box is told from a prior: by its corners, centre and size, or corners in units of the
 * prior's size; divided by the prior's variances unless those are in the target. */
enum { BOX_CORNER = 1, BOX_CENTER_SIZE = 2, BOX_CORNER_SIZE = 3 };
typedef struct { int64_t kind; int64_t in_target; } box_code;
/* boxes (images × count × locations × 4) from offsets of the same shape; priors are 2 × count × 4,
 * their variances second. */
typedef struct {
    const void *offsets; const void *priors; void *boxes;
    int64_t images; int64_t count; int64_t locations; box_code code;
} decode_boxes_args;
/* offsets (count × 4) from boxes (count × 4), one to each prior. */
typedef struct { const void *boxes; const void *priors; void *offsets; int64_t count; box_code code; }
    encode_boxes_args;
/* overlaps[i, j] = intersection over union of a[i] and b[j]; extra is 1 where xmax and ymax are the
 * last pixel inside, 0 where they are the border. */
typedef struct {
    const void *a; const void *b; void *overlaps; int64_t a_count; int64_t b_count; double extra;
} box_overlaps_args;
/* Which boxes non-maximum suppression keeps: of those scored above least_score the top_k best (-1:
 * all), unless one of less than least_area or one that overlaps a kept one by more than `overlap`,
 * which each kept one multiplies by eta while it is above 1/2; `keep` at most (-1: all). */
typedef struct {
    double least_score; double least_area; double overlap; double eta; double extra;
    int64_t top_k; int64_t keep;
} nms_rule;
/* kept (int64, up to n) = what is kept of n boxes, the best first; *count (int64) how many. */
typedef struct {
    const void *boxes; const void *scores; void *kept; void *count; int64_t n; nms_rule rule;
} suppress_boxes_args;

/* y = scale x / norm, norm = sqrt(sum of x² + eps) over the channels of each position, or over all
 * of each image (across); norm (outer × inner, or outer) is kept for the gradients. scale_step is 1
 * for a scale per channel, 0 for one. */
typedef struct {
    const void *x; const void *scale; void *y; void *norm;
    int64_t outer; int64_t channels; int64_t inner; int64_t across; int64_t scale_step; double eps;
} l2_normalize_args;
typedef struct { l2_normalize_args shape; const void *dy; void *dx; } l2_normalize_backward_args;
/* dscale is added to. */
typedef struct { l2_normalize_args shape; const void *dy; void *dscale; }
    l2_normalize_gradient_args;

/* Suppression for each class but `background`, then the `keep` best of each image (-1: all).
 * boxes are images × priors × locations × 4 (locations: 1 or classes), scores images × priors ×
 * classes; kept (int64) becomes images × classes × most, of which `counts` (int64, images ×
 * classes) hold priors. */
typedef struct {
    const void *boxes; const void *scores; void *kept; void *counts; int64_t images;
    int64_t priors; int64_t classes; int64_t locations; int64_t background; int64_t most;
    int64_t keep; nms_rule rule;
} detect_args;
/* rows of image, class, score, box of what detect kept, in this order. */
typedef struct { detect_args found; void *rows; } detection_rows_args;
/* loss = scale * sum of outside f(inside (x - target)), f(d) = 0.5 sigma² d² for |d| < 1 / sigma², else
 * |d| - 0.5 / sigma²; inside and outside may be NULL (1). */
typedef struct {
    const void *x; const void *target; const void *inside; const void *outside; void *loss;
    int64_t n; double sigma2; double scale;
} smooth_l1_loss_args;
/* dx = sign times the gradient at x; dy is one number. */
typedef struct { smooth_l1_loss_args shape; const void *dy; void *dx; double sign; }
    smooth_l1_loss_backward_args;

/* SSD's loss. offsets are images × priors × locations × 4 (locations: 1 or classes), scores images ×
 * priors × classes, prior 2 × priors × 4, truth truths × 8: image (-1: none), class, instance, box,
 * difficult. match (int64, images × locations × priors) is the row of truth that a prior stands
 * for, -1 for none, -2 for never; negative (uint8, images × priors) marks those that are trained as
 * background where they are mined, otherwise all are. */
typedef struct {
    const void *offsets; const void *scores; const void *prior; const void *truth;
    void *match; void *negative; void *divisor;
    int64_t images; int64_t priors; int64_t classes; int64_t locations; int64_t truths;
    int64_t background; int64_t use_difficult; int64_t agnostic; int64_t per_prediction;
    int64_t ignore_crossing; int64_t inside_only; int64_t match_decoded; int64_t mined;
    int64_t smooth; int64_t logistic; double overlap; double location_weight; double class_weight;
    box_code code;
} multibox_args;
/* *bad (int64) = the first row of truth whose class is none or the background, else -1. */
typedef struct { multibox_args shape; void *bad; } judge_truths_args;
/* Sets match, by the priors or the decoded predictions (images × priors × locations × 4), and each
 * prior's best overlap (images × priors). */
typedef struct { multibox_args shape; const void *decoded; void *best_overlap; } match_boxes_args;
/* Sets negative to those of the greatest loss, and takes matches back that are not among these with
 * hard_examples; suppress: of the greatest loss after suppression by `rule`. locations is 1. */
typedef struct {
    multibox_args shape; const void *best_overlap; int64_t hard_examples; int64_t sample_size;
    int64_t suppress; int64_t suppress_priors; double negatives_per_match;
    double negative_overlap; nms_rule rule;
} mine_examples_args;
/* loss, and its divisor (at least 1): images × priors, matches, images or 1, as LOSS_FULL ... say. */
typedef struct { multibox_args shape; void *loss; int64_t normalization; } multibox_loss_args;
/* dy is one number. */
typedef struct { multibox_args shape; const void *dy; void *dx; } multibox_location_backward_args;
typedef struct { multibox_args shape; const void *dy; void *dx; } multibox_class_backward_args;

/* Regions: image, xmin, ymin, xmax, ymax (inside), in pixels. *bad (int64) = the first of `count`
 * whose image is none of `images` or that is no box at all, else -1. */
typedef struct { const void *rois; void *bad; int64_t count; int64_t images; } judge_regions_args;
/* Regions of x (images × channels × height × width), `scale` positions a pixel, widened on each
 * side by `pad` of their size, in out_height × out_width bins. Bad ones give 0. */
typedef struct {
    const void *x; const void *rois; void *y; int64_t images; int64_t channels;
    int64_t height; int64_t width; int64_t count; int64_t out_height; int64_t out_width;
    double scale; double pad;
} roi_args;
/* y (count × channels × bins) = the greatest of each bin; mask (int32) its index, -1 if empty;
 * turned is room for x with the channels last. */
typedef struct { roi_args shape; void *mask; void *turned; } roi_max_pool_args;
typedef struct { roi_args shape; const void *mask; const void *dy; void *dx; }
    roi_max_pool_backward_args;
/* y (count × channels / bins × bins) = the mean of each bin, each from its own channel. */
typedef roi_args roi_position_pool_args;
typedef struct { roi_args shape; const void *dy; void *dx; } roi_position_pool_backward_args;
/* Boxes (images × height × width × anchors × 4) from offsets (images × 4 anchors × height × width)
 * relative to anchors `stride` pixels apart; scores from the second half of class_scores (images ×
 * 2 anchors × height × width), -infinity for those smaller than min_size times the image's scale.
 * info: height, width, scale (or scales of height and width) of each image. kept (int64, images ×
 * most) and counts (int64, images): what suppression keeps. */
typedef struct {
    const void *class_scores; const void *offsets; const void *info; const void *anchor_boxes;
    void *boxes; void *scores; void *kept; void *counts;
    int64_t images; int64_t anchors; int64_t height; int64_t width; int64_t info_size;
    int64_t stride; int64_t most; double min_size; nms_rule rule;
} propose_args;
/* rows of regions of what propose kept, and their scores unless NULL. */
typedef struct { propose_args found; void *rows; void *row_scores; } proposal_rows_args;

/* YOLO v2's output: images × anchors (5 + classes) × height × width; anchor_sizes (width, height of
 * each anchor) are in cells. */
typedef struct {
    const void *x; const void *anchor_sizes;
    int64_t images; int64_t anchors; int64_t classes; int64_t height; int64_t width;
} yolo_grid;
/* boxes (images × count × 4), scores and labels (int64) of the best class of each predictor, from
 * number `first` of each image on: position by position, anchor by anchor. */
typedef struct {
    yolo_grid grid; void *boxes; void *scores; void *labels; int64_t count; int64_t first;
} yolo_boxes_args;
/* loss / images, delta = images times its gradient. Rows of truth, if `rows`: image, class +
 * first_class, instance, box, difficult (truths in all); else class, centre, size (truths of each
 * image, size 0: none). label_map (int64, labels long, or NULL) tells a label's class; each class
 * has a parent (-1: none) and a group of classes of which one is true (int64 each). owner (int64)
 * is a number for each predictor. *bad (int64) = a row whose class is none, or -1. */
typedef struct {
    yolo_grid grid; const void *truth; void *delta; void *owner; void *loss; void *bad;
    const void *label_map; const void *parent; const void *group_start; const void *group_size;
    int64_t truths; int64_t rows; int64_t first_class; int64_t labels; int64_t match_anchors;
    int64_t rescore; double threshold; double object_scale; double no_object_scale;
    double class_scale; double coord_scale;
} region_loss_args;
/* y = scale x, times one number that `factor` points to. */
typedef struct { const void *x; const void *factor; void *y; int64_t n; double scale; } scale_by_args;
/* y (n × channels × height × width) from x (n × channels / s² × s height × s width): channel
 * (place in its s × s block) · channels / s² + channel of x; enlarge: the way back. */
typedef struct {
    const void *x; void *y; int64_t n; int64_t channels; int64_t height; int64_t width;
    int64_t stride; int64_t enlarge;
} reorg_args;
/* rows (detections × 5: image, class, score, right, wrong) from detections (× 7) and truth (× 8);
 * taken (uint8) is a number for each true box. Neither right nor wrong: those of difficult boxes. */
typedef struct {
    const void *found; const void *truth; void *taken; void *rows; int64_t detections;
    int64_t truths; int64_t use_difficult; double overlap; double extra;
} evaluate_detections_args;
