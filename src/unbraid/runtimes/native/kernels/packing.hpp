// Weights from where a file left them into panels, see ../packing.py.
#pragma once
#include <climits>

#include "parallel.hpp"
#include "vectors.hpp"

inline float as_float(float value) { return value; }

// IEEE half precision: shifted into place, and the exponent set right by a multiplication, which
// also takes care of what is denormal; infinity and NaN stay what they are.
inline float as_float(uint16_t half) {
    const uint32_t sign = uint32_t(half & 0x8000) << 16, rest = uint32_t(half & 0x7fff) << 13;
    float value;
    std::memcpy(&value, &rest, sizeof value);
    value *= 0x1p112f;
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    bits |= sign | ((half & 0x7c00) == 0x7c00 ? 0x7f800000 : 0);
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

// packed (panels, taps * depth, width) <- from[offset of the column + tap, and row, times a stride].
template <class Number>
void pack(const Number* from, const long* offsets, long panels, int width, long taps, long depth,
          long tap_stride, long row_stride, float* packed, int threads) {
    in_parallel(panels, threads, [&](long panel, int) {
        for (int lane = 0; lane < width; ++lane) {
            const long offset = offsets[panel * width + lane];
            float* to = packed + panel * taps * depth * width + lane;
            for (long tap = 0; tap < taps; ++tap)
                for (long row = 0; row < depth; ++row, to += width)
                    *to = offset == LONG_MIN
                              ? 0.0f
                              : as_float(from[offset + tap * tap_stride + row * row_stride]);
        }
    });
}

// packed (outs, panels, depth, width) <- mixing (outs, taps) times the taps of each weight: what
// Winograd's algorithm multiplies with.
template <class Number>
void pack_mixed(const Number* from, const long* offsets, long panels, int width, long taps,
                long depth, long tap_stride, long row_stride, const float* mixing, long outs,
                float* packed, int threads) {
    const long size = panels * depth * width;
    in_parallel(panels, threads, [&](long panel, int) {
        for (long row = 0; row < depth; ++row)
            for (int lane = 0; lane < width; ++lane) {
                const long offset = offsets[panel * width + lane];
                float values[9] = {};
                for (long tap = 0; tap < taps && offset != LONG_MIN; ++tap)
                    values[tap] = as_float(from[offset + tap * tap_stride + row * row_stride]);
                float* to = packed + (panel * depth + row) * width + lane;
                for (long out = 0; out < outs; ++out) {
                    float mixed = 0;
                    for (long tap = 0; tap < taps; ++tap)
                        mixed += mixing[out * taps + tap] * values[tap];
                    to[out * size] = mixed;
                }
            }
    });
}
