// Liveness, in-place sharing, the arena and its checker.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "compiler/ir/plan_text.h"
#include "compiler/ir/program_text.h"
#include "compiler/plan/arena.h"
#include "compiler/plan/find_in_place.h"
#include "compiler/plan/liveness.h"
#include "compiler/plan/make_plan.h"
#include "compiler/plan/run_time_layout.h"
#include "compiler/plan/verify_plan.h"

namespace onnxc {
namespace {

// Builds small Programs: buffers of f32, calls over them.
class Builder {
 public:
  BufferId arena(std::string name, Shape dims) { return add(std::move(name), std::move(dims), Buffer::Storage::Arena); }
  BufferId input(std::string name, Shape dims) {
    const BufferId b = add(name, dims, Buffer::Storage::Input);
    program.buffers[b].index = static_cast<int64_t>(program.inputs.size());
    program.inputs.push_back({name, Elem::F32, {}, dims, b});
    return b;
  }
  BufferId view(std::string name, BufferId base, Dim offset, Shape dims) {
    const BufferId b = add(std::move(name), std::move(dims), Buffer::Storage::View);
    program.buffers[b].base = base;
    program.buffers[b].offset = offset;
    return b;
  }
  Operation call(std::vector<BufferId> outs, std::vector<BufferId> ins, std::vector<BufferId> scratch = {}) {
    KernelCall call;
    call.kernel = "k";
    for (BufferId b : outs) call.outs.push_back({b, {}});
    for (BufferId b : ins) call.ins.push_back({b, {}});
    call.scratch = std::move(scratch);
    return {call, {}, {}, {}};
  }
  Operation& emit(Operation op) { return program.ops.emplace_back(std::move(op)); }

  Program program;

