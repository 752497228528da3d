// How many threads oneDNN uses is an affair of the runtime that it was built with.
#pragma once

#include <dlfcn.h>
#include <dnnl.hpp>

namespace cotangent {

/** OpenMP's own functions, if oneDNN brought an OpenMP runtime along: which one (GNU, LLVM) only the loader knows. */
struct OpenMP {
  int (*maxThreads)() = nullptr;
  void (*setThreads)(int) = nullptr;

  static const OpenMP &get() {
    static const OpenMP found = [] {
      OpenMP omp;
      omp.maxThreads = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
      omp.setThreads = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
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

} // namespace cotangent
