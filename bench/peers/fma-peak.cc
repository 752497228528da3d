// Multiply-adds in registers and nothing else, on all threads: reads numbers of runs and answers each with the seconds that they took.
//   THREADS FLOPS
#include <chrono>
#include <cstdint>
#include <iostream>
#include <string>

#include <omp.h>

#if defined(__AVX512F__)
constexpr int width = 64;
#elif defined(__AVX__)
constexpr int width = 32;
#else
constexpr int width = 16;
#endif
typedef float Vector __attribute__((vector_size(width)));
// Enough that none waits for itself: latency times instructions a cycle.
constexpr int chains = 16;
constexpr int64_t flopsEach = 2 * chains * (width / sizeof(float));

// Where results go, so that they are made.
static volatile float sink;

static void multiplyAdd(int64_t times) {
  Vector sums[chains], factor, term;
  for (int i = 0; i < width / 4; i++) factor[i] = 0.999f, term[i] = 0.001f;
  for (auto &sum : sums) sum = term;
  for (int64_t t = 0; t < times; t++)
    for (auto &sum : sums) sum = sum * factor + term;
  Vector all = sums[0];
  for (auto &sum : sums) all += sum;
  sink = all[0];
}

int main(int, char **argv) {
  const int threads = std::stoi(argv[1]);
  const auto times = static_cast<int64_t>(std::stod(argv[2]) / threads / flopsEach) + 1;
  omp_set_num_threads(threads);
  using clock = std::chrono::steady_clock;
  for (int64_t runs; std::cin >> runs;) {
    const auto start = clock::now();
#pragma omp parallel
    for (int64_t i = 0; i < runs; i++) multiplyAdd(times);
    std::cout << std::chrono::duration<double>(clock::now() - start).count() << std::endl;
  }
}
