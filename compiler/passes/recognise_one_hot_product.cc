// recognise_one_hot_product: MatMul of Cast(Equal(x, 0 .. n - 1)) with constant rows becomes a Gather of the rows, a
// row of zeros for what is none of 0 .. n - 1. Exact but for the sign of zeros. Tested in
// tests/lit/passes/recognise_one_hot_product.txt.
#include <algorithm>
#include <cmath>
#include <span>

#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

// Whether `v` is the constant 0 .. n - 1 along its last axis.
bool counts_up(const Value* v, int64_t n) {
  if (!v || !v->constant || v->constant->numel() != n || v->constant->dims().empty()) return false;
  const auto values = known_ints(v);
  if (!values || v->constant->dims().back() != n) return false;
  for (int64_t i = 0; i < n; ++i)
    if ((*values)[static_cast<size_t>(i)] != i) return false;
  return true;
}

// What `equal` compares with 0 .. n - 1: integers [..., 1], of the rank of the result.
Value* compared(const Node* equal, int64_t n) {
  const int at = counts_up(equal->input(1), n) ? 0 : 1;
  Value* x = equal->input(static_cast<size_t>(at));
  if (!counts_up(equal->input(static_cast<size_t>(1 - at)), n) || !x || !x->type.shape) return nullptr;
  const Shape& shape = *x->type.shape;
  const bool index = x->type.elem == Elem::I32 || x->type.elem == Elem::I64;
  const bool fits = shape.size() >= 2 && shape.back() == Dim(1) && equal->output()->type.shape &&
                    equal->output()->type.shape->size() == shape.size();
  return index && fits ? x : nullptr;
}

// f32 [n][columns], finite (0 * inf is no 0), and a row of zeros behind.
std::optional<Tensor> with_zero_row(const Value* weights) {
  if (!weights || !weights->constant || weights->constant->elem() != Elem::F32) return {};
  const Tensor& w = *weights->constant;
  if (w.dims().size() != 2 || w.dims()[0] < 2) return {};
  const std::span<const float> values = w.as<float>();
  if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) return {};
  std::vector<float> rows(values.size() + static_cast<size_t>(w.dims()[1]));
  std::copy(values.begin(), values.end(), rows.begin());
  return Tensor::f32({w.dims()[0] + 1, w.dims()[1]}, rows);
}

bool recognise(Node* product) {
  if (!is_op(product, "MatMul") || product->inputs().size() != 2) return false;
  Node* cast = made_by(product->input(0), "Cast");
  Node* equal = cast ? made_by(cast->input(0), "Equal") : nullptr;
  if (!equal || !single_use(cast->output()) || !product->output()->type.shape) return false;
  const auto rows = with_zero_row(product->input(1));
  const int64_t n = rows ? rows->dims()[0] - 1 : 0;
  Value* x = rows ? compared(equal, n) : nullptr;
  if (!x) return false;
  Graph& g = *product->graph;
  const auto number = [&](int64_t v) { return g.add_constant(Tensor::ints(x->type.elem, {}, {v})); };
  const auto step = [&](const char* op, std::vector<Value*> inputs, const Shape& shape) {
    Node* node = add_like(equal, op, std::move(inputs), product);
    node->output()->type = x->type;
    node->output()->type.shape = shape;
    return node->output();
  };
  // -1 and n are the row of zeros.
  Value* clipped = step("Max", {step("Min", {x, number(n)}, *x->type.shape), number(-1)}, *x->type.shape);
  Value* last_axis = g.add_constant(Tensor::i64({1}, {-1}));
  Value* index = step("Squeeze", {clipped, last_axis}, {x->type.shape->begin(), x->type.shape->end() - 1});
  Node* gather = add_like(product, "Gather", {g.add_constant(*rows), index}, product);
  merge_origins(gather, cast);
  replace_node(product, gather->output());
  return true;
}

}  // namespace

Result<bool> recognise_one_hot_product(Graph& graph, PassContext&) {
  return each_graph(graph, [](Graph& g) { return each_node(g, recognise); });
}

}  // namespace onnxc
