// How many threads oneDNN uses is an affair of the runtime that it was built with.
#pragma once

#include <dlfcn.h>

#include <atomic>
#include <dnnl.hpp>
#include <thread>
#include <vector>

namespace cotangent {

/** OpenMP's own functions, if oneDNN brought an OpenMP runtime along: which one (GNU, LLVM) only the loader knows. */
struct OpenMP {
  int (*maxThreads)() = nullptr;
  void (*setThreads)(int) = nullptr;
  /** Runs a function on so many threads. LLVM's runtime has it, too, on Linux. */
  void (*parallel)(void (*body)(void *), void *data, unsigned threads, unsigned flags) = nullptr;

  static const OpenMP &get() {
    static const OpenMP found = [] {
      OpenMP omp;
      omp.maxThreads = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
      omp.setThreads = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
      omp.parallel = reinterpret_cast<decltype(omp.parallel)>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
      return omp;
    }();
    return found;
  }

  bool usable() const { return maxThreads && setThreads; }
};

/** While it lives, OpenMP regions that this thread opens have so many threads. */
class ThreadLimit {
public:
  explicit ThreadLimit(int threads) {
    const auto &omp = OpenMP::get();
    if (!omp.usable()) return;
    before = omp.maxThreads();
    if (before != threads) omp.setThreads(threads);
    else before = 0;
  }
  ~ThreadLimit() {
    if (before) OpenMP::get().setThreads(before);
  }
  ThreadLimit(const ThreadLimit &) = delete;
  ThreadLimit &operator=(const ThreadLimit &) = delete;

private:
  int before = 0;
};

/** Runs `body(thread)` on up to so many threads at once: on those that oneDNN has, where they can be had, else on new ones. It must not throw. */
template <typename Body> void parallel(int threads, const Body &body) {
  if (threads <= 1) return body(0);
  const auto &omp = OpenMP::get();
  if (!omp.parallel) {
    std::vector<std::thread> others;
    for (int thread = 1; thread < threads; thread++) others.emplace_back([&body, thread] { body(thread); });
    body(0);
    for (auto &other : others) other.join();
    return;
  }
  struct Shared {
    const Body &body;
    std::atomic<int> next;
  } shared{body, {0}};
  omp.parallel(
      [](void *data) {
        auto &s = *static_cast<Shared *>(data);
        s.body(s.next.fetch_add(1));
      },
      &shared, unsigned(threads), 0);
}

} // namespace cotangent
