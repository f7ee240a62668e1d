// The bodies that ONNX gives to operators it defines as functions, as Graphs at the newest opset.
// Tested in tests/unit/import_test.cc.
#pragma once

#include "compiler/passes/pass.h"

namespace onnxc {

class OnnxFunctionBodies : public FunctionBodies {
 public:
  // Null for operators without a body, for those that hold subgraphs, and for Range and CastLike, which stay primitive.
  // Inputs of the body carry the types of the node's inputs; an input that the node leaves out is an input of the body
  // that nothing reads; an output that it leaves out is a null output of the body.
  Result<std::unique_ptr<Graph>> body(const Node& node) override;
};

}  // namespace onnxc
