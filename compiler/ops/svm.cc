// SVMClassifier and SVMRegressor (ai.onnx.ml: onnx/docs/Operators-ml.md), as ONNX Runtime has them: kernel values by
// operators of ai.onnx, scores of pairs of classes and probabilities by kernels (runtime_lib/kernels/svm.h). Tested by
// tests/differential/test_svm.py.
#include <algorithm>
#include <numeric>

#include "compiler/ops/classifiers.h"
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;
using ml::Classifier;
using ml::kDomain;
using ml::labels_of;
using ml::number;

Error invalid(const Node& n, const std::string& what) { return Error(ErrorKind::InvalidModel, what, n.where()); }

int64_t pairs_of(int64_t classes) { return classes * (classes - 1) / 2; }

// ---- kernel values [rows, vectors]

struct KernelParams {
  float gamma = 0, coef0 = 0, degree = 0;
};

Result<KernelParams> kernel_params(const Node& n) {
  const auto list = n.attr_floats("kernel_params");
  if (list.empty()) return KernelParams{};
  if (list.size() < 3) return invalid(n, "kernel_params must be gamma, coef0 and degree");
  return KernelParams{list[0], list[1], list[2]};
}

Value* power(GraphWriter& w, Value* x, float degree) {
  if (degree == 2) return w.add("Mul", {x, x});
  if (degree == 3) return w.add("Mul", {w.add("Mul", {x, x}), x});
  return w.add("Pow", {x, number(w, degree)});
}

// exp(-gamma |x - v|^2) for each row x and vector v
Value* radial(GraphWriter& w, Value* x, const Tensor& vectors, float gamma) {
  Value* const rows = w.add("Unsqueeze", {x, w.ints({1})});
  Value* const squares =
      w.add("ReduceSumSquare", {w.add("Sub", {rows, w.constant(vectors)}), w.ints({2})}, {{"keepdims", int64_t{0}}});
  return w.add("Exp", {w.add("Mul", {squares, number(w, -gamma)})});
}

Result<Value*> kernel_values(GraphWriter& w, const Node& n, Value* x, const Tensor& vectors) {
  ONNXC_ASSIGN(const KernelParams params, kernel_params(n));
  const std::string type = n.attr_string("kernel_type", "LINEAR");
  if (type == "RBF") return radial(w, x, vectors, params.gamma);
  Value* const products = w.add("MatMul", {x, w.transpose(w.constant(vectors), {1, 0})});
  if (type == "LINEAR") return products;
  Value* const scaled = w.add("Add", {w.add("Mul", {products, number(w, params.gamma)}), number(w, params.coef0)});
  if (type == "POLY") return power(w, scaled, params.degree);
  if (type == "SIGMOID") return w.add("Tanh", {scaled});
  return invalid(n, "there is no kernel_type \"" + type + "\"");
}

// Attribute support_vectors as [vectors, features], which the input must have.
Result<Tensor> support_vectors(const Node& n, int64_t vectors) {
  const auto list = n.attr_floats("support_vectors");
  const auto count = static_cast<int64_t>(list.size());
  if (count == 0 || count % vectors != 0)
    return invalid(n, "support_vectors holds no " + std::to_string(vectors) + " vectors");
  const int64_t features = count / vectors;
  ONNXC_TRY(require_equal(n, (*n.input(0)->type.shape)[1], Dim(features),
                          "the input must have " + std::to_string(features) + " features"));
  return Tensor::f32({vectors, features}, list);
}

// rho[0] + x coefficients: what a machine without support vectors gives [rows, columns].
Result<Value*> linear_scores(GraphWriter& w, const Node& n, Value* x, int64_t columns) {
  const auto coefficients = n.attr_floats("coefficients"), rho = n.attr_floats("rho");
  const auto count = static_cast<int64_t>(coefficients.size());
  if (count == 0 || count % columns != 0) return invalid(n, "coefficients does not fit the class labels");
  if (rho.empty()) return invalid(n, "rho is missing");
  const int64_t features = count / columns;
  ONNXC_TRY(require_equal(n, (*n.input(0)->type.shape)[1], Dim(features),
                          "the input must have " + std::to_string(features) + " features"));
  Value* const weights = w.transpose(w.constant(Tensor::f32({columns, features}, coefficients)), {1, 0});
  return w.add("Add", {w.add("MatMul", {x, weights}), number(w, rho[0])});
}

