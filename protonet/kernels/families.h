/* The kernels, family by family, for one `real` of one instruction set. */
#include "gemm.c"
#include "im2col.c"
#include "convolution.c"
#include "elementwise.c"
#include "update.c"
#include "affine.c"
