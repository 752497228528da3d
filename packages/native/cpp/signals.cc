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

/** The depth at which oneDNN's rows no longer fit into 16 KiB of stack less 256 bytes: 48 or 16 of them side by side. */
int64_t depthOnStack() {
  const bool widest = unsigned(dnnl::get_effective_cpu_isa()) & 0x20;
  return widest ? 84 : 252;
}

} // namespace

bool signalsWouldHarm(const std::string &implementation, int64_t depth) {
  static const bool old = affected();
  if (!old) return false;
  // Threads of another runtime start while any of this runs, and are born with the signals that wait then.
  if (!openmp::serves()) return true;
  static const int64_t onStack = depthOnStack();
  return depth > onStack && implementation.find("gemm") != std::string::npos && implementation.rfind("brg", 0) != 0;
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
