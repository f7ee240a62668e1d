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

namespace {
// What moving an element costs, in the products that count the work of others.
constexpr int64_t kMoveCost = 8;

Call layout_call(const char* kernel, BufferId from, BufferId to, const Shape& shape) {
  const Dim pixels = numel({shape.begin() + 2, shape.end()});
  Call call(kernel);
  call.out(to).in(from).arg("n", shape[0]).arg("c", shape[1]).arg("pixels", pixels);
  return call;
}
}  // namespace

bool has_layout_kernel(const Program& program, BufferId plain, Layout layout) {
  constexpr int kKernelBlock = 16;
  const Buffer& b = program.buffers[plain];
  return b.elem == Elem::F32 && layout.axis == 1 && layout.block == kKernelBlock && b.strides.empty() && b.halo.empty();
}

Operation to_blocked(BufferId from, BufferId to, const Shape& shape, int64_t groups) {
  Call call = layout_call("to_blocked_f32", from, to, shape);
  return call.arg("groups", groups).slices(numel(shape) * Dim(kMoveCost)).op();
}

Operation to_plain(BufferId from, BufferId to, const Shape& shape) {
  return layout_call("to_plain_f32", from, to, shape).slices(numel(shape) * Dim(kMoveCost)).op();
}

Operation transpose(BufferId from, BufferId to, const Dim& batches, const Dim& rows, const Dim& columns) {
  Call call("transpose_f32");
  call.out(to).in(from).arg("batches", batches).arg("rows", rows).arg("columns", columns);
  return call.slices(batches * rows * columns * Dim(kMoveCost)).op();
}

}  // namespace onnxc
