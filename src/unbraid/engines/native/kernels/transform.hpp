// Fourier transforms of any length along the steps of rows (steps, width), and back: real and
// imaginary parts side by side as features. Each lane of a vector transforms a pair of features, the
// real and the imaginary part of a complex signal. Stockham's method, in stages of prime factors.
#pragma once
#include <cmath>

#include "parallel.hpp"
#include "vectors.hpp"

class AnyFourier {
  public:
    explicit AnyFourier(int size) : size(size), turns_(2 * size) {
        for (int k = 0; k < size; ++k) {
            const double angle = -2 * M_PI * k / size;
            turns_[2 * k] = float(std::cos(angle)), turns_[2 * k + 1] = float(std::sin(angle));
        }
        int rest = size;
        for (int prime = 2; rest > 1; prime += prime == 2 ? 1 : 2)
            for (; rest % prime == 0; rest /= prime) factors_.push_back(prime);
    }

    // Floats that `run` works on: signal, result by turns, and what a stage keeps.
    long floats() const { return 3 * step(size); }
    // Floats before complex number k, (2, LANES) each.
    static long step(long k) { return k * 2 * LANES; }

    // Transform the signal that `memory` begins with; where the result is.
    const float* run(float* memory) const {
        float *from = memory, *to = memory + step(size), *kept = to + step(size);
        int length = size, stride = 1;
        for (int factor : factors_) {
            const int part = length / factor;
            for (int q = 0; q < part; ++q)
                for (int j = 0; j < stride; ++j)
                    butterfly(factor, from + step(j + stride * q), step(stride * part),
                              to + step(j + stride * factor * q), step(stride), q * stride, kept);
            length = part, stride *= factor;
            std::swap(from, to);
        }
        return from;
    }

    const int size;

  private:
    INLINE void put(float* at, Vec re, Vec im, int turn) const {
        const float c = turns_[2 * turn], s = turns_[2 * turn + 1];
        store(at, re * c - im * s);
        store(at + LANES, re * s + im * c);
    }

    // `factor` numbers, `in_step` apart, to as many; number u is then turned by u * turn.
    void butterfly(int factor, const float* in, long in_step, float* out, long out_step, int turn,
                   float* kept) const {
        const Vec re0 = load(in), im0 = load(in + LANES);
        if (factor == 2) {
            const Vec re1 = load(in + in_step), im1 = load(in + in_step + LANES);
            put(out, re0 + re1, im0 + im1, 0);
            put(out + out_step, re0 - re1, im0 - im1, turn);
            return;
        }
        // Numbers r and factor - r have the same cosines and opposite sines.
        const int half = factor / 2, whole = size / factor;
        Vec re_all = re0, im_all = im0;
        for (int r = 1; r <= half; ++r) {
            const float *a = in + r * in_step, *b = in + (factor - r) * in_step;
            const Vec ar = load(a), ai = load(a + LANES), br = load(b), bi = load(b + LANES);
            float* to = kept + (r - 1) * 4 * LANES;
            store(to, ar + br), store(to + LANES, ai + bi);
            store(to + 2 * LANES, ar - br), store(to + 3 * LANES, ai - bi);
            re_all += ar + br, im_all += ai + bi;
        }
        put(out, re_all, im_all, 0);
        for (int u = 1; u <= half; ++u) {
            Vec even_re = re0, even_im = im0, odd_re{}, odd_im{};
            for (int r = 1; r <= half; ++r) {
                const int at = int(long(u) * r % factor) * whole;
                const float c = turns_[2 * at], s = turns_[2 * at + 1];
                const float* from = kept + (r - 1) * 4 * LANES;
                even_re += c * load(from), even_im += c * load(from + LANES);
                odd_re += s * load(from + 2 * LANES), odd_im += s * load(from + 3 * LANES);
            }
            put(out + u * out_step, even_re - odd_im, even_im + odd_re, u * turn % size);
            const int other = factor - u;
            put(out + other * out_step, even_re + odd_im, even_im - odd_re, other * turn % size);
        }
    }

    std::vector<float> turns_;
    std::vector<int> factors_;
};

