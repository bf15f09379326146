// Matrix products of tokens that lie in lanes: a panel (features, PANEL) holds PANEL tokens, and what
// is done to each of them (norms, rotations, softmax) needs no sums across a vector.
//
// out (rows, PANEL) = weights (rows, depth) times panel (depth, PANEL). Weights are packed in slices
// (depth, SLICE), of which one number at a time is broadcast.
//
// Of three features two may be multiplied as a pair (Winograd 1968):
//     w0 x0 + w1 x1 = (w0 + x1) (w1 + x0) - w0 w1 - x0 x1
// One multiplication and two sums take the place of two multiplications, which is less work where
// sums have units of their own, as in AMD's processors: 170 instead of 115 GFLOP/s a core. The last
// two terms belong to weights and to tokens; they are summed beforehand. To lose no digits, weights
// and tokens must be about equally large; so tokens are scaled by a power of two.
#pragma once
#include "parallel.hpp"
#include "product.hpp"

constexpr int SLICE = LANES == 16 ? 12 : 6;

// `packed` is (slices, depth, SLICE), floats or of half precision; `bias`, `scale` of the output before it
// (both may be null) and `products`, sums of products of paired weights, have a number for each row of
// each slice. Null `products`: no pairs.
struct Matrix {
    const void* packed;
    const float *bias, *scale, *products;
    int bytes, rows, depth;
    bool paired() const { return products; }
};

// Panels `stride` floats apart. Each has in `lanes` (2, PANEL): sums of products of paired features,
// and what undoes the scale of the tokens.
struct Panels {
    const float* at;
    long stride;
    const float* lanes;
    int count;
};

// left, right <- left, right + so many rows of a slice `width` wide times a panel.
template <int rows, bool paired, int width>
INLINE void add_slice(const float* slice, const float* panel, int depth, Vec* left, Vec* right) {
    int k = 0;
    if constexpr (paired) {
        for (; k + 3 <= depth; k += 3, slice += 3 * width, panel += 3 * PANEL) {
            const Vec a0 = load(panel), b0 = load(panel + LANES);
            const Vec a1 = load(panel + PANEL), b1 = load(panel + PANEL + LANES);
            const Vec a2 = load(panel + 2 * PANEL), b2 = load(panel + 2 * PANEL + LANES);
#pragma GCC unroll 16
            for (int r = 0; r < rows; ++r) {
                const float *w0 = slice + r, *w1 = w0 + width, *w2 = w1 + width;
                add_triple(left[r], *w0, *w1, *w2, a0, a1, a2);
                add_triple(right[r], *w0, *w1, *w2, b0, b1, b2);
            }
        }
    }
    for (; k < depth; ++k, slice += width, panel += PANEL) {
        const Vec a = load(panel), b = load(panel + LANES);
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) {
            const Vec w = all(slice[r]);
            left[r] += w * a;
            right[r] += w * b;
        }
    }
}

// Rows [row, row + rows) of a matrix times a panel, finished but for the epilogue. A function of its own: inlined
// into others, gcc does not keep all sums in registers.
template <int rows, bool paired>
__attribute__((noinline)) void multiply_slice(const float* slice, const Matrix& of, int row, const float* panel,
                                              const float* lanes, Vec* to_left, Vec* to_right) {
    Vec left[rows], right[rows];
    const Vec sums[2] = {load(lanes), load(lanes + LANES)};
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
        left[r] = paired ? -(sums[0] + of.products[row + r]) : Vec{};
        right[r] = paired ? -(sums[1] + of.products[row + r]) : Vec{};
    }
    add_slice<rows, paired, SLICE>(slice, panel, of.depth, left, right);
    const Vec undo[2] = {load(lanes + PANEL), load(lanes + PANEL + LANES)};
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
        const float scale = of.scale ? of.scale[row + r] : 1.0f;
        const Vec bias = all(of.bias ? of.bias[row + r] : 0.0f);
        to_left[r] = left[r] * (undo[0] * scale) + bias, to_right[r] = right[r] * (undo[1] * scale) + bias;
    }
}

template <int rows, bool paired, class Epilogue>
inline void slice_times_panel(const float* slice, const Matrix& of, int row, const Panels& in, int number,
                              const Epilogue& epilogue) {
    Vec left[rows], right[rows];
    multiply_slice<rows, paired>(slice, of, row, in.at + number * in.stride, in.lanes + 2L * PANEL * number, left,
                                 right);
    epilogue.template take<rows>(number, row, std::min(rows, of.rows - row), left, right);
}

