// Conv and ConvTranspose (onnx/docs/Operators.md). 2-D and 1-D f32 convolutions with constant weights use kernels on
// the blocked layout, a ConvTranspose as one convolution per phase of its strides; what is left is a loop nest. Tested
// by tests/conformance and tests/differential.
#include <optional>

#include "compiler/ir/winograd.h"
#include "compiler/ops/conv_choice.h"
#include "compiler/ops/window.h"
#include "compiler/ops/window_product.h"

namespace onnxc {
namespace {

using expr::binary;
using expr::operator*;
using expr::operator+;

Status infer_conv(InferContext& c) {
  if (!c.has_input(0) || !c.has_input(1)) return c.invalid("input and weights are needed");
  if (!c.has_shape(0) || !c.has_shape(1)) return c.set_unranked(0, c.elem(0)), ok();
  const Shape &x = c.shape(0), &w = c.shape(1);
  if (x.size() < 3 || w.size() != x.size())
    return c.invalid("input " + shape_str(x) + " and weights " + shape_str(w) + " must have the same rank, at least 3");
  ONNXC_TRY(check_channels(c, x, w, 2));
  ONNXC_TRY(check_kernel_shape(c.node, w));
  ONNXC_ASSIGN(const Window window, make_window(c.node, spatial_of(x), spatial_of(w)));
  Shape out{x[0], w[0]};
  out.insert(out.end(), window.out.begin(), window.out.end());
  c.set(0, c.elem(0), std::move(out));
  return ok();
}

// The arguments that all convolution kernels take; 1-D is 2-D with height 1.
struct Conv2d {
  Window window;
  Dim ih, iw, oh, ow, kh, kw;
  int64_t sh, sw;
  Dim pt, pl;
  int64_t dh, dw;
};
Conv2d as_2d(const Window& w, const Shape& x) {
  Conv2d g{w,
           Dim(1),
           x.back(),
           Dim(1),
           w.out.back(),
           1,
           w.kernel.back(),
           1,
           w.strides.back(),
           0,
           w.pads_begin.back(),
           1,
           w.dilations.back()};
  if (w.axes() == 2) {
    g.ih = x[2], g.oh = w.out[0];
    g.kh = w.kernel[0], g.sh = w.strides[0], g.pt = w.pads_begin[0], g.dh = w.dilations[0];
  }
  return g;
}
// A map that is one pixel wide, and stays so, as one row: the same memory, and kernels take several pixels of a row at
// a time.
Conv2d as_row(Conv2d g) {
  if (g.iw != Dim(1) || g.ow != Dim(1) || g.kw != Dim(1) || g.pl != Dim(0)) return g;
  std::swap(g.ih, g.iw), std::swap(g.oh, g.ow), std::swap(g.kh, g.kw);
  std::swap(g.sh, g.sw), std::swap(g.pt, g.pl), std::swap(g.dh, g.dw);
  return g;
}
Call& window_args(Call& call, const Conv2d& g) {
  return call.arg("kh", g.kh)
      .arg("kw", g.kw)
      .arg("stride_h", g.sh)
      .arg("stride_w", g.sw)
      .arg("pad_top", g.pt)
      .arg("pad_left", g.pl)
      .arg("dil_h", g.dh)
      .arg("dil_w", g.dw);
}

// Bias padded to whole channel blocks; kNoBuffer without bias.
BufferId blocked_bias(LowerContext& c, int64_t block) {
  return c.constant(2) ? c.packed(2, Packing{{block}, {0, 1}}) : kNoBuffer;
}

// Each thread that shares rows reads all weights.
bool shares_rows(const LowerContext& c, const Dim& rows, const Shape& weights) {
  return has_rows_to_share(c, rows) && numel(weights).constant().value_or(0) <= (1 << 18);
}

// Multiply-adds of a convolution with weights [OC][IC / groups][taps...].
Dim conv_work(const Conv2d& g, const Dim& images, const Shape& weights) {
  return images * g.oh * g.ow * numel(weights);
}

// A convolution of one group on the blocked layout with constant weights [OC][IC][taps...]. Its outputs may be every
// step-th row and column of a larger map, from the first on.
struct Spread {
  int64_t step_h, step_w, row, column;
  Dim map_h, map_w;
};
struct BlockedConv {
  BufferId out, in, bias, residual;
  Tensor weights;
  std::optional<Spread> spread = std::nullopt;
};

// The convolution that Winograd's forms could take, of likely extents; without products where they can't.
SmallConv as_small_conv(const LowerContext& c, const Conv2d& g, const Tensor& weights) {
  const Shape& x = c.in_shape(0);
  const auto& dims = weights.dims();
  const bool fits = dims.size() == 4 && has_winograd_taps(dims[2], dims[3]) && g.sh == 1 && g.sw == 1 && g.dh == 1 &&
                    g.dw == 1 && x[1].is_const();
  if (!fits) return {};
  const auto likely = [&](const Dim& d) { return likely_value(c.program(), d); };
  return {likely(x[0]), x[1].value(), dims[0], likely(g.oh), likely(g.ow), dims[2], dims[3]};
}

Call& conv_args(Call& call, const LowerContext& c, const Conv2d& g, const Dim& oc) {
  const Shape& x = c.in_shape(0);
  return call.arg("n", x[0])
      .arg("ic", x[1])
      .arg("ih", g.ih)
      .arg("iw", g.iw)
      .arg("oc", oc)
      .arg("oh", g.oh)
      .arg("ow", g.ow);
}

// conv_winograd_f32, with the operands of the direct form.
Operation winograd_call(LowerContext& c, const Conv2d& g, const SmallConv& conv, const ConvForm& form,
                        const BlockedConv& b) {
  const WinogradWork work = winograd_work(conv, form, c.in_shape(0)[0], g.oh, g.ow);
  const BufferId weights = c.constant_buffer(b.weights, Packing{{}, {}, form.m}, c.node().input(1)->name);
  Call call("conv_winograd_f32");
  call.out(b.out).in(b.in).in(weights).in(b.bias).in(b.residual);
  call.scratch(c.temporary(Elem::F32, {work.scratch}));
  conv_args(call, c, g, conv.oc).arg("kh", g.kh).arg("kw", g.kw).arg("pad_top", g.pt).arg("pad_left", g.pl);
  call.arg("m", form.m).arg("block", form.block).arg("shares", work.shares);
  activation_args(call, activation_of(c.node()));
  call.partition("shares", work.shares, work.products);
  if (b.residual != kNoBuffer && b.residual != b.in) call.in_place(b.out, b.residual);
  return call.op();
}

// Stores a dense output [N][OC/b][rows][columns][b] where it belongs in the larger map.
Operation spread_call(LowerContext& c, const Spread& s, BufferId dense, BufferId out) {
  return make_nest(c, c.program().buffers[dense].dims, [&](std::span<const Expr> idx) {
    const Expr y = expr::index(idx[2]->dim * Dim(s.step_h) + Dim(s.row)),
               x = expr::index(idx[3]->dim * Dim(s.step_w) + Dim(s.column));
    Block b;
    b.push_back(Stmt{
        Store{out, {idx[0], idx[1], y, x, idx[4]}, expr::load(dense, Elem::F32, {idx.begin(), idx.end()}), nullptr}});
    return b;
  });
}

// The convolution in the form that is fastest.
void lower_blocked_conv(LowerContext& c, const Conv2d& g, const BlockedConv& b) {
  const SmallConv conv = as_small_conv(c, g, b.weights);
  ConvForm form;
  if (conv.n * conv.oc * conv.oh * conv.ow > 0)
    form = choose_conv_form(conv, b.weights, c.model_bytes(), c.target(), c.options());
  const int64_t block = c.channel_block(), oc = b.weights.dims()[0];
  if (form.m != 0) {
    BlockedConv dense = b;
    if (b.spread)
      dense.out = c.temporary(Elem::F32, {c.in_shape(0)[0], Dim::ceil_div(oc, Dim(block)), g.oh, g.ow, Dim(block)});
    c.emit(winograd_call(c, g, conv, form, dense)).note = form.note;
    if (b.spread) c.emit(spread_call(c, *b.spread, dense.out, b.out));
    return;
  }
  const Shape weights(b.weights.dims().begin(), b.weights.dims().end());
  Call call(b.spread ? "conv_spread_f32" : "conv_blocked_f32");
  call.out(b.out).in(b.in);
  call.in(c.constant_buffer(b.weights, weight_packing(weights.size() - 2, block, block), c.node().input(1)->name));
  call.in(b.bias);
  if (!b.spread) call.in(b.residual);
  activation_args(window_args(conv_args(call, c, g, oc), g), activation_of(c.node()));
  if (const auto& s = b.spread) {
    call.arg("step_h", s->step_h).arg("step_w", s->step_w).arg("row", s->row).arg("column", s->column);
    call.arg("map_h", s->map_h).arg("map_w", s->map_w);
  }
  call.arg("by_rows", shares_rows(c, g.oh, weights) ? 1 : 0).slices(conv_work(g, c.in_shape(0)[0], weights));
  c.emit(call.op()).note = form.note;
}

// What lower_window_product takes: one channel in one row, without padding and dilation.
bool is_window_product(const Conv2d& g, const Shape& x, bool residual) {
  if (residual || x[1] != Dim(1) || g.ih != Dim(1) || g.kh != Dim(1) || !g.kw.is_const() || g.dw != 1) return false;
  return g.pt == Dim(0) && g.pl == Dim(0) && g.ow == Dim::floor_div(g.iw - g.kw, Dim(g.sw)) + Dim(1);
}

Status lower_conv_blocked(LowerContext& c, const Conv2d& g) {
  const Shape &x = c.in_shape(0), &w = c.in_shape(1);
  const int64_t block = c.channel_block(), groups = c.node().attr_int("group", 1), ic = x[1].value();
  const Layout layout = Layout::channels(static_cast<int>(block));
  const bool depthwise = groups > 1;
  const bool first = !depthwise && ic < block / 2 && c.layout_of(0).plain();
  ONNXC_ASSIGN(const BufferId in, c.in(0, first ? Layout{} : layout));
  BufferId residual = kNoBuffer;
  if (c.has_input(3)) {
    ONNXC_ASSIGN(residual, c.in(3, layout));
  }
  const BufferId bias = blocked_bias(c, block);
  const BufferId out = c.out(0, layout);
  if (!first && !depthwise) {
    lower_blocked_conv(c, g, {out, in, bias, residual, *c.constant(1)});
    return ok();
  }
  if (first && is_window_product(g, x, residual != kNoBuffer)) {
    lower_window_product(c, {g.ow, g.kw.value(), g.sw}, out, in, bias);
    return ok();
  }
  const BufferId weights = c.packed(1, weight_packing(g.window.axes(), block, 1));
  Call call(depthwise ? "conv_depthwise_f32" : "conv_first_f32");
  call.out(out).in(in).in(weights).in(bias).in(residual);
  if (depthwise)
    call.arg("n", x[0]).arg("c", ic).arg("ih", g.ih).arg("iw", g.iw).arg("oh", g.oh).arg("ow", g.ow);
  else
    conv_args(call, c, g, w[0]);
  activation_args(window_args(call, g), activation_of(c.node()));
  call.arg("by_rows", shares_rows(c, g.oh, w) ? 1 : 0).slices(conv_work(g, x[0], w) * Dim(depthwise ? 4 : 1));
  c.emit(call.op());
  return ok();
}

bool is_negative(const Dim& d) { return d.is_const() && d.value() < 0; }

// Copies input rows between columns of zeros, as wide as all windows of stride 1 reach: the plain kernel then reads no
// edge. Gives the copy; kNoBuffer where the windows already lie within the rows.
BufferId with_padded_rows(LowerContext& c, Conv2d& g) {
  const Dim width = g.ow + (g.kw - Dim(1)) * Dim(g.dw), right = width - g.iw - g.pl;
  const bool needed = g.pl != Dim(0) || !right.is_const() || right.value() > 0;
  if (c.channel_block() == 1 || g.sw != 1 || !needed || is_negative(right) || is_negative(g.pl)) return kNoBuffer;
  Shape dims = c.in_shape(0);
  dims.back() = width;
  const BufferId padded = c.temporary(Elem::F32, dims);
  c.emit(make_nest(c, {dims.begin(), dims.end() - 1}, [&](std::span<const Expr> row) {
    Block stretches;
    const auto stretch = [&](const Dim& begin, const Dim& extent, bool inside) {
      const std::string name = c.fresh("column");
      const Dim at = Dim::symbol(name);
      std::vector<Expr> from{row.begin(), row.end()}, to = from;
      from.push_back(expr::index(at));
      to.push_back(expr::index(begin + at));
      const Expr value = inside ? c.load(0, from) : expr::constant(expr::arithmetic_type(Elem::F32), 0);
      stretches.push_back(Stmt{For{{name, extent}, {Stmt{Store{padded, to, value, nullptr}}}}});
    };
    if (g.pl != Dim(0)) stretch(Dim(0), g.pl, false);
    stretch(g.pl, g.iw, true);
    if (right != Dim(0)) stretch(g.pl + g.iw, right, false);
    return stretches;
  }));
  g.iw = width;
  g.pl = 0;
  return padded;
}

Status lower_conv_plain(LowerContext& c, Conv2d g) {
  const Shape &x = c.in_shape(0), &w = c.in_shape(1);
  BufferId in = with_padded_rows(c, g);
  if (in == kNoBuffer) {
    ONNXC_ASSIGN(in, c.in(0));
  }
  ONNXC_ASSIGN(const BufferId weights, c.in(1));
  ONNXC_ASSIGN(const BufferId bias, c.in(2));
  ONNXC_ASSIGN(const BufferId residual, c.in(3));
  Call call("conv_plain_f32");
  call.out(c.out(0)).in(in).in(weights).in(bias).in(residual);
  window_args(conv_args(call, c, g, w[0]), g).arg("groups", c.node().attr_int("group", 1));
  c.emit(activation_args(call, activation_of(c.node())).slices(conv_work(g, x[0], w) * Dim(2)).op());
  return ok();
}

// Whether a convolution of one group is faster with lanes over pixels than over output channels: so few of these that
// half the lanes of a block or more would idle, rows that fill vectors, and more work than a change of layout takes.
bool is_narrow(const LowerContext& c, const Conv2d& g) {
  const Shape& w = c.in_shape(1);
  const bool rows = likely_value(c.program(), g.ow) >= 16 && g.sw <= 2;
  const bool pays = c.layout_of(0).plain() || (g.kh * g.kw).value() >= 9;
  return w[0].value() * 2 <= c.channel_block() && rows && pays;
}

// Any rank and element type: a nest over the output, reducing over channels and taps.
Status lower_conv_nest(LowerContext& c, const Window& window) {
  const Shape &x = c.in_shape(0), &w = c.in_shape(1);
  const int64_t groups = c.node().attr_int("group", 1);
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  ONNXC_ASSIGN(const BufferId weights, c.in(1));
  ONNXC_ASSIGN(const BufferId bias, c.in(2));
  ONNXC_ASSIGN(const BufferId residual, c.in(3));
  const BufferId out = c.out(0);
  const Elem elem = c.in_elem(0);
  const Dim per_group = Dim::floor_div(w[0], Dim(groups));
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    Reduce r{c.fresh("sum"), ReduceOp::Add, {{c.fresh("c"), w[1]}}, 1, false, nullptr};
    for (const Dim& k : window.kernel) r.vars.push_back({c.fresh("k"), k});
    const Dim ci = Dim::symbol(r.vars[0].name);
    std::vector<Expr> x_at{idx[0], expr::index(groups == 1 ? ci : Dim::floor_div(idx[1]->dim, per_group) * w[1] + ci)};
    std::vector<Expr> w_at{idx[1], expr::index(ci)};
    for (size_t a = 0; a < window.axes(); ++a) {
      const Dim k = Dim::symbol(r.vars[a + 1].name);
      x_at.push_back(expr::index(window.position(a, idx[2 + a]->dim, k)));
      w_at.push_back(expr::index(k));
    }
    const Expr zero = expr::constant(expr::arithmetic_type(elem), 0);
    r.value = load_padded(c, in, elem, x_at, spatial_of(x), zero) * expr::load(weights, elem, w_at);
    Expr value = expr::let(r.name, zero->type);
    if (bias != kNoBuffer) value = value + expr::load(bias, elem, {idx[1]});
    if (residual != kNoBuffer) value = value + expr::load(residual, elem, {idx.begin(), idx.end()});
    Block b;
    b.push_back(Stmt{r});
    b.push_back(Stmt{Store{out, {idx.begin(), idx.end()}, apply_activation(activation_of(c.node()), value), nullptr}});
    return b;
  }));
  return ok();
}

