// MatMulInteger, ConvInteger (onnx/docs/Operators.md): a - a_zero_point times b - b_zero_point, in I32. The left
// operand is made I16 without its zero points, and multiplied by the packed right one, whose zero points are taken off
// with the sums of the left one's rows (runtime_lib/kernels/gemm_integer.h). Tested by tests/conformance and
// tests/differential.
#include "compiler/ops/integer_products.h"

#include <algorithm>

#include "compiler/ops/indexing.h"
#include "compiler/ops/window.h"

namespace onnxc {

using namespace indexing;
using expr::binary;
using expr::cast;
using expr::operator*;
using expr::operator-;

Status check_zero_points(InferContext& c, size_t i, size_t zero, size_t axis) {
  if (!c.has_shape(i) || !c.has_shape(zero) || c.shape(zero).empty()) return ok();
  const Shape &all = c.shape(i), &z = c.shape(zero);
  const std::string what = "the zero points " + shape_str(z) + " do not fit input " + std::to_string(i);
  if (z.size() == 1) return require_one_or(c.node, z[0], all[axis], what);
  if (z.size() != all.size()) return c.invalid(what);
  for (size_t d = 0; d < z.size(); ++d) ONNXC_TRY(require_one_or(c.node, z[d], all[d], what));
  return ok();
}
Status check_matrix_zero_points(InferContext& c, size_t zero_a, size_t b, size_t zero_b) {
  const size_t rank = c.shape(0).size();
  ONNXC_TRY(check_zero_points(c, 0, zero_a, rank == 1 ? 0 : rank - 2));
  ONNXC_TRY(check_zero_points(c, b, zero_b, c.shape(b).size() - 1));
  if (!c.has_shape(zero_b) || c.shape(zero_b).size() < 2) return ok();
  const Shape& z = c.shape(zero_b);
  return c.require_equal(z[z.size() - 2], 1, "the zero points " + shape_str(z) + " are not one for each column");
}

namespace {

Result<Window> conv_window(const Node& node, const Shape& x, const Shape& w) {
  if (x.size() < 3 || w.size() != x.size())
    return Error(ErrorKind::InvalidModel, "input " + shape_str(x) + " and weights " + shape_str(w) + " do not fit",
                 node.where());
  ONNXC_TRY(check_kernel_shape(node, w));
  return make_window(node, spatial_of(x), spatial_of(w));
}

}  // namespace

Status infer_product_of_windows(InferContext& c, size_t weights, size_t bias, Elem elem) {
  if (!c.has_shape(0) || !c.has_shape(weights)) return c.set_unranked(0, elem), ok();
  const Shape &x = c.shape(0), &w = c.shape(weights);
  ONNXC_ASSIGN(const Window window, conv_window(c.node, x, w));
  ONNXC_TRY(check_channels(c, x, w, bias));
  Shape out{x[0], w[0]};
  out.insert(out.end(), window.out.begin(), window.out.end());
  return c.set(0, elem, std::move(out)), ok();
}

namespace {

// Element of an operand, less its zero point: a scalar, or one per row of a (per column of b), or with the operand's
// rank.
Expr centred(LowerContext& c, size_t i, size_t zero, const std::vector<Expr>& at, size_t axis) {
  Expr x = cast(c.load(i, at), Elem::I32);
  if (!c.has_input(zero)) return x;
  const Shape& z = c.in_shape(zero);
  std::vector<Expr> place;
  const Shape& all = c.in_shape(i);
  if (z.size() == 1)
    place = {indexing::broadcast_index(at[axis], z[0], all[axis])};
  else
    for (size_t d = 0; d < z.size(); ++d) place.push_back(indexing::broadcast_index(at[d], z[d], all[d]));
  return x - cast(c.load(zero, place), Elem::I32);
}

std::vector<Expr> first_element(const Shape& shape) { return std::vector<Expr>(shape.size(), constant(0)); }

// ---- operands as the kernels read them

constexpr int64_t kPanel = 16;  // columns of a packed panel (runtime_lib/kernels/gemm_integer.h)

// [K][N] -> [ceil(N / 16)][ceil(K / 2)][16][2].
Packing pair_packing() { return {{2, kPanel}, {2, 0, 3, 1}}; }
Shape packed_pairs(Shape batch, const Dim& k, const Dim& n) {
  batch.insert(batch.end(), {Dim::ceil_div(n, Dim(kPanel)), Dim::ceil_div(k, Dim(2)), Dim(kPanel), Dim(2)});
  return batch;
}

// Input i less its zero points, in rows of whole pairs.
BufferId centred_rows(LowerContext& c, size_t i, size_t zero, size_t zero_axis) {
  Shape dims = c.in_shape(i);
  dims.back() = Dim::ceil_div(dims.back(), Dim(2)) * Dim(2);
  const BufferId rows = c.temporary(Elem::I16, dims);
  c.emit(make_nest(c, c.in_shape(i), [&](std::span<const Expr> idx) {
    const Expr value = cast(centred(c, i, zero, to_vector(idx), zero_axis), Elem::I16);
    return Block{Stmt{Store{rows, to_vector(idx), value, nullptr}}};
  }));
  return rows;
}

BufferId sums_of_rows(LowerContext& c, BufferId rows, const Shape& shape) {
  const Shape outer(shape.begin(), shape.end() - 1);
  const BufferId sums = c.temporary(Elem::I32, outer);
  c.emit(make_nest(c, outer, [&](std::span<const Expr> idx) {
    const std::string k = c.fresh("k");
    std::vector<Expr> at = to_vector(idx);
    at.push_back(expr::index(Dim::symbol(k)));
    Reduce sum{
        c.fresh("sum"), ReduceOp::Add, {{k, shape.back()}}, 1, false, cast(expr::load(rows, Elem::I16, at), Elem::I32)};
    const Expr value = expr::let(sum.name, Elem::I32);
    Block block;
    block.push_back(Stmt{std::move(sum)});
    block.push_back(Stmt{Store{sums, to_vector(idx), value, nullptr}});
    return block;
  }));
  return sums;
}

// The zero point of each column of the right operand of a product of matrices, in whole panels.
BufferId zeros_of_columns(LowerContext& c, const Product& p) {
  const Shape& z = c.in_shape(3);
  Shape dims = p.b_batch, whole = p.b_batch;
  dims.push_back(p.n);
  whole.push_back(Dim::ceil_div(p.n, Dim(kPanel)) * Dim(kPanel));
  const BufferId zeros = c.temporary(Elem::I32, whole);
  c.emit(make_nest(c, dims, [&](std::span<const Expr> idx) {
    std::vector<Expr> at;
    if (z.size() > 1) {
      at = batch_at({z.begin(), z.end() - 2}, p.b_batch, idx.subspan(0, p.b_batch.size()));
      at.push_back(constant(0));
    }
    if (!z.empty()) at.push_back(broadcast_index(idx.back(), z.back(), p.n));
    return Block{Stmt{Store{zeros, to_vector(idx), cast(c.load(3, at), Elem::I32), nullptr}}};
  }));
  return zeros;
}

// The right operand [K][N] less its zero points (one, or one a column), where that fits I8.
std::optional<Tensor> centred_weights(const Tensor& b, const Tensor& zeros) {
  const int64_t columns = b.dims()[1];
  if (zeros.numel() != 1 && zeros.numel() != columns) return std::nullopt;
  const int64_t step = zeros.numel() == 1 ? 0 : 1;
  std::vector<int8_t> values;
  values.reserve(static_cast<size_t>(b.numel()));
  for (int64_t i = 0; i < b.numel(); ++i) {
    const int64_t v = b.int_at(i) - zeros.int_at(i % columns * step);
    if (v < INT8_MIN || v > INT8_MAX) return std::nullopt;
    values.push_back(static_cast<int8_t>(v));
  }
  return Tensor::of(Elem::I8, b.dims(), values);
}

// `zeros` and `row_sums`: both or neither.
struct Operands {
  Operand a, b, row_sums, zeros;
  Elem b_elem;
};
Call integer_gemm(Operand y, Operands o, const Dim& m, const Dim& n, const Dim& k) {
  Call call(o.b_elem == Elem::I8 ? "gemm_i8" : "gemm_u8");
  call.out_at(std::move(y)).in_at(std::move(o.a)).in_at(std::move(o.b));
  call.in_at(std::move(o.row_sums)).in_at(std::move(o.zeros));
  return call.arg("m", m).arg("n", n).arg("k", k).arg("lda", Dim::ceil_div(k, Dim(2)) * Dim(2)).arg("ldy", n);
}

// ---- MatMulInteger

Status infer_matmul_integer(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  if (!c.has_shape(0) || !c.has_shape(1)) return c.set_unranked(0, Elem::I32), ok();
  ONNXC_ASSIGN(const Product p, product_of(c.node, c.shape(0), c.shape(1)));
  ONNXC_TRY(check_matrix_zero_points(c, 2, 1, 3));
  return c.set(0, Elem::I32, p.out()), ok();
}

// All rows of A times one constant matrix.
Status multiply_weights(LowerContext& c, const Product& p, BufferId rows) {
  Tensor weights = *c.constant(1);
  bool zeros = c.has_input(3);
  if (zeros && c.constant(3)) {
    if (auto centred = centred_weights(weights, *c.constant(3))) {
      weights = *std::move(centred);
      zeros = false;
    }
  }
  Operands o{{rows, {}}, {}, {}, {}, weights.elem()};
  o.b.buffer = c.constant_buffer(weights, pair_packing(), c.node().input(1)->name);
  if (zeros) {
    o.row_sums.buffer = sums_of_rows(c, rows, c.in_shape(0));
    o.zeros.buffer = zeros_of_columns(c, p);
  }
  const Dim m = numel(p.a_batch) * p.m;
  c.emit(integer_gemm({c.out(0), {}}, std::move(o), m, p.n, p.k).slices(m * p.n * p.k).op());
  return ok();
}

// B is packed at each turn of the batch.
Status multiply_batches(LowerContext& c, const Product& p, BufferId rows) {
  ONNXC_ASSIGN(const BufferId b, c.in(1));
  const Elem elem = c.in_elem(1);
  const BufferId packed = c.temporary(elem, packed_pairs(p.batch, p.k, p.n));  // of every turn: threads share the turns
  const BufferId row_sums = c.has_input(3) ? sums_of_rows(c, rows, c.in_shape(0)) : kNoBuffer;
  const BufferId zeros = c.has_input(3) ? zeros_of_columns(c, p) : kNoBuffer;
  const BufferId out = c.out(0);
  const auto place = [](BufferId buffer, std::vector<Expr> batch, size_t inner) {
    if (buffer == kNoBuffer) return Operand{};
    for (size_t i = 0; i < inner; ++i) batch.push_back(constant(0));
    return Operand{buffer, std::move(batch)};
  };
  const size_t own_of_a = p.a_vector ? 0 : 1, own_of_b = p.b_vector ? 0 : 1;
  Operation op = make_nest(c, p.batch, [&](std::span<const Expr> idx) {
    const std::vector<Expr> a_at = batch_at(p.a_batch, p.batch, idx), b_at = batch_at(p.b_batch, p.batch, idx);
    Call pack(elem == Elem::I8 ? "pack_b_i8" : "pack_b_u8");
    pack.out_at(place(packed, to_vector(idx), 4)).in_at(place(b, b_at, 1 + own_of_b));
    pack.arg("k", p.k).arg("n", p.n).arg("row_stride", p.n).arg("col_stride", 1);
    Operands o{place(rows, a_at, 1 + own_of_a), place(packed, to_vector(idx), 4), place(row_sums, a_at, own_of_a),
               place(zeros, b_at, 1), elem};
    Call gemm = integer_gemm(place(out, to_vector(idx), own_of_a + own_of_b), std::move(o), p.m, p.n, p.k);
    Block block;
    block.push_back(Stmt{std::get<KernelCall>(pack.op().node)});
    block.push_back(Stmt{std::get<KernelCall>(gemm.all_slices().op().node)});
    return block;
  });
  if (op.partition) op.partition->work = numel(p.batch) * (p.m + Dim(16)) * p.n * p.k;
  c.emit(std::move(op));
  return ok();
}

Status lower_matmul_integer(LowerContext& c) {
  ONNXC_ASSIGN(const Product p, product_of(c.node(), c.in_shape(0), c.in_shape(1)));
  const size_t rank = c.in_shape(0).size();
  const BufferId rows = centred_rows(c, 0, 2, rank == 1 ? 0 : rank - 2);
  const Tensor* b = c.constant(1);
  return b && b->rank() == 2 ? multiply_weights(c, p, rows) : multiply_batches(c, p, rows);
}

// ---- ConvInteger

Status infer_conv_integer(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  if (c.has_shape(0) && c.shape(0).size() > 1) ONNXC_TRY(check_zero_points(c, 0, 2, 1));
  if (c.has_shape(1) && !c.shape(1).empty()) ONNXC_TRY(check_zero_points(c, 1, 3, 0));
  return infer_product_of_windows(c, 1, SIZE_MAX, Elem::I32);
}

// Any zero points. Padding counts as the zero point, so as nothing.
Status reduce_windows(LowerContext& c, const Window& w) {
  const Shape &x = c.in_shape(0), &weights = c.in_shape(1);
  const Dim groups(c.node().attr_int("group", 1)), per_group = Dim::floor_div(weights[0], groups);
  const BufferId out = c.out(0);
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    std::vector<LoopVar> vars{{c.fresh("ic"), weights[1]}};
    const Expr ic = expr::index(Dim::symbol(vars[0].name));
    const Expr group = binary(ExprOp::Div, idx[1], extent(per_group));
    std::vector<Expr> x_at{idx[0], binary(ExprOp::Add, binary(ExprOp::Mul, group, extent(weights[1])), ic)};
    std::vector<Expr> w_at{idx[1], ic};
    Expr inside;
    for (size_t a = 0; a < w.axes(); ++a) {
      vars.push_back({c.fresh("k"), w.kernel[a]});
      const Dim tap = Dim::symbol(vars.back().name);
      w_at.push_back(expr::index(tap));
      const Expr position = expr::index(w.position(a, idx[2 + a]->dim, tap));
      const Expr here = binary(ExprOp::And, binary(ExprOp::Ge, position, constant(0)),
                               binary(ExprOp::Lt, position, extent(x[2 + a])));
      inside = inside ? binary(ExprOp::And, inside, here) : here;
      x_at.push_back(clamp(position, x[2 + a]));
    }
    const Expr product = centred(c, 0, 2, x_at, 1) * centred(c, 1, 3, w_at, 0);
    Reduce sum{
        c.fresh("sum"), ReduceOp::Add, vars, 1, false, expr::select(inside, product, expr::int_constant(Elem::I32, 0))};
    const Expr value = expr::let(sum.name, Elem::I32);
    Block block;
    block.push_back(Stmt{std::move(sum)});
    block.push_back(Stmt{Store{out, to_vector(idx), value, nullptr}});
    return block;
  }));
  return ok();
}

