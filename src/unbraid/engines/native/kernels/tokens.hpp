// What transformers do with tokens that are rows (tokens, width), one behind the other: norms, and
// products and attention, for which some tokens at a time go to lanes.
#pragma once
#include <cmath>

#include "axes.hpp"

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

// panel (width, PANEL) <- rows `stride` floats apart; zeros from the row `count` on.
inline void rows_to_panel(const float* rows, long stride, long count, int width, float* panel) {
    for (int half = 0; half < PANEL; half += LANES)
        for (int c = 0; c < width; c += LANES) {
            const int some = std::min(LANES, width - c);
            Vec block[LANES];
            for (int i = 0; i < LANES; ++i)
                block[i] = half + i < count ? load_some(rows + (half + i) * stride + c, some) : Vec{};
            transpose(block);
            for (int i = 0; i < some; ++i) store(panel + (c + i) * PANEL + half, block[i]);
        }
}

// Epilogue: the values of each token go to its row, after F as in product.hpp.
template <class F>
struct IntoRows {
    float* to;
    long stride, tokens;
    template <int rows>
    INLINE void take(int panel, int row, int count, const Vec* left, const Vec* right) const {
        for (int half = 0; half < 2; ++half) {
            const long token = long{PANEL} * panel + half * LANES;
            const int some = int(std::min<long>(LANES, tokens - token));
#pragma GCC unroll 4
            for (int first = 0; first < rows; first += LANES) {
                float* at = to + token * stride + row + first;
                if (count == rows)  // a constant: no call for each row
                    put<rows>(first, rows - first, (half ? right : left) + first, some, at);
                else
                    put<rows>(first, count - first, (half ? right : left) + first, some, at);
            }
        }
    }

  private:
    template <int rows>
    INLINE void put(int first, int count, const Vec* values, int some, float* at) const {
        using Last = std::conditional_t<F::reads, F, Identity>;
        Vec block[LANES]{};
#pragma GCC unroll 16
        for (int i = 0; i < LANES; ++i)
            if (first + i < rows) block[i] = F::reads ? values[i] : F{}(values[i], Vec{});
        transpose(block);
        for (int i = 0; i < some; ++i, at += stride) Write<Last>::put(at, block[i], count);
    }
};

// Rows of out <- what `then` makes of rows of x times weights: 0 nothing, 1 GELU, 2 added to out.
struct TokenProduct {
    Matrix weights;
    float size;  // how large the weights are
    int then;
    const float* x;
    float* out;
    long tokens;

    // So many panels that they stay in the second cache, and that all threads have some.
    long together(int threads) const {
        const long fit = (128L << 10) / (long{PANEL} * weights.depth);
        return std::clamp(std::min(fit, ceil_div(tokens, 2L * PANEL * threads)), 1L, 8L);
    }
};

inline void multiply_tokens(const TokenProduct& of, int threads) {
    const int depth = of.weights.depth;
    const long step = of.together(threads), size = long{PANEL} * depth;
    auto memory = scratches(threads, step * (size + 2 * PANEL) + long{SLICE} * depth);
    in_parallel(ceil_div(of.tokens, step * PANEL), threads, [&](long piece, int thread) {
        const long first = piece * step * PANEL, tokens = std::min(step * PANEL, of.tokens - first);
        const int panels = int(ceil_div(tokens, PANEL));
        float *x = memory[thread].get(), *lanes = x + step * size, *slice = lanes + step * 2 * PANEL;
        for (int i = 0; i < panels; ++i) {
            rows_to_panel(of.x + (first + i * PANEL) * depth, depth, tokens - i * PANEL, depth, x + i * size);
            enter_balanced(x + i * size, depth, of.size, lanes + i * 2 * PANEL);
        }
        const long width = of.weights.rows;
        float* out = of.out + first * width;
        const Panels in{x, size, lanes, panels};
        if (of.then == 0) multiply(of.weights, in, slice, IntoRows<Identity>{out, width, tokens});
        if (of.then == 1) multiply(of.weights, in, slice, IntoRows<Gelu>{out, width, tokens});
        if (of.then == 2) multiply(of.weights, in, slice, IntoRows<Adding>{out, width, tokens});
    });
}

// Heads side by side in each row: `queries` rows of q look at `keys` rows of k and v; each head is
// `depth` wide. `paired`: scores are multiplied in pairs.
struct TokenAttention {
    const float *q, *k, *v;
    float* out;
    long q_stride, kv_stride, out_stride, queries, keys;
    int heads, depth, paired;

    long key_panels() const { return ceil_div(keys, PANEL); }
    long floats() const { return key_panels() * PANEL * depth + HeadMemory::floats(key_panels(), depth); }
};

// One head: out <- softmax(q k^T / sqrt(depth)) v of some queries.
inline void attend_head(const TokenAttention& of, int head, long first, long end, float* memory) {
    const int depth = of.depth;
    const long panels = of.key_panels(), size = long{PANEL} * depth, lane = long{head} * depth;
    float* rows = memory;  // keys, then values, then queries
    const HeadMemory in(panels, of.keys, depth, of.paired, rows + panels * size);
    const auto enter = [&](const float* from) {
        for (long t = 0; t < of.keys; t += PANEL)
            rows_to_panel(from + t * of.kv_stride + lane, of.kv_stride, of.keys - t, depth, rows + t * depth);
    };
    enter(of.k);
    Vec squares{};
    for (long i = 0; i < panels * size; i += LANES) squares += load(rows + i) * load(rows + i);
    const float key_size = std::sqrt(sum(squares) / (of.keys * depth));
    slice_keys(rows, size, panels, depth, 1.0f, in.keys, in.products);
    enter(of.v);
    slice_values(rows, size, panels, depth, in.values);
    const Vec scale = all(LOG2_E / std::sqrt(float(depth))), open[2] = {all(1.0f), all(1.0f)};
    for (long t = first; t < end; t += PANEL) {
        alignas(64) float lanes[2 * PANEL];
        rows_to_panel(of.q + t * of.q_stride + lane, of.q_stride, end - t, depth, rows);
        enter_balanced(rows, depth, std::max(key_size, 1e-15f), lanes);
        const Vec scales[2] = {scale * load(lanes + PANEL), scale * load(lanes + PANEL + LANES)};
        in.look_up(rows, scales, open, rows);
        const IntoRows<Identity> out{of.out + t * of.out_stride + lane, of.out_stride, end - t};
        for (int d = 0; d < depth; d += LANES) {
            Vec left[LANES]{}, right[LANES]{};
            for (int i = 0; i < std::min(LANES, depth - d); ++i)
                left[i] = load(rows + (d + i) * PANEL), right[i] = load(rows + (d + i) * PANEL + LANES);
            out.take<LANES>(0, d, std::min(LANES, depth - d), left, right);
        }
    }
}

// So many queries go together that all threads have something to do.
inline void attend_tokens(const TokenAttention& of, int threads) {
    const long most = ceil_div(of.queries, 4L * PANEL);
    const long parts = std::clamp(ceil_div(4L * threads, of.heads), 1L, most);
    const long share = ceil_div(of.queries, parts * PANEL) * PANEL;
    auto memory = scratches(threads, of.floats());
    in_parallel(of.heads * parts, threads, [&](long number, int thread) {
        const long first = number % parts * share, end = std::min(of.queries, first + share);
        if (first < end) attend_head(of, int(number / parts), first, end, memory[thread].get());
    });
}
