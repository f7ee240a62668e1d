// LinearClassifier (ai.onnx.ml: onnx/docs/Operators-ml.md), and what classifiers share: scores of classes,
// and the label of the class that wins, a string or an integer. Where two classes share one score, and which of two
// wins, is as ONNX Runtime has it. Tested by tests/differential/test_classifiers.py.
#include "compiler/ops/classifiers.h"

#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;
using ml::Classifier;
using ml::has_rank;
using ml::kDomain;
using ml::labels_of;
using ml::number;

Status infer_one_score_per_class(InferContext& c) { return ml::infer_classifier(c, labels_of(c.node).numel()); }

// ---- LinearClassifier

Status decompose_linear(Graph& graph, Node& node) {
  Classifier c(graph, node);
  GraphWriter& w = c.writer();
  auto coefficients = node.attr_floats("coefficients");
  auto intercepts = node.attr_floats("intercepts");
  const int64_t scores = intercepts.empty() ? c.classes() : static_cast<int64_t>(intercepts.size());
  const auto count = static_cast<int64_t>(coefficients.size());
  const bool one_for_two = scores == 1 && c.classes() == 2;
  if (count == 0 || count % scores != 0 || (scores != c.classes() && !one_for_two))
    return Error(ErrorKind::InvalidModel, "coefficients and intercepts do not fit the class labels", node.where());
  intercepts.resize(static_cast<size_t>(scores), 0);
  int64_t features = count / scores;
  const Dim& columns = (*node.input(0)->type.shape)[1];
  if (columns.is_const() && columns.value() < features) {
    // ONNX Runtime 1.32 reads as many as the columns ask for; its own example, logreg_iris.onnx, has too many.
    features = columns.value();
    coefficients.resize(static_cast<size_t>(scores * features));
  }
  ONNXC_TRY(
      require_equal(node, columns, Dim(features), "the input must have " + std::to_string(features) + " features"));
  Value* weights = w.transpose(w.constant(Tensor::f32({scores, features}, coefficients)), {1, 0});
  Value* bias = w.constant(Tensor::f32({scores}, intercepts));
  Value* raw = w.add("Add", {w.add("MatMul", {c.input(), weights}), bias});
  if (!one_for_two) {
    ONNXC_ASSIGN(Value * post, c.transformed(raw, scores));
    c.finish(c.best(raw), post);
    return ok();
  }
  Value* second = raw;
  if (ml::transform_of(node) == "LOGISTIC") second = w.add("Sigmoid", {raw});
  c.finish(c.above(raw, 0), c.side_by_side(w.add("Sub", {number(w, 1), second}), second));
  return ok();
}

}  // namespace

Tensor ml::labels_of(const Node& n) {
  const auto texts = n.attr_strings("classlabels_strings");
  if (!texts.empty()) return Tensor::strings({static_cast<int64_t>(texts.size())}, texts);
  const auto numbers = n.attr_ints(n.has("classlabels_ints") ? "classlabels_ints" : "classlabels_int64s");
  return Tensor::i64({static_cast<int64_t>(numbers.size())}, numbers);
}

Status ml::infer_classifier(InferContext& c, int64_t columns) {
  ONNXC_TRY(require_inputs(c, 1));
  const Tensor labels = labels_of(c.node);
  if (labels.numel() < 1) return c.invalid("there are no class labels");
  if (c.node.num_outputs() > 1) c.set_unranked(1, Elem::F32);
  if (!c.has_shape(0)) return c.set_unranked(0, labels.elem()), ok();
  const Shape& x = c.shape(0);
  if (x.size() != 2) return c.unsupported("the input " + shape_str(x) + " has not rank 2, which is not supported yet");
  c.set(0, labels.elem(), {x[0]});
  if (c.node.num_outputs() > 1) c.set(1, Elem::F32, {x[0], Dim(columns)});
  return ok();
}

OP(LinearClassifier) = {.name = "LinearClassifier",
                        .domain = kDomain,
                        .infer = infer_one_score_per_class,
                        .decompose = decompose_linear,
                        .decompose_if = has_rank,
                        .accuracy = Accuracy::Accumulating};

}  // namespace onnxc