 private:
  BufferId add(std::string name, Shape dims, Buffer::Storage storage) {
    Buffer b;
    b.name = std::move(name);
    b.dims = std::move(dims);
    b.storage = storage;
    return program.add_buffer(b);
  }
};

Plan plan_of(const Program& program, bool debug = false) {
  Options options;
  options.debug_plan = debug;
  Result<Plan> plan = make_plan(program, options);
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().str());
  return plan.ok() ? std::move(plan).value() : Plan{};
}

// x -> a -> b -> c -> d, each 64 floats.
Builder chain(bool in_place) {
  Builder b;
  BufferId last = b.input("x", {64});
  for (const char* name : {"a", "b", "c", "d"}) {
    const BufferId next = b.arena(name, {64});
    Operation op = b.call({next}, {last});
    if (in_place) op.in_place.push_back({next, last});
    b.emit(op);
    last = next;
  }
  return b;
}

const Dim& arena_bytes(const Plan& plan) { return plan.stages.front().arena_bytes; }

TEST(Plan, AChainNeedsTwoPlaces) {
  const Plan plan = plan_of(chain(false).program);
  EXPECT_EQ(arena_bytes(plan), Dim(512));
  EXPECT_EQ(plan.unshared_bytes, 1024u);
}

TEST(Plan, AnInPlaceChainNeedsOne) { EXPECT_EQ(arena_bytes(plan_of(chain(true).program)), Dim(256)); }

TEST(Plan, InPlaceIsRefusedWhereTheReadBufferLivesOn) {
  Builder b = chain(true);
  const BufferId e = b.arena("e", {64});
  b.emit(b.call({e}, {1, 4}));  // reads a again
  const Plan plan = plan_of(b.program);
  EXPECT_NE(plan.places[1].offset, plan.places[2].offset);
  EXPECT_EQ(plan.places[2].offset, plan.places[3].offset);
}

TEST(Plan, InPlaceIsRefusedWhereAnotherOperandReadsTheSame) {
  Builder b;
  const BufferId a = b.arena("a", {64}), y = b.arena("y", {64});
  b.emit(b.call({a}, {}));
  b.emit(b.call({y}, {a, a})).in_place = {{y, a}};
  const Plan plan = plan_of(b.program);
  EXPECT_NE(plan.places[a].offset, plan.places[y].offset);
}

TEST(Plan, InPlaceIsRefusedForTwoWrittenBuffers) {
  Builder b;
  const BufferId a = b.arena("a", {64}), y = b.arena("y", {64}), z = b.arena("z", {64});
  b.emit(b.call({a}, {}));
  b.emit(b.call({y, z}, {a})).in_place = {{y, a}, {z, a}};
  const Plan plan = plan_of(b.program);
  EXPECT_EQ(plan.places[a].offset, plan.places[y].offset);
  EXPECT_NE(plan.places[a].offset, plan.places[z].offset);
}

TEST(Plan, InPlaceIsRefusedForALargerOrShiftedBuffer) {
  Builder b;
  const BufferId a = b.arena("a", {64}), y = b.arena("y", {65}), c = b.arena("c", {64}), d = b.arena("d", {128});
  const BufferId half = b.view("half", d, 64, {64});
  b.emit(b.call({a}, {}));
  b.emit(b.call({y}, {a})).in_place = {{y, a}};
  b.emit(b.call({d}, {y}));
  b.emit(b.call({c}, {half})).in_place = {{c, half}};
  const Plan plan = plan_of(b.program);
  EXPECT_NE(plan.places[a].offset, plan.places[y].offset);
  EXPECT_NE(plan.places[c].offset, plan.places[d].offset);
}

TEST(Plan, ViewsKeepTheirBaseAlive) {
  Builder b;
  const BufferId a = b.arena("a", {64}), v = b.view("v", a, 32, {32}), t = b.arena("t", {64}), u = b.arena("u", {64});
  b.emit(b.call({a}, {}));
  b.emit(b.call({t}, {}));
  b.emit(b.call({u}, {v}));
  const Plan plan = plan_of(b.program);
  EXPECT_EQ(plan.places[a].last, 2);
  EXPECT_NE(plan.places[a].offset, plan.places[t].offset);
  EXPECT_EQ(plan.places[v].kind, Place::Kind::None);
}

TEST(Plan, ScratchLivesDuringItsCallOnly) {
  Builder b;
  const BufferId a = b.arena("a", {16}), s = b.arena("s", {1024}), t = b.arena("t", {1024}), y = b.arena("y", {16});
  b.emit(b.call({a}, {}, {s}));
  b.emit(b.call({y}, {a}, {t}));
  const Plan plan = plan_of(b.program);
  EXPECT_EQ(plan.places[s].offset, plan.places[t].offset);
  EXPECT_EQ(arena_bytes(plan), Dim(4096 + 128));
}

TEST(Plan, UnusedBuffersTakeNoPlace) {
  Builder b = chain(false);
  const BufferId dead = b.arena("dead", {1 << 20});
  const Plan plan = plan_of(b.program);
  EXPECT_EQ(plan.places[dead].kind, Place::Kind::None);
  EXPECT_EQ(arena_bytes(plan), Dim(512));
}

TEST(Plan, HaloAndStridesCount) {
  Builder b;
  const BufferId a = b.arena("a", {4, 16});
  b.program.buffers[a].halo = {{1, 2}, {0, 0}};
  const BufferId s = b.arena("s", {4, 16});
  b.program.buffers[s].strides = {20, 1};
  b.emit(b.call({a, s}, {}));
  const Plan plan = plan_of(b.program);
  EXPECT_EQ(plan.places[a].bytes, Dim(7 * 16 * 4));
  EXPECT_EQ(plan.places[a].lead, Dim(16 * 4));
  EXPECT_EQ(plan.places[s].bytes, Dim((3 * 20 + 16) * 4));
}

TEST(Plan, DebugPlanGivesEachBufferItsGuardedPlace) {
  Builder b = chain(true);
  b.program.buffers[2].halo = {{3, 5}};
  const Plan plan = plan_of(b.program, true);
  EXPECT_TRUE(plan.debug);
  EXPECT_GE(plan.guard_bytes, 64);
  int64_t end = 0;
  for (BufferId i = 1; i <= 4; ++i) {
    const int64_t begin = plan.places[i].offset.value() - plan.places[i].lead.value();
    EXPECT_GE(begin, end + plan.guard_bytes);
    EXPECT_EQ(begin % 64, 0);
    end = begin + plan.places[i].bytes.value();
  }
  EXPECT_GE(arena_bytes(plan).value(), end + plan.guard_bytes);
}

TEST(Plan, PlacesFollowFromFreeDims) {
  Builder b;
  const Dim batch = Dim::symbol("batch");
  const BufferId x = b.input("x", {batch, 3});
  b.emit({ScalarDef{"batch", ScalarDef::DimOf{x, 0}}, {}, {}, {}});
  BufferId last = x;
  for (const char* name : {"a", "b", "c"}) {
    const BufferId next = b.arena(name, {batch, 3});
    b.emit(b.call({next}, {last}));
    last = next;
  }
  const Plan plan = plan_of(b.program);
  ASSERT_FALSE(plan.stages.front().run_time_bytes.empty());
  EXPECT_TRUE(has_layout(plan));
  EXPECT_FALSE(arena_bytes(plan).is_const());
  const std::string text = print_plan(plan);
  EXPECT_NE(text.find("bytes that depend on the run:"), std::string::npos) << text;
  EXPECT_EQ(plan.places[1].offset, plan.places[3].offset) << text;  // a and c
}

TEST(Plan, UnknownDimsAreNamed) {
  Builder b;
  const BufferId x = b.input("x", {3}), y = b.arena("y", {Dim::symbol("n")});
  b.emit(b.call({y}, {x}));
  const Result<Plan> plan = make_plan(b.program, {});
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().kind(), ErrorKind::Unsupported);
  EXPECT_NE(plan.error().str().find("known only at run time"), std::string::npos);
}

