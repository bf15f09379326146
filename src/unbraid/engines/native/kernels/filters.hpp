// Convolutions of 5x5 with stride 2, and back, and of 3x3, by Winograd's F(4x4, 3x3).
//
// Every second row of a 5x5 kernel makes kernels of 3 and of 2 rows, and so do its columns: four
// quarters, 3x3, 3x2, 2x3 and 2x2. Going down, each meets a quarter of the pixels, and all add up;
// going up, each makes a quarter of the pixels. A quarter of 2 taps is one of 3 whose last is zero,
// which is the one that the sixth of Winograd's points is made of: it needs five. So a tile of 4x4
// takes 36 + 30 + 30 + 25 = 121 products in place of 400.
#pragma once
#include "winograd.hpp"

// A layer. Which of its sides has four quarters is its kind; the other has one.
struct Filters {
    const float* mixed;       // mixed weights, point by point, in panels; null if there are many
    const void* quarters[4];  // else the taps: (panels, taps, ins, PANEL) of each quarter
    const float *bias, *scale, *shift;  // of each feature that comes out; no scale: no norm
    int ins, outs, bytes;               // bytes: of a number in `quarters`
};

enum Kind { DOWN, UP, SAME };

struct Tiles {
    long rows, columns, across, all;
    Tiles(long rows, long columns)
        : rows(rows), columns(columns), across(ceil_div(columns, TILE)),
          all(ceil_div(rows, TILE) * across) {}
    long row(long tile) const { return tile / across * TILE; }
    long column(long tile) const { return tile % across * TILE; }
};

// The products' left side, for tiles [first, first + count), as its tiles from `begin` on.
template <Kind kind>
void mix_tiles(const Filters& of, const Image& in, const Tiles& tiles, long first, long count,
               const Side& side, long begin, float* mixed) {
    const auto quarter = [&](auto down, auto across) {
        const int q = (3 - down) * 2 + 3 - across, step = kind == DOWN ? 2 : 1;
        const Places places(side, q);
        for (long n = 0; n < count; ++n)
            mix_tile<down, across>(in, step * tiles.row(first + n) - 1 + q / 2,
                                   step * tiles.column(first + n) - 1 + q % 2, step, of.ins, places,
                                   begin + n, mixed);
    };
    constexpr std::integral_constant<int, 3> three;
    constexpr std::integral_constant<int, 2> two;
    quarter(three, three);
    if (kind == DOWN) quarter(three, two), quarter(two, three), quarter(two, two);
}

// How a layer of the encoder ends: what comes out is kept, and after norm and activation goes on.
struct DownEnd {
    const Filters& of;
    Image skip, next;
    INLINE void operator()(long r, long c, long feature, int lanes, Vec value) const {
        value += load(of.bias + feature);
        store_some(skip.of(r, c) + feature, value, lanes);
        if (!of.scale) return;
        const Vec normed = value * load(of.scale + feature) + load(of.shift + feature);
        store_some(next.of(r, c) + feature, larger(normed, 0.2f * normed), lanes);
    }
};

// One of the decoder: activation, then norm.
struct UpEnd {
    const Filters& of;
    Image out;
    INLINE void operator()(long r, long c, long feature, int lanes, Vec value) const {
        value = larger(value + load(of.bias + feature), Vec{});
        value = value * load(of.scale + feature) + load(of.shift + feature);
        store_some(out.of(r, c) + feature, value, lanes);
    }
};

// A convolution of 3x3: activation, or added to what is there.
template <bool adding>
struct SameEnd {
    const Filters& of;
    Image out;
    INLINE void operator()(long r, long c, long feature, int lanes, Vec value) const {
        float* at = out.of(r, c) + feature;
        value += load(of.bias + feature);
        store_some(at, adding ? value + load_some(at, lanes) : larger(value, Vec{}), lanes);
    }
};

