#include "compiler/ops/lowering.h"

namespace onnxc {

const Tensor* LowerContext::constant(size_t i) const {
  const Value* v = node_ptr->input(i);
  return v && v->constant ? &*v->constant : nullptr;
}

Operation nest_over(const Shape& dims, const std::function<std::string()>& name,
                    const std::function<Block(std::span<const Expr>)>& body) {
  std::vector<LoopVar> vars;
  std::vector<Expr> idx;
  for (const Dim& d : dims) {
    vars.push_back({name(), d});
    idx.push_back(expr::index(Dim::symbol(vars.back().name)));
  }
  Block block = body(idx);
  for (size_t i = vars.size(); i-- > 0;) {
    Block outer;
    outer.push_back(Stmt{For{vars[i], std::move(block)}});
    block = std::move(outer);
  }
  Operation op;
  if (!vars.empty()) op.partition = Partition{vars[0].name, vars[0].extent, 1, 0, 0, 0};
  op.node = Nest{std::move(block)};
  return op;
}

Operation make_nest(LowerContext& c, const Shape& dims, const std::function<Block(std::span<const Expr>)>& body) {
  return nest_over(dims, [&c] { return c.fresh("i"); }, body);
}

}  // namespace onnxc
