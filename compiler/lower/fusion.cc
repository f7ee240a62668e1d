// Element-wise values: which wait to be fused into their reader, and the expressions that readers get. See
// graph_lowering.h.
#include "compiler/lower/graph_lowering.h"
#include "compiler/lower/op_context.h"

namespace onnxc {

namespace {
constexpr size_t kMaxFusedNodes = 96;  // expression nodes in one fused value; more would only lengthen compile times

Expr zero_index() { return expr::index(Dim(0)); }

bool is_one(const Dim& d) { return d.is_const() && d.value() == 1; }

// A one-element constant as an expression.
bool is_scalar_constant(const Value* v) {
  return v->is_constant() && v->constant->numel() == 1 && v->constant->elem() != Elem::String;
}

Expr scalar_constant(const Tensor& t) {
  const Elem type = expr::arithmetic_type(t.elem());
  if (is_float(type)) return expr::constant(type, t.float_at(0));
  return expr::int_constant(type, t.int_at(0));
}

// Distinct nodes: shared subexpressions count once, since they are named once.
void count_distinct(const Expr& e, std::set<const ExprNode*>& seen, size_t* loads) {
  if (!seen.insert(e.get()).second) return;
  if (e->op == ExprOp::Load) ++*loads;
  for (const Expr& a : e->args) count_distinct(a, seen, loads);
}
}  // namespace

// What a ComputeFn sees.
class FusionContext final : public ComputeContext {
 public:
  FusionContext(GraphLowering& lowering, const Node& node, size_t out, Layout layout)
      : lowering_(lowering), layout_(layout), space_(*node.output(out)->type.shape) {
    node_ptr = &node;
    output = out;
  }
  Expr load(size_t i, std::span<const Expr> idx) override {
    return remember(i, idx,
                    layout_.plain() ? lowering_.element(node_ptr->input(i), idx)
                                    : lowering_.element_broadcast(node_ptr->input(i), idx, layout_, space_));
  }
  Expr load_broadcast(size_t i, std::span<const Expr> idx) override {
    if (Expr* known = find(i, idx)) return *known;
    return remember(i, idx, lowering_.element_broadcast(node_ptr->input(i), idx, layout_, space_));
  }
  const Status& status() const { return status_; }

