// Attention whose scores fall with distance, head by head and in blocks of queries.
// Source: arXiv:2111.03600, section 3.3; as `models/layers/attention.py` writes it.
#pragma once
#include <cmath>

#include "parallel.hpp"
#include "product.hpp"

// projected (steps, projected_width): queries, already divided by sqrt(depth), keys, contents, each
// heads * depth wide, then heads * decays rates before their sigmoid. found (steps, heads * depth).
inline void attend(const float* projected, long projected_width, long steps, int heads, int depth,
                   int decays, float* found, int threads) {
    constexpr long block = 48;
    const long width = long(heads) * depth, blocks = ceil_div(steps, block);
    const long key_panels = ceil_div(steps, PANEL), depth_panels = ceil_div(depth, PANEL);
    const long keys_size = key_panels * PANEL * depth, contents_size = depth_panels * PANEL * steps;
    const long score_width = key_panels * PANEL;
    // Zeros where a panel is not full: all of it counts when weights are scaled.
    Scratch packed = silence_of(heads * (keys_size + contents_size));
    in_parallel(heads, threads, [&](long head, int) {
        float* keys = packed.get() + head * (keys_size + contents_size);
        float* contents = keys + keys_size;
        const float* key = projected + width + head * depth;
        const float* content = projected + 2 * width + head * depth;
        for (long t = 0; t < steps; ++t)
            for (int d = 0; d < depth; ++d) {
                keys[(t / PANEL * depth + d) * PANEL + t % PANEL] = key[t * projected_width + d];
                contents[(d / PANEL * steps + t) * PANEL + d % PANEL] =
                    content[t * projected_width + d];
            }
    });
    auto memory = scratches(threads, block * score_width);
    in_parallel(heads * blocks, threads, [&](long number, int thread) {
        const long head = number / blocks, first = number % blocks * block;
        const long count = std::min(block, steps - first);
        const float* keys = packed.get() + head * (keys_size + contents_size);
        float* scores = memory[thread].get();
        product(Rows(projected + first * projected_width + head * depth, depth, projected_width), 0,
                count, keys, nullptr, int(key_panels),
                Write<Identity>{scores, score_width, int(score_width)});
        for (long i = 0; i < count; ++i) {
            float* row = scores + i * score_width;
            const float* rates =
                projected + (first + i) * projected_width + 3 * width + head * decays;
            float decay = 0;
            for (int k = 0; k < decays; ++k)
                decay += (k + 1) / std::sqrt(float(decays)) * sigmoid(all(rates[k]))[0] / 2;
            Vec highest = all(-1e30f), away = ascending() - float(first + i);
            for (long t = 0; t < score_width; t += LANES, away = away + float(LANES)) {
                const Vec score = load(row + t) - decay * (away < Vec{} ? -away : away);
                store(row + t, score);
            }
            row[first + i] = -100.0f;
            for (long t = steps; t < score_width; ++t) row[t] = -1e30f;
            for (long t = 0; t < score_width; t += LANES) highest = larger(highest, load(row + t));
            float most = highest[0];
            for (int lane = 1; lane < LANES; ++lane) most = std::max(most, highest[lane]);
            Vec total{};
            for (long t = 0; t < score_width; t += LANES) {
                const Vec weight = exponential(load(row + t) - most);
                store(row + t, weight);
                total += weight;
            }
            // Padding counts as exp(-87), 1e-38: nothing.
            const float share = 1 / sum(total);
            for (long t = 0; t < score_width; t += LANES) store(row + t, load(row + t) * share);
        }
        const Rows weights(scores, int(steps), score_width);
        product(weights, 0, count, keys + keys_size, nullptr, int(depth_panels),
                Write<Identity>{found + first * width + head * depth, width, depth});
    });
}
