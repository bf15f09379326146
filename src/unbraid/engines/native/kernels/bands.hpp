// Bands of a spectrogram (rows, steps, width) in an SCNet: each row goes from the strided convolution
// through its modules while it is in the cache, and comes back by a transposed convolution.
#pragma once
#include "norms.hpp"
#include "product.hpp"

// norm, conv, GLU | depthwise conv, norm, SiLU | conv: over the steps of a row, added to it.
struct Module {
    const float *norm_weight, *norm_bias;                 // (width)
    const float *squeeze, *squeeze_bias;                  // packed, gated: kernel * width deep
    const float *depthwise, *depthwise_bias;              // (kernel, stride), (stride)
    const float *inner_weight, *inner_bias;               // (stride)
    const float *expand, *expand_bias;                    // packed: hidden deep
    int width, hidden, stride, kernel;                    // stride: hidden features in whole vectors
    float eps;
};

struct BandEncoder {
    const float *conv, *conv_bias;  // packed, `kernel` taps of `outer`
    const Module* modules;
    int outer, width, kernel, stride, padding, module_count;
};

// x[c] * rate * weight[c] + shift[c], which brings `count` values to mean 0 and deviation 1.
struct Norming {
    const float *weight, *bias;
    float mean, rate;
    Norming(const float* weight, const float* bias, const Moments& of, double count, float eps)
        : weight(weight), bias(bias), mean(float(of.mean(count))),
          rate(float(1 / std::sqrt(of.variance(count) + eps))) {}
    INLINE Vec operator()(Vec x, long c, int lanes) const {
        return (x - mean) * (rate * load_some(weight + c, lanes)) + load_some(bias + c, lanes);
    }
};

// What a module needs beside its row: the row normed, hidden features, and those filtered.
struct ModuleMemory {
    static long floats(const Module& of, long steps) {
        return (steps + of.kernel) * of.width + (2 * steps + of.kernel) * of.stride + 3 * LANES;
    }
    float *normed, *hidden, *filtered;  // the first two begin with half a kernel of silence
    ModuleMemory(const Module& of, long steps, float* memory)
        : normed(memory), hidden(align(normed + (steps + of.kernel) * of.width)),
          filtered(hidden + (steps + of.kernel) * of.stride) {}
    static float* align(float* at) {
        return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(at) + 63) & ~uintptr_t{63});
    }
};

inline void norm_row(const Module& of, const float* y, long steps, float* normed) {
    const double count = double(steps) * of.width;
    const Norming norm(of.norm_weight, of.norm_bias, moments_of(y, steps * of.width), count, of.eps);
    for (int c = 0; c < of.width; c += LANES) {
        const int lanes = std::min(LANES, of.width - c);
        for (long at = c; at < steps * of.width; at += of.width)
            store_some(normed + at, norm(load_some(y + at, lanes), c, lanes), lanes);
    }
}

// filtered <- SiLU(norm(depthwise(hidden))); features beyond the hidden ones are and stay zero.
inline void filter_row(const Module& of, const float* hidden, long steps, float* filtered) {
    for (int c = 0; c < of.stride; c += LANES)
        for (long step = 0; step < steps; ++step) {
            Vec sum = load(of.depthwise_bias + c);
            for (int tap = 0; tap < of.kernel; ++tap)
                sum += load(of.depthwise + tap * of.stride + c) *
                       load(hidden + (step + tap) * of.stride + c);
            store(filtered + step * of.stride + c, sum);
        }
    const Moments found = moments_of(filtered, steps * of.stride);
    const Norming norm(of.inner_weight, of.inner_bias, found, double(steps) * of.hidden, of.eps);
    for (int c = 0; c < of.stride; c += LANES)
        for (long at = c; at < steps * of.stride; at += of.stride) {
            const Vec value = norm(load(filtered + at), c, LANES);
            store(filtered + at, value * sigmoid(value));
        }
}

