// recognise_attention: what exporters write for scaled dot products,
//   MatMul(Softmax([scale *] MatMul(q, k') [+ mask]), v)  with q, k, v of [batch.., heads, rows, depth],
// becomes Attention. Factors of q, k and of the scores join in `scale`; where q, k and v are transposed only to bring
// the heads to the front, and the result to bring them back, the operator reads and writes rows with all heads and no
// transposition is left. Equal up to rounding. Tested in tests/lit/passes/recognise_attention.txt.
#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

using Perm = std::vector<int64_t>;

const Perm kHeadsFirst = {0, 2, 1, 3}, kKeysInColumns = {0, 1, 3, 2};

// Of the type that Attention has a kernel for; widen_halves has made it of those of 16 bits.
bool is_floats(const Value* v, size_t rank) {
  return v && v->type.is_tensor() && v->type.shape && v->type.shape->size() == rank && v->type.elem == Elem::F32;
}

// x, when `v` is x * factor or x / factor with a constant scalar; multiplies `scale`.
Value* without_factor(Value* v, double& scale) {
  for (const char* op : {"Mul", "Div"}) {
    const Node* n = single_use(v) ? made_by(v, op) : nullptr;
    if (!n) continue;
    for (size_t side = 0; side < (n->op == "Mul" ? 2u : 1u); ++side) {
      const auto factor = splat_float(n->input(1 - side));
      if (!factor || *factor == 0 || !same_shape(n->input(side), v)) continue;
      scale *= n->op == "Mul" ? *factor : 1 / *factor;
      return n->input(side);
    }
  }
  return nullptr;
}

// An operand of a product: `x` transposed by `perm` and scaled.
struct Operand {
  Value* x;
  Perm perm;
};

Operand operand(Value* v, double& scale) {
  Operand o{v, {0, 1, 2, 3}};
  for (;;) {
    if (Value* x = without_factor(o.x, scale)) {
      o.x = x;
      continue;
    }
    const Node* t = made_by(o.x, "Transpose");
    const Perm p = t ? t->attr_ints("perm") : Perm{};
    if (p.size() != 4) return o;
    Perm joined;
    for (int64_t i : o.perm) joined.push_back(p[static_cast<size_t>(i)]);
    o = {t->input(0), joined};
  }
}

struct Match {
  Value *q, *k, *v, *mask = nullptr;
  double scale = 1;
};

// `scores` is MatMul(q, k'), scaled.
bool match_scores(Value* scores, Match& m) {
  while (Value* x = without_factor(scores, m.scale)) scores = x;
  Node* product = single_use(scores) ? made_by(scores, "MatMul") : nullptr;
  if (!product || product->num_inputs() > 2 || !is_floats(product->input(0), 4) || !is_floats(product->input(1), 4))
    return false;
  m.q = product->input(0);
  m.k = product->input(1);
  const Shape &q = *m.q->type.shape, &k = *m.k->type.shape;
  return q[0] == k[0] && q[1] == k[1] && q[1].is_const() && q[3].is_const();
}

// Softmax's input: scaled scores, or those plus a mask.
bool match_masked(Value* x, Match& m) {
  if (match_scores(x, m)) return true;
  const Node* add = single_use(x) ? made_by(x, "Add") : nullptr;
  if (!add) return false;
  for (size_t side = 0; side < 2; ++side) {
    m.scale = 1;
    m.mask = add->input(1 - side);
    if (m.mask->type.is_tensor() && m.mask->type.shape && !m.mask->type.shape->empty() &&
        m.mask->type.shape->back() == x->type.shape->back() && same_shape(add->input(side), x) &&
        match_scores(add->input(side), m))
      return true;
  }
  return false;
}