// The input with its padding, which holds the zero point.
Result<BufferId> padded_input(LowerContext& c, const Window& w) {
  Shape dims = c.in_shape(0);
  std::vector<Dim> before(dims.size(), Dim(0));
  for (size_t a = 0; a < w.axes(); ++a) {
    dims[2 + a] = dims[2 + a] + w.pads_begin[a] + w.pads_end[a];
    before[2 + a] = w.pads_begin[a];
  }
  if (dims == c.in_shape(0)) return c.in(0);
  const Elem elem = c.in_elem(0);
  const BufferId padded = c.temporary(elem, dims);
  c.emit(make_nest(c, dims, [&](std::span<const Expr> idx) {
    const Expr zero = c.has_input(2) ? c.load(2, first_element(c.in_shape(2))) : expr::int_constant(elem, 0);
    return Block{Stmt{Store{padded, to_vector(idx), zero, nullptr}}};
  }));
  c.emit(make_nest(c, c.in_shape(0), [&](std::span<const Expr> idx) {
    std::vector<Expr> at;
    for (size_t d = 0; d < idx.size(); ++d) at.push_back(expr::index(idx[d]->dim + before[d]));
    return Block{Stmt{Store{padded, std::move(at), c.load(0, idx), nullptr}}};
  }));
  return padded;
}

