// cleanup_transposes: drops transpositions that change nothing, joins two in a row, makes a Reshape of those that only
// move dims of extent 1, and lets them sink through element-wise operators and Concat towards a transposition that
// cancels them. Exact. Tested in tests/lit/passes/cleanup_transposes.txt.
#include <numeric>

#include "compiler/ops/op.h"
#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

using Perm = std::vector<int64_t>;

std::optional<Perm> perm_of(const Node* n) {
  if (!is_op(n, "Transpose") || !n->input(0)->type.is_tensor() || !n->input(0)->type.shape) return std::nullopt;
  const size_t rank = n->input(0)->type.shape->size();
  Perm reversed(rank);
  for (size_t i = 0; i < rank; ++i) reversed[i] = static_cast<int64_t>(rank - 1 - i);
  Perm p = n->attr_ints("perm", reversed);
  if (p.size() != rank) return std::nullopt;
  return p;
}

bool is_identity(const Perm& p) {
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] != static_cast<int64_t>(i)) return false;
  }
  return true;
}

Perm inverse(const Perm& p) {
  Perm q(p.size());
  for (size_t i = 0; i < p.size(); ++i) q[p[i]] = static_cast<int64_t>(i);
  return q;
}

Shape permuted(const Shape& s, const Perm& p) {
  Shape r;
  for (int64_t i : p) r.push_back(s[i]);
  return r;
}

Node* transpose_before(Node* before, Value* x, const Perm& p) {
  Node* t = x->graph->add_node("Transpose", {x}, 1, before);
  t->attrs["perm"] = p;
  t->output()->type = Type::tensor(x->type.elem, permuted(*x->type.shape, p));
  return t;
}

bool drop_identity(Node* n) {
  const auto p = perm_of(n);
  if (!p || !is_identity(*p) || must_stay_output(n->output(), n->input(0))) return false;
  replace_node(n, n->input(0));
  return true;
}

bool join(Node* n) {
  const auto p = perm_of(n);
  Node* inner = p ? made_by(n->input(0), "Transpose") : nullptr;
  const auto q = perm_of(inner);
  if (!q) return false;
  Perm r;
  for (int64_t i : *p) r.push_back((*q)[i]);
  merge_origins(n, inner);
  n->set_input(0, inner->input(0));
  n->attrs["perm"] = r;
  return true;
}

// The dims that are not 1 keep their order: the bytes stay where they are.
bool to_reshape(Node* n) {
  const auto p = perm_of(n);
  if (!p || !n->output()->type.is_static_tensor() || is_identity(*p)) return false;
  int64_t last = -1;
  for (int64_t i : *p) {
    if ((*n->input(0)->type.shape)[i] == Dim(1)) continue;
    if (i < last) return false;
    last = i;
  }
  const std::vector<int64_t> dims = static_dims(*n->output()->type.shape);
  for (int64_t d : dims) {
    if (d == 0) return false;
  }
  Value* shape = n->graph->add_constant(Tensor::i64({static_cast<int64_t>(dims.size())}, dims));
  replace_node(n, add_like(n, "Reshape", {n->input(0), shape}, n)->output());
  return true;
}

bool is_elementwise(const Node& n) {
  const OpDef* def = find_op(n.domain, n.op);
  return def && def->layout == LayoutBehaviour::Agnostic && n.num_outputs() == 1 && n.subgraphs().empty();
}

bool all_ones(const Value& v) {
  if (!v.type.is_tensor() || !v.type.shape) return false;
  for (const Dim& d : *v.type.shape) {
    if (d != Dim(1)) return false;
  }
  return true;
}

// How one operand of an element-wise node looks when the node runs before the transposition.
enum class Operand { No, Transposed, Same, Constant };

