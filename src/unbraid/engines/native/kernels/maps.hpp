// Maps (rows, steps, width) of frequency, time and features, one float behind the other, as networks see them that norm
// whole maps: a norm is a factor and an offset for each feature, known before a layer reads a map.
#pragma once
#include "norms.hpp"
#include "product.hpp"

enum Activation { RELU_OF, GELU_OF, ELU_OF };  // as ../maps.py counts

// How features enter a layer: an activation of x * gain + shift. Both repeat their values behind the last one, for
// two vectors and more.
struct Entry {
    const float *gain, *shift;
    float alpha;  // of ELU
    int activation;
};

// One map, or two of the same width whose features lie side by side.
struct JoinedMaps {
    const float* at[2];
    int count;
    long rows, steps, width;
    long row_size() const { return steps * width; }
    int features() const { return int(count * width); }
    const float* of(int map, long row) const { return at[map] + row * row_size(); }
};

template <int activation>
INLINE Vec activated(Vec x, float alpha) {
    if constexpr (activation == RELU_OF) return larger(x, Vec{});
    if constexpr (activation == GELU_OF) return gelu(x);
    const Vec below = alpha * (exponential(x) - 1.0f);
    return x > Vec{} ? x : below;
}

// run(activation), a constant.
template <class Run>
inline void with_activation(int activation, const Run& run) {
    if (activation == RELU_OF) run(std::integral_constant<int, RELU_OF>{});
    if (activation == GELU_OF) run(std::integral_constant<int, GELU_OF>{});
    if (activation == ELU_OF) run(std::integral_constant<int, ELU_OF>{});
}

struct Pixels {
    const float* at;
    long stride, count;
};

// to <- `features` features of pixels, the first being number `first` of a layer's, as they enter it, times `scale`.
inline void enter_pixels(const Entry& of, const Pixels& in, int first, int features, float scale, float* to,
                         long stride) {
    with_activation(of.activation, [&](auto activation) {
        for (long n = 0; n < in.count; ++n) {
            const float* from = in.at + n * in.stride;
            float* at = to + n * stride;
            for (int c = 0; c < features; c += LANES) {
                const int some = std::min(LANES, features - c);
                const Vec x = load_some(from + c, some);
                const Vec value = x * load(of.gain + first + c) + load(of.shift + first + c);
                store_some(at + c, scale * activated<activation>(value, of.alpha), some);
            }
        }
    });
}

// How large features are that enter a layer, as the root of the mean square of some of them.
inline float size_of_some(const Entry& of, const JoinedMaps& in) {
    const long across = std::max(1L, in.steps / 12), down = std::max(1L, in.rows / 12);
    Scratch memory(in.width + LANES);
    double squares = 0, seen = 0;
    for (int map = 0; map < in.count; ++map)
        for (long row = down / 2; row < in.rows; row += down)
            for (long step = across / 2; step < in.steps; step += across, seen += double(in.width)) {
                const Pixels pixel{in.of(map, row) + step * in.width, in.width, 1};
                enter_pixels(of, pixel, int(map * in.width), int(in.width), 1.0f, memory.get(), in.width);
                for (int c = 0; c < in.width; ++c) squares += double(memory.get()[c]) * memory.get()[c];
            }
    return float(std::sqrt(squares / std::max(seen, 1.0)));
}

// The power of two that brings features of a size to another; 1 where nothing is multiplied in pairs.
inline float power_to(float size, float wanted) {
    if (!PAIRS || !(size > 1e-15f) || !(wanted > 1e-15f)) return 1.0f;
    return std::exp2(std::round(std::log2(wanted / size)));
}

// Sums and, `width` behind them, sums of squares of features: those of pixels are added. Floats are summed over a
// few pixels, then doubles.
inline void add_moments(const Pixels& of, int width, long apart, double* found) {
    constexpr long FEW = 32;
    for (long first = 0; first < of.count; first += FEW) {
        const long end = std::min(of.count, first + FEW);
        for (int c = 0; c < width; c += LANES) {
            const int some = std::min(LANES, width - c);
            Vec sums{}, squares{};
            for (long n = first; n < end; ++n) {
                const Vec value = load_some(of.at + n * of.stride + c, some);
                sums += value, squares += value * value;
            }
            for (int lane = 0; lane < some; ++lane) {
                found[c + lane] += sums[lane];
                found[apart + c + lane] += squares[lane];
            }
        }
    }
}

