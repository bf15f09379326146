// Softmax attention of one head, in lanes: panels of queries (depth, PANEL) look at keys and values
// that lie in slices, block by block, so that a block stays in the cache while some panels see it.
//
// A key's weight is 2^(score - shift). The shift of a query grows from block to block such that
// weights are 1 on average, the size to which values are scaled, too; so weights and values may be
// multiplied in pairs (see lanes.hpp) and lose no digits.
#pragma once
#include "norms.hpp"
#include "lanes.hpp"

constexpr int VALUES = LANES / 2;  // rows of a slice of values
constexpr long KEYS = 192;         // in a block: whole slices, and whole triples

// Rows become columns: LANES vectors of LANES.
INLINE void transpose(Vec* rows) {
    for (int step = 1; step < LANES; step *= 2) {
        Vec next[LANES];
#pragma GCC unroll 16
        for (int i = 0; i < LANES / 2; ++i) {
            next[2 * i] = by_turns<0>(rows[i], rows[i + LANES / 2]);
            next[2 * i + 1] = by_turns<1>(rows[i], rows[i + LANES / 2]);
        }
        for (int i = 0; i < LANES; ++i) rows[i] = next[i];
    }
}

// slices (groups, tokens, VALUES) <- values (panels, depth, PANEL) times `gain`, every panel `stride`
// floats apart.
inline void slice_values(const float* values, long stride, long panels, int depth, float gain, float* slices) {
    const long tokens = panels * PANEL;
    for (long first = 0; first < tokens; first += LANES)
        for (int d = 0; d < depth; d += LANES) {
            const float* from = values + first / PANEL * stride + first % PANEL;
            Vec rows[LANES];
            for (int i = 0; i < LANES; ++i)
                rows[i] = d + i < depth ? load(from + (d + i) * PANEL) * gain : Vec{};
            transpose(rows);
            for (int half = 0; half < 2 && d + half * VALUES < depth; ++half)
                for (int i = 0; i < LANES; ++i) {
                    float both[LANES];
                    store(both, rows[i]);
                    std::memcpy(slices + ((d / VALUES + half) * tokens + first + i) * VALUES,
                                both + half * VALUES, VALUES * sizeof(float));
                }
        }
}

// slices (groups, depth, SLICE) <- keys (panels, depth, PANEL) times `gain`, and the sums of products
// of pairs (tokens); groups reach as far as the panels.
inline void slice_keys(const float* keys, long stride, long panels, int depth, float gain, float* slices,
                       float* products) {
    const long tokens = panels * PANEL;
    const auto at = [&](long token) { return keys + token / PANEL * stride + token % PANEL; };
    for (long first = 0; first < tokens; first += SLICE) {
        float* to = slices + first * depth;
        if (first % PANEL + SLICE <= PANEL) {  // in one panel: all keys of the slice at once
            for (int d = 0; d < depth; ++d)
                for (int i = 0; i < SLICE; i += LANES) {
                    const int some = std::min(LANES, SLICE - i);
                    const Vec row = load_some(at(first) + d * PANEL + i, some) * gain;
                    std::memcpy(to + d * SLICE + i, &row, some * sizeof(float));
                }
            continue;
        }
        for (long t = first; t < std::min(first + SLICE, tokens); ++t)
            for (int d = 0; d < depth; ++d) to[d * SLICE + t - first] = at(t)[d * PANEL] * gain;
    }
    for (long first = 0; first < tokens; first += LANES) {
        const float* from = at(first);
        Vec sum{};
        for (int d = 0; d + 3 <= depth; d += 3) sum += load(from + d * PANEL) * load(from + (d + 1) * PANEL);
        store(products + first, sum * (gain * gain));
    }
}

// The mean square of a quarter of such numbers: enough to know how large they are.
inline float mean_square_of_some(const float* panels, long stride, long count, long size) {
    Vec squares{};
    long seen = 0;
    for (long panel = 0; panel < count; ++panel)
        for (long i = panel % 4 * LANES; i < size; i += 4 * LANES, seen += LANES) {
            const Vec value = load(panels + panel * stride + i);
            squares += value * value;
        }
    return sum(squares) / float(seen);
}

// A power of two near x, if there is one.
inline float power_near(float x) {
    return x > 1e-30f && x < 1e30f ? std::exp2(std::round(std::log2(x))) : 1.0f;
}

