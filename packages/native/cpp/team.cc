#include "team.h"

#include <algorithm>
#include <optional>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace cotangent {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

thread_local const Team::Place *here = nullptr;
thread_local Team *session = nullptr;
/** The team that this thread has helped last. */
thread_local const Team *helped = nullptr;

/**
 * Helpers keep their core between the regions of a session, which are some microseconds apart; longer ones are spent asleep. Waking takes about as long
 * again, for which the next region waits, so a helper that is done before the others waits up to a quarter of what it has worked.
 */
constexpr microseconds kHelperSpin{50};
constexpr int kWorkPerSpin = 4;
/** The thread that waits for others keeps its core so long, and then leaves it to whom it waits for. */
constexpr microseconds kLeaderSpin{200};
/** After so long in a barrier, tasks that nobody has begun get a thread of their own. */
constexpr microseconds kPatience{20000};

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/** Waiting that gets less eager with time. */
class Wait {
public:
  /** How long it has been going on, looked at now and then. */
  microseconds next() {
    pause();
    if ((++spins & 63) != 0) return passed;
    const auto now = Clock::now();
    if (spins == 64) start = now;
    passed = std::chrono::duration_cast<microseconds>(now - start);
    if (passed > kLeaderSpin) std::this_thread::yield();
    return passed;
  }

private:
  uint32_t spins = 0;
  Clock::time_point start;
  microseconds passed{0};
};

uint64_t packed(uint64_t region, unsigned tasks, unsigned next) { return region << 32 | uint64_t(tasks) << 16 | next; }
unsigned tasksOf(uint64_t claims) { return unsigned(claims >> 16) & 0xffff; }
unsigned nextOf(uint64_t claims) { return unsigned(claims) & 0xffff; }

} // namespace

const Team::Place *Team::place() { return here; }

Team::~Team() {
  for (auto &thread : summoned) thread.join();
}

void Team::perform(Body run, void *argument, unsigned task, unsigned tasks) {
  const Place place{this, task, tasks};
  const auto *before = here;
  here = &place;
  run(argument);
  here = before;
}

bool Team::takeOne() {
  uint64_t seen = claims.load(std::memory_order_acquire);
  for (;;) {
    const unsigned task = nextOf(seen), tasks = tasksOf(seen);
    if (task >= tasks) return false;
    const auto run = body.load(std::memory_order_relaxed);
    auto *argument = data.load(std::memory_order_relaxed);
    // Succeeds only while this is still the region that the two above belong to, which then cannot end before this task has.
    if (!claims.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
    perform(run, argument, task, tasks);
    finished.fetch_add(1, std::memory_order_release);
    return true;
  }
}

void Team::announce() {
  signal.fetch_add(1);
  if (sleepers.load() == 0) return;
  const std::lock_guard<std::mutex> lock(mutex);
  wake.notify_all();
}

void Team::summon(unsigned threads) {
  for (; threads > 0; threads--)
    summoned.emplace_back([this] {
      while (takeOne());
    });
}

void Team::run(Body run, void *argument, unsigned tasks) {
  body.store(run, std::memory_order_relaxed);
  data.store(argument, std::memory_order_relaxed);
  finished.store(0, std::memory_order_relaxed);
  arrived.store(0, std::memory_order_relaxed);
  phase.store(0, std::memory_order_relaxed);
  const uint64_t region = (claims.load(std::memory_order_relaxed) >> 32) + 1;
  claims.store(packed(region, tasks, 1), std::memory_order_release);
  announce();
  // Who left before this line does not count, and who leaves behind it sees the signal and stays.
  const unsigned expected = std::max(present.load(), std::min(helpers, members.load(std::memory_order_relaxed)));
  if (expected + 1 < tasks) summon(tasks - 1 - expected);
  perform(run, argument, 0, tasks);
  while (takeOne());
  for (Wait wait; finished.load(std::memory_order_acquire) < tasks - 1;) wait.next();
  for (auto &thread : summoned) thread.join();
  summoned.clear();
}

void Team::barrier() {
  const unsigned tasks = here->tasks;
  const unsigned now = phase.load(std::memory_order_acquire);
  if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == tasks) {
    arrived.store(0, std::memory_order_relaxed);
    phase.store(now + 1, std::memory_order_release);
    return;
  }
  bool called = false;
  for (Wait wait; phase.load(std::memory_order_acquire) == now;) {
    // Only the thread that opened the region may call others: it is the one that waits for them in the end.
    if (wait.next() < kPatience || called || here->task != 0) continue;
    called = true;
    const auto open = claims.load(std::memory_order_relaxed);
    if (nextOf(open) < tasksOf(open)) summon(tasksOf(open) - nextOf(open));
  }
}

void Team::assist(const std::atomic<uint32_t> &open, microseconds wait, uint32_t number) {
  if (helped != this) {
    helped = this;
    members.fetch_add(1);
  }
  present.fetch_add(1);
  uint32_t spins = 0;
  std::optional<uint32_t> heard;
  Clock::time_point start;
  Clock::duration spin = kHelperSpin;
  for (;;) {
    const auto seen = signal.load();
    if (seen != heard) {
      // A region has begun, or a session has ended: the wait for what comes next begins behind it. All else that is shared is left alone until then.
      heard = seen;
      spins = 0;
      const auto before = Clock::now();
      bool worked = false;
      while (takeOne()) worked = true;
      if (worked) spin = std::max<Clock::duration>(kHelperSpin, (Clock::now() - before) / kWorkPerSpin);
    }
    if ((open.load(std::memory_order_acquire) & 1) == 0) {
      present.fetch_sub(1);
      return;
    }
    pause();
    if ((++spins & 63) != 0) continue;
    const auto now = Clock::now();
    if (spins == 64) start = now;
    // In this order: a session that has begun and is not going on is over.
    const bool expected = int32_t(begun.load() - number) < 0;
    if (busy.load()) {
      if (now - start < spin) continue;
      std::unique_lock<std::mutex> lock(mutex);
      sleepers.fetch_add(1);
      wake.wait(lock, [&] { return signal.load() != seen; });
      sleepers.fetch_sub(1);
    } else if (expected) {
      if (now - start > kHelperSpin) std::this_thread::yield();
      continue;
    } else {
      if (now - start < wait) continue;
      present.fetch_sub(1);
      if (signal.load() == seen) return;
      present.fetch_add(1);
    }
    spins = 0;
  }
}

void Team::begin(uint32_t number, unsigned expected) {
  helpers = expected;
  busy.store(true);
  begun.store(number);
}

void Team::end() {
  busy.store(false);
  announce();
}

Session::Session(Team &team, uint32_t number, unsigned helpers) : own(team), before(session) {
  own.begin(number, helpers);
  session = &own;
}

Session::~Session() {
  session = before;
  own.end();
}

Team *Session::team() { return session; }

void runRegion(Team::Body body, void *data, unsigned tasks) {
  if (tasks <= 1 || tasks > 0xffff || here) {
    // As OpenMP has it: a region within a region has one thread.
    const Team::Place alone{here ? here->team : session, 0, 1};
    const auto *before = here;
    here = &alone;
    body(data);
    here = before;
  } else if (session) {
    session->run(body, data, tasks);
  } else {
    Team own;
    own.run(body, data, tasks);
  }
}

} // namespace cotangent
