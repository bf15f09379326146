// Gated convolutions by Winograd's algorithms: 3x3 over rows and steps by F(4x4, 3x3), 36 products of
// (tiles x width) with (width x 2 width) in place of 144; 3 over steps by F(4, 3), 6 in place of 12.
//
// Every tile of 6x6 inputs is mixed by B on both axes, goes through 36 products, and is mixed by A
// into 4x4 outputs; likewise on one axis. Source: Lavin and Gray, arXiv:1509.09308.
#pragma once
#include <cmath>

#include "parallel.hpp"
#include "product.hpp"

constexpr int TILE = 4, SEEN = 6;

// Polynomials are evaluated at 0, ±INNER, ±OUTER and infinity, where the two are each other's inverse. At ±1 and ±2, as
// usual, inputs and products become of so different sizes that it costs a digit.
constexpr float INNER = 0.70710678f, OUTER = 1.41421356f;

// B^T d, on six values `step` vectors apart.
INLINE void mix_inputs(Vec* d, int step) {
    const Vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step],
              d5 = d[5 * step];
    const Vec even = d4 - 2.0f * d2, odd = INNER * d3 - OUTER * d1;
    const Vec far = d4 - 0.5f * d2, wide = OUTER * d3 - INNER * d1;
    d[0] = d0 - 2.5f * d2 + d4;
    d[step] = even + odd;
    d[2 * step] = even - odd;
    d[3 * step] = far + wide;
    d[4 * step] = far - wide;
    d[5 * step] = d1 - 2.5f * d3 + d5;
}

// A^T m, six values into the first four.
INLINE void mix_outputs(Vec* m, int step) {
    const Vec a = m[step] + m[2 * step], b = m[step] - m[2 * step];
    const Vec c = m[3 * step] + m[4 * step], d = m[3 * step] - m[4 * step];
    const Vec last = m[5 * step];
    m[0] = m[0] + a + c;
    m[step] = INNER * b + OUTER * d;
    m[2 * step] = 0.5f * a + 2.0f * c;
    m[3 * step] = 0.5f * INNER * b + 2.0f * OUTER * d + last;
}

// G g, for g of 3 taps or 2, which are not changed: 6 or 5 values of what `from` gives, to `to`.
template <int taps, class From, class To>
INLINE void mix_taps(const From& from, const To& to) {
    const Vec a = from(0), b = from(1), c = taps == 3 ? from(taps - 1) : Vec{};
    const Vec sum = (a + 0.5f * c) * (-2.0f / 3), half = b * (INNER * 2 / 3);
    const Vec far = (a + 2.0f * c) * (1.0f / 6), near = b * (OUTER / 6);
    to(0, a);
    to(1, sum - half);
    to(2, sum + half);
    to(3, far + near);
    to(4, far - near);
    if (taps == 3) to(5, c);
}

// The same for three values `from` vectors apart, into six that are `step` apart.
INLINE void mix_taps(const Vec* g, int from, Vec* mixed, int step) {
    mix_taps<3>([&](int tap) { return g[tap * from]; }, [&](int k, Vec value) { mixed[k * step] = value; });
}

// Mixed weights of one panel: (ins, PANEL) for each product, so many floats apart. For pairs: sums of products
// of weights, and what undoes their scale; null without pairs.
struct MixedPanel {
    const float *weights, *products, *undo;
    long apart, products_apart;
};

// Weights are mixed already, `packed`, (36 or 6, panels, ins, PANEL); or, where they are many, they are mixed panel
// by panel when they are needed: `taps`, (panels, 9 or 3, ins, PANEL), of `bytes` a number. Gated order.
struct Winograd {
    const float *packed, *bias;  // bias: (panels * PANEL)
    // For pairs, null without: of `packed`, as `scale_mixed` scales them; and how large mixed inputs are.
    const float *products, *undo, *sizes;
    const void* taps;
    int ins, width, gate_panels, gated, bytes;  // width: of values, and of gates

