#include "compiler/driver/describe.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "compiler/driver/compile.h"
#include "compiler/import/function_bodies.h"
#include "compiler/ops/op.h"
#include "compiler/ops/sequence.h"
#include "compiler/passes/pass.h"

namespace onnxc {
namespace {

using nlohmann::json;

json describe(const Value& value) {
  const Type& tensor = element_type(value.type);
  json out{{"name", value.name}, {"elem", onnx_elem_name(tensor.elem)}, {"type", value.type.str()}};
  if (tensor.is_tensor() && tensor.shape) {
    json dims = json::array();
    for (const Dim& d : *tensor.shape) {
      const auto symbol = d.as_symbol();
      if (d.is_const())
        dims.push_back(d.value());
      else if (symbol && d != varying_dim() && symbol->find('.') == std::string::npos)
        dims.push_back(*symbol);
      else
        dims.push_back(nullptr);
    }
    out["dims"] = std::move(dims);
  }
  return out;
}

const char* accuracy_name(Accuracy a) {
  return a == Accuracy::Exact ? "exact" : a == Accuracy::Rounding ? "rounding" : "accumulating";
}

// In the order in which the ways are tried (OpDef).
std::string ways_down(const OpDef& op) {
  std::string ways;
  auto add = [&](bool there, bool conditional, const char* way) {
    if (there) ways += std::string(ways.empty() ? "" : ", else ") + way + (conditional ? " (where possible)" : "");
  };
  add(op.decompose, op.decompose_if, "other operators");
  add(op.compute, op.compute_if, "a fused expression");
  add(op.lower, false, "kernels and loops");
  if (!ways.empty()) return ways;
  return op.upgrades.empty() ? "not executed yet" : "other operators, at import";
}

}  // namespace

std::string describe_operators() {
  std::string text;
  for (const OpDef* op : all_ops()) {
    std::string name(op->domain.empty() ? "" : std::string(op->domain) + "::");
    name += op->name;
    char row[200];
    std::snprintf(row, sizeof row, "  %-38s %-13s %s\n", name.c_str(), accuracy_name(op->accuracy),
                  ways_down(*op).c_str());
    text += row;
  }
  return text +
         "Other operators of ONNX are taken where the standard gives their function body in terms of these.\n"
         "exact: the bits of the formula; rounding: a few units in the last place of each element; accumulating: sums, "
         "by\ntheir largest term.\n";
}

Result<std::string> describe_model(const Options& options) {
  ONNXC_ASSIGN(const ImportedModel model, import_model(options));
  OnnxFunctionBodies functions;
  PassContext context{options, nullptr, &functions};
  json out{{"inputs", json::array()}, {"outputs", json::array()}, {"metadata", json::object()}};
  for (const Value* v : model.graph->inputs) out["inputs"].push_back(describe(*v));
  ONNXC_TRY(run_passes(*model.graph, context));
  for (const Value* v : model.graph->outputs) out["outputs"].push_back(describe(*v));
  for (const auto& [key, value] : model.graph->metadata) out["metadata"][key] = value;
  return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace onnxc
