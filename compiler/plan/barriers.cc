// Where threads must meet. A barrier is set in front of the first operation that conflicts with one since the last
// barrier: as late as can be, so there are as few as can be. Tested in tests/unit/partition_test.cc.
#include "compiler/plan/partition.h"

namespace onnxc {
namespace {

// Bytes [begin, end) of one piece of memory: 0 the arena, 1 + i the i-th output, -1 - i the i-th input. In an arena
// with places that only a run knows, from its first element on.
struct Access {
  int64_t memory = 0, begin = 0, end = 0;
  bool write = false;
  const Place* place = nullptr;  // in such an arena
};

enum class Runner { First, Shared };  // thread 0; each a part

bool is_of_stage(const Operation& op) {
  return std::holds_alternative<ScalarDef>(op.node) || std::holds_alternative<Require>(op.node);
}

struct Accesses {
  Runner runner = Runner::First;
  std::vector<Access> list;
};

void add_access(const Plan& plan, BufferId b, bool write, std::vector<Access>& out) {
  const Program& program = plan.program;
  const Buffer& buffer = program.buffers[b];
  const Buffer& root = program.buffers[storage_root(program, b)];
  const Place& place = plan.places[storage_root(program, b)];
  const auto size = Dim(static_cast<int64_t>(elem_size(buffer.elem)));
  Dim begin = view_offset_bytes(program, b) - buffer.lead() * size;
  Access access{0, 0, 0, write};
  switch (root.storage) {
    case Buffer::Storage::Arena:
      if (has_fixed_places(plan))
        begin = begin + place.offset;
      else
        access.place = &place;
      break;
    case Buffer::Storage::Input: access.memory = -1 - root.index; break;
    case Buffer::Storage::Output:
      access.memory = 1 + root.index;
      if (root.alias_of != kNoBuffer) access.memory = -1 - program.buffers[root.alias_of].index;
      break;
    default: return;  // constants are never written
  }
  const Dim end = begin + buffer.extent() * size;
  access.begin = begin.constant().value_or(INT64_MIN);
  access.end = end.constant().value_or(INT64_MAX);
  out.push_back(access);
}

Accesses accesses_of(const Plan& plan, const Operation& op) {
  Accesses out;
  if (is_of_stage(op)) return out;  // all wait for it
  out.runner = is_shared(op) ? Runner::Shared : Runner::First;
  const Effects effects = effects_of(op);
  for (BufferId b : effects.reads) add_access(plan, b, false, out.list);
  for (BufferId b : effects.writes) add_access(plan, b, true, out.list);
  return out;
}

bool overlap(const Access& a, const Access& b) {
  if (a.memory != b.memory || (!a.write && !b.write)) return false;
  if (a.place && a.place->stage != b.place->stage) return false;
  // Blocks that live at the same time lie apart; others may have the same bytes.
  if (a.place && a.place->offset - a.place->lead != b.place->offset - b.place->lead)
    return a.place->last < b.place->first || b.place->last < a.place->first;
  return a.begin < b.end && b.begin < a.end;
}

bool starts_together(const Operation& op) {
  return std::holds_alternative<Barrier>(op.node) || is_of_stage(op) || is_joint(op);
}

bool conflict(const Accesses& a, const Accesses& b) {
  if (a.runner == Runner::First && b.runner == Runner::First) return false;
  for (const Access& x : a.list)
    for (const Access& y : b.list)
      if (overlap(x, y)) return true;
  return false;
}

}  // namespace

void insert_barriers(Plan& plan) {
  std::vector<Operation> ops;
  std::vector<Accesses> since;
  for (Operation& op : plan.program.ops) {
    if (starts_together(op)) since.clear();
    if (!std::holds_alternative<Barrier>(op.node)) {
      Accesses accesses = accesses_of(plan, op);
      for (const Accesses& before : since)
        if (conflict(before, accesses)) {
          ops.push_back(Operation{Barrier{}, {}, {}, {}});
          since.clear();
          break;
        }
      since.push_back(std::move(accesses));
    }
    ops.push_back(std::move(op));
  }
  plan.program.ops = std::move(ops);
}

MissingBarrier find_missing_barrier(const Plan& plan) {
  const std::vector<Operation>& ops = plan.program.ops;
  std::vector<Accesses> all;
  for (const Operation& op : ops) all.push_back(accesses_of(plan, op));
  for (size_t i = 0; i < ops.size(); ++i)
    for (size_t j = i + 1; j < ops.size() && !starts_together(ops[j]); ++j)
      if (conflict(all[i], all[j])) return {static_cast<int64_t>(i), static_cast<int64_t>(j)};
  return {};
}

}  // namespace onnxc
