// Levels of the spectral branch on rows (freq, steps, width), with silent steps around each row.
#pragma once
#include "pairs.hpp"
#include "residual.hpp"
#include "winograd.hpp"

// One encoder level, each row from the convolution to the gate while it is in the cache.
struct SpectralEncoder {
    const float *conv, *conv_bias;  // packed, `kernel` taps; as `Pair` wants it, of two strides, if `in_pairs`
    const Branch* branches;
    const float *gate, *gate_bias;  // packed, gated
    const float* embedding;  // (rows, width), added at the end; null for none
    int outer, width, kernel, stride, padding, branch_count, gate_panels, in_pairs;
};

// What a convolution reads: rows (in_rows, steps, outer), zeros around them.
struct RowsIn {
    const float* at;
    long rows, stride, steps;
    const float* silence;
    const float* row(long number) const { return number < 0 || number >= rows ? silence : at + number * stride; }
};

// One row of a convolution: (steps, width).
template <class Epilogue>
void convolve_row(const SpectralEncoder& of, const RowsIn& in, long row, const Epilogue& epilogue) {
    Rows seen(in.at, of.outer, of.outer);
    seen.taps = of.kernel;
    for (int tap = 0; tap < of.kernel; ++tap) seen.at[tap] = in.row(row * of.stride - of.padding + tap);
    product(seen, 0, in.steps, of.conv, of.conv_bias, int(ceil_div(of.width, PANEL)), epilogue);
}

inline long pair_floats(const SpectralEncoder& of) {
    return of.in_pairs ? 2L * of.stride * of.outer * piece_of_pairs(of.stride * of.outer) : 0;
}

// Rows `row` and the next by three products in place of four: the groups of `stride` rows that they see are
// a, b and b, c of pairs.hpp. y (steps, width) is where the first goes, the second if wanted to `next`;
// `memory` is for `pair_floats`.
template <class F>
void convolve_pair(const SpectralEncoder& of, const RowsIn& in, long row, float* y, float* next, float* memory) {
    const int taps = of.stride, outer = of.outer, panels = int(ceil_div(of.width, PANEL));
    const long piece = piece_of_pairs(taps * outer), group = piece * outer;
    for (long start = 0; start < in.steps; start += piece) {
        const long count = std::min(piece, in.steps - start), first = row * taps - of.padding;
        Pair pair{Rows(nullptr, outer, outer), Rows(nullptr, outer, outer), Rows(nullptr, outer, outer)};
        pair.middle.taps = pair.before.taps = pair.after.taps = taps;
        for (int tap = 0; tap < taps; ++tap) {
            const auto seen = [&](int place) { return in.row(first + place * taps + tap) + start * outer; };
            float *before = memory + tap * group, *after = before + taps * group;
            subtract(seen(0), seen(1), count * outer, before);
            if (next) subtract(seen(2), seen(1), count * outer, after);
            pair.middle.at[tap] = seen(1), pair.before.at[tap] = before, pair.after.at[tap] = after;
        }
        const Write<F> here{y + start * of.width, of.width, of.width};
        const Write<F> there{next + start * of.width, of.width, of.width};
        pair_product(pair, count, of.conv, of.conv_bias, panels, &here, next ? &there : nullptr);
    }
}

// convolved(y, row) for each row, which has come to where `place(row)` says.
template <class F, class Place, class Then>
void convolve_two(const SpectralEncoder& of, const RowsIn& in, long row, long rows, float* memory,
                  const Place& place, const Then& convolved) {
    const long stop = std::min(row + 2, rows);
    if (of.in_pairs)
        convolve_pair<F>(of, in, row, place(row), stop - row > 1 ? place(row + 1) : nullptr, memory);
    for (; row < stop; ++row) {
        if (!of.in_pairs) convolve_row(of, in, row, Write<F>{place(row), of.width, of.width});
        convolved(place(row), row);
    }
}

inline int widest_branch(const Branch* branches, int count) {
    int hidden = 1;
    for (int i = 0; i < count; ++i) hidden = std::max(hidden, branches[i].stride);
    return hidden;
}

inline void add_branches(const Branch* branches, int count, float* y, long steps, float* h) {
    for (int i = 0; i < count; ++i) {
        squeeze(branches[i], y, steps, h, 1);
        expand(branches[i], h, steps, y, 1);
    }
}

// y <- y + branch(y) on each row, for each branch in turn.
inline void branch_rows(const Branch* branches, int count, float* y, long rows, long row_stride,
                        long steps, int threads) {
    auto memory = scratches(threads, steps * widest_branch(branches, count));
    in_parallel(rows, threads, [&](long row, int thread) {
        add_branches(branches, count, y + row * row_stride, steps, memory[thread].get());
    });
}

// maps.out <- the gate of maps.x, then each branch of that in turn.
inline void refine_maps(const Winograd& gate, const Branch* branches, int count, const Maps& maps, int threads) {
    auto memory = scratches(threads, maps.steps * widest_branch(branches, count));
    const bool done = gate_rows(gate, maps, threads, [&](long row, int thread) {
        add_branches(branches, count, maps.out + row * maps.out_stride, maps.steps, memory[thread].get());
    });
    if (!done) branch_rows(branches, count, maps.out, maps.rows, maps.out_stride, maps.steps, threads);
}

