// Filters of two taps, two outputs at a time, by three products in place of four:
//
//     W0 a + W1 b = W0 (a - b) + s,    W0 b + W1 c = s + W1 (c - b),    s = (W0 + W1) b
//
// All strided convolutions here are such filters, over hops or over groups of rows, as their kernels
// are two strides long. Source: Winograd's F(2, 2), Lavin and Gray, arXiv:1509.09308.
#pragma once
#include "parallel.hpp"
#include "product.hpp"

// The three signals that are multiplied, and weights (panels, 3 * taps * depth, PANEL): those of the
// sum first, then W0, W1.
struct Pair {
    Rows middle, before, after;  // b, a - b, c - b; as many taps, as deep
};

template <int rows, class Epilogue>
inline void pair_tile(const Pair& of, long row, const float* panel, const float* bias, int number,
                      const Epilogue* first, const Epilogue* second) {
    Vec left[rows], right[rows], kept[2 * rows];
    const long size = long{PANEL} * of.middle.taps * of.middle.depth;
    const Vec b0 = load(bias), b1 = load(bias + LANES);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) left[r] = b0, right[r] = b1;
    accumulate<rows>(of.middle, row, panel, left, right);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) kept[r] = left[r], kept[rows + r] = right[r];
    if (first) {
        accumulate<rows>(of.before, row, panel + size, left, right);
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) (*first)(row + r, number, left[r], right[r]);
    }
    if (second) {
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) left[r] = kept[r], right[r] = kept[rows + r];
        accumulate<rows>(of.after, row, panel + 2 * size, left, right);
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) (*second)(row + r, number, left[r], right[r]);
    }
}

template <class Epilogue, int rows = ROWS - 1>
inline void last_pairs(int count, const Pair& of, long row, const float* panel, const float* bias,
                       int number, const Epilogue* first, const Epilogue* second) {
    if (count == rows) return pair_tile<rows>(of, row, panel, bias, number, first, second);
    if constexpr (rows > 1)
        last_pairs<Epilogue, rows - 1>(count, of, row, panel, bias, number, first, second);
}

// A panel of the three: scaled, with sums of products of pairs; and those of the rows of all three.
struct PairedFilter {
    PairedPanel sum, first, second;
    const float* row_sums[3];
};

// A function of its own, as the one for whole tiles is in paired.hpp: three products and their ends in one would
// leave gcc without registers. `before`, `to`: left, then right.
template <int rows, bool half, bool more = false>
__attribute__((noinline)) void accumulate_part(const Rows& a, long row, const PairedPanel& panel, const float* sums,
                                               const Vec* before, Vec* to) {
    accumulate_pairs<rows, half, more>(a, row, panel.at, panel.products, sums + row, before, to, to + rows);
}

template <int rows, bool half, class Epilogue>
inline void paired_filter_tile(const Pair& of, long row, const PairedFilter& by, const float* bias, int number,
                               const Epilogue* first, const Epilogue* second) {
    Vec kept[2 * rows], found[2 * rows];
    const Vec b0 = load(bias), b1 = load(bias + LANES);
    const float undo = by.sum.undo;
    accumulate_part<rows, half>(of.middle, row, by.sum, by.row_sums[0], nullptr, kept);
    const auto finish = [&](const Rows& x, const PairedPanel& panel, const float* sums, const Epilogue& epilogue) {
        accumulate_part<rows, half, true>(x, row, panel, sums, kept, found);
#pragma GCC unroll 24
        for (int r = 0; r < rows; ++r)
            epilogue(row + r, number, found[r] * undo + b0, half ? b1 : found[rows + r] * undo + b1);
    };
    if (first) finish(of.before, by.first, by.row_sums[1], *first);
    if (second) finish(of.after, by.second, by.row_sums[2], *second);
}

// Some rows of the three, to be multiplied with one filter after the other.
class PairProduct {
  public:
    // `first`, `second`: whether there are rows before, and after.
    PairProduct(const Pair& of, long count, bool first, bool second)
        : of_(of), count_(count), size_(long{PANEL} * of.middle.taps * of.middle.depth),
          paired_(MAY_PAIR && pays_in_pairs(of.middle, count)) {
        if (!paired_) return;
        memory_ = thread_memory(3 * (size_ + count));
        const Rows* all[] = {&of.middle, first ? &of.before : nullptr, second ? &of.after : nullptr};
        Vec squares{};
        for (int i = 0; i < 3; ++i)
            if (all[i]) sum_pairs(*all[i], 0, count, sums(i), squares);
        const long numbers = 2L * (of.middle.depth / 3) * of.middle.taps * count;
        mean_square_ = sum(squares) / float(numbers * (1 + first + second));
    }

