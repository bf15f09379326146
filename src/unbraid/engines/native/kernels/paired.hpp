// Products in pairs (Winograd 1968; see lanes.hpp) of rows, in place, with panels of weights:
//
//     x0 w0 + x1 w1 = (x0 + w1) (x1 + w0) - x0 x1 - w0 w1
//
// To lose no digits, weights must be about as large as rows; so panels are scaled by a power of two.
#pragma once
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <cmath>

#include "rows.hpp"

// Whether pairs are faster here: vectors of 512 bits on a processor by AMD.
inline bool pairs_are_faster() {
#if UNBRAID_LANES == 16 && defined(__x86_64__)
    unsigned highest, maker[3];
    return __get_cpuid(0, &highest, &maker[0], &maker[2], &maker[1]) &&
           std::memcmp(maker, "AuthenticAMD", sizeof maker) == 0;
#else
    return false;
#endif
}
constexpr bool MAY_PAIR = LANES == 16;
inline const bool PAIRS = MAY_PAIR && pairs_are_faster();

// to <- to + (w0 + x1) (w1 + x0) + w2 x2
INLINE void add_triple(Vec& to, const float& w0, const float& w1, const float& w2, Vec x0, Vec x1, Vec x2) {
#if UNBRAID_LANES == 16 && defined(__AVX512F__)
    Vec left, right;  // one block: compilers that reorder these run out of registers
    asm("vaddps %3%{1to16%}, %7, %1\n\t"
        "vaddps %4%{1to16%}, %6, %2\n\t"
        "vfmadd231ps %5%{1to16%}, %8, %0\n\t"
        "vfmadd231ps %1, %2, %0"
        : "+v"(to), "=&v"(left), "=&v"(right)
        : "m"(w0), "m"(w1), "m"(w2), "v"(x0), "v"(x1), "v"(x2));
#else
    to += (w0 + x1) * (w1 + x0) + w2 * x2;
#endif
}

// Pairs are the features k and k + depth / 3 of each tap; what is beyond the second third, and what is left
// over, is multiplied plainly. left, right <- so many rows times a panel, less `sums` of the rows' products
// of pairs, and those of the panel, `products`; more than `before` (left, then right) if there is any. Only left if
// `half`.
template <int rows, bool half, bool more = false>
INLINE void accumulate_pairs(const Rows& a, long row, const float* panel, const Vec* products, const float* sums,
                             const Vec* before, Vec* to_left, Vec* to_right) {
    Vec left[rows], right[rows];
#pragma GCC unroll 24
    for (int r = 0; r < rows; ++r) {
        const Vec sum = all(-sums[r]);
        left[r] = more ? before[r] + (sum - products[0]) : sum - products[0];
        if (!half) right[r] = more ? before[rows + r] + (sum - products[1]) : sum - products[1];
    }
    const long third = a.depth / 3, apart = third * PANEL, stride = a.stride;
    for (int tap = 0; tap < a.taps; ++tap) {
        const float *x0 = a.at[tap] + row * stride, *x1 = x0 + third, *x2 = x1 + third;
        for (long k = 0; k < third; ++k, panel += PANEL, ++x0, ++x1, ++x2) {
            const Vec a0 = load(panel), b0 = load(panel + LANES);
            const Vec a1 = load(panel + apart), b1 = load(panel + apart + LANES);
            const Vec a2 = load(panel + 2 * apart), b2 = load(panel + 2 * apart + LANES);
#pragma GCC unroll 24
            for (int r = 0; r < rows; ++r) {
                add_triple(left[r], x0[r * stride], x1[r * stride], x2[r * stride], a0, a1, a2);
                if (!half) add_triple(right[r], x0[r * stride], x1[r * stride], x2[r * stride], b0, b1, b2);
            }
        }
        panel += 2 * apart;
        x0 += 2 * third;
        for (long k = 3 * third; k < a.depth; ++k, panel += PANEL, ++x0) {
            const Vec w0 = load(panel), w1 = load(panel + LANES);
#pragma GCC unroll 24
            for (int r = 0; r < rows; ++r) {
                const Vec x = all(x0[r * stride]);
                left[r] += x * w0;
                if (!half) right[r] += x * w1;
            }
        }
    }
#pragma GCC unroll 24
    for (int r = 0; r < rows; ++r) {
        to_left[r] = left[r];
        if (!half) to_right[r] = right[r];
    }
}

// sums <- for each row the sum of products of its pairs; what `also` gets are the pairs.
template <class Also>
inline void sum_pairs(const Rows& a, long start, long stop, float* sums, const Also& also) {
    const long third = a.depth / 3;
    for (long row = start; row < stop; ++row) {
        Vec total{};
        for (int tap = 0; tap < a.taps; ++tap) {
            const float* x = a.at[tap] + row * a.stride;
            for (long k = 0; k < third; k += LANES) {
                const int some = int(std::min<long>(LANES, third - k));
                const Vec first = load_some(x + k, some), second = load_some(x + third + k, some);
                total += first * second;
                also(first, second);
            }
        }
        *sums++ = sum(total);
    }
}

// The same without more.
inline void sum_pairs(const Rows& a, long start, long stop, float* sums) {
    sum_pairs(a, start, stop, sums, [](Vec, Vec) {});
}

// The same; the sum of squares of those is added to `squares`.
inline void sum_pairs(const Rows& a, long start, long stop, float* sums, Vec& squares) {
    sum_pairs(a, start, stop, sums, [&](Vec first, Vec second) { squares += first * first + second * second; });
}