 private:
  using Key = std::pair<size_t, std::vector<const ExprNode*>>;
  static Key key(size_t i, std::span<const Expr> idx) {
    Key k{i, {}};
    for (const Expr& e : idx) k.second.push_back(e.get());
    return k;
  }
  Expr* find(size_t i, std::span<const Expr> idx) {
    auto it = known_.find(key(i, idx));
    return it == known_.end() ? nullptr : &it->second;
  }
  Expr remember(size_t i, std::span<const Expr> idx, Result<Expr> e) {
    if (e.ok()) {
      kept_.insert(kept_.end(), idx.begin(), idx.end());  // the keys are addresses
      return known_[key(i, idx)] = e.value();
    }
    if (status_.ok()) status_ = e.error();
    return expr::constant(expr::arithmetic_type(in_elem(i)), 0);
  }
  GraphLowering& lowering_;
  Layout layout_;
  const Shape& space_;
  Status status_ = ok();
  std::map<Key, Expr> known_;
  std::vector<Expr> kept_;
};

Result<std::vector<std::pair<Dim, Expr>>> GraphLowering::dims_of(const Node& node, const OpDef& def, size_t o) {
  FusionContext context(*this, node, o, {});
  ONNXC_ASSIGN(auto dims, def.dims(context));
  ONNXC_TRY(context.status());
  return dims;
}

Result<Expr> GraphLowering::inline_pending(const Pending& pending, std::span<const Expr> idx) {
  const OpDef* def = find_op(pending.node->domain, pending.node->op);
  const Value* value = pending.node->output(pending.output);
  FusionContext context(*this, *pending.node, pending.output, pending.layout);
  ONNXC_ASSIGN(Expr e, def->compute(context, idx));
  ONNXC_TRY(context.status());
  const Elem type = expr::arithmetic_type(value->type.elem);
  if (type != value->type.elem) e = expr::cast(expr::cast(e, value->type.elem), type);  // rounds as a store would
  return e;
}

Result<Expr> GraphLowering::element(const Value* value, std::span<const Expr> idx) {
  if (is_scalar_constant(value)) return scalar_constant(*value->constant);
  if (auto p = pending_.find(value); p != pending_.end() && p->second.layout.plain()) {
    const Pending pending = p->second;
    return inline_pending(pending, idx);
  }
  ONNXC_ASSIGN(const BufferId b, home(value, {}));
  return expr::load(b, value->type.elem, {idx.begin(), idx.end()});
}

Expr GraphLowering::index_broadcast(const Value* value, const Expr& idx, const Dim& own, const Dim& wide) {
  if (is_one(own)) return zero_index();
  if (own == wide || (own.is_const() && wide.is_const())) return idx;
  const Dim short_of_one = own - Dim(1), short_of_wide = own - wide, either = short_of_one * short_of_wide;
  require_equal(
      either, Dim(0),
      "\"" + value->name + "\" does not broadcast: a dim of it, " + own.str() + ", is neither 1 nor " + wide.str());
  const Dim step = Dim::min(short_of_one, Dim(1));
  if (idx->op == ExprOp::Index) return expr::index(idx->dim * step);
  return expr::binary(ExprOp::Mul, idx, expr::index(step));
}

Result<Expr> GraphLowering::element_broadcast(const Value* value, std::span<const Expr> idx, Layout layout,
                                              const Shape& space) {
  if (is_scalar_constant(value)) return scalar_constant(*value->constant);
  const Shape& shape = *value->type.shape;
  const size_t rank = space.size();
  const size_t skip = rank - shape.size();  // leading dims of the space that the value lacks
  const bool has_channels =
      !layout.plain() && static_cast<size_t>(layout.axis) >= skip && !is_one(shape[layout.axis - skip]);
  if (!has_channels) {  // plain space, or the same element for all channels: logical indices
    std::vector<Expr> at;
    for (size_t d = 0; d < shape.size(); ++d)
      at.push_back(index_broadcast(value, idx[d + skip], shape[d], space[d + skip]));
    return element(value, at);
  }
  std::vector<Expr> at;
  for (size_t d = 0; d < rank; ++d)
    at.push_back(d < skip ? zero_index() : index_broadcast(value, idx[d], shape[d - skip], space[d]));
  at.push_back(idx.back());
  if (auto p = pending_.find(value); p != pending_.end() && p->second.layout == layout && skip == 0) {
    const Pending pending = p->second;
    return inline_pending(pending, at);
  }
  ONNXC_ASSIGN(const BufferId b, home(value, layout, rank));
  return expr::load(b, value->type.elem, std::move(at));
}

// Blocked when an operand of the output's own channel count lies so; plain otherwise.
Layout GraphLowering::choose_layout(const Node& node, const OpDef& def) const {
  if (def.layout != LayoutBehaviour::Agnostic) return {};
  const Shape& out = *node.output(0)->type.shape;
  for (const Value* in : node.inputs()) {
    if (!in || in->is_constant()) continue;
    const Layout layout = layout_of(in);
    if (layout.plain() || in->type.shape->size() != out.size()) continue;
    if ((*in->type.shape)[layout.axis] == out[layout.axis]) return layout;
  }
  return {};
}

bool GraphLowering::may_wait(const Node& node, const OpDef& def, const Value* value, size_t cost,
                             bool loads_nothing) const {
  if (value->graph->is_output(value) || cost > kMaxFusedNodes) return false;
  if (loads_nothing && cost <= 8) return true;
  if (value->users.empty()) return false;
  const Node* user = value->users[0];
  for (const Node* other : value->users)  // several uses by one reader are one: it asks once per place
    if (other != user) return false;
  if (user->graph != node.graph) return false;
  const OpDef* user_def = find_op(user->domain, user->op);
  if (!user_def || !user_def->compute) return user_def && user_def->lower;
  // Never evaluate costly elements several times because the reader repeats them.
  const Dim here = numel(*value->type.shape), there = numel(*user->output(0)->type.shape);
  const bool repeats = !(here == there) && !(here.is_const() && there.is_const() && there.value() <= here.value());
  return !repeats || (!def.expensive && cost <= 8);
}

Status GraphLowering::lower_compute(const Node& node, const OpDef& def) {
  const Layout layout = choose_layout(node, def);
  for (size_t o = 0; o < node.num_outputs(); ++o) {
    const Value* value = node.output(o);
    if (!value) continue;
    Pending pending{&node, o, layout, 0};
    // A trial at nameless indices tells what the value costs; it also stores pending inputs that it cannot take in.
    std::vector<Expr> idx;
    const size_t dims = value->type.shape->size() + (layout.plain() ? 0 : 1);
    for (size_t d = 0; d < dims; ++d) idx.push_back(expr::index(Dim::symbol("trial" + std::to_string(d))));
    FusionContext trial(*this, node, o, layout);
    ONNXC_ASSIGN(const Expr e, def.compute(trial, idx));
    ONNXC_TRY(trial.status());
    std::set<const ExprNode*> seen;
    size_t loads = 0;
    count_distinct(e, seen, &loads);
    pending.cost = seen.size();
    pending_[value] = pending;
    if (!may_wait(node, def, value, pending.cost, loads == 0)) ONNXC_TRY(store_pending(value, layout));
  }
  return ok();
}

Status GraphLowering::store_pending(const Value* value, Layout wanted) {
  const Pending pending = pending_.at(value);
  pending_.erase(value);
  if (const OpDef* def = find_op(pending.node->domain, pending.node->op); def->store) {
    OpContext context(*this, *pending.node);
    ONNXC_ASSIGN(bool done, def->store(context, wanted));
    if (!done && !wanted.plain() && pending.layout.plain()) {
      ONNXC_ASSIGN(done, def->store(context, {}));  // home() goes on from there
    }
    if (done) return context.status();
  }
  const BufferId buffer = new_buffer(value, pending.layout);
  ONNXC_TRY(emit_compute(pending, buffer));
  set_home(value, pending.layout, value->type.shape->size(), buffer);
  return ok();
}

Status GraphLowering::emit_compute(const Pending& pending, BufferId buffer) {
  Status status = ok();
  Operation op = nest_over(
      program_.buffers[buffer].dims, [this] { return fresh("i"); },
      [&](std::span<const Expr> idx) {
        Block b;
        auto e = inline_pending(pending, idx);
        if (e.ok())
          b.push_back(Stmt{Store{buffer, {idx.begin(), idx.end()}, e.value(), nullptr}});
        else
          status = e.error();
        return b;
      });
  ONNXC_TRY(std::move(status));
  emit(std::move(op), pending.node);
  return ok();
}

}  // namespace onnxc