    // Both outputs; null where one is not wanted.
    template <class Epilogue>
    void operator()(const float* packed, const float* bias, int panels, const Epilogue* first,
                    const Epilogue* second) const {
        if (!first && !second) return;
        for (int number = 0; number < panels; ++number, packed += 3 * size_, bias += PANEL) {
            if constexpr (MAY_PAIR)
                if (paired_) {
                    in_pairs(packed, bias, number, first, second);
                    continue;
                }
            long row = 0;
            for (; row + ROWS <= count_; row += ROWS) pair_tile<ROWS>(of_, row, packed, bias, number, first, second);
            if (row < count_) last_pairs(int(count_ - row), of_, row, packed, bias, number, first, second);
        }
    }

  private:
    float* sums(int i) const { return memory_ + 3 * size_ + i * count_; }

    template <class Epilogue>
    void in_pairs(const float* panel, const float* bias, int number, const Epilogue* first,
                  const Epilogue* second) const {
        const int taps = of_.middle.taps, depth = of_.middle.depth;
        const float scale = scale_to_rows(panel, 3 * size_, mean_square_);
        const auto scaled = [&](int i) {
            return scale_panel(panel + i * size_, taps, depth, scale, memory_ + i * size_);
        };
        const PairedFilter by{scaled(0), scaled(1), scaled(2), {sums(0), sums(1), sums(2)}};
        const auto run = [&](auto half, auto rows, long row) {
            paired_filter_tile<rows, half>(of_, row, by, bias, number, first, second);
        };
        if ((first ? first : second)->half_of(number))
            in_tiles<2 * ROWS>(0, count_, [&](auto rows, long row) { run(std::true_type{}, rows, row); });
        else
            in_tiles<ROWS>(0, count_, [&](auto rows, long row) { run(std::false_type{}, rows, row); });
    }

    const Pair& of_;
    const long count_, size_;
    const bool paired_;
    float* memory_ = nullptr;  // three scaled panels, then sums of products of pairs of the rows of all three
    float mean_square_ = 0;
};

// Both outputs of one filter for rows [0, count); null where one is not wanted.
template <class Epilogue>
void pair_product(const Pair& of, long count, const float* packed, const float* bias, int panels,
                  const Epilogue* first, const Epilogue* second) {
    if (count) PairProduct(of, count, first, second)(packed, bias, panels, first, second);
}

// So many rows of the three that they stay in the second cache while all panels pass.
inline long piece_of_pairs(int depth) {
    return std::clamp(48L * 1024 / depth / ROWS, 2L, 40L) * ROWS;
}

// out <- a - b
inline void subtract(const float* a, const float* b, long count, float* out) {
    long i = 0;
    for (; i + LANES <= count; i += LANES) store(out + i, load(a + i) - load(b + i));
    for (; i < count; ++i) out[i] = a[i] - b[i];
}

// Rows m of out <- W0 hop[m] + W1 hop[m + 1], hops of `depth` floats one behind the other from `hops`
// on; what becomes of them is `Epilogue`'s.
template <class Epilogue>
void filter_hops(const float* hops, int depth, long rows, const float* packed, const float* bias,
                 int panels, float* out, long out_stride, int columns, int threads) {
    const long piece = piece_of_pairs(depth), pairs = ceil_div(rows, 2);
    auto memory = scratches(threads, 2 * piece * depth);
    in_parallel(ceil_div(pairs, piece), threads, [&](long number, int thread) {
        const long start = number * piece, count = std::min(piece, pairs - start);
        const long whole = std::min(count, rows / 2 - start);  // pairs of which both are wanted
        float *before = memory[thread].get(), *after = before + piece * depth;
        const float* from = hops + start * 2 * depth;
        for (long i = 0; i < count; ++i) {
            const float* a = from + i * 2 * depth;
            subtract(a, a + depth, depth, before + i * depth);
            if (i < whole) subtract(a + 2 * depth, a + depth, depth, after + i * depth);
        }
        float* to = out + start * 2 * out_stride;
        const Epilogue first{to, 2 * out_stride, columns}, second{to + out_stride, 2 * out_stride, columns};
        const Pair of{Rows(from + depth, depth, 2L * depth), Rows(before, depth, depth),
                      Rows(after, depth, depth)};
        pair_product(of, whole, packed, bias, panels, &first, &second);
        if (whole == count) return;
        const Pair rest{Rows(from + (2 * whole + 1) * depth, depth, 2L * depth),
                        Rows(before + whole * depth, depth, depth), of.after};
        const Epilogue last{to + 2 * whole * out_stride, 2 * out_stride, columns};
        pair_product(rest, 1, packed, bias, panels, &last, static_cast<const Epilogue*>(nullptr));
    });
}
