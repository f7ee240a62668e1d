// For operators of the domain com.microsoft (onnxruntime/docs/ContribOperators.md, 1.23): each is replaced by operators
// of ONNX. No schema has checked their nodes.
#pragma once

#include <algorithm>
#include <limits>

#include "compiler/ops/graph_writer.h"
#include "compiler/ops/op.h"

namespace onnxc::contrib {

inline constexpr std::string_view kMicrosoft = "com.microsoft";

inline Error invalid(const Node& n, std::string message) {
  return Error(ErrorKind::InvalidModel, std::move(message), n.where());
}
inline Error unsupported(const Node& n, std::string message) {
  return Error(ErrorKind::Unsupported, std::move(message), n.where());
}

// The inputs are there, and tensors.
inline Status require_inputs(const Node& n, std::initializer_list<size_t> inputs) {
  for (size_t i : inputs) {
    if (!n.input(i)) return invalid(n, "input " + std::to_string(i) + " is missing");
    if (!n.input(i)->type.is_tensor())
      return invalid(n, "input " + std::to_string(i) + " must be a tensor, not " + n.input(i)->type.str());
  }
  return ok();
}
inline Status require_outputs(const Node& n, size_t most) {
  for (size_t o = most; o < n.num_outputs(); ++o)
    if (n.output(o)) return unsupported(n, "output " + std::to_string(o) + " is not supported yet");
  return ok();
}
// The shape of an input, of this rank (-1: any).
inline Result<Shape> shape_of(const Node& n, size_t i, int rank = -1) {
  ONNXC_TRY(require_inputs(n, {i}));
  const auto& shape = n.input(i)->type.shape;
  if (!shape) return unsupported(n, "the shape of input " + std::to_string(i) + " is not known");
  if (rank >= 0 && shape->size() != static_cast<size_t>(rank))
    return invalid(n, "input " + std::to_string(i) + " has the shape " + shape_str(*shape) + "; it must have " +
                          std::to_string(rank) + " axes");
  return *shape;
}
inline Result<int64_t> known(const Node& n, const Dim& d, const char* what) {
  if (!d.is_const()) return unsupported(n, std::string(what) + " is not known at compile time");
  return d.value();
}

// A node for the operator of ONNX that takes the same attributes but those named.
inline GraphWriter::Attrs attributes_without(const Node& n, std::initializer_list<const char*> names) {
  GraphWriter::Attrs attrs = n.attrs;
  for (const char* name : names) attrs.erase(name);
  return attrs;
}

}  // namespace onnxc::contrib
