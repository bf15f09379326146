// Convolutions of 3x3 on maps that enter by norm and activation, by Winograd's F(4x4, 3x3): see filters.hpp.
//
// Weights are kept as they are, and mixed while a layer runs: all of them before it where tiles are many, else panel
// by panel.
#pragma once
#include "filters.hpp"
#include "maps.hpp"
#include "packing.hpp"

struct MapFilter {
    const void* packed;  // (panels, 9, ins, PANEL)
    const float* sizes;  // (36), how large inputs of size 1 are when they are mixed
    int bytes, ins, outs;
    int panels() const { return int(ceil_div(outs, PANEL)); }
    // Sums of so many products, or a few more, are added up by themselves: a long sum loses digits.
    static constexpr int DEEP = 64;
    int parts() const {
        const int least = int(ceil_div(ins, DEEP));
        for (int parts = least; parts < 2 * least; ++parts)
            if (ins % parts == 0) return parts;
        return 1;
    }
    int depth() const { return ins / parts(); }
};

// Mixed weights of `count` panels: (36, count, parts, ins / parts, PANEL). If anything is multiplied in pairs, they are
// scaled, and there are sums of products and what undoes the scale of each of 36.
class MixedPanels {
  public:
    MixedPanels(const MapFilter& of, int count)
        : count(count), of_(of), memory_(size() + POINTS * (long{count} * of.parts() * PANEL + 1)) {}

    // Mix panels from number `first` on.
    void mix(int first, int threads) {
        const long panel_size = long{of_.ins} * PANEL;
        in_parallel(count, threads, [&](long panel, int) {
            Places places;
            for (int k = 0; k < POINTS; ++k)  // kernels have time first, maps have frequency first
                places.first[k] = ((k % SEEN * SEEN + k / SEEN) * count + panel) * panel_size;
            const long from = (first + panel) * 9 * panel_size;
            const auto run = [&](auto* packed) {
                mix_weights<3, 3>(packed + from, of_.ins, of_.ins, places, memory_.get());
            };
            if (of_.bytes == 2)
                run(static_cast<const uint16_t*>(of_.packed));
            else
                run(static_cast<const float*>(of_.packed));
        });
        if (PAIRS)
            scale_mixed(memory_.get(), POINTS, count * of_.parts(), of_.depth(), of_.sizes, products(), undo(),
                        threads);
    }
    // Part of a panel at a point.
    PairedPanel part(int k, int panel, int part) const {
        const long number = (long{k} * count + panel) * of_.parts() + part;
        PairedPanel made{memory_.get() + number * of_.depth() * PANEL, {}, 1, false};
        if (!PAIRS) return made;
        const float* fixed = products() + number * PANEL;
        made.products[0] = load(fixed), made.products[1] = load(fixed + LANES), made.undo = undo()[k];
        return made;
    }

    const int count;

  private:
    long size() const { return long{of_.ins} * count * POINTS * PANEL; }
    float* products() const { return memory_.get() + size(); }
    float* undo() const { return products() + long{POINTS} * count * of_.parts() * PANEL; }

    const MapFilter& of_;
    Scratch memory_;
};

// Some tiles, number `first` and those behind it.
struct TileBlock {
    long row, column, down, across, first;
    long count() const { return down * across; }
};

// A map in blocks of tiles, `count` in each at most.
inline std::vector<TileBlock> tile_blocks(const JoinedMaps& in, long count, long widest) {
    const long down = ceil_div(in.rows, TILE), across = ceil_div(in.steps, TILE), wide = std::min(widest, across);
    const long high = std::max(1L, count / wide);
    std::vector<TileBlock> blocks;
    long first = 0;
    for (long row = 0; row < down; row += high)
        for (long column = 0; column < across; column += wide) {
            blocks.push_back({row, column, std::min(high, down - row), std::min(wide, across - column), first});
            first += blocks.back().count();
        }
    return blocks;
}

// Tiles of a convolution on one thread: what enters, mixed, and back.
class EnteredTiles {
  public:
    static constexpr long WIDE = 16, MANY = 96, FEATURES = 64;  // in a block, and those that are entered at once

    EnteredTiles(const MapFilter& of, const Entry& entry, const JoinedMaps& in, long tiles)
        : of_(of), entry_(entry), in_(in), gain_(power_to(size_of_some(entry, in), 1.0f)), tiles_(tiles),
          // A vector at the end of one map may reach beyond it.
          padded_(ceil_div(of.ins + (in.count - 1) * (LANES - 1), LANES) * LANES), left_{1, tiles, padded_},
          right_{1, tiles, PANEL}, to_left_(left_, 0), to_right_(right_, 0) {}