    bool paired() const { return sizes; }

    // Memory for `panel`; no products: weights are there already.
    long floats(int outs) const { return taps ? outs * (long{PANEL} * (ins + 1) + 1) : 0; }

    // Weights of 36 products, or of six.
    template <int outs>
    MixedPanel panel(int number, float* memory) const {
        const long size = long{PANEL} * ins;
        if (!taps)
            return {packed + number * size, paired() ? products + number * PANEL : nullptr, undo, gate_panels * size,
                    long{PANEL} * gate_panels};
        const long from = number * size * (outs == SEEN ? 3 : 9);
        if (bytes == 2)
            mix<outs>(static_cast<const uint16_t*>(taps) + from, memory);
        else
            mix<outs>(static_cast<const float*>(taps) + from, memory);
        if (!paired()) return {memory, nullptr, nullptr, size, 0};
        float *sums = memory + outs * size, *undone = sums + outs * PANEL;
        for (int k = 0; k < outs; ++k) {
            float* at = memory + k * size;
            const PairedPanel made = scale_panel(at, 1, ins, scale_to_rows(at, size, sizes[k] * sizes[k]), at);
            store(sums + k * PANEL, made.products[0]), store(sums + k * PANEL + LANES, made.products[1]);
            undone[k] = made.undo;
        }
        return {memory, sums, undone, size, PANEL};
    }

    // sums (count) <- of each of `count` mixed inputs the sum of products of its pairs, if there are any.
    void sum_inputs(const float* mixed, long padded, long count, float* sums) const {
        Vec squares{};
        if (paired()) sum_pairs(Rows(mixed, ins, padded), 0, count, sums, squares);
    }

    // out (count, PANEL) <- product number k of mixed inputs, which were scaled by `gain`, for one panel.
    void multiply(int k, const MixedPanel& panel, const float* mixed, long padded, long count, const float* sums,
                  float gain, float* out) const {
        const Rows rows(mixed, ins, padded);
        const Write<Identity> to{out, PANEL, PANEL};
        const float* weights = panel.weights + k * panel.apart;
        if (!paired()) return product(rows, 0, count, weights, nullptr, 1, to);
        const float* fixed = panel.products + k * panel.products_apart;
        const PairedPanel scaled{weights, {load(fixed), load(fixed + LANES)}, panel.undo[k] / gain, false};
        paired_rows(rows, 0, count, scaled, sums, nullptr, 0, to);
    }

    // What brings inputs to a mean square of about 1, a power of two found from a seventh of them; 1
    // without pairs.
    float gain_of(const float* x, long stride, long rows, long size) const {
        if (!paired()) return 1.0f;
        double squares = 0;
        long seen = 0;
        for (long row = 0; row < rows; ++row) {
            Vec total{};
            for (long i = 0; i + LANES <= size; i += 7 * LANES, seen += LANES) {
                const Vec value = load(x + row * stride + i);
                total += value * value;
            }
            squares += sum(total);
        }
        const double size_of_some = std::sqrt(squares / double(std::max(seen, 1L)));
        return float(std::exp2(-std::round(std::log2(std::clamp(size_of_some, 1e-2, 1e10)))));
    }

  private:
    // mixed (outs, ins, PANEL) <- the taps of each weight of a panel.
    template <int outs, class Number>
    void mix(const Number* from, float* mixed) const {
        constexpr int count = outs == SEEN ? 3 : 9, rows = count / 3, across = outs / SEEN;
        const long size = long{PANEL} * ins;
        for (long i = 0; i < size; i += LANES) {
            Vec g[count], m[across * 3], all[outs];
#pragma GCC unroll 9
            for (int tap = 0; tap < count; ++tap) g[tap] = load(from + tap * size + i);
            if constexpr (rows == 1)
                mix_taps(g, 1, all, 1);
            else {
                for (int c = 0; c < 3; ++c) mix_taps(g + c, 3, m + c, 3);
                for (int r = 0; r < SEEN; ++r) mix_taps(m + 3 * r, 1, all + SEEN * r, 1);
            }
#pragma GCC unroll 36
            for (int k = 0; k < outs; ++k) store(mixed + k * size + i, all[k]);
        }
    }
};

