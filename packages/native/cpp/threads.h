// How many threads oneDNN uses, and which.
#pragma once

#include <atomic>

#include "team.h"

namespace cotangent {

namespace openmp {

/** Threads that regions of this thread ask for by default: OpenMP's `nthreads-var`. */
int threadLimit();
void setThreadLimit(int threads);

/**
 * Whether the regions that oneDNN opens are ours (openmp.cc): not where it was built without OpenMP or by another compiler than GNU's, or was in
 * this process before this addon.
 */
bool serves();

/** Whether the number of threads can be set, by us or in the runtime that oneDNN brought along. */
bool adjustable();

} // namespace openmp

/** While it lives, regions that this thread opens have so many threads. */
class ThreadLimit {
public:
  explicit ThreadLimit(int threads) : before(openmp::threadLimit()) { openmp::setThreadLimit(threads); }
  ~ThreadLimit() { openmp::setThreadLimit(before); }
  ThreadLimit(const ThreadLimit &) = delete;
  ThreadLimit &operator=(const ThreadLimit &) = delete;

private:
  int before;
};

/** Runs `body(thread)` on up to so many threads at once. It must not throw. */
template <typename Body> void parallel(int threads, const Body &body) {
  runRegion(
      [](void *data) {
        const auto *place = Team::place();
        (*static_cast<const Body *>(data))(int(place->task));
      },
      const_cast<Body *>(&body), unsigned(threads < 1 ? 1 : threads));
}

} // namespace cotangent