// A power of two by which keys become as large as queries, from sums of squares.
inline float balance(Vec queries, Vec keys) {
    return power_near(std::sqrt(sum(queries) / std::max(sum(keys), 1e-30f)));
}

// scores (SLICE, PANEL) <- a slice of keys times a panel of queries; `highest` grows with those of the
// first `count`. A function of its own for the same reason as `multiply_slice`.
template <bool paired>
__attribute__((noinline)) void score_slice(const float* slice, const float* products, int depth, const float* queries,
                                           long count, float* scores, Vec* highest) {
    Vec left[SLICE], right[SLICE];
#pragma GCC unroll 16
    for (int r = 0; r < SLICE; ++r) left[r] = right[r] = paired ? all(-products[r]) : Vec{};
    add_slice<SLICE, paired, SLICE>(slice, queries, depth, left, right);
    Vec most[2] = {highest[0], highest[1]};
#pragma GCC unroll 16
    for (int r = 0; r < SLICE; ++r) {
        store(scores + r * PANEL, left[r]), store(scores + r * PANEL + LANES, right[r]);
        if (r < count) most[0] = larger(most[0], left[r]), most[1] = larger(most[1], right[r]);
    }
    highest[0] = most[0], highest[1] = most[1];
}

// scores (keys, PANEL) <- keys times a panel of queries, up to whole slices; the highest of each query.
template <bool paired>
inline void score(const float* slices, const float* products, long keys, int depth, const float* queries,
                  float* scores, Vec* highest) {
    highest[0] = highest[1] = all(-1e30f);
    for (long first = 0; first < keys; first += SLICE)
        score_slice<paired>(slices + first * depth, products + first, depth, queries, keys - first,
                            scores + first * PANEL, highest);
}

// Scores (keys, PANEL) of one half of the lanes to weights 2^(scale score - shift); their sum is added to
// `sum`. What comes back is the sum of products of pairs.
template <bool paired>
INLINE Vec soften(float* scores, long keys, Vec scale, Vec shift, Vec& sum) {
    Vec total{}, products{};
    const auto weigh = [&](long t) {
        const Vec weight = power_of_two(load(scores + t * PANEL) * scale - shift);
        store(scores + t * PANEL, weight);
        total += weight;
        return weight;
    };
    long t = 0;
    for (; t + 3 <= keys; t += 3) {
        const Vec first = weigh(t), second = weigh(t + 1);
        if (paired) products += first * second;
        weigh(t + 2);
    }
    for (; t < keys; ++t) weigh(t);
    sum += total;
    return products;
}

// found (rows, PANEL) <- found times `factor` (0 if null) + a slice of values times weights (keys, PANEL), less the
// sums of products of pairs. A function of its own for the same reason as `multiply_slice`.
template <bool paired>
__attribute__((noinline)) void add_values(const float* slice, const float* weights, int keys, const Vec* factor,
                                          const Vec* sums, const float* products, int rows, float* found) {
    Vec left[VALUES], right[VALUES];
#pragma GCC unroll 16
    for (int r = 0; r < VALUES; ++r) {
        left[r] = right[r] = Vec{};
        if (factor && r < rows) {
            left[r] = load(found + r * PANEL) * factor[0];
            right[r] = load(found + r * PANEL + LANES) * factor[1];
        }
        if (paired) left[r] -= sums[0] + products[r], right[r] -= sums[1] + products[r];
    }
    add_slice<VALUES, paired, VALUES>(slice, weights, keys, left, right);
#pragma GCC unroll 16
    for (int r = 0; r < VALUES; ++r)
        if (r < rows) store(found + r * PANEL, left[r]), store(found + r * PANEL + LANES, right[r]);
}

// The exponent of x > 0.
INLINE Vec exponent(Vec x) {
    return __builtin_convertvector(((Ints)x >> 23) - 127, Vec);
}

constexpr float LOG2_E = 1.44269504f;

// A panel of queries (depth, PANEL), scaled; what undoes that; factors of what they find, and where
// that goes (depth, PANEL); `at` may be there, if the caller is done with it before others are.
struct Queries {
    const float* at;
    float* found;
    Vec scale[2], gates[2];
    Vec shift[2], sum[2];
};