// A quarter's products of some tiles, `panels` from `panel` on, to where they belong.
template <Kind kind, int down, int across, class End>
void unmix_tiles(const Filters& of, const Tiles& tiles, long first, long count, const Places& places,
                 const float* products, long panel, int panels, const End& end) {
    for (long n = 0; n < count; ++n) {
        const long row = tiles.row(first + n), column = tiles.column(first + n);
        for (long at = 0; at < panels * PANEL; at += LANES) {
            const long feature = panel * PANEL + at;
            const int lanes = int(std::min<long>(LANES, of.outs - feature));
            if (lanes <= 0) break;
            unmix_tile<down, across>(products + at, places, n, [&](int i, int j, Vec value) {
                const long r = row + i, c = column + j;
                if (r >= tiles.rows || c >= tiles.columns) return;
                if (kind == UP)  // 3 taps make the odd rows, or columns
                    end(2 * r + down - 2, 2 * c + across - 2, feature, lanes, value);
                else
                    end(r, c, feature, lanes, value);
            });
        }
    }
}

template <Kind kind, class End>
void unmix_quarter(int quarter, const Filters& of, const Tiles& tiles, long first, long count,
                   const Places& places, const float* products, long panel, int panels,
                   const End& end) {
    const auto run = [&](auto down, auto across) {
        unmix_tiles<kind, down, across>(of, tiles, first, count, places, products, panel, panels, end);
    };
    constexpr std::integral_constant<int, 3> three;
    constexpr std::integral_constant<int, 2> two;
    if (quarter == 0) run(three, three);
    if constexpr (kind == UP) {
        if (quarter == 1) run(three, two);
        if (quarter == 2) run(two, three);
        if (quarter == 3) run(two, two);
    }
}

// Tiles in batches, on mixed weights.
template <Kind kind, class End>
void run_batches(const Filters& of, const Image& in, const Tiles& tiles, const End& end, int threads) {
    const long padded = ceil_div(of.ins, LANES) * LANES;
    const int panels = int(ceil_div(of.outs, PANEL));
    const long batch = std::min<long>(tiles.all, of.ins <= 32 ? 48 : 24);
    const Side left{kind == DOWN ? 4 : 1, batch, padded};
    const Side right{kind == UP ? 4 : 1, batch, long(panels) * PANEL};
    auto memory = scratches(threads, left.floats() + right.floats());
    in_parallel(ceil_div(tiles.all, batch), threads, [&](long piece, int thread) {
        const long first = piece * batch, count = std::min(batch, tiles.all - first);
        float *mixed = memory[thread].get(), *products = mixed + left.floats();
        mix_tiles<kind>(of, in, tiles, first, count, left, 0, mixed);
        const float* weight = of.mixed;
        for (int k = 0; k < POINTS; ++k) {
            const int i = k / SEEN, j = k % SEEN;
            const int depth = int(left.stride(i, j)), wide = int(right.stride(i, j) / PANEL);
            product(Rows(mixed + left.at(i, j), depth, depth), 0, count, weight, nullptr, wide,
                    Write<Identity>{products + right.at(i, j), right.stride(i, j), wide * PANEL});
            weight += long(depth) * wide * PANEL;
        }
        for (int q = 0; q < right.quarters; ++q)
            unmix_quarter<kind>(q, of, tiles, first, count, Places(right, q), products, 0, panels, end);
    });
}

