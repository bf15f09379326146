// What is around the filters of a network that masks spectrograms: its first and its last layer, and
// what its masks do to the spectrogram.
#pragma once
#include <cmath>

#include "filters.hpp"

// As `halve`, for few features: all 25 taps of a pixel are one row of a product. `mixed` holds (panels,
// 25 * ins, PANEL), and around `in` there are pixels of silence: one before, two behind.
struct FirstEnd {
    DownEnd end;
    long row;
    bool half_of(int panel) const { return end.of.outs - panel * PANEL <= LANES; }
    INLINE void operator()(long column, int panel, Vec a, Vec b) const {
        const long left = end.of.outs - long(panel) * PANEL, feature = long(panel) * PANEL;
        end(row, column, feature, int(std::min<long>(LANES, left)), a);
        if (left > LANES) end(row, column, feature + LANES, int(std::min<long>(LANES, left - LANES)), b);
    }
};

inline void halve_few(const Filters& of, const Image& in, const Image& skip, const Image& next,
                      int threads) {
    const int panels = int(ceil_div(of.outs, PANEL));
    in_parallel(skip.rows, threads, [&](long row, int) {
        Rows a(nullptr, 5 * of.ins, 2 * in.pixel);
        a.taps = 5;
        for (int tap = 0; tap < 5; ++tap) a.at[tap] = in.of(2 * row - 1 + tap, -1);
        product(a, 0, skip.columns, of.mixed, nullptr, panels,
                FirstEnd{DownEnd{of, skip, next}, row});
    });
}

// As `redouble`, for one feature: each pixel times all 25 taps, then added where they belong. `mixed`
// holds (panels, ins, PANEL).
inline void redouble_to_one(const Filters& of, const Image& in, const Image& out, int threads) {
    constexpr long share = 16, taps = 25;
    const int panels = int(ceil_div(taps, PANEL));
    const long width = panels * PANEL, row_floats = (in.columns + 2) * width;
    auto memory = scratches(threads, 3 * row_floats);
    const float bias = of.bias[0], scale = of.scale[0], shift = of.shift[0];
    in_parallel(ceil_div(in.rows, share), threads, [&](long piece, int thread) {
        const long begin = piece * share, stop = std::min(in.rows, begin + share);
        float* rows[3];
        for (int i = 0; i < 3; ++i) rows[i] = memory[thread].get() + i * row_floats;
        const auto multiply = [&](long row, float* to) {
            if (row < 0 || row >= in.rows) {
                std::memset(to, 0, row_floats * sizeof(float));
                return;
            }
            std::memset(to, 0, width * sizeof(float));
            std::memset(to + (in.columns + 1) * width, 0, width * sizeof(float));
            product(Rows(in.of(row, 0), of.ins, in.pixel), 0, in.columns, of.mixed, nullptr, panels,
                    Write<Identity>{to + width, width, int(width)});
        };
        multiply(begin - 1, rows[1]);
        multiply(begin, rows[2]);
        for (long row = begin; row < stop; ++row) {
            std::swap(rows[0], rows[1]), std::swap(rows[1], rows[2]);
            multiply(row + 1, rows[2]);
            // An odd row sees kernel rows 4, 2, 0 of the rows above, here and below; an even one
            // 3, 1 of those above and here. Columns likewise.
            for (long c = 0; c < in.columns; ++c) {
                const float *a = rows[0] + c * width, *b = rows[1] + c * width, *d = rows[2] + c * width;
                const auto even = [&](int k, const float* p) {
                    return p[k * 5 + 3] + p[width + k * 5 + 1];
                };
                const auto odd = [&](int k, const float* p) {
                    return p[k * 5 + 4] + p[width + k * 5 + 2] + p[2 * width + k * 5];
                };
                float* above = out.of(2 * row, 2 * c);
                float* below = out.of(2 * row + 1, 2 * c);
                const auto end = [&](float sum) { return std::max(sum + bias, 0.0f) * scale + shift; };
                above[0] = end(even(3, a) + even(1, b));
                above[out.pixel] = end(odd(3, a) + odd(1, b));
                below[0] = end(even(4, a) + even(2, b) + even(0, d));
                below[out.pixel] = end(odd(4, a) + odd(2, b) + odd(0, d));
            }
        }
    });
}