Status lower_conv(LowerContext& c) {
  const Shape &x = c.in_shape(0), &w = c.in_shape(1);
  ONNXC_ASSIGN(const Window window, make_window(c.node(), spatial_of(x), spatial_of(w)));
  if (c.in_elem(0) != Elem::F32 || window.axes() > 2) return lower_conv_nest(c, window);
  const Conv2d g = as_2d(window, x);
  const int64_t groups = c.node().attr_int("group", 1);
  const bool known = x[1].is_const() && w[0].is_const() && c.constant(1) && (!c.has_input(2) || c.constant(2));
  const bool depthwise = groups > 1 && x[1] == Dim(groups) && w[0] == Dim(groups);
  if (c.channel_block() > 1 && known && (depthwise || (groups == 1 && !is_narrow(c, g))))
    return lower_conv_blocked(c, as_row(g));
  return lower_conv_plain(c, g);
}

// ---- ConvTranspose: out[o] sums x[i] * w[k] over all i * stride + k * dilation - pad == o.

struct Transposed {
  Shape kernel;
  std::vector<int64_t> strides, dilations;
  Shape pads_begin, out;
};

Result<Transposed> transposed_window(const Node& node) {
  const Shape &x = *node.input(0)->type.shape, &w = *node.input(1)->type.shape;
  const size_t n = x.size() - 2;
  Transposed t;
  t.kernel = spatial_of(w);
  t.strides = node.attr_ints("strides", std::vector<int64_t>(n, 1));
  t.dilations = node.attr_ints("dilations", std::vector<int64_t>(n, 1));
  const auto extra = node.attr_ints("output_padding", std::vector<int64_t>(n, 0));
  const auto wanted = node.attr_ints("output_shape");
  auto pads = node.attr_ints("pads", std::vector<int64_t>(2 * n, 0));
  const std::string auto_pad = node.attr_string("auto_pad", "NOTSET");
  const auto bad = [&](const std::string& what) { return Error(ErrorKind::InvalidModel, what, node.where()); };
  if (t.kernel.size() != n || t.strides.size() != n || t.dilations.size() != n || extra.size() != n ||
      pads.size() != 2 * n)
    return bad("kernel, strides, dilations, output_padding or pads do not fit the input's rank");
  for (size_t a = 0; a < n; ++a) {
    if (t.strides[a] <= 0 || t.dilations[a] <= 0) return bad("strides and dilations must be positive");
    ONNXC_TRY(require_non_negative(node, t.kernel[a] - Dim(1), "the kernel " + shape_str(w) + " has no element"));
    ONNXC_TRY(require_non_negative(node, x[2 + a] - Dim(1), "the input " + shape_str(x) + " has no element"));
    const Dim reach = (t.kernel[a] - Dim(1)) * Dim(t.dilations[a]) + Dim(1);
    const Dim full = (x[2 + a] - Dim(1)) * Dim(t.strides[a]) + Dim(extra[a]) + reach;
    Dim out = full - Dim(pads[a] + pads[a + n]), begin = pads[a];
    const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
    if (wanted.size() >= n || same) {
      out = wanted.size() >= n ? Dim(wanted[wanted.size() - n + a]) : x[2 + a] * Dim(t.strides[a]);
      const Dim pad = Dim::max(full - out, 0);
      begin = Dim::floor_div(auto_pad == "SAME_UPPER" ? pad : pad + Dim(1), 2);
    }
    t.pads_begin.push_back(std::move(begin));
    t.out.push_back(std::move(out));
  }
  return t;
}

