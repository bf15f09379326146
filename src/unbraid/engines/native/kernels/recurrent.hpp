// One layer of an LSTM, both directions at once. All gates of LANES units are made in registers, for
// three sequences at a time, and the cell is updated there.
//
// Everything four times as wide as the state is in blocks of 4 * LANES: input, forget, cell and
// output gate of the same LANES units.
#pragma once
#include "parallel.hpp"
#include "vectors.hpp"

struct LstmDirection {
    const float* inputs;  // W x + both biases; step t of sequence b is at t * step + b * sequence
    const float* packed;  // (units / LANES, units, 4 * LANES)
    float* out;           // (steps, sequences, out_width), this direction's part
};

struct LstmShape {
    long steps, sequences, units, input_step, input_sequence, out_width;
};

template <int rows>
INLINE void lstm_tile(const LstmDirection& of, const LstmShape& shape, long t, long b, long block,
                      const float* state, float* next, float* cells) {
    Vec gates[rows][4];
    const float* weight = of.packed + block * shape.units * 4 * LANES;
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
        for (int g = 0; g < 4; ++g)
            gates[r][g] = load(of.inputs + t * shape.input_step + (b + r) * shape.input_sequence +
                               (block * 4 + g) * LANES);
    for (long k = 0; k < shape.units; ++k, weight += 4 * LANES) {
        const Vec w0 = load(weight), w1 = load(weight + LANES), w2 = load(weight + 2 * LANES),
                  w3 = load(weight + 3 * LANES);
#pragma GCC unroll 4
        for (int r = 0; r < rows; ++r) {
            const Vec x = all(state[(b + r) * shape.units + k]);
            gates[r][0] += x * w0;
            gates[r][1] += x * w1;
            gates[r][2] += x * w2;
            gates[r][3] += x * w3;
        }
    }
    for (int r = 0; r < rows; ++r) {
        const long at = (b + r) * shape.units + block * LANES;
        const Vec cell = sigmoid(gates[r][1]) * load(cells + at) +
                         sigmoid(gates[r][0]) * hyperbolic_tangent(gates[r][2]);
        const Vec hidden = sigmoid(gates[r][3]) * hyperbolic_tangent(cell);
        store(cells + at, cell);
        store(next + at, hidden);
        store(of.out + (t * shape.sequences + b + r) * shape.out_width + block * LANES, hidden);
    }
}

inline void run_direction(const LstmDirection& of, const LstmShape& shape, bool backwards) {
    const long size = shape.sequences * shape.units;
    Scratch memory = silence_of(3 * size);
    float *state = memory.get(), *next = state + size, *cells = next + size;
    for (long i = 0; i < shape.steps; ++i, std::swap(state, next)) {
        const long t = backwards ? shape.steps - 1 - i : i;
        for (long block = 0; block < shape.units / LANES; ++block) {
            long b = 0;
            for (; b + 3 <= shape.sequences; b += 3)
                lstm_tile<3>(of, shape, t, b, block, state, next, cells);
            if (shape.sequences - b == 2) lstm_tile<2>(of, shape, t, b, block, state, next, cells);
            if (shape.sequences - b == 1) lstm_tile<1>(of, shape, t, b, block, state, next, cells);
        }
    }
}

// One direction of a GRU over one sequence: reset, update and new value as in torch.
struct GruDirection {
    const float* inputs;  // W x + bias, (steps, 3 * units)
    const float* packed;  // (units / LANES, units, 3 * LANES)
    const float* bias;    // (3 * units), of what the state gives
    float* out;           // (steps, out_width), this direction's part
};

inline void run_gru(const GruDirection& of, long steps, long units, long out_width, bool backwards) {
    Scratch memory = silence_of(2 * units);
    float *state = memory.get(), *next = state + units;
    for (long i = 0; i < steps; ++i, std::swap(state, next)) {
        const long t = backwards ? steps - 1 - i : i;
        for (long at = 0; at < units; at += LANES) {
            const float* weight = of.packed + at * units * 3;
            Vec sums[4][3]{};  // four at a time, so that none waits for the one before
            for (long k = 0; k < units; k += 4)
#pragma GCC unroll 4
                for (int r = 0; r < 4; ++r, weight += 3 * LANES) {
                    const Vec x = all(state[k + r]);
                    sums[r][0] += x * load(weight);
                    sums[r][1] += x * load(weight + LANES);
                    sums[r][2] += x * load(weight + 2 * LANES);
                }
            Vec own[3];
            for (int g = 0; g < 3; ++g)
                own[g] = (sums[0][g] + sums[1][g]) + (sums[2][g] + sums[3][g]) +
                         load(of.bias + g * units + at);
            const float* coming = of.inputs + t * 3 * units + at;
            const Vec reset = sigmoid(load(coming) + own[0]);
            const Vec update = sigmoid(load(coming + units) + own[1]);
            const Vec fresh = hyperbolic_tangent(load(coming + 2 * units) + reset * own[2]);
            const Vec value = fresh + update * (load(state + at) - fresh);
            store(next + at, value);
            store(of.out + t * out_width + at, value);
        }
    }
}
