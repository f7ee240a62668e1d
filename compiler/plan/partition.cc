// Tested in tests/unit/partition_test.cc.
#include "compiler/plan/partition.h"

#include <algorithm>
#include <map>
#include <ranges>
#include <set>

namespace onnxc {
namespace {

// The least time that a second thread must save per run, in grains: waking it may take this long.
constexpr int64_t kLeastGain = 25;
// What it costs the threads of a call to meet in it once.
constexpr int64_t kMeetingNanoseconds = 300;
// Turns of the shared loop from which on it is good enough for any likely number of threads.
constexpr int64_t kEnoughTurns = 16;
// As good as any number of parts.
constexpr int64_t kManyParts = 256;
// Elements of a vectorised loop that stay together.
constexpr int64_t kVectorGrain = 64;

// ---- the loop of a nest that threads share

// The loops that stand alone in each other, outermost first.
std::vector<For*> perfect_loops(Nest& nest) {
  std::vector<For*> loops;
  for (Block* block = &nest.body; block->size() == 1;) {
    auto* loop = std::get_if<For>(&block->front().node);
    if (!loop) break;
    loops.push_back(loop);
    block = &loop->body;
  }
  return loops;
}

// Every index list by which a nest reaches a buffer.
struct Survey {
  std::map<BufferId, std::vector<std::vector<Expr>>> accesses;
  std::set<BufferId> written;
  bool scratch = false;

  Survey(const Program& program, const Nest& nest) : program_(program) {
    visit(nest.body);
    for_each_expr(nest.body, [&](const Expr& e) {
      for_each_load(e, [&](const ExprNode& load) { accesses[load.buffer].push_back(load.args); });
    });
  }

  // Whether the nest also reaches the memory of `b` by another buffer.
  bool has_other_name(BufferId b) const {
    return std::any_of(accesses.begin(), accesses.end(), [&](const auto& other) {
      return other.first != b && storage_root(program_, other.first) == storage_root(program_, b);
    });
  }

 private:
  void add(const Operand& o, bool write) {
    if (o.buffer == kNoBuffer) return;
    accesses[o.buffer].push_back(o.at);
    if (write) written.insert(o.buffer);
  }
  void visit(const Block& block) {
    for (const Stmt& s : block) {
      if (const auto* loop = std::get_if<For>(&s.node)) visit(loop->body);
      if (const auto* store = std::get_if<Store>(&s.node)) add({store->buffer, store->at}, true);
      if (const auto* call = std::get_if<KernelCall>(&s.node)) {
        for (const Operand& o : call->outs) add(o, true);
        for (const Operand& o : call->inouts) add(o, true);
        for (const Operand& o : call->ins) add(o, false);
        scratch |= !call->scratch.empty();
      }
    }
  }

