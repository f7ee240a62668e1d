// FlexAttention (ai.onnx.preview 1: onnx/docs/Operators.md): attention whose scores and probabilities pass through
// graphs of the node's. Without any it is Attention. Query heads that share keys are rows of one product, so that no
// key is copied. Tested by tests/conformance.
#include <cmath>

#include "compiler/ir/clone_graph.h"
#include "compiler/ops/axes.h"
#include "compiler/ops/graph_writer.h"

namespace onnxc {
namespace {

constexpr std::string_view kDomain = "ai.onnx.preview";

Status infer_flex_attention(InferContext& c) {
  for (size_t i = 0; i < 3; ++i)
    if (!c.has_input(i)) return c.invalid("input " + std::to_string(i) + " is missing");
  c.set_unranked(0, c.elem(0));
  for (const char* name : {"score_mod", "prob_mod"}) {
    const Graph* graph = c.node.attr_graph(name);
    if (graph && (graph->inputs.size() != 1 || graph->outputs.size() != 1))
      return c.invalid(std::string(name) + " must have one input and one output");
  }
  if (!c.has_shape(0) || !c.has_shape(1) || !c.has_shape(2)) return ok();
  const Shape &q = c.shape(0), &k = c.shape(1), &v = c.shape(2);
  if (q.size() != 4 || k.size() != 4 || v.size() != 4)
    return c.invalid("Q, K and V must have rank 4, not " + shape_str(q) + ", " + shape_str(k) + " and " + shape_str(v));
  ONNXC_TRY(c.require_equal(q[0], k[0], "Q and K have different batches"));
  ONNXC_TRY(c.require_equal(k[0], v[0], "K and V have different batches"));
  ONNXC_TRY(c.require_equal(k[1], v[1], "K and V have different heads"));
  ONNXC_TRY(c.require_equal(k[2], v[2], "K and V have different lengths"));
  ONNXC_TRY(c.require_equal(q[3], k[3], "queries and keys have different sizes"));
  const std::string what = "the " + q[1].str() + " heads of Q are no multiple of the " + k[1].str() + " of K";
  ONNXC_TRY(require_non_negative(c.node, k[1] - Dim(1), what));
  if (q[1] != k[1]) ONNXC_TRY(c.require_equal(Dim::mod(q[1], k[1]), 0, what));
  return c.set(0, c.elem(0), {q[0], q[1], q[2], v[3]}), ok();
}

bool is_ranked(const Node& n) {
  for (size_t i = 0; i < 3; ++i)
    if (!n.input(i) || !n.input(i)->type.shape) return false;
  return true;
}

// A dim of `v` as i64[1].
Value* dim_of(GraphWriter& w, Value* v, int64_t axis) {
  return w.add("Shape", {v}, {{"start", axis}, {"end", axis + 1}});
}

Status decompose_flex_attention(Graph& g, Node& n) {
  GraphWriter w(g, n);
  Graph *score_mod = n.attr_graph("score_mod"), *prob_mod = n.attr_graph("prob_mod");
  const Shape &q = *n.input(0)->type.shape, &k = *n.input(1)->type.shape;
  const Elem elem = n.input(0)->type.elem;
  const auto precision = static_cast<Elem>(
      n.attr_int("softmax_precision", static_cast<int64_t>(elem == Elem::F64 ? Elem::F64 : Elem::F32)));
  if (!is_float(precision)) return Error(ErrorKind::InvalidModel, "softmax_precision is no type of floats", n.where());
  if (!score_mod && !prob_mod && precision == (elem == Elem::F64 ? Elem::F64 : Elem::F32)) {
    GraphWriter::Attrs attrs;
    if (n.has("scale")) attrs["scale"] = n.attr_float("scale", 1);
    if (elem == Elem::F64) attrs["softmax_precision"] = static_cast<int64_t>(precision);
    w.replace({w.add("Attention", {n.input(0), n.input(1), n.input(2)}, std::move(attrs))});
    return ok();
  }
  const bool grouped = q[1] != k[1];
  // [batch, heads, rows, columns] <-> [batch, heads of keys, rows of all heads that share them, columns]
  const auto with_heads = [&](Value* v, Value* heads) {
    Value* dims = w.add("Concat", {w.ints({0}), heads, w.ints({-1, 0})}, {{"axis", int64_t{0}}});
    return grouped ? w.add("Reshape", {v, dims}) : v;
  };
  Value *heads = dim_of(w, n.input(0), 1), *key_heads = dim_of(w, n.input(1), 1);
  const auto joined = [&](Value* v) { return with_heads(v, key_heads); };
  const auto apart = [&](Value* v) { return with_heads(v, heads); };
  const auto modified = [&](const Graph* graph, Value* v) { return graph ? inline_graph(*graph, g, {v}, &n)[0] : v; };
  Value* wide_q = w.cast(n.input(0), precision);
  Value* scale = nullptr;
  if (n.has("scale"))
    scale = w.number(static_cast<double>(n.attr_float("scale", 1)), wide_q);
  else if (q[3].is_const())
    scale = w.number(1 / std::sqrt(static_cast<double>(q[3].value())), wide_q);
  else
    scale = w.add("Reciprocal", {w.add("Sqrt", {w.cast(dim_of(w, n.input(0), 3), precision)})});
  Value* keys = w.transpose(w.cast(n.input(1), precision), {0, 1, 3, 2});
  Value* scores = apart(w.add("MatMul", {joined(w.add("Mul", {wide_q, scale})), keys}));
  Value* shares = w.add("Softmax", {modified(score_mod, scores)}, {{"axis", int64_t{-1}}});
  Value* weights = joined(w.cast(modified(prob_mod, shares), elem));
  w.replace({apart(w.add("MatMul", {weights, n.input(2)}))});
  return ok();
}

}  // namespace

OP(FlexAttention) = {.name = "FlexAttention",
                     .domain = kDomain,
                     .infer = infer_flex_attention,
                     .decompose = decompose_flex_attention,
                     .decompose_if = is_ranked,
                     .accuracy = Accuracy::Accumulating};

}  // namespace onnxc
