// Gated attention with rotary positions on a grid of tokens, along time or along bands.
//
// The grid is (bands, panels, width, PANEL), so that a panel holds PANEL frames of a band. Along time
// scores are products of keys and a panel of queries; along bands each lane is a frame of its own.
#pragma once
#include "heads.hpp"

constexpr int TOGETHER = 4;        // panels that enter a product together

// `qkv` are the rows of all heads, those of one after those of another: queries, keys, values, each
// `depth`; every head begins with a slice. `gates` weigh the normed features (heads, width). `turns`
// are cosines and sines: (panels, depth / 2, 2, PANEL) along time, (bands, depth / 2, 2) along bands.
// Only `count` bands (along time) or panels (along bands) from `first` on attend, and `found` holds what
// they find one after the other: (count, the others, heads * depth, PANEL).
struct AxisAttention {
    Matrix qkv;
    Entrance entrance;
    const float *gates, *gate_bias, *turns;
    const float* x;
    float* found;
    long bands, panels, frames, first, count;
    int heads, depth;

    int width() const { return entrance.width; }
    long panel_floats() const { return long{PANEL} * width(); }
    long projected() const { return 3L * depth * PANEL; }
    float* found_at(long row, long others, long other, int head) const {
        return found + (((row - first) * others + other) * heads + head) * depth * PANEL;
    }
    Matrix of_head(int head) const {
        Matrix one = qkv;
        const long slices = ceil_div(3 * depth, SLICE);
        one.packed = static_cast<const char*>(qkv.packed) + head * slices * SLICE * qkv.depth * qkv.bytes;
        if (one.products) one.products += head * slices * SLICE;
        one.rows = 3 * depth;
        return one;
    }
    long project_floats() const {
        return TOGETHER * (panel_floats() + 2 * PANEL) + long{SLICE} * width();
    }
};

// qkv (count, 3 depth, PANEL) and gates (count, PANEL) of one head <- panels of x, `stride` apart.
inline void project(const AxisAttention& of, int head, const float* x, long stride, long count, float* qkv,
                    float* gates, float* memory) {
    const Matrix matrix = of.of_head(head);
    float *entered = memory, *lanes = entered + TOGETHER * of.panel_floats();
    float* slice = lanes + TOGETHER * 2 * PANEL;
    for (long first = 0; first < count; first += TOGETHER) {
        const int some = int(std::min<long>(TOGETHER, count - first));
        for (int i = 0; i < some; ++i)
            enter(of.entrance, x + (first + i) * stride, entered + i * of.panel_floats(),
                  lanes + i * 2 * PANEL, of.gates + long{of.width()} * head, gates + (first + i) * PANEL);
        multiply(matrix, Panels{entered, of.panel_floats(), lanes, some}, slice,
                 Into<false>{qkv + first * of.projected(), of.projected()});
    }
    for (long i = 0; i < count * PANEL; i += LANES)
        store(gates + i, sigmoid(load(gates + i) + of.gate_bias[head]));
}

// x0, x1 <- x0 cos - x1 sin, x0 sin + x1 cos; their squares are added to sum.
INLINE void turn(float* at, Vec cosine, Vec sine, Vec& sum) {
    const Vec a = load(at), b = load(at + PANEL);
    const Vec c = a * cosine - b * sine, d = a * sine + b * cosine;
    store(at, c), store(at + PANEL, d);
    sum += c * c + d * d;
}

// Queries and keys of a panel at their places; what `squares` are so far.
inline void turn_in_time(float* qkv, const float* turns, int depth, Vec* squares) {
    for (int part = 0; part < 2; ++part, qkv += long{depth} * PANEL)
        for (int d = 0; d < depth; d += 2)
            for (int half = 0; half < PANEL; half += LANES) {
                const float* at = turns + long{d} * PANEL + half;
                turn(qkv + d * PANEL + half, load(at), load(at + PANEL), squares[part]);
            }
}

inline void turn_in_place(float* qkv, const float* turns, int depth, Vec* squares) {
    for (int part = 0; part < 2; ++part, qkv += long{depth} * PANEL)
        for (int d = 0; d < depth; d += 2)
            for (int half = 0; half < PANEL; half += LANES)
                turn(qkv + d * PANEL + half, all(turns[d]), all(turns[d + 1]), squares[part]);
}

// One head of one band: queries and keys of all its frames.
inline void attend_band(const AxisAttention& of, long band, int head, float* memory) {
    const int depth = of.depth;
    const long stride = of.projected();
    const bool paired = of.qkv.paired();
    float *qkv = memory, *gates = qkv + of.panels * stride, *rest = gates + of.panels * PANEL;
    HeadMemory in(of.panels, of.frames, depth, paired, rest + of.project_floats());
    const float* x = of.x + band * of.panels * of.panel_floats();
    project(of, head, x, of.panel_floats(), of.panels, qkv, gates, rest);
    Vec squares[2]{};
    for (long panel = 0; panel < of.panels; ++panel)
        turn_in_time(qkv + panel * stride, of.turns + panel * depth * PANEL, depth, squares);
    const float gain = paired ? balance(squares[0], squares[1]) : 1.0f;
    slice_keys(qkv + depth * PANEL, stride, of.panels, depth, gain, in.keys, in.products);
    in.enter_values(qkv + 2L * depth * PANEL, stride);
    const Vec scale = all(LOG2_E / std::sqrt(float(depth)) / gain);
    for (long first = 0; first < of.panels; first += HeadMemory::TOGETHER) {
        Queries queries[HeadMemory::TOGETHER];
        const int some = int(std::min<long>(HeadMemory::TOGETHER, of.panels - first));
        for (int i = 0; i < some; ++i) {
            const float* gate = gates + (first + i) * PANEL;
            queries[i] = {qkv + (first + i) * stride, of.found_at(band, of.panels, first + i, head),
                          {scale, scale}, {load(gate), load(gate + LANES)}};
        }
        in.look_up(queries, some);
    }
}