// Pairs of features of a row: [first, first + LANES) with [first + LANES, first + 2 * LANES).
struct Pairs {
    long first;
    int left, right;  // how many there are of each
    Pairs(long number, long width)
        : first(number * 2 * LANES), left(int(std::min<long>(LANES, width - first))),
          right(int(std::max(0L, std::min<long>(LANES, width - first - LANES)))) {}
    static long count(long width) { return ceil_div(width, 2L * LANES); }
};

// Transform all rows, in pairs of features: `enter` lays out the signal of a pair of some row, and
// `leave` takes what became of it.
template <class Enter, class Leave>
void transform_pairs(long rows, long steps, long width, int threads, Enter enter, Leave leave) {
    const AnyFourier transform{int(steps)};
    const long parts = Pairs::count(width);
    auto memory = scratches(threads, transform.floats());
    in_parallel(rows * parts, threads, [&](long piece, int thread) {
        const Pairs pairs(piece % parts, width);
        float* data = memory[thread].get();
        enter(data, pairs, piece / parts);
        leave(transform.run(data), pairs, piece / parts);
    });
}

// in (rows, steps, width) -> out (rows, steps / 2 + 1, 2 * width), divided by sqrt(steps).
inline void to_fourier(const float* in, float* out, long rows, long steps, long width, int threads) {
    constexpr auto step = AnyFourier::step;
    const long bins = steps / 2 + 1;
    const float scale = float(0.5 / std::sqrt(double(steps)));
    const auto enter = [=](float* data, const Pairs& pairs, long row) {
        const float* x = in + row * steps * width + pairs.first;
        for (long n = 0; n < steps; ++n, x += width) {
            store(data + step(n), load_some(x, pairs.left));
            store(data + step(n) + LANES, load_some(x + LANES, pairs.right));
        }
    };
    const auto leave = [=](const float* found, const Pairs& pairs, long row) {
        float* to = out + row * bins * 2 * width + pairs.first;
        for (long k = 0; k < bins; ++k, to += 2 * width) {
            const float *here = found + step(k), *there = found + step((steps - k) % steps);
            const Vec re = load(here), im = load(here + LANES), re2 = load(there), im2 = load(there + LANES);
            store_some(to, scale * (re + re2), pairs.left);
            store_some(to + width, scale * (im - im2), pairs.left);
            if (!pairs.right) continue;
            store_some(to + LANES, scale * (im + im2), pairs.right);
            store_some(to + width + LANES, scale * (re2 - re), pairs.right);
        }
    };
    transform_pairs(rows, steps, width, threads, enter, leave);
}

// The other way: in (rows, steps / 2 + 1, 2 * width) -> out (rows, steps, width). The first and the
// last bin count as real.
inline void from_fourier(const float* in, float* out, long rows, long steps, long width, int threads) {
    constexpr auto step = AnyFourier::step;
    const long bins = steps / 2 + 1;
    const float scale = float(1 / std::sqrt(double(steps)));
    const auto enter = [=](float* data, const Pairs& pairs, long row) {
        const float* z = in + row * bins * 2 * width + pairs.first;
        for (long k = 0; k < bins; ++k, z += 2 * width) {  // the conjugate of a + i b
            const bool real = k == 0 || 2 * k == steps;
            const Vec ar = load_some(z, pairs.left), br = load_some(z + LANES, pairs.right);
            const Vec ai = real ? Vec{} : load_some(z + width, pairs.left);
            const Vec bi = real ? Vec{} : load_some(z + width + LANES, pairs.right);
            float *here = data + step(k), *there = data + step(steps - k);
            store(here, ar - bi), store(here + LANES, -(ai + br));
            if (!real) store(there, ar + bi), store(there + LANES, ai - br);
        }
    };
    const auto leave = [=](const float* found, const Pairs& pairs, long row) {
        float* to = out + row * steps * width + pairs.first;
        for (long n = 0; n < steps; ++n, to += width) {
            store_some(to, scale * load(found + step(n)), pairs.left);
            if (pairs.right) store_some(to + LANES, -scale * load(found + step(n) + LANES), pairs.right);
        }
    };
    transform_pairs(rows, steps, width, threads, enter, leave);
}
