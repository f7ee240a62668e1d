// MatMul and Gemm (onnx/docs/Operators.md; numpy.matmul's rules for ranks). f32 products call the packed GEMM kernel,
// once or per batch inside a nest; other element types are a nest that reduces. Tested by tests/conformance and
// tests/differential.
#include "compiler/ops/matmul.h"

#include "compiler/ops/indexing.h"
#include "compiler/ops/window.h"

namespace onnxc {

Shape Product::out() const {
  Shape dims = batch;
  if (!a_vector) dims.push_back(m);
  if (!b_vector) dims.push_back(n);
  return dims;
}

Result<Product> product_of(const Node& node, Shape a, Shape b) {
  auto bad = [&](const std::string& what) {
    return Error(ErrorKind::InvalidModel, what + ": " + shape_str(a) + " times " + shape_str(b), node.where());
  };
  if (a.empty() || b.empty()) return bad("a scalar cannot be multiplied as a matrix");
  Product p;
  p.a_vector = a.size() == 1;
  p.b_vector = b.size() == 1;
  if (p.a_vector) a.insert(a.begin(), Dim(1));
  if (p.b_vector) b.push_back(Dim(1));
  p.m = a[a.size() - 2];
  p.k = a.back();
  p.n = b.back();
  const Dim bk = b[b.size() - 2];
  if (p.k.is_const() && bk.is_const() && p.k != bk) return bad("the inner dimensions differ");
  ONNXC_TRY(require_equal(node, p.k, bk, "the inner dimensions differ"));
  if (!p.k.is_const()) p.k = bk;
  p.a_batch = {a.begin(), a.end() - 2};
  p.b_batch = {b.begin(), b.end() - 2};
  auto batch = broadcast(p.a_batch, p.b_batch);
  if (!batch.ok()) return bad("the batch dimensions do not broadcast");
  p.batch = std::move(batch).value();
  for (const Shape* own : {&p.a_batch, &p.b_batch})
    for (size_t d = 0; d < own->size(); ++d)
      ONNXC_TRY(indexing::require_one_or(node, (*own)[d], p.batch[p.batch.size() - own->size() + d],
                                         "the batch dimensions do not broadcast"));
  return p;
}

std::vector<Expr> batch_at(const Shape& own, const Shape& batch, std::span<const Expr> idx) {
  std::vector<Expr> at;
  for (size_t d = 0; d < own.size(); ++d) {
    const size_t at_batch = batch.size() - own.size() + d;
    at.push_back(indexing::broadcast_index(idx[at_batch], own[d], batch[at_batch]));
  }
  return at;
}

namespace {

using expr::operator*;
using expr::operator+;

constexpr int64_t kPanel = 16;  // columns per packed panel of B (runtime_lib/kernels/gemm.h)

Status infer_matmul(InferContext& c) {
  if (!c.has_input(0) || !c.has_input(1)) return c.invalid("two inputs are needed");
  if (c.elem(0) != c.elem(1)) return c.invalid("the operands have different element types");
  if (!c.has_shape(0) || !c.has_shape(1)) return c.set_unranked(0, c.elem(0)), ok();
  ONNXC_ASSIGN(const Product p, product_of(c.node, c.shape(0), c.shape(1)));
  c.set(0, c.elem(0), p.out());
  return ok();
}

Status lower_matmul_nest(LowerContext& c, const Product& p) {
  ONNXC_ASSIGN(const BufferId a, c.in(0));
  ONNXC_ASSIGN(const BufferId b, c.in(1));
  const BufferId out = c.out(0);
  const Elem elem = c.in_elem(0);
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    const std::string k = c.fresh("k");
    const Expr at_k = expr::index(Dim::symbol(k));
    std::vector<Expr> a_at = batch_at(p.a_batch, p.batch, idx), b_at = batch_at(p.b_batch, p.batch, idx);
    if (!p.a_vector) a_at.push_back(idx[p.batch.size()]);
    a_at.push_back(at_k);
    b_at.push_back(at_k);
    if (!p.b_vector) b_at.push_back(idx.back());
    Reduce r{
        c.fresh("sum"), ReduceOp::Add, {{k, p.k}}, 1, false, expr::load(a, elem, a_at) * expr::load(b, elem, b_at)};
    Expr value = expr::let(r.name, r.value->type);
    Block block;
    block.push_back(Stmt{std::move(r)});
    block.push_back(
        Stmt{Store{out, {idx.begin(), idx.end()}, apply_activation(activation_of(c.node()), value), nullptr}});
    return block;
  }));
  return ok();
}