// x (rows, steps, ins) and out (rows, steps, width), their rows so many floats apart.
struct Maps {
    const float* x;
    long x_stride;
    float* out;
    long out_stride, rows, steps;
};

// Some tiles of a row of tiles: their first row, the number of the first tile and how many, of `batch` for which there
// is memory.
struct MapTiles {
    long row, first, count, batch;
};

// mixed (36, batch, padded) <- the 6x6 steps that each tile sees, times `gain`.
inline void mix_map_tiles(const Maps& maps, const MapTiles& tiles, long ins, float gain, float* mixed) {
    const long padded = ceil_div(ins, LANES) * LANES;
    for (long n = 0; n < tiles.count; ++n) {
        const long step = (tiles.first + n) * TILE - 1;
        for (long c = 0; c < ins; c += LANES) {
            const int lanes = int(std::min<long>(LANES, ins - c));
            Vec d[SEEN * SEEN];
            for (int i = 0; i < SEEN; ++i)
                for (int j = 0; j < SEEN; ++j) {
                    const long r = tiles.row - 1 + i, t = step + j;
                    const bool there = r >= 0 && r < maps.rows && t >= 0 && t < maps.steps;
                    d[i * SEEN + j] =
                        there ? load_some(maps.x + r * maps.x_stride + t * ins + c, lanes) * gain : Vec{};
                }
            for (int j = 0; j < SEEN; ++j) mix_inputs(d + j, SEEN);
            for (int i = 0; i < SEEN; ++i) mix_inputs(d + i * SEEN, 1);
            for (int k = 0; k < SEEN * SEEN; ++k) store(mixed + (k * tiles.batch + n) * padded + c, d[k]);
        }
    }
}

// Products (36, batch, PANEL) of one panel to where they belong.
inline void unmix_map_tiles(const Winograd& of, const Maps& maps, const MapTiles& tiles, int panel,
                            const float* products) {
    const Vec shift = load(of.bias + panel * PANEL), gate_shift = load(of.bias + panel * PANEL + LANES);
    const long c = long(panel) * LANES, out_width = of.gated ? of.width : 2 * of.width;
    const int lanes = int(std::min<long>(LANES, of.width - c));
    for (long n = 0; n < tiles.count; ++n) {
        Vec value[SEEN * SEEN], gate[SEEN * SEEN];
        for (int k = 0; k < SEEN * SEEN; ++k) {
            const float* at = products + (k * tiles.batch + n) * PANEL;
            value[k] = load(at), gate[k] = load(at + LANES);
        }
        for (int j = 0; j < SEEN; ++j) mix_outputs(value + j, SEEN), mix_outputs(gate + j, SEEN);
        for (int i = 0; i < std::min<long>(TILE, maps.rows - tiles.row); ++i) {
            mix_outputs(value + i * SEEN, 1), mix_outputs(gate + i * SEEN, 1);
            for (int j = 0; j < TILE; ++j) {
                const long t = (tiles.first + n) * TILE + j;
                if (t >= maps.steps) break;
                const Vec v = value[i * SEEN + j] + shift, g = gate[i * SEEN + j] + gate_shift;
                float* at = maps.out + (tiles.row + i) * maps.out_stride + t * out_width + c;
                store_some(at, of.gated ? v * sigmoid(g) : v, lanes);
                if (!of.gated) store_some(at + of.width, g, lanes);
            }
        }
    }
}

