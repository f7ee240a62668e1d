// What operators of ai.onnx.ml share.
#pragma once

#include "compiler/ops/graph_writer.h"
#include "compiler/support/result.h"

namespace onnxc::ml {

inline bool has_rank(const Node& n) { return n.input(0) && n.input(0)->type.shape; }

inline Value* floats_of(GraphWriter& w, Value* v) { return v->type.elem == Elem::F32 ? v : w.cast(v, Elem::F32); }

// Scores [rows, classes or targets] after `transform`, a value of attribute post_transform; Unsupported where there is
// no way to it.
Result<Value*> transformed(Graph& graph, const Node& node, GraphWriter& w, Value* scores, const std::string& transform);

}  // namespace onnxc::ml
