#include "compiler/ops/window.h"

#include <cmath>

namespace onnxc {

using expr::binary;

// Half of it, towards zero.
static Dim half(const Dim& d) { return Dim::floor_div(Dim::max(d, 0), 2) - Dim::floor_div(Dim::max(Dim(0) - d, 0), 2); }

Result<Window> make_window(const Node& node, const Shape& in, Shape kernel) {
  const size_t n = in.size();
  Window w;
  w.kernel = std::move(kernel);
  w.strides = node.attr_ints("strides", std::vector<int64_t>(n, 1));
  w.dilations = node.attr_ints("dilations", std::vector<int64_t>(n, 1));
  std::vector<int64_t> pads = node.attr_ints("pads", std::vector<int64_t>(2 * n, 0));
  auto bad = [&](const std::string& what) { return Error(ErrorKind::InvalidModel, what, node.where()); };
  if (w.kernel.size() != n || w.strides.size() != n || w.dilations.size() != n || pads.size() != 2 * n)
    return bad("kernel, strides, dilations or pads do not fit the " + std::to_string(n) + " spatial axes of the input");
  const std::string auto_pad = node.attr_string("auto_pad", "NOTSET");
  const bool ceil_mode = node.attr_int("ceil_mode", 0) != 0;
  // Where the strides are longer than the window, these two crop the input by negative pads, as in ONNX Runtime 1.32,
  // which rejects such a MaxPool and lets the windows of a Conv begin at the input's edge.
  const bool may_crop = node.op == "AveragePool" || node.op == "LpPool";
  for (size_t a = 0; a < n; ++a) {
    const int64_t s = w.strides[a], d = w.dilations[a];
    if (s <= 0 || d <= 0) return bad("strides and dilations must be positive");
    ONNXC_TRY(
        require_non_negative(node, w.kernel[a] - Dim(1), "the kernel " + shape_str(w.kernel) + " has no element"));
    ONNXC_TRY(require_non_negative(node, in[a] - Dim(1), "the input " + shape_str(in) + " has no element"));
    const Dim reach = (w.kernel[a] - Dim(1)) * Dim(d) + Dim(1);
    Dim begin = pads[a], end = pads[a + n], out;
    if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
      out = Dim::ceil_div(in[a], s);
      const Dim needed = (out - Dim(1)) * Dim(s) + reach - in[a], total = may_crop ? needed : Dim::max(needed, 0);
      begin = half(auto_pad == "SAME_UPPER" ? total : total + Dim(1));
      end = total - begin;
    } else {
      if (auto_pad == "VALID")
        begin = end = 0;
      else if (auto_pad != "NOTSET" && !auto_pad.empty())
        return bad("unknown auto_pad \"" + auto_pad + "\"");
      const Dim span = in[a] + begin + end - reach;
      ONNXC_TRY(require_non_negative(node, span, "the window is larger than the padded input " + shape_str(in)));
      out = (ceil_mode ? Dim::ceil_div(span, s) : Dim::floor_div(span, s)) + Dim(1);
      // No window may begin in the padding behind the input.
      if (ceil_mode) out = Dim::min(out, Dim::floor_div(in[a] + begin - Dim(1), s) + Dim(1));
    }
    w.pads_begin.push_back(std::move(begin));
    w.pads_end.push_back(std::move(end));
    w.out.push_back(std::move(out));
  }
  return w;
}

Status check_kernel_shape(const Node& node, const Shape& weights) {
  if (!node.has("kernel_shape")) return ok();
  const auto given = node.attr_ints("kernel_shape");
  const std::string what = "kernel_shape does not agree with the weights " + shape_str(weights);
  if (given.size() + 2 != weights.size()) return Error(ErrorKind::InvalidModel, what, node.where());
  for (size_t a = 0; a < given.size(); ++a) ONNXC_TRY(require_equal(node, weights[2 + a], given[a], what));
  return ok();
}

Status check_group(InferContext& c, const Dim& channels) {
  const int64_t groups = c.node.attr_int("group", 1);
  if (groups <= 0) return c.invalid("group must be positive");
  return c.require_equal(Dim::mod(channels, groups), 0,
                         "the " + channels.str() + " channels are no multiple of group " + std::to_string(groups));
}

Status check_bias(InferContext& c, size_t bias, const Dim& channels) {
  if (!c.has_shape(bias)) return ok();
  const Shape& b = c.shape(bias);
  if (b.size() != 1) return c.invalid("the bias " + shape_str(b) + " must have rank 1");
  return c.require_equal(b[0], channels, "the bias has not the channels of the weights");
}

