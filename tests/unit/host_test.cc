// The host table of libonnxc_rt: heap, and a pool whose threads run at the same time, for several callers, and after a
// fork.
#include <gtest/gtest.h>
#include <onnxc/host.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "runtime_lib/host/width.h"

namespace {

onnxc_host make_host(int32_t threads) {
  onnxc_host host{};
  host.struct_size = sizeof host;
  onnxc_host_init(&host, threads);
  return host;
}

// Ends only when all its threads have arrived: hangs, and so fails, where they do not run at the same time.
struct Meeting {
  std::atomic<int32_t> arrived{0};
  std::atomic<int64_t> seen{0};
  std::atomic<int32_t> threads{0};

  static void task(void* argument, int32_t thread, int32_t threads) {
    auto* meeting = static_cast<Meeting*>(argument);
    meeting->threads = threads;
    meeting->seen += int64_t{1} << (8 * thread);
    ++meeting->arrived;
    while (meeting->arrived < threads) std::this_thread::yield();
  }
};

void expect_meeting(const onnxc_host& host, int32_t threads) {
  Meeting meeting;
  host.parallel(host.user, threads, &Meeting::task, &meeting);
  EXPECT_LE(meeting.threads, threads);  // fewer where the machine is busy
  EXPECT_GE(meeting.threads, 1);
  int64_t each_once = 0;
  for (int32_t t = 0; t < meeting.threads; ++t) each_once += int64_t{1} << (8 * t);
  EXPECT_EQ(meeting.seen, each_once);
}

constexpr int64_t kMs = 1'000'000;

TEST(Width, IsAllThatIsWantedWhileNothingIsLost) {
  onnxc::host::Width width;
  for (int64_t now = 0; now < 1000 * kMs; now += kMs) {
    EXPECT_EQ(width.of_run(4, now), 4);
    width.learn(4, kMs, kMs / 50, 0, now + kMs);
  }
}

TEST(Width, OneHiccupChangesNothing) {
  onnxc::host::Width width;
  for (int64_t now = 0; now < 40 * kMs; now += kMs) width.learn(2, kMs, 0, 0, now);
  width.learn(2, 9 * kMs, 8 * kMs, 1, 50 * kMs);
  EXPECT_EQ(width.of_run(2, 50 * kMs), 2);
}

TEST(Width, StarvedRunsMakeTheNextNarrowerForAsLongAsWasLost) {
  onnxc::host::Width width;
  width.learn(8, 10 * kMs, 6 * kMs, 3, 10 * kMs);
  EXPECT_EQ(width.of_run(8, 11 * kMs), 5);
  EXPECT_EQ(width.of_run(2, 11 * kMs), 2);
  EXPECT_EQ(width.of_run(8, 15 * kMs), 5);
  EXPECT_EQ(width.of_run(8, 16 * kMs), 8);
  EXPECT_TRUE(width.measures_next());
}

TEST(Width, IsKeptWhereFewerThreadsWouldTakeLonger) {
  onnxc::host::Width width;
  for (int64_t now = 0; now < 1000 * kMs; now += 10 * kMs) {
    width.learn(2, 10 * kMs, 3 * kMs, 1, now);
    EXPECT_EQ(width.of_run(2, now), 2);
  }
}

// For how many ms it stays narrow after a try at `now` that lost so many.
int64_t narrow_time(onnxc::host::Width& width, int64_t now, int64_t lost) {
  EXPECT_EQ(width.of_run(2, now), 2);
  width.learn(2, lost * kMs * 6 / 5, lost * kMs, 1, now);
  int64_t end = now;
  while (width.of_run(2, end) < 2) end += kMs;
  return (end - now) / kMs;
}

TEST(Width, StaysNarrowLongerWhileTriesFailToTwentyTimesWhatTheyLose) {
  onnxc::host::Width width;
  int64_t now = 0;
  for (const int64_t times : {1, 2, 4, 8, 16, 20, 20}) {
    EXPECT_EQ(narrow_time(width, now, 10), 10 * times);
    now += 1000 * kMs;
  }
  for (int run = 0; run < 30; ++run) width.learn(2, 60 * kMs, 0, 0, now);
  EXPECT_EQ(narrow_time(width, now, 200), 200);
}

TEST(Width, NeverIsBelowOne) {
  onnxc::host::Width width;
  width.learn(2, 900 * kMs, 800 * kMs, 2, 900 * kMs);
  EXPECT_EQ(width.of_run(2, 901 * kMs), 1);
}

TEST(Width, OfShortRunsEverySixteenthIsMeasured) {
  onnxc::host::Width width;
  EXPECT_TRUE(width.measures_next());
  width.learn(2, kMs / 100, 0, 0, kMs);
  int measured = 0;
  for (int run = 0; run < 160; ++run) measured += width.measures_next();
  EXPECT_EQ(measured, 10);
}

TEST(Width, KnowsHowLongAThreadWaited) {
  const int64_t before = onnxc::host::waited_for_cpu();
  EXPECT_GE(before, 0);
  EXPECT_GE(onnxc::host::waited_for_cpu(), before);
}

TEST(Host, KnowsTheCpus) {
  EXPECT_GE(onnxc_host_cpus(), 1);
  EXPECT_EQ(make_host(0).max_threads, onnxc_host_cpus());
  EXPECT_EQ(make_host(3).max_threads, 3);
}

TEST(Host, FillsNoMoreThanAnOlderCallersStruct) {
  onnxc_host host;
  std::memset(&host, 0x5a, sizeof host);
  host.struct_size = offsetof(onnxc_host, max_threads);
  onnxc_host_init(&host, 2);
  EXPECT_EQ(host.struct_size, offsetof(onnxc_host, max_threads));
  EXPECT_EQ(host.max_threads, 0x5a5a5a5a);
}

TEST(Host, AllocatesAligned) {
  const onnxc_host host = make_host(1);
  for (uint64_t alignment : {1, 16, 64, 4096}) {
    void* memory = host.allocate(host.user, 100, alignment);
    ASSERT_NE(memory, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % alignment, 0u);
    host.release(host.user, memory);
  }
  EXPECT_EQ(host.allocate(host.user, uint64_t{1} << 62, 64), nullptr);
}

TEST(Host, RunsAllThreadsAtTheSameTime) {
  const onnxc_host host = make_host(4);
  for (int32_t threads = 1; threads <= 7; ++threads) expect_meeting(host, threads);
  for (int round = 0; round < 200; ++round) expect_meeting(host, 3);
}

TEST(Host, ServesSeveralCallersAtATime) {
  const onnxc_host host = make_host(3);
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round) expect_meeting(host, 3);
    });
  for (std::thread& caller : callers) caller.join();
}

TEST(Host, HasANewPoolInAForkedChild) {
  const onnxc_host host = make_host(3);
  expect_meeting(host, 3);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);  // a pool without threads would wait for ever
    Meeting meeting;
    host.parallel(host.user, 3, &Meeting::task, &meeting);
    _exit(meeting.arrived == 3 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  expect_meeting(host, 3);
}

}  // namespace