// The slice as floats, in `memory` if it has to be converted.
inline const float* slice_of(const Matrix& of, long number, float* memory) {
    const long size = long{SLICE} * of.depth;
    if (of.bytes == 4) return static_cast<const float*>(of.packed) + number * size;
    const uint16_t* from = static_cast<const uint16_t*>(of.packed) + number * size;
    long i = 0;
    for (; i + LANES <= size; i += LANES) store(memory + i, load(from + i));
    for (; i < size; ++i) memory[i] = as_float(from[i]);
    return memory;
}

// A slice that is fetched into the second cache, a share of its lines before each of some panels.
class FarSlice {
  public:
    FarSlice(const Matrix& of, long number, int shares) {
        const long size = long{SLICE} * of.depth * of.bytes;
        if (number * SLICE >= of.rows) return;
        at_ = static_cast<const char*>(of.packed) + number * size;
        share_ = ceil_div(ceil_div(size, LINE), shares) * LINE;
    }
    void fetch(int share) const {
        for (long i = share * share_; i < (share + 1) * share_; i += LINE) __builtin_prefetch(at_ + i, 0, 2);
    }

  private:
    static constexpr long LINE = 64;
    const char* at_ = nullptr;
    long share_ = 0;
};

template <bool paired, class Epilogue>
void multiply_as(const Matrix& of, const Panels& in, float* memory, const Epilogue& epilogue) {
    constexpr int third = SLICE / 3;
    for (int row = 0; row < of.rows; row += SLICE) {
        const float* slice = slice_of(of, row / SLICE, memory);
        const int left = of.rows - row;
        const FarSlice next(of, row / SLICE + 1, in.count);
        for (int number = 0; number < in.count; ++number) {
            next.fetch(number);
            if (left > 2 * third)
                slice_times_panel<SLICE, paired>(slice, of, row, in, number, epilogue);
            else if (left > third)
                slice_times_panel<2 * third, paired>(slice, of, row, in, number, epilogue);
            else
                slice_times_panel<third, paired>(slice, of, row, in, number, epilogue);
        }
    }
}

// The epilogue takes rows of each panel as they are done; `memory` is for a slice of floats.
template <class Epilogue>
void multiply(const Matrix& of, const Panels& in, float* memory, const Epilogue& epilogue) {
    if (of.paired())
        multiply_as<true>(of, in, memory, epilogue);
    else
        multiply_as<false>(of, in, memory, epilogue);
}

// Epilogue: rows go to panels (rows, PANEL), `stride` floats apart.
template <bool adding>
struct Into {
    float* to;
    long stride;
    template <int rows>
    INLINE void take(int panel, int row, int count, const Vec* left, const Vec* right) const {
        float* at = to + panel * stride + long{PANEL} * row;
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r, at += PANEL) {
            if (r >= count) break;
            store(at, adding ? load(at) + left[r] : left[r]);
            store(at + LANES, adding ? load(at + LANES) + right[r] : right[r]);
        }
    }
};

struct Tanh {
    static INLINE Vec of(Vec x) { return hyperbolic_tangent(x); }
};
struct Erf {
    static INLINE Vec of(Vec x) { return gelu(x); }
};

// Epilogue: a function of the values, times a gain, as the input of the next product.
template <class Function>
struct Activated {
    float* to;
    long stride;
    float* lanes;
    float gain;
    template <int rows>
    INLINE void take(int panel, int row, int count, Vec* left, Vec* right) const {
        float *at = to + panel * stride + long{PANEL} * row, *products = lanes + 2L * PANEL * panel;
        Vec a{}, b{};
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) {
            left[r] = Function::of(left[r]) * gain, right[r] = Function::of(right[r]) * gain;
            if (r % 3 == 2 && r < count) a += left[r - 2] * left[r - 1], b += right[r - 2] * right[r - 1];
            if (r < count) store(at + r * PANEL, left[r]), store(at + r * PANEL + LANES, right[r]);
        }
        store(products, row ? load(products) + a : a);
        store(products + LANES, row ? load(products + LANES) + b : b);
        store(products + PANEL, all(1 / gain)), store(products + PANEL + LANES, all(1 / gain));
    }
};

// Epilogue: rows are values and gates by turns.
struct Halved {
    float* to;
    long stride;
    template <int rows>
    INLINE void take(int panel, int row, int count, const Vec* left, const Vec* right) const {
        float* at = to + panel * stride + long{PANEL} * (row / 2);
#pragma GCC unroll 16
        for (int r = 0; r + 1 < rows; r += 2, at += PANEL) {
            if (r >= count) break;
            store(at, left[r] * sigmoid(left[r + 1]));
            store(at + LANES, right[r] * sigmoid(right[r + 1]));
        }
    }
};

