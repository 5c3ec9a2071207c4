// Loops with nothing in them but multiply-adds, or loads, of whole vectors. Compiled with products and sums fused.
#include "peak.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <functional>
#include <numeric>
#include <thread>
#include <vector>

namespace cnnc {
namespace {

// Enough sums to cover a multiply-add's latency on two units; few enough for 16 registers.
constexpr int kSums = 12;

template <class V>
[[gnu::always_inline]] inline float multiply_add(long rounds) {
  V sums[kSums] = {}, a = V{} + 0.999f, b = V{} + 0.001f;
  for (int i = 0; i < kSums; i++)
    sums[i] = V{} + float(i);
  asm volatile(""
               : "+m"(a), "+m"(b)); // unknown values
  for (long n = 0; n < rounds; n++) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; i++)
      sums[i] = sums[i] * a + b;
  }
  V total = sums[0];
  for (int i = 1; i < kSums; i++)
    total += sums[i];
  return total[0];
}

template <class V>
[[gnu::always_inline]] inline float add_up(const float *from, size_t count) {
  const V *p = reinterpret_cast<const V *>(from);
  V sums[8] = {};
  for (size_t n = count / (sizeof(V) / 4); n >= 8; n -= 8, p += 8) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
      sums[i] += p[i];
  }
  V total = sums[0];
  for (int i = 1; i < 8; i++)
    total += sums[i];
  return total[0];
}

typedef float V16 __attribute__((vector_size(16), may_alias));
typedef float V32 __attribute__((vector_size(32), may_alias));
typedef float V64 __attribute__((vector_size(64), may_alias));

struct Loops {
  int bytes;
  float (*multiply_add)(long);
  float (*add_up)(const float *, size_t);
};

float multiply_add16(long n) { return multiply_add<V16>(n); }
float add_up16(const float *p, size_t n) { return add_up<V16>(p, n); }
#ifdef __x86_64__
[[gnu::target("avx2,fma")]] float multiply_add32(long n) { return multiply_add<V32>(n); }
[[gnu::target("avx2,fma")]] float add_up32(const float *p, size_t n) { return add_up<V32>(p, n); }
[[gnu::target("avx512f,fma")]] float multiply_add64(long n) { return multiply_add<V64>(n); }
[[gnu::target("avx512f,fma")]] float add_up64(const float *p, size_t n) { return add_up<V64>(p, n); }
#endif

Loops widest() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f"))
    return {64, multiply_add64, add_up64};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return {32, multiply_add32, add_up32};
#endif
  return {16, multiply_add16, add_up16};
}

volatile float sink;

double seconds_of(const std::function<void()> &work) {
  auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The best of several runs: what disturbs a run only makes it slower.
double best_rate(double amount, const std::function<void()> &work) {
  double best = 0;
  for (int i = 0; i < 7; i++)
    best = std::max(best, amount / seconds_of(work));
  return best;
}

constexpr long kRounds = 4000000;

double flops_of(const Loops &loops, int threads, long rounds) { return 2.0 * double(rounds) * kSums * loops.bytes / 4 * threads; }

// `each` after so many rounds on each of the threads.
void multiply_and_add(
    const Loops &loops, int threads, long rounds, const std::function<void(int)> &each = [](int) {}) {
  auto run = [&](int t) {
    sink = loops.multiply_add(rounds);
    each(t);
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; t++)
    others.emplace_back(run, t);
  run(0);
  for (std::thread &t : others)
    t.join();
}

double multiply_add_rate(const Loops &loops, int threads) {
  return best_rate(flops_of(loops, threads, kRounds), [&] { multiply_and_add(loops, threads, kRounds); });
}

double processor_seconds() {
  timespec t = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

double read_rate(const Loops &loops, size_t bytes) {
  std::vector<float> memory(bytes / 4 + 16, 1.0f);
  const float *from = memory.data();
  while (reinterpret_cast<size_t>(from) % 64)
    from++;
  const int rounds = int(std::max<size_t>(1, (size_t(64) << 20) / bytes));
  return best_rate(double(bytes) * rounds, [&] {
    for (int i = 0; i < rounds; i++)
      sink = loops.add_up(from, bytes / 4);
  });
}

} // namespace

Peak measure_peak(int threads) {
  const Loops loops = widest();
  Peak p;
  p.flops = multiply_add_rate(loops, 1);
  p.flops_all = threads > 1 ? multiply_add_rate(loops, threads) : p.flops;
  p.near_bytes = read_rate(loops, size_t(256) << 10);
  p.far_bytes = read_rate(loops, size_t(256) << 20);
  return p;
}

double flops_now(int threads) {
  const Loops loops = widest();
  const long rounds = kRounds / 4;
  // By each thread's own time: for these few milliseconds the model's threads may still be on the processors.
  std::vector<double> rates(static_cast<size_t>(threads));
  const double before = processor_seconds(); // of this thread; the others begin at none
  multiply_and_add(loops, threads, rounds, [&](int t) {
    rates[size_t(t)] = flops_of(loops, 1, rounds) / (processor_seconds() - (t ? 0 : before));
  });
  return std::accumulate(rates.begin(), rates.end(), 0.0);
}

} // namespace cnnc
