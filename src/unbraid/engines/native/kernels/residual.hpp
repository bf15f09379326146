// A residual branch: squeeze, norm, GELU, (LSTM, attention,) expand, norm, GLU, scale, add.
//
// The expanded signal has 2 * width features and is never stored, nor normalized: its mean and
// variance follow from the mean and the covariance of the few hidden features it is a linear image
// of, and go, with the scale, into the weights of the expansion. Source of the layer:
// arXiv:2111.03600, section 3.3.
#pragma once
#include "norms.hpp"
#include "product.hpp"

// Weights of one branch. `stride` is the width of a row of hidden features: `hidden` rounded up to
// whole vectors, or to half a vector, zero beyond. Of the expansion everything is in the order of gated panels.
struct Branch {
    const void* squeeze;  // packed, 3 taps, of `squeeze_bytes` a number
    const float* squeeze_bias;
    const float *norm_weight, *norm_bias;  // (stride,)
    const float *expand, *expand_bias;  // packed, gated
    const float *gain, *offset;  // of the second norm, the scale included
    const double* covering;  // (stride, stride): sum over features of the expansion, w w^T
    int width, hidden, stride, dilation, gate_panels, squeeze_bytes;
    float squeeze_eps, expand_eps;
};

struct Covariance {
    std::vector<double> sums, products;
    explicit Covariance(int stride) : sums(stride), products(long(stride) * stride) {}
};

// to (stride, stride) <- sums over steps of rows [row, row + rows) times one vector of columns.
template <class Vector, int rows>
inline void gram_tile(const float* h, long steps, int stride, int row, int column, double* to) {
    Vector sums[rows]{}, w;
    for (long step = 0; step < steps; ++step, h += stride) {
        std::memcpy(&w, h + column, sizeof w);
#pragma GCC unroll 24
        for (int r = 0; r < rows; ++r) sums[r] += h[row + r] * w;
    }
    for (int r = 0; r < rows; ++r)
        for (size_t lane = 0; lane < sizeof w / sizeof(float); ++lane)
            to[(row + r) * stride + column + lane] = sums[r][lane];
}

template <class Vector, int rows = ROWS>
inline void gram_rows(const float* h, long steps, int hidden, int stride, int row, int column, double* to) {
    for (; row + rows <= hidden; row += rows) gram_tile<Vector, rows>(h, steps, stride, row, column, to);
    if constexpr (rows > 1) gram_rows<Vector, rows / 2>(h, steps, hidden, stride, row, column, to);
}

// Sums and products of hidden features over some hundred steps.
inline void covariance_of(const float* h, long steps, int hidden, int stride, Covariance& into) {
    for (int column = 0; column < stride; column += HALF) {
        Double sums{};
        for (long step = 0; step < steps; ++step) sums += doubles(h + step * stride + column);
        std::memcpy(&into.sums[column], &sums, sizeof sums);
    }
    double* products = into.products.data();
    if (stride < LANES) return gram_rows<HalfVec>(h, steps, hidden, stride, 0, 0, products);
    for (int column = 0; column < stride; column += LANES)
        gram_rows<Vec>(h, steps, hidden, stride, 0, column, products);
}

// Weights that expand, norm and scale at once, for one signal of `steps`.
inline void fold(const Branch& of, const Covariance& found, double steps, float* weight,
                 float* bias) {
    const int stride = of.stride, columns = of.gate_panels * PANEL;
    std::vector<double> mean(stride), centre(columns);
    for (int i = 0; i < stride; ++i) mean[i] = found.sums[i] / steps;
    double within = 0, total = 0, squares = 0;
    for (int i = 0; i < of.hidden; ++i)
        for (int j = 0; j < of.hidden; ++j)
            within += (found.products[i * stride + j] / steps - mean[i] * mean[j]) *
                      of.covering[i * stride + j];
    for (int column = 0; column < columns; column += HALF) {
        const float* w = of.expand + long(column / PANEL) * of.hidden * PANEL + column % PANEL;
        Double sum = doubles(of.expand_bias + column);
        for (int i = 0; i < of.hidden; ++i) sum += mean[i] * doubles(w + i * PANEL);
        std::memcpy(&centre[column], &sum, sizeof sum);
    }
    for (double value : centre) total += value;
    const double features = 2.0 * of.width, overall = total / features;
    // Columns that only fill the last panel are zero: their deviation is taken back.
    for (double value : centre) squares += (value - overall) * (value - overall);
    squares -= (columns - features) * overall * overall;
    const double variance = std::max(0.0, within) / features + std::max(0.0, squares) / features;
    const double rate = 1 / std::sqrt(variance + of.expand_eps);
    for (int column = 0; column < columns; column += HALF) {
        const Double scale = rate * doubles(of.gain + column);
        const long at = long(column / PANEL) * of.hidden * PANEL + column % PANEL;
        for (int i = 0; i < of.hidden; ++i)
            store_floats(weight + at + i * PANEL, doubles(of.expand + at + i * PANEL) * scale);
        store_floats(bias + column, (doubles(of.expand_bias + column) - overall) * scale + doubles(of.offset + column));
    }
}

constexpr long RESIDUAL_PIECE = 512;

