// Winograd's F(4x4, 3x3) and F(4, 3): tiles of 6x6 inputs, or six, and taps of 3 or 2 to the points where they are
// multiplied, and back to 4x4 outputs, or four. Source: Lavin and Gray, arXiv:1509.09308.
#pragma once
#include <algorithm>

#include "rows.hpp"

constexpr int TILE = 4, SEEN = 6;

// Polynomials are evaluated at 0, ±INNER, ±OUTER and infinity, where the two are each other's inverse. At ±1 and ±2, as
// usual, inputs and products become of so different sizes that it costs a digit.
constexpr float INNER = 0.70710678f, OUTER = 1.41421356f;

// B^T d, on six values `step` vectors apart.
INLINE void mix_inputs(Vec* d, int step) {
    const Vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step],
              d5 = d[5 * step];
    const Vec even = d4 - 2.0f * d2, odd = INNER * d3 - OUTER * d1;
    const Vec far = d4 - 0.5f * d2, wide = OUTER * d3 - INNER * d1;
    d[0] = d0 - 2.5f * d2 + d4;
    d[step] = even + odd;
    d[2 * step] = even - odd;
    d[3 * step] = far + wide;
    d[4 * step] = far - wide;
    d[5 * step] = d1 - 2.5f * d3 + d5;
}

// A^T m, six values into the first four.
INLINE void mix_outputs(Vec* m, int step) {
    const Vec a = m[step] + m[2 * step], b = m[step] - m[2 * step];
    const Vec c = m[3 * step] + m[4 * step], d = m[3 * step] - m[4 * step];
    const Vec last = m[5 * step];
    m[0] = m[0] + a + c;
    m[step] = INNER * b + OUTER * d;
    m[2 * step] = 0.5f * a + 2.0f * c;
    m[3 * step] = 0.5f * INNER * b + 2.0f * OUTER * d + last;
}

// G g, for g of 3 taps or 2, which are not changed: 6 or 5 values of what `from` gives, to `to`.
template <int taps, class From, class To>
INLINE void mix_taps(const From& from, const To& to) {
    const Vec a = from(0), b = from(1), c = taps == 3 ? from(taps - 1) : Vec{};
    const Vec sum = (a + 0.5f * c) * (-2.0f / 3), half = b * (INNER * 2 / 3);
    const Vec far = (a + 2.0f * c) * (1.0f / 6), near = b * (OUTER / 6);
    to(0, a);
    to(1, sum - half);
    to(2, sum + half);
    to(3, far + near);
    to(4, far - near);
    if (taps == 3) to(5, c);
}

// (rows, columns, features); pixels and rows are so many floats apart.
struct Image {
    float* at;
    long row, pixel, rows, columns;
    INLINE float* of(long r, long c) const { return at + r * row + c * pixel; }
};

constexpr int POINTS = SEEN * SEEN, LAST = SEEN - 1;

constexpr int taps_down(int quarter) { return quarter < 2 ? 3 : 2; }
constexpr int taps_across(int quarter) { return quarter % 2 ? 2 : 3; }
constexpr int points_of(int taps) { return taps == 3 ? SEEN : LAST; }

// How many quarters have a product at a point, and the place of one among them.
constexpr int slots(int i, int j) { return (i < LAST ? 2 : 1) * (j < LAST ? 2 : 1); }
constexpr int slot(int quarter, int j) { return j < LAST ? quarter : quarter / 2; }

// One side of the products: at each point some tiles, each `width` floats for each quarter there.
// Points lie a line of the cache further apart than they need to, else many would share a place in it.
struct Side {
    int quarters;  // 4 or 1
    long tiles, width, gap = 16;
    long floats() const { return tiles * width * (quarters == 4 ? 121 : POINTS) + POINTS * gap; }
    long stride(int i, int j) const { return (quarters == 4 ? slots(i, j) : 1) * width; }
    long at(int i, int j, int quarter = 0) const {
        const long gaps = (i * SEEN + j) * gap;
        if (quarters == 1) return (i * SEEN + j) * tiles * width + gaps;
        return ((i * 22 + j * (i < LAST ? 4 : 2)) * tiles + slot(quarter, j)) * width + gaps;
    }
};

// Where the points of a quarter lie, and how far tiles are apart there.
struct Places {
    long first[POINTS], step[POINTS];
    Places() = default;
    Places(const Side& side, int quarter) {
        for (int i = 0; i < SEEN; ++i)
            for (int j = 0; j < SEEN; ++j)
                first[i * SEEN + j] = side.at(i, j, quarter), step[i * SEEN + j] = side.stride(i, j);
    }
};

