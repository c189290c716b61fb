/* Products count numbers too small to be normal as zeros: the processor takes a hundred cycles for an
 * operation with one, and they come from gradients that fade away and from spare lanes, which hold
 * whatever was in memory. Other kernels keep them. */
#ifndef PROTONET_TINY_H
#define PROTONET_TINY_H

#include <stdint.h>

/* How this thread's floating point unit rounds and flushes: a team works as its caller does. */
#if defined(__x86_64__)
#include <xmmintrin.h>
typedef unsigned float_mode;
#define FLUSH_TINY 0x8040u /* results (bit 15) and operands (bit 6) */
static inline float_mode float_mode_now(void) { return _mm_getcsr(); }
static inline void float_mode_set(float_mode mode) { _mm_setcsr(mode); }
#elif defined(__aarch64__)
typedef uint64_t float_mode;
#define FLUSH_TINY (UINT64_C(1) << 24)
static inline float_mode float_mode_now(void) {
    float_mode mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
static inline void float_mode_set(float_mode mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
typedef unsigned float_mode;
#define FLUSH_TINY 0u
static inline float_mode float_mode_now(void) { return 0; }
static inline void float_mode_set(float_mode mode) { (void)mode; }
#endif

static inline void float_mode_restore(const float_mode *mode) { float_mode_set(*mode); }

/* From here to the end of the block. */
#define TINY_IS_ZERO                                                                             \
    __attribute__((cleanup(float_mode_restore))) const float_mode mode_before = float_mode_now(); \
    float_mode_set(mode_before | FLUSH_TINY)

#endif
