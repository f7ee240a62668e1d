// A host's `profile` (onnxc.h) that costs two readings of the clock per operation: `user` is a ProfileClock.
// tools/bench --layers loads it by ctypes, since a callback into Python would take longer than a small kernel.
#include <chrono>
#include <cstdint>

extern "C" {

struct ProfileClock {
  int64_t* nanoseconds;  // per operation; of its last run
  int64_t started;
};

void onnxc_bench_profile(void* user, uint32_t index, int32_t phase) {
  auto* clock = static_cast<ProfileClock*>(user);
  const int64_t now = std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
  if (phase == 0)
    clock->started = now;
  else
    clock->nanoseconds[index] = now - clock->started;
}
}