// out <- GLU(conv(x)) for some tiles. Without the gate, `out` is twice as wide. `memory` is for `map_floats`.
inline void gate_map_tiles(const Winograd& of, const Maps& maps, const MapTiles& tiles, float gain, float* memory) {
    constexpr int all = SEEN * SEEN;
    const long padded = ceil_div(of.ins, LANES) * LANES, batch = tiles.batch;
    float *mixed = memory, *products = mixed + all * batch * padded, *sums = products + all * batch * PANEL;
    mix_map_tiles(maps, tiles, of.ins, gain, mixed);
    for (int k = 0; k < all; ++k) of.sum_inputs(mixed + k * batch * padded, padded, tiles.count, sums + k * batch);
    // Panel by panel: so products stay in the second cache until they are mixed.
    for (int panel = 0; panel < of.gate_panels; ++panel) {
        const MixedPanel by = of.panel<all>(panel, sums + all * batch);
        for (int k = 0; k < all; ++k)
            of.multiply(k, by, mixed + k * batch * padded, padded, tiles.count, sums + k * batch, gain,
                        products + k * batch * PANEL);
        unmix_map_tiles(of, maps, tiles, panel, products);
    }
}

inline long map_floats(const Winograd& of, long batch) {
    constexpr int all = SEEN * SEEN;
    return all * batch * (ceil_div(of.ins, LANES) * LANES + PANEL + 1) + of.floats(all);
}

// All tiles. done(row, thread) for each row when it is there, if there are rows enough for all threads: then it is
// still in the cache. Whether `done` was called.
template <class Done>
bool gate_rows(const Winograd& of, const Maps& maps, int threads, const Done& done) {
    const long tiles = ceil_div(maps.steps, TILE), rows = ceil_div(maps.rows, TILE);
    const long batch = std::min(tiles, of.ins <= 64 ? 24L : of.ins <= 128 ? 36L : 96L);
    const long parts = ceil_div(tiles, batch), share = rows >= 4 * threads ? parts : 1;
    const float gain = of.gain_of(maps.x, maps.x_stride, maps.rows, maps.steps * of.ins);
    auto memory = scratches(threads, map_floats(of, batch));
    in_parallel(rows * parts / share, threads, [&](long number, int thread) {
        const long row = number * share / parts * TILE, first = number * share % parts;
        for (long part = first; part < first + share; ++part) {
            const MapTiles some{row, part * batch, std::min(batch, tiles - part * batch), batch};
            gate_map_tiles(of, maps, some, gain, memory[thread].get());
        }
        if (share < parts) return;
        for (long r = row; r < std::min(row + TILE, maps.rows); ++r) done(r, thread);
    });
    return share == parts;
}

// Some tiles of a row, times `gain` and mixed: `mixed` (6, batch, padded) <- B^T of six steps from one
// before each tile.
inline void mix_steps(const float* x, long width, long padded, long first, long count, long batch, float gain,
                      float* mixed) {
    for (long n = 0; n < count; ++n)
        for (long c = 0; c < width; c += LANES) {
            const int lanes = int(std::min<long>(LANES, width - c));
            const float* at = x + ((first + n) * TILE - 1) * width + c;
            Vec d[SEEN];
            for (int j = 0; j < SEEN; ++j) d[j] = load_some(at + j * width, lanes) * gain;
            mix_inputs(d, 1);
            for (int k = 0; k < SEEN; ++k) store(mixed + (k * batch + n) * padded + c, d[k]);
        }
}