Status infer_conv_transpose(InferContext& c) {
  if (!c.has_input(0) || !c.has_input(1)) return c.invalid("input and weights are needed");
  if (!c.has_shape(0) || !c.has_shape(1)) return c.set_unranked(0, c.elem(0)), ok();
  const Shape &x = c.shape(0), &w = c.shape(1);
  if (x.size() < 3 || w.size() != x.size())
    return c.invalid("input " + shape_str(x) + " and weights " + shape_str(w) + " must have the same rank, at least 3");
  const int64_t groups = c.node.attr_int("group", 1);
  ONNXC_TRY(check_group(c, x[1]));
  ONNXC_TRY(c.require_equal(x[1], w[0], "input and weights have different channel counts"));
  ONNXC_TRY(check_bias(c, 2, w[1] * Dim(groups)));
  ONNXC_TRY(check_kernel_shape(c.node, w));
  ONNXC_ASSIGN(const Transposed t, transposed_window(c.node));
  Shape out{x[0], w[1] * Dim(groups)};
  out.insert(out.end(), t.out.begin(), t.out.end());
  c.set(0, c.elem(0), std::move(out));
  return ok();
}

// Per tap and axis: which input index output index `o` reads, and whether there is one.
struct TransposedTap {
  Expr inside, at;  // at: clamped into the input
};
TransposedTap transposed_tap(const Transposed& t, size_t a, const Dim& extent, const Dim& o, const Dim& k) {
  const Dim stride(t.strides[a]), at = o + t.pads_begin[a] - k * Dim(t.dilations[a]);
  const Dim i = Dim::floor_div(at, stride);
  Expr inside = binary(ExprOp::And, binary(ExprOp::Ge, expr::index(i), expr::index(Dim(0))),
                       binary(ExprOp::Lt, expr::index(i), expr::index(extent)));
  if (t.strides[a] > 1)
    inside = binary(ExprOp::And, inside, binary(ExprOp::Eq, expr::index(Dim::mod(at, stride)), expr::index(Dim(0))));
  return {inside, expr::index(Dim::max(Dim(0), Dim::min(i, extent - Dim(1))))};
}

