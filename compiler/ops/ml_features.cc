// Operators of ai.onnx.ml on tables of numbers: Scaler, Normalizer, Imputer, FeatureVectorizer
// (onnx/docs/Operators-ml.md), by operators of ai.onnx. Tested by tests/differential/test_features.py.
#include <cmath>
#include <limits>

#include "compiler/ops/graph_writer.h"
#include "compiler/ops/indexing.h"
#include "compiler/ops/ml.h"

namespace onnxc {
namespace {

using namespace indexing;
using ml::floats_of;
using ml::has_rank;
using ml::kDomain;

Status infer_floats(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  c.outputs[0] = c.in(0);
  c.outputs[0].elem = Elem::F32;
  return ok();
}

Status infer_same_type(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  c.outputs[0] = c.in(0);
  return ok();
}

// A list with one entry for each of the last axis's elements, or one for all.
Result<Value*> per_feature(Graph& g, const Node& n, const char* attribute) {
  const auto list = n.attr_floats(attribute);
  const Shape& x = *n.input(0)->type.shape;
  if (x.empty()) return Error(ErrorKind::InvalidModel, "the input is a scalar", n.where());
  if (list.empty()) return Error(ErrorKind::InvalidModel, std::string(attribute) + " is missing", n.where());
  const auto count = static_cast<int64_t>(list.size());
  if (count > 1)
    ONNXC_TRY(
        require_equal(n, x.back(), Dim(count), std::string(attribute) + " does not fit the input " + shape_str(x)));
  return g.add_constant(Tensor::f32({count}, list));
}

// ---- Scaler

Status decompose_scaler(Graph& g, Node& n) {
  GraphWriter w(g, n);
  ONNXC_ASSIGN(Value * offset, per_feature(g, n, "offset"));
  ONNXC_ASSIGN(Value * scale, per_feature(g, n, "scale"));
  w.replace({w.add("Mul", {w.add("Sub", {floats_of(w, n.input(0)), offset}), scale})});
  return ok();
}

// ---- Normalizer: rows without a measure stay as they are

Status decompose_normalizer(Graph& g, Node& n) {
  GraphWriter w(g, n);
  const std::string norm = n.attr_string("norm", "MAX");
  const char* const reduction = norm == "MAX" ? "ReduceMax" : norm == "L1" ? "ReduceL1" : "ReduceL2";
  if (norm != "MAX" && norm != "L1" && norm != "L2")
    return Error(ErrorKind::InvalidModel, "there is no norm \"" + norm + "\"", n.where());
  Value* const x = floats_of(w, n.input(0));
  Value* const lowest = g.add_constant(Tensor::f32({}, {-std::numeric_limits<float>::infinity()}));
  Value* const told = norm == "MAX" ? w.add("Where", {w.add("IsNaN", {x}), lowest, x}) : x;  // as ONNX Runtime has it
  Value* const measure = w.add(reduction, {told, w.ints({-1})});
  Value* const one = g.add_constant(Tensor::f32({}, {1}));
  Value* const zero = g.add_constant(Tensor::f32({}, {0}));
  w.replace({w.add("Div", {x, w.add("Where", {w.add("Equal", {measure, zero}), one, measure})})});
  return ok();
}

// ---- Imputer

Status decompose_imputer(Graph& g, Node& n) {
  GraphWriter w(g, n);
  Value* const x = n.input(0);
  if (!is_float(x->type.elem)) {
    const auto values = n.attr_ints("imputed_value_int64s");
    if (values.empty()) return Error(ErrorKind::InvalidModel, "imputed_value_int64s is missing", n.where());
    const auto count = static_cast<int64_t>(values.size());
    if (count > 1)
      ONNXC_TRY(require_equal(n, x->type.shape->back(), Dim(count), "imputed_value_int64s does not fit the input"));
    Value* const replaced = g.add_constant(Tensor::i64({}, {n.attr_int("replaced_value_int64", 0)}));
    w.replace({w.add("Where", {w.add("Equal", {x, replaced}), w.ints(values), x})});
    return ok();
  }
  ONNXC_ASSIGN(Value * values, per_feature(g, n, "imputed_value_floats"));
  const float replaced = n.attr_float("replaced_value_float", 0);
  Value* const is_missing = std::isnan(replaced) ? w.add("IsNaN", {x}) : w.add("Equal", {x, w.number(replaced, x)});
  w.replace({w.add("Where", {is_missing, x->type.elem == Elem::F32 ? values : w.cast(values, x->type.elem), x})});
  return ok();
}

// ---- FeatureVectorizer

Status infer_vectorizer(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  Dim features(0);
  for (size_t i = 0; i < c.node.num_inputs(); ++i) {
    if (!c.has_shape(i)) return c.set_unranked(0, Elem::F32), ok();
    if (c.shape(i).size() != 2)
      return c.unsupported("an input of the shape " + shape_str(c.shape(i)) +
                           " has not rank 2, which is not supported");
    features = features + c.shape(i)[1];
  }
  return c.set(0, Elem::F32, {c.shape(0)[0], features}), ok();
}

Status decompose_vectorizer(Graph& g, Node& n) {
  GraphWriter w(g, n);
  const auto wanted = n.attr_ints("inputdimensions");
  std::vector<Value*> parts;
  for (size_t i = 0; i < n.num_inputs(); ++i) {
    if (i < wanted.size())
      ONNXC_TRY(
          require_equal(n, (*n.input(i)->type.shape)[1], Dim(wanted[i]), "inputdimensions does not fit the inputs"));
    parts.push_back(floats_of(w, n.input(i)));
  }
  w.replace({w.add("Concat", std::move(parts), {{"axis", int64_t{1}}})});
  return ok();
}

bool all_have_rank(const Node& n) {
  for (const Value* v : n.inputs())
    if (!v || !v->type.shape) return false;
  return true;
}

OpDef features(std::string_view name, InferFn infer, DecomposeFn decompose, ConditionFn condition = has_rank) {
  OpDef d;
  d.name = name;
  d.domain = kDomain;
  d.infer = infer;
  d.decompose = decompose;
  d.decompose_if = condition;
  d.accuracy = Accuracy::Accumulating;
  return d;
}

}  // namespace

OP(Scaler) = features("Scaler", infer_floats, decompose_scaler);
OP(Normalizer) = features("Normalizer", infer_floats, decompose_normalizer);
OP(Imputer) = features("Imputer", infer_same_type, decompose_imputer);
OP(FeatureVectorizer) = features("FeatureVectorizer", infer_vectorizer, decompose_vectorizer, all_have_rank);

}  // namespace onnxc
