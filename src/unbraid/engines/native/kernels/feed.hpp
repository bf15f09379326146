// What tokens in panels (features, PANEL) pass: projections with a norm before, and feed-forward layers.
#pragma once
#include "lanes.hpp"

// out (panels, weights.rows, PANEL), `out_stride` floats from panel to panel <- weights times panels of x.
struct Projection {
    Matrix weights;
    Entrance entrance;
    const float* x;
    float* out;
    long out_stride, panels;
};

inline void project_tokens(const Projection& of, int threads) {
    const long size = long{PANEL} * of.weights.depth;
    const long step = even_share(of.panels, std::clamp((128L << 10) / size, 1L, 8L), threads);
    auto memory = scratches(threads, step * (size + 2 * PANEL) + long{SLICE} * of.weights.depth);
    in_parallel(ceil_div(of.panels, step), threads, [&](long piece, int thread) {
        const long first = piece * step;
        const int some = int(std::min(step, of.panels - first));
        float *entered = memory[thread].get(), *lanes = entered + step * size;
        for (int i = 0; i < some; ++i)
            enter(of.entrance, of.x + (first + i) * size, entered + i * size, lanes + i * 2 * PANEL);
        multiply(of.weights, Panels{entered, size, lanes, some}, lanes + step * 2 * PANEL,
                 Into<false>{of.out + first * of.out_stride, of.out_stride});
    });
}

// out += `out` of what attention found; then out += feed-forward of out; then a norm, if `last` has
// factors.
struct TokenFeed {
    Matrix out, wide, narrow;
    Entrance entrance, last;
    float out_size, gain;  // how large weights of `out` are; what hidden features are scaled by
    float *x, *found;      // panels of (width, PANEL) and (out.depth, PANEL)
    // Panels are in runs of equal length; `found` has one run behind the other. Strides are in floats.
    long runs, panels, run_stride, x_stride, found_stride;

    // So many panels that they stay in the second cache. Their hidden features do not, but what passes
    // most often is weights, which would come from the third cache or from memory for a few panels each time.
    long together(int threads) const {
        const long most = std::clamp((192L << 10) / (long{PANEL} * entrance.width), 1L, 16L);
        return even_share(panels, most, int(ceil_div(threads, runs)));
    }
};

inline void feed_panels(const TokenFeed& of, float* x, float* found, int count, long all, float* memory) {
    const long width = long{PANEL} * of.entrance.width, hidden = long{PANEL} * of.wide.rows;
    float *lanes = memory, *lanes2 = lanes + all * 2 * PANEL, *entered = lanes2 + all * 2 * PANEL;
    float *h = entered + all * width, *slice = h + all * hidden;
    for (int i = 0; i < count; ++i)
        enter_balanced(found + i * of.found_stride, of.out.depth, of.out_size, lanes + i * 2 * PANEL);
    multiply(of.out, Panels{found, of.found_stride, lanes, count}, slice, Into<true>{x, of.x_stride});
    for (int i = 0; i < count; ++i)
        enter(of.entrance, x + i * of.x_stride, entered + i * width, lanes + i * 2 * PANEL);
    multiply(of.wide, Panels{entered, width, lanes, count}, slice, Activated<Erf>{h, hidden, lanes2, of.gain});
    multiply(of.narrow, Panels{h, hidden, lanes2, count}, slice, Into<true>{x, of.x_stride});
    if (!of.last.factors) return;
    for (int i = 0; i < count; ++i) enter(of.last, x + i * of.x_stride, x + i * of.x_stride, nullptr);
}

inline void feed_tokens(const TokenFeed& of, int threads) {
    const long step = of.together(threads);
    const int deepest = std::max({of.out.depth, of.wide.depth, of.narrow.depth});
    auto memory = scratches(threads, step * PANEL * (4L + of.entrance.width + of.wide.rows) +
                                         long{SLICE} * deepest);
    const long pieces = ceil_div(of.panels, step);
    in_parallel(of.runs * pieces, threads, [&](long number, int thread) {
        const long run = number / pieces, first = number % pieces * step;
        feed_panels(of, of.x + run * of.run_stride + first * of.x_stride,
                    of.found + (run * of.panels + first) * of.found_stride,
                    int(std::min(step, of.panels - first)), step, memory[thread].get());
    });
}