Call gemm_call(Operand y, Operand a, Operand b, BufferId bias, Operand residual, const Dim& m, const Dim& n,
               const Dim& k, const Activation& act) {
  Call call("gemm_f32");
  call.out_at(std::move(y)).in_at(std::move(a)).in_at(std::move(b)).in(bias).in_at(std::move(residual));
  activation_args(call.arg("m", m).arg("n", n).arg("k", k).arg("lda", k).arg("ldy", n), act);
  return call;
}

Packing panel_packing(bool transposed) {
  Packing p;
  p.block = transposed ? std::vector<int64_t>{kPanel, 1} : std::vector<int64_t>{1, kPanel};
  p.perm = transposed ? std::vector<int64_t>{0, 2, 3, 1} : std::vector<int64_t>{2, 0, 1, 3};
  return p;
}

// `columns` of B, from the element `b` on, into panels.
Call pack_call(Operand packed, Operand b, const Product& p, const Dim& columns) {
  Call pack("pack_b_f32");
  pack.out_at(std::move(packed)).in_at(std::move(b)).arg("k", p.k).arg("n", columns);
  pack.arg("row_stride", p.n).arg("col_stride", 1);
  return pack;
}

// A matrix B that is no constant, in panels: threads share these.
Result<BufferId> packed_in_run(LowerContext& c, const Product& p) {
  ONNXC_ASSIGN(const BufferId b, c.in(1));
  const Dim panels = Dim::ceil_div(p.n, Dim(kPanel));
  const BufferId packed = c.temporary(Elem::F32, {panels, p.k, Dim(kPanel)});
  Operation op = make_nest(c, {panels}, [&](std::span<const Expr> idx) {
    const Dim first = idx[0]->dim * Dim(kPanel);
    const Expr zero = expr::index(Dim(0));
    const Dim columns = Dim::mod(p.n, kPanel) == Dim(0) ? Dim(kPanel) : Dim::min(kPanel, p.n - first);
    Call pack = pack_call({packed, {idx[0], zero, zero}}, {b, {zero, expr::index(first)}}, p, columns);
    Block block;
    block.push_back(Stmt{std::get<KernelCall>(pack.op().node)});
    return block;
  });
  if (op.partition) op.partition->work = p.n * p.k;
  c.emit(std::move(op));
  return packed;
}