// Rows of a product with so few columns that half a vector holds them, which takes half of the time.
template <int rows>
inline void narrow_tile(const Rows& a, long row, const float* panel, const float* bias, float* out) {
    constexpr int ahead = 4;
    HalfVec sums[rows], w[ahead];
#pragma GCC unroll 24
    for (int r = 0; r < rows; ++r) std::memcpy(&sums[r], bias, sizeof sums[r]);
    for (int tap = 0; tap < a.taps; ++tap) {
        const float* at = a.at[tap] + row * a.stride;
        int k = 0;
        for (; k + ahead <= a.depth; k += ahead, panel += ahead * PANEL) {
#pragma GCC unroll 4
            for (int i = 0; i < ahead; ++i) std::memcpy(&w[i], panel + i * PANEL, sizeof w[i]);
#pragma GCC unroll 24
            for (int r = 0; r < rows; ++r) {
                const float* x = at + r * a.stride + k;
#pragma GCC unroll 4
                for (int i = 0; i < ahead; ++i) sums[r] += x[i] * w[i];
            }
        }
        for (; k < a.depth; ++k, panel += PANEL) {
            std::memcpy(w, panel, sizeof w[0]);
#pragma GCC unroll 24
            for (int r = 0; r < rows; ++r) sums[r] += at[r * a.stride + k] * w[0];
        }
    }
#pragma GCC unroll 24
    for (int r = 0; r < rows; ++r) std::memcpy(out + (row + r) * HALF, &sums[r], sizeof sums[r]);
}

// h <- squeeze(y) for steps [start, stop) of y as `seen`.
inline void squeeze_some(const Branch& of, const Rows& seen, long start, long stop, float* h) {
    if (of.stride < LANES)
        return in_tiles<2 * ROWS>(start, stop, [&](auto rows, long row) {
            narrow_tile<rows>(seen, row, static_cast<const float*>(of.squeeze), of.squeeze_bias, h);
        });
    const Write<Identity> to{h, of.stride, of.stride};
    const int panels = int(ceil_div(of.stride, PANEL));
    if (of.squeeze_bytes == 2)
        product(seen, start, stop, static_cast<const uint16_t*>(of.squeeze), of.squeeze_bias, panels, to);
    else
        product(seen, start, stop, static_cast<const float*>(of.squeeze), of.squeeze_bias, panels, to);
}

// h <- GELU(norm(squeeze(y))); y has `dilation` steps of silence around it.
inline void squeeze(const Branch& of, const float* y, long steps, float* h, int threads) {
    const long pieces = ceil_div(steps, RESIDUAL_PIECE);
    std::vector<Moments> found(pieces);
    Rows seen(y, of.width, of.width);
    seen.taps = 3;
    for (int tap = 0; tap < 3; ++tap) seen.at[tap] = y + (tap - 1) * long(of.dilation) * of.width;
    in_parallel(pieces, threads, [&](long piece, int) {
        const long start = piece * RESIDUAL_PIECE, stop = std::min(start + RESIDUAL_PIECE, steps);
        squeeze_some(of, seen, start, stop, h);
        found[piece] = moments_of(h + start * of.stride, (stop - start) * of.stride);
    });
    Moments total;
    for (const auto& part : found) total += part;
    const double count = double(steps) * of.hidden, mean = total.mean(count);
    const double rate = 1 / std::sqrt(total.variance(count) + of.squeeze_eps);
    const int period = std::max(of.stride, LANES);  // features of two steps where these are half a vector
    std::vector<float> gain(period), shift(period);
    for (int i = 0; i < period; ++i) {
        const int feature = i % of.stride;
        gain[i] = float(of.norm_weight[feature] * rate);
        shift[i] = float(of.norm_bias[feature] - mean * rate * of.norm_weight[feature]);
    }
    in_parallel(pieces, threads, [&](long piece, int) {
        const long start = piece * RESIDUAL_PIECE, stop = std::min(start + RESIDUAL_PIECE, steps);
        for (long at = start * of.stride; at < stop * of.stride; at += period)
            for (int i = 0; i < period; i += LANES) {
                const int lanes = int(std::min<long>(LANES, stop * of.stride - at - i));
                store_some(h + at + i, gelu(load_some(h + at + i, lanes) * load(&gain[i]) + load(&shift[i])), lanes);
            }
    });
}

// y <- y + scale * GLU(norm(expand(h))).
inline void expand(const Branch& of, const float* h, long steps, float* y, int threads) {
    const long pieces = ceil_div(steps, RESIDUAL_PIECE);
    std::vector<Covariance> found(pieces, Covariance(of.stride));
    in_parallel(pieces, threads, [&](long piece, int) {
        const long start = piece * RESIDUAL_PIECE, stop = std::min(start + RESIDUAL_PIECE, steps);
        covariance_of(h + start * of.stride, stop - start, of.hidden, of.stride, found[piece]);
    });
    for (long piece = 1; piece < pieces; ++piece) {
        for (size_t i = 0; i < found[0].sums.size(); ++i) found[0].sums[i] += found[piece].sums[i];
        for (size_t i = 0; i < found[0].products.size(); ++i)
            found[0].products[i] += found[piece].products[i];
    }
    Scratch weight(long(of.gate_panels) * PANEL * of.hidden), bias(of.gate_panels * PANEL);
    fold(of, found[0], double(steps), weight.get(), bias.get());
    const Rows hidden(h, of.hidden, of.stride);
    in_parallel(pieces, threads, [&](long piece, int) {
        const long start = piece * RESIDUAL_PIECE, stop = std::min(start + RESIDUAL_PIECE, steps);
        product(hidden, start, stop, weight.get(), bias.get(), of.gate_panels,
                Gated<true>{y, of.width, of.width});
    });
}
