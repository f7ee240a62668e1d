// The host table of libonnxc_rt: the C heap and the process's thread pool. See include/onnxc/host.h.
#include <onnxc/host.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <ctime>

#include "runtime_lib/host/thread_pool.h"

namespace {

void* allocate(void*, uint64_t bytes, uint64_t alignment) {
  void* memory = nullptr;
  if (alignment < sizeof(void*)) alignment = sizeof(void*);
  if (posix_memalign(&memory, alignment, bytes ? bytes : 1) != 0) return nullptr;
  return memory;
}

void release(void*, void* memory) { free(memory); }

void parallel(void*, int32_t threads, void (*task)(void*, int32_t, int32_t), void* argument) {
  onnxc::host::ThreadPool::of_process().run(threads, task, argument);
}

// At a barrier others are late: for a while because they compute, later perhaps because they have no CPU, which is then
// given to them. Not sooner: where another program is busy, it takes the CPU for a slice of milliseconds at each yield
// (measured: two threads beside two busy programs, 45 barriers a run: 87 ms, 2.7 ms with this patience; 0.5 ms alone).
void wait(void*, uint32_t times) {
  constexpr uint32_t kPatience = 2000, kSleep = 20000;  // about microseconds
  if (times < kPatience && !onnxc::host::ThreadPool::of_process().crowded()) return;
  if (times < kSleep) {
    sched_yield();
  } else {
    const timespec pause = {0, 50'000};
    nanosleep(&pause, nullptr);
  }
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int32_t onnxc_host_cpus(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  const long online = sysconf(_SC_NPROCESSORS_ONLN);  // more CPUs than a cpu_set_t holds
  return online < 1 ? 1 : static_cast<int32_t>(online);
}

__attribute__((visibility("default"))) void onnxc_host_init(onnxc_host* host, int32_t max_threads) {
  onnxc_host full{};
  full.struct_size = host->struct_size < sizeof full ? host->struct_size : sizeof full;
  full.abi_version = ONNXC_ABI_VERSION;
  full.allocate = allocate;
  full.release = release;
  full.parallel = parallel;
  full.wait = wait;
  full.max_threads = max_threads > 0 ? max_threads : onnxc_host_cpus();
  memcpy(host, &full, full.struct_size);  // the caller may be older, and its struct shorter
}

}  // extern "C"
