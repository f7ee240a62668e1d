// See width.h.
#include "runtime_lib/host/width.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace onnxc::host {

int32_t Width::of_run(int32_t wanted, int64_t now) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (width_ != kAll && now >= try_all_at_) {
    width_ = kAll;
    closely_ = true;
  }
  return std::min(wanted, width_);
}

bool Width::measures_next() {
  constexpr uint32_t kEach = 16;
  std::lock_guard<std::mutex> lock(mutex_);
  return closely_ || ++runs_ % kEach == 0;
}

void Width::learn(int32_t threads, int64_t wall, int64_t longest, int32_t starved, int64_t now) {
  std::lock_guard<std::mutex> lock(mutex_);
  closely_ = wall > kLongRun || starved > 0;
  wall_ += wall;
  lost_ += longest;
  const int32_t fewer = std::max(1, std::min(width_, threads) - std::max(1, starved));
  // Fewer threads would take (wall - lost) * threads / fewer. A crowd costs more than is measured, as threads that move
  // between CPUs lose their caches: beside one busy program two threads were slower where this said they were equal.
  const bool fewer_are_faster = (wall_ - lost_) * threads * 3 < wall_ * fewer * 4;
  if (lost_ >= kLeastLoss && fewer_are_faster) {
    width_ = fewer;
    try_all_at_ = now + patience_ * lost_;
    patience_ = std::min(2 * patience_, kMostPatience);
    wall_ = lost_ = 0;
  } else if (wall_ > kWindow) {
    wall_ /= 2;
    lost_ /= 2;
    if (width_ == kAll) patience_ = std::max<int64_t>(1, patience_ / 2);
  }
}

// The second number of Linux's schedstat (kernel documentation, scheduler/sched-stats.rst).
int64_t waited_for_cpu() {
  const int file = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[96];
  const ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  if (length <= 0) return 0;
  text[length] = '\0';
  char* end = nullptr;
  std::strtoll(text, &end, 10);
  return std::strtoll(end, nullptr, 10);
}

}  // namespace onnxc::host
