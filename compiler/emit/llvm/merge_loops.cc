#include "compiler/emit/llvm/merge_loops.h"

#include <algorithm>
#include <map>

namespace onnxc::emit {
namespace {

struct Merger {
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
  const Dim i = Dim::symbol(outer.var.name), j = Dim::symbol(inner->var.name);
  const Merger merger{program,
                      outer.var.name,
                      inner->var.name,
                      {{outer.var.name, Dim(0)}, {inner->var.name, i * inner->var.extent + j}}};
  if (!merger.is_free(inner->var.extent) || !merger.allows(inner->body)) return std::nullopt;
  For out = *inner;
  out.var.extent = outer.var.extent * inner->var.extent;
  return out;
}

}  // namespace onnxc::emit