// ---- SVMClassifier

struct Machine {
  int64_t classes = 0, vectors = 0;
  bool with_probabilities = false;
};

// What the attributes say, their lengths checked.
Result<Machine> machine_of(const Node& n) {
  Machine m;
  m.classes = labels_of(n).numel();
  const auto per_class = n.attr_ints("vectors_per_class");
  for (int64_t count : per_class) {
    if (count < 0 || count > INT32_MAX - m.vectors) return invalid(n, "vectors_per_class holds no numbers of vectors");
    m.vectors += count;
  }
  const size_t a = n.attr_floats("prob_a").size(), b = n.attr_floats("prob_b").size();
  m.with_probabilities = a > 0;
  if (a != b) return invalid(n, "prob_a and prob_b have different lengths");
  if (m.vectors == 0) return m;
  if (std::ssize(per_class) != m.classes)
    return invalid(n, "vectors_per_class has " + std::to_string(per_class.size()) + " entries for " +
                          std::to_string(m.classes) + " classes");
  const auto pairs = static_cast<size_t>(pairs_of(m.classes));
  if (n.attr_floats("coefficients").size() / static_cast<size_t>(m.vectors) < static_cast<size_t>(m.classes - 1))
    return invalid(n, "coefficients has not a row for each class but one");
  if (n.attr_floats("rho").size() < pairs) return invalid(n, "rho has not an entry for each pair of classes");
  if (m.with_probabilities && a < pairs)
    return invalid(n, "prob_a and prob_b have not an entry for each pair of classes");
  return m;
}

int64_t columns_of(const Machine& m) {
  return m.vectors == 0 || m.with_probabilities || m.classes == 2 ? m.classes
         : m.classes == 1                                         ? 2
                                                                  : pairs_of(m.classes);
}

Status infer_classifier(InferContext& c) {
  ONNXC_ASSIGN(const Machine m, machine_of(c.node));
  return ml::infer_classifier(c, columns_of(m));
}

Status decompose_linear(Classifier& c, const Machine& m) {
  GraphWriter& w = c.writer();
  ONNXC_ASSIGN(Value * scores, linear_scores(w, c.node(), c.input(), m.classes));
  Value* which = c.best(scores);
  if (m.classes == 2 && !m.with_probabilities) {
    const auto weights = c.node().attr_floats("coefficients");
    const bool positive = std::ranges::all_of(weights, [](float v) { return v >= 0; });
    Value* const most = w.add("ReduceMax", {scores, w.ints({1})}, {{"keepdims", int64_t{0}}});
    Value* const second = w.add(positive ? "GreaterOrEqual" : "Greater", {most, number(w, positive ? 0.5f : 0)});
    which = w.add("Where", {second, w.constant(Tensor::i64({}, {1})), which});
  }
  ONNXC_ASSIGN(scores, c.transformed(scores, m.classes));
  c.finish(which, scores);
  return ok();
}

// The only class always wins; without probabilities it has no scores, which are two columns of 0.
Status decompose_one_class(Classifier& c, const Machine& m) {
  GraphWriter& w = c.writer();
  Value* const rows = w.add("Shape", {c.node().input(0)}, {{"start", int64_t{0}}, {"end", int64_t{1}}});
  Value* const which = w.add("Expand", {w.constant(Tensor::i64({1}, {0})), rows});
  const int64_t columns = columns_of(m);
  Value* const dims = w.add("Concat", {rows, w.ints({columns})}, {{"axis", int64_t{0}}});
  Value* scores = w.add("Expand", {number(w, m.with_probabilities ? 1 : 0), dims});
  ONNXC_ASSIGN(scores, c.transformed(scores, 1));
  c.finish(which, scores);
  return ok();
}

