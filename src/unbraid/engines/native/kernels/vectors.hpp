// Vectors of floats by the compiler's own extension, and the functions that networks apply to them.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#define INLINE inline __attribute__((always_inline))

#if !defined(UNBRAID_LANES)
#if defined(__AVX512F__)
#define UNBRAID_LANES 16
#elif defined(__AVX2__)
#define UNBRAID_LANES 8
#else
#define UNBRAID_LANES 4  // NEON
#endif
#endif
constexpr int LANES = UNBRAID_LANES;

using Vec = float __attribute__((vector_size(LANES * sizeof(float)), may_alias));
using Ints = int32_t __attribute__((vector_size(LANES * sizeof(float)), may_alias));

INLINE Vec load(const float* at) {
    Vec value;
    std::memcpy(&value, at, sizeof(Vec));
    return value;
}

inline float as_float(float value) { return value; }

// IEEE half precision: shifted into place, and the exponent set right by a multiplication, which
// also takes care of what is denormal; infinity and NaN stay what they are.
inline float as_float(uint16_t half) {
#if defined(__F16C__)
    return _cvtsh_ss(half);
#else
    const uint32_t sign = uint32_t(half & 0x8000) << 16, rest = uint32_t(half & 0x7fff) << 13;
    float value;
    std::memcpy(&value, &rest, sizeof value);
    value *= 0x1p112f;
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    bits |= sign | ((half & 0x7c00) == 0x7c00 ? 0x7f800000 : 0);
    std::memcpy(&value, &bits, sizeof value);
    return value;
#endif
}

// Half precision as float, exactly.
INLINE Vec load(const uint16_t* at) {
#if UNBRAID_LANES == 16 && defined(__AVX512F__)
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
#elif UNBRAID_LANES == 8 && defined(__F16C__)
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
#elif UNBRAID_LANES == 4 && defined(__ARM_NEON)
    return (Vec)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(at)));
#else
    Vec value;
    for (int lane = 0; lane < LANES; ++lane) value[lane] = as_float(at[lane]);
    return value;
#endif
}

INLINE void store(float* at, Vec value) { std::memcpy(at, &value, sizeof(Vec)); }

INLINE Vec all(float value) { return value - Vec{}; }

// The first `count` lanes, zero in the others.
INLINE Vec load_some(const float* at, int count) {
    if (count >= LANES) return load(at);
#if UNBRAID_LANES == 16 && defined(__AVX512F__)
    return _mm512_maskz_loadu_ps(__mmask16((1u << count) - 1), at);
#else
    Vec value{};
    std::memcpy(&value, at, count * sizeof(float));
    return value;
#endif
}

// A function of its own, so that no vector has to lie in memory for it where whole ones are stored.
__attribute__((noinline, cold)) inline void store_first(float* at, Vec value, int count) {
    std::memcpy(at, &value, count * sizeof(float));
}

INLINE void store_some(float* at, Vec value, int count) {
    if (count >= LANES) return store(at, value);
#if UNBRAID_LANES == 16 && defined(__AVX512F__)
    _mm512_mask_storeu_ps(at, __mmask16((1u << count) - 1), value);
#else
    store_first(at, value, count);
#endif
}

// Lanes of a and, from LANES on, of b, as `pick` says for each lane.
template <class Pick>
INLINE Vec shuffled(Vec a, Vec b, const Pick& pick) {
#if defined(__clang__)
    Vec picked;
    for (int lane = 0; lane < LANES; ++lane) {
        const int from = pick(lane);
        picked[lane] = from < LANES ? a[from] : b[from - LANES];
    }
    return picked;
#else
    Ints from;
    for (int lane = 0; lane < LANES; ++lane) from[lane] = pick(lane);
    return __builtin_shuffle(a, b, from);
#endif
}

// Every second of the floats of a and then of b, beginning with number `from`.
template <int from>
INLINE Vec every_second(Vec a, Vec b) {
    return shuffled(a, b, [](int lane) { return 2 * lane + from; });
}

// Floats of a and b taking turns: half 0 or 1 of what comes out.
template <int half>
INLINE Vec by_turns(Vec a, Vec b) {
    return shuffled(a, b, [](int lane) { return lane / 2 + half * LANES / 2 + lane % 2 * LANES; });
}

