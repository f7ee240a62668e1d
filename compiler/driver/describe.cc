#include "compiler/driver/describe.h"

#include <nlohmann/json.hpp>

#include "compiler/driver/compile.h"
#include "compiler/import/function_bodies.h"
#include "compiler/passes/pass.h"

namespace onnxc {
namespace {

using nlohmann::json;

json describe(const Value& value) {
  json out{{"name", value.name}, {"elem", onnx_elem_name(value.type.elem)}, {"type", value.type.str()}};
  if (value.type.is_tensor() && value.type.shape) {
    json dims = json::array();
    for (const Dim& d : *value.type.shape) {
      const auto symbol = d.as_symbol();
      if (d.is_const())
        dims.push_back(d.value());
      else if (symbol && symbol->find('.') == std::string::npos)
        dims.push_back(*symbol);
      else
        dims.push_back(nullptr);
    }
    out["dims"] = std::move(dims);
  }
  return out;
}

}  // namespace

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