// What has a size that an operation computes lies in an arena that is found once it has done so.
TEST(Plan, AStageHasAnArenaOfItsOwn) {
  Builder b;
  const BufferId x = b.input("x", {3}), count = b.arena("count", {1}), y = b.arena("y", {Dim::symbol("n"), 2});
  const BufferId z = b.arena("z", {Dim::symbol("n")}), fixed = b.arena("fixed", {64});
  b.program.buffers[count].elem = Elem::I64;
  b.emit(b.call({count}, {x}));
  b.emit({ScalarDef{"n", ScalarDef::Element{count, 0}}, {}, {}, {}});
  b.emit(b.call({y}, {x}));
  b.emit(b.call({z}, {y}));
  b.emit(b.call({fixed}, {z}));
  const Plan plan = plan_of(b.program);
  ASSERT_EQ(plan.stages.size(), 2u);
  EXPECT_EQ(plan.places[count].stage, 0u);
  EXPECT_EQ(plan.places[fixed].stage, 0u);
  EXPECT_EQ(plan.places[y].stage, 1u);
  EXPECT_EQ(plan.places[z].stage, 1u);
  EXPECT_TRUE(plan.stages[0].arena_bytes.is_const());
  EXPECT_FALSE(plan.stages[1].arena_bytes.is_const());
  const TableNames table = table_names(plan);
  EXPECT_EQ(table.begin, (std::vector<size_t>{2, 2}));
  EXPECT_EQ(table.names[2], "n");
}

TEST(Plan, PrintsItsPlaces) {
  const std::string text = print_plan(plan_of(chain(false).program));
  EXPECT_NE(text.find("arena: 512 bytes, 1024 without sharing, 512 live at one time"), std::string::npos) << text;
  EXPECT_NE(text.find("  [256, 512)               #1 to #2          %b: f32[64]"), std::string::npos) << text;
  EXPECT_NE(text.find("call k(out %b, in %a)"), std::string::npos) << text;
}

// The pairs that make_plan finds in `nest` over a, b (born before), y and z.
std::vector<std::pair<BufferId, BufferId>> pairs_of(const std::string& nest) {
  Result<Program> program = parse_program(R"(program @main {
    buffer %a: f32[4, 8] = arena
    buffer %b: f32[8, 4] = arena
    buffer %y: f32[4, 8] = arena
    buffer %n: i8[4, 8] = arena
    call fill(out %a, out %b)
    nest )" + nest + "}");
  EXPECT_TRUE(program.ok()) << (program.ok() ? "" : program.error().str());
  if (!program.ok()) return {};
  find_in_place(*program);
  return program->ops[1].in_place;
}
using Pairs = std::vector<std::pair<BufferId, BufferId>>;