Status check_channels(InferContext& c, const Shape& x, const Shape& weights, size_t bias) {
  ONNXC_TRY(check_group(c, weights[0]));
  const int64_t groups = c.node.attr_int("group", 1);
  ONNXC_TRY(c.require_equal(x[1], weights[1] * Dim(groups),
                            "the input " + shape_str(x) + " has not the channels that the weights " +
                                shape_str(weights) + " with group " + std::to_string(groups) + " want"));
  return check_bias(c, bias, weights[0]);
}

Expr load_padded(LowerContext&, BufferId buffer, Elem elem, std::vector<Expr> at, const Shape& spatial,
                 const Expr& outside) {
  Expr inside;
  for (size_t a = 0; a < spatial.size(); ++a) {
    Expr& p = at[at.size() - spatial.size() + a];
    const Dim position = p->dim;
    Expr in_range = binary(ExprOp::And, binary(ExprOp::Ge, expr::index(position), expr::index(Dim(0))),
                           binary(ExprOp::Lt, expr::index(position), expr::index(spatial[a])));
    inside = inside ? binary(ExprOp::And, inside, in_range) : in_range;
    p = expr::index(Dim::max(Dim(0), Dim::min(position, spatial[a] - Dim(1))));
  }
  Expr value = expr::load(buffer, elem, std::move(at));
  return inside ? expr::select(inside, value, outside) : value;
}

Activation activation_of(const Node& node) {
  static const char* const kNames[] = {"",     "relu",       "leaky_relu",   "clip", "sigmoid", "tanh",
                                       "silu", "hard_swish", "hard_sigmoid", "gelu", "elu"};
  Activation a;
  const std::string name = node.attr_string("activation", "");
  for (int i = 0; i < 11; ++i)
    if (name == kNames[i]) a.code = i;
  a.alpha = node.attr_float("activation_alpha", 0);
  a.beta = node.attr_float("activation_beta", 0);
  return a;
}

Call& activation_args(Call& call, const Activation& a) {
  return call.arg("activation", a.code).arg("alpha", a.alpha).arg("beta", a.beta);
}

Expr apply_activation(const Activation& act, Expr x) {
  using expr::operator*, expr::operator+;
  auto num = [&](double v) { return expr::constant(x->type, v); };
  auto clamp = [&](Expr e, double lo, double hi) {
    return binary(ExprOp::Min, binary(ExprOp::Max, e, num(lo)), num(hi));
  };
  const Expr negative = binary(ExprOp::Lt, x, num(0));
  switch (act.code) {
    case 1: return binary(ExprOp::Max, x, num(0));
    case 2: return expr::select(negative, x * num(act.alpha), x);
    case 3: return clamp(x, act.alpha, act.beta);
    case 4: return expr::unary(ExprOp::Sigmoid, x);
    case 5: return expr::unary(ExprOp::Tanh, x);
    case 6: return x * expr::unary(ExprOp::Sigmoid, x);
    case 7: return x * clamp(x * num(1.0 / 6) + num(0.5), 0, 1);
    case 8: return clamp(x * num(act.alpha) + num(act.beta), 0, 1);
    case 9: return num(0.5) * x * (num(1) + expr::unary(ExprOp::Erf, x * num(std::sqrt(0.5))));
    case 10: return expr::select(negative, num(act.alpha) * expr::unary(ExprOp::Expm1, x), x);
    default: return x;
  }
}

bool fills_channel_blocks(const LowerContext& c) {
  const Dim& channels = c.in_shape(0)[1];
  const int block = c.channel_block();
  return block > 1 && channels.is_const() && channels.value() * 2 >= block;
}

bool has_rows_to_share(const LowerContext& c, const Dim& rows) { return likely_value(c.program(), rows) >= 24; }

Packing weight_packing(size_t axes, int64_t out_block, int64_t in_block) {
  Packing p;
  p.block = {out_block, in_block};
  p.perm = {0, 2};
  for (size_t a = 0; a < axes; ++a) {
    p.block.push_back(1);
    p.perm.push_back(static_cast<int64_t>(4 + 2 * a));
    p.perm.push_back(static_cast<int64_t>(5 + 2 * a));
  }
  p.perm.push_back(3);
  p.perm.push_back(1);
  return p;
}

}  // namespace onnxc
