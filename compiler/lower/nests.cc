// Small tools on loop nests: naming shared subexpressions, finding operands that may be in place.
#include <map>

#include "compiler/lower/graph_lowering.h"

namespace onnxc {

namespace {

bool worth_naming(const Expr& e) { return e->op != ExprOp::Const && e->op != ExprOp::Index && e->op != ExprOp::Let; }

void count_uses(const Expr& e, std::map<const ExprNode*, int>& uses) {
  if (++uses[e.get()] > 1) return;
  for (const Expr& a : e->args) count_uses(a, uses);
}

// Rebuilds `e` with every subexpression that is used more than once replaced by a Let, whose statement goes to `lets`.
Expr rewrite(const Expr& e, const std::map<const ExprNode*, int>& uses, std::map<const ExprNode*, Expr>& done,
             Block& lets, const std::function<std::string()>& name) {
  if (auto it = done.find(e.get()); it != done.end()) return it->second;
  Expr out = e;
  if (!e->args.empty()) {
    ExprNode copy = *e;
    bool changed = false;
    for (Expr& a : copy.args) {
      Expr r = rewrite(a, uses, done, lets, name);
      changed |= r != a;
      a = std::move(r);
    }
    if (changed) out = std::make_shared<const ExprNode>(std::move(copy));
  }
  if (uses.at(e.get()) > 1 && worth_naming(e)) {
    const std::string n = name();
    lets.push_back(Stmt{Let{n, out}});
    out = expr::let(n, e->type);
  }
  return done[e.get()] = out;
}

}  // namespace

void name_shared_subexpressions(Block& block, const std::function<std::string()>& name) {
  Block out;
  for (Stmt& s : block) {
    if (auto* loop = std::get_if<For>(&s.node)) name_shared_subexpressions(loop->body, name);
    if (auto* store = std::get_if<Store>(&s.node)) {
      std::map<const ExprNode*, int> uses;
      for (const Expr& e : store->at) count_uses(e, uses);
      count_uses(store->value, uses);
      if (store->when) count_uses(store->when, uses);
      std::map<const ExprNode*, Expr> done;
      for (Expr& e : store->at) e = rewrite(e, uses, done, out, name);
      store->value = rewrite(store->value, uses, done, out, name);
      if (store->when) store->when = rewrite(store->when, uses, done, out, name);
    }
    out.push_back(std::move(s));
  }
  block = std::move(out);
}

std::vector<std::pair<BufferId, BufferId>> in_place_candidates(const Program& program, const Block& block) {
  // Only single perfect nests with one Store: down to the innermost block.
  const Block* inner = &block;
  while (inner->size() == 1 && std::holds_alternative<For>(inner->front().node))
    inner = &std::get<For>(inner->front().node).body;
  const Store* store = nullptr;
  for (const Stmt& s : *inner) {
    if (std::holds_alternative<Let>(s.node)) continue;
    if (store || !std::holds_alternative<Store>(s.node)) return {};
    store = &std::get<Store>(s.node);
  }
  if (!store || store->when) return {};
  auto same_place = [&](const Expr& load) {
    if (load->args.size() != store->at.size()) return false;
    for (size_t i = 0; i < load->args.size(); ++i)
      if (load->args[i]->op != ExprOp::Index || store->at[i]->op != ExprOp::Index ||
          load->args[i]->dim != store->at[i]->dim)
        return false;
    return true;
  };
  const Buffer& written = program.buffers[store->buffer];
  if (written.storage != Buffer::Storage::Arena) return {};
  std::map<BufferId, bool> fits;
  std::function<void(const Expr&)> visit = [&](const Expr& e) {
    if (e->op == ExprOp::Load) {
      const Buffer& read = program.buffers[e->buffer];
      const bool good = read.storage == Buffer::Storage::Arena && read.dims == written.dims &&
                        elem_size(read.elem) == elem_size(written.elem) && same_place(e);
      auto [it, fresh] = fits.insert({e->buffer, good});
      if (!fresh) it->second &= good;
    }
    for (const Expr& a : e->args) visit(a);
  };
  for_each_expr(*inner, visit);
  std::vector<std::pair<BufferId, BufferId>> out;
  for (auto [b, good] : fits)
    if (good) out.push_back({store->buffer, b});
  return out;
}

}  // namespace onnxc
