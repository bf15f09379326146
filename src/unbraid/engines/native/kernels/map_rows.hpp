// Linear maps along the rows of a map, and its two ends: a spectrum becomes a map, a map becomes spectra.
#pragma once
#include "lanes.hpp"
#include "maps.hpp"

// out (weights.rows, columns) <- weights times what enters of `in` (weights.depth, columns), or added to it. A column
// is a feature of a frame: a token in a lane.
struct RowsProduct {
    Matrix weights;
    Entry entry;
    const float* in;
    float* out;
    long columns;
    float size;  // how large the weights are
    int width, adding;

    int together() const { return int(std::clamp((96L << 10) / (long{PANEL} * weights.depth), 1L, 8L)); }
};

// Epilogue: rows go to rows of a map, whose moments are found for each lane.
template <bool adding>
struct IntoMap {
    float* to;
    long stride, columns;
    double* found;  // (2, panels * PANEL)
    long apart;
    template <int rows>
    INLINE void take(int panel, int row, int count, const Vec* left, const Vec* right) const {
        take_half<rows>(long{panel} * PANEL, row, count, left);
        take_half<rows>(long{panel} * PANEL + LANES, row, count, right);
    }

  private:
    template <int rows>
    INLINE void take_half(long column, int row, int count, const Vec* values) const {
        const int some = int(std::min<long>(LANES, columns - column));
        if (some <= 0) return;
        float* at = to + row * stride + column;
        Vec sums{}, squares{};
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r, at += stride) {
            if (r >= count) break;
            const Vec value = adding ? values[r] + load_some(at, some) : values[r];
            store_some(at, value, some);
            sums += value, squares += value * value;
        }
        for (int half = 0; half < 2; ++half) {
            add_half(sums, half, found + column);
            add_half(squares, half, found + apart + column);
        }
    }
    static INLINE void add_half(Vec value, int half, double* to) {
        Double total;
        std::memcpy(&total, to + half * HALF, sizeof total);
        total += doubles(reinterpret_cast<const float*>(&value) + half * HALF);
        std::memcpy(to + half * HALF, &total, sizeof total);
    }
};

// panels (panels, depth, PANEL) <- columns from number `first` on as they enter, times `scale`; `lanes` as `Panels`
// wants them. Row by row, so that what lies side by side is read together.
template <int activation>
void enter_columns(const RowsProduct& of, long first, int panels, float scale, float* to, float* lanes) {
    const long depth = of.weights.depth, size = depth * PANEL;
    for (int i = 0; i < 2 * panels; ++i) {
        store(lanes + i / 2 * 2 * PANEL + i % 2 * LANES, Vec{});
        store(lanes + (i / 2 * 2 + 1) * PANEL + i % 2 * LANES, all(1 / scale));
    }
    for (long k = 0; k < depth; ++k)
        for (int i = 0; i < 2 * panels; ++i) {
            const long column = first + long{i} * LANES, feature = column % of.width;
            const int some = int(std::min<long>(LANES, of.columns - column));
            Vec value{};
            if (some > 0) {
                value = load_some(of.in + k * of.columns + column, some) * load(of.entry.gain + feature);
                value = scale * activated<activation>(value + load(of.entry.shift + feature), of.entry.alpha);
            }
            const int lane = i % 2 * LANES;
            float *at = to + i / 2 * size + k * PANEL + lane, *sums = lanes + i / 2 * 2 * PANEL + lane;
            store(at, value);
            if (k % 3 == 2) store(sums, load(sums) + load(at - PANEL) * load(at - 2 * PANEL));
        }
}

template <bool adding>
void multiply_rows_as(const RowsProduct& of, double* moments, int threads) {
    const int together = of.together(), depth = of.weights.depth;
    const long size = long{depth} * PANEL, step = together * PANEL, pieces = ceil_div(of.columns, step);
    const JoinedMaps in{{of.in, nullptr}, 1, depth, of.columns / of.width, of.width};
    const float scale = of.weights.paired() ? power_to(size_of_some(of.entry, in), of.size) : 1.0f;
    auto memory = scratches(threads, together * (size + 2 * PANEL) + long{SLICE} * depth);
    std::vector<double> found(pieces * 2 * step);
    in_parallel(pieces, threads, [&](long piece, int thread) {
        const long first = piece * step, columns = std::min(step, of.columns - first);
        const int panels = int(ceil_div(columns, PANEL));
        float *entered = memory[thread].get(), *lanes = entered + together * size;
        float* slice = lanes + together * 2 * PANEL;
        with_activation(of.entry.activation, [&](auto activation) {
            enter_columns<activation>(of, first, panels, scale, entered, lanes);
        });
        multiply(of.weights, Panels{entered, size, lanes, panels}, slice,
                 IntoMap<adding>{of.out + first, of.columns, columns, &found[piece * 2 * step], step});
    });
    std::fill(moments, moments + 2 * of.width, 0.0);
    for (long column = 0; column < of.columns; ++column) {
        const double* from = &found[column / step * 2 * step + column % step];
        moments[column % of.width] += from[0], moments[of.width + column % of.width] += from[step];
    }
}

