// Gated convolutions by Winograd's algorithms: 3x3 over rows and steps by F(4x4, 3x3), 36 products of
// (tiles x width) with (width x 2 width) in place of 144; 3 over steps by F(4, 3), 6 in place of 12.
//
// Every tile of 6x6 inputs is mixed by B on both axes, goes through 36 products, and is mixed by A
// into 4x4 outputs; likewise on one axis. Source: Lavin and Gray, arXiv:1509.09308.
#pragma once
#include <cmath>

#include "parallel.hpp"
#include "product.hpp"
#include "tiles.hpp"

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
        if (paired()) sum_pairs(Rows(mixed, ins, padded), 0, count, sums);
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
        if constexpr (outs == POINTS)
            mix_weights<3, 3>(from, ins, ins, Places(Side{1, ins, PANEL, 0}, 0), mixed);
        else
            mix_step_weights(from, ins, mixed);
    }
};

// x (rows, steps, ins) and out (rows, steps, width), their rows so many floats apart.
struct Maps {
    const float* x;
    long x_stride;
    float* out;
    long out_stride, rows, steps;
};

// Some tiles of a row of tiles: their first row, the number of the first tile and how many.
struct MapTiles {
    long row, first, count;
};

// out <- GLU(conv(x)) for some tiles. Without the gate, `out` is twice as wide.
class GatedTiles {
  public:
    // Tiles `batch` at a time.
    GatedTiles(const Winograd& of, const Maps& maps, long batch)
        : of_(of), maps_(maps), gain_(of.gain_of(maps.x, maps.x_stride, maps.rows, maps.steps * of.ins)),
          batch_(batch), padded_(ceil_div(of.ins, LANES) * LANES), left_{1, batch, padded_},
          right_{1, batch, PANEL}, to_left_(left_, 0), to_right_(right_, 0) {}

    // Of `run`.
    long floats() const {
        return left_.floats() + right_.floats() + POINTS * batch_ + of_.floats(POINTS);
    }

    void run(const MapTiles& tiles, float* memory) const {
        float *mixed = memory, *products = mixed + left_.floats(), *sums = products + right_.floats();
        const Image in{const_cast<float*>(maps_.x), maps_.x_stride, of_.ins, maps_.rows, maps_.steps};
        for (long n = 0; n < tiles.count; ++n)
            mix_tile<3, 3, true>(in, tiles.row - 1, (tiles.first + n) * TILE - 1, 1, of_.ins, to_left_, n, mixed, gain_);
        for (int k = 0; k < POINTS; ++k)
            of_.sum_inputs(mixed + to_left_.first[k], padded_, tiles.count, sums + k * batch_);
        // Panel by panel: so products stay in the second cache until they are mixed.
        for (int panel = 0; panel < of_.gate_panels; ++panel) {
            const MixedPanel by = of_.panel<POINTS>(panel, sums + POINTS * batch_);
            for (int k = 0; k < POINTS; ++k)
                of_.multiply(k, by, mixed + to_left_.first[k], padded_, tiles.count, sums + k * batch_, gain_,
                             products + to_right_.first[k]);
            leave(tiles, panel, products);
        }
    }

  private:
    // Products of one panel to where they belong.
    void leave(const MapTiles& tiles, int panel, const float* products) const {
        const Vec shift = load(of_.bias + panel * PANEL), gate_shift = load(of_.bias + panel * PANEL + LANES);
        const long c = long(panel) * LANES, width = of_.gated ? of_.width : 2 * of_.width;
        const int lanes = int(std::min<long>(LANES, of_.width - c));
        for (long n = 0; n < tiles.count; ++n) {
            const long step = (tiles.first + n) * TILE;
            Vec values[TILE * TILE], gates[TILE * TILE];
            unmix_tile<3, 3>(products, to_right_, n, [&](int i, int j, Vec v) { values[i * TILE + j] = v + shift; });
            unmix_tile<3, 3>(products + LANES, to_right_, n,
                             [&](int i, int j, Vec v) { gates[i * TILE + j] = v + gate_shift; });
            for (int i = 0; i < std::min<long>(TILE, maps_.rows - tiles.row); ++i) {
                float* at = maps_.out + (tiles.row + i) * maps_.out_stride + step * width + c;
                for (int j = 0; j < std::min<long>(TILE, maps_.steps - step); ++j, at += width) {
                    const Vec v = values[i * TILE + j], g = gates[i * TILE + j];
                    store_some(at, of_.gated ? v * sigmoid(g) : v, lanes);
                    if (!of_.gated) store_some(at + of_.width, g, lanes);
                }
            }
        }
    }

    const Winograd& of_;
    const Maps& maps_;
    const float gain_;
    const long batch_, padded_;
    const Side left_, right_;
    const Places to_left_, to_right_;
};

// All tiles. done(row, thread) for each row when it is there, if there are rows enough for all threads: then it is
// still in the cache. Whether `done` was called.
template <class Done>
bool gate_rows(const Winograd& of, const Maps& maps, int threads, const Done& done) {
    const long tiles = ceil_div(maps.steps, TILE), rows = ceil_div(maps.rows, TILE);
    const long batch = std::min(tiles, of.ins <= 64 ? 24L : of.ins <= 128 ? 36L : 96L);
    const long parts = ceil_div(tiles, batch), share = rows >= 4 * threads ? parts : 1;
    const GatedTiles gate(of, maps, batch);
    auto memory = scratches(threads, gate.floats());
    in_parallel(rows * parts / share, threads, [&](long number, int thread) {
        const long row = number * share / parts * TILE, first = number * share % parts;
        for (long part = first; part < first + share; ++part) {
            gate.run({row, part * batch, std::min(batch, tiles - part * batch)}, memory[thread].get());
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
