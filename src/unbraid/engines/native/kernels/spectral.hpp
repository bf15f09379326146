// Levels of the spectral branch on rows (freq, steps, width), with silent steps around each row.
#pragma once
#include "pairs.hpp"
#include "residual.hpp"

// One encoder level, each row from the convolution to the gate while it is in the cache.
struct SpectralEncoder {
    const float *conv, *conv_bias;  // packed, `kernel` taps
    const Branch* branches;
    const float *gate, *gate_bias;  // packed, gated
    const float* embedding;  // (rows, width), added at the end; null for none
    int outer, width, kernel, stride, padding, branch_count, gate_panels;
};

// Convolution of one row: in (in_rows, steps, outer) -> (steps, width).
template <class Epilogue>
void convolve_row(const SpectralEncoder& of, const float* in, long in_rows, long in_stride,
                  long row, long steps, const float* silence, const Epilogue& epilogue) {
    Rows seen(in, of.outer, of.outer);
    seen.taps = of.kernel;
    for (int tap = 0; tap < of.kernel; ++tap) {
        const long from = row * of.stride - of.padding + tap;
        seen.at[tap] = from < 0 || from >= in_rows ? silence : in + from * in_stride;
    }
    product(seen, 0, steps, of.conv, of.conv_bias, int(ceil_div(of.width, PANEL)), epilogue);
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

// All of a level: in (in_rows, steps, outer) -> out (out_rows, steps, width); pointers are to step 0
// of row 0, `margin` silent steps lie around each row.
inline void encode_rows(const SpectralEncoder& of, const float* in, long in_rows, long in_stride,
                        float* out, long out_rows, long out_stride, long steps, long margin,
                        int threads) {
    Scratch silence = silence_of(steps * of.outer);
    const long row_size = (steps + 2 * margin) * of.width;
    const int hidden = widest_branch(of.branches, of.branch_count);
    auto memory = scratches(threads, row_size + steps * hidden);
    in_parallel(out_rows, threads, [&](long row, int thread) {
        float* y = memory[thread].get() + margin * of.width;
        float* to = out + row * out_stride;
        std::memset(y - margin * of.width, 0, margin * of.width * sizeof(float));
        std::memset(y + steps * of.width, 0, margin * of.width * sizeof(float));
        convolve_row(of, in, in_rows, in_stride, row, steps, silence.get(),
                     Write<Gelu>{y, of.width, of.width});
        add_branches(of.branches, of.branch_count, y, steps, memory[thread].get() + row_size);
        product(Rows(y, of.width, of.width), 0, steps, of.gate, of.gate_bias, of.gate_panels,
                Gated<false>{to, of.width, of.width});
        if (of.embedding)
            for (long step = 0; step < steps; ++step)
                for (int c = 0; c < of.width; ++c)
                    to[step * of.width + c] += of.embedding[row * of.width + c];
    });
}

// The same in parts, for a level that stops for its norms: the convolution alone,
inline void convolve_rows(const SpectralEncoder& of, const float* in, long in_rows, long in_stride,
                          float* out, long out_rows, long out_stride, long steps, int threads) {
    Scratch silence = silence_of(steps * of.outer);
    in_parallel(out_rows, threads, [&](long row, int) {
        convolve_row(of, in, in_rows, in_stride, row, steps, silence.get(),
                     Write<Identity>{out + row * out_stride, of.width, of.width});
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
        for (int j = 0; j < of.stride; ++j) {
            const long to = row * of.stride + j - of.padding, next = to + of.stride;
            float* here = out + to * out_stride + first_step * of.outer;
            const Epilogue first{here, of.outer, of.outer};
            const Epilogue second{here + of.stride * out_stride, of.outer, of.outer};
            pair_product(pair, count, of.packed + j * size, of.bias, panels,
                         to >= 0 && to < rows_out ? &first : nullptr,
                         next >= 0 && next < rows_out ? &second : nullptr);
        }
    });
}
