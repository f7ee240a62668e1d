// How many threads a run gets. Threads of a run meet at barriers, so one that waits for a CPU holds all others up:
// beside busy programs, or where a container has fewer CPUs than it shows, two threads can take a hundred times as long
// as one (measured: an LSTM of 2 ms took 900 ms on two CPUs beside nine busy processes). So runs that lose more time
// this way than fewer threads would take longer make the next ones narrower, for as long as was lost; then all threads
// are tried again. Each try that fails at once doubles that time, to twenty times what it lost: all tries of a long
// crowd cost a twentieth, while another program's start costs no more than it took. Results do not depend on the number
// of threads. Tested in tests/unit/host_test.cc.
#pragma once

#include <cstdint>
#include <limits>
#include <mutex>

namespace onnxc::host {

class Width {
 public:
  // The threads of a run that wants so many and begins at `now`. All times are in nanoseconds.
  int32_t of_run(int32_t wanted, int64_t now);

  // Whether the run that begins should be measured: all long ones and those after a loss, of short ones every 16th.
  bool measures_next();

  // A run of several threads took `wall`; the one that was held up most was ready but without a CPU for `longest`, and
  // `starved` of them for more than a third of the run.
  void learn(int32_t threads, int64_t wall, int64_t longest, int32_t starved, int64_t now);

  static constexpr int64_t kLeastLoss = 5'000'000, kWindow = 100'000'000, kLongRun = 1'000'000;
  static constexpr int64_t kMostPatience = 20;

 private:
  static constexpr int32_t kAll = std::numeric_limits<int32_t>::max();

  std::mutex mutex_;
  int32_t width_ = kAll;
  int64_t try_all_at_ = 0;
  int64_t patience_ = 1;         // how many times the time lost the next narrow phase lasts
  int64_t wall_ = 0, lost_ = 0;  // of measured runs, older ones counting less
  bool closely_ = true;
  uint32_t runs_ = 0;
};

// How long the calling thread has been ready to run but without a CPU, since it began; 0 where the system does not
// tell.
int64_t waited_for_cpu();

}  // namespace onnxc::host
