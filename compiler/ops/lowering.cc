#include "compiler/ops/lowering.h"

namespace onnxc {

const Tensor* LowerContext::constant(size_t i) const {
  const Value* v = node_ptr->input(i);
  return v && v->constant ? &*v->constant : nullptr;
}

Operation make_nest(LowerContext& c, const Shape& dims, const std::function<Block(std::span<const Expr>)>& body) {
  std::vector<LoopVar> vars;
  std::vector<Expr> idx;
  for (const Dim& d : dims) {
    vars.push_back({c.fresh("i"), d});
    idx.push_back(expr::index(Dim::symbol(vars.back().name)));
  }
  Block block = body(idx);
  Operation op;
  for (size_t i = vars.size(); i-- > 0;) {
    Block outer;
    outer.push_back(Stmt{For{vars[i], std::move(block)}});
    block = std::move(outer);
  }
  if (!vars.empty()) op.partition = Partition{vars[0].name, vars[0].extent, 1, 0, 0};
  op.node = Nest{std::move(block)};
  return op;
}

}  // namespace onnxc