// [N][channels][taps ..][outputs ..] of the input: rows of the product's right operand.
Result<BufferId> taps_of_outputs(LowerContext& c, const Window& w) {
  ONNXC_ASSIGN(const BufferId x, padded_input(c, w));
  const auto all_one = [](const auto& values) {
    return std::all_of(values.begin(), values.end(), [](const auto& v) { return Dim(v) == Dim(1); });
  };
  if (all_one(w.kernel) && all_one(w.strides)) return x;
  Shape dims{c.in_shape(0)[0], c.in_shape(0)[1]};
  dims.insert(dims.end(), w.kernel.begin(), w.kernel.end());
  dims.insert(dims.end(), w.out.begin(), w.out.end());
  const Elem elem = c.in_elem(0);
  const BufferId taps = c.temporary(elem, dims);
  c.emit(make_nest(c, dims, [&](std::span<const Expr> idx) {
    std::vector<Expr> at{idx[0], idx[1]};
    for (size_t a = 0; a < w.axes(); ++a)
      at.push_back(expr::index(w.position(a, idx[2 + w.axes() + a]->dim, idx[2 + a]->dim) + w.pads_begin[a]));
    return Block{Stmt{Store{taps, to_vector(idx), expr::load(x, elem, at), nullptr}}};
  }));
  return taps;
}

