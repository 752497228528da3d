// Signals wait while code of oneDNN runs that they would make write over memory of others.
#pragma once

#include <cstdint>
#include <string>

namespace cotangent {

/**
 * On x86, oneDNN before 3.11.2 multiplies some float32 matrices with the stack pointer on memory that it has from malloc (its issue 4845).
 * Handlers of signals, of a profiler or of `process.on('SIGCHLD')`, write what they need below it: on what happens to lie there.
 * @param depth Of sums of float32 numbers, 0 where there are none: short ones it makes on the stack.
 */
bool signalsWouldHarm(const std::string &implementation, int64_t depth);

/** While it lives, signals for this thread wait or go to others. Those that say that its own code has failed come as ever. */
class SignalsWait {
public:
  explicit SignalsWait(bool needed);
  ~SignalsWait();
  SignalsWait(const SignalsWait &) = delete;
  SignalsWait &operator=(const SignalsWait &) = delete;

  /** Whether one lives on this thread. */
  static bool here();

private:
  bool own;
};

} // namespace cotangent
