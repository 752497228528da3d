// How units of work are dealt out to threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace cotangent {

/**
 * Units, dealt out to threads as one range each, which they take in order, and then what others have not begun. So what lies together is
 * read by the thread in whose cache the routine before, dealt out alike, has left it.
 */
class Ranges {
public:
  Ranges(int64_t units, int threads) : units(units), threads(threads), next(new Next[size_t(threads)]) {
    for (int t = 0; t < threads; t++) next[t].unit = begin(t);
  }

  template <typename Body> void run(int thread, const Body &body) {
    for (int i = 0; i < threads; i++) {
      const int range = (thread + i) % threads;
      const int64_t end = begin(range + 1);
      for (int64_t unit; (unit = next[range].unit.fetch_add(1)) < end;) body(unit);
    }
  }

private:
  /** On a cache line of its own. */
  struct alignas(64) Next {
    std::atomic<int64_t> unit;
  };

  int64_t begin(int thread) const { return units * thread / threads; }

  int64_t units;
  int threads;
  std::unique_ptr<Next[]> next;
};

} // namespace cotangent
