/* exp, log, tanh, power without branches, so that loops over them become vector code. The
 * polynomials are minimax fits over the reduced range. Largest error, in units of the last place
 * of the result: float 2, double 2 (double tanh and power are the C library's). NaN in is NaN out. */

#define INLINE static inline __attribute__((always_inline))

INLINE int32_t FN(bits32)(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
INLINE float FN(float_of)(int32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
INLINE int64_t FN(bits64)(double x) {
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
INLINE double FN(double_of)(int64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Adding it leaves the nearest whole number in the low bits of the sum. */
#define ROUND_FLOAT 12582912.0f
#define ROUND_DOUBLE 6755399441055744.0

/* e^x = 2^n e^r, |r| <= ln 2 / 2. 2^n goes in as two factors: it may not be a float itself. */
INLINE float FN(exp_float)(float x) {
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    const float shifted = x * 1.44269504088896f + ROUND_FLOAT, n = shifted - ROUND_FLOAT;
    const int32_t whole = FN(bits32)(shifted) - FN(bits32)(ROUND_FLOAT), half = whole >> 1;
    const float r = (x - n * 0.693145751953125f) - n * 1.42860682030941723e-6f;
    float q = 0.001395171725105007f;
    q = q * r + 0.008369598410076954f;
    q = q * r + 0.041666187283555901f;
    q = q * r + 0.16666512888404758f;
    q = q * r + 0.50000001009802031f;
    const float e = 1 + (r + r * r * q);
    return e * FN(float_of)((half + 127) << 23) * FN(float_of)((whole - half + 127) << 23);
}

INLINE double FN(exp_double)(double x) {
    x = x < -746.0 ? -746.0 : x;
    x = x > 710.0 ? 710.0 : x;
    const double shifted = x * 1.4426950408889634 + ROUND_DOUBLE, n = shifted - ROUND_DOUBLE;
    const int64_t whole = FN(bits64)(shifted) - FN(bits64)(ROUND_DOUBLE);
    const int64_t half = FN(bits64)(n * 0.5 + ROUND_DOUBLE) - FN(bits64)(ROUND_DOUBLE);
    const double r = (x - n * 0x1.62e42fefa3800p-1) - n * 5.497923018708371e-14;
    double q = 2.5100581489685867e-08;
    q = q * r + 2.762020251459517e-07;
    q = q * r + 2.755726795706737e-06;
    q = q * r + 2.4801521055912977e-05;
    q = q * r + 0.00019841269863497168;
    q = q * r + 0.0013888888917368365;
    q = q * r + 0.008333333333329909;
    q = q * r + 0.04166666666662382;
    q = q * r + 0.16666666666666669;
    q = q * r + 0.5000000000000001;
    const double e = 1 + (r + r * r * q);
    return e * FN(double_of)((half + 1023) << 52) * FN(double_of)((whole - half + 1023) << 52);
}

/* log x = n ln 2 + log m, m between sqrt(1/2) and sqrt(2). */
INLINE float FN(log_float)(float x) {
    const int small = x < FLT_MIN;
    const int32_t root = 0x3f3504f3; /* sqrt(1/2) */
    const int32_t bits = FN(bits32)(small ? x * 8388608.0f : x) - root;
    const float n = (float)(bits >> 23) - (small ? 23.0f : 0.0f);
    const float f = FN(float_of)((bits & 0x007fffff) + root) - 1, z = f * f;
    float q = 0.067465595236623363f;
    q = q * f - 0.11679643057135945f;
    q = q * f + 0.11890335993643865f;
    q = q * f - 0.12405138074238486f;
    q = q * f + 0.14219222940022447f;
    q = q * f - 0.16668006686917905f;
    q = q * f + 0.20002133660783397f;
    q = q * f - 0.25000009641576387f;
    q = q * f + 0.33333312413842198f;
    float y = n * 0.693145751953125f + (f + (z * f * q - 0.5f * z + n * 1.42860682030941723e-6f));
    y = x > FLT_MAX ? x : y;
    y = x == 0 ? -INFINITY : y;
    return x >= 0 ? y : NAN;
}

INLINE double FN(log_double)(double x) {
    const int small = x < DBL_MIN;
    const int64_t root = 0x3fe6a09e667f3bcd, bias = (int64_t)1023 << 52; /* sqrt(1/2); keeps > 0 */
    const int64_t bits = FN(bits64)(small ? x * 4503599627370496.0 : x) - root + bias;
    const int64_t exponent = (int64_t)((uint64_t)bits >> 52);
    const double n = (FN(double_of)(exponent | FN(bits64)(4503599627370496.0)) -
                      4503599627370496.0) - (small ? 1075.0 : 1023.0);
    const double f = FN(double_of)((bits & 0x000fffffffffffff) + root) - 1;
    const double s = f / (2 + f), z = s * s;
    double q = 0.084110722166248097;
    q = q * z + 0.09061728714776375;
    q = q * z + 0.11111688563941213;
    q = q * z + 0.14285708528917654;
    q = q * z + 0.20000000026341874;
    q = q * z + 0.33333333333293264;
    /* log m = 2s + 2s z q, written as f less a small part */
    double y = n * 0x1.62e42fefa3800p-1 +
               (f - (s * (f - 2 * z * q) - n * 5.497923018708371e-14));
    y = x > DBL_MAX ? x : y;
    y = x == 0 ? -INFINITY : y;
    return x >= 0 ? y : NAN;
}

/* What a negative base's sign makes of |x|^p: 1, -1, or NaN for a broken p. */
static double FN(power_sign)(double p) {
    if (p != floor(p)) return NAN;
    return p * 0.5 == floor(p * 0.5) ? 1 : -1;
}

#if REAL_IS_FLOAT

INLINE real FN(exp_of)(real x) { return FN(exp_float)(x); }
INLINE real FN(log_of)(real x) { return FN(log_float)(x); }

INLINE real FN(tanh_of)(real x) {
    const float size = fabsf(x), z = x * x;
    float q = 0.0021464966614883492f;
    q = q * z - 0.0081815789240478557f;
    q = q * z + 0.021702542182777156f;
    q = q * z - 0.053947130230427506f;
    q = q * z + 0.13333209208468197f;
    q = q * z - 0.33333330893382151f;
    const float near = x + x * z * q;
    const float far = copysignf(1 - 2 / (FN(exp_float)(2 * size) + 1), x);
    return size < 0.625f ? near : far;
}

/* x^p, with sign = power_sign(p). In double: log x times p loses too many places in float. */
INLINE real FN(power_of)(real x, double p, double sign) {
    const double size = FN(exp_double)(p * FN(log_double)((double)fabsf(x)));
    return (real)(x < 0 ? size * sign : size);
}

#else

INLINE real FN(exp_of)(real x) { return FN(exp_double)(x); }
INLINE real FN(log_of)(real x) { return FN(log_double)(x); }
INLINE real FN(tanh_of)(real x) { return tanh(x); }
INLINE real FN(power_of)(real x, double p, double sign) {
    (void)sign;
    return pow(x, p);
}

#endif

INLINE real FN(sigmoid_of)(real x) { return 1 / (1 + FN(exp_of)(-x)); }

/* log(1 + u) for u >= 0, exact for small u as well. */
INLINE real FN(log1p_of)(real u) {
    const real sum = 1 + u, rest = sum - 1;
    return rest == 0 ? u : FN(log_of)(sum) * (u / rest);
}
