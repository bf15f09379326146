// What the library offers to Python, see ../library.py. Arrays are float32, sizes are in elements.
#include "attention.hpp"
#include "bands.hpp"
#include "fourier.hpp"
#include "grid.hpp"
#include "map_filters.hpp"
#include "map_rows.hpp"
#include "masks.hpp"
#include "packing.hpp"
#include "recurrent.hpp"
#include "sequences.hpp"
#include "spectral.hpp"
#include "tokens.hpp"
#include "transform.hpp"
#include "winograd.hpp"

extern "C" {

#ifndef UNBRAID_SOURCES
#define UNBRAID_SOURCES ""
#endif
// What the library was built from, as ../build.py names it.
const char* unbraid_sources() { return UNBRAID_SOURCES; }
int unbraid_lanes() { return LANES; }

// Of numbers of 2 or 4 bytes, into numbers of as many, or from 2 into 4.
void unbraid_pack(const void* from, int bytes, const long* offsets, long panels, int width,
                  long taps, long depth, long tap_stride, long row_stride, void* packed,
                  int packed_bytes, int threads) {
    const int few = panels * width * taps * depth < (1 << 18) ? 1 : threads;
    const auto to = [&](auto* number, auto* into) {
        pack(number, offsets, panels, width, taps, depth, tap_stride, row_stride, into, few);
    };
    if (packed_bytes == 2)
        to(static_cast<const uint16_t*>(from), static_cast<uint16_t*>(packed));
    else if (bytes == 2)
        to(static_cast<const uint16_t*>(from), static_cast<float*>(packed));
    else
        to(static_cast<const float*>(from), static_cast<float*>(packed));
}

void unbraid_pack_mixed(const void* from, int bytes, const long* offsets, long panels, long taps,
                        long depth, long tap_stride, long row_stride, const float* mixing,
                        long outs, float* packed, int threads) {
    if (bytes == 2)
        pack_mixed(static_cast<const uint16_t*>(from), offsets, panels, taps, depth, tap_stride,
                   row_stride, mixing, outs, packed, threads);
    else
        pack_mixed(static_cast<const float*>(from), offsets, panels, taps, depth, tap_stride,
                   row_stride, mixing, outs, packed, threads);
}

void unbraid_scale_mixed(float* packed, long outs, long panels, long depth, const float* sizes, float* products,
                         float* undo, int threads) {
    scale_mixed(packed, outs, panels, depth, sizes, products, undo, threads);
}

}  // extern "C"

namespace {
template <class Number>
void product_on_threads(const Rows& a, long rows, const Number* packed, const float* bias, int panels,
                        int then, float* out, long out_stride, int columns, int threads) {
    // Few rows and many panels are shared out by panels, all else by rows.
    const bool wide = rows < 2048 && panels >= 4 * threads;
    const long share = wide ? ceil_div(panels, 4L * threads) : ROWS * ceil_div(512, ROWS);
    const long size = long(PANEL) * a.taps * a.depth;
    in_parallel(ceil_div(wide ? panels : rows, share), threads, [&](long piece, int) {
        const long first = piece * share;
        const long begin = wide ? 0 : first, end = wide ? rows : std::min(rows, first + share);
        const int skip = wide ? int(first) : 0;
        const int count = wide ? int(std::min<long>(share, panels - first)) : panels;
        const Number* weight = packed + skip * size;
        const float* shift = bias ? bias + skip * PANEL : nullptr;
        const int written = then == 3 ? LANES : PANEL, left = columns - skip * written;
        float* to = out + skip * written;
        const auto run = [&](const auto& epilogue) {
            product(a, begin, end, weight, shift, count, epilogue);
        };
        if (then == 0) run(Write<Identity>{to, out_stride, left});
        if (then == 1) run(Write<Gelu>{to, out_stride, left});
        if (then == 2) run(Write<Adding>{to, out_stride, left});
        if (then == 3) run(Gated<false>{to, out_stride, left});
        if (then == 4) run(Write<AddingGelu>{to, out_stride, left});
    });
}
}  // namespace

