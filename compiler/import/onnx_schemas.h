// Questions to onnx's registry of operators: which exist, since when, and what a node of them must look like.
#pragma once

#include <map>
#include <string>

#include "compiler/import/proto.h"
#include "compiler/support/result.h"

namespace onnx {
class OpSchema;
}

namespace onnxc {

// Opset version per canonical domain ("" is ai.onnx).
using Opsets = std::map<std::string, int>;

// The newest opset of each domain that onnx knows: the one form that Graphs are in.
const Opsets& newest_opsets();
// The opset imports of a model or function. A domain that is named twice keeps its higher version.
Opsets opsets_of(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports);

// Null when there is no such operator at that version.
const onnx::OpSchema* find_schema(const std::string& domain, const std::string& op, int version);

// Whether onnx ships a function body for the operator's newest version.
bool has_function_body(const std::string& domain, const std::string& op);

// onnx's own verdict on one node: numbers of inputs and outputs, attributes and their types.
Status check_node(const onnx::NodeProto& node, const onnx::OpSchema& schema, const std::string& where);

}  // namespace onnxc
