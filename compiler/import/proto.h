// The one door to protobuf: every other file of this room that needs onnx's messages includes this.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>

namespace onnxc {

// ONNX has two spellings of its default domain; ours is "".
inline std::string canonical_domain(const std::string& domain) { return domain == "ai.onnx" ? std::string() : domain; }

// `node "conv1" (Conv, #12)`, as Node::where() says it, for nodes that are not in a Graph yet.
inline std::string node_where(const onnx::NodeProto& node, int index) {
  const std::string name = node.name().empty() ? "" : '"' + node.name() + "\" ";
  return "node " + name + "(" + node.op_type() + ", #" + std::to_string(index) + ")";
}

}  // namespace onnxc