// The other way for one panel of features: products (6, batch, stride) of `count` tiles into steps.
inline void unmix_steps(const Winograd& of, const float* products, long stride, long batch, int panel,
                        long first, long count, float* out, long steps) {
    const long c = long(panel) * LANES, out_width = of.gated ? of.width : 2 * of.width;
    const int lanes = int(std::min<long>(LANES, of.width - c));
    const Vec shift = load(of.bias + panel * PANEL), gate_shift = load(of.bias + panel * PANEL + LANES);
    for (long n = 0; n < count; ++n) {
        Vec value[SEEN], gate[SEEN];
        for (int k = 0; k < SEEN; ++k) {
            const float* at = products + (k * batch + n) * stride;
            value[k] = load(at), gate[k] = load(at + LANES);
        }
        mix_outputs(value, 1), mix_outputs(gate, 1);
        const long step = (first + n) * TILE;
        for (int j = 0; j < std::min<long>(TILE, steps - step); ++j) {
            const Vec v = value[j] + shift, g = gate[j] + gate_shift;
            float* at = out + (step + j) * out_width + c;
            store_some(at, of.gated ? v * sigmoid(g) : v, lanes);
            if (!of.gated) store_some(at + of.width, g, lanes);
        }
    }
}

// out (steps, width) <- GLU(conv(x)), without the gate twice as wide. Around x there are silent steps,
// one before and five behind.
inline void gate_steps(const Winograd& of, const float* x, float* out, long steps, int threads) {
    const long width = of.width, padded = ceil_div(width, LANES) * LANES;
    const long tiles = ceil_div(steps, TILE);
    const long most = width <= 64 ? 96 : width <= 128 ? 60 : 48;
    const long batch = std::clamp(ceil_div(tiles, threads), 12L, most);
    const float gain = of.gain_of(x, 0, 1, steps * width);
    auto memory = scratches(threads, SEEN * batch * (padded + PANEL + 1));
    in_parallel(ceil_div(tiles, batch), threads, [&](long number, int thread) {
        const long first = number * batch, count = std::min(batch, tiles - first);
        float* mixed = memory[thread].get();
        float *products = mixed + SEEN * batch * padded, *sums = products + SEEN * batch * PANEL;
        mix_steps(x, width, padded, first, count, batch, gain, mixed);
        for (int k = 0; k < SEEN; ++k)
            of.sum_inputs(mixed + k * batch * padded, padded, count, sums + k * batch);
        for (int panel = 0; panel < of.gate_panels; ++panel) {
            const MixedPanel by = of.panel<SEEN>(panel, nullptr);
            for (int k = 0; k < SEEN; ++k)
                of.multiply(k, by, mixed + k * batch * padded, padded, count, sums + k * batch, gain,
                            products + k * batch * PANEL);
            unmix_steps(of, products, PANEL, batch, panel, first, count, out, steps);
        }
    });
}

// The same panel by panel over all steps, where weights are mixed when they are needed: there are many of them and
// few steps.
inline void gate_steps_wide(const Winograd& of, const float* x, float* out, long steps, int threads) {
    const long width = of.width, padded = ceil_div(width, LANES) * LANES;
    const long tiles = ceil_div(steps, TILE), share = 16;
    const float gain = of.gain_of(x, 0, 1, steps * width);
    Scratch inputs(SEEN * tiles * (padded + 1));
    float* sums = inputs.get() + SEEN * tiles * padded;
    in_parallel(ceil_div(tiles, share), threads, [&](long piece, int) {
        const long first = piece * share, count = std::min(share, tiles - first);
        float* mixed = inputs.get() + first * padded;
        mix_steps(x, width, padded, first, count, tiles, gain, mixed);
        for (int k = 0; k < SEEN; ++k)
            of.sum_inputs(mixed + k * tiles * padded, padded, count, sums + k * tiles + first);
    });
    auto memory = scratches(threads, of.floats(SEEN) + SEEN * PANEL * tiles);
    in_parallel(of.gate_panels, threads, [&](long panel, int thread) {
        float *weights = memory[thread].get(), *products = weights + of.floats(SEEN);
        const MixedPanel by = of.panel<SEEN>(int(panel), weights);
        for (int k = 0; k < SEEN; ++k)
            of.multiply(k, by, inputs.get() + k * tiles * padded, padded, tiles, sums + k * tiles, gain,
                        products + k * tiles * PANEL);
        unmix_steps(of, products, PANEL, tiles, int(panel), 0, tiles, out, steps);
    });
}