inline void multiply_rows(const RowsProduct& of, double* moments, int threads) {
    if (of.adding)
        multiply_rows_as<true>(of, moments, threads);
    else
        multiply_rows_as<false>(of, moments, threads);
}

// Both ends of a network on subbands: spectra are (bands * rows, steps, parts), and `parts` of all bands are the
// features of a pixel.
struct MapEnds {
    const float *enter, *mix, *leave;  // packed: bands * parts x width; that and width x width; width x bands * outs
    Entry entry;                       // between the last two
    int bands, parts, outs, width;
    long rows, steps;

    int features() const { return bands * parts; }
    // A row of features <- those of all bands; each is `stride` floats from the next.
    void gather(const float* spectrum, long row, float* to, long stride) const {
        for (int band = 0; band < bands; ++band) {
            const float* from = spectrum + (band * rows + row) * steps * parts;
            for (long step = 0; step < steps; ++step)
                std::memcpy(to + step * stride + band * parts, from + step * parts, parts * sizeof(float));
        }
    }
    // features x weights; rows of features are `stride` floats apart.
    void enter_row(const float* features_at, long stride, float* to, long to_stride) const {
        product(Rows(features_at, features(), stride), 0, steps, enter, nullptr, int(ceil_div(width, PANEL)),
                Write<Identity>{to, to_stride, width});
    }
};

// out (rows, steps, width) <- the spectrum's features times weights; and the moments of that.
inline void enter_map(const MapEnds& of, const float* spectrum, float* out, double* moments, int threads) {
    auto memory = scratches(threads, of.steps * of.features());
    FoundMoments found(of.rows, of.width);
    in_parallel(of.rows, threads, [&](long row, int thread) {
        float *features = memory[thread].get(), *to = out + row * of.steps * of.width;
        of.gather(spectrum, row, features, of.features());
        of.enter_row(features, of.features(), to, of.width);
        add_moments({to, of.width, of.steps}, of.width, of.width, found.of(row));
    });
    found.add_up(moments);
}

// out (bands * rows, steps, outs) <- what two linear maps with an activation between make of the spectrum's features
// and, behind them, x times what `enter_map` made of those.
inline void leave_map(const MapEnds& of, const float* spectrum, const float* x, float* out, int threads) {
    const long both = of.features() + of.width, made = long{of.bands} * of.outs;
    auto memory = scratches(threads, of.steps * (both + of.width + made));
    in_parallel(of.rows, threads, [&](long row, int thread) {
        float *seen = memory[thread].get(), *hidden = seen + of.steps * both, *result = hidden + of.steps * of.width;
        of.gather(spectrum, row, seen, both);
        of.enter_row(seen, both, seen + of.features(), both);
        for (long step = 0; step < of.steps; ++step) {
            float* gated = seen + step * both + of.features();
            const float* by = x + (row * of.steps + step) * of.width;
            for (int c = 0; c < of.width; ++c) gated[c] *= by[c];
        }
        product(Rows(seen, int(both), both), 0, of.steps, of.mix, nullptr, int(ceil_div(of.width, PANEL)),
                Write<Identity>{hidden, of.width, of.width});
        enter_pixels(of.entry, {hidden, of.width, of.steps}, 0, of.width, 1.0f, hidden, of.width);
        product(Rows(hidden, of.width, of.width), 0, of.steps, of.leave, nullptr, int(ceil_div(made, PANEL)),
                Write<Identity>{result, made, int(made)});
        for (int band = 0; band < of.bands; ++band)
            for (long step = 0; step < of.steps; ++step)
                std::memcpy(out + ((band * of.rows + row) * of.steps + step) * of.outs,
                            result + step * made + band * of.outs, of.outs * sizeof(float));
    });
}