// The zero point of the input for each output of a plane, in whole panels.
BufferId zeros_of_outputs(LowerContext& c, const Dim& outputs) {
  const Dim whole = Dim::ceil_div(outputs, Dim(kPanel)) * Dim(kPanel);
  const BufferId zeros = c.temporary(Elem::I32, {whole});
  c.emit(make_nest(c, {whole}, [&](std::span<const Expr> idx) {
    const Expr zero = cast(c.load(2, first_element(c.in_shape(2))), Elem::I32);
    return Block{Stmt{Store{zeros, to_vector(idx), zero, nullptr}}};
  }));
  return zeros;
}

// Constant weights less constant zero points (one, or one an output channel), in rows of whole pairs; and the rows'
// sums.
struct ConstantRows {
  Tensor rows, sums;
};
std::optional<ConstantRows> constant_rows(const Tensor& weights, const Tensor* zeros) {
  const int64_t channels = weights.dims()[0];
  if (channels == 0 || (zeros && zeros->numel() != 1 && zeros->numel() != channels)) return std::nullopt;
  const int64_t k = weights.numel() / channels, lda = (k + 1) / 2 * 2;
  std::vector<int16_t> rows(static_cast<size_t>(channels * lda));
  std::vector<int32_t> sums(static_cast<size_t>(channels));
  for (int64_t i = 0; i < weights.numel(); ++i) {
    const int64_t channel = i / k;
    const int64_t v = weights.int_at(i) - (zeros ? zeros->int_at(zeros->numel() == 1 ? 0 : channel) : 0);
    rows[static_cast<size_t>(channel * lda + i % k)] = static_cast<int16_t>(v);
    sums[static_cast<size_t>(channel)] += static_cast<int32_t>(v);
  }
  return ConstantRows{Tensor::of(Elem::I16, {channels, lda}, rows), Tensor::of(Elem::I32, {channels}, sums)};
}