std::optional<Match> match(const Node* product) {
  if (!is_op(product, "MatMul") || product->num_inputs() > 2 || !is_floats(product->output(), 4)) return std::nullopt;
  Node* softmax = single_use(product->input(0)) ? made_by(product->input(0), "Softmax") : nullptr;
  if (!softmax || !is_floats(softmax->output(), 4) || !is_floats(product->input(1), 4)) return std::nullopt;
  const int64_t axis = softmax->attr_int("axis", -1);
  if (axis != -1 && axis != 3) return std::nullopt;
  Match m{nullptr, nullptr, product->input(1)};
  if (!single_use(softmax->input(0)) || !match_masked(softmax->input(0), m)) return std::nullopt;
  const Shape &q = *m.q->type.shape, &v = *m.v->type.shape;
  if (v[0] != q[0] || v[1] != q[1]) return std::nullopt;
  return m;
}

Value* transposed(Node* before, const Operand& o, const Perm& last) {
  Perm p;
  for (int64_t i : last) p.push_back(o.perm[static_cast<size_t>(i)]);
  Node* t = before->graph->add_node("Transpose", {o.x}, 1, before);
  t->attrs["perm"] = p;
  t->origins = before->origins;
  return t->output();
}

// [batch, rows, heads, depth] as [batch, rows, heads * depth].
Value* heads_in_row(Node* before, Value* x) {
  Node* n =
      before->graph->add_node("Reshape", {x, before->graph->add_constant(Tensor::i64({3}, {0, 0, -1}))}, 1, before);
  n->origins = before->origins;
  return n->output();
}

// The Transpose that alone reads `v` and brings the heads back beside the depth.
Node* heads_back(const Value* v) {
  if (!single_use(v) || !is_op(v->users[0], "Transpose") || v->users[0]->graph != v->graph) return nullptr;
  return v->users[0]->attr_ints("perm") == kHeadsFirst ? v->users[0] : nullptr;
}

bool nothing_empty(const Value* v) {
  for (const Dim& d : *v->type.shape)
    if (d.is_const() && d.value() == 0) return false;
  return true;
}

void recognise(Node* product, Match m) {
  Graph& g = *product->graph;
  const Operand q = operand(m.q, m.scale), k = operand(m.k, m.scale);
  double unscaled = 1;
  const Operand v = operand(m.v, unscaled);
  const Shape& shape = *product->output()->type.shape;
  const auto heads = shape[1].value();
  Node* back = heads_back(product->output());
  const bool in_rows = back && unscaled == 1 && q.perm == kHeadsFirst && v.perm == kHeadsFirst &&
                       k.perm == Perm{0, 2, 3, 1} && nothing_empty(m.q) && nothing_empty(m.k) && nothing_empty(m.v);
  std::vector<Value*> inputs;
  if (in_rows) {
    inputs = {heads_in_row(product, q.x), heads_in_row(product, k.x), heads_in_row(product, v.x)};
  } else {
    inputs = {transposed(product, q, {0, 1, 2, 3}), transposed(product, k, kKeysInColumns), m.v};
  }
  if (m.mask) inputs.push_back(m.mask);
  Node* attention = g.add_node("Attention", inputs, 1, product);
  attention->origins = product->origins;
  for (const Node* n : {product->input(0)->producer, m.k->users[0]}) merge_origins(attention, n);
  attention->name = product->name;
  attention->attrs["scale"] = static_cast<float>(m.scale);
  attention->attrs["empty_rows_nan"] = int64_t{1};
  if (!in_rows) {
    attention->output()->type = product->output()->type;
    replace_node(product, attention->output());
    return;
  }
  attention->attrs["q_num_heads"] = attention->attrs["kv_num_heads"] = heads;
  Node* split =
      g.add_node("Reshape", {attention->output(), g.add_constant(Tensor::i64({4}, {0, 0, heads, -1}))}, 1, product);
  split->output()->type = back->output()->type;
  split->origins = product->origins;
  replace_node(back, split->output());
  g.remove_node(product);
}

}  // namespace

Result<bool> recognise_attention(Graph& graph, PassContext&) {
  return each_graph(graph, [](Graph& g) {
    bool changed = false;
    for (bool again = true; again; changed |= again) {
      again = false;
      for (Node* n : nodes_of(g)) {
        const auto m = match(n);
        if (!m) continue;
        recognise(n, *m);
        again = true;  // nodes that are listed may be gone
        break;
      }
    }
    return changed;
  });
}

}  // namespace onnxc