// By Platt's sigmoid of each pair's score.
Value* probabilities(Classifier& c, Value* scores, int64_t classes) {
  GraphWriter& w = c.writer();
  const int64_t pairs = pairs_of(classes);
  const auto per_pair = [&](const char* attribute) {
    auto list = c.node().attr_floats(attribute);
    list.resize(static_cast<size_t>(pairs));
    return w.constant(Tensor::f32({pairs}, list));
  };
  Value* const line = w.add("Add", {w.add("Mul", {scores, per_pair("prob_a")}), per_pair("prob_b")});
  Value* const rather = w.add("Sub", {number(w, 1), w.add("Sigmoid", {line})});
  constexpr float kLeast = 1e-7f;
  Value* const pair = w.add("Clip", {rather, number(w, kLeast), number(w, 1 - kLeast)});
  return w.node("SvmCoupling", {pair}, {{"classes", classes}}, 1, std::string(kOwnDomain))->output();
}

Result<Value*> final_scores(Classifier& c, const Machine& m, Value* scores) {
  GraphWriter& w = c.writer();
  if (m.with_probabilities) return c.transformed(probabilities(c, scores, m.classes), m.classes);
  if (m.classes > 2) return c.transformed(scores, pairs_of(m.classes));
  const std::string transform = ml::transform_of(c.node());
  if (transform == "PROBIT")
    return Error(ErrorKind::Unsupported, "post_transform PROBIT of one score for two classes is not supported",
                 c.node().where());
  const bool odds = transform == "NONE" || transform == "LOGISTIC";
  Value* const other = odds ? w.add("Neg", {scores}) : w.add("Sub", {number(w, 1), scores});
  Value* const both = c.side_by_side(other, scores);
  return transform == "LOGISTIC" ? w.add("Sigmoid", {both}) : both;
}

Status decompose_classifier(Graph& graph, Node& node) {
  ONNXC_ASSIGN(const Machine m, machine_of(node));
  Classifier c(graph, node);
  if (m.vectors == 0) return decompose_linear(c, m);
  ONNXC_ASSIGN(const Tensor vectors, support_vectors(node, m.vectors));
  if (m.classes == 1) return decompose_one_class(c, m);
  ONNXC_ASSIGN(Value * values, kernel_values(c.writer(), node, c.input(), vectors));
  GraphWriter::Attrs attrs;
  for (const char* name : {"vectors_per_class", "coefficients", "rho"}) attrs[name] = node.attrs.at(name);
  Node* const scores = c.writer().node("SvmScores", {values}, std::move(attrs), 2, std::string(kOwnDomain));
  ONNXC_ASSIGN(Value * post, final_scores(c, m, scores->output(0)));
  c.finish(scores->output(1), post);
  return ok();
}

// ---- SvmScores: kernel values -> scores of pairs, class that wins

Status infer_scores(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  c.set_unranked(0, Elem::F32), c.set_unranked(1, Elem::I64);
  if (!c.has_shape(0)) return ok();
  const Dim& rows = c.shape(0)[0];
  c.set(0, Elem::F32, {rows, Dim(pairs_of(std::ssize(c.node.attr_ints("vectors_per_class"))))});
  c.set(1, Elem::I64, {rows});
  return ok();
}

Status lower_scores(LowerContext& c) {
  const auto per_class = c.node().attr_ints("vectors_per_class");
  std::vector<int64_t> first = {0};
  for (int64_t count : per_class) first.push_back(first.back() + count);
  const int64_t classes = std::ssize(per_class), vectors = first.back();
  const auto floats = [&](const char* attribute, int64_t count) {
    auto list = c.node().attr_floats(attribute);
    list.resize(static_cast<size_t>(count));
    return c.constant_buffer(Tensor::f32({count}, list));
  };
  ONNXC_ASSIGN(const BufferId values, c.in(0));
  const Dim& rows = c.in_shape(0)[0];
  Call call("svm_scores_f32");
  call.out(c.out(0)).out(c.out(1)).in(values).in(floats("coefficients", (classes - 1) * vectors));
  call.in(c.constant_buffer(Tensor::ints(Elem::I32, {classes + 1}, first))).in(floats("rho", pairs_of(classes)));
  call.arg("vectors", vectors).arg("classes", classes);
  c.emit(call.partition("rows", rows, rows * Dim(classes * vectors)).op());
  return ok();
}