// A product per image and group: the weights [channels][k] times [k][outputs].
Status multiply_windows(LowerContext& c, const Window& w, const ConstantRows& weights) {
  const Shape& filters = c.in_shape(1);
  const Dim groups(c.node().attr_int("group", 1)), per_group = Dim::floor_div(filters[0], groups);
  const Dim outputs = numel(w.out), k = filters[1] * numel(w.kernel);
  const Elem elem = c.in_elem(0);
  ONNXC_ASSIGN(const BufferId taps, taps_of_outputs(c, w));
  const BufferId rows = c.constant_buffer(weights.rows, {}, c.node().input(1)->name);
  const bool with_zero = c.has_input(2);
  const BufferId sums = with_zero ? c.constant_buffer(weights.sums) : kNoBuffer;
  const BufferId zeros = with_zero ? zeros_of_outputs(c, outputs) : kNoBuffer;
  const Dim images = c.in_shape(0)[0];
  const BufferId packed = c.temporary(elem, packed_pairs({images, groups}, k, outputs));
  const BufferId out = c.out(0);
  const auto place = [&](BufferId buffer, std::vector<Expr> at) {
    if (buffer == kNoBuffer) return Operand{};
    at.resize(c.program().buffers[buffer].dims.size(), constant(0));
    return Operand{buffer, std::move(at)};
  };
  Operation op = make_nest(c, {images, groups}, [&](std::span<const Expr> idx) {
    const Expr first_input = expr::index(idx[1]->dim * filters[1]), first_output = expr::index(idx[1]->dim * per_group);
    Call pack(elem == Elem::I8 ? "pack_b_i8" : "pack_b_u8");
    pack.out_at(place(packed, to_vector(idx))).in_at(place(taps, {idx[0], first_input}));
    pack.arg("k", k).arg("n", outputs).arg("row_stride", outputs).arg("col_stride", 1);
    Operands o{place(rows, {first_output}), place(packed, to_vector(idx)), place(sums, {first_output}),
               place(zeros, {}), elem};
    Call gemm = integer_gemm(place(out, {idx[0], first_output}), std::move(o), per_group, outputs, k);
    Block block;
    block.push_back(Stmt{std::get<KernelCall>(pack.op().node)});
    block.push_back(Stmt{std::get<KernelCall>(gemm.all_slices().op().node)});
    return block;
  });
  if (op.partition) op.partition->work = images * groups * (per_group + Dim(16)) * outputs * k;
  c.emit(std::move(op));
  return ok();
}

Status lower_conv_integer(LowerContext& c) {
  ONNXC_ASSIGN(const Window w, conv_window(c.node(), c.in_shape(0), c.in_shape(1)));
  const bool one_zero = !c.has_input(2) || c.in_shape(2).empty() || is_one(numel(c.in_shape(2)));
  const bool known_zeros = !c.has_input(3) || c.constant(3);
  if (c.constant(1) && one_zero && known_zeros)
    if (const auto rows = constant_rows(*c.constant(1), c.constant(3))) return multiply_windows(c, w, *rows);
  return reduce_windows(c, w);
}

}  // namespace

OP(MatMulInteger) = {.name = "MatMulInteger", .infer = infer_matmul_integer, .lower = lower_matmul_integer};
OP(ConvInteger) = {.name = "ConvInteger", .infer = infer_conv_integer, .lower = lower_conv_integer};

}  // namespace onnxc
