#include "signals.h"

#include <csignal>

#include <dnnl.hpp>

#include "threads.h"

namespace cotangent {

namespace {

thread_local bool waiting = false;
/** What they were before. */
thread_local sigset_t before;

const sigset_t &deferrable() {
  static const sigset_t set = [] {
    sigset_t all;
    sigfillset(&all);
    for (const int failure : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) sigdelset(&all, failure);
    return all;
  }();
  return set;
}

bool affected() {
#if defined(__x86_64__)
  const auto *v = dnnl::version();
  return v->major < 3 || (v->major == 3 && (v->minor < 11 || (v->minor == 11 && v->patch < 2)));
#else
  return false;
#endif
}

/** The least of its kernels' limits: rows of AVX-512 code in 16 KiB. */
constexpr int64_t kOnStack = 84;

} // namespace

bool signalsWouldHarm(const std::string &implementation, int64_t depth) {
  static const bool old = affected();
  if (!old) return false;
  // Threads of another runtime start while any of this runs, and are born with the signals that wait then.
  if (!openmp::serves()) return true;
  return depth > kOnStack && implementation.find("gemm") != std::string::npos && implementation.rfind("brg", 0) != 0;
}

SignalsWait::SignalsWait(bool needed) : own(needed && !waiting) {
  if (own) waiting = pthread_sigmask(SIG_BLOCK, &deferrable(), &before) == 0;
}

SignalsWait::~SignalsWait() {
  if (!own || !waiting) return;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  waiting = false;
}

bool SignalsWait::here() { return waiting; }

} // namespace cotangent
