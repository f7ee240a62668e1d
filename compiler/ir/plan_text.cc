// What --emit=plan prints. Tested in tests/unit/plan_test.cc.
#include "compiler/ir/plan_text.h"

#include <algorithm>
#include <cstdio>

#include "compiler/ir/program_text.h"

namespace onnxc {
namespace {

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%016llx", static_cast<unsigned long long>(value));
  return text;
}

std::string padded(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string totals(const Plan& plan) {
  std::string out = "arena: " + plan.stages.front().arena_bytes.str() + " bytes, " +
                    std::to_string(plan.unshared_bytes) + " without sharing, " + std::to_string(plan.live_bytes) +
                    " live at one time";
  for (size_t s = 1; s < plan.stages.size(); ++s)
    out += "\narena of stage " + std::to_string(s) + ": " + plan.stages[s].arena_bytes.str() + " bytes";
  if (plan.threads) {
    const auto& ops = plan.program.ops;
    const auto barriers =
        std::count_if(ops.begin(), ops.end(), [](const auto& op) { return std::holds_alternative<Barrier>(op.node); });
    out += "\nthreads: " + std::to_string(std::count_if(ops.begin(), ops.end(), is_shared)) + " of " +
           std::to_string(static_cast<std::ptrdiff_t>(ops.size()) - barriers) + " operations shared, " +
           std::to_string(barriers) + " barriers";
  }
  if (plan.debug) out += "; debug: nothing shared, guards of " + std::to_string(plan.guard_bytes) + " bytes";
  out += "\nweights: " + std::to_string(plan.blob_bytes) + " bytes, " + std::to_string(plan.blob.size()) +
         " constants of " + std::to_string(plan.source_constant_bytes) + " bytes in the model, hash " +
         hex(plan.weights_hash) + "\n";
  return out;
}

std::string type_text(const Buffer& b) { return std::string(elem_name(b.elem)) + shape_str(b.dims); }

// One line per buffer with a place in the arena: [begin, end) of its extent, and the operations between which it lives.
std::string arena_lines(const Plan& plan, const std::vector<std::string>& names) {
  std::vector<BufferId> order;
  for (BufferId b = 0; b < plan.places.size(); ++b)
    if (plan.places[b].kind == Place::Kind::Arena) order.push_back(b);
  std::stable_sort(order.begin(), order.end(),
                   [&](BufferId a, BufferId b) { return plan.places[a].first < plan.places[b].first; });
  std::string out;
  for (BufferId b : order) {
    const Place& place = plan.places[b];
    const Dim begin = place.offset - place.lead;
    std::string line = "  " + (place.stage ? std::to_string(place.stage) + ":" : "") + "[" + begin.str() + ", " +
                       (begin + place.bytes).str() + ")";
    line = padded(line, 26) + " #" + std::to_string(place.first) + " to #" + std::to_string(place.last);
    out += padded(line, 44) + " " + names[b] + ": " + type_text(plan.program.buffers[b]) + "\n";
  }
  return out;
}

std::string run_time_lines(const Plan& plan) {
  std::string out;
  for (const PlannedStage& stage : plan.stages) {
    for (const RunTimeBytes& bytes : stage.run_time_bytes) {
      if (out.empty()) out = "bytes that depend on the run:\n";
      out += "  " + bytes.name + " = max(";
      for (size_t i = 0; i < bytes.least.size(); ++i) out += (i ? ", " : "") + bytes.least[i].str();
      out += ")\n";
    }
  }
  return out;
}

std::string blob_lines(const Plan& plan) {
  std::string out;
  for (const BlobEntry& entry : plan.blob) {
    const Constant& c = plan.program.constants[entry.constant];
    const std::string line =
        "  [" + std::to_string(entry.offset) + ", " + std::to_string(entry.offset + entry.bytes) + ")";
    out += padded(line, 26) + " @" + c.name + (c.packing.identity() ? "" : ": " + c.packing.str()) + "\n";
  }
  return out;
}

}  // namespace

std::string print_plan(const Plan& plan) {
  const std::vector<std::string> names = printed_buffer_names(plan.program);
  return totals(plan) + "\narena, by birth:\n" + arena_lines(plan, names) + run_time_lines(plan) + "\nweights:\n" +
         blob_lines(plan) + "\n" + print_program(plan.program);
}

}  // namespace onnxc
