// See report.h.
#include "compiler/driver/report.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "compiler/plan/work.h"

namespace onnxc {
namespace {

using nlohmann::json;

const char* kernel_of(const Operation& op) {
  if (const auto* call = std::get_if<KernelCall>(&op.node)) return callee(*call).c_str();
  constexpr const char* kKinds[] = {"call", "nest", "scalar", "alloc", "if", "loop", "barrier", "require"};
  static_assert(std::size(kKinds) == std::variant_size_v<decltype(op.node)>);
  return kKinds[op.node.index()];
}

json operation_row(const Program& program, const Operation& op) {
  json row{{"kernel", kernel_of(op)}, {"origins", op.origins}};
  const auto work = work_of(program, op);
  row["flops"] = work ? json(work->flops) : json();
  row["bytes_read"] = work ? json(work->bytes_read) : json();
  row["bytes_written"] = work ? json(work->bytes_written) : json();
  if (!op.note.empty()) row["note"] = op.note;
  return row;
}

}  // namespace

std::string report_of(std::span<const Plan> plans) {
  const Plan& plan = plans.front();
  json out{{"constant_bytes", plan.blob_bytes}, {"source_constant_bytes", plan.source_constant_bytes}};
  out["arena_bytes"] =
      plan.stages.front().arena_bytes.is_const() ? json(plan.stages.front().arena_bytes.value()) : json();
  out["operations"] = json::array();
  for (const Plan& body : plans)
    for (const Operation& op : body.program.ops) out["operations"].push_back(operation_row(body.program, op));
  return out.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Status write_report(std::span<const Plan> plans, const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  file << report_of(plans);
  file.close();
  if (!file) return Error(ErrorKind::Environment, "the report cannot be written", path);
  return ok();
}

}  // namespace onnxc
