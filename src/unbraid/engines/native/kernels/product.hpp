// The matrix product that everything is made of: out = epilogue(A B + bias).
//
// A convolution on signals laid out (steps, width) is a product without any copying: row m of A
// starts at `at[tap] + m * stride` for each tap and is `depth` long, so that neighbouring steps,
// which lie next to each other, are one long row. B is packed in panels of two vectors:
// (panels, taps * depth, 2 * LANES). For a gated output the first vector of a panel holds values
// and the second their gates, so that the gate is applied in registers.
#pragma once
#include "paired.hpp"

// left, right <- left, right + so many rows of A times a panel.
template <int rows, class Number>
INLINE void accumulate(const Rows& a, long row, const Number* panel, Vec* left, Vec* right) {
    for (int tap = 0; tap < a.taps; ++tap) {
        const float* at = a.at[tap] + row * a.stride;
        for (int k = 0; k < a.depth; ++k, panel += PANEL) {
            const Vec w0 = load(panel), w1 = load(panel + LANES);
#pragma GCC unroll 16
            for (int r = 0; r < rows; ++r) {
                const Vec x = all(at[r * a.stride + k]);
                left[r] += x * w0;
                right[r] += x * w1;
            }
        }
    }
}

template <int rows, class Number, class Epilogue>
inline void tile(const Rows& a, long row, const Number* panel, const float* bias, int number,
                 const Epilogue& epilogue) {
    Vec left[rows], right[rows];
    const Vec b0 = bias ? load(bias) : Vec{}, b1 = bias ? load(bias + LANES) : Vec{};
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) left[r] = b0, right[r] = b1;
    accumulate<rows>(a, row, panel, left, right);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) epilogue(row + r, number, left[r], right[r]);
}

template <class Number, class Epilogue, int rows = ROWS - 1>
inline void last_rows(int count, const Rows& a, long row, const Number* panel, const float* bias,
                      int number, const Epilogue& epilogue) {
    if (count == rows) return tile<rows>(a, row, panel, bias, number, epilogue);
    if constexpr (rows > 1)
        last_rows<Number, Epilogue, rows - 1>(count, a, row, panel, bias, number, epilogue);
}

// Rows [start, stop) of the product; `panels` and `bias` are packed, weights as floats or in half
// precision, which is half as much to fetch.
template <class Number, class Epilogue>
void product(const Rows& a, long start, long stop, const Number* packed, const float* bias,
             int panels, const Epilogue& epilogue) {
    if constexpr (MAY_PAIR)
        if (pays_in_pairs(a, stop - start))
            return paired_product(a, start, stop, packed, bias, panels, epilogue);
    const long panel_size = long{PANEL} * a.taps * a.depth;
    // So many rows that they stay in the second cache while all panels pass.
    const long fit = 48 * 1024 / std::max(1, a.taps * a.depth);
    const long step = std::clamp(fit / ROWS, 2L, 40L) * ROWS;
    for (long block = start; block < stop; block += step) {
        const long end = std::min(block + step, stop);
        for (int number = 0; number < panels; ++number) {
            const Number* panel = packed + number * panel_size;
            const float* shift = bias ? bias + number * PANEL : nullptr;
            long row = block;
            for (; row + ROWS <= end; row += ROWS) tile<ROWS>(a, row, panel, shift, number, epilogue);
            if (row < end)
                last_rows(static_cast<int>(end - row), a, row, panel, shift, number, epilogue);
        }
    }
}