    long mixed_floats() const { return left_.floats() + POINTS * of_.parts() * tiles_; }
    long product_floats() const { return right_.floats(); }
    // The most that a block sees: one that is a tile wide.
    static long patch_floats() { return (MANY * TILE + 2) * (TILE + 2) * FEATURES; }

    // mixed <- B^T of what enters B of a block's tiles, from tile `begin` on.
    void enter(const TileBlock& block, long begin, float* patch, float* mixed) const {
        const long rows = block.down * TILE + 2, steps = block.across * TILE + 2;
        for (int map = 0; map < in_.count; ++map)
            for (long first = 0; first < in_.width; first += FEATURES) {
                const long some = std::min<long>(FEATURES, in_.width - first);
                fill(block, map, first, some, patch);
                const Image image{patch, steps * some, some, rows, steps};
                for (long n = 0; n < block.count(); ++n)
                    mix_tile<3, 3>(image, n / block.across * TILE, n % block.across * TILE, 1, some, to_left_,
                                   begin + n, mixed + map * in_.width + first);
            }
    }

    // Behind the mixed inputs of `count` tiles: sums of products of their pairs.
    void sum(long count, float* mixed) const {
        for (int k = 0; PAIRS && k < POINTS; ++k)
            for (int part = 0; part < of_.parts(); ++part)
                sum_pairs(rows(k, part, mixed), 0, count, sums(k, part, mixed));
    }

    // products <- mixed inputs times a panel of mixed weights.
    void multiply(const MixedPanels& weights, int panel, long count, float* mixed, float* products) const {
        for (int k = 0; k < POINTS; ++k)
            for (int part = 0; part < of_.parts(); ++part) {
                PairedPanel by = weights.part(k, panel, part);
                by.undo /= gain_;
                const auto run = [&](const auto& end) {
                    if (PAIRS)
                        paired_rows(rows(k, part, mixed), 0, count, by, sums(k, part, mixed), nullptr, 0, end);
                    else
                        product(rows(k, part, mixed), 0, count, by.at, nullptr, 1, end);
                };
                float* to = products + to_right_.first[k];
                part ? run(Write<Adding>{to, PANEL, PANEL}) : run(Write<Identity>{to, PANEL, PANEL});
            }
    }

    // out <- A^T products A of a block's tiles, from tile `begin` on, for a panel of features; or added to it.
    template <bool adding>
    void leave(const TileBlock& block, long begin, const float* products, int panel, float* out) const {
        const long outs = of_.outs;
        for (long n = 0; n < block.count(); ++n) {
            const long row = (block.row + n / block.across) * TILE, step = (block.column + n % block.across) * TILE;
            for (int half = 0; half < PANEL; half += LANES) {
                const long feature = long{panel} * PANEL + half;
                const int lanes = int(std::min<long>(LANES, outs - feature));
                if (lanes <= 0) break;
                unmix_tile<3, 3>(products + half, to_right_, begin + n, [&](int i, int j, Vec value) {
                    if (row + i >= in_.rows || step + j >= in_.steps) return;
                    float* to = out + ((row + i) * in_.steps + step + j) * outs + feature;
                    store_some(to, adding ? load_some(to, lanes) + value : value, lanes);
                });
            }
        }
    }

    // Those of features [first, first + count) of a block are added to `found`.
    void moments(const TileBlock& block, const float* out, int first, int count, double* found) const {
        const long steps = std::min(block.across * TILE, in_.steps - block.column * TILE);
        for (long row = block.row * TILE; row < std::min((block.row + block.down) * TILE, in_.rows); ++row) {
            const float* at = out + (row * in_.steps + block.column * TILE) * of_.outs + first;
            add_moments({at, of_.outs, steps}, count, of_.outs, found + first);
        }
    }

  private:
    Rows rows(int k, int part, const float* mixed) const {
        return Rows(mixed + to_left_.first[k] + part * of_.depth(), of_.depth(), padded_);
    }
    float* sums(int k, int part, float* mixed) const {
        return mixed + left_.floats() + (long{k} * of_.parts() + part) * tiles_;
    }

