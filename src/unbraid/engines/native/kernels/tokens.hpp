// Tokens of a transformer: rows (tokens, width), one behind the other, at its ends; between them panels
// (width, PANEL), whose last may be partly filled.
#pragma once
#include <cmath>

#include "feed.hpp"
#include "heads.hpp"

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

// Epilogue: the values of each token go to its row, after F as in rows.hpp.
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

// Panel number `panel`, whose tokens become rows.
inline void panel_to_rows(const float* at, int panel, int width, const IntoRows<Identity>& out) {
    for (int c = 0; c < width; c += LANES) {
        const int some = std::min(LANES, width - c);
        Vec left[LANES]{}, right[LANES]{};
        for (int i = 0; i < some; ++i)
            left[i] = load(at + (c + i) * PANEL), right[i] = load(at + (c + i) * PANEL + LANES);
        out.take<LANES>(panel, c, some, left, right);
    }
}

// Rows of out <- rows of x times weights, added to what is there if `adding`.
struct TokenProduct {
    Matrix weights;
    float size;  // how large the weights are
    int adding;
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
        if (of.adding)
            multiply(of.weights, in, slice, IntoRows<Adding>{out, width, tokens});
        else
            multiply(of.weights, in, slice, IntoRows<Identity>{out, width, tokens});
    });
}

// panels (panels, width, PANEL) <- rows (tokens, width); zeros behind the last.
inline void rows_to_panels(const float* rows, long tokens, int width, float* panels, int threads) {
    in_parallel(ceil_div(tokens, PANEL), threads, [&](long panel, int) {
        const long first = panel * PANEL * width;
        rows_to_panel(rows + first, width, tokens - panel * PANEL, width, panels + first);
    });
}

// The other way.
inline void panels_to_rows(const float* panels, long tokens, int width, float* rows, int threads) {
    const IntoRows<Identity> out{rows, width, tokens};
    in_parallel(ceil_div(tokens, PANEL), threads, [&](long panel, int) {
        panel_to_rows(panels + panel * PANEL * width, int(panel), width, out);
    });
}

// x <- (x - mean) / deviation * weight + bias, where mean and deviation are those of all tokens.
inline void norm_of_all(float* x, long tokens, int width, const float* weight, const float* bias, float eps,
                        int threads) {
    const long panels = ceil_div(tokens, PANEL), size = long{PANEL} * width;
    std::vector<Moments> found(panels);
    in_parallel(panels, threads, [&](long panel, int) {
        const long some = std::min<long>(PANEL, tokens - panel * PANEL);
        const float* from = x + panel * size;
        if (some == PANEL)
            found[panel] = moments_of(from, size);
        else
            for (int c = 0; c < width; ++c) found[panel] += moments_of(from + long{PANEL} * c, some);
    });
    Moments total;
    for (const Moments& part : found) total += part;
    const double count = double(tokens) * width, mean = total.mean(count);
    const double rate = 1 / std::sqrt(total.variance(count) + eps);
    in_parallel(panels, threads, [&](long panel, int) {
        float* at = x + panel * size;
        for (int c = 0; c < width; ++c, at += PANEL) {
            const float gain = float(rate * weight[c]), shift = float(bias[c] - mean * rate * weight[c]);
            store(at, load(at) * gain + shift), store(at + LANES, load(at + LANES) * gain + shift);
        }
    });
}

// Panels in which heads of `depth` rows lie one behind the other, with so many floats from one panel to
// the next: `queries` tokens of q look at `keys` tokens of k and v. out may be q. `paired`: products of
// tokens are made in pairs.
struct TokenAttention {
    const float *q, *k, *v;
    float* out;
    long q_stride, kv_stride, out_stride, queries, keys;
    int heads, depth, paired;

    long key_panels() const { return ceil_div(keys, PANEL); }
    long query_floats() const { return HeadMemory::TOGETHER * long{PANEL} * depth; }
    long floats() const { return query_floats() + HeadMemory::floats(key_panels(), depth); }
};

// One head: out <- softmax(q k^T / sqrt(depth)) v of the panels [first, end) of queries.
inline void attend_head(const TokenAttention& of, int head, long first, long end, float* memory) {
    const int depth = of.depth;
    const long size = long{PANEL} * depth, at = head * size, panels = of.key_panels();
    HeadMemory in(panels, of.keys, depth, of.paired, memory + of.query_floats());
    const float key_size = std::max(std::sqrt(mean_square_of_some(of.k + at, of.kv_stride, panels, size)), 1e-15f);
    slice_keys(of.k + at, of.kv_stride, panels, depth, 1.0f, in.keys, in.products);
    in.enter_values(of.v + at, of.kv_stride);
    const Vec scale = all(LOG2_E / std::sqrt(float(depth)));
    for (; first < end; first += HeadMemory::TOGETHER) {
        Queries queries[HeadMemory::TOGETHER];
        const int some = int(std::min<long>(HeadMemory::TOGETHER, end - first));
        for (int i = 0; i < some; ++i) {
            alignas(64) float lanes[2 * PANEL];
            float* query = memory + i * size;
            std::memcpy(query, of.q + (first + i) * of.q_stride + at, size * sizeof(float));
            enter_balanced(query, depth, key_size, lanes);
            queries[i] = {query, of.out + (first + i) * of.out_stride + at,
                          {scale * load(lanes + PANEL), scale * load(lanes + PANEL + LANES)},
                          {all(1.0f), all(1.0f)}};
        }
        in.look_up(queries, some);
    }
}

// So many queries go together that all threads have something to do.
inline void attend_tokens(const TokenAttention& of, int threads) {
    const long panels = ceil_div(of.queries, PANEL), most = ceil_div(panels, 4L);
    const long parts = std::clamp(ceil_div(4L * threads, of.heads), 1L, most);
    const long share = ceil_div(panels, parts);
    auto memory = scratches(threads, of.floats());
    in_parallel(of.heads * parts, threads, [&](long number, int thread) {
        const long first = number % parts * share, end = std::min(panels, first + share);
        if (first < end) attend_head(of, int(number / parts), first, end, memory[thread].get());
    });
}