// The power of two that brings `count` weights to the size of rows whose mean square is given, about.
template <class Number>
inline float scale_to_rows(const Number* weights, long count, float mean_square) {
    Vec squares{};
    long seen = 0;
    for (long i = 0; i + LANES <= count; i += 5 * LANES, seen += LANES)
        squares += load(weights + i) * load(weights + i);
    const float ratio = mean_square * float(seen) / std::max(sum(squares), 1e-30f);
    return std::exp2(std::round(0.5f * std::log2(std::clamp(ratio, 1e-20f, 1e20f))));
}

// A panel that is scaled, which `undo` takes back; `half` of it is zeros.
struct PairedPanel {
    const float* at;
    Vec products[2];  // sums of products of pairs
    float undo;
    bool half;
};

// memory <- a panel times a scale.
template <class Number>
inline PairedPanel scale_panel(const Number* panel, int taps, int depth, float scale, float* memory) {
    const long third = depth / 3, apart = third * PANEL, size = long{PANEL} * depth;
    PairedPanel made{memory, {}, 1 / scale, false};
    for (int tap = 0; tap < taps; ++tap, panel += size, memory += size) {
        for (long i = 0; i < apart; i += PANEL)
            for (int half = 0; half < 2; ++half) {
                const long at = i + half * LANES;
                const Vec first = load(panel + at) * scale, second = load(panel + apart + at) * scale;
                store(memory + at, first), store(memory + apart + at, second);
                made.products[half] += first * second;
            }
        for (long i = 2 * apart; i < size; i += LANES) store(memory + i, load(panel + i) * scale);
    }
    return made;
}

template <int rows, bool half, class Epilogue>
__attribute__((noinline)) void paired_tile(const Rows& a, long row, const PairedPanel& panel, const float* sums,
                                           const float* bias, int number, const Epilogue& epilogue) {
    Vec left[rows], right[rows]{};
    accumulate_pairs<rows, half>(a, row, panel.at, panel.products, sums, nullptr, left, right);
    const Vec b0 = bias ? load(bias) : Vec{}, b1 = bias ? load(bias + LANES) : Vec{};
#pragma GCC unroll 24
    for (int r = 0; r < rows; ++r)
        epilogue(row + r, number, left[r] * panel.undo + b0, half ? b1 : right[r] * panel.undo + b1);
}

// run(rows, row) for tiles of rows in [start, stop), of a constant number that is halved for what is left.
template <int rows, class Run>
inline void in_tiles(long start, long stop, const Run& run) {
    for (; start + rows <= stop; start += rows) run(std::integral_constant<int, rows>{}, start);
    if constexpr (rows > 1)
        if (start < stop) in_tiles<rows / 2>(start, stop, run);
}

// Memory of this thread, which grows as needed.
inline float* thread_memory(long floats) {
    thread_local std::vector<float> memory;
    if (long(memory.size()) < floats + 16) memory.resize(floats + 16);
    return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) & ~uintptr_t{63});
}

// So many of `rows` rows at a time that they stay in the second cache while all panels pass.
inline long paired_step(long rows, long deep) {
    const long most = std::clamp(128L * 1024 / (deep * ROWS), 4L, 40L) * ROWS;
    return ceil_div(ceil_div(rows, ceil_div(rows, most)), ROWS) * ROWS;
}

// Rows [start, stop) times one panel, given the sums of products of their pairs.
template <class Epilogue>
inline void paired_rows(const Rows& a, long start, long stop, const PairedPanel& panel, const float* sums,
                        const float* bias, int number, const Epilogue& epilogue) {
    const auto run = [&](auto half, auto rows, long row) {
        paired_tile<rows, half>(a, row, panel, sums + row - start, bias, number, epilogue);
    };
    if (panel.half)
        in_tiles<2 * ROWS>(start, stop, [&](auto rows, long row) { run(std::true_type{}, rows, row); });
    else
        in_tiles<ROWS>(start, stop, [&](auto rows, long row) { run(std::false_type{}, rows, row); });
}

// What `product` gives, in pairs. Weights are scaled to the size of some rows at a time.
template <class Number, class Epilogue>
void paired_product(const Rows& a, long start, long stop, const Number* packed, const float* bias, int panels,
                    const Epilogue& epilogue) {
    const long deep = long(a.taps) * a.depth, size = PANEL * deep, step = paired_step(stop - start, deep);
    float *memory = thread_memory(size + step), *sums = memory + size;
    for (long block = start; block < stop; block += step) {
        const long end = std::min(block + step, stop);
        Vec squares{};
        sum_pairs(a, block, end, sums, squares);
        const float mean_square = sum(squares) / float(2 * (a.depth / 3) * a.taps * (end - block));
        for (int number = 0; number < panels; ++number) {
            const Number* from = packed + number * size;
            PairedPanel panel =
                scale_panel(from, a.taps, a.depth, scale_to_rows(from, size, mean_square), memory);
            panel.half = epilogue.half_of(number);
            paired_rows(a, block, end, panel, sums, bias ? bias + number * PANEL : nullptr, number, epilogue);
        }
    }
}

// Whether pairs are faster for such a product: there is more to be scaled and summed before.
inline bool pays_in_pairs(const Rows& a, long rows) {
    return PAIRS && rows >= 2 * ROWS && a.depth >= 12 && a.taps * a.depth >= 24;
}