// How tokens enter a product: each feature times its factor, and, if `normed`, over the length of
// the token (zeros stay zeros), or, if `normed` is 2, less its mean and over its deviation. 1 / `gain` is
// undone afterwards.
struct Entrance {
    const float* factors;
    float gain;
    int width, normed;
};

constexpr float NORM_EPS = 1e-5f;  // torch's

// to (width, PANEL) <- one half of a panel, from lane `half` on; the sum of products of pairs. `gate`,
// if any, weighs the normed features; its sum goes to `opened`.
INLINE Vec enter_half(const Entrance& of, const float* x, float* to, const float* gate, float* opened) {
    Vec rate = all(1.0f), mean{};
    if (of.normed == 2) {
        Vec sum{}, squares{};
        for (int k = 0; k < of.width; ++k) sum += load(x + k * PANEL);
        mean = sum * (1.0f / of.width);
        for (int k = 0; k < of.width; ++k) {
            const Vec away = load(x + k * PANEL) - mean;
            squares += away * away;
        }
        rate = 1.0f / root(squares * (1.0f / of.width) + NORM_EPS);
    } else if (of.normed) {
        Vec squares{}, sum{};
        for (int k = 0; k < of.width; ++k) {
            const Vec value = load(x + k * PANEL);
            squares += value * value;
            if (gate) sum += gate[k] * value;
        }
        rate = 1.0f / larger(root(squares), all(1e-12f));
        if (gate) store(opened, sum * rate);
    }
    Vec products{};
    int k = 0;
    for (; k + 3 <= of.width; k += 3) {
        Vec value[3];
        for (int i = 0; i < 3; ++i) {
            value[i] = (load(x + (k + i) * PANEL) - mean) * (rate * of.factors[k + i]);
            store(to + (k + i) * PANEL, value[i]);
        }
        products += value[0] * value[1];
    }
    for (; k < of.width; ++k) store(to + k * PANEL, (load(x + k * PANEL) - mean) * (rate * of.factors[k]));
    return products;
}

// to (width, PANEL) <- a panel as a product wants it, `lanes` beside it; to may be x.
inline void enter(const Entrance& of, const float* x, float* to, float* lanes, const float* gate = nullptr,
                  float* opened = nullptr) {
    for (int half = 0; half < PANEL; half += LANES) {
        const Vec products = enter_half(of, x + half, to + half, gate, opened + half);
        if (!lanes) continue;
        store(lanes + half, products);
        store(lanes + PANEL + half, all(1 / of.gain));
    }
}

// x (width, PANEL) <- x scaled by a power of two for each token, so that it is about as large as
// `size`; what undoes it goes to `lanes`.
inline void enter_balanced(float* x, int width, float size, float* lanes) {
    for (int half = 0; half < PANEL; half += LANES) {
        Vec squares{};
        for (int k = 0; k < width; ++k) squares += load(x + k * PANEL + half) * load(x + k * PANEL + half);
        const Vec ratio = size / larger(root(squares * (1.0f / width)), all(1e-20f));
        const Vec power = (Vec)((Ints)ratio & 0x7f800000);
        Vec products{}, before[2];
        for (int k = 0; k < width; ++k) {
            const Vec value = load(x + k * PANEL + half) * power;
            store(x + k * PANEL + half, value);
            if (k % 3 < 2) before[k % 3] = value;
            else products += before[0] * before[1];
        }
        store(lanes + half, products);
        store(lanes + PANEL + half, 1.0f / power);
    }
}

// For each row of packed slices: the sum of products of paired weights, and of squares.
template <class Number>
void slice_sums(const Number* packed, long slices, int depth, float* products, float* squares,
                int threads) {
    in_parallel(slices, threads, [&](long slice, int) {
        const Number* at = packed + slice * SLICE * depth;
        double pairs[SLICE]{}, all[SLICE]{};
        for (int k = 0; k < depth; ++k, at += SLICE)
            for (int r = 0; r < SLICE; ++r) {
                const double w = as_float(at[r]);
                all[r] += w * w;
                if (k % 3 == 2)
                    pairs[r] += double(as_float(at[r - 2 * SLICE])) * as_float(at[r - SLICE]);
            }
        for (int r = 0; r < SLICE; ++r)
            products[slice * SLICE + r] = float(pairs[r]), squares[slice * SLICE + r] = float(all[r]);
    });
}