// Stores value + bias, activated, at `idx` of the output.
void store_activated(LowerContext& c, Block& b, BufferId out, std::span<const Expr> idx, Expr value, BufferId bias) {
  if (bias != kNoBuffer) value = value + expr::load(bias, c.in_elem(0), {idx[1]});
  b.push_back(Stmt{Store{out, {idx.begin(), idx.end()}, apply_activation(activation_of(c.node()), value), nullptr}});
}

// One product of all pixels with all taps, [N * pixels][IC] x [IC][OC * taps], then each output gathers its taps.
Status lower_conv_transpose_gemm(LowerContext& c, const Transposed& t) {
  const Shape &x = c.in_shape(0), &w = c.in_shape(1);
  const Shape spatial = spatial_of(x);
  const Dim channels = w[0], rows = x[0] * numel(spatial), columns = numel({w.begin() + 1, w.end()});
  ONNXC_ASSIGN(const BufferId bias, c.in(2));
  Shape pixel_dims{x[0]};
  pixel_dims.insert(pixel_dims.end(), spatial.begin(), spatial.end());
  Shape tap_dims = pixel_dims;
  pixel_dims.push_back(channels);
  tap_dims.insert(tap_dims.end(), w.begin() + 1, w.end());
  const BufferId pixels = c.temporary(Elem::F32, pixel_dims), products = c.temporary(Elem::F32, tap_dims);
  c.emit(make_nest(c, pixel_dims, [&](std::span<const Expr> idx) {
    std::vector<Expr> from{idx[0], idx.back()};
    from.insert(from.end(), idx.begin() + 1, idx.end() - 1);
    Block b;
    b.push_back(Stmt{Store{pixels, {idx.begin(), idx.end()}, c.load(0, from), nullptr}});
    return b;
  }));
  const BufferId weights = c.constant_buffer(c.constant(1)->reshaped({channels.value(), columns.value()}),
                                             Packing{{1, 16}, {2, 0, 1, 3}}, c.node().input(1)->name);
  Call gemm("gemm_f32");
  gemm.out(products)
      .in(pixels)
      .in(weights)
      .in(kNoBuffer)
      .in(kNoBuffer)
      .arg("m", rows)
      .arg("n", columns)
      .arg("k", channels);
  activation_args(gemm.arg("lda", channels).arg("ldy", columns), Activation{});
  c.emit(gemm.slices(rows * columns * channels).op());
  const BufferId out = c.out(0);
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    Reduce r{c.fresh("sum"), ReduceOp::Add, {}, 1, false, nullptr};
    std::vector<Expr> at{idx[0]}, taps;
    Expr inside;
    for (size_t a = 0; a < t.kernel.size(); ++a) {
      r.vars.push_back({c.fresh("k"), t.kernel[a]});
      const Dim k = Dim::symbol(r.vars.back().name);
      const TransposedTap tap = transposed_tap(t, a, spatial[a], idx[2 + a]->dim, k);
      inside = inside ? binary(ExprOp::And, inside, tap.inside) : tap.inside;
      at.push_back(tap.at);
      taps.push_back(expr::index(k));
    }
    at.push_back(idx[1]);
    at.insert(at.end(), taps.begin(), taps.end());
    r.value = expr::select(inside, expr::load(products, Elem::F32, at), expr::constant(Elem::F32, 0));
    const Expr sum = expr::let(r.name, Elem::F32);
    Block b;
    b.push_back(Stmt{std::move(r)});
    store_activated(c, b, out, idx, sum, bias);
    return b;
  }));
  return ok();
}