// Moments (2, width) that pieces of work find, each for itself, and their sum in the order of the pieces.
class FoundMoments {
  public:
    FoundMoments(long pieces, long width) : width_(width), found_(pieces * 2 * width) {}
    double* of(long piece) { return &found_[piece * 2 * width_]; }
    void add_up(double* total) const {
        std::fill(total, total + 2 * width_, 0.0);
        for (long i = 0; i < long(found_.size()); ++i) total[i % (2 * width_)] += found_[i];
    }

  private:
    long width_;
    std::vector<double> found_;
};

// The first map <- a linear map of the features of all, without any activation, for each pixel.
inline void mix_features(const float* packed, const JoinedMaps& in, float* out, int threads) {
    const long piece = 16 * ROWS, pixels = in.rows * in.steps, outs = in.width;
    auto memory = scratches(threads, piece * outs);
    in_parallel(ceil_div(pixels, piece), threads, [&](long number, int thread) {
        const long first = number * piece * in.width, count = std::min(piece, pixels - number * piece);
        Rows a(in.at[0] + first, int(in.width), in.width);
        a.taps = in.count;
        if (in.count == 2) a.at[1] = in.at[1] + first;
        float* made = memory[thread].get();
        product(a, 0, count, packed, nullptr, int(ceil_div(outs, PANEL)), Write<Identity>{made, outs, int(outs)});
        std::memcpy(out + first, made, count * outs * sizeof(float));
    });
}

// A layer that changes the resolution: `down` x `across` pixels become one, or one becomes so many.
struct Rescaling {
    const float* packed;  // (1, pixels * ins) x outs, or for each of the pixels ins x outs
    int outs, down, across;
};

// out (rows / down, steps / across, outs) <- each patch of what enters times weights; and its moments.
inline void shrink_map(const Rescaling& of, const Entry& entry, const JoinedMaps& in, float* out, double* moments,
                       int threads) {
    const long rows = in.rows / of.down, steps = in.steps / of.across, run = of.across * in.width;
    const long depth = of.down * run;
    auto memory = scratches(threads, steps * depth);
    FoundMoments found(rows, of.outs);
    in_parallel(rows, threads, [&](long row, int thread) {
        float *patches = memory[thread].get(), *to = out + row * steps * of.outs;
        for (int down = 0; down < of.down; ++down)
            for (long step = 0; step < steps; ++step) {
                const float* from = in.of(0, row * of.down + down) + step * run;
                enter_pixels(entry, {from, in.width, of.across}, 0, int(in.width), 1.0f,
                             patches + step * depth + down * run, in.width);
            }
        product(Rows(patches, int(depth), depth), 0, steps, of.packed, nullptr, int(ceil_div(of.outs, PANEL)),
                Write<Identity>{to, of.outs, of.outs});
        add_moments({to, of.outs, steps}, of.outs, of.outs, found.of(row));
    });
    found.add_up(moments);
}

// out (rows * down, steps * across, outs) <- for each pixel that enters so many; and the moments of all.
inline void grow_map(const Rescaling& of, const Entry& entry, const JoinedMaps& in, float* out, double* moments,
                     int threads) {
    const int panels = int(ceil_div(of.outs, PANEL));
    const long steps = in.steps * of.across, size = long{panels} * PANEL * in.width;
    auto memory = scratches(threads, in.row_size());
    FoundMoments found(in.rows, of.outs);
    in_parallel(in.rows, threads, [&](long row, int thread) {
        float* entered = memory[thread].get();
        enter_pixels(entry, {in.of(0, row), in.width, in.steps}, 0, int(in.width), 1.0f, entered, in.width);
        float* to = out + row * of.down * steps * of.outs;
        for (long pixel = 0; pixel < long{of.down} * of.across; ++pixel) {
            float* at = to + (pixel / of.across * steps + pixel % of.across) * of.outs;
            product(Rows(entered, int(in.width), in.width), 0, in.steps, of.packed + pixel * size, nullptr, panels,
                    Write<Identity>{at, long{of.across} * of.outs, of.outs});
        }
        add_moments({to, of.outs, of.down * steps}, of.outs, of.outs, found.of(row));
    });
    found.add_up(moments);
}
