// Weights from where a file left them into panels, see ../packing.py.
#pragma once
#include <climits>

#include "parallel.hpp"
#include "product.hpp"

// packed (panels, taps * depth, width) <- from[offset of the column + tap, and row, times a stride].
// Some rows at a time, so that the lines they are scattered over stay in the first cache. From half
// precision to half precision or to floats.
template <class Number, class Packed>
void pack(const Number* from, const long* offsets, long panels, int width, long taps, long depth,
          long tap_stride, long row_stride, Packed* packed, int threads) {
    constexpr long BLOCK = 64;
    const long blocks = ceil_div(depth, BLOCK);
    in_parallel(panels, threads, [&](long panel, int) {
        for (long piece = 0; piece < taps * blocks; ++piece) {
            const long tap = piece / blocks, first = piece % blocks * BLOCK;
            const long count = std::min(BLOCK, depth - first);
            Packed* block = packed + ((panel * taps + tap) * depth + first) * width;
            for (int lane = 0; lane < width; ++lane) {
                const long column = offsets[panel * width + lane];
                const bool empty = column == LONG_MIN;
                const Number* at =
                    from + (empty ? 0 : column + tap * tap_stride + first * row_stride);
                for (long row = 0; row < count; ++row) {
                    Packed& to = block[row * width + lane];
                    if constexpr (std::is_same_v<Number, Packed>)
                        to = empty ? Packed{} : at[row * row_stride];
                    else
                        to = empty ? 0.0f : as_float(at[row * row_stride]);
                }
            }
        }
    });
}

// packed (outs, panels, depth, width) <- mixing (outs, taps) times the taps of each weight: what
// Winograd's algorithm multiplies with.
template <class Number>
void pack_mixed(const Number* from, const long* offsets, long panels, long taps, long depth,
                long tap_stride, long row_stride, const float* mixing, long outs, float* packed,
                int threads) {
    const long size = panels * depth * PANEL;
    in_parallel(panels, threads, [&](long panel, int) {
        alignas(64) float values[9][PANEL];
        for (long row = 0; row < depth; ++row) {
            for (int lane = 0; lane < PANEL; ++lane) {
                const long column = offsets[panel * PANEL + lane];
                for (long tap = 0; tap < taps; ++tap)
                    values[tap][lane] =
                        column == LONG_MIN
                            ? 0.0f
                            : as_float(from[column + tap * tap_stride + row * row_stride]);
            }
            for (long out = 0; out < outs; ++out) {
                Vec left{}, right{};
                for (long tap = 0; tap < taps; ++tap) {
                    const Vec share = all(mixing[out * taps + tap]);
                    left += share * load(values[tap]);
                    right += share * load(values[tap] + LANES);
                }
                float* to = packed + out * size + (panel * depth + row) * PANEL;
                store(to, left), store(to + LANES, right);
            }
        }
    });
}

// Panels (outs, panels, depth, width) scaled by a power of two for each of `outs`, so that their mean
// square is about that of `sizes`; `undo` takes it back. products (outs, panels, width) are sums of
// products of pairs.
inline void scale_mixed(float* packed, long outs, long panels, long depth, const float* sizes, float* products,
                        float* undo, int threads) {
    const long size = depth * PANEL;
    in_parallel(outs, threads, [&](long out, int) {
        float *from = packed + out * panels * size, *sums = products + out * panels * PANEL;
        const float scale = scale_to_rows(from, panels * size, sizes[out] * sizes[out]);
        undo[out] = 1 / scale;
        for (long panel = 0; panel < panels; ++panel, from += size, sums += PANEL) {
            const PairedPanel scaled = scale_panel(from, 1, int(depth), scale, from);
            store(sums, scaled.products[0]), store(sums + LANES, scaled.products[1]);
        }
    });
}
