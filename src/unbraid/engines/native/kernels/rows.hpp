// Rows of signals that products read, and what happens to their results on the way out.
#pragma once
#include <algorithm>
#include <type_traits>

#include "parallel.hpp"
#include "vectors.hpp"

constexpr int PANEL = 2 * LANES;
constexpr int ROWS = LANES == 16 ? 12 : 6;  // with two vectors each: what the registers hold
constexpr int MOST_TAPS = 9;

struct Rows {
    const float* at[MOST_TAPS];
    int taps;
    int depth;
    long stride;

    Rows(const float* first, int depth, long stride)
        : at{first}, taps(1), depth(depth), stride(stride) {}
};

struct Identity {
    static constexpr bool reads = false;
    INLINE Vec operator()(Vec value, Vec) const { return value; }
};
struct Gelu {
    static constexpr bool reads = false;
    INLINE Vec operator()(Vec value, Vec) const { return gelu(value); }
};
struct Adding {
    static constexpr bool reads = true;
    INLINE Vec operator()(Vec value, Vec before) const { return before + value; }
};
struct AddingGelu {
    static constexpr bool reads = true;
    INLINE Vec operator()(Vec value, Vec before) const { return before + gelu(value); }
};

// Where results go and what happens to them on the way. `columns` counts what is written.
template <class F>
struct Write {
    float* out;
    long stride;
    int columns;
    INLINE void operator()(long row, int panel, Vec a, Vec b) const {
        float* at = out + row * stride + panel * PANEL;
        const int left = columns - panel * PANEL;
        put(at, a, left);
        if (left > LANES) put(at + LANES, b, left - LANES);
    }
    // Whether only the first half of a panel is written.
    bool half_of(int panel) const { return columns - panel * PANEL <= LANES; }
    static INLINE void put(float* at, Vec value, int count) {
        store_some(at, F{}(value, F::reads ? load_some(at, count) : Vec{}), count);
    }
};

// value * sigmoid(gate); to what is there already if `add`.
template <bool add>
struct Gated {
    float* out;
    long stride;
    int columns;
    bool half_of(int) const { return false; }
    INLINE void operator()(long row, int panel, Vec value, Vec gate) const {
        float* at = out + row * stride + panel * LANES;
        const int left = columns - panel * LANES;
        const Vec result = value * sigmoid(gate);
        store_some(at, add ? load_some(at, left) + result : result, left);
    }
};
