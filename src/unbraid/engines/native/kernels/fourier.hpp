// STFT and its inverse. Each lane of a vector transforms a pair of signals, or of frames of them:
// two real signals are the real and the imaginary part of a complex one. Sizes are powers of four.
#pragma once
#include <cmath>

#include "parallel.hpp"
#include "vectors.hpp"

class Fourier {
  public:
    explicit Fourier(int size) : size(size), twiddles_(2 * size), places_(size) {
        for (int k = 0; k < size; ++k) {
            const double angle = -2 * M_PI * k / size;
            twiddles_[2 * k] = float(std::cos(angle)), twiddles_[2 * k + 1] = float(std::sin(angle));
            int place = 0;
            for (int rest = size, value = k; rest > 1; rest /= 4, value /= 4)
                place = place * 4 + value % 4;
            places_[k] = place;
        }
    }

    // Where `run` leaves the value of index k.
    int place(int k) const { return places_[k]; }

    // In place, on (size, 2, LANES): real and imaginary parts. Decimation in frequency.
    void run(float* data) const { run_part(data, 0, size); }

    const int size;

  private:
    // Numbers [first, first + length): one stage, then the quarters by themselves, which soon fit the first cache.
    void run_part(float* data, int first, int length) const {
        const int quarter = length / 4, turn = size / length;
        for (int k = 0; k < quarter; ++k) butterfly<true>(data, first + k, quarter, k * turn);
        for (int at = first; at < first + length && quarter > 1; at += quarter)
            if (quarter > 4)
                run_part(data, at, quarter);
            else
                butterfly<false>(data, at, 1, 0);
    }
    template <bool turned>
    INLINE void butterfly(float* data, int start, int quarter, int turn) const {
        float* at[4];
        Vec re[4], im[4];
        for (int i = 0; i < 4; ++i) {
            at[i] = data + 2L * LANES * (start + i * quarter);
            re[i] = load(at[i]), im[i] = load(at[i] + LANES);
        }
        const Vec ar = re[0] + re[2], ai = im[0] + im[2], br = re[0] - re[2], bi = im[0] - im[2];
        const Vec cr = re[1] + re[3], ci = im[1] + im[3], dr = re[1] - re[3], di = im[1] - im[3];
        put<false>(at[0], ar + cr, ai + ci, 0);
        put<turned>(at[1], br + di, bi - dr, turn);  // times -i
        put<turned>(at[2], ar - cr, ai - ci, 2 * turn);
        put<turned>(at[3], br - di, bi + dr, 3 * turn);
    }
    template <bool turned>
    INLINE void put(float* at, Vec re, Vec im, int turn) const {
        if (!turned) {
            store(at, re), store(at + LANES, im);
            return;
        }
        const float c = twiddles_[2 * turn], s = twiddles_[2 * turn + 1];
        store(at, re * c - im * s);
        store(at + LANES, re * s + im * c);
    }
    std::vector<float> twiddles_;
    std::vector<int> places_;
};

// signal (samples, channels) -> rows (bins, frames, 2 * channels): real and imaginary part of each
// channel. Frame n begins at sample n * hop; rows are `row_stride` floats apart. There are size / 2
// bins, or one more.
inline void stft(const float* signal, int channels, const float* window, int size, int bins,
                 long frames, float* rows, long row_stride, int threads) {
    const Fourier transform(size);
    const int hop = size / 4, pairs = (channels + 1) / 2, width = 2 * channels;
    const long lanes = frames * pairs, batches = ceil_div(lanes, LANES);
    auto memory = scratches(threads, 2L * LANES * size);
    in_parallel(batches, threads, [&](long batch, int thread) {
        float* data = memory[thread].get();
        std::memset(data, 0, 2L * LANES * size * sizeof(float));
        const int count = int(std::min<long>(LANES, lanes - batch * LANES));
        float* to[LANES];
        bool paired[LANES];
        for (int lane = 0; lane < count; ++lane) {
            const long number = batch * LANES + lane, frame = number / pairs;
            const int channel = 2 * int(number % pairs);
            const float* from = signal + frame * hop * channels + channel;
            to[lane] = rows + frame * width + 2 * channel;
            paired[lane] = channel + 1 < channels;
            for (int i = 0; i < size; ++i) {
                data[2L * LANES * i + lane] = from[long(i) * channels] * window[i];
                if (paired[lane])
                    data[2L * LANES * i + LANES + lane] = from[long(i) * channels + 1] * window[i];
            }
        }
        transform.run(data);
        for (int k = 0; k < bins; ++k) {
            const float* here = data + 2L * LANES * transform.place(k);
            const float* there = data + 2L * LANES * transform.place(k ? size - k : 0);
            const Vec re = load(here), im = load(here + LANES);
            const Vec re2 = load(there), im2 = load(there + LANES);
            const Vec parts[4] = {0.5f * (re + re2), 0.5f * (im - im2), 0.5f * (im + im2),
                                  0.5f * (re2 - re)};
            for (int lane = 0; lane < count; ++lane) {
                float* at = to[lane] + k * row_stride;
                at[0] = parts[0][lane], at[1] = parts[1][lane];
                if (paired[lane]) at[2] = parts[2][lane], at[3] = parts[3][lane];
            }
        }
    });
}

// Which pairs of signals, of which frames, are in the lanes of one transform: all pairs of a frame
// lie side by side, then those of the next.
struct Lanes {
    long first;
    int count, pairs, signals;
    long frame(int lane) const { return (first + lane) / pairs; }
    int signal(int lane) const { return 2 * int((first + lane) % pairs); }
    bool paired(int lane) const { return signal(lane) + 1 < signals; }
    // Whether lanes are just what lies in memory one after the other.
    bool in_order() const { return count == LANES && signals % 2 == 0 && LANES % pairs == 0; }
};