TEST(FindInPlace, ElementByElement) {
  const Pairs found = {{2, 0}};
  EXPECT_EQ(pairs_of("{ for i in 4 { for j in 8 { store %y[i, j] = exp(%a[i, j]) } } }"), found);
  EXPECT_EQ(pairs_of("{ for i in 4 { for j in 8 { let t = %a[i, j] store %y[i, j] = mul(t, t) } } }"), found);
  EXPECT_EQ(pairs_of("{ for i in 4 { for j in 8 { store %y[i, j] = add(%a[i, j], %b[j, i]) } } }"), found);
  EXPECT_EQ(pairs_of("partition(i, 4) { for i in 4 { for j in 8 { store %y[i, j] = %a[i, j] } } }"), found);
  EXPECT_EQ(pairs_of("{ for k in 1 { for j in 8 { store %y[k, j] = %a[0, j] } } }"), found);
  EXPECT_EQ(pairs_of("{ for k in 1 { for i in 4 { for j in 8 { store %y[i, j] = %a[i, j] } } } }"), found);
}

TEST(FindInPlace, NotWhereAnElementIsReadElsewhereOrLater) {
  for (
      const char* nest : {
          "{ for i in 4 { for j in 7 { store %y[i, j] = add(%a[i, j], %a[i, j + 1]) } } }",  // a neighbour
          "{ for i in 4 { for j in 4 { store %y[i, j] = %a[j, i] } } }",                     // transposed
          "{ for i in 4 { for j in 4 { store %y[i, j] = %b[i, j] } } }",                     // other strides
          "{ for i in 4 { for j in 8 { store %y[i, j] = 0.0 let t = %a[i, j] } } }",         // after the store
          "{ for i in 4 { for j in 8 { store %y[i, j] = %a[i, j] } } for k in 4 { let t = %a[k, 0] } }",  // in a later
                                                                                                          // loop
          "{ for k in 3 { for i in 4 { for j in 8 { store %y[i, j] = add(%a[i, j], cast(index(k), f32)) } } } }",  // again
          "{ for i in 4 { for j in 8 { store %y[i, j] = %a[i, j] when lt(index(i), 2) } } }",  // not everywhere
          "{ for i in 4 { for j in 8 { store %y[i, j] = %a[i, j] store %y[i, 0] = 0.0 } } }",  // stored twice
          "{ for i in 4 { for j in 8 { store %n[i, j] = cast(%a[i, j], i8) } } }",             // another size
          "{ for i in 4 { for j in 8 { store %y[i, j] = %a[i, j] } call k(in %a[i, 0]) } }",   // a call reads it
          "{ for i in 4 { reduce s = add over (j in 8) : %a[i, j] for j in 8 { store %y[i, j] = div(%a[i, j], s) } } }",
      })
    EXPECT_EQ(pairs_of(nest), Pairs{}) << nest;
}

// for 3 turns: t = f(kept); u = g(t, carried); carried = u
struct LoopCase {
  Builder b;
  BufferId kept, local, result, carried, after;
};
LoopCase loop_case(bool read_before_write) {
  LoopCase c;
  Builder& b = c.b;
  c.kept = b.arena("kept", {64});
  const BufferId init = b.arena("init", {64});
  c.carried = b.arena("carried", {64});
  c.local = b.arena("local", {64});
  const BufferId next = b.arena("next", {64});
  c.result = b.arena("result", {64});
  c.after = b.arena("after", {64});
  b.emit(b.call({c.kept, init}, {}));
  Loop loop;
  loop.trip_count = Dim(3);
  loop.inits = {init};
  loop.results = {c.result};
  loop.body.args = {c.carried};
  if (read_before_write) loop.body.ops.push_back(b.call({next}, {c.local}));
  loop.body.ops.push_back(b.call({c.local}, {c.kept}));
  loop.body.ops.push_back(b.call({next}, {c.local, c.carried}));
  loop.body.yields = {next};
  b.emit({loop, {}, {}, {}});
  b.emit(b.call({c.after}, {c.result}));
  return c;
}

TEST(Liveness, LoopsKeepWhatTheNextTurnNeeds) {
  const LoopCase c = loop_case(false);
  const Liveness live = compute_liveness(c.b.program);  // 0: fill; 1: loop; 2, 3: its body; 4: a turn's end; 5: after
  EXPECT_EQ(live.ranges[c.kept].first, 0);
  EXPECT_EQ(live.ranges[c.kept].last, 4);  // read by every turn
  EXPECT_EQ(live.ranges[c.carried].first, 1);
  EXPECT_EQ(live.ranges[c.carried].last, 4);
  EXPECT_EQ(live.ranges[c.local].first, 2);  // born anew in each turn
  EXPECT_EQ(live.ranges[c.local].last, 3);
  EXPECT_EQ(live.ranges[c.result].first, 4);
  EXPECT_EQ(live.ranges[c.result].last, 5);
  plan_of(c.b.program);
}

