// Means and deviations: in double, piece by piece and then over the pieces in their order, so that
// results do not depend on the number of threads.
#pragma once
#include <cmath>
#include <vector>

#include "parallel.hpp"
#include "vectors.hpp"

constexpr int HALF = LANES / 2;
using Double = double __attribute__((vector_size(HALF * sizeof(double))));
using HalfVec = float __attribute__((vector_size(HALF * sizeof(float))));

// Half a vector of floats in double, and back.
INLINE Double doubles(const float* at) {
    HalfVec floats;
    std::memcpy(&floats, at, sizeof floats);
    return __builtin_convertvector(floats, Double);
}
INLINE void store_floats(float* at, Double values) {
    const HalfVec floats = __builtin_convertvector(values, HalfVec);
    std::memcpy(at, &floats, sizeof floats);
}

struct Moments {
    double sum = 0, squares = 0;
    void operator+=(const Moments& other) { sum += other.sum, squares += other.squares; }
    double mean(double count) const { return sum / count; }
    double variance(double count) const {
        const double middle = mean(count);
        return std::max(0.0, squares / count - middle * middle);
    }
};

inline Moments moments_of(const float* at, long count) {
    Double sums[2]{}, squares[2]{};
    long i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (int half = 0; half < 2; ++half) {
            const Double value = doubles(at + i + half * HALF);
            sums[half] += value;
            squares[half] += value * value;
        }
    }
    Moments found;
    for (int lane = 0; lane < LANES / 2; ++lane) {
        found.sum += sums[0][lane] + sums[1][lane];
        found.squares += squares[0][lane] + squares[1][lane];
    }
    for (; i < count; ++i) found.sum += at[i], found.squares += double(at[i]) * at[i];
    return found;
}

// Signals (rows, steps, width), rows `row_stride` floats apart, seen in pieces of some steps.
struct Sheet {
    float* at;
    long rows, steps, width, row_stride;
    static constexpr long piece_steps = 256;

    long pieces_in_row() const { return ceil_div(steps, piece_steps); }
    long pieces() const { return rows * pieces_in_row(); }
    float* piece(long number) const {
        return at + number / pieces_in_row() * row_stride +
               number % pieces_in_row() * piece_steps * width;
    }
    long steps_of(long number) const {
        return std::min(piece_steps, steps - number % pieces_in_row() * piece_steps);
    }
};

// Moments of each feature over some steps.
inline void moments_of_features(const float* x, long steps, long width, Moments* found) {
    long c = 0;
    for (; c + HALF <= width; c += HALF) {
        Double sums{}, squares{};
        for (long step = 0; step < steps; ++step) {
            const Double value = doubles(x + step * width + c);
            sums += value;
            squares += value * value;
        }
        for (int lane = 0; lane < HALF; ++lane) found[c + lane] += {sums[lane], squares[lane]};
    }
    for (; c < width; ++c)
        for (long step = 0; step < steps; ++step) {
            const double value = x[step * width + c];
            found[c] += {value, value * value};
        }
}

// Moments of `groups` equal groups of features over the whole sheet.
inline std::vector<Moments> moments_of_groups(const Sheet& x, int groups, int threads) {
    std::vector<Moments> found(x.pieces() * x.width), total(groups);
    in_parallel(x.pieces(), threads, [&](long piece, int) {
        moments_of_features(x.piece(piece), x.steps_of(piece), x.width, &found[piece * x.width]);
    });
    const long share = x.width / groups;
    for (long i = 0; i < long(found.size()); ++i) total[i % x.width / share] += found[i];
    return total;
}

// GroupNorm (none for 0 groups) and what follows it: nothing (0), GELU (1), or GLU (2) into `out`,
// which is half as wide.
inline void group_norm(const Sheet& x, int groups, const float* weight, const float* bias,
                       float eps, int then, float* out, long out_row_stride, int threads) {
    std::vector<float> gain(x.width + LANES, 1.0f), shift(x.width + LANES);
    std::vector<Moments> moments;
    if (groups) moments = moments_of_groups(x, groups, threads);
    const long share = groups ? x.width / groups : x.width;
    const double count = double(x.rows) * x.steps * share;
    for (long feature = 0; feature < (groups ? x.width : 0); ++feature) {
        const Moments& of = moments[feature / share];
        const double rate = weight[feature] / std::sqrt(of.variance(count) + eps);
        gain[feature] = float(rate);
        shift[feature] = float(bias[feature] - of.mean(count) * rate);
    }
    const auto normed = [&](const float* at, long feature, int lanes) {
        return load_some(at + feature, lanes) * load(&gain[feature]) + load(&shift[feature]);
    };
    in_parallel(x.pieces(), threads, [&](long piece, int) {
        float* at = x.piece(piece);
        const long half = x.width / 2, row = piece / x.pieces_in_row();
        const long first = (at - x.at - row * x.row_stride) / x.width;
        for (long step = 0; step < x.steps_of(piece); ++step, at += x.width) {
            if (then == 2) {
                float* to = out + row * out_row_stride + (first + step) * half;
                for (long c = 0; c < half; c += LANES) {
                    const int lanes = int(std::min<long>(LANES, half - c));
                    const Vec gate = sigmoid(normed(at, half + c, lanes));
                    store_some(to + c, normed(at, c, lanes) * gate, lanes);
                }
                continue;
            }
            for (long c = 0; c < x.width; c += LANES) {
                const int lanes = int(std::min<long>(LANES, x.width - c));
                const Vec value = normed(at, c, lanes);
                store_some(at + c, then == 1 ? gelu(value) : value, lanes);
            }
        }
    });
}
