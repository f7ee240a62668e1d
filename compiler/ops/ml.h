// What operators of ai.onnx.ml share.
#pragma once

#include "compiler/ops/graph_writer.h"
#include "compiler/ops/op.h"
#include "compiler/support/result.h"

namespace onnxc::ml {

inline constexpr std::string_view kDomain = "ai.onnx.ml";

inline bool has_rank(const Node& n) { return n.input(0) && n.input(0)->type.shape; }

inline Value* floats_of(GraphWriter& w, Value* v) { return v->type.elem == Elem::F32 ? v : w.cast(v, Elem::F32); }
inline Value* number(GraphWriter& w, float v) { return w.constant(Tensor::f32({}, {v})); }

std::string transform_of(const Node& n);  // attribute post_transform

// Scores [rows, columns], f32, after post_transform. As ONNX Runtime has it, one column alone is changed by PROBIT
// only.
Result<Value*> transformed(GraphWriter& w, const Node& node, Value* scores, int64_t columns);

// Scores [rows, targets] of a regressor with so many targets.
Status infer_regressor(InferContext& c, int64_t targets);

}  // namespace onnxc::ml