Operand classify(const Value* v, const Perm& p, const Shape& shape) {
  if (!v) return Operand::Same;
  if (single_use(v)) {
    const auto q = perm_of(v->producer);
    if (q && *q == p && v->type.shape == shape) return Operand::Transposed;
  }
  if (all_ones(*v) && v->type.shape->size() <= p.size()) return Operand::Same;
  const bool fits = v->is_constant() && v->type.elem != Elem::String && v->type.shape->size() <= p.size();
  return fits ? Operand::Constant : Operand::No;
}

// A constant of any rank as it broadcasts to the dims before the transposition by `p`.
Value* constant_before(Node* n, Value* v, const Perm& p) {
  std::vector<int64_t> dims(p.size() - v->constant->dims().size(), 1);
  dims.insert(dims.end(), v->constant->dims().begin(), v->constant->dims().end());
  Value* wide = n->graph->add_constant(v->constant->reshaped(dims));
  return transpose_before(n, wide, inverse(p))->output();  // folded later
}

bool sink_through_elementwise(Node* n) {
  if (!is_elementwise(*n) || !n->output()->type.is_tensor() || !n->output()->type.shape) return false;
  std::optional<Perm> p;
  for (const Value* v : n->inputs()) {
    if (!p && v && single_use(v)) p = perm_of(v->producer);
  }
  if (!p || p->size() != n->output()->type.shape->size()) return false;
  std::vector<Operand> kinds;
  for (const Value* v : n->inputs()) {
    kinds.push_back(classify(v, *p, *n->output()->type.shape));
    if (kinds.back() == Operand::No) return false;
  }
  for (size_t i = 0; i < kinds.size(); ++i) {
    Value* v = n->input(i);
    if (kinds[i] == Operand::Transposed) n->set_input(i, v->producer->input(0));
    if (kinds[i] == Operand::Constant) n->set_input(i, constant_before(n, v, *p));
  }
  Value* y = n->output();
  Node* t = n->graph->add_node("Transpose", {y}, 1, nullptr);
  t->attrs["perm"] = *p;
  t->output()->type = y->type;
  y->type.shape = permuted(*y->type.shape, inverse(*p));
  t->set_input(0, nullptr);
  n->graph->replace_uses(y, t->output());
  t->set_input(0, y);
  return true;
}

bool sink_through_concat(Node* n) {
  if (!is_op(n, "Concat") || n->num_inputs() == 0 || !n->output()->type.shape) return false;
  std::optional<Perm> p;
  for (const Value* v : n->inputs()) {
    const auto q = v && single_use(v) ? perm_of(v->producer) : std::nullopt;
    if (!q || (p && *p != *q)) return false;
    p = q;
  }
  const auto rank = static_cast<int64_t>(p->size());
  const int64_t axis = n->attr_int("axis", 0);
  if (axis < -rank || axis >= rank) return false;
  for (size_t i = 0; i < n->num_inputs(); ++i) n->set_input(i, n->input(i)->producer->input(0));
  n->attrs["axis"] = (*p)[axis < 0 ? axis + rank : axis];
  Value* y = n->output();
  Node* t = n->graph->add_node("Transpose", {}, 1, nullptr);
  t->attrs["perm"] = *p;
  t->output()->type = y->type;
  y->type.shape = permuted(*y->type.shape, inverse(*p));
  n->graph->replace_uses(y, t->output());
  t->set_input(0, y);
  return true;
}

}  // namespace

Result<bool> cleanup_transposes(Graph& graph, PassContext&) {
  bool sorted = true;
  const bool changed = each_graph(graph, [&](Graph& g) {
    bool any = false;
    for (Node* n : nodes_of(g)) {
      any |= join(n);
      if (drop_identity(n) || to_reshape(n) || sink_through_elementwise(n) || sink_through_concat(n)) any = true;
    }
    sorted = sorted && (!any || g.sort().ok());
    return any;
  });
  if (!sorted) return Error(ErrorKind::Internal, "cleanup_transposes made a cycle");
  return changed;
}

}  // namespace onnxc
