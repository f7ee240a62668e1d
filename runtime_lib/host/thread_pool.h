// The thread pool of a process: workers that wait until a run takes them and go back when it ends. A run needs all its
// threads at the same time (they meet at barriers), so workers are lent, never queued; concurrent runs get workers of
// their own. Who waits looks for a while before it sleeps, since runs follow each other closely and waking costs more;
// but not at all while the process runs more threads than it has CPUs. Invariants: a worker is either in `idle_` or in
// the hands of one run; workers are never joined, and the pool lives as long as the process. After a fork the child has
// no workers, so it gets a new pool. Tested in tests/unit/host_test.cc.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "runtime_lib/host/width.h"

namespace onnxc::host {

using Task = void (*)(void* argument, int32_t thread, int32_t threads);

struct Worker;

class ThreadPool {
 public:
  // The pool of this process; never destroyed.
  static ThreadPool& of_process();

  // Runs task(argument, t, n) for every t in 0 .. n-1 at the same time, t = 0 on the calling thread, and returns when
  // all have ended. n is `threads`, or less where the system refuses more threads or others want the CPUs (width.h).
  void run(int32_t threads, Task task, void* argument);

  // Whether the runs of this moment have more threads than the process has CPUs.
  bool crowded() const { return running_.load(std::memory_order_relaxed) > cpus_.load(std::memory_order_relaxed); }

 private:
  std::vector<Worker*> take(int32_t count);
  void give_back(const std::vector<Worker*>& workers);
  void run_measured(const std::vector<Worker*>& workers, Task task, void* argument);
  void run_all(const std::vector<Worker*>& workers, Task task, void* argument, int64_t* waits) const;

  std::atomic<int32_t> running_{0}, cpus_{1};
  std::mutex mutex_;
  std::vector<Worker*> idle_;
  Width width_;
};

}  // namespace onnxc::host