// Whether each output has one tap of one input pixel.
bool is_disjoint(const LowerContext& c, const Transposed& t) {
  const Shape spatial = spatial_of(c.in_shape(0));
  for (size_t a = 0; a < t.kernel.size(); ++a)
    if (t.kernel[a] != Dim(t.strides[a]) || t.dilations[a] != 1 || t.pads_begin[a] != Dim(0) ||
        t.out[a] != spatial[a] * Dim(t.strides[a]))
      return false;
  return t.kernel.size() == 2;
}

// A 1x1 convolution to every tap of every output channel, whose planes are then interleaved.
Status lower_conv_transpose_disjoint(LowerContext& c, const Transposed& t) {
  const Shape &x = c.in_shape(0), &w = c.in_shape(1);
  const int64_t ic = w[0].value(), planes = numel({w.begin() + 1, w.end()}).value();
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  ONNXC_ASSIGN(const BufferId bias, c.in(2));
  const BufferId taps = c.temporary(Elem::F32, {x[0], Dim(planes), x[2], x[3]});
  const BufferId weights =
      c.constant_buffer(c.constant(1)->reshaped({ic, planes}), Packing{{1, 1}, {2, 0, 1, 3}}, c.node().input(1)->name);
  const Conv2d g{{}, x[2], x[3], x[2], x[3], 1, 1, 1, 1, 0, 0, 1, 1};
  Call call("conv_plain_f32");
  call.out(taps).in(in).in(weights).in(kNoBuffer).in(kNoBuffer);
  window_args(conv_args(call, c, g, Dim(planes)), g).arg("groups", 1);
  const Dim work = conv_work(g, x[0], {Dim(planes), x[1], Dim(1), Dim(1)});
  c.emit(activation_args(call, Activation{}).slices(work).op());
  const BufferId out = c.out(0);
  const Dim &kh = t.kernel[0], &kw = t.kernel[1];
  c.emit(make_nest(c, {x[0], w[1], x[2], kh, x[3], kw}, [&](std::span<const Expr> idx) {
    const Dim &o = idx[1]->dim, &row = idx[3]->dim, &column = idx[5]->dim;
    const std::vector<Expr> from{idx[0], expr::index((o * kh + row) * kw + column), idx[2], idx[4]};
    const std::vector<Expr> to{idx[0], idx[1], expr::index(idx[2]->dim * kh + row),
                               expr::index(idx[4]->dim * kw + column)};
    Block b;
    store_activated(c, b, out, to, expr::load(taps, Elem::F32, from), bias);
    return b;
  }));
  return ok();
}