  const Program& program_;
};

// Whether the turns of loop `var` may run in any order and at the same time: of whatever is written, each turn reaches
// one slice only, its own.
bool turns_are_independent(const Survey& survey, const std::string& var) {
  const auto at_var = [&](const std::vector<Expr>& at, size_t d) {
    return d < at.size() && at[d]->op == ExprOp::Index && at[d]->dim.as_symbol() == var;
  };
  return !survey.scratch && std::all_of(survey.written.begin(), survey.written.end(), [&](BufferId b) {
    const auto& accesses = survey.accesses.at(b);
    if (survey.has_other_name(b)) return false;
    const auto dims = std::views::iota(size_t{0}, accesses.front().size());
    return std::ranges::any_of(dims, [&](size_t d) {
      return std::all_of(accesses.begin(), accesses.end(), [&](const auto& at) { return at_var(at, d); });
    });
  });
}

int64_t turns(const Program& program, const For& loop) { return likely_value(program, loop.var.extent); }

// Turns of all loops within loop `i`.
int64_t turns_within(const Program& program, const std::vector<For*>& loops, size_t i) {
  int64_t product = 1;
  for (size_t k = i + 1; k < loops.size(); ++k) product *= turns(program, *loops[k]);
  return product;
}

// The loop to share: the first one with enough turns, else the one with the most; the innermost, which is vectorised,
// only when no other has two. A loop that would leave too few turns within it stays where it is, in one run with them.
size_t choose_loop(const Program& program, const Nest& nest, const std::vector<For*>& loops) {
  const Survey survey(program, nest);
  size_t best = 0;
  for (size_t i = 0; i < loops.size(); ++i) {
    if (turns(program, *loops[best]) >= kEnoughTurns) break;
    const bool single = std::all_of(loops.begin(), loops.begin() + static_cast<std::ptrdiff_t>(i),
                                    [&](const For* loop) { return turns(program, *loop) == 1; });
    if (i + 1 == loops.size() && !single) break;
    if (!single && turns_within(program, loops, i) < kVectorGrain) continue;
    if (turns(program, *loops[i]) > turns(program, *loops[best]) && turns_are_independent(survey, loops[i]->var.name))
      best = i;
  }
  return best;
}

void move_outermost(std::vector<For*>& loops, size_t chosen) {
  for (size_t i = chosen; i > 0; --i) std::swap(loops[i]->var, loops[i - 1]->var);
}

void choose_axis(const Program& program, Nest& nest, Partition& partition) {
  std::vector<For*> loops = perfect_loops(nest);
  if (loops.empty()) return;
  move_outermost(loops, choose_loop(program, nest, loops));
  partition.axis = loops[0]->var.name;
  partition.extent = loops[0]->var.extent;
  if (loops.size() == 1 ||
      std::all_of(loops.begin() + 1, loops.end(), [&](const For* l) { return turns(program, *l) == 1; }))
    partition.grain = kVectorGrain;
}

int64_t meeting_nanoseconds(const Program& program, const Operation& op) {
  const auto* call = std::get_if<KernelCall>(&op.node);
  return call && call->meetings ? likely_value(program, *call->meetings) * kMeetingNanoseconds : 0;
}

void make_serial(Partition& partition) {
  if (const auto extent = partition.extent.constant())
    partition.grain = std::max<int64_t>(*extent, 1);
  else
    partition.parts = 1;
}

// Each thread that has a part of the work has enough of it.
void choose_parts(Partition& partition, double nanoseconds, int64_t least_nanoseconds) {
  if (least_nanoseconds == 0) return;  // whatever can be shared is
  const auto parts = static_cast<int64_t>(nanoseconds / static_cast<double>(least_nanoseconds));
  if (parts < 2)
    make_serial(partition);
  else if (parts < kManyParts)
    partition.parts = parts;
}

void make_serial(std::vector<Operation>& ops);

void make_regions_serial(Operation& op) {
  if (auto* branch = std::get_if<If>(&op.node)) {
    make_serial(branch->then_region.ops);
    make_serial(branch->else_region.ops);
  }
  if (auto* loop = std::get_if<Loop>(&op.node)) make_serial(loop->body.ops);
}

void make_serial(std::vector<Operation>& ops) {
  for (Operation& op : ops) {
    if (op.partition) make_serial(*op.partition);
    make_regions_serial(op);
  }
}

}  // namespace

bool choose_partitions(Program& program, int64_t grain_nanoseconds) {
  Program chosen = program;
  double shared = 0;
  for (Operation& op : chosen.ops) {
    make_regions_serial(op);
    if (!op.partition) continue;
    const double nanoseconds = estimate_nanoseconds(chosen, op);
    // A nest that stays serial keeps its order of loops.
    const bool worth_it = nanoseconds >= 2 * static_cast<double>(grain_nanoseconds);
    if (auto* nest = std::get_if<Nest>(&op.node); nest && worth_it) choose_axis(chosen, *nest, *op.partition);
    const int64_t least = grain_nanoseconds == 0 ? 0 : grain_nanoseconds + meeting_nanoseconds(chosen, op);
    choose_parts(*op.partition, nanoseconds, least);
    if (is_shared(op)) shared += nanoseconds;
  }
  if (shared == 0 || shared / 2 < static_cast<double>(kLeastGain * grain_nanoseconds)) return false;
  program = std::move(chosen);
  return true;
}

}  // namespace onnxc
