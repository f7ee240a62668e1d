#include "compiler/emit/llvm/merge_loops.h"

#include <algorithm>
#include <map>

namespace onnxc::emit {
namespace {

struct Merger {
  Merger(const Program& program, const LoopVar& outer_var, const LoopVar& inner_var)
      : program(program),
        outer(outer_var.name),
        inner(inner_var.name),
        merged{{outer, Dim(0)}, {inner, Dim::symbol(outer) * inner_var.extent + Dim::symbol(inner)}} {}

  const Program& program;
  const std::string &outer, &inner;
  std::map<std::string, Dim> merged;  // the variables' values in the one loop

  bool is_free(const Dim& dim) const {
    std::set<std::string> symbols;
    dim.collect_symbols(symbols);
    return !symbols.contains(outer) && !symbols.contains(inner);
  }
  bool allows(const std::vector<LoopVar>& vars) const {
    return std::all_of(vars.begin(), vars.end(), [this](const LoopVar& v) { return is_free(v.extent); });
  }
  bool allows_access(BufferId buffer, const std::vector<Expr>& at) const {
    const Shape strides = program.buffers[buffer].effective_strides();
    if (at.size() != strides.size()) return false;
    Dim place(0);
    for (size_t d = 0; d < at.size(); ++d) {
      if (at[d]->op == ExprOp::Index)
        place = place + at[d]->dim * strides[d];
      else if (!allows(at[d]))
        return false;
    }
    return is_free(place) || place.substitute(merged) == place;
  }
  bool allows(const Expr& e) const {
    if (e->op == ExprOp::Load) return allows_access(e->buffer, e->args);
    if (e->op == ExprOp::Index) return is_free(e->dim);
    return std::all_of(e->args.begin(), e->args.end(), [this](const Expr& a) { return allows(a); });
  }
  bool allows(const Block& block) const {
    return std::all_of(block.begin(), block.end(), [this](const Stmt& s) {
      return std::visit([this](const auto& n) { return allows(n); }, s.node);
    });
  }
  bool allows(const For& loop) const { return is_free(loop.var.extent) && allows(loop.body); }
  bool allows(const Let& let) const { return allows(let.value); }
  bool allows(const Reduce& reduce) const { return allows(reduce.vars) && allows(reduce.value); }
  bool allows(const Store& store) const {
    return allows_access(store.buffer, store.at) && allows(store.value) && (!store.when || allows(store.when));
  }
  bool allows(const KernelCall&) const { return false; }
};

}  // namespace

std::optional<For> merged_with_inner(const Program& program, const For& outer) {
  if (outer.body.size() != 1) return std::nullopt;
  const auto* inner = std::get_if<For>(&outer.body.front().node);
  if (!inner || outer.var.name == inner->var.name) return std::nullopt;
  const Merger merger(program, outer.var, inner->var);
  if (!merger.is_free(inner->var.extent) || !merger.allows(inner->body)) return std::nullopt;
  For out = *inner;
  out.var.extent = outer.var.extent * inner->var.extent;
  return out;
}

Reduce with_merged_rows(const Program& program, Reduce reduce) {
  while (reduce.vars.size() > 1) {
    LoopVar &inner = reduce.vars.back(), &outer = reduce.vars[reduce.vars.size() - 2];
    const Merger merger(program, outer, inner);
    if (outer.name == inner.name || !merger.is_free(inner.extent) || !merger.allows(reduce.value)) break;
    inner.extent = outer.extent * inner.extent;
    reduce.vars.erase(reduce.vars.end() - 2);
  }
  return reduce;
}

}  // namespace onnxc::emit