// data <- the conjugate of a + i b for each pair of half spectra a, b in rows (bins, frames,
// 2 * signals); of real signals, so that the other half follows.
inline void gather(const Lanes& of, const float* rows, long row_stride, int size, int bins,
                   float* data) {
    const long width = 2L * of.signals;
    const float* from[LANES];
    for (int lane = 0; lane < of.count; ++lane)
        from[lane] = rows + of.frame(lane) * width + 2 * of.signal(lane);
    std::memset(data, 0, 2 * LANES * sizeof(float));
    std::memset(data + long(size) * LANES, 0, 2 * LANES * sizeof(float));
    for (int k = 0; k < bins; ++k) {
        Vec ar{}, ai{}, br{}, bi{};
        if (of.in_order()) {
            const float* at = from[0] + k * row_stride;
            const Vec v0 = load(at), v1 = load(at + LANES), v2 = load(at + 2 * LANES),
                      v3 = load(at + 3 * LANES);
            const Vec real = every_second<0>(v0, v1), real2 = every_second<0>(v2, v3);
            const Vec imaginary = every_second<1>(v0, v1), imaginary2 = every_second<1>(v2, v3);
            ar = every_second<0>(real, real2), br = every_second<1>(real, real2);
            ai = every_second<0>(imaginary, imaginary2), bi = every_second<1>(imaginary, imaginary2);
        } else {
            for (int lane = 0; lane < of.count; ++lane) {
                const float* at = from[lane] + k * row_stride;
                ar[lane] = at[0], ai[lane] = at[1];
                if (of.paired(lane)) br[lane] = at[2], bi[lane] = at[3];
            }
        }
        const bool real = k == 0 || 2 * k == size;
        if (real) ai = Vec{}, bi = Vec{};
        float* here = data + 2L * LANES * k;
        store(here, ar - bi), store(here + LANES, -(ai + br));
        if (real) continue;
        float* there = data + 2L * LANES * (size - k);
        store(there, ar + bi), store(there + LANES, ai - br);
    }
}

// to <- to + from, by fours.
INLINE void add_signals(const float* from, int count, float* to) {
    using Four = float __attribute__((vector_size(16)));
    int i = 0;
    for (; i + 4 <= count; i += 4) {
        Four a, b;
        std::memcpy(&a, from + i, sizeof a), std::memcpy(&b, to + i, sizeof b);
        a += b;
        std::memcpy(to + i, &a, sizeof a);
    }
    for (; i < count; ++i) to[i] += from[i];
}

// sums (hops * size / 4, signals) <- sums + window * the conjugate of data; frame f begins at hop
// f - start.
inline void scatter(const Lanes& of, const Fourier& transform, const float* data,
                    const float* window, long start, float* sums) {
    const int hop = transform.size / 4, signals = of.signals;
    float* to[LANES];
    for (int lane = 0; lane < of.count; ++lane)
        to[lane] = sums + (of.frame(lane) - start) * hop * signals + of.signal(lane);
    for (int i = 0; i < transform.size; ++i) {
        const float* at = data + 2L * LANES * transform.place(i);
        const Vec a = load(at) * window[i], b = -load(at + LANES) * window[i];
        const long step = long(i) * signals;
        if (of.in_order()) {
            float values[2 * LANES];
            store(values, by_turns<0>(a, b)), store(values + LANES, by_turns<1>(a, b));
            for (int lane = 0; lane < LANES; lane += of.pairs) add_signals(values + 2 * lane, signals, to[lane] + step);
        } else {
            for (int lane = 0; lane < of.count; ++lane) {
                to[lane][step] += a[lane];
                if (of.paired(lane)) to[lane][step + 1] += b[lane];
            }
        }
    }
}

// The other way, and the two branches together:
// waves (signals, samples) = inverse STFT of rows (bins, frames, 2 * signals) + time * gain + offset,
// where time is (samples, signals), or null for none. Frame n begins at sample n * hop - first.
// Squared Hann windows a quarter apart add up to 3/2, which `window` has been divided by.
inline void inverse_stft(const float* rows, long row_stride, int signals, const float* window,
                         int size, int bins, long frames, long first, const float* time, float gain,
                         float offset, float* waves, long samples, int threads) {
    constexpr long chunk = 32;  // hops that a piece of work writes
    const Fourier transform(size);
    const int hop = size / 4, pairs = (signals + 1) / 2;
    const long hops = ceil_div(first + samples, hop), pieces = ceil_div(hops, chunk);
    const long data_size = 2L * LANES * size, sum_size = (chunk + 6) * hop * signals;
    auto memory = scratches(threads, data_size + sum_size);
    in_parallel(pieces, threads, [&](long piece, int thread) {
        float* data = memory[thread].get();
        float* sums = data + data_size;
        std::memset(sums, 0, sum_size * sizeof(float));
        const long start = piece * chunk - 3;  // frames reach three hops further than where they begin
        const long from = std::max(0L, start), to = std::min(frames, start + 3 + chunk);
        for (long lane = from * pairs; lane < to * pairs; lane += LANES) {
            const Lanes lanes{lane, int(std::min<long>(LANES, to * pairs - lane)), pairs, signals};
            gather(lanes, rows, row_stride, size, bins, data);
            transform.run(data);
            scatter(lanes, transform, data, window, start, sums);
        }
        const long begin = std::max(0L, piece * chunk * hop - first);
        const long end = std::min(samples, (piece + 1) * chunk * hop - first);
        for (long t = begin; t < end; ++t) {
            const float* at = sums + (t + first - start * hop) * signals;
            for (int s = 0; s < signals; ++s)
                waves[s * samples + t] = at[s] + (time ? time[t * signals + s] * gain + offset : 0);
        }
    });
}
