// Threads that compute together: the engine's own, which come to help while a routine runs.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace cotangent {

/**
 * A region is one function that so many tasks run at once, each knowing its number, as in OpenMP. The thread that opens it runs task 0
 * and then whatever nobody has begun; helpers take the others as they come, so one that is late or asleep holds up nobody. Tasks
 * may wait for each other: for each there is a thread on its way, a new one where too few helpers are expected.
 */
class Team {
public:
  using Body = void (*)(void *);

  /** Which task of how many this thread runs. */
  struct Place {
    Team *team;
    unsigned task, tasks;
  };
  /** Null outside of regions. */
  static const Place *place();

  Team() = default;
  ~Team();
  Team(const Team &) = delete;
  Team &operator=(const Team &) = delete;

  /**
   * For helpers: runs tasks of this session's regions, and of those to come, until the lowest bit of `open` is cleared. Between sessions it waits for
   * so long, and then returns, too; not before this session, which counts on it.
   */
  void assist(const std::atomic<uint32_t> &open, std::chrono::microseconds wait, uint32_t session);

  /** Runs all tasks on this thread and others; returns when they are done. `body` must not throw. */
  void run(Body body, void *data, unsigned tasks);

  /** Waits until all tasks of this thread's region have come here. */
  void barrier();

private:
  friend class Session;
  void begin(uint32_t session, unsigned helpers);
  void end();
  bool takeOne();
  void perform(Body body, void *data, unsigned task, unsigned tasks);
  void announce();
  void summon(unsigned threads);

  // Cache lines: helpers that wait look at the first one only, so the others stay with who writes them.
  static constexpr size_t kLine = 64;
  /** Changes when there is something to do or a session has ended. */
  alignas(kLine) std::atomic<uint32_t> signal{0};
  /** Region's number (32 bits), its tasks (16), the next one to take (16). */
  alignas(kLine) std::atomic<uint64_t> claims{0};
  std::atomic<Body> body{nullptr};
  std::atomic<void *> data{nullptr};
  alignas(kLine) std::atomic<unsigned> finished{0};
  std::atomic<unsigned> arrived{0}, phase{0};
  /** Whether there is a session: helpers don't leave then, but sleep where it takes long. */
  alignas(kLine) std::atomic<bool> busy{false};
  /** The last one's number. */
  std::atomic<uint32_t> begun{0};
  std::atomic<int> sleepers{0};
  /** Helpers that are here. */
  std::atomic<unsigned> present{0};
  std::mutex mutex;
  std::condition_variable wake;
  /** Threads that have helped before: those that never did may still be loading the addon. */
  std::atomic<unsigned> members{0};
  /** On their way to the open session; only the thread that opens regions looks. */
  unsigned helpers = 0;
  /** Threads of the open region that stand in for helpers. */
  std::vector<std::thread> summoned;
};

/** While it lives, this thread's regions are the team's, and helpers stay for the next one. */
class Session {
public:
  /** @param number Counts up. @param helpers How many are on their way, besides those that are there. */
  Session(Team &, uint32_t number, unsigned helpers);
  ~Session();
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;

  /** Of this thread; null where there is none. */
  static Team *team();

private:
  Team &own;
  Team *before;
};

/** Runs the tasks in this thread's session; without one on new threads, and one after the other inside a region. */
void runRegion(Team::Body body, void *data, unsigned tasks);

} // namespace cotangent
