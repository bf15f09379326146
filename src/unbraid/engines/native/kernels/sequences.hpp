// A bidirectional LSTM over many sequences side by side, its input normed on the way in.
//
// At each step the gates of all sequences are one product, [x h] [W; U]. Strassen's scheme in
// Winograd's form makes it of seven products of halves in place of eight: x and h are the halves of
// the depth, even and odd sequences those of the rows, (input, forget) and (cell, output) gates those
// of the columns. Sequences 2n and 2n + 1 are always partners, so that results do not depend on how
// sequences are shared among threads. Source: Strassen 1969; Winograd 1971, of 15 additions.
#pragma once
#include "parallel.hpp"
#include "product.hpp"

constexpr int SEVEN = 7;

struct Sequences {
    // Of each direction: (units / LANES, SEVEN, units, PANEL), as `_seven` of paths.py makes them; biases
    // (units / LANES, 2, PANEL): input, forget, cell, output.
    const float *packed[2], *bias[2];
    const float *gain, *shift;  // of each feature: x is in * gain + shift
    const float* in;            // as wide as there are units
    float* out;                 // forth and back side by side
    long steps, sequences, in_step, in_sequence, out_step, out_sequence;
    int units;
};

// What the products of one step read: SEVEN matrices (pairs, units).
struct Sides {
    float* at;
    long pairs;
    int units;
    Rows operator()(int number) const { return Rows(at + number * pairs * units, units, units); }
};

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

// The four gates of LANES units, of so many pairs of sequences: gates[half][pair][gate].
template <int rows>
INLINE void seven_tile(const Sides& sides, long pair, const float* panel, float* gates) {
    const long size = long{PANEL} * sides.units;
    Vec left[rows], right[rows], first[2 * rows], last[2 * rows];
    const auto add = [&](int number) {
        accumulate<rows>(sides(number), pair, panel + number * size, left, right);
    };
    const auto put = [&](int half, int gate) {
        for (int r = 0; r < rows; ++r) {
            float* at = gates + ((half * ROWS + r) * 4 + gate) * LANES;
            store(at, left[r]), store(at + LANES, right[r]);
        }
    };
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) left[r] = Vec{}, right[r] = Vec{};
    add(0);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) first[r] = left[r], first[rows + r] = right[r];
    add(1), put(0, 0);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) left[r] = first[r], right[r] = first[rows + r];
    add(2);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) first[r] = left[r], first[rows + r] = right[r];
    add(3);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) last[r] = left[r], last[rows + r] = right[r];
    add(4), put(1, 0);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) left[r] = Vec{}, right[r] = Vec{};
    add(5);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
        const Vec a = left[r], b = right[r];
        left[r] = a + last[r], right[r] = b + last[rows + r];
        first[r] += a, first[rows + r] += b;
    }
    put(1, 2);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) left[r] = first[r], right[r] = first[rows + r];
    add(6), put(0, 2);
}

template <int rows = ROWS>
void some_seven_tile(int count, const Sides& sides, long pair, const float* panel, float* gates) {
    if (count == rows) return seven_tile<rows>(sides, pair, panel, gates);
    if constexpr (rows > 1) some_seven_tile<rows - 1>(count, sides, pair, panel, gates);
}

// Some sequences, the first of them even, in one direction.
struct SequenceGroup {
    const Sequences& of;
    const int way;
    const long first, count, pairs;
    const Sides sides;
    float *state, *cells;  // (2, pairs, units): of even sequences, of odd ones

    static long pairs_of(long count) { return ceil_div(count, 2); }
    static long floats(long count, int units) { return (SEVEN + 4) * pairs_of(count) * units; }

    SequenceGroup(const Sequences& of, int way, long first, long count, float* memory)
        : of(of), way(way), first(first), count(count), pairs(pairs_of(count)),
          sides{memory, pairs, of.units}, state(memory + SEVEN * pairs * of.units),
          cells(state + 2 * pairs * of.units) {
        std::memset(state, 0, 4 * pairs * of.units * sizeof(float));
    }

    void run() {
        for (long i = 0; i < of.steps; ++i) {
            const long step = way ? of.steps - 1 - i : i;
            mix(step);
            for (int block = 0; block < of.units / LANES; ++block) advance(step, block);
        }
    }

  private:
    // The seven left sides: x and h of even and odd sequences, and their sums.
    void mix(long step) {
        const long size = pairs * of.units;
        for (long pair = 0; pair < pairs; ++pair) {
            const float* x = of.in + step * of.in_step + (first + 2 * pair) * of.in_sequence;
            const bool both = 2 * pair + 1 < count;
            for (int k = 0; k < of.units; k += LANES) {
                const Vec gain = load(of.gain + k), shift = load(of.shift + k);
                const Vec x1 = load(x + k) * gain + shift;
                const Vec x2 = both ? load(x + of.in_sequence + k) * gain + shift : Vec{};
                const long at = pair * of.units + k;
                const Vec h1 = load(state + at), h2 = load(state + size + at);
                const Vec odd = x2 + h2, rest = odd - x1;
                const Vec all_sides[SEVEN] = {x1, h1, rest, x1 - x2, h2, odd, h1 - rest};
#pragma GCC unroll 7
                for (int n = 0; n < SEVEN; ++n) store(sides.at + n * size + at, all_sides[n]);
            }
        }
    }

    // LANES units of all sequences.
    void advance(long step, int block) {
        const float* panel = of.packed[way] + block * long{SEVEN * PANEL} * of.units;
        const long tiles = ceil_div(pairs, ROWS);
        for (long tile = 0; tile < tiles; ++tile) {
            const long begin = pairs * tile / tiles, end = pairs * (tile + 1) / tiles;
            alignas(64) float gates[2 * ROWS * 4 * LANES];
            some_seven_tile(int(end - begin), sides, begin, panel, gates);
            for (int half = 0; half < 2; ++half)
                for (long pair = begin; pair < end; ++pair)
                    if (2 * pair + half < count)
                        update(step, block, half, pair, gates + (half * ROWS + pair - begin) * 4 * LANES);
        }
    }

    INLINE void update(long step, int block, int half, long pair, const float* gates) {
        const float* bias = of.bias[way] + block * 2 * PANEL;
        const long at = (half * pairs + pair) * of.units + block * LANES;
        Vec gate[4], cell = load(cells + at);
#pragma GCC unroll 4
        for (int n = 0; n < 4; ++n) gate[n] = load(gates + n * LANES) + load(bias + n * LANES);
        const Vec hidden = next_state(gate[0], gate[1], gate[2], gate[3], &cell);
        store(cells + at, cell);
        store(state + at, hidden);
        store(of.out + step * of.out_step + (first + 2 * pair + half) * of.out_sequence +
                  way * of.units + block * LANES, hidden);
    }
};

inline void run_sequences(const Sequences& of, int threads) {
    constexpr long most = 64;  // sequences of a group, so that what a step reads stays in the second cache
    const long groups = std::max(ceil_div(of.sequences, most), std::min(ceil_div(threads, 2), of.sequences));
    const long share = 2 * ceil_div(ceil_div(of.sequences, groups), 2);
    auto memory = scratches(threads, SequenceGroup::floats(share, of.units));
    in_parallel(2 * ceil_div(of.sequences, share), threads, [&](long piece, int thread) {
        const long first = piece / 2 * share, count = std::min(share, of.sequences - first);
        SequenceGroup(of, int(piece % 2), first, count, memory[thread].get()).run();
    });
}
