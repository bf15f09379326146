// What transformers do with tokens beside products: norms and attention. Tokens are rows (tokens,
// width), one behind the other.
#pragma once
#include <cmath>

#include "parallel.hpp"
#include "product.hpp"

constexpr long TOKEN_BLOCK = 64;

// out <- (x - mean) / deviation * weight + bias, each token by itself, plus a row of `table` if there
// is one; out may be x.
inline void layer_norm(const float* x, long tokens, long width, const float* weight,
                       const float* bias, float eps, const float* table, float* out, int threads) {
    in_parallel(ceil_div(tokens, TOKEN_BLOCK), threads, [&](long piece, int) {
        const long end = std::min(tokens, (piece + 1) * TOKEN_BLOCK);
        for (long token = piece * TOKEN_BLOCK; token < end; ++token) {
            const float* from = x + token * width;
            Vec total{}, squares{};
            for (long c = 0; c < width; c += LANES)
                total += load_some(from + c, int(std::min<long>(LANES, width - c)));
            const float mean = sum(total) / width;
            for (long c = 0; c < width; c += LANES) {
                const int lanes = int(std::min<long>(LANES, width - c));
                Vec away = load_some(from + c, lanes) - mean;
                if (lanes < LANES) away = load_some(reinterpret_cast<float*>(&away), lanes);
                squares += away * away;
            }
            const float rate = 1 / std::sqrt(sum(squares) / width + eps);
            for (long c = 0; c < width; c += LANES) {
                const int lanes = int(std::min<long>(LANES, width - c));
                Vec value = (load_some(from + c, lanes) - mean) * rate * load_some(weight + c, lanes) +
                            load_some(bias + c, lanes);
                if (table) value += load_some(table + token * width + c, lanes);
                store_some(out + token * width + c, value, lanes);
            }
        }
    });
}

// One head: `queries` rows of q look at `keys` rows of k and v, all `depth` wide.
struct AttentionHead {
    const float *q, *k, *v;
    float* out;
    long q_stride, kv_stride, out_stride, queries, keys;
    int depth;
};

// Floats that a thread needs for heads of this size, and rows of scores at a time: as many as stay in
// the second cache.
inline long scores_width(long keys) { return ceil_div(keys, PANEL) * PANEL; }
inline long scores_rows(long keys) {
    return std::clamp((96L << 10) / scores_width(keys) / ROWS, 1L, 8L) * ROWS;
}
inline long head_floats(long keys, int depth) {
    return scores_width(keys) * depth + ceil_div(depth, PANEL) * PANEL * keys +
           scores_rows(keys) * scores_width(keys);
}

// Scores to weights that do not add up to 1 yet; their sum.
inline float soften(float* row, long keys, long width) {
    for (long t = keys; t < width; ++t) row[t] = -1e30f;
    Vec highest = all(-1e30f), total{};
    for (long t = 0; t < width; t += LANES) highest = larger(highest, load(row + t));
    float most = highest[0];
    for (int lane = 1; lane < LANES; ++lane) most = std::max(most, highest[lane]);
    for (long t = 0; t < width; t += LANES) {
        const Vec weight = exponential(load(row + t) - most);
        store(row + t, weight);
        total += weight;
    }
    return sum(total);  // padding counts as exp(-87), 1e-38: nothing
}

// out <- softmax(q k^T) v, with q already divided by sqrt(depth).
inline void attend_head(const AttentionHead& of, float* memory) {
    const long width = scores_width(of.keys), block = scores_rows(of.keys);
    const int panels = int(width / PANEL), deep = int(ceil_div(of.depth, PANEL));
    float *keys = memory, *values = keys + width * of.depth;
    float* scores = values + long(deep) * PANEL * of.keys;
    for (long t = 0; t < width; ++t)
        for (int d = 0; d < of.depth; ++d)
            keys[(t / PANEL * of.depth + d) * PANEL + t % PANEL] =
                t < of.keys ? of.k[t * of.kv_stride + d] : 0.0f;
    for (int panel = 0; panel < deep; ++panel)
        for (long t = 0; t < of.keys; ++t)
            for (int lane = 0; lane < PANEL; ++lane) {
                const int d = panel * PANEL + lane;
                values[(panel * of.keys + t) * PANEL + lane] =
                    d < of.depth ? of.v[t * of.kv_stride + d] : 0.0f;
            }
    for (long first = 0; first < of.queries; first += block) {
        const long count = std::min(block, of.queries - first);
        product(Rows(of.q + first * of.q_stride, of.depth, of.q_stride), 0, count, keys, nullptr,
                panels, Write<Identity>{scores, width, int(width)});
        float* out = of.out + first * of.out_stride;
        float shares[8 * ROWS];
        for (long i = 0; i < count; ++i) shares[i] = 1 / soften(scores + i * width, of.keys, width);
        product(Rows(scores, int(of.keys), width), 0, count, values, nullptr, deep,
                Write<Identity>{out, of.out_stride, of.depth});
        for (long i = 0; i < count; ++i)
            for (int d = 0; d < of.depth; ++d) out[i * of.out_stride + d] *= shares[i];
    }
}

// All heads, which lie side by side in each row, of several `items`. So many queries go together that
// all threads have something to do.
inline void attend_tokens(const AttentionHead& first, int heads, long items, long q_item, long kv_item,
                          long out_item, int threads) {
    const long parts = std::clamp(ceil_div(4L * threads, heads * items), 1L,
                                  ceil_div(first.queries, 8L * ROWS));
    const long share = ceil_div(first.queries, parts);
    auto memory = scratches(threads, head_floats(first.keys, first.depth));
    in_parallel(items * heads * parts, threads, [&](long number, int thread) {
        const long part = number % parts, head = number / parts % heads, item = number / parts / heads;
        const long begin = part * share, lane = head * first.depth;
        AttentionHead of = first;
        of.q += item * q_item + begin * of.q_stride + lane;
        of.k += item * kv_item + lane;
        of.v += item * kv_item + lane;
        of.out += item * out_item + begin * of.out_stride + lane;
        of.queries = std::min(share, first.queries - begin);
        if (of.queries > 0) attend_head(of, memory[thread].get());
    });
}