// ---- SvmCoupling: probabilities of pairs -> of classes

Status infer_coupling(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  if (!c.has_shape(0)) return c.set_unranked(0, Elem::F32), ok();
  return c.set(0, Elem::F32, {c.shape(0)[0], Dim(c.node.attr_int("classes", 2))}), ok();
}

Status lower_coupling(LowerContext& c) {
  const Shape& y = c.out_shape();
  ONNXC_ASSIGN(const BufferId pairs, c.in(0));
  Call call("svm_coupling_f32");
  call.out(c.out()).out(c.temporary(Elem::F32, y)).out(c.temporary(Elem::F32, y)).in(pairs).arg("classes", y[1]);
  constexpr int64_t kWorkOfClass = 256;
  c.emit(call.partition("rows", y[0], y[0] * y[1] * y[1] * Dim(kWorkOfClass)).op());
  return ok();
}

// ---- SVMRegressor

Status infer_regressor(InferContext& c) { return ml::infer_regressor(c, 1); }

Result<Value*> regression(GraphWriter& w, const Node& n, int64_t vectors) {
  Value* const x = ml::floats_of(w, n.input(0));
  if (vectors == 0) return linear_scores(w, n, x, 1);
  const auto coefficients = n.attr_floats("coefficients"), rho = n.attr_floats("rho");
  if (std::ssize(coefficients) != vectors) return invalid(n, "coefficients has not an entry for each support vector");
  if (rho.empty()) return invalid(n, "rho is missing");
  ONNXC_ASSIGN(const Tensor table, support_vectors(n, vectors));
  ONNXC_ASSIGN(Value * values, kernel_values(w, n, x, table));
  Value* const sums = w.add("MatMul", {values, w.constant(Tensor::f32({vectors, 1}, coefficients))});
  return w.add("Add", {sums, number(w, rho[0])});
}

// As ONNX Runtime has it, post_transform does nothing.
Status decompose_regressor(Graph& graph, Node& node) {
  GraphWriter w(graph, node);
  const int64_t vectors = node.attr_int("n_supports", 0);
  if (vectors < 0) return invalid(node, "n_supports must not be negative");
  ONNXC_ASSIGN(Value * y, regression(w, node, vectors));
  if (node.attr_int("one_class", 0) != 0)
    y = w.add("Where", {w.add("Greater", {y, number(w, 0)}), number(w, 1), number(w, -1)});
  w.replace({y});
  return ok();
}

}  // namespace

OP(SVMClassifier) = {.name = "SVMClassifier",
                     .domain = kDomain,
                     .infer = infer_classifier,
                     .decompose = decompose_classifier,
                     .decompose_if = ml::has_rank,
                     .accuracy = Accuracy::Accumulating};
OP(SVMRegressor) = {.name = "SVMRegressor",
                    .domain = kDomain,
                    .infer = infer_regressor,
                    .decompose = decompose_regressor,
                    .decompose_if = ml::has_rank,
                    .accuracy = Accuracy::Accumulating};
OP(SvmScores) = {.name = "SvmScores",
                 .domain = kOwnDomain,
                 .infer = infer_scores,
                 .lower = lower_scores,
                 .accuracy = Accuracy::Accumulating};
OP(SvmCoupling) = {.name = "SvmCoupling",
                   .domain = kOwnDomain,
                   .infer = infer_coupling,
                   .lower = lower_coupling,
                   .accuracy = Accuracy::Accumulating};

}  // namespace onnxc