    // patch <- features of a block's pixels and those around it, as they enter; silence around the map.
    void fill(const TileBlock& block, int map, long first, long some, float* patch) const {
        const long steps = block.across * TILE + 2, left = block.column * TILE - 1;
        const long begin = std::max(0L, -left), end = std::min(steps, in_.steps - left);
        for (long r = 0; r < block.down * TILE + 2; ++r, patch += steps * some) {
            const long row = block.row * TILE - 1 + r;
            if (row < 0 || row >= in_.rows) {
                std::memset(patch, 0, steps * some * sizeof(float));
                continue;
            }
            std::memset(patch, 0, begin * some * sizeof(float));
            const Pixels in{in_.of(map, row) + (left + begin) * in_.width + first, in_.width, end - begin};
            enter_pixels(entry_, in, int(map * in_.width + first), int(some), gain_, patch + begin * some, some);
            std::memset(patch + end * some, 0, (steps - end) * some * sizeof(float));
        }
    }

    const MapFilter& of_;
    const Entry& entry_;
    const JoinedMaps& in_;
    float gain_;
    long tiles_, padded_;
    Side left_, right_;
    Places to_left_, to_right_;
};

// Blocks of tiles, one after the other, with all weights.
template <bool adding>
void convolve_blocks(const MapFilter& of, const Entry& entry, const JoinedMaps& in, float* out, double* moments,
                     int threads) {
    const auto blocks = tile_blocks(in, EnteredTiles::MANY, EnteredTiles::WIDE);
    const EnteredTiles tiles(of, entry, in, EnteredTiles::MANY);
    MixedPanels all(of, of.panels());
    all.mix(0, threads);
    auto memory = scratches(threads, tiles.patch_floats() + tiles.mixed_floats() + tiles.product_floats());
    FoundMoments found(long(blocks.size()), of.outs);
    in_parallel(long(blocks.size()), threads, [&](long number, int thread) {
        const TileBlock& block = blocks[number];
        float *patch = memory[thread].get(), *mixed = patch + tiles.patch_floats();
        float* products = mixed + tiles.mixed_floats();
        tiles.enter(block, 0, patch, mixed);
        tiles.sum(block.count(), mixed);
        for (int panel = 0; panel < of.panels(); ++panel) {
            tiles.multiply(all, panel, block.count(), mixed, products);
            tiles.leave<adding>(block, 0, products, panel, out);
        }
        tiles.moments(block, out, 0, of.outs, found.of(number));
    });
    found.add_up(moments);
}

// All tiles with one panel of weights after the other.
template <bool adding>
void convolve_panels(const MapFilter& of, const Entry& entry, const JoinedMaps& in, float* out, double* moments,
                     int threads) {
    const auto blocks = tile_blocks(in, EnteredTiles::MANY / 4, EnteredTiles::WIDE / 2);
    const long count = blocks.back().first + blocks.back().count();
    const EnteredTiles tiles(of, entry, in, count);
    Scratch mixed(tiles.mixed_floats());
    auto patches = scratches(threads, tiles.patch_floats());
    in_parallel(long(blocks.size()), threads, [&](long number, int thread) {
        tiles.enter(blocks[number], blocks[number].first, patches[thread].get(), mixed.get());
    });
    tiles.sum(count, mixed.get());
    std::vector<MixedPanels> weights;
    for (int thread = 0; thread < threads; ++thread) weights.emplace_back(of, 1);
    auto products = scratches(threads, tiles.product_floats());
    FoundMoments found(1, of.outs);
    in_parallel(of.panels(), threads, [&](long panel, int thread) {
        weights[thread].mix(int(panel), 1);
        tiles.multiply(weights[thread], 0, count, mixed.get(), products[thread].get());
        const int first = int(panel) * PANEL, some = std::min(PANEL, of.outs - first);
        for (const TileBlock& block : blocks) {
            tiles.leave<adding>(block, block.first, products[thread].get(), int(panel), out);
            tiles.moments(block, out, first, some, found.of(0));
        }
    });
    found.add_up(moments);
}

// out <- conv3x3 of what enters, or added to it; and the moments of what is then there.
inline void convolve_maps(const MapFilter& of, const Entry& entry, const JoinedMaps& in, float* out, bool adding,
                          double* moments, int threads) {
    constexpr long FEW = 256;  // tiles: as many as one panel of weights goes with at once
    const bool few = ceil_div(in.rows, TILE) * ceil_div(in.steps, TILE) <= FEW;
    const auto run = few      ? (adding ? convolve_panels<true> : convolve_panels<false>)
                     : adding ? convolve_blocks<true>
                              : convolve_blocks<false>;
    run(of, entry, in, out, moments, threads);
}