inline void attend_along_time(const AxisAttention& of, int threads) {
    auto memory = scratches(threads, of.panels * (of.projected() + PANEL) + of.project_floats() +
                                         HeadMemory::floats(of.panels, of.depth));
    in_parallel(of.count * of.heads, threads, [&](long number, int thread) {
        attend_band(of, of.first + number / of.heads, int(number % of.heads), memory[thread].get());
    });
}

// Along bands: so many queries, and keys or values, that meet in registers.
constexpr int QUERIES = LANES == 16 ? 6 : 3, OTHERS = LANES == 16 ? 4 : 3;

// sums[i][j] <- sums over k of a[i](k) b[j](k), whose k are `a_step` and `b_step` floats apart.
INLINE void meet(const float* const* a, long a_step, const float* const* b, long b_step, long count,
                 Vec (*sums)[OTHERS]) {
#pragma GCC unroll 16
    for (int i = 0; i < QUERIES; ++i)
#pragma GCC unroll 16
        for (int j = 0; j < OTHERS; ++j) sums[i][j] = Vec{};
    for (long k = 0; k < count; ++k) {
        Vec y[OTHERS];
#pragma GCC unroll 16
        for (int j = 0; j < OTHERS; ++j) y[j] = load(b[j] + k * b_step);
#pragma GCC unroll 16
        for (int i = 0; i < QUERIES; ++i) {
            const Vec x = load(a[i] + k * a_step);
#pragma GCC unroll 16
            for (int j = 0; j < OTHERS; ++j) sums[i][j] += x * y[j];
        }
    }
}

// Some bands, from `first` on, look at all bands; qkv (bands, 3 depth, PANEL) from one half of the
// lanes on. `scores` are (QUERIES, bands, LANES).
inline void attend_bands(const AxisAttention& of, long panel, int head, long first, int half,
                         const float* qkv, const float* gates, float* scores) {
    const long stride = of.projected(), bands = of.bands;
    const float* from[QUERIES];
    Vec sums[QUERIES][OTHERS];
    for (int i = 0; i < QUERIES; ++i) from[i] = qkv + std::min(first + i, bands - 1) * stride + half;
    for (long other = 0; other < bands; other += OTHERS) {
        const float* to[OTHERS];
        for (int j = 0; j < OTHERS; ++j)
            to[j] = qkv + std::min(other + j, bands - 1) * stride + long{of.depth} * PANEL + half;
        meet(from, PANEL, to, PANEL, of.depth, sums);
        for (int j = 0; j < OTHERS && other + j < bands; ++j)
            for (int i = 0; i < QUERIES; ++i) store(scores + (i * bands + other + j) * LANES, sums[i][j]);
    }
    const float scale = LOG2_E / std::sqrt(float(of.depth));
    Vec shares[QUERIES];
    for (int i = 0; i < QUERIES; ++i) {
        float* row = scores + i * bands * LANES;
        Vec highest = all(-1e30f), total{};
        for (long t = 0; t < bands; ++t) highest = larger(highest, load(row + t * LANES));
        for (long t = 0; t < bands; ++t) {
            const Vec weight = power_of_two((load(row + t * LANES) - highest) * scale);
            store(row + t * LANES, weight), total += weight;
        }
        shares[i] = load(gates + std::min(first + i, bands - 1) * PANEL + half) / total;
        from[i] = row;
    }
    for (int d = 0; d < of.depth; d += OTHERS) {
        const float* to[OTHERS];
        for (int j = 0; j < OTHERS; ++j)
            to[j] = qkv + (2L * of.depth + std::min(d + j, of.depth - 1)) * PANEL + half;
        meet(from, LANES, to, stride, bands, sums);
        for (int i = 0; i < QUERIES && first + i < bands; ++i)
            for (int j = 0; j < OTHERS && d + j < of.depth; ++j)
                store(of.found_at(panel, bands, first + i, head) + (d + j) * PANEL + half,
                      sums[i][j] * shares[i]);
    }
}

inline void attend_along_bands(const AxisAttention& of, int threads) {
    const long qkv_floats = of.bands * of.projected(), gate_floats = of.bands * PANEL;
    const long score_floats = QUERIES * of.bands * LANES;
    auto memory = scratches(threads, qkv_floats + gate_floats + score_floats + of.project_floats());
    in_parallel(of.count * of.heads, threads, [&](long number, int thread) {
        const long panel = of.first + number / of.heads;
        const int head = int(number % of.heads);
        float *qkv = memory[thread].get(), *gates = qkv + qkv_floats, *scores = gates + gate_floats;
        const float* x = of.x + panel * of.panel_floats();
        project(of, head, x, of.panels * of.panel_floats(), of.bands, qkv, gates, scores + score_floats);
        Vec squares[2]{};
        for (long band = 0; band < of.bands; ++band)
            turn_in_place(qkv + band * of.projected(), of.turns + band * of.depth, of.depth, squares);
        for (long first = 0; first < of.bands; first += QUERIES)
            for (int half = 0; half < PANEL; half += LANES)
                attend_bands(of, panel, head, first, half, qkv, gates, scores);
    });
}
