// LinearRegressor and TreeEnsembleRegressor (ai.onnx.ml: onnx/docs/Operators-ml.md): numbers from a table of numbers,
// as ONNX Runtime has them. Tested by tests/differential/test_features.py.
#include "compiler/ops/indexing.h"
#include "compiler/ops/ml.h"
#include "compiler/ops/trees.h"

namespace onnxc {
namespace {

using ml::floats_of;

// ---- LinearRegressor

int64_t linear_targets(const Node& n) { return n.attr_int("targets", 1); }

Status infer_linear(InferContext& c) { return ml::infer_regressor(c, linear_targets(c.node)); }

Status decompose_linear(Graph& g, Node& n) {
  GraphWriter w(g, n);
  const int64_t targets = linear_targets(n);
  const auto coefficients = n.attr_floats("coefficients");
  auto intercepts = n.attr_floats("intercepts");
  const auto count = static_cast<int64_t>(coefficients.size());
  if (count == 0 || count % targets != 0 || (!intercepts.empty() && static_cast<int64_t>(intercepts.size()) != targets))
    return Error(ErrorKind::InvalidModel, "coefficients and intercepts do not fit the targets", n.where());
  intercepts.resize(static_cast<size_t>(targets), 0);
  const int64_t features = count / targets;
  ONNXC_TRY(require_equal(n, (*n.input(0)->type.shape)[1], Dim(features),
                          "the input must have " + std::to_string(features) + " features"));
  Value* const weights = w.transpose(w.constant(Tensor::f32({targets, features}, coefficients)), {1, 0});
  Value* y = w.add(
      "Add", {w.add("MatMul", {floats_of(w, n.input(0)), weights}), w.constant(Tensor::f32({targets}, intercepts))});
  ONNXC_ASSIGN(y, ml::transformed(w, n, y, targets));
  w.replace({y});
  return ok();
}

// ---- TreeEnsembleRegressor

int64_t tree_targets(const Node& n) { return n.attr_int("n_targets", 1); }

Status infer_trees(InferContext& c) { return ml::infer_regressor(c, tree_targets(c.node)); }

Status decompose_trees(Graph& graph, Node& node) {
  GraphWriter w(graph, node);
  const int64_t targets = tree_targets(node);
  const auto base = ml::tree_numbers(node, "base_values");
  if (base && base->numel() != targets)
    return Error(ErrorKind::InvalidModel, "base_values does not have one entry per target", node.where());
  const std::string aggregate = node.attr_string("aggregate_function", "SUM");
  if (aggregate != "SUM" && aggregate != "AVERAGE" && aggregate != "MIN" && aggregate != "MAX")
    return Error(ErrorKind::InvalidModel, "there is no aggregate_function \"" + aggregate + "\"", node.where());
  const auto joined = aggregate == "MIN"   ? ml::Aggregate::Min
                      : aggregate == "MAX" ? ml::Aggregate::Max
                                           : ml::Aggregate::Sum;
  ONNXC_ASSIGN(const ml::TreeScores trees, ml::tree_scores(w, node, "target", targets, joined));
  Value* y = trees.scores;
  if (aggregate == "AVERAGE") y = w.add("Div", {y, w.number(static_cast<double>(trees.trees), y)});
  // What no leaf gives a value to.
  if (joined != ml::Aggregate::Sum) y = w.add("Where", {w.add("IsInf", {y}), w.number(0, y), y});
  if (base) y = w.add("Add", {y, w.add("CastLike", {w.constant(*base), y})});
  ONNXC_ASSIGN(y, ml::transformed(w, node, w.cast(y, Elem::F32), targets));
  w.replace({y});
  return ok();
}

OpDef regressor(std::string_view name, InferFn infer, DecomposeFn decompose) {
  OpDef d;
  d.name = name;
  d.domain = ml::kDomain;
  d.infer = infer;
  d.decompose = decompose;
  d.decompose_if = ml::has_rank;
  d.accuracy = Accuracy::Accumulating;
  return d;
}

}  // namespace

OP(LinearRegressor) = regressor("LinearRegressor", infer_linear, decompose_linear);
OP(TreeEnsembleRegressor) = regressor("TreeEnsembleRegressor", infer_trees, decompose_trees);

}  // namespace onnxc