// One axis of the outputs o = i * stride + phase: which taps they sum, as a convolution of stride 1.
struct Phase {
  int64_t first, taps;  // taps first, first + stride ...; the last one reads the lowest input
  int64_t pad;          // before the input; may be negative
  Dim out;
};
Phase phase_of(const Transposed& t, size_t a, int64_t phase) {
  const int64_t stride = t.strides[a], shifted = phase + t.pads_begin[a].value(), first = shifted % stride;
  const int64_t taps = (t.kernel[a].value() - first + stride - 1) / stride;
  return {first, taps, taps - 1 - (shifted - first) / stride, Dim::ceil_div(t.out[a] - Dim(phase), Dim(stride))};
}

// The weights [OC][IC][taps] of a pair of phases, out of [IC][OC][KH][KW].
Tensor phase_weights(const Tensor& w, const Transposed& t, const Phase& h, const Phase& v) {
  const int64_t ic = w.dims()[0], oc = w.dims()[1], kh = t.kernel[0].value(), kw = t.kernel[1].value();
  const std::span<const float> from = w.as<float>();
  std::vector<float> to;
  to.reserve(static_cast<size_t>(oc * ic * h.taps * v.taps));
  for (int64_t o = 0; o < oc; ++o)
    for (int64_t i = 0; i < ic; ++i)
      for (int64_t y = h.taps; y-- > 0;)
        for (int64_t x = v.taps; x-- > 0;)
          to.push_back(from[static_cast<size_t>(((i * oc + o) * kh + h.first + y * t.strides[0]) * kw + v.first +
                                                x * t.strides[1])]);
  return Tensor::f32({oc, ic, h.taps, v.taps}, to);
}