// out (channels, rows, columns) <- magnitudes * sigmoid(conv(in) + bias) for a kernel (channels, 4x4) of
// dilation 2 on one feature, whose first pixel is three before the image's.
struct Head {
    const float *weight, *bias;
    int channels;
};

inline void mask(const Head& of, const float* in, long in_row, const float* magnitudes,
                 long channel_stride, long row_stride, float* out, long out_channel, long out_row,
                 long rows, long columns, int threads) {
    constexpr long share = 8;
    const auto run = [&](long row, int channel, long c, int lanes, auto read) {
        Vec sum = all(of.bias[channel]);
#pragma GCC unroll 16
        for (int tap = 0; tap < 16; ++tap)
            sum += of.weight[channel * 16 + tap] * read(in + (row + tap / 4 * 2) * in_row + c + tap % 4 * 2);
        const Vec near = read(magnitudes + channel * channel_stride + row * row_stride + c);
        store_some(out + channel * out_channel + row * out_row + c, near * sigmoid(sum), lanes);
    };
    in_parallel(ceil_div(rows, share), threads, [&](long piece, int) {
        for (long row = piece * share; row < std::min(rows, (piece + 1) * share); ++row)
            for (int channel = 0; channel < of.channels; ++channel)
                for (long c = 0; c < columns; c += LANES) {
                    const int lanes = int(std::min<long>(LANES, columns - c));
                    if (lanes == LANES)
                        run(row, channel, c, lanes, [](const float* at) { return load(at); });
                    else
                        run(row, channel, c, lanes, [&](const float* at) { return load_some(at, lanes); });
                }
    });
}

// x to the power of so many quarters: 2, 3, 4, 6 or 8.
INLINE Vec power_of_quarters(Vec x, int quarters) {
    if (quarters == 4) return x;
    if (quarters == 8) return x * x;
    const Vec r = root(x);
    return quarters == 2 ? r : quarters == 3 ? r * root(r) : r * x;
}

// outputs (stems, count) <- the share of each stem in the sum of all, after that power.
inline void share_out(float* outputs, int stems, long count, int quarters, float silence, int threads) {
    constexpr long share = 1 << 14;
    in_parallel(ceil_div(count, share), threads, [&](long piece, int) {
        for (long at = piece * share; at < std::min(count, (piece + 1) * share); at += LANES) {
            const int lanes = int(std::min<long>(LANES, count - at));
            Vec total{};
            for (int stem = 0; stem < stems; ++stem) {
                float* here = outputs + stem * count + at;
                const Vec power = power_of_quarters(load_some(here, lanes), quarters) + silence / stems;
                total += power;
                store_some(here, power, lanes);
            }
            for (int stem = 0; stem < stems; ++stem) {
                float* here = outputs + stem * count + at;
                store_some(here, load_some(here, lanes) / total, lanes);
            }
        }
    });
}

// One step of a multichannel Wiener filter, see ../../numpy/wiener.py: spectrum and found (2, frames,
// bins) are complex, shares (stems, 2, frames, bins) real; strides are in floats.
struct Wiener {
    const float *spectrum, *shares;
    float* found;
    long spectrum_channel, spectrum_frame, share_stem, share_channel, share_frame;
    long frames, bins;
    int stems, stem;
    float scale;
};

struct Complex {
    Vec re, im;
};

INLINE Complex load_complex(const float* at, int lanes) {
    const Vec a = load_some(at, std::min(LANES, 2 * lanes));
    const Vec b = 2 * lanes > LANES ? load_some(at + LANES, 2 * lanes - LANES) : Vec{};
    return {every_second<0>(a, b), every_second<1>(a, b)};
}

INLINE void store_complex(float* at, Vec re, Vec im, int lanes) {
    store_some(at, by_turns<0>(re, im), std::min(LANES, 2 * lanes));
    if (2 * lanes > LANES) store_some(at + LANES, by_turns<1>(re, im), 2 * lanes - LANES);
}