TEST(Liveness, AValueReadBeforeItIsWrittenLivesThroughTheLoop) {
  const LoopCase c = loop_case(true);
  const Liveness live = compute_liveness(c.b.program);
  EXPECT_EQ(live.ranges[c.local].first, 1);
  EXPECT_EQ(live.ranges[c.local].last, 5);  // the body is 2, 3, 4 here
}

TEST(Liveness, BranchesOfAnIfShareMemory) {
  Builder b;
  const BufferId cond = b.input("cond", {1}), t = b.arena("t", {64}), e = b.arena("e", {64}), r = b.arena("r", {64});
  If branch;
  branch.condition = cond;
  branch.results = {r};
  branch.then_region.ops = {b.call({t}, {})};
  branch.then_region.yields = {t};
  branch.else_region.ops = {b.call({e}, {})};
  branch.else_region.yields = {e};
  b.emit({branch, {}, {}, {}});
  const BufferId y = b.arena("y", {64});
  b.emit(b.call({y}, {r}));
  const Plan plan = plan_of(b.program);
  EXPECT_EQ(plan.places[t].offset, plan.places[e].offset);
  EXPECT_NE(plan.places[t].offset, plan.places[r].offset);
}

// The property: whatever the lifetimes, no two blocks that live together overlap; and the layout is not worse than no
// sharing.
TEST(Arena, RandomLifetimesNeverOverlap) {
  std::mt19937 random(1);
  for (int turn = 0; turn < 300; ++turn) {
    std::vector<ArenaBlock> blocks(1 + random() % 40);
    int64_t apart = 0;
    for (ArenaBlock& block : blocks) {
      block.bytes = static_cast<int64_t>(random() % 5000);
      block.align = int64_t{64} << random() % 3;
      block.first = static_cast<int64_t>(random() % 50);
      block.last = block.first + static_cast<int64_t>(random() % 10);
      apart += align_up(block.bytes, 256);
    }
    const ArenaLayout layout = place_blocks(blocks);
    EXPECT_LE(layout.bytes, apart);
    EXPECT_GE(layout.bytes, peak_of_live_bytes(blocks));
    for (size_t i = 0; i < blocks.size(); ++i) {
      EXPECT_EQ(layout.offsets[i] % blocks[i].align, 0);
      EXPECT_LE(layout.offsets[i] + blocks[i].bytes, layout.bytes);
      for (size_t j = 0; j < i; ++j) {
        const bool together = blocks[i].first <= blocks[j].last && blocks[j].first <= blocks[i].last;
        const bool share = layout.offsets[i] < layout.offsets[j] + blocks[j].bytes &&
                           layout.offsets[j] < layout.offsets[i] + blocks[i].bytes;
        EXPECT_FALSE(together && share && blocks[i].bytes > 0 && blocks[j].bytes > 0) << i << " and " << j;
      }
    }
  }
}