Status lower_matmul(LowerContext& c) {
  ONNXC_ASSIGN(const Product p, product_of(c.node(), c.in_shape(0), c.in_shape(1)));
  if (c.in_elem(0) != Elem::F32) return lower_matmul_nest(c, p);
  const Activation act = activation_of(c.node());
  ONNXC_ASSIGN(const BufferId a, c.in(0));
  if (c.in_shape(1).size() == 2) {  // one product with all rows of A
    ONNXC_ASSIGN(const BufferId b, c.constant(1) ? c.packed(1, panel_packing(false)) : packed_in_run(c, p));
    ONNXC_ASSIGN(const BufferId bias, c.in(2));      // set by the pass fuse_matmul_bias
    ONNXC_ASSIGN(const BufferId residual, c.in(3));  // likewise
    const Dim rows = numel(p.a_batch) * p.m;
    Call gemm = gemm_call({c.out(0), {}}, {a, {}}, {b, {}}, bias, {residual, {}}, rows, p.n, p.k, act);
    c.emit(gemm.slices(rows * p.n * p.k).op());
    return ok();
  }
  ONNXC_ASSIGN(const BufferId b, c.in(1));
  const BufferId out = c.out(0);
  Shape panels = p.batch;  // of every turn: threads share the turns
  panels.insert(panels.end(), {Dim::ceil_div(p.n, Dim(kPanel)), p.k, Dim(kPanel)});
  const BufferId packed = c.temporary(Elem::F32, panels);
  auto place = [](BufferId buffer, std::vector<Expr> batch, size_t inner) {
    for (size_t i = 0; i < inner; ++i) batch.push_back(expr::index(Dim(0)));
    return Operand{buffer, std::move(batch)};
  };
  Operation op = make_nest(c, p.batch, [&](std::span<const Expr> idx) {
    Block block;
    Call pack = pack_call(place(packed, {idx.begin(), idx.end()}, 3),
                          place(b, batch_at(p.b_batch, p.batch, idx), p.b_vector ? 1 : 2), p, p.n);
    block.push_back(Stmt{std::get<KernelCall>(pack.op().node)});
    const size_t inner = (p.a_vector ? 0 : 1) + (p.b_vector ? 0 : 1);
    Call gemm = gemm_call(place(out, {idx.begin(), idx.end()}, inner),
                          place(a, batch_at(p.a_batch, p.batch, idx), p.a_vector ? 1 : 2),
                          place(packed, {idx.begin(), idx.end()}, 3), kNoBuffer, {}, p.m, p.n, p.k, act);
    block.push_back(Stmt{std::get<KernelCall>(gemm.all_slices().op().node)});
    return block;
  });
  if (op.partition) op.partition->work = numel(p.batch) * (p.m + Dim(16)) * p.n * p.k;
  c.emit(std::move(op));
  return ok();
}

// ---- Gemm

struct GemmAttrs {
  bool trans_a, trans_b;
  float alpha, beta;
};
GemmAttrs gemm_attrs(const Node& n) {
  return {n.attr_int("transA", 0) != 0, n.attr_int("transB", 0) != 0, n.attr_float("alpha", 1),
          n.attr_float("beta", 1)};
}

Status infer_gemm(InferContext& c) {
  if (!c.has_input(0) || !c.has_input(1)) return c.invalid("two inputs are needed");
  if (!c.has_shape(0) || !c.has_shape(1)) return c.set_unranked(0, c.elem(0)), ok();
  const Shape &a = c.shape(0), &b = c.shape(1);
  if (a.size() != 2 || b.size() != 2)
    return c.invalid("the operands must be matrices, not " + shape_str(a) + " and " + shape_str(b));
  const GemmAttrs g = gemm_attrs(c.node);
  const Dim ka = a[g.trans_a ? 0 : 1], kb = b[g.trans_b ? 1 : 0];
  ONNXC_TRY(c.require_equal(ka, kb, "the inner dimensions differ"));
  const Shape out{a[g.trans_a ? 1 : 0], b[g.trans_b ? 0 : 1]};
  if (c.has_shape(2)) {
    const Shape& bias = c.shape(2);
    const std::string what = "C " + shape_str(bias) + " does not broadcast to " + shape_str(out);
    if (bias.size() > 2) return c.invalid(what);
    for (size_t d = 0; d < bias.size(); ++d)
      ONNXC_TRY(indexing::require_one_or(c.node, bias[d], out[d + 2 - bias.size()], what));
  }
  c.set(0, c.elem(0), out);
  return ok();
}

// C is absent, or constant per column: what the kernel's bias takes.
bool column_bias(const Node& n) {
  const Value* bias = n.input(2);
  if (!bias) return true;
  if (!bias->type.shape || !n.output()->type.shape) return false;
  const Shape& s = *bias->type.shape;
  if (s.empty() || s.size() > 2 || s.back() != (*n.output()->type.shape)[1]) return false;
  return s.size() == 1 || (s[0].is_const() && s[0].value() == 1);
}