inline void filter_spectrum(const Wiener& of, int threads) {
    constexpr long block = 4 * LANES;  // bins
    constexpr int sums = 5;            // of a stem: left, right, across (re, im), power
    const float louder = of.scale * of.scale, epsilon = 1.1920929e-07f;
    const float floor = std::sqrt(epsilon) * louder;
    auto memory = scratches(threads, of.stems * sums * block);
    in_parallel(ceil_div(of.bins, block), threads, [&](long piece, int thread) {
        float* found = memory[thread].get();
        std::memset(found, 0, of.stems * sums * block * sizeof(float));
        const long begin = piece * block, stop = std::min(of.bins, begin + block);
        const auto each = [&](auto work) {
            for (long frame = 0; frame < of.frames; ++frame)
                for (long bin = begin; bin < stop; bin += LANES) {
                    const int lanes = int(std::min<long>(LANES, stop - bin));
                    const float* at = of.spectrum + frame * of.spectrum_frame + 2 * bin;
                    const Complex x = load_complex(at, lanes);
                    const Complex y = load_complex(at + of.spectrum_channel, lanes);
                    work(frame, bin, lanes, x, y, x.re * x.re + x.im * x.im, y.re * y.re + y.im * y.im);
                }
        };
        const auto share = [&](long frame, long bin, int lanes, int stem, int channel) {
            return load_some(of.shares + stem * of.share_stem + channel * of.share_channel +
                                 frame * of.share_frame + bin, lanes);
        };
        const auto sum = [&](int stem, int which, long bin) {
            return found + (stem * sums + which) * block + bin - begin;
        };
        each([&](long frame, long bin, int lanes, Complex x, Complex y, Vec px, Vec py) {
            const Vec re = x.re * y.re + x.im * y.im, im = x.im * y.re - x.re * y.im;
            for (int stem = 0; stem < of.stems; ++stem) {
                const Vec l = share(frame, bin, lanes, stem, 0), r = share(frame, bin, lanes, stem, 1);
                const Vec left = l * l * px, right = r * r * py, both = l * r;
                const Vec parts[sums] = {left, right, both * re, both * im, 0.5f * (left + right)};
                for (int i = 0; i < sums; ++i) {
                    float* to = sum(stem, i, bin);
                    store(to, load(to) + parts[i]);
                }
            }
        });
        for (int stem = 0; stem < of.stems; ++stem)
            for (long bin = begin; bin < begin + block; bin += LANES) {
                const Vec power = load(sum(stem, 4, bin)) + epsilon * louder;
                for (int i = 0; i < 4; ++i) store(sum(stem, i, bin), load(sum(stem, i, bin)) / power);
            }
        each([&](long frame, long bin, int lanes, Complex x, Complex y, Vec px, Vec py) {
            Vec wx = all(floor), wy = all(floor), wr{}, wi{}, own{};
            for (int stem = 0; stem < of.stems; ++stem) {
                const Vec l = share(frame, bin, lanes, stem, 0), r = share(frame, bin, lanes, stem, 1);
                const Vec power = 0.5f * (l * l * px + r * r * py);
                wx += load(sum(stem, 0, bin)) * power;
                wy += load(sum(stem, 1, bin)) * power;
                wr += load(sum(stem, 2, bin)) * power;
                wi += load(sum(stem, 3, bin)) * power;
                if (stem == of.stem) own = power;
            }
            own = own / (wx * wy - (wr * wr + wi * wi));
            const Vec a = load(sum(of.stem, 0, bin)), d = load(sum(of.stem, 1, bin));
            const Vec cr = load(sum(of.stem, 2, bin)), ci = load(sum(of.stem, 3, bin));
            const Vec xr = wy * x.re - (wr * y.re - wi * y.im), xi = wy * x.im - (wr * y.im + wi * y.re);
            const Vec yr = wx * y.re - (wr * x.re + wi * x.im), yi = wx * y.im - (wr * x.im - wi * x.re);
            float* to = of.found + frame * of.spectrum_frame + 2 * bin;
            store_complex(to, (a * xr + cr * yr - ci * yi) * own, (a * xi + cr * yi + ci * yr) * own, lanes);
            store_complex(to + of.spectrum_channel, (cr * xr + ci * xi + d * yr) * own,
                          (cr * xi - ci * xr + d * yi) * own, lanes);
        });
    });
}