// The property: for any sizes of a run, no two blocks that live together overlap; for the likely ones, nothing lies
// higher than in the layout that is followed.
TEST(Arena, ARunTimeLayoutFollowsTheLikelyOne) {
  std::mt19937 random(3);
  for (int turn = 0; turn < 100; ++turn) {
    std::vector<ArenaBlock> blocks(1 + random() % 30);
    std::vector<BlockSize> sizes;
    std::map<std::string, int64_t> likely_values;
    for (ArenaBlock& block : blocks) {
      const std::string symbol = "s" + std::to_string(random() % 5);
      const int64_t bytes = likely_values.try_emplace(symbol, static_cast<int64_t>(random() % 5000)).first->second;
      block = {bytes, int64_t{64} << random() % 3, static_cast<int64_t>(random() % 50), 0};
      block.last = block.first + static_cast<int64_t>(random() % 10);
      sizes.push_back({Dim::symbol(symbol)});
      if (random() % 4 == 0) sizes.back().push_back(Dim(64)), block.bytes = std::max<int64_t>(bytes, 64);
    }
    const ArenaLayout likely = place_blocks(blocks);
    const RunTimeLayout layout = follow_layout(blocks, likely, sizes);
    for (int run = 0; run < 4; ++run) {
      std::map<std::string, int64_t> values = likely_values;
      for (auto& [symbol, value] : values) value = run == 0 ? value : static_cast<int64_t>(random() % 10000);
      const auto largest = [&](const std::vector<Dim>& dims) {
        int64_t most = 0;
        for (const Dim& dim : dims) most = std::max(most, dim.evaluate(values).value());
        return most;
      };
      std::vector<int64_t> bytes, offsets;
      for (const BlockSize& size : sizes) bytes.push_back(largest(size));
      for (const RunTimeBytes& named : layout.named) values[named.name] = largest(named.least);
      for (const Dim& offset : layout.offsets) offsets.push_back(offset.evaluate(values).value());
      const int64_t arena = layout.bytes.evaluate(values).value();
      if (run == 0) {
        EXPECT_LE(arena, likely.bytes);
      }
      for (size_t i = 0; i < blocks.size(); ++i) {
        EXPECT_EQ(offsets[i] % blocks[i].align, 0);
        EXPECT_LE(offsets[i] + bytes[i], arena);
        if (run == 0 && bytes[i] > 0) {
          EXPECT_LE(offsets[i], likely.offsets[i]);
        }
        for (size_t j = 0; j < i; ++j) {
          const bool together = blocks[i].first <= blocks[j].last && blocks[j].first <= blocks[i].last;
          const bool share = offsets[i] < offsets[j] + bytes[j] && offsets[j] < offsets[i] + bytes[i];
          EXPECT_FALSE(together && share && bytes[i] > 0 && bytes[j] > 0) << i << " and " << j;
        }
      }
    }
  }
}

// Random straight-line Programs; make_plan checks itself, and a planted overlap must not pass.
Builder random_program(std::mt19937& random) {
  Builder b;
  std::vector<BufferId> made = {b.input("x", {64})};
  for (int i = 0; i < 30; ++i) {
    std::vector<BufferId> ins;
    for (uint32_t n = 1 + random() % 3; n > 0; --n)
      ins.push_back(made[made.size() - 1 - random() % std::min<size_t>(made.size(), 6)]);
    const BufferId y = b.arena("t" + std::to_string(i), {static_cast<int64_t>(16 * (1 + random() % 8))});
    Operation op = b.call({y}, ins);
    if (random() % 2) op.in_place.push_back({y, ins[0]});
    b.emit(op);
    made.push_back(y);
  }
  return b;
}

TEST(Plan, RandomProgramsPassTheChecker) {
  std::mt19937 random(2);
  for (int turn = 0; turn < 100; ++turn) {
    const Plan plan = plan_of(random_program(random).program);
    EXPECT_LE(arena_bytes(plan).value(), static_cast<int64_t>(plan.unshared_bytes));
  }
}

TEST(VerifyPlan, CatchesAPlantedOverlap) {
  Plan plan = plan_of(chain(false).program);
  plan.places[2].offset = plan.places[1].offset;  // b over a, while a is read
  const Status status = verify_plan(plan);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind(), ErrorKind::Internal);
  EXPECT_NE(status.error().str().find("%a"), std::string::npos);
  EXPECT_NE(status.error().str().find("%b"), std::string::npos);
}

TEST(VerifyPlan, CatchesAPartialOverlap) {
  Plan plan = plan_of(chain(false).program);
  const int64_t low = std::min(plan.places[1].offset.value(), plan.places[2].offset.value());
  plan.places[1].offset = low;
  plan.places[2].offset = low + 192;
  EXPECT_FALSE(verify_plan(plan).ok());
}

TEST(VerifyPlan, CatchesAShortPlaceAndAnArenaThatIsTooSmall) {
  Plan plan = plan_of(chain(false).program);
  plan.places[1].bytes = 128;
  EXPECT_FALSE(verify_plan(plan).ok());
  plan = plan_of(chain(false).program);
  plan.stages.front().arena_bytes = 256;
  EXPECT_FALSE(verify_plan(plan).ok());
}

TEST(VerifyPlan, CatchesSharingInADebugPlan) {
  Plan plan = plan_of(chain(false).program, true);
  plan.places[4].offset = plan.places[1].offset;  // d over a: dead, but debug plans share nothing
  EXPECT_FALSE(verify_plan(plan).ok());
}

}  // namespace
}  // namespace onnxc