// Whether the outputs of each phase are a convolution that fills the blocked layout.
bool has_phases(const LowerContext& c, const Transposed& t) {
  const Shape &x = c.in_shape(0), &w = c.in_shape(1);
  const int64_t block = c.channel_block();
  if (block < 2 || t.kernel.size() != 2 || !x[1].is_const() || !is_static(t.pads_begin)) return false;
  if ((c.has_input(2) && !c.constant(2)) || w[0].value() < block / 2 || w[1].value() < block / 2) return false;
  for (size_t a = 0; a < 2; ++a)
    if (t.dilations[a] != 1 || t.kernel[a].value() < t.strides[a] || t.pads_begin[a].value() < 0 ||
        likely_value(c.program(), t.out[a]) < t.strides[a])
      return false;
  return true;
}

// Output pixels that are a multiple of the strides apart sum the same taps: one convolution of stride 1 for each pair
// of phases, whose outputs are interleaved.
Status lower_conv_transpose_phases(LowerContext& c, const Transposed& t) {
  const Shape& x = c.in_shape(0);
  const int64_t block = c.channel_block();
  const Layout layout = Layout::channels(static_cast<int>(block));
  ONNXC_ASSIGN(const BufferId in, c.in(0, layout));
  const BufferId bias = blocked_bias(c, block), out = c.out(0, layout);
  for (int64_t row = 0; row < t.strides[0]; ++row)
    for (int64_t column = 0; column < t.strides[1]; ++column) {
      const Phase h = phase_of(t, 0, row), v = phase_of(t, 1, column);
      Tensor weights = phase_weights(*c.constant(1), t, h, v);
      const Conv2d g{{}, x[2], x[3], h.out, v.out, h.taps, v.taps, 1, 1, h.pad, v.pad, 1, 1};
      const Spread spread{t.strides[0], t.strides[1], row, column, t.out[0], t.out[1]};
      lower_blocked_conv(c, g, {out, in, bias, kNoBuffer, std::move(weights), spread});
    }
  return ok();
}

