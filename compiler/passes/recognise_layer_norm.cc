// recognise_layer_norm: LayerNormalization as exporters before opset 17 write it,
//   d = x - ReduceMean(x);  y = d / Sqrt(ReduceMean(d * d or d ^ 2) + epsilon) * scale [+ bias],
// over the last axes, becomes the operator. Equal up to rounding. Tested in tests/lit/passes/recognise_layer_norm.txt.
#include <algorithm>

#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

// The first axis of a ReduceMean over all axes from it on, counted from the back (-1: the last only).
std::optional<int64_t> mean_axis(const Node* n) {
  if (!n || n->attr_int("keepdims", 1) == 0 || !n->input(0)->type.is_tensor() || !n->input(0)->type.shape)
    return std::nullopt;
  const auto rank = static_cast<int64_t>(n->input(0)->type.shape->size());
  std::vector<int64_t> axes = n->attr_ints("axes");
  if (n->input(1)) {
    const auto known = known_ints(n->input(1));
    if (!known) return std::nullopt;
    axes = *known;
  }
  if (axes.empty()) return std::nullopt;
  for (int64_t& a : axes) a = a < 0 ? a : a - rank;
  std::sort(axes.begin(), axes.end());
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] != static_cast<int64_t>(i) - static_cast<int64_t>(axes.size())) return std::nullopt;
  }
  return axes[0];
}

// x, if `v` is x - ReduceMean(x) from `axis` on.
Value* centred(const Value* v, int64_t axis) {
  const Node* sub = made_by(v, "Sub");
  const Node* mean = sub ? made_by(sub->input(1), "ReduceMean") : nullptr;
  if (!mean || mean->input(0) != sub->input(0) || mean_axis(mean) != axis) return nullptr;
  return sub->input(0);
}

// d, if `v` is d * d or d ^ 2.
Value* square_root_of(const Value* v) {
  const Node* mul = made_by(v, "Mul");
  if (mul && mul->input(0) == mul->input(1)) return mul->input(0);
  const Node* pow = made_by(v, "Pow");
  if (pow && (splat_float(pow->input(1)) == 2.0 || splat_int(pow->input(1)) == 2)) return pow->input(0);
  return nullptr;
}

struct Match {
  Value* x = nullptr;
  int64_t axis = -1;
  float epsilon = 0;
};

// `div` is d / Sqrt(mean + epsilon).
std::optional<Match> match_normalised(const Node* div) {
  const Node* sqrt = div ? made_by(div->input(1), "Sqrt") : nullptr;
  const Node* add = sqrt ? made_by(sqrt->input(0), "Add") : nullptr;
  if (!add) return std::nullopt;
  for (int side = 0; side < 2; ++side) {
    const Node* mean = made_by(add->input(side), "ReduceMean");
    const auto epsilon = splat_float(add->input(1 - side));
    const auto axis = mean_axis(mean);
    if (!axis || !epsilon) continue;
    const Value* d = square_root_of(mean->input(0));
    Value* x = d ? centred(d, *axis) : nullptr;
    if (x && centred(div->input(0), *axis) == x) return Match{x, *axis, static_cast<float>(*epsilon)};
  }
  return std::nullopt;
}

// A scale or bias of exactly the dims that are normalised; constants may have leading dims of 1. Null: not one.
Value* parameter(Value* v, const Match& m) {
  if (!v->type.is_tensor() || !v->type.shape || v->type.elem != m.x->type.elem) return nullptr;
  const Shape& x = *m.x->type.shape;
  const Shape wanted(x.end() + m.axis, x.end());
  if (*v->type.shape == wanted) return v;
  if (!v->is_constant() || !is_static(wanted) || numel(*v->type.shape) != numel(wanted)) return nullptr;
  const Shape& own = *v->type.shape;
  if (own.size() < wanted.size() || !std::equal(wanted.rbegin(), wanted.rend(), own.rbegin())) return nullptr;
  return v->graph->add_constant(v->constant->reshaped(static_dims(wanted)));
}

// The node that alone reads `v`, if it is an `op`, and its other operand.
Node* next_with(Value* v, std::string_view op, Value** other) {
  if (!single_use(v) || !is_op(v->users[0], op) || v->users[0]->graph != v->graph) return nullptr;
  Node* n = v->users[0];
  *other = n->input(0) == v ? n->input(1) : n->input(0);
  return n;
}

bool recognise(Node* div) {
  if (!is_op(div, "Div") || !is_float_tensor(div->output())) return false;
  const auto m = match_normalised(div);
  Value *scale = nullptr, *bias = nullptr;
  Node* mul = m ? next_with(div->output(), "Mul", &scale) : nullptr;
  if (mul) scale = parameter(scale, *m);
  if (!mul || !scale) return false;
  Node* add = next_with(mul->output(), "Add", &bias);
  if (add) bias = parameter(bias, *m);
  if (!bias) add = nullptr;
  Node* last = add ? add : mul;
  Node* norm = add_like(last, "LayerNormalization", {m->x, scale}, last);
  if (add) norm->set_input(2, bias);
  norm->attrs["axis"] = m->axis;
  norm->attrs["epsilon"] = m->epsilon;
  merge_origins(norm, div);
  merge_origins(norm, mul);
  replace_node(last, norm->output());
  return true;
}

}  // namespace

Result<bool> recognise_layer_norm(Graph& graph, PassContext&) {
  return each_graph(graph, [](Graph& g) { return each_node(g, recognise); });
}

}  // namespace onnxc
