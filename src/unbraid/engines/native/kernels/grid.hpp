// What RoFormers do with a grid of tokens (bands, panels, width, PANEL) besides attention: bands of a
// spectrum become tokens, each token passes a feed-forward layer, and tokens become masks.
#pragma once
#include "axes.hpp"
#include "feed.hpp"

// A band of a spectrum (panels, rows, PANEL) from `row` on: a norm and a linear map.
struct BandEntrance {
    Matrix matrix;
    Entrance entrance;
    long row;
};

// tokens (bands, panels, width, PANEL) <- spectrum (panels, rows, PANEL)
inline void embed_bands(const BandEntrance* bands, long count, const float* spectrum, long rows, long panels,
                        float* tokens, int threads) {
    int deepest = 0;
    for (long band = 0; band < count; ++band) deepest = std::max(deepest, bands[band].matrix.depth);
    auto memory = scratches(threads, long{deepest} * (TOGETHER * PANEL + SLICE) + TOGETHER * 2 * PANEL);
    const long pieces = ceil_div(panels, TOGETHER);
    in_parallel(count * pieces, threads, [&](long number, int thread) {
        const BandEntrance& band = bands[number / pieces];
        const long first = number % pieces * TOGETHER, size = long{PANEL} * band.matrix.depth;
        const int some = int(std::min<long>(TOGETHER, panels - first));
        float *lanes = memory[thread].get(), *entered = lanes + TOGETHER * 2 * PANEL;
        for (int i = 0; i < some; ++i)
            enter(band.entrance, spectrum + ((first + i) * rows + band.row) * PANEL, entered + i * size,
                  lanes + i * 2 * PANEL);
        const long width = long{PANEL} * band.matrix.rows;
        multiply(band.matrix, Panels{entered, size, lanes, some}, entered + TOGETHER * size,
                 Into<false>{tokens + (number / pieces * panels + first) * width, width});
    });
}

// The network of one band and stem that makes a part of a mask: `count` linear maps with tanh behind
// all but the last, whose rows are values and gates by turns. `gains` scale hidden features.
struct BandMask {
    const Matrix* matrices;
    const float* gains;
    Entrance entrance;
    int count;
    long row;

    int deepest() const {
        int most = 0;
        for (int i = 0; i < count; ++i) most = std::max(most, matrices[i].depth);
        return most;
    }
};

inline void mask_panels(const BandMask& of, const float* tokens, float* masks, long stride, int count,
                        long deepest, float* memory) {
    const long size = PANEL * deepest;
    float *lanes[2] = {memory, memory + TOGETHER * 2 * PANEL}, *slice = memory + TOGETHER * 4 * PANEL;
    float* h[2] = {slice + SLICE * deepest, slice + SLICE * deepest + TOGETHER * size};
    for (int i = 0; i < count; ++i)
        enter(of.entrance, tokens + long{i} * PANEL * of.entrance.width, h[0] + i * size,
              lanes[0] + i * 2 * PANEL);
    for (int layer = 0; layer < of.count; ++layer) {
        const int here = layer % 2, next = 1 - here;
        const Panels in{h[here], size, lanes[here], count};
        if (layer + 1 < of.count)
            multiply(of.matrices[layer], in, slice, Activated<Tanh>{h[next], size, lanes[next], of.gains[layer]});
        else
            multiply(of.matrices[layer], in, slice, Halved{masks, stride});
    }
}

// masks (some panels, rows, PANEL) <- tokens (bands, panels, width, PANEL), of each band from its address on
inline void mask_bands(const BandMask* bands, long count, const float* tokens, long panels, long some,
                       float* masks, long rows, int threads) {
    int deepest = 0;
    for (long band = 0; band < count; ++band) deepest = std::max(deepest, bands[band].deepest());
    auto memory = scratches(threads, long{deepest} * (2 * TOGETHER * PANEL + SLICE) + TOGETHER * 4 * PANEL);
    const long pieces = ceil_div(some, TOGETHER);
    in_parallel(count * pieces, threads, [&](long number, int thread) {
        const BandMask& band = bands[number / pieces];
        const long first = number % pieces * TOGETHER;
        mask_panels(band, tokens + (number / pieces * panels + first) * PANEL * band.entrance.width,
                    masks + (first * rows + band.row) * PANEL, rows * PANEL,
                    int(std::min<long>(TOGETHER, some - first)), deepest, memory[thread].get());
    });
}

// Where a spectrum's bins are in the rows of all bands: those of bin b are places[starts[b]] up to
// places[starts[b + 1]], in bins.
struct BandPlaces {
    const long *starts, *places;
    long bins, rows;  // rows of all masks, 2 * channels for each bin of each band
    int channels, silence_dc;
};

// out (panels, bins * channels * 2, PANEL) <- spectrum of the same shape times the mean mask.
inline void mask_spectrum(const BandPlaces& of, const float* spectrum, const float* masks, long panels,
                          float* out, int threads) {
    const int pairs = 2 * of.channels;
    in_parallel(panels, threads, [&](long panel, int) {
        for (long bin = 0; bin < of.bins; ++bin)
            for (int channel = 0; channel < of.channels; ++channel)
                for (int half = 0; half < PANEL; half += LANES) {
                    Vec re{}, im{};
                    for (long i = of.starts[bin]; i < of.starts[bin + 1]; ++i) {
                        const float* at = masks + half +
                                          (panel * of.rows + of.places[i] * pairs + 2 * channel) * PANEL;
                        re += load(at), im += load(at + PANEL);
                    }
                    const float share = of.silence_dc && bin == 0
                                            ? 0.0f
                                            : 1.0f / float(of.starts[bin + 1] - of.starts[bin]);
                    const long here = ((panel * of.bins + bin) * pairs + 2 * channel) * PANEL + half;
                    const Vec x = load(spectrum + here), y = load(spectrum + here + PANEL);
                    store(out + here, (x * re - y * im) * share);
                    store(out + here + PANEL, (x * im + y * re) * share);
                }
    });
}
