// Work in pieces, on so many threads. Threads live for one call: some 30 microseconds each, against
// work of milliseconds, and a process that forks or ends has nothing to clean up.
#pragma once
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

// work(piece, thread) for each piece in [0, pieces); who is free takes the next.
template <class Work>
void in_parallel(long pieces, int threads, const Work& work) {
    if (threads > pieces) threads = static_cast<int>(pieces);
    if (threads <= 1) {
        for (long piece = 0; piece < pieces; ++piece) work(piece, 0);
        return;
    }
    std::atomic<long> next{0};
    auto run = [&](int thread) {
        for (long piece; (piece = next.fetch_add(1)) < pieces;) work(piece, thread);
    };
    std::vector<std::thread> others;
    for (int thread = 1; thread < threads; ++thread) others.emplace_back(run, thread);
    run(0);
    for (auto& other : others) other.join();
}

// Memory of a thread's own that lasts for one call, whatever is in it.
class Scratch {
  public:
    explicit Scratch(long floats)
        : memory_(static_cast<float*>(std::aligned_alloc(64, (floats * sizeof(float) + 127) & ~63L)),
                  std::free) {
        if (!memory_) std::abort();  // there is nobody to tell: the system is out of memory
    }
    float* get() const { return memory_.get(); }

  private:
    std::unique_ptr<float, void (*)(void*)> memory_;
};

// The same, zero.
inline Scratch silence_of(long floats) {
    Scratch memory(floats);
    std::memset(memory.get(), 0, floats * sizeof(float));
    return memory;
}

inline std::vector<Scratch> scratches(int threads, long floats) {
    std::vector<Scratch> memory;
    for (int thread = 0; thread < threads; ++thread) memory.emplace_back(floats);
    return memory;
}

inline long ceil_div(long a, long b) { return (a + b - 1) / b; }

// So many panels at a time, at most `most`, that all threads have as many to do.
inline long even_share(long panels, long most, int threads) {
    return ceil_div(panels, threads * ceil_div(panels, threads * most));
}
