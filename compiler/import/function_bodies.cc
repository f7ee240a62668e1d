#include "compiler/import/function_bodies.h"

#include <onnx/defs/schema.h>

#include <exception>
#include <vector>

#include "compiler/import/graph_from_proto.h"
#include "compiler/import/upgrade.h"

namespace onnxc {
namespace {

// The node's attributes, defaults of the schema included.
Result<std::map<std::string, Attr>> all_attributes(const Node& node, const onnx::OpSchema& schema) {
  std::map<std::string, Attr> attributes = node.attrs;
  for (const auto& [name, declared] : schema.attributes()) {
    if (attributes.contains(name) || !declared.default_value.has_name()) continue;
    onnx::AttributeProto copy = declared.default_value;
    ONNXC_ASSIGN(attributes[name], attr_from_proto(copy, nullptr, node.where()));
  }
  return attributes;
}

// The node as a message, for builders that look at attributes and types. False when it cannot be said (subgraphs).
bool node_to_proto(const Node& node, const std::map<std::string, Attr>& attributes, onnx::NodeProto* proto,
                   std::vector<onnx::TypeProto>* types) {
  proto->set_op_type(node.op);
  proto->set_domain(node.domain);
  for (const Value* input : node.inputs()) {
    proto->add_input(input ? "i" + std::to_string(types->size()) : "");
    types->emplace_back();
    if (input) type_to_proto(input->type, &types->back());
  }
  for (const Value* output : node.outputs())
    proto->add_output(output ? "o" + std::to_string(proto->output_size()) : "");
  for (const auto& [name, attr] : attributes)
    if (!attr_to_proto(name, attr, proto->add_attribute())) return false;
  return true;
}

int newest_of(const std::vector<int>& versions, int limit) {
  int best = 0;
  for (int v : versions)
    if (v <= limit && v > best) best = v;
  return best;
}

// Fills `function` and says which opset it is written in; 0: there is none for this node.
Result<int> find_function(const Node& node, const std::map<std::string, Attr>& attributes, const onnx::OpSchema& schema,
                          int newest, onnx::FunctionProto* function) {
  try {
    if (schema.HasContextDependentFunction()) {
      onnx::NodeProto proto;
      std::vector<onnx::TypeProto> types;
      if (!node_to_proto(node, attributes, &proto, &types)) return 0;
      const int version = newest_of(schema.context_dependent_function_opset_versions(), newest);
      onnx::FunctionBodyBuildContextImpl context(proto, types);
      if (version && schema.BuildContextDependentFunction(context, *function, version)) return version;
    }
    const int version = newest_of(schema.function_opset_versions(), newest);
    const onnx::FunctionProto* found = version ? schema.GetFunction(version) : nullptr;
    if (!found) return 0;
    *function = *found;
    return version;
  } catch (const std::exception& e) {
    return Error(ErrorKind::Unsupported, std::string("onnx gives no function body: ") + e.what(), node.where());
  }
}

}  // namespace

Result<std::unique_ptr<Graph>> OnnxFunctionBodies::body(const Node& node) {
  std::unique_ptr<Graph> none;
  if (node.domain.empty() && (node.op == "Range" || node.op == "CastLike")) return none;
  const auto newest = newest_opsets().find(node.domain);
  if (newest == newest_opsets().end()) return none;
  const auto* schema = find_schema(node.domain, node.op, newest->second);
  if (!schema) return none;
  ONNXC_ASSIGN(const auto attributes, all_attributes(node, *schema));
  onnx::FunctionProto function;
  ONNXC_ASSIGN(const int version, find_function(node, attributes, *schema, newest->second, &function));
  if (!version) return none;
  if (function.input_size() == 0) schema->BuildFunction(function);
  Opsets opsets = opsets_of(function.opset_import());
  if (node.domain.empty()) opsets[""] = version;
  ONNXC_ASSIGN(auto graph, graph_from_function(function, node, attributes, {opsets, nullptr, nullptr}));
  ONNXC_TRY(upgrade_graph(*graph, opsets));
  return graph;
}

}  // namespace onnxc