// B^T (6x6 pixels, `step` apart) B of a quarter, to its points; beyond the image there is silence. Pixels are
// times `gain` if `scaled`.
template <int down, int across, bool scaled = false>
void mix_tile(const Image& in, long row, long column, int step, long features, const Places& places,
              long tile, float* mixed, float gain = 1) {
    constexpr int high = points_of(down), wide = points_of(across);
    const long reach = LAST * step;
    const bool inside =
        row >= 0 && column >= 0 && row + reach < in.rows && column + reach < in.columns;
    for (long feature = 0; feature < features; feature += LANES) {
        const int lanes = int(std::min<long>(LANES, features - feature));
        const float* from = in.of(row, column) + feature;
        Vec d[POINTS];
        for (int j = 0; j < SEEN; ++j, from += step * in.pixel) {
            Vec v[SEEN];
            if (inside && lanes == LANES) {
#pragma GCC unroll 6
                for (int i = 0; i < SEEN; ++i) v[i] = load(from + i * step * in.row);
            } else {
                const long c = column + j * step;
                for (int i = 0; i < SEEN; ++i) {
                    const long r = row + i * step;
                    const bool there = r >= 0 && c >= 0 && r < in.rows && c < in.columns;
                    v[i] = there ? load_some(from + i * step * in.row, lanes) : Vec{};
                }
            }
#pragma GCC unroll 6
            for (int i = 0; i < SEEN; ++i)
                if (scaled) v[i] *= gain;
            mix_inputs(v, 1);
#pragma GCC unroll 6
            for (int i = 0; i < high; ++i) d[i * SEEN + j] = v[i];
        }
        float* to = mixed + feature;
        for (int i = 0; i < high; ++i) {
            Vec v[SEEN];
#pragma GCC unroll 6
            for (int j = 0; j < SEEN; ++j) v[j] = d[i * SEEN + j];
            mix_inputs(v, 1);
#pragma GCC unroll 6
            for (int j = 0; j < wide; ++j) {
                const int k = i * SEEN + j;
                store(to + places.first[k] + tile * places.step[k], v[j]);
            }
        }
    }
}

// One tile of a quarter's products into 4x4 values, which `put` gets with their places.
template <int down, int across, class Put>
INLINE void unmix_tile(const float* products, const Places& places, long tile, const Put& put) {
    Vec m[TILE * SEEN];
    for (int j = 0; j < points_of(across); ++j) {
        Vec v[SEEN];
#pragma GCC unroll 6
        for (int i = 0; i < SEEN; ++i) {
            const int k = i * SEEN + j;
            v[i] = i < points_of(down) ? load(products + places.first[k] + tile * places.step[k]) : Vec{};
        }
        mix_outputs(v, 1);
#pragma GCC unroll 4
        for (int i = 0; i < TILE; ++i) m[i * SEEN + j] = v[i];
    }
    for (int i = 0; i < TILE; ++i) {
        Vec v[SEEN];
#pragma GCC unroll 6
        for (int j = 0; j < SEEN; ++j) v[j] = j < points_of(across) ? m[i * SEEN + j] : Vec{};
        mix_outputs(v, 1);
        for (int j = 0; j < TILE; ++j) put(i, j, v[j]);
    }
}

// Mixed weights of `count` features of a quarter in a panel (taps, ins, PANEL), to all its points.
template <int down, int across, class Number>
void mix_weights(const Number* panel, long ins, long count, const Places& places, float* mixed) {
    for (long at = 0; at < count * PANEL; at += LANES) {
        Vec rows[3 * SEEN];
#pragma GCC unroll 3
        for (int a = 0; a < down; ++a)
            mix_taps<across>([&](int b) { return load(panel + (a * across + b) * ins * PANEL + at); },
                             [&](int j, Vec value) { rows[a * SEEN + j] = value; });
        for (int j = 0; j < points_of(across); ++j)
            mix_taps<down>([&](int a) { return rows[a * SEEN + j]; },
                           [&](int i, Vec value) { store(mixed + places.first[i * SEEN + j] + at, value); });
    }
}

// Mixed weights of a filter of three steps, (3, ins, PANEL) to (6, ins, PANEL).
template <class Number>
void mix_step_weights(const Number* panel, long ins, float* mixed) {
    const long size = ins * PANEL;
    for (long at = 0; at < size; at += LANES)
        mix_taps<3>([&](int tap) { return load(panel + tap * size + at); },
                    [&](int k, Vec value) { store(mixed + k * size + at, value); });
}
