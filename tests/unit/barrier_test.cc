// Barriers of a run: nobody passes before all are there, failures reach all threads at one barrier, and a thread that
// is one barrier ahead disturbs nobody.
#include "runtime_lib/abi/barrier.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

namespace {

void yield(void*, uint32_t) { sched_yield(); }

// Runs `body` on threads that share what the threads of a run share.
void on_threads(int32_t threads, const std::function<void(onnxc_frame&)>& body) {
  std::vector<onnxc_arrival> arrivals(static_cast<size_t>(threads), onnxc_arrival{});
  onnxc_host host = {};
  host.wait = yield;
  std::vector<std::thread> running;
  for (int32_t t = 0; t < threads; ++t)
    running.emplace_back([&, t] {
      onnxc_frame frame = {};
      frame.arrivals = arrivals.data();
      frame.host = &host;
      frame.thread = t;
      frame.threads = threads;
      body(frame);
    });
  for (std::thread& thread : running) thread.join();
}

TEST(Barrier, NobodyPassesBeforeAllAreThere) {
  for (int32_t threads : {2, 3, 5}) {
    constexpr int kRounds = 2000;
    std::atomic<int> arrived{0};
    std::atomic<int> wrong{0};
    on_threads(threads, [&](onnxc_frame& frame) {
      for (int round = 1; round <= kRounds; ++round) {
        ++arrived;
        wrong += onnxc_barrier(&frame, ONNXC_OK) != ONNXC_OK;
        wrong += arrived < round * threads;
      }
    });
    EXPECT_EQ(wrong, 0);
  }
}

// Each thread fails at a barrier of its own; all must leave at the first of these, with that status.
TEST(Barrier, AllThreadsLeaveAtTheSameBarrierWithOneStatus) {
  for (int turn = 0; turn < 200; ++turn) {
    std::atomic<int> left_at[4] = {};
    std::atomic<int> status_of[4] = {};
    on_threads(4, [&](onnxc_frame& frame) {
      for (int number = 1;; ++number) {
        const bool fails = number == 10 + (frame.thread * 7 + turn) % 5;
        const int32_t status = onnxc_barrier(&frame, fails ? ONNXC_FAILED + frame.thread % 2 : ONNXC_OK);
        if (status == ONNXC_OK) continue;
        left_at[frame.thread] = number;
        status_of[frame.thread] = status;
        return;
      }
    });
    for (int t = 1; t < 4; ++t) {
      EXPECT_EQ(left_at[t], left_at[0]);
      EXPECT_EQ(status_of[t], status_of[0]);
    }
  }
}

TEST(Barrier, OneThreadWaitsForNobody) {
  onnxc_frame frame = {};
  frame.threads = 1;
  EXPECT_EQ(onnxc_barrier(&frame, ONNXC_OK), ONNXC_OK);
  EXPECT_EQ(onnxc_barrier(&frame, ONNXC_CANCELLED), ONNXC_CANCELLED);
}

}  // namespace
