// What a person sees of a compilation in progress, on standard error: one line per phase, with its time.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>

namespace onnxc {

class Progress {
 public:
  Progress(bool quiet, bool times, size_t further_phases = 0)
      : quiet_(quiet), times_(times), phases_(kPhases + static_cast<int>(further_phases)) {}
  // Ends the phase before and begins `name`.
  void phase(const std::string& name) {
    finish();
    name_ = name;
    start_ = Clock::now();
    ++count_;
    if (!quiet_ && !times_) std::fprintf(stderr, "onnxc: [%d/%d] %s\n", count_, phases_, name.c_str());
  }
  void finish() {
    if (!name_.empty() && times_)
      std::fprintf(stderr, "onnxc: %9.1f ms  %s\n",
                   std::chrono::duration<double, std::milli>(Clock::now() - start_).count(), name_.c_str());
    name_.clear();
  }
  void note(const std::string& text) const {
    if (!quiet_) std::fprintf(stderr, "onnxc: %s\n", text.c_str());
  }
  ~Progress() { finish(); }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int kPhases = 6;
  bool quiet_, times_;
  int phases_, count_ = 0;
  std::string name_;
  Clock::time_point start_;
};

}  // namespace onnxc