INLINE float sum(Vec value) {
#if UNBRAID_LANES == 16 && defined(__AVX512F__)
    return _mm512_reduce_add_ps(value);
#endif
    float total = 0;
    for (int lane = 0; lane < LANES; ++lane) total += value[lane];
    return total;
}

// 0, 1, 2, …
INLINE Vec ascending() {
    Vec value;
    for (int lane = 0; lane < LANES; ++lane) value[lane] = float(lane);
    return value;
}

INLINE Vec larger(Vec a, Vec b) {
#if UNBRAID_LANES == 16 && defined(__AVX512F__)
    return _mm512_max_ps(a, b);
#elif UNBRAID_LANES == 8 && defined(__AVX2__)
    return _mm256_max_ps(a, b);
#else
    return a > b ? a : b;
#endif
}

INLINE Vec clamp(Vec x, float low, float high) {
#if UNBRAID_LANES == 16 && defined(__AVX512F__)
    return _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(low)), _mm512_set1_ps(high));
#elif UNBRAID_LANES == 8 && defined(__AVX2__)
    return _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(low)), _mm256_set1_ps(high));
#else
    x = x < all(low) ? all(low) : x;
    return x > all(high) ? all(high) : x;
#endif
}

INLINE Vec root(Vec x) {
#if UNBRAID_LANES == 16 && defined(__AVX512F__)
    return _mm512_sqrt_ps(x);
#elif UNBRAID_LANES == 8 && defined(__AVX2__)
    return _mm256_sqrt_ps(x);
#else
    for (int lane = 0; lane < LANES; ++lane) x[lane] = std::sqrt(x[lane]);
    return x;
#endif
}

// 2^x to 2e-7, x up to 126: a polynomial in what is left of x beside an integer, which goes into the exponent.
INLINE Vec power_of_two(Vec x) {
#if UNBRAID_LANES == 16 && defined(__AVX512F__)
    const Vec whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT);
#else
    const Vec shift = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
    x = clamp(x, -126.0f, 126.0f);
    const Vec shifted = x + shift, whole = shifted - shift;
#endif
    const Vec f = x - whole;
    Vec p = all(1.3276472e-3f);
    p = p * f + 9.6755415e-3f;
    p = p * f + 5.5507133e-2f;
    p = p * f + 2.4022120e-1f;
    p = p * f + 6.9314697e-1f;
    p = p * f + 1.00000007f;
#if UNBRAID_LANES == 16 && defined(__AVX512F__)
    return _mm512_scalef_ps(p, whole);
#else
    return (Vec)((Ints)p + ((Ints)shifted << 23));
#endif
}

INLINE Vec exponential(Vec x) { return power_of_two(x * 1.44269504f); }

INLINE Vec sigmoid(Vec x) { return 1.0f / (1.0f + power_of_two(x * -1.44269504f)); }

INLINE Vec hyperbolic_tangent(Vec x) { return 2.0f * sigmoid(2.0f * x) - 1.0f; }

// x * Phi(x), the normal distribution's, to 1e-6, and to 6e-8 on average over normal x. (Phi(x) - 1/2) / x is
// even: a polynomial in x^2 (minimax for Phi up to 5.2, beyond which 1 - Phi is 1e-7).
INLINE Vec gelu(Vec x) {
    constexpr float end = 5.2f;
    constexpr float factors[] = {-4.81274176e-4f, 1.26850984e-3f,  -1.22150271e-3f, 1.80012593e-3f, -4.78902842e-3f,
                                 8.55996444e-3f,  -1.25051269e-2f, 1.79547884e-2f,  -2.4723628e-2f, 3.1989959e-2f,
                                 -3.99298197e-2f, 5.00245214e-2f,  -6.77436675e-2f, 1.35949993e-1f};
    const Vec inside = clamp(x, -end, end);
    const Vec t = inside * inside * (2.0f / (end * end)) - 1.0f;
    Vec p = all(factors[0]);
#pragma GCC unroll 16
    for (int i = 1; i < 14; ++i) p = p * t + factors[i];
    return x * (inside * p + 0.5f);
}