// Panel by panel over all tiles: weights are mixed when their turn comes, some features at a time,
// since there are too many to keep five times as many, and few tiles share them.
template <Kind kind, class Number, class End>
void run_panels(const Filters& of, const Image& in, const Tiles& tiles, const End& end, int threads) {
    const long padded = ceil_div(of.ins, LANES) * LANES, share = 4;
    const long block = std::min<long>(of.ins, kind == DOWN ? 32 : 128);
    const int panels = int(ceil_div(of.outs, PANEL));
    const Side left{kind == DOWN ? 4 : 1, tiles.all, padded}, right{1, tiles.all, PANEL};
    const Side most{left.quarters, 1, block * PANEL};
    Scratch inputs(left.floats());
    in_parallel(ceil_div(tiles.all, share), threads, [&](long piece, int) {
        const long first = piece * share, count = std::min(share, tiles.all - first);
        mix_tiles<kind>(of, in, tiles, first, count, left, first, inputs.get());
    });
    auto memory = scratches(threads, most.floats() + right.floats());
    in_parallel((kind == UP ? 4 : 1) * panels, threads, [&](long piece, int thread) {
        float *mixed = memory[thread].get(), *products = mixed + most.floats();
        const int own = int(piece / panels);  // the quarter that comes out
        const long panel = piece % panels;
        for (long first = 0; first < of.ins; first += block) {
            const long count = std::min(block, of.ins - first);
            const Side weights{left.quarters, 1, count * PANEL};
            const auto mix = [&](auto down, auto across) {
                const int q = (3 - down) * 2 + 3 - across;
                if (kind != DOWN && q != own) return;
                const long taps = down * across, from = panel * taps * of.ins + first;
                mix_weights<down, across>(static_cast<const Number*>(of.quarters[q]) + from * PANEL,
                                          of.ins, count, Places(weights, q), mixed);
            };
            constexpr std::integral_constant<int, 3> three;
            constexpr std::integral_constant<int, 2> two;
            mix(three, three), mix(three, two), mix(two, three), mix(two, two);
            for (int k = 0; k < POINTS; ++k) {
                const int i = k / SEEN, j = k % SEEN;
                if (i >= points_of(taps_down(own)) || j >= points_of(taps_across(own))) continue;
                Rows a(nullptr, int(count), left.stride(i, j));
                a.taps = int(left.stride(i, j) / padded);
                for (int s = 0; s < a.taps; ++s) a.at[s] = inputs.get() + left.at(i, j) + s * padded + first;
                float* to = products + right.at(i, j);
                const float* weight = mixed + weights.at(i, j);
                if (first)
                    product(a, 0, tiles.all, weight, nullptr, 1, Write<Adding>{to, PANEL, PANEL});
                else
                    product(a, 0, tiles.all, weight, nullptr, 1, Write<Identity>{to, PANEL, PANEL});
            }
        }
        unmix_quarter<kind>(own, of, tiles, 0, tiles.all, Places(right, own), products, panel, 1, end);
    });
}

template <Kind kind, class End>
void run_filters(const Filters& of, const Image& in, const Tiles& tiles, const End& end, int threads) {
    if (of.mixed)
        run_batches<kind>(of, in, tiles, end, threads);
    else if (of.bytes == 2)
        run_panels<kind, uint16_t>(of, in, tiles, end, threads);
    else
        run_panels<kind, float>(of, in, tiles, end, threads);
}

// skip <- conv(in, stride 2) + bias; next <- leaky_relu(norm(skip)).
inline void halve(const Filters& of, const Image& in, const Image& skip, const Image& next,
                  int threads) {
    run_filters<DOWN>(of, in, Tiles(skip.rows, skip.columns), DownEnd{of, skip, next}, threads);
}

// out <- norm(relu(conv_transpose(in, stride 2) + bias))
inline void redouble(const Filters& of, const Image& in, const Image& out, int threads) {
    run_filters<UP>(of, in, Tiles(in.rows, in.columns), UpEnd{of, out}, threads);
}

// out <- relu(conv3x3(in) + bias), or out + conv3x3(in) + bias.
inline void convolve(const Filters& of, const Image& in, const Image& out, bool adding, int threads) {
    const Tiles tiles(in.rows, in.columns);
    if (adding)
        run_filters<SAME>(of, in, tiles, SameEnd<true>{of, out}, threads);
    else
        run_filters<SAME>(of, in, tiles, SameEnd<false>{of, out}, threads);
}