// Keys and values of one head in slices. So many panels hold `count` tokens.
struct HeadMemory {
    static constexpr int TOGETHER = 8;  // panels of queries that see a block of keys
    float *keys, *products, *values, *value_products, *scores;
    long panels, count;
    int depth;
    bool paired;
    float value_gain = 1;

    static long tokens(long panels) { return ceil_div(panels * PANEL, SLICE) * SLICE; }
    static long deep(int depth) { return ceil_div(depth, VALUES) * VALUES; }
    static long blocks(long panels) { return ceil_div(panels * PANEL, KEYS); }
    static long floats(long panels, int depth) {
        return tokens(panels) * (depth + 1 + deep(depth)) + blocks(panels) * deep(depth) + KEYS * PANEL + 5 * 16;
    }
    HeadMemory(long panels, long count, int depth, bool paired, float* memory)
        : panels(panels), count(count), depth(depth), paired(paired) {
        const auto take = [&](long floats) {
            float* here = memory;
            memory += ceil_div(floats, 16) * 16;
            return here;
        };
        keys = take(tokens(panels) * depth), products = take(tokens(panels));
        values = take(tokens(panels) * deep(depth));
        value_products = take(blocks(panels) * deep(depth));
        scores = take(KEYS * PANEL);
    }

    // Values (panels, depth, PANEL), every panel `stride` floats apart, to slices.
    void enter_values(const float* from, long stride) {
        if (paired) {
            const float mean_square = mean_square_of_some(from, stride, panels, long{PANEL} * depth);
            value_gain = power_near(std::sqrt(1 / std::max(mean_square, 1e-30f)));
        }
        slice_values(from, stride, panels, depth, value_gain, values);
        if (paired) sum_value_products();
    }

    // What all panels find.
    void look_up(Queries* queries, int some) const {
        for (long first = 0; first < count; first += KEYS)
            for (int i = 0; i < some; ++i)
                (paired ? look<true>(queries[i], first) : look<false>(queries[i], first));
        for (int i = 0; i < some; ++i) {
            const Queries& of = queries[i];
            const Vec a = of.gates[0] / (of.sum[0] * value_gain), b = of.gates[1] / (of.sum[1] * value_gain);
            for (float* at = of.found; at < of.found + long{depth} * PANEL; at += PANEL)
                store(at, load(at) * a), store(at + LANES, load(at + LANES) * b);
        }
    }

  private:
    // For each block and feature the sum of products of paired values.
    void sum_value_products() {
        const long wide = deep(depth);
        for (long first = 0; first < count; first += KEYS)
            for (long d = 0; d < wide; d += VALUES) {
                HalfVec total{}, pair[2];
                const float* at = values + d * panels * PANEL + first * VALUES;
                for (long t = 0, end = std::min(KEYS, count - first); t + 3 <= end; t += 3, at += 3 * VALUES) {
                    std::memcpy(pair, at, sizeof pair);
                    total += pair[0] * pair[1];
                }
                std::memcpy(value_products + first / KEYS * wide + d, &total, sizeof total);
            }
    }

    // A panel of queries looks at the block of keys from `first` on.
    template <bool pairs>
    void look(Queries& of, long first) const {
        const long some = std::min(KEYS, count - first);
        Vec highest[2], factor[2], fixed[2];
        score<pairs>(keys + first * depth, products + first, some, depth, of.at, scores, highest);
        for (int half = 0; half < 2; ++half) {
            // No weight is more than 2^10, and of the first block 2^3.
            Vec shift = highest[half] * of.scale[half] - (first ? 10.0f : 3.0f);
            if (first) shift = larger(shift, of.shift[half] + exponent(of.sum[half] * (1.0f / first)));
            factor[half] = first ? power_of_two(of.shift[half] - shift) : Vec{};
            of.sum[half] = first ? of.sum[half] * factor[half] : Vec{};
            of.shift[half] = shift;
            fixed[half] = soften<pairs>(scores + half * LANES, some, of.scale[half], shift, of.sum[half]);
        }
        const float* fixed_values = value_products + first / KEYS * deep(depth);
        for (int d = 0; d < depth; d += VALUES)
            add_values<pairs>(values + d * panels * PANEL + first * VALUES, scores, int(some), first ? factor : nullptr,
                              fixed, fixed_values + d, std::min(VALUES, depth - d), of.found + long{d} * PANEL);
    }
};
