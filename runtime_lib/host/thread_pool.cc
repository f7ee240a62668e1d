// See thread_pool.h.
#include "runtime_lib/host/thread_pool.h"

#include <onnxc/host.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <ctime>
#include <new>

namespace onnxc::host {

namespace {

// Rounds of looking before a thread goes to sleep: runs follow each other closely, and waking costs more than this.
constexpr int kSpins = 2000;

inline void pause_cpu() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

int64_t nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// Counts down to zero; the waiter spins first, then sleeps.
class Countdown {
 public:
  explicit Countdown(int32_t count) : left_(count) {}

  // The lock is held while counting, so that the waiter cannot destroy this object under the last arrival's hands.
  void arrive() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) done_.notify_one();
  }

  void wait(int spins) {
    for (int i = 0; i < spins && left_.load(std::memory_order_acquire) != 0; ++i) pause_cpu();
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [&] { return left_.load(std::memory_order_acquire) == 0; });
  }

 private:
  std::atomic<int32_t> left_;
  std::mutex mutex_;
  std::condition_variable done_;
};

}  // namespace

struct Job {
  Task task;
  void* argument;
  int32_t thread, threads;
  Countdown* ended;
  int64_t* waits;  // null, or where to tell how long this thread was without a CPU, by its number

  void run() const {
    const int64_t before = waits ? waited_for_cpu() : 0;
    task(argument, thread, threads);
    if (waits) waits[thread] = waited_for_cpu() - before;
  }
};

struct Worker {
  std::mutex mutex;
  std::condition_variable woken;
  std::atomic<bool> has_job{false};
  const ThreadPool* pool = nullptr;
  Job job{};

  void post(const Job& next) {
    std::lock_guard<std::mutex> lock(mutex);
    job = next;
    has_job.store(true, std::memory_order_release);
    woken.notify_one();
  }

  [[noreturn]] void loop() {
    for (;;) {
      for (int i = 0; i < kSpins && !pool->crowded() && !has_job.load(std::memory_order_acquire); ++i) pause_cpu();
      Job mine;
      {
        std::unique_lock<std::mutex> lock(mutex);
        woken.wait(lock, [&] { return has_job.load(std::memory_order_acquire); });
        mine = job;
        has_job.store(false, std::memory_order_release);
      }
      mine.run();
      mine.ended->arrive();
    }
  }
};

namespace {

void* worker_main(void* worker) { static_cast<Worker*>(worker)->loop(); }

// A new detached worker, or null when the system has no thread left to give.
Worker* start_worker(const ThreadPool* pool) {
  Worker* worker = new (std::nothrow) Worker;
  if (!worker) return nullptr;
  worker->pool = pool;
  pthread_t thread;
  if (pthread_create(&thread, nullptr, worker_main, worker) != 0) {
    delete worker;
    return nullptr;
  }
  pthread_detach(thread);
  return worker;
}

struct PoolOfProcess {
  ThreadPool pool;
  pid_t pid = getpid();
};

}  // namespace

ThreadPool& ThreadPool::of_process() {
  // Never destroyed: workers may outlive static destructors. A child of fork abandons its parent's pool, whose
  // threads it does not have and whose mutex may be locked for ever.
  static std::atomic<PoolOfProcess*> current{nullptr};
  PoolOfProcess* pool = current.load(std::memory_order_acquire);
  while (!pool || pool->pid != getpid()) {
    auto* fresh = new PoolOfProcess;
    if (current.compare_exchange_strong(pool, fresh, std::memory_order_acq_rel)) {
      pool = fresh;
    } else {
      delete fresh;
    }
  }
  return pool->pool;
}

std::vector<Worker*> ThreadPool::take(int32_t count) {
  std::vector<Worker*> taken;
  taken.reserve(static_cast<size_t>(count));
  {
    std::lock_guard<std::mutex> lock(mutex_);
    while (static_cast<int32_t>(taken.size()) < count && !idle_.empty()) {
      taken.push_back(idle_.back());
      idle_.pop_back();
    }
  }
  while (static_cast<int32_t>(taken.size()) < count) {
    Worker* worker = start_worker(this);
    if (!worker) break;
    taken.push_back(worker);
  }
  return taken;
}

void ThreadPool::give_back(const std::vector<Worker*>& workers) {
  std::lock_guard<std::mutex> lock(mutex_);
  idle_.insert(idle_.end(), workers.begin(), workers.end());
}

void ThreadPool::run(int32_t threads, Task task, void* argument) {
  if (threads > 1) threads = width_.of_run(threads, nanoseconds());
  if (threads <= 1) {
    task(argument, 0, 1);
    return;
  }
  const std::vector<Worker*> workers = take(threads - 1);
  const int32_t helpers = static_cast<int32_t>(workers.size());
  cpus_.store(onnxc_host_cpus(), std::memory_order_relaxed);  // the affinity mask may have changed
  running_.fetch_add(helpers + 1, std::memory_order_relaxed);
  if (width_.measures_next()) {
    run_measured(workers, task, argument);
  } else {
    run_all(workers, task, argument, nullptr);
  }
  running_.fetch_sub(helpers + 1, std::memory_order_relaxed);
  give_back(workers);
}

void ThreadPool::run_all(const std::vector<Worker*>& workers, Task task, void* argument, int64_t* waits) const {
  const int32_t helpers = static_cast<int32_t>(workers.size());
  Countdown ended(helpers);
  for (int32_t i = 0; i < helpers; ++i)
    workers[static_cast<size_t>(i)]->post({task, argument, i + 1, helpers + 1, &ended, waits});
  Job{task, argument, 0, helpers + 1, &ended, waits}.run();
  ended.wait(crowded() ? 0 : kSpins);
}

void ThreadPool::run_measured(const std::vector<Worker*>& workers, Task task, void* argument) {
  std::vector<int64_t> waits(workers.size() + 1);
  const int64_t start = nanoseconds();
  run_all(workers, task, argument, waits.data());
  const int64_t end = nanoseconds(), wall = end - start;
  int32_t starved = 0;
  for (const int64_t w : waits) starved += w > wall / 3;
  width_.learn(static_cast<int32_t>(waits.size()), wall, *std::max_element(waits.begin(), waits.end()), starved, end);
}

}  // namespace onnxc::host
