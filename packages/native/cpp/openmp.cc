// The few functions of OpenMP that oneDNN calls, on the engine's own threads. Definitions in an addon come before those of the libraries that
// it is linked with, so a oneDNN that it brings into the process uses these. Where there is another runtime behind it nevertheless, calls from
// outside our regions go on to that one.
#include <dlfcn.h>

#include <vector>

#include "onednn.h"
#include "routine.h"
#include "signals.h"
#include "threads.h"

namespace {

thread_local int limit = 1;
thread_local unsigned regions = 0;

template <typename F> F next(const char *name) { return reinterpret_cast<F>(dlsym(RTLD_NEXT, name)); }

/** Of the runtime that oneDNN was linked with. */
struct Other {
  int (*threadNum)() = next<int (*)()>("omp_get_thread_num");
  int (*numThreads)() = next<int (*)()>("omp_get_num_threads");
  int (*inParallel)() = next<int (*)()>("omp_in_parallel");
  int (*maxThreads)() = next<int (*)()>("omp_get_max_threads");
  void (*setNumThreads)(int) = next<void (*)(int)>("omp_set_num_threads");
  void (*barrier)() = next<void (*)()>("GOMP_barrier");

  static const Other &get() {
    static const Other found;
    return found;
  }
};

using cotangent::SignalsWait;
using cotangent::Team;

} // namespace

#define COTANGENT_OPENMP extern "C" __attribute__((visibility("default")))

COTANGENT_OPENMP void GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned) {
  regions++;
  const unsigned tasks = threads == 0 ? unsigned(limit) : threads;
  if (!SignalsWait::here()) return cotangent::runRegion(body, data, tasks);
  // What must not be interrupted on this thread must not be on others.
  struct Region {
    void (*body)(void *);
    void *data;
  } region{body, data};
  cotangent::runRegion(
      [](void *given) {
        const SignalsWait signals(true);
        const auto *region = static_cast<const Region *>(given);
        region->body(region->data);
      },
      &region, tasks);
}

COTANGENT_OPENMP void GOMP_barrier() {
  const auto *place = Team::place();
  if (place && place->tasks > 1) place->team->barrier();
  else if (!place && Other::get().barrier) Other::get().barrier();
}

COTANGENT_OPENMP int omp_get_thread_num() {
  if (const auto *place = Team::place()) return int(place->task);
  return Other::get().threadNum ? Other::get().threadNum() : 0;
}

COTANGENT_OPENMP int omp_get_num_threads() {
  if (const auto *place = Team::place()) return int(place->tasks);
  return Other::get().numThreads ? Other::get().numThreads() : 1;
}

COTANGENT_OPENMP int omp_in_parallel() {
  if (Team::place()) return 1;
  return Other::get().inParallel ? Other::get().inParallel() : 0;
}

COTANGENT_OPENMP int omp_get_max_threads() { return limit; }

namespace cotangent::openmp {

namespace {

/** Has oneDNN copy a matrix on two threads, and looks whose they were. */
bool copiesHere() {
  using dnnl::memory;
  const int before = limit;
  const unsigned count = regions;
  limit = 2;
  // For the threads that another runtime starts here: signalsWouldHarm.
  const SignalsWait signals(true);
  try {
    const memory::dims dims{256, 256};
    std::vector<float> from(256 * 256), to(256 * 256);
    memory a({dims, memory::data_type::f32, memory::dims{256, 1}}, cpu(), from.data());
    memory b({dims, memory::data_type::f32, memory::dims{1, 256}}, cpu(), to.data());
    dnnl::stream stream(cpu());
    dnnl::reorder(a, b).execute(stream, a, b);
    stream.wait();
  } catch (const dnnl::error &) {
    // It says so itself when it is used.
  }
  limit = before;
  return regions != count;
}

} // namespace

bool serves() {
  static const bool yes = copiesHere();
  return yes;
}

bool adjustable() { return serves() || (dnnl::version()->cpu_runtime == DNNL_RUNTIME_OMP && Other::get().setNumThreads); }

int threadLimit() { return serves() || !Other::get().maxThreads ? limit : Other::get().maxThreads(); }

void setThreadLimit(int threads) {
  limit = threads;
  if (!serves() && Other::get().setNumThreads) Other::get().setNumThreads(threads);
}

} // namespace cotangent::openmp
