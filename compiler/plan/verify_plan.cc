// Asks liveness again and compares every pair of places that touch. Tested in tests/unit/plan_test.cc.
#include "compiler/plan/verify_plan.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>

#include "compiler/plan/arena.h"
#include "compiler/plan/liveness.h"
#include "compiler/plan/partition.h"
#include "compiler/plan/weights_blob.h"

namespace onnxc {
namespace {

struct Extent {
  BufferId buffer;
  int64_t begin, end;
};

std::string buffer_str(const Plan& plan, BufferId b) {
  const Place& place = plan.places[b];
  return "%" + plan.program.buffers[b].name + " (#" + std::to_string(b) + ", at " + place.offset.str() + ", " +
         place.bytes.str() + " bytes, operations " + std::to_string(place.first) + " to " + std::to_string(place.last) +
         ")";
}

Error bug(const Plan& plan, BufferId b, const std::string& what) {
  return Error(ErrorKind::Internal, what, "buffer " + buffer_str(plan, b));
}

Status check_place(const Plan& plan, BufferId b, const LiveRange& range) {
  const Buffer& buffer = plan.program.buffers[b];
  const Place& place = plan.places[b];
  const bool needs_place = buffer.storage == Buffer::Storage::Arena || buffer.storage == Buffer::Storage::Constant;
  if (!needs_place || !range.used()) return ok();
  const bool constant = buffer.storage == Buffer::Storage::Constant;
  if (place.kind != (constant ? Place::Kind::Weights : Place::Kind::Arena)) return bug(plan, b, "has no place");
  const Dim size = static_cast<int64_t>(elem_size(buffer.elem));
  if (place.bytes != buffer.extent() * size || place.lead != buffer.lead() * size)
    return bug(plan, b, "has a place of the wrong size: its extent is " + (buffer.extent() * size).str() + " bytes");
  if (!constant && (place.first > range.first || place.last < range.last))
    return bug(plan, b, "is used by operations " + std::to_string(range.first) + " to " + std::to_string(range.last));
  return ok();
}

// Whether a and b meet at one operation only, which declares that one may be written over the other.
bool is_in_place(const Plan& plan, const Liveness& live, BufferId a, BufferId b) {
  if (live.ranges[a].first > live.ranges[b].first) std::swap(a, b);
  const int64_t at = live.ranges[b].first;
  if (live.ranges[a].last != at) return false;
  for (const auto& [written, read] : live.operations[static_cast<size_t>(at)]->in_place)
    if (storage_root(plan.program, written) == b && storage_root(plan.program, read) == a) return true;
  return false;
}

Status check_apart(const Plan& plan, const Liveness& live, const Extent& a, const Extent& b) {
  if (a.begin >= b.end || b.begin >= a.end) return ok();
  if (!plan.debug && !live.ranges[a.buffer].overlaps(live.ranges[b.buffer])) return ok();
  if (!plan.debug && is_in_place(plan, live, a.buffer, b.buffer)) return ok();
  return bug(plan, a.buffer, "shares memory, while it lives, with buffer " + buffer_str(plan, b.buffer));
}

using Values = std::map<std::string, int64_t>;

// The symbols of a run in which the n-th Scalar that does not follow from others is `scalar(n)`, and all that follows
// from them; nothing where such a run is none.
std::optional<Values> values_of(const Plan& plan, const std::function<int64_t(const std::string&, size_t)>& scalar) {
  Values values;
  for (const PlannedStage& stage : plan.stages) {
    for (size_t i = stage.operations.begin; i < stage.operations.end; ++i) {
      const auto* def = std::get_if<ScalarDef>(&plan.program.ops[i].node);
      if (!def) continue;
      const auto* follows = std::get_if<Dim>(&def->value);
      const auto value = follows ? follows->evaluate(values) : std::optional(scalar(def->name, i));
      if (!value) return std::nullopt;
      values[def->name] = *value;
    }
    for (const RunTimeBytes& bytes : stage.run_time_bytes) {
      int64_t most = 0;
      for (const Dim& least : bytes.least) {
        const auto value = least.evaluate(values);
        if (!value) return std::nullopt;
        most = std::max(most, *value);
      }
      values[bytes.name] = most;
    }
  }
  return values;
}

Status check_arena(const Plan& plan, const Liveness& live, const Values& values, size_t stage) {
  const int64_t guard = plan.debug ? plan.guard_bytes : 0;
  std::vector<Extent> extents;
  const auto arena = plan.stages[stage].arena_bytes.evaluate(values);
  for (BufferId b = 0; b < plan.places.size(); ++b) {
    const Place& place = plan.places[b];
    const Buffer& buffer = plan.program.buffers[b];
    if (place.kind == Place::Kind::None || buffer.storage == Buffer::Storage::View || place.stage != stage) continue;
    const auto start = (place.offset - place.lead).evaluate(values), bytes = place.bytes.evaluate(values);
    if (!start || !bytes || !arena) return bug(plan, b, "has a place that does not follow from the dims of the run");
    if (*bytes < 0) return ok();  // no run has such dims
    if (*start % buffer.align != 0) return bug(plan, b, "is not aligned to " + std::to_string(buffer.align) + " bytes");
    const bool constant = place.kind == Place::Kind::Weights;
    if (*start < 0 || *start + *bytes > (constant ? static_cast<int64_t>(plan.blob_bytes) : *arena))
      return bug(plan, b, "lies outside the " + std::string(constant ? "blob" : "arena"));
    if (constant || *bytes == 0) continue;
    if (*start < guard || *start + *bytes + guard > *arena) return bug(plan, b, "has no room for its guard");
    extents.push_back({b, *start, *start + *bytes + guard});
  }
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  for (size_t i = 0; i < extents.size(); ++i)
    for (size_t j = i + 1; j < extents.size() && extents[j].begin < extents[i].end; ++j)
      ONNXC_TRY(check_apart(plan, live, extents[i], extents[j]));
  return ok();
}

// The arenas of one run where all dims are fixed, else of several: of likely dims, of ones, and of any.
Status check_runs(const Plan& plan, const Liveness& live) {
  const auto likely = [&](const std::string& name, size_t) { return likely_value(plan.program, Dim::symbol(name)); };
  const auto ones = [](const std::string&, size_t) { return int64_t{1}; };
  const auto mixed = [](const std::string&, size_t i) { return static_cast<int64_t>(i * 37 % 101); };
  std::vector<std::function<int64_t(const std::string&, size_t)>> runs = {likely};
  if (!has_fixed_places(plan)) runs.insert(runs.end(), {ones, mixed});
  for (const auto& run : runs)
    if (const auto values = values_of(plan, run))
      for (size_t s = 0; s < plan.stages.size(); ++s) ONNXC_TRY(check_arena(plan, live, *values, s));
  return ok();
}

Status check_blob(const Plan& plan) {
  uint64_t end = plan.blob.empty() ? 0 : sizeof(BlobHeader) + plan.blob.size() * sizeof(BlobTableEntry);
  for (const BlobEntry& entry : plan.blob) {
    if (entry.offset < end || entry.offset % kBlobAlignment != 0)
      return Error(ErrorKind::Internal, "blob entries overlap or are not aligned",
                   "constant \"" + plan.program.constants[entry.constant].name + "\"");
    end = entry.offset + entry.bytes;
  }
  if (end > plan.blob_bytes) return Error(ErrorKind::Internal, "the blob is shorter than its entries");
  return ok();
}

Status check_barriers(const Plan& plan) {
  if (!plan.threads) return ok();
  const MissingBarrier missing = find_missing_barrier(plan);
  if (missing.first < 0) return ok();
  return Error(ErrorKind::Internal, "threads touch the same bytes without a barrier between them",
               "operations #" + std::to_string(missing.first) + " and #" + std::to_string(missing.second));
}

}  // namespace

Status verify_plan(const Plan& plan) {
  if (plan.places.size() != plan.program.buffers.size())
    return Error(ErrorKind::Internal, "a plan needs one place per buffer");
  const Liveness live = compute_liveness(plan.program);
  for (BufferId b = 0; b < plan.places.size(); ++b) {
    if (plan.program.buffers[b].storage != Buffer::Storage::View) ONNXC_TRY(check_place(plan, b, live.ranges[b]));
  }
  ONNXC_TRY(check_runs(plan, live));
  ONNXC_TRY(check_barriers(plan));
  return check_blob(plan);
}

}  // namespace onnxc
