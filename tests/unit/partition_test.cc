// What threads share, and where they must meet.
#include "compiler/plan/partition.h"

#include <gtest/gtest.h>

#include <random>

#include "compiler/ir/plan_text.h"
#include "compiler/ir/program_text.h"
#include "compiler/ir/verify_program.h"
#include "compiler/plan/make_plan.h"
#include "compiler/plan/verify_plan.h"

namespace onnxc {
namespace {

Program parse(const std::string& text) {
  Result<Program> program = parse_program(text);
  EXPECT_TRUE(program.ok()) << (program.ok() ? "" : program.error().str());
  return program.ok() ? std::move(program).value() : Program{};
}

Plan plan_of(const Program& program, int64_t grain = 0) {
  Options options;
  options.thread_grain = grain;
  Result<Plan> plan = make_plan(program, options);
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().str());
  return plan.ok() ? std::move(plan).value() : Plan{};
}

// "SsB": a letter per operation: shared, serial, barrier.
std::string pattern(const Plan& plan) {
  std::string text;
  for (const Operation& op : plan.program.ops)
    text += std::holds_alternative<Barrier>(op.node) ? 'B' : is_shared(op) ? 'S' : 's';
  return text;
}

std::string nest(const std::string& dims, const std::string& body) {
  std::string text = "  nest partition(i0, " + dims.substr(0, dims.find(' ')) + ") {\n", end = " }\n";
  size_t at = 0;
  for (int i = 0; at < dims.size(); ++i) {
    const size_t space = std::min(dims.find(' ', at), dims.size());
    text += "for i" + std::to_string(i) + " in " + dims.substr(at, space - at) + " { ";
    end += "}";
    at = space + 1;
  }
  return text + body + end + "\n";
}

std::string program(const std::string& buffers, const std::string& ops) {
  return "program @p {\n  buffer %x: f32[1, 4, 64, 64] = input(0)\n  buffer %y: f32[1, 4, 64, 64] = output(0)\n" +
         buffers + "  input \"x\": f32[1, 4, 64, 64] at %x\n  output \"y\": f32[1, 4, 64, 64] at %y\n" + ops + "}\n";
}

const char* const kCopy = "store %y[i0, i1, i2, i3] = exp(%x[i0, i1, i2, i3])";

const Nest& nest_of(const Plan& plan, size_t op) { return std::get<Nest>(plan.program.ops[op].node); }

TEST(Partition, MovesALoopWithEnoughTurnsOutermost) {
  const Plan plan = plan_of(parse(program("", nest("1 4 64 64", kCopy))), 100);
  ASSERT_TRUE(plan.threads);
  EXPECT_EQ(plan.program.ops[0].partition->axis, "i2");
  const auto& outer = std::get<For>(nest_of(plan, 0).body[0].node);
  EXPECT_EQ(outer.var.name, "i2");
  const auto& second = std::get<For>(outer.body[0].node);
  EXPECT_EQ(second.var.name, "i0");
  EXPECT_TRUE(verify_program(plan.program).ok());
}

TEST(Partition, ALoopThatLeavesTooLittleWithinStaysInItsRun) {
  // As small maps come out of channel blocks: 8 rows of 8 pixels run on from row to row.
  const std::string small = "  buffer %t: f32[1, 4, 256, 8] = arena\n";
  const std::string body = "store %t[i0, i1, i2, i3] = exp(%x[i0, i1, min(i2, 63), i3])";
  const Plan plan = plan_of(parse(program(small, nest("1 4 256 8", body) + nest("1 4 64 64", kCopy))), 50);
  ASSERT_TRUE(plan.threads);
  EXPECT_EQ(plan.program.ops[0].partition->axis, "i1");
}

TEST(Partition, KeepsTheOrderOfTurnsThatDependOnEachOther) {
  // A running sum along i2: only i1 may be shared.
  const std::string sum = "store %y[i0, i1, i2, i3] = add(%x[i0, i1, i2, i3], %y[i0, i1, max(i2 - 1, 0), i3])";
  const Plan plan = plan_of(parse(program("", nest("1 4 64 64", sum))), 50);
  ASSERT_TRUE(plan.threads);
  EXPECT_EQ(plan.program.ops[0].partition->axis, "i1");
}

TEST(Partition, WhatIsTooSmallIsSerialAndWithoutGainThereAreNoThreads) {
  const Program small = parse(program("", nest("1 4 64 64", kCopy)));
  EXPECT_FALSE(plan_of(small, 100'000).threads);
  Options options;
  options.thread_grain = 0;
  options.single_thread = true;
  EXPECT_FALSE(make_plan(small, options).value().threads);
  options.single_thread = false;
  options.debug_plan = true;
  EXPECT_FALSE(make_plan(small, options).value().threads);
}

TEST(Partition, ASerialNestKeepsItsOrderOfLoops) {
  const std::string small = "  nest partition(j0, 1) { for j0 in 1 { for j1 in 64 { store %t[j0, j1] = 1.0 } } }\n";
  const Plan plan = plan_of(parse(program("  buffer %t: f32[1, 64] = arena\n", small + nest("1 4 64 64", kCopy))), 100);
  ASSERT_TRUE(plan.threads);
  EXPECT_EQ(pattern(plan), "sS");
  EXPECT_EQ(std::get<For>(nest_of(plan, 0).body[0].node).var.name, "j0");
}

// Three threads' worth of work is dealt to two as evenly as to three.
TEST(Partition, APartIsWorthAThreadsWhile) {
  const Plan plan = plan_of(parse(program("", nest("1 4 64 64", kCopy))), 100);
  ASSERT_TRUE(plan.threads);
  const Partition& p = *plan.program.ops[0].partition;
  EXPECT_EQ(p.grain, 1);
  const double each =
      estimate_nanoseconds(plan.program, plan.program.ops[0]) / static_cast<double>(p.parts == 0 ? 64 : p.parts);
  EXPECT_GE(each, 100);
  EXPECT_LT(each, 200);
}

TEST(Partition, MeetingsMustBeWorthTheirTime) {
  const auto shared = [](const std::string& meetings) {
    const std::string call = "  call k(out %y, in %x)" + meetings + " partition(rows, 64, work = 64000000)\n";
    return plan_of(parse(program("", call)), 1000).threads;  // a millisecond
  };
  EXPECT_TRUE(shared(""));
  EXPECT_TRUE(shared(" meetings(500)"));
  EXPECT_FALSE(shared(" meetings(5000)"));
}

TEST(Partition, RegionsAreSerial) {
  const Plan plan = plan_of(parse(
      "program @p {\n  buffer %c: bool[1] = input(0)\n  buffer %x: f32[64] = input(1)\n  buffer %t: f32[64] = arena\n"
      "  buffer %e: f32[64] = arena\n  buffer %r: f32[64] = arena\n  buffer %y: f32[64] = output(0)\n"
      "  input \"c\": bool[1] at %c\n  input \"x\": f32[64] at %x\n  output \"y\": f32[64] at %y\n"
      "  if %c -> (%r) {\n  call k(out %t, in %x) partition(rows, 64)\n  yield(%t)\n  } else {\n"
      "  call k(out %e, in %x) partition(rows, 64)\n  yield(%e)\n  }\n"
      "  call k(out %y, in %r) partition(rows, 64)\n}\n"));
  EXPECT_EQ(pattern(plan), "sBS");
  const auto& branch = std::get<If>(plan.program.ops[0].node);
  EXPECT_FALSE(is_shared(branch.then_region.ops[0]));
  EXPECT_FALSE(is_shared(branch.else_region.ops[0]));
}

std::string call(const std::string& out, const std::string& in, bool shared) {
  return "  call k(out %" + out + ", in %" + in + ")" + (shared ? " partition(rows, 64)" : "") + "\n";
}
const char* const kTwo = "  buffer %a: f32[64] = arena\n  buffer %b: f32[64] = arena\n";

TEST(Barriers, StandWhereValuesCrossThreads) {
  EXPECT_EQ(pattern(plan_of(parse(program(kTwo, call("a", "x", true) + call("b", "a", true) + call("y", "b", true))))),
            "SBSBS");
  // Thread 0 goes on with what it wrote itself.
  EXPECT_EQ(
      pattern(plan_of(parse(program(kTwo, call("a", "x", false) + call("b", "a", false) + call("y", "b", true))))),
      "ssBS");
  // Two that only read the same need none between them.
  EXPECT_EQ(pattern(plan_of(parse(program(kTwo, call("a", "x", true) + call("b", "x", false) +
                                                    "  call k2(out %y, in %a, in %b) partition(r, 9)\n")))),
            "SsBS");
}

TEST(Barriers, ACallInWhichThreadsMeetBeginsWithOne) {
  const std::string joint = "  call k(out %b, in %a) meetings(5) partition(rows, 64)\n";
  const Plan plan = plan_of(parse(program(kTwo, call("a", "x", true) + joint + call("y", "b", true))));
  EXPECT_EQ(pattern(plan), "SSBS");
  EXPECT_TRUE(is_joint(plan.program.ops[1]));
}

TEST(Barriers, StandWhereMemoryIsUsedAgain) {
  // %c takes the place of %a, which thread 0 may still read in the second call.
  const std::string buffers = std::string(kTwo) + "  buffer %c: f32[64] = arena\n  buffer %d: f32[64] = arena\n";
  const Plan plan = plan_of(
      parse(program(buffers, call("a", "x", true) + call("b", "a", false) + call("c", "x", true) +
                                 call("d", "b", false) + "  call k2(out %y, in %c, in %d) partition(rows, 64)\n")));
  ASSERT_EQ(plan.places[2].offset, plan.places[4].offset);
  EXPECT_EQ(pattern(plan), "SBsBSsBS");
}

TEST(Barriers, AMissingOneIsFound) {
  Plan plan = plan_of(parse(program(kTwo, call("a", "x", true) + call("b", "a", true) + call("y", "b", true))));
  ASSERT_EQ(pattern(plan), "SBSBS");
  plan.program.ops.erase(plan.program.ops.begin() + 3);
  const Status status = verify_plan(plan);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().str().find("without a barrier"), std::string::npos) << status.error().str();
}

// The property: no order of reads, writes and places leaves a conflict between barriers (make_plan checks itself by
// definition), and no barrier can be left out.
TEST(Barriers, RandomProgramsNeedEveryBarrier) {
  std::mt19937 random(3);
  for (int turn = 0; turn < 100; ++turn) {
    std::string buffers, ops, last = "x";
    std::vector<std::string> made = {"x"};
    for (int i = 0; i < 20; ++i) {
      const std::string name = "t" + std::to_string(i);
      buffers += "  buffer %" + name + ": f32[" + std::to_string(16 + random() % 64) + "] = arena\n";
      ops += call(name, made[made.size() - 1 - random() % std::min<size_t>(made.size(), 4)], random() % 3 != 0);
      made.push_back(name);
    }
    ops += call("y", made.back(), true);
    const Plan plan = plan_of(parse(program(buffers, ops)));
    for (size_t i = 0; i < plan.program.ops.size(); ++i) {
      if (!std::holds_alternative<Barrier>(plan.program.ops[i].node)) continue;
      Plan without = plan;
      without.program.ops.erase(without.program.ops.begin() + static_cast<std::ptrdiff_t>(i));
      EXPECT_GE(find_missing_barrier(without).first, 0);
    }
  }
}

}  // namespace
}  // namespace onnxc
