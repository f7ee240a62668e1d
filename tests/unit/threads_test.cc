// Code for several threads, compiled and run in process on the pool of libonnxc_rt: the same bits at every number of
// threads, several runs at a time, the profile hook, the cancel flag, and a pool that has fewer threads than asked for.
#include <gtest/gtest.h>
#include <onnxc/host.h>

#include <cstring>
#include <thread>

#include "compiler/emit/llvm/in_process.h"
#include "compiler/ir/program_text.h"
#include "compiler/plan/make_plan.h"

namespace onnxc {
namespace {

constexpr int64_t kSide = 48;

// Each operation reads rows and columns that other threads wrote, and the arena is used again and again; a softmax, a
// layer of recurrent cells, whose threads meet at each of its steps, and a serial running sum stand between.
std::string program_text() {
  std::string buffers = "  buffer %r: f32[48, 48] = arena\n  buffer %s: f32[2, 48] = arena\n";
  std::string ops =
      "  nest partition(a, 48) { for a in 48 { for b in 48 { store %r[a, b] = mul(0.01, %x[a, b]) } } }\n";
  const std::string type = ": f32[48, 48] = ", x = "%x", y = "%y";
  std::string last = "x";
  for (int i = 0; i < 24; ++i) {
    const std::string t = "t" + std::to_string(i), v = std::to_string(i);
    buffers += "  buffer %" + t + type + "arena\n";
    const std::string loops =
        "for i" + v + " in 48 { for j" + v + " in 48 { store %" + t + "[i" + v + ", j" + v + "] = ";
    const std::string turned = "add(%x[i" + v + ", j" + v + "], mul(0.5, %" + last + "[j" + v + ", i" + v + "]))";
    if (i % 6 == 2)
      ops += "  call softmax_f32(out %" + t + ", in %" + last + ") {cols = 48} partition(rows, 48)\n";
    else if (i == 5)  // costly where threads wait for a CPU
      ops += "  call rnn_f32(out %" + t + ", out null, in %" + last +
             ", in %r, in null, in null, scratch %s) {stride = 48, steps = 48, batch = 1, hidden = 48, directions = 1, "
             "reverse = 0, batch_first = 0, clip = 0.0, relu = 0, by_units = 1} meetings(48) partition(blocks, 3)\n";
    else
      ops += "  nest " + (i % 6 == 4 ? "" : "partition(i" + v + ", 48) ") + "{ " + loops + turned + " } } }\n";
    last = t;
  }
  ops += "  nest partition(i, 48) { for i in 48 { for j in 48 { store %y[i, j] = %" + last + "[j, i] } } }\n";
  return "program @p {\n  buffer %x" + type + "input(0)\n  buffer %y" + type + "output(0)\n" + buffers +
         "  input \"x\": f32[48, 48] at %x\n  output \"y\": f32[48, 48] at %y\n" + ops + "}\n";
}

struct Model {
  std::unique_ptr<InProcessModel> loaded;
  uint32_t barriers = 0;
};

Model make_model(bool threads) {
  Options options;
  options.thread_grain = 0;
  options.single_thread = !threads;
  Result<Program> program = parse_program(program_text());
  EXPECT_TRUE(program.ok()) << (program.ok() ? "" : program.error().str());
  Result<Plan> plan = make_plan(std::move(program).value(), options);
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().str());
  Model model;
  for (const Operation& op : plan.value().program.ops) model.barriers += std::holds_alternative<Barrier>(op.node);
  auto loaded = InProcessModel::load(plan.value(), *Target::from_options(options), options);
  EXPECT_TRUE(loaded.ok()) << (loaded.ok() ? "" : loaded.error().str());
  model.loaded = std::move(loaded).value();
  return model;
}

struct Session {
  const onnxc_model& model;
  onnxc_host host{};
  onnxc_session* session = nullptr;
  onnxc_message message{sizeof(onnxc_message), ""};