Status lower_conv_transpose(LowerContext& c) {
  const Shape &x = c.in_shape(0), &w = c.in_shape(1);
  const int64_t groups = c.node().attr_int("group", 1);
  ONNXC_ASSIGN(const Transposed t, transposed_window(c.node()));
  if (c.in_elem(0) == Elem::F32 && groups == 1 && c.constant(1) && x[1].is_const())
    return has_phases(c, t)    ? lower_conv_transpose_phases(c, t)
           : is_disjoint(c, t) ? lower_conv_transpose_disjoint(c, t)
                               : lower_conv_transpose_gemm(c, t);
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  ONNXC_ASSIGN(const BufferId weights, c.in(1));
  ONNXC_ASSIGN(const BufferId bias, c.in(2));
  const BufferId out = c.out(0);
  const Elem elem = c.in_elem(0);
  const Dim in_per_group = Dim::floor_div(x[1], Dim(groups));
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    Reduce r{c.fresh("sum"), ReduceOp::Add, {{c.fresh("c"), in_per_group}}, 1, false, nullptr};
    for (const Dim& k : t.kernel) r.vars.push_back({c.fresh("k"), k});
    const Dim group = groups == 1 ? Dim(0) : Dim::floor_div(idx[1]->dim, w[1]);
    const Dim ci = group * in_per_group + Dim::symbol(r.vars[0].name);
    std::vector<Expr> x_at{idx[0], expr::index(ci)}, w_at{expr::index(ci), expr::index(idx[1]->dim - group * w[1])};
    Expr inside;
    for (size_t a = 0; a < t.kernel.size(); ++a) {
      const Dim k = Dim::symbol(r.vars[a + 1].name);
      const TransposedTap tap = transposed_tap(t, a, x[2 + a], idx[2 + a]->dim, k);
      inside = inside ? binary(ExprOp::And, inside, tap.inside) : tap.inside;
      x_at.push_back(tap.at);
      w_at.push_back(expr::index(k));
    }
    const Expr zero = expr::constant(expr::arithmetic_type(elem), 0);
    r.value = expr::select(inside, expr::load(in, elem, x_at), zero) * expr::load(weights, elem, w_at);
    const Expr sum = expr::let(r.name, zero->type);
    Block b;
    b.push_back(Stmt{std::move(r)});
    store_activated(c, b, out, idx, sum, bias);
    return b;
  }));
  return ok();
}

}  // namespace

OP(Conv) = [] {
  OpDef d;
  d.name = "Conv";
  d.infer = infer_conv;
  d.lower = lower_conv;
  d.layout = LayoutBehaviour::Mapped;
  d.accuracy = Accuracy::Accumulating;
  return d;
}();

OP(ConvTranspose) = [] {
  OpDef d;
  d.name = "ConvTranspose";
  d.infer = infer_conv_transpose;
  d.lower = lower_conv_transpose;
  d.layout = LayoutBehaviour::Mapped;
  d.accuracy = Accuracy::Accumulating;
  return d;
}();

}  // namespace onnxc
