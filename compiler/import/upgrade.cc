#include "compiler/import/upgrade.h"

#include <onnx/version_converter/convert.h>

#include <algorithm>
#include <exception>
#include <string>
#include <vector>

#include "compiler/ops/op.h"

namespace onnxc {
namespace {

// The row with the lowest from_version that is not below `version`, or null.
const Upgrade* next_row(const OpDef& op, int version) {
  const Upgrade* best = nullptr;
  for (const Upgrade& row : op.upgrades)
    if (row.from_version >= version && (!best || row.from_version < best->from_version)) best = &row;
  return best;
}

Status upgrade_node(Graph& graph, Node& node, const Opsets& opsets) {
  const auto opset = opsets.find(node.domain);
  if (opset == opsets.end()) return ok();
  int version = opset->second;
  for (;;) {
    const OpDef* op = find_op(node.domain, node.op);  // a row may turn the node into another operator
    const Upgrade* row = op ? next_row(*op, version) : nullptr;
    if (!row) return ok();
    version = row->from_version + 1;
    ONNXC_TRY(row->rewrite(graph, node));
  }
}

// Large tensors stay out of the converter, which copies all of them several times.
std::vector<std::string> take_data(onnx::GraphProto& graph) {
  std::vector<std::string> data;
  for (auto& init : *graph.mutable_initializer()) {
    data.emplace_back();
    if (init.raw_data().size() > 4096) data.back().swap(*init.mutable_raw_data());
  }
  return data;
}

Status put_back_data(onnx::GraphProto& graph, const std::vector<std::string>& names, std::vector<std::string>& data) {
  std::map<std::string, size_t> index;
  for (size_t i = 0; i < names.size(); ++i) index[names[i]] = i;
  for (auto& init : *graph.mutable_initializer())
    if (auto it = index.find(init.name()); it != index.end() && !data[it->second].empty())
      init.mutable_raw_data()->swap(data[it->second]);
  return ok();
}

}  // namespace

Status convert_ancient(onnx::ModelProto& model) {
  const Opsets opsets = opsets_of(model.opset_import());
  const auto opset = opsets.find("");
  if (opset == opsets.end() || opset->second >= kOldestOpset) return ok();
  // The converter wants initializers that are no inputs, which older IR versions do not have.
  model.set_ir_version(std::max<int64_t>(model.ir_version(), 10));
  std::vector<std::string> names;
  for (const auto& init : model.graph().initializer()) names.push_back(init.name());
  std::vector<std::string> data = take_data(*model.mutable_graph());
  try {
    model = onnx::version_conversion::ConvertVersion(model, kOldestOpset);
  } catch (const std::exception& e) {
    return Error(ErrorKind::Unsupported,
                 "the model's opset " + std::to_string(opset->second) + " cannot be brought to " +
                     std::to_string(kOldestOpset) + ": " + e.what(),
                 {}, "Convert the model to a newer opset with onnx.version_converter.");
  }
  return put_back_data(*model.mutable_graph(), names, data);
}

Status upgrade_graph(Graph& graph, const Opsets& opsets) {
  std::vector<Node*> nodes;
  for (const auto& node : graph.nodes()) nodes.push_back(node.get());
  for (Node* node : nodes) {
    for (Graph* sub : node->subgraphs()) ONNXC_TRY(upgrade_graph(*sub, opsets));
    ONNXC_TRY(upgrade_node(graph, *node, opsets));
  }
  return graph.sort();
}

}  // namespace onnxc
