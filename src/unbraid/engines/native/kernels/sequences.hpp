// A bidirectional LSTM over many sequences side by side, its input normed on the way in.
//
// At each step the gates of all sequences are one product, [x h] [W; U]: rows are sequences, and the
// four gates of LANES units are made one panel after the other, while the cells wait in the first cache.
// Where that is faster, two of three features are multiplied as a pair; see lanes.hpp.
#pragma once
#include <cmath>

#include "lanes.hpp"
#include "parallel.hpp"
#include "product.hpp"

struct Sequences {
    // Of each direction: (units / LANES, 2, 2 * units, PANEL), input with forget and cell with output
    // gates; biases (units / LANES, 2, PANEL); sums of products of paired weights, likewise, or null.
    const float *packed[2], *bias[2], *products[2];
    float scale[2];             // what undoes the scale of the weights
    const float *gain, *shift;  // of each feature: x is in * gain + shift
    const float* in;            // as wide as there are units
    float* out;                 // forth and back side by side
    long steps, sequences, in_step, in_sequence, out_step, out_sequence;
    int units;
};

// What the product of a step reads: rows (x, h), and for each the sum of products of paired features,
// and what undoes its scale. Feature j is paired with j + third, and j + 2 * third goes with them.
struct Seen {
    // So that one address leads to all rows of a tile; not a power of two, for the cache's sake.
    static constexpr int APART = 1040, MOST = 1024;
    static long apart(int depth) { return depth <= MOST ? APART : depth; }
    static long floats(long rows, int depth) { return rows * (apart(depth) + 2); }

    float *at, *sums, *undo;
    int depth;
    float* row(long number) const { return at + number * apart(depth); }

    // Make a row ready to be multiplied in pairs: scaled by a power of two to the size of weights.
    void balance(long number) const {
        const int third = depth / 3;
        float* x = row(number);
        Vec total{};
        for (int k = 0; k < depth; k += LANES) total += load(x + k) * load(x + k);
        const float ratio = 0.7f / std::max(std::sqrt(sum_of(total) / depth), 1e-20f);
        const float power = std::exp2(std::floor(std::log2(ratio)));
        undo[number] = 1 / power;
        for (int k = 0; k < depth; k += LANES) store(x + k, load(x + k) * power);
        total = Vec{};
        for (int k = 0; k < third; k += LANES) {
            const int lanes = std::min(LANES, third - k);
            total += load_some(x + k, lanes) * load_some(x + third + k, lanes);
        }
        sums[number] = sum_of(total);
    }

    static INLINE float sum_of(Vec total) {
#pragma GCC unroll 4
        for (int far = LANES / 2; far; far /= 2)
            total += shuffled(total, total, [&](int lane) { return lane ^ far; });
        return total[0];
    }
};

// left, right <- left, right + so many rows times a panel, in pairs; their sums are not taken away.
template <int rows>
INLINE void accumulate_pairs(const float* at, int depth, const float* panel, Vec* left, Vec* right) {
    const int third = depth / 3;
    const float *next = panel + third * PANEL, *last = next + third * PANEL;
    const float *at1 = at + third, *at2 = at1 + third;
    for (int k = 0; k < third; ++k, ++at, ++at1, ++at2, panel += PANEL, next += PANEL, last += PANEL) {
        const Vec a0 = load(panel), b0 = load(panel + LANES), a1 = load(next), b1 = load(next + LANES);
        const Vec a2 = load(last), b2 = load(last + LANES);
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) {
            const float *x0 = at + r * Seen::APART, *x1 = at1 + r * Seen::APART, *x2 = at2 + r * Seen::APART;
            add_triple(left[r], *x0, *x1, *x2, a0, a1, a2);
            add_triple(right[r], *x0, *x1, *x2, b0, b1, b2);
        }
    }
    for (int k = 3 * third; k < depth; ++k, ++at2, last += PANEL) {
        const Vec a = load(last), b = load(last + LANES);
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) {
            const Vec x = all(at2[r * Seen::APART]);
            left[r] += x * a, right[r] += x * b;
        }
    }
}

// A panel of gates of so many sequences: rows of `gates` are two panels long. `products` as in
// `Sequences`. A function of its own: inlined, gcc does not keep all sums in registers.
template <int rows, bool paired>
__attribute__((noinline)) void gates_tile(const Seen& seen, long first, const float* panel,
                                          const float* products, float* gates) {
    Vec left[rows], right[rows];
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) left[r] = Vec{}, right[r] = Vec{};
    if constexpr (paired) {
        const Vec a = load(products), b = load(products + LANES);
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r)
            left[r] = -(seen.sums[first + r] + a), right[r] = -(seen.sums[first + r] + b);
        accumulate_pairs<rows>(seen.row(first), seen.depth, panel, left, right);
    } else {
        const Rows a(seen.row(first), seen.depth, Seen::apart(seen.depth));
        accumulate<rows>(a, 0, panel, left, right);
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r, gates += 2 * PANEL) store(gates, left[r]), store(gates + LANES, right[r]);
}