inline void run_module(const Module& of, float* y, long steps, float* memory) {
    const ModuleMemory parts(of, steps, memory);
    const long half = of.kernel / 2, wide = half * of.width, narrow = half * of.stride;
    std::memset(parts.normed, 0, wide * sizeof(float));
    std::memset(parts.normed + wide + steps * of.width, 0, wide * sizeof(float));
    std::memset(parts.hidden, 0, narrow * sizeof(float));
    std::memset(parts.hidden + narrow + steps * of.stride, 0, narrow * sizeof(float));
    norm_row(of, y, steps, parts.normed + wide);
    product(Rows(parts.normed, of.kernel * of.width, of.width), 0, steps, of.squeeze, of.squeeze_bias,
            of.stride / LANES, Gated<false>{parts.hidden + narrow, of.stride, of.stride});
    filter_row(of, parts.hidden, steps, parts.filtered);
    product(Rows(parts.filtered, of.hidden, of.stride), 0, steps, of.expand, of.expand_bias,
            int(ceil_div(of.width, PANEL)), Write<Adding>{y, of.width, of.width});
}

// y <- sum of `taps` rows that `at` names, each times its weights. More taps than a product takes at
// once are added a part at a time.
template <class Epilogue, class At>
void gather_rows(int taps, int depth, const At& at, const float* packed, const float* bias, float* y,
                 int columns, long steps) {
    const int panels = int(ceil_div(columns, PANEL));
    Rows seen(nullptr, depth, depth);
    for (int first = 0; first < taps; first += MOST_TAPS) {
        seen.taps = std::min(MOST_TAPS, taps - first);
        for (int tap = 0; tap < seen.taps; ++tap) seen.at[tap] = at(first + tap);
        const float* weight = packed + long{PANEL} * panels * first * depth;
        if (first)
            product(seen, 0, steps, weight, nullptr, panels, Write<Adding>{y, columns, columns});
        else
            product(seen, 0, steps, weight, bias, panels, Epilogue{y, columns, columns});
    }
}

// One band down: in (in_rows, steps, outer) -> out (out_rows, steps, width), a row for each `stride`.
inline void encode_band(const BandEncoder& of, const float* in, long in_rows, float* out,
                        long out_rows, long steps, int threads) {
    const long row_in = steps * of.outer, row_out = steps * of.width;
    const Scratch silence = silence_of(row_in);
    long size = 1;
    for (int n = 0; n < of.module_count; ++n)
        size = std::max(size, ModuleMemory::floats(of.modules[n], steps));
    auto memory = scratches(threads, size);
    in_parallel(out_rows, threads, [&](long row, int thread) {
        float* y = out + row * row_out;
        const auto at = [&](int tap) {
            const long from = row * of.stride - of.padding + tap;
            return from < 0 || from >= in_rows ? silence.get() : in + from * row_in;
        };
        gather_rows<Write<Identity>>(of.kernel, of.outer, at, of.conv, of.conv_bias, y, of.width, steps);
        for (int n = 0; n < of.module_count; ++n) run_module(of.modules[n], y, steps, memory[thread].get());
        long i = 0;
        for (; i + LANES <= row_out; i += LANES) store(y + i, gelu(load(y + i)));
        if (i < row_out) store_some(y + i, gelu(load_some(y + i, int(row_out - i))), int(row_out - i));
    });
}

// One band up, by a transposed convolution of which `cut` rows are left out at the top.
struct BandDecoder {
    const float *conv, *bias;  // packed, for each of `stride` phases `taps` from the row itself upwards
    int width, outer, stride, taps, cut, adding;  // adding: to what is in out
};

template <class Epilogue>
void decode_band(const BandDecoder& of, const float* in, long in_rows, float* out, long out_rows,
                 long steps, int threads) {
    const long row_in = steps * of.width, row_out = steps * of.outer;
    const long phase_size = ceil_div(of.outer, PANEL) * PANEL * of.taps * of.width;
    const Scratch silence = silence_of(row_in);
    in_parallel(out_rows, threads, [&](long row, int) {
        const long place = row + of.cut;
        const auto at = [&](int tap) {
            const long from = place / of.stride - tap;
            return from < 0 || from >= in_rows ? silence.get() : in + from * row_in;
        };
        gather_rows<Epilogue>(of.taps, of.width, at, of.conv + place % of.stride * phase_size, of.bias,
                              out + row * row_out, of.outer, steps);
    });
}
