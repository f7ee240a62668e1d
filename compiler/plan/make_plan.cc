// make_plan: in-place pairs, partition, liveness, sharing, arena, barriers, weights blob. The order of operations is
// the Program's. Tested in tests/unit/plan_test.cc.
#include "compiler/plan/make_plan.h"

#include <algorithm>
#include <set>

#include "compiler/plan/arena.h"
#include "compiler/plan/find_in_place.h"
#include "compiler/plan/liveness.h"
#include "compiler/plan/partition.h"
#include "compiler/plan/run_time_layout.h"
#include "compiler/plan/share_in_place.h"
#include "compiler/plan/verify_plan.h"
#include "compiler/plan/weights_blob.h"

namespace onnxc {
namespace {

constexpr int64_t kGuardBytes = 64;

// Scalars of regions: what is sized by them is allocated there.
void add_inner_scalars(const std::vector<Operation>& ops, std::set<std::string>& names) {
  const auto add = [&](const Region& region) {
    for (const Operation& op : region.ops)
      if (const auto* def = std::get_if<ScalarDef>(&op.node)) names.insert(def->name);
    add_inner_scalars(region.ops, names);
  };
  for (const Operation& op : ops) {
    if (const auto* loop = std::get_if<Loop>(&op.node)) add(loop->body);
    if (const auto* branch = std::get_if<If>(&op.node)) add(branch->then_region), add(branch->else_region);
  }
}

}  // namespace

Status require_known_dims(const Program& program) {
  std::set<std::string> known;
  for (const auto& [symbol, stage] : stage_of_symbol(program)) known.insert(symbol);
  add_inner_scalars(program.ops, known);
  std::vector<Diagnostic> diagnostics;
  for (const Buffer& buffer : program.buffers) {
    std::set<std::string> symbols;
    for (const Dim& dim : buffer.dims) dim.collect_symbols(symbols);
    for (const std::string& symbol : symbols)
      if (known.insert(symbol).second)
        diagnostics.push_back({ErrorKind::Unsupported, "value \"" + buffer.name + "\", " + shape_str(buffer.dims),
                               "its size depends on \"" + symbol + "\", which is known only at run time", ""});
  }
  if (!diagnostics.empty()) return Error(std::move(diagnostics));
  for (const Buffer& buffer : program.buffers)
    if ((buffer.extent() * Dim(static_cast<int64_t>(elem_size(buffer.elem)))).is_overflow())
      return Error(ErrorKind::InvalidModel, "this size fits no machine",
                   "value \"" + buffer.name + "\", " + shape_str(buffer.dims));
  return ok();
}

namespace {

Dim bytes_of(const Buffer& buffer, const Dim& elements) {
  return elements * Dim(static_cast<int64_t>(elem_size(buffer.elem)));
}

// One block per group of buffers that share in place.
struct Blocks {
  std::vector<ArenaBlock> blocks;  // of likely size
  std::vector<BlockSize> sizes;
  std::vector<int64_t> block_of;  // per buffer; -1: none
};

// Of the arena of `stage`: of those whose size is known at its end, not before.
Blocks make_blocks(const Program& program, const Liveness& live, const std::vector<BufferId>& leader,
                   const std::vector<size_t>& stages, size_t stage) {
  Blocks out;
  out.block_of.assign(program.buffers.size(), -1);
  std::vector<int64_t> block_of_leader(program.buffers.size(), -1);
  for (BufferId b = 0; b < program.buffers.size(); ++b) {
    const Buffer& buffer = program.buffers[b];
    const LiveRange& range = live.ranges[b];
    if (buffer.storage != Buffer::Storage::Arena || !range.used() || stages[b] != stage) continue;
    int64_t& index = block_of_leader[leader[b]];
    if (index < 0) {
      index = static_cast<int64_t>(out.blocks.size());
      out.blocks.push_back({0, kArenaAlignment, range.first, range.last});
      out.sizes.emplace_back();
    }
    ArenaBlock& block = out.blocks[static_cast<size_t>(index)];
    const Dim bytes = bytes_of(buffer, buffer.extent());
    BlockSize& size = out.sizes[static_cast<size_t>(index)];
    if (std::find(size.begin(), size.end(), bytes) == size.end()) size.push_back(bytes);
    block.bytes = std::max(block.bytes, likely_value(program, bytes));
    block.align = std::max(block.align, buffer.align);
    block.first = std::min(block.first, range.first);
    block.last = std::max(block.last, range.last);
    out.block_of[b] = index;
  }
  return out;
}

void set_lifetimes(Plan& plan, const Liveness& live) {
  for (BufferId b = 0; b < plan.places.size(); ++b) {
    plan.places[b].first = live.ranges[b].first;
    plan.places[b].last = live.ranges[b].last;
  }
}

void place_stage(Plan& plan, const Liveness& live, const std::vector<BufferId>& leader,
                 const std::vector<size_t>& stages, size_t stage) {
  const Program& program = plan.program;
  const Blocks blocks = make_blocks(program, live, leader, stages, stage);
  const ArenaLayout likely = plan.debug ? place_apart(blocks.blocks, plan.guard_bytes) : place_blocks(blocks.blocks);
  const RunTimeLayout layout =
      follow_layout(blocks.blocks, likely, blocks.sizes, stage == 0 ? "@" : "@" + std::to_string(stage) + ":");
  plan.stages[stage].run_time_bytes = layout.named;
  plan.stages[stage].arena_bytes = layout.bytes;
  plan.live_bytes += static_cast<uint64_t>(peak_of_live_bytes(blocks.blocks));
  for (BufferId b = 0; b < program.buffers.size(); ++b) {
    Place& place = plan.places[b];
    if (blocks.block_of[b] < 0) continue;
    const Buffer& buffer = program.buffers[b];
    place.kind = Place::Kind::Arena;
    place.stage = stage;
    place.bytes = bytes_of(buffer, buffer.extent());
    place.lead = bytes_of(buffer, buffer.lead());
    place.offset = layout.offsets[static_cast<size_t>(blocks.block_of[b])] + place.lead;
    plan.unshared_bytes += static_cast<uint64_t>(align_up(likely_value(program, place.bytes), kArenaAlignment));
  }
}

void place_arenas(Plan& plan, const Liveness& live) {
  const Program& program = plan.program;
  std::vector<BufferId> leader(program.buffers.size());
  for (BufferId b = 0; b < leader.size(); ++b) leader[b] = b;
  if (!plan.debug) leader = share_in_place(program, live);
  const StageOfSymbol known = stage_of_symbol(program);
  std::vector<size_t> stages;
  for (const Buffer& buffer : program.buffers) stages.push_back(stage_of(bytes_of(buffer, buffer.extent()), known));
  plan.stages.resize(stages_of(program).size());
  for (size_t s = 0; s < plan.stages.size(); ++s) place_stage(plan, live, leader, stages, s);
}

// Barriers move the operations.
void find_stages(Plan& plan) {
  const std::vector<Stage> stages = stages_of(plan.program);
  for (size_t s = 0; s < stages.size(); ++s) plan.stages[s].operations = stages[s];
}

}  // namespace

Result<Plan> make_plan(Program program, const Options& options) {
  ONNXC_TRY(require_known_dims(program));
  const std::vector<Stage> stages = stages_of(program);
  if (options.debug_plan && (stages.size() > 1 || stages.front().end > 0))
    return Error(ErrorKind::Unsupported, "--debug-plan needs fixed dims", "",
                 "fix free dimensions with --dim NAME=N or --shape INPUT=...");
  Plan plan;
  find_in_place(program);
  const bool one_thread = options.single_thread || options.debug_plan;
  plan.threads = !one_thread && choose_partitions(program, options.thread_grain);
  plan.program = std::move(program);
  plan.places.resize(plan.program.buffers.size());
  plan.debug = options.debug_plan;
  plan.guard_bytes = plan.debug ? kGuardBytes : 0;
  const Liveness live = compute_liveness(plan.program);
  place_arenas(plan, live);
  set_lifetimes(plan, live);  // barriers go by them
  if (plan.threads) insert_barriers(plan);
  find_stages(plan);
  set_lifetimes(plan, compute_liveness(plan.program));
  std::vector<bool> used;
  for (const LiveRange& range : live.ranges) used.push_back(range.used());
  ONNXC_TRY(place_constants(plan, used));
  ONNXC_TRY(verify_plan(plan));
  return plan;
}

}  // namespace onnxc