  Session(const onnxc_model& m, int32_t threads) : model(m) {
    host.struct_size = sizeof host;
    onnxc_host_init(&host, threads);
  }
  ~Session() {
    if (session) model.destroy(session);
  }
  void create() {
    onnxc_create_args args{};
    args.struct_size = sizeof args;
    args.abi_version = ONNXC_ABI_VERSION;
    args.host = &host;
    ASSERT_EQ(model.create(&args, &session, &message), ONNXC_OK) << message.text;
  }
  onnxc_status run(const std::vector<float>& x, std::vector<float>& y) {
    onnxc_value in{sizeof in, ONNXC_TENSOR, 1, 2, {kSide, kSide}, const_cast<float*>(x.data()), 0, nullptr}, out = in;
    y.assign(kSide * kSide, -1.0f);
    out.data = y.data();
    out.capacity = y.size() * sizeof(float);
    const onnxc_run_args args = {sizeof args, 1, 1, &in, &out, nullptr, 0};
    return model.run(session, &args, &message);
  }
};

std::vector<float> input(int seed) {
  std::vector<float> x(kSide * kSide);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((i * 7919 + static_cast<size_t>(seed)) % 1000) / 500;
  return x;
}

std::vector<float> expected(const std::vector<float>& x) {
  static const Model one = make_model(false);
  Session session(one.loaded->model(), 1);
  session.create();
  std::vector<float> y;
  EXPECT_EQ(session.run(x, y), ONNXC_OK);
  return y;
}

const Model& threaded() {
  static const Model model = make_model(true);
  return model;
}

TEST(Threads, TheSameBitsAtEveryNumber) {
  const std::vector<float> x = input(1), want = expected(x);
  EXPECT_GT(threaded().barriers, 10u);
  for (int32_t threads = 1; threads <= 7; ++threads) {
    Session session(threaded().loaded->model(), threads);
    session.create();
    for (int round = 0; round < 60; ++round) {
      std::vector<float> y;
      ASSERT_EQ(session.run(x, y), ONNXC_OK) << session.message.text;
      ASSERT_EQ(std::memcmp(y.data(), want.data(), want.size() * sizeof(float)), 0) << threads << " threads";
    }
  }
}

// Two sessions, each used by two threads at a time.
TEST(Threads, SeveralRunsAtATime) {
  Session first(threaded().loaded->model(), 2), second(threaded().loaded->model(), 3);
  first.create();
  second.create();
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&, i] {
      const std::vector<float> x = input(i), want = expected(x);
      std::vector<float> y;
      for (int round = 0; round < 40; ++round) {
        wrong += (i % 2 ? first : second).run(x, y) != ONNXC_OK;
        wrong += std::memcmp(y.data(), want.data(), want.size() * sizeof(float)) != 0;
      }
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Threads, AHostWithFewerThreadsThanItPromised) {
  Session session(threaded().loaded->model(), 8);
  session.host.parallel = [](void*, int32_t, void (*task)(void*, int32_t, int32_t), void* argument) {
    std::thread other(task, argument, 1, 2);
    task(argument, 0, 2);
    other.join();
  };
  session.create();
  const std::vector<float> x = input(5), want = expected(x);
  std::vector<float> y;
  ASSERT_EQ(session.run(x, y), ONNXC_OK);
  EXPECT_EQ(y, want);
}

struct Hook {
  std::vector<uint32_t> started, ended;
  volatile int32_t cancel = 0;
  uint32_t cancel_at = ~0u;

  static void note(void* user, uint32_t index, int32_t phase) {
    Hook& hook = *static_cast<Hook*>(user);
    (phase ? hook.ended : hook.started).push_back(index);
    if (index == hook.cancel_at && phase == 0) hook.cancel = 1;
  }
};

TEST(Threads, TheProfileHookSeesEveryOperationOnThread0) {
  Hook hook;
  Session session(threaded().loaded->model(), 3);
  session.host.user = &hook;
  session.host.profile = &Hook::note;
  session.create();
  std::vector<float> y;
  ASSERT_EQ(session.run(input(0), y), ONNXC_OK);
  EXPECT_EQ(hook.started, hook.ended);
  EXPECT_EQ(hook.started.size() + threaded().barriers, session.model.info->num_operations);
  EXPECT_TRUE(std::is_sorted(hook.started.begin(), hook.started.end()));
}

// Wherever the flag is set, all threads leave together, and the session can go on.
TEST(Threads, ACancelledRunEnds) {
  for (uint32_t at = 0; at < threaded().loaded->model().info->num_operations; at += 3) {
    Hook hook;
    Session session(threaded().loaded->model(), 3);
    session.host.user = &hook;
    session.host.profile = &Hook::note;
    session.host.cancel = &hook.cancel;
    session.create();
    hook.cancel_at = at;
    std::vector<float> y;
    const onnxc_status status = session.run(input(0), y);
    if (hook.cancel == 0) continue;  // `at` is a barrier
    // The last operations have nothing after them that could see the flag.
    if (at + 2 < session.model.info->num_operations) {
      EXPECT_EQ(status, ONNXC_CANCELLED) << at;
      EXPECT_EQ(std::string(session.message.text).find("cancelled before operation "), 0u) << session.message.text;
    }
    hook.cancel = 0;
    hook.cancel_at = ~0u;
    EXPECT_EQ(session.run(input(0), y), ONNXC_OK);
    EXPECT_EQ(y, expected(input(0)));
  }
}

}  // namespace
}  // namespace onnxc