bool is_kernel_gemm(const Node& n) {
  const GemmAttrs g = gemm_attrs(n);
  return n.input(0)->type.elem == Elem::F32 && n.input(1)->is_constant() && !g.trans_a && g.alpha == 1 &&
         (g.beta == 1 || !n.input(2)) && column_bias(n);
}
bool gemm_decomposes(const Node& n) { return !is_kernel_gemm(n) && !n.has("activation"); }

Value* scalar_of(Graph& g, Elem elem, float v) {
  if (elem == Elem::F64) return g.add_constant(Tensor::of<double>(Elem::F64, {}, {static_cast<double>(v)}));
  Value* f = g.add_constant(Tensor::f32({}, {v}));
  return f;
}

// alpha * A' * B' + beta * C by MatMul, Transpose, Mul, Add.
Status decompose_gemm(Graph& graph, Node& node) {
  const GemmAttrs g = gemm_attrs(node);
  const Elem elem = node.input(0)->type.elem;
  auto transposed = [&](Value* v) {
    Node* t = graph.add_node("Transpose", {v}, 1, &node);
    t->attrs["perm"] = std::vector<int64_t>{1, 0};
    t->origins = node.origins;
    return t->output();
  };
  auto scaled = [&](Value* v, float factor) {
    if (factor == 1) return v;
    Value* s = scalar_of(graph, elem, factor);
    if (elem != Elem::F32 && elem != Elem::F64) {
      Node* cast = graph.add_node("CastLike", {s, v}, 1, &node);
      s = cast->output();
    }
    Node* m = graph.add_node("Mul", {v, s}, 1, &node);
    m->origins = node.origins;
    return m->output();
  };
  Value* a = g.trans_a ? transposed(node.input(0)) : node.input(0);
  Value* b = g.trans_b ? transposed(node.input(1)) : node.input(1);
  Node* product = graph.add_node("MatMul", {a, b}, 1, &node);
  product->origins = node.origins;
  Value* y = scaled(product->output(), g.alpha);
  if (node.input(2) && g.beta != 0) {
    Node* add = graph.add_node("Add", {y, scaled(node.input(2), g.beta)}, 1, &node);
    add->origins = node.origins;
    y = add->output();
  }
  graph.replace_uses(node.output(), y);
  graph.remove_node(&node);
  return ok();
}

Status lower_gemm(LowerContext& c) {
  if (!is_kernel_gemm(c.node()))
    return c.unsupported("this Gemm was not decomposed", "do not disable the pass decompose");
  const Shape &x = c.in_shape(0), &out = c.out_shape();
  ONNXC_ASSIGN(const BufferId a, c.in(0));
  const BufferId b = c.packed(1, panel_packing(gemm_attrs(c.node()).trans_b));
  ONNXC_ASSIGN(const BufferId bias, c.in(2));
  Call gemm = gemm_call({c.out(0), {}}, {a, {}}, {b, {}}, bias, {}, x[0], out[1], x[1], activation_of(c.node()));
  c.emit(gemm.slices(x[0] * out[1] * x[1]).op());
  return ok();
}

}  // namespace

OP(MatMul) = [] {
  OpDef d;
  d.name = "MatMul";
  d.infer = infer_matmul;
  d.lower = lower_matmul;
  d.accuracy = Accuracy::Accumulating;
  return d;
}();

OP(Gemm) = [] {
  OpDef d;
  d.name = "Gemm";
  d.infer = infer_gemm;
  d.decompose = decompose_gemm;
  d.decompose_if = gemm_decomposes;
  d.lower = lower_gemm;
  d.accuracy = Accuracy::Accumulating;
  return d;
}();

}  // namespace onnxc