template <int rows = ROWS>
void some_gates(int count, const Seen& seen, long first, const float* panel, const float* products,
                float* gates) {
    if (count == rows)
        return products ? gates_tile<rows, true>(seen, first, panel, products, gates)
                        : gates_tile<rows, false>(seen, first, panel, products, gates);
    if constexpr (rows > 1) some_gates<rows - 1>(count, seen, first, panel, products, gates);
}

// Gates to the new cell and state of some units. All sigmoids are fractions of powers of two, brought
// to one denominator: two divisions instead of five.
INLINE Vec next_state(Vec input, Vec forget, Vec fresh, Vec output, Vec* cell) {
    const auto falling = [](Vec x, float rate) { return power_of_two(clamp(x * rate, -40.0f, 40.0f)); };
    constexpr float once = -1.44269504f, twice = 2 * once;
    const Vec i = 1.0f + falling(input, once), f = 1.0f + falling(forget, once);
    const Vec g = falling(fresh, twice), both = i * (1.0f + g);
    *cell = (*cell * both + (1.0f - g) * f) / (both * f);
    const Vec o = 1.0f + falling(output, once), c = falling(*cell, twice);
    return (1.0f - c) / (o * (1.0f + c));
}

// Some sequences in one direction.
struct SequenceGroup {
    const Sequences& of;
    const int way;
    const long first, count;
    float *state, *cells;  // (count, units)
    const Seen seen;

    static long floats(long count, int units) {
        return 2 * count * units + Seen::floats(count, 2 * units);
    }

    SequenceGroup(const Sequences& of, int way, long first, long count, float* memory)
        : of(of), way(way), first(first), count(count), state(memory), cells(state + count * of.units),
          seen{cells + count * of.units,
               cells + count * (of.units + Seen::apart(2 * of.units)),
               cells + count * (of.units + Seen::apart(2 * of.units) + 1), 2 * of.units} {
        std::memset(state, 0, 2 * count * of.units * sizeof(float));
    }

    void run() {
        for (long i = 0; i < of.steps; ++i) {
            const long step = way ? of.steps - 1 - i : i;
            for (long n = 0; n < count; ++n) enter(step, n);
            for (int block = 0; block < of.units / LANES; ++block) advance(step, block);
        }
    }

  private:
    void enter(long step, long n) {
        const float* x = of.in + step * of.in_step + (first + n) * of.in_sequence;
        float *to = seen.row(n), *h = to + of.units;
        for (int k = 0; k < of.units; k += LANES)
            store(to + k, load(x + k) * load(of.gain + k) + load(of.shift + k));
        std::memcpy(h, state + n * of.units, of.units * sizeof(float));
        seen.undo[n] = 1;
        if (of.products[way]) seen.balance(n);
    }

    // LANES units of all sequences.
    void advance(long step, int block) {
        const long size = long{PANEL} * seen.depth, tiles = ceil_div(count, ROWS);
        for (long tile = 0; tile < tiles; ++tile) {
            const long begin = count * tile / tiles, end = count * (tile + 1) / tiles;
            alignas(64) float gates[ROWS * 2 * PANEL];
            for (int half = 0; half < 2; ++half) {
                const long panel = 2 * block + half;
                const float* products = of.products[way];
                some_gates(int(end - begin), seen, begin, of.packed[way] + panel * size,
                           products ? products + panel * PANEL : nullptr, gates + half * PANEL);
            }
            for (long n = begin; n < end; ++n) update(step, block, n, gates + (n - begin) * 2 * PANEL);
        }
    }

    INLINE void update(long step, int block, long n, const float* gates) {
        const float *bias = of.bias[way] + block * 2 * PANEL, scale = of.scale[way] * seen.undo[n];
        const long at = n * of.units + block * LANES;
        Vec gate[4], cell = load(cells + at);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i)
            gate[i] = load(gates + i * LANES) * scale + load(bias + i * LANES);
        const Vec hidden = next_state(gate[0], gate[1], gate[2], gate[3], &cell);
        store(cells + at, cell);
        store(state + at, hidden);
        store(of.out + step * of.out_step + (first + n) * of.out_sequence + way * of.units + block * LANES,
              hidden);
    }
};

inline void run_sequences(const Sequences& of, int threads) {
    constexpr long most = 64;  // sequences of a group, so that what a step reads stays in the second cache
    const long groups = std::max(ceil_div(of.sequences, most), std::min(ceil_div(threads, 2), of.sequences));
    const long share = ceil_div(of.sequences, groups);
    auto memory = scratches(threads, SequenceGroup::floats(share, of.units));
    in_parallel(2 * ceil_div(of.sequences, share), threads, [&](long piece, int thread) {
        const long first = piece / 2 * share, count = std::min(share, of.sequences - first);
        SequenceGroup(of, int(piece % 2), first, count, memory[thread].get()).run();
    });
}