extern "C" {

// out <- what `then` makes of A B + bias: 0 nothing, 1 GELU, 2 added to out, 3 gated, 4 GELU added
// to out. Row m of A is at[tap] + m * stride, `depth` long, for each tap; B is of `bytes` a number.
void unbraid_product(const float* const* at, int taps, int depth, long stride, long rows,
                     const void* packed, int bytes, const float* bias, int panels, int then,
                     float* out, long out_stride, int columns, int threads) {
    Rows a(at[0], depth, stride);
    a.taps = taps;
    for (int tap = 0; tap < taps; ++tap) a.at[tap] = at[tap];
    if (bytes == 2)
        product_on_threads(a, rows, static_cast<const uint16_t*>(packed), bias, panels, then, out,
                           out_stride, columns, threads);
    else
        product_on_threads(a, rows, static_cast<const float*>(packed), bias, panels, then, out,
                           out_stride, columns, threads);
}

// Rows of out <- what `then`, as above but not 3, makes of W0 hop[m] + W1 hop[m + 1] + bias; see
// pairs.hpp.
void unbraid_filter_hops(const float* hops, int depth, long rows, const float* packed,
                         const float* bias, int panels, int then, float* out, long out_stride,
                         int columns, int threads) {
    const auto run = then == 0   ? filter_hops<Write<Identity>>
                     : then == 1 ? filter_hops<Write<Gelu>>
                     : then == 2 ? filter_hops<Write<Adding>>
                                 : filter_hops<Write<AddingGelu>>;
    run(hops, depth, rows, packed, bias, panels, out, out_stride, columns, threads);
}

void unbraid_group_norm(float* x, long rows, long steps, long width, long row_stride, int groups,
                        const float* weight, const float* bias, float eps, int then, float* out,
                        long out_row_stride, int threads) {
    group_norm(Sheet{x, rows, steps, width, row_stride}, groups, weight, bias, eps, then, out,
               out_row_stride, threads);
}

// found <- sum and sum of squares of all.
void unbraid_moments(float* x, long rows, long steps, long width, long row_stride, double* found,
                     int threads) {
    const auto moments = moments_of_groups(Sheet{x, rows, steps, width, row_stride}, 1, threads);
    found[0] = moments[0].sum, found[1] = moments[0].squares;
}

// x <- (x - mean) * gain
void unbraid_scale(float* x, long rows, long steps, long width, long row_stride, float mean,
                   float gain, int threads) {
    const Sheet sheet{x, rows, steps, width, row_stride};
    in_parallel(sheet.pieces(), threads, [&](long piece, int) {
        float* at = sheet.piece(piece);
        for (long i = 0; i < sheet.steps_of(piece) * width; ++i) at[i] = (at[i] - mean) * gain;
    });
}

// x <- x + y
void unbraid_add(float* x, const float* y, long count, int threads) {
    constexpr long share = 1 << 16;
    in_parallel(ceil_div(count, share), threads, [&](long piece, int) {
        for (long i = piece * share; i < std::min(count, (piece + 1) * share); ++i) x[i] += y[i];
    });
}

void unbraid_squeeze(const Branch* of, const float* y, long steps, float* h, int threads) {
    squeeze(*of, y, steps, h, threads);
}

void unbraid_expand(const Branch* of, const float* h, long steps, float* y, int threads) {
    expand(*of, h, steps, y, threads);
}

void unbraid_encode_rows(const SpectralEncoder* of, const float* in, long in_rows, long in_stride,
                         float* out, long out_rows, long out_stride, long steps, long margin,
                         int threads) {
    encode_rows(*of, in, in_rows, in_stride, out, out_rows, out_stride, steps, margin, threads);
}

void unbraid_convolve_rows(const SpectralEncoder* of, const float* in, long in_rows, long in_stride,
                           float* out, long out_rows, long out_stride, long steps, int threads) {
    convolve_rows(*of, in, in_rows, in_stride, out, out_rows, out_stride, steps, threads);
}

void unbraid_refine_rows(const SpectralEncoder* of, float* x, long x_stride, float* out, long rows,
                         long out_stride, long steps, int threads) {
    refine_rows(*of, x, x_stride, out, rows, out_stride, steps, threads);
}

// The gate, then `count` residual branches of each row.
void unbraid_refine_maps(const Winograd* of, const Branch* branches, int count, const float* x, long x_stride,
                         float* out, long out_stride, long rows, long steps, int threads) {
    refine_maps(*of, branches, count, Maps{x, x_stride, out, out_stride, rows, steps}, threads);
}

void unbraid_gate_steps(const Winograd* of, const float* x, float* out, long steps, int threads) {
    (of->taps ? gate_steps_wide : gate_steps)(*of, x, out, steps, threads);
}

void unbraid_expand_rows(const Expansion* of, const float* in, long rows, long in_stride,
                         float* out, long out_stride, long steps, int threads) {
    const auto run = of->adding ? expand_rows<Write<AddingGelu>> : expand_rows<Write<Identity>>;
    run(*of, in, rows, in_stride, out, out_stride, steps, threads);
}

void unbraid_lstm(const LstmDirection* forth, const LstmDirection* back, const LstmShape* shape,
                  int threads) {
    in_parallel(2, threads, [&](long way, int) { run_direction(way ? *back : *forth, *shape, way); });
}

void unbraid_encode_band(const BandEncoder* of, const float* in, long in_rows, float* out,
                         long out_rows, long steps, int threads) {
    encode_band(*of, in, in_rows, out, out_rows, steps, threads);
}

void unbraid_decode_band(const BandDecoder* of, const float* in, long in_rows, float* out,
                         long out_rows, long steps, int threads) {
    const auto run = of->adding ? decode_band<Write<Adding>> : decode_band<Write<Identity>>;
    run(*of, in, in_rows, out, out_rows, steps, threads);
}

void unbraid_to_fourier(const float* in, float* out, long rows, long steps, long width, int threads) {
    to_fourier(in, out, rows, steps, width, threads);
}

void unbraid_from_fourier(const float* in, float* out, long rows, long steps, long width,
                          int threads) {
    from_fourier(in, out, rows, steps, width, threads);
}

void unbraid_sequences(const Sequences* of, int threads) { run_sequences(*of, threads); }

void unbraid_attend(const float* projected, long projected_width, long steps, int heads, int depth,
                    int decays, float* found, int threads) {
    attend(projected, projected_width, steps, heads, depth, decays, found, threads);
}

void unbraid_branch_rows(const Branch* branches, int count, float* y, long rows, long row_stride,
                         long steps, int threads) {
    branch_rows(branches, count, y, rows, row_stride, steps, threads);
}

void unbraid_layer_norm(const float* x, long tokens, long width, const float* weight,
                        const float* bias, float eps, const float* table, float* out, int threads) {
    layer_norm(x, tokens, width, weight, bias, eps, table, out, threads);
}

void unbraid_multiply_tokens(const TokenProduct* of, int threads) { multiply_tokens(*of, threads); }

void unbraid_rows_to_panels(const float* rows, long tokens, int width, float* panels, int threads) {
    rows_to_panels(rows, tokens, width, panels, threads);
}

void unbraid_panels_to_rows(const float* panels, long tokens, int width, float* rows, int threads) {
    panels_to_rows(panels, tokens, width, rows, threads);
}

void unbraid_norm_of_all(float* x, long tokens, int width, const float* weight, const float* bias, float eps,
                         int threads) {
    norm_of_all(x, tokens, width, weight, bias, eps, threads);
}

void unbraid_project_tokens(const Projection* of, int threads) { project_tokens(*of, threads); }

void unbraid_attend_tokens(const TokenAttention* of, int threads) { attend_tokens(*of, threads); }

void unbraid_halve(const Filters* of, const Image* in, const Image* skip, const Image* next, int threads) {
    halve(*of, *in, *skip, *next, threads);
}

void unbraid_halve_few(const Filters* of, const Image* in, const Image* skip, const Image* next,
                       int threads) {
    halve_few(*of, *in, *skip, *next, threads);
}

void unbraid_redouble(const Filters* of, const Image* in, const Image* out, int threads) {
    redouble(*of, *in, *out, threads);
}

void unbraid_convolve(const Filters* of, const Image* in, const Image* out, int adding, int threads) {
    convolve(*of, *in, *out, adding, threads);
}

void unbraid_redouble_to_one(const Filters* of, const Image* in, const Image* out, int threads) {
    redouble_to_one(*of, *in, *out, threads);
}

void unbraid_mask(const float* weight, const float* bias, int channels, const float* in, long in_row,
                  const float* magnitudes, long channel_stride, long row_stride, float* out,
                  long out_channel, long out_row, long rows, long columns, int threads) {
    mask(Head{weight, bias, channels}, in, in_row, magnitudes, channel_stride, row_stride, out,
         out_channel, out_row, rows, columns, threads);
}

void unbraid_share_out(float* outputs, int stems, long count, int quarters, float silence, int threads) {
    share_out(outputs, stems, count, quarters, silence, threads);
}

void unbraid_filter_spectrum(const Wiener* of, int threads) { filter_spectrum(*of, threads); }

void unbraid_gru(const GruDirection* forth, const GruDirection* back, long steps, long units,
                 long out_width, int threads) {
    in_parallel(2, threads, [&](long way, int) {
        run_gru(way ? *back : *forth, steps, units, out_width, way);
    });
}

void unbraid_stft(const float* signal, int channels, const float* window, int size, int bins,
                  long frames, float* rows, long row_stride, int threads) {
    stft(signal, channels, window, size, bins, frames, rows, row_stride, threads);
}

void unbraid_inverse_stft(const float* rows, long row_stride, int signals, const float* window,
                          int size, int bins, long frames, long first, const float* time,
                          float gain, float offset, float* waves, long samples, int threads) {
    inverse_stft(rows, row_stride, signals, window, size, bins, frames, first, time, gain, offset,
                 waves, samples, threads);
}

// Whether weights are multiplied in pairs here, see lanes.hpp.
int unbraid_pairs() { return pairs_are_faster(); }
int unbraid_slice() { return SLICE; }

void unbraid_slice_sums(const void* packed, int bytes, long slices, int depth, float* products,
                        float* squares, int threads) {
    if (bytes == 2)
        slice_sums(static_cast<const uint16_t*>(packed), slices, depth, products, squares, threads);
    else
        slice_sums(static_cast<const float*>(packed), slices, depth, products, squares, threads);
}

void unbraid_attend_along_time(const AxisAttention* of, int threads) { attend_along_time(*of, threads); }

void unbraid_attend_along_bands(const AxisAttention* of, int threads) { attend_along_bands(*of, threads); }

void unbraid_feed_tokens(const TokenFeed* of, int threads) { feed_tokens(*of, threads); }

void unbraid_embed_bands(const BandEntrance* bands, long count, const float* spectrum, long rows,
                         long panels, float* tokens, int threads) {
    embed_bands(bands, count, spectrum, rows, panels, tokens, threads);
}

void unbraid_mask_bands(const BandMask* bands, long count, const float* tokens, long panels, long some,
                        float* masks, long rows, int threads) {
    mask_bands(bands, count, tokens, panels, some, masks, rows, threads);
}

void unbraid_mask_spectrum(const BandPlaces* of, const float* spectrum, const float* masks, long panels,
                           float* out, int threads) {
    mask_spectrum(*of, spectrum, masks, panels, out, threads);
}

void unbraid_convolve_maps(const MapFilter* of, const Entry* entry, const JoinedMaps* in, float* out, int adding,
                           double* moments, int threads) {
    convolve_maps(*of, *entry, *in, out, adding, moments, threads);
}

void unbraid_multiply_rows(const RowsProduct* of, double* moments, int threads) {
    multiply_rows(*of, moments, threads);
}

void unbraid_mix_features(const float* packed, const JoinedMaps* in, float* out, int threads) {
    mix_features(packed, *in, out, threads);
}

void unbraid_shrink_map(const Rescaling* of, const Entry* entry, const JoinedMaps* in, float* out, double* moments,
                        int threads) {
    shrink_map(*of, *entry, *in, out, moments, threads);
}

void unbraid_grow_map(const Rescaling* of, const Entry* entry, const JoinedMaps* in, float* out, double* moments,
                      int threads) {
    grow_map(*of, *entry, *in, out, moments, threads);
}

void unbraid_enter_map(const MapEnds* of, const float* spectrum, float* out, double* moments, int threads) {
    enter_map(*of, spectrum, out, moments, threads);
}

void unbraid_leave_map(const MapEnds* of, const float* spectrum, const float* x, float* out, int threads) {
    leave_map(*of, spectrum, x, out, threads);
}
}