// All of a level: in (in_rows, steps, outer) -> out (out_rows, steps, width); pointers are to step 0
// of row 0, `margin` silent steps lie around each row.
inline void encode_rows(const SpectralEncoder& of, const float* in, long in_rows, long in_stride,
                        float* out, long out_rows, long out_stride, long steps, long margin,
                        int threads) {
    Scratch silence = silence_of(steps * of.outer);
    const RowsIn seen{in, in_rows, in_stride, steps, silence.get()};
    const long edge = margin * of.width, row_size = steps * of.width + 2 * edge;
    const int hidden = widest_branch(of.branches, of.branch_count);
    auto memory = scratches(threads, 2 * row_size + steps * hidden + pair_floats(of));
    in_parallel(ceil_div(out_rows, 2L), threads, [&](long pair, int thread) {
        float* rows = memory[thread].get();
        float *h = rows + 2 * row_size, *differences = h + steps * hidden;
        const auto place = [&](long row) { return rows + row % 2 * row_size + edge; };
        for (int i = 0; i < 2; ++i) {
            std::memset(place(i) - edge, 0, edge * sizeof(float));
            std::memset(place(i) + steps * of.width, 0, edge * sizeof(float));
        }
        convolve_two<Gelu>(of, seen, 2 * pair, out_rows, differences, place, [&](float* y, long row) {
            float* to = out + row * out_stride;
            add_branches(of.branches, of.branch_count, y, steps, h);
            product(Rows(y, of.width, of.width), 0, steps, of.gate, of.gate_bias, of.gate_panels,
                    Gated<false>{to, of.width, of.width});
            if (!of.embedding) return;
            for (int c = 0; c < of.width; c += LANES) {
                const int lanes = int(std::min<long>(LANES, of.width - c));
                const Vec more = load_some(of.embedding + row * of.width + c, lanes);
                for (float *at = to + c, *end = to + steps * of.width; at < end; at += of.width)
                    store_some(at, load_some(at, lanes) + more, lanes);
            }
        });
    });
}

// The same in parts, for a level that stops for its norms: the convolution alone,
inline void convolve_rows(const SpectralEncoder& of, const float* in, long in_rows, long in_stride,
                          float* out, long out_rows, long out_stride, long steps, int threads) {
    Scratch silence = silence_of(steps * of.outer);
    const RowsIn seen{in, in_rows, in_stride, steps, silence.get()};
    auto memory = scratches(threads, pair_floats(of));
    in_parallel(ceil_div(out_rows, 2L), threads, [&](long pair, int thread) {
        const auto place = [&](long row) { return out + row * out_stride; };
        convolve_two<Identity>(of, seen, 2 * pair, out_rows, memory[thread].get(), place, [](float*, long) {});
    });
}

// and the residual branches on x, with what the gate's convolution makes of it in `out`; the weights
// of the gate are packed plainly here.
inline void refine_rows(const SpectralEncoder& of, float* x, long x_stride, float* out, long rows,
                        long out_stride, long steps, int threads) {
    auto memory = scratches(threads, steps * widest_branch(of.branches, of.branch_count));
    in_parallel(rows, threads, [&](long row, int thread) {
        float* y = x + row * x_stride;
        add_branches(of.branches, of.branch_count, y, steps, memory[thread].get());
        product(Rows(y, of.width, of.width), 0, steps, of.gate, of.gate_bias,
                int(ceil_div(2 * of.width, PANEL)),
                Write<Identity>{out + row * out_stride, 2L * of.width, 2 * of.width});
    });
}

// Transposed convolution over rows: in (rows, steps, width) -> out (stride * rows, steps, outer).
// Its kernel is two strides: each of `stride` rows that come out together is a filter of the row above
// and the row itself, `packed` for each as `Pair` wants it. Its GELU is added to what is in out if
// `adding`, else it goes out as it is.
struct Expansion {
    const float *packed, *bias;
    int width, outer, stride, padding, adding;  // `padding` rows are cut off at either end
};

template <class Epilogue>
void expand_rows(const Expansion& of, const float* in, long rows, long in_stride, float* out,
                 long out_stride, long steps, int threads) {
    const long piece = piece_of_pairs(of.width);
    const Scratch silence = silence_of(piece * of.width);
    const int panels = int(ceil_div(of.outer, PANEL));
    const long size = 3L * panels * PANEL * of.width, parts = ceil_div(steps, piece);
    const long rows_out = (rows + 1) * of.stride - 2 * of.padding;
    auto memory = scratches(threads, 2 * piece * of.width);
    in_parallel(ceil_div(rows + 1, 2) * parts, threads, [&](long number, int thread) {
        const long row = number / parts * 2, first_step = number % parts * piece;
        const long count = std::min(piece, steps - first_step), values = count * of.width;
        const auto at = [&](long r) {
            return r < 0 || r >= rows ? silence.get() : in + r * in_stride + first_step * of.width;
        };
        float *before = memory[thread].get(), *after = before + piece * of.width;
        subtract(at(row - 1), at(row), values, before);
        subtract(at(row + 1), at(row), values, after);
        const Pair pair{Rows(at(row), of.width, of.width), Rows(before, of.width, of.width),
                        Rows(after, of.width, of.width)};
        const PairProduct product(pair, count, true, true);
        for (int j = 0; j < of.stride; ++j) {
            const long to = row * of.stride + j - of.padding, next = to + of.stride;
            float* here = out + to * out_stride + first_step * of.outer;
            const Epilogue first{here, of.outer, of.outer};
            const Epilogue second{here + of.stride * out_stride, of.outer, of.outer};
            product(of.packed + j * size, of.bias, panels, to >= 0 && to < rows_out ? &first : nullptr,
                    next >= 0 && next < rows_out ? &second : nullptr);
        }
    });
}
