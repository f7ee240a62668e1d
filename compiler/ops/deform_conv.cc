// DeformConv (onnx/docs/Operators.md; Dai et al., Deformable Convolutional Networks, 2017; Zhu et al., Deformable
// ConvNets v2, 2018): samples at shifted positions become channels, of which a convolution with a window of one element
// makes the result. DeformSamples (domain onnxc): X, offset, mask -> [N, C * taps, O1 ..], where channel c * taps + t
// is what tap t reads of channel c. Tested by tests/conformance and tests/differential.
#include "compiler/ops/indexing.h"
#include "compiler/ops/window.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;
using expr::operator+;
using expr::operator-;
using expr::operator*;

// The window of a DeformConv (by its weights) or of a DeformSamples.
Result<Window> window_of(const Node& n, const Shape& x, const Shape* weights) {
  if (weights) ONNXC_TRY(check_kernel_shape(n, *weights));
  std::vector<int64_t> kernel = n.attr_ints("kernel_shape");
  for (size_t a = 2 + kernel.size(); weights && a < weights->size(); ++a) {
    const Dim& extent = (*weights)[a];
    if (!extent.is_const())
      return Error(ErrorKind::Unsupported, "the kernel's extents are not known: " + shape_str(*weights), n.where(),
                   "fix them by --dim or --shape, or give the attribute kernel_shape");
    kernel.push_back(extent.value());
  }
  return make_window(n, spatial_of(x), Shape(kernel.begin(), kernel.end()));
}

Status check_channels(InferContext& c, size_t input, int64_t per_group, const Window& w) {
  if (!c.has_input(input) || !c.has_shape(input)) return ok();
  const Shape& s = c.shape(input);
  const int64_t wanted = per_group * c.node.attr_int("offset_group", 1);
  const std::string what = "input " + std::to_string(input) + " " + shape_str(s) + " must have " +
                           std::to_string(wanted) + " channels of " + shape_str(w.out);
  if (s.size() != w.axes() + 2) return c.invalid(what);
  ONNXC_TRY(c.require_equal(s[0], c.shape(0)[0], what));
  ONNXC_TRY(c.require_equal(s[1], wanted, what));
  for (size_t a = 0; a < w.axes(); ++a) ONNXC_TRY(c.require_equal(s[2 + a], w.out[a], what));
  return ok();
}

Status infer_deform_conv(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 3));
  if (!c.has_shape(0) || !c.has_shape(1)) return c.set_unranked(0, c.elem(0)), ok();
  const Shape &x = c.shape(0), &weights = c.shape(1);
  if (x.size() < 3 || weights.size() != x.size())
    return c.invalid("input " + shape_str(x) + " and weights " + shape_str(weights) +
                     " must have the same rank, at least 3");
  const int64_t offset_groups = c.node.attr_int("offset_group", 1);
  const std::string groups = "offset_group " + std::to_string(offset_groups);
  if (offset_groups < 1) return c.invalid(groups + " must be positive");
  ONNXC_TRY(c.require_equal(Dim::mod(x[1], offset_groups), 0, groups + " does not divide the channels"));
  ONNXC_ASSIGN(const Window w, window_of(c.node, x, &weights));
  const int64_t taps = numel(w.kernel).value();
  ONNXC_TRY(check_channels(c, 2, taps * static_cast<int64_t>(w.axes()), w));
  ONNXC_TRY(check_channels(c, 4, taps, w));
  Shape out{x[0], weights[0]};
  out.insert(out.end(), w.out.begin(), w.out.end());
  return c.set(0, c.elem(0), std::move(out)), ok();
}

bool has_shapes(const Node& n) { return n.input(0)->type.shape && n.input(1)->type.shape; }

Status decompose_deform_conv(Graph& g, Node& n) {
  const Shape &x = *n.input(0)->type.shape, &weights = *n.input(1)->type.shape;
  ONNXC_ASSIGN(const Window w, window_of(n, x, &weights));
  const auto add = [&](const char* op, std::vector<Value*> inputs, std::string_view domain = {}) {
    Node* made = g.add_node(op, std::move(inputs), 1, &n, std::string(domain));
    made->name = n.name;
    made->origins = n.origins;
    return made;
  };
  Node* samples = add("DeformSamples", {n.input(0), n.input(2), n.input(4)}, kOwnDomain);
  for (const char* name : {"strides", "dilations", "pads", "offset_group"})
    if (n.has(name)) samples->attrs[name] = n.attrs[name];
  samples->attrs["kernel_shape"] = static_dims(w.kernel);
  std::vector<int64_t> ones(x.size(), 1);
  ones[0] = 0;  // as it is
  ones[1] = -1;
  Value* target = g.add_constant(Tensor::i64({static_cast<int64_t>(ones.size())}, ones));
  Node* conv = add("Conv", {samples->output(), add("Reshape", {n.input(1), target})->output(), n.input(3)});
  conv->attrs["group"] = n.attr_int("group", 1);
  g.replace_uses(n.output(), conv->output());
  g.remove_node(&n);
  return ok();
}

Status infer_samples(InferContext& c) {
  if (!c.has_input(0) || !c.has_shape(0)) return c.invalid("an input of known rank is needed");
  const Shape& x = c.shape(0);
  ONNXC_ASSIGN(const Window w, window_of(c.node, x, nullptr));
  Shape out{x[0], x[1] * Dim(numel(w.kernel).value())};
  out.insert(out.end(), w.out.begin(), w.out.end());
  return c.set(0, c.elem(0), std::move(out)), ok();
}

// The image at a place between its elements, linear along each axis, zero outside.
Expr interpolate(ComputeContext& c, std::span<const Expr> idx, const Expr& channel, const std::vector<Expr>& place) {
  const Shape& x = c.in_shape(0);
  const Elem type = expr::arithmetic_type(c.in_elem(0));
  const Expr one = expr::constant(type, 1), zero = expr::constant(type, 0);
  Expr sum;
  for (size_t corner = 0; corner < size_t{1} << place.size(); ++corner) {
    std::vector<Expr> at{idx[0], channel};
    Expr weight, inside;
    for (size_t a = 0; a < place.size(); ++a) {
      const bool upper = corner >> (place.size() - 1 - a) & 1;
      const Expr base = expr::unary(ExprOp::Floor, place[a]), part = place[a] - base;
      const Expr i = expr::cast(upper ? base + one : base, Elem::I64);
      const Expr good =
          binary(ExprOp::And, binary(ExprOp::Ge, i, constant(0)), binary(ExprOp::Lt, i, extent(x[2 + a])));
      inside = inside ? binary(ExprOp::And, inside, good) : good;
      const Expr share = upper ? part : one - part;
      weight = weight ? weight * share : share;
      at.push_back(clamp(i, x[2 + a]));
    }
    const Expr term = expr::select(inside, c.load(0, at) * weight, zero);
    sum = sum ? sum + term : term;
  }
  return sum;
}

Result<Expr> compute_samples(ComputeContext& c, std::span<const Expr> idx) {
  const Shape& x = c.in_shape(0);
  ONNXC_ASSIGN(const Window w, window_of(c.node(), x, nullptr));
  const Elem type = expr::arithmetic_type(c.in_elem(0));
  const Expr taps = constant(numel(w.kernel).value()), axes = constant(static_cast<int64_t>(w.axes()));
  const Expr channel = binary(ExprOp::Div, idx[1], taps), tap = binary(ExprOp::Rem, idx[1], taps);
  const Dim per_group = Dim::floor_div(x[1], Dim(c.node().attr_int("offset_group", 1)));
  const Expr shifted = binary(ExprOp::Div, channel, extent(per_group)) * taps + tap;
  std::vector<Expr> at = to_vector(idx), place(w.axes());
  Expr rest = tap;
  for (size_t a = w.axes(); a-- > 0;) {
    const Expr k = binary(ExprOp::Rem, rest, extent(w.kernel[a]));
    rest = binary(ExprOp::Div, rest, extent(w.kernel[a]));
    at[1] = shifted * axes + constant(static_cast<int64_t>(a));
    const Expr regular = idx[2 + a] * constant(w.strides[a]) + k * constant(w.dilations[a]) - extent(w.pads_begin[a]);
    place[a] = expr::cast(regular, type) + c.load(1, at);
  }
  const Expr value = interpolate(c, idx, channel, place);
  at[1] = shifted;
  return c.has_input(2) ? value * c.load(2, at) : value;
}

}  // namespace

OP(DeformConv) = {.name = "DeformConv",
                  .infer = infer_deform_conv,
                  .decompose = decompose_deform_conv,
                  .decompose_if = has_shapes,
                  .accuracy = Accuracy::Accumulating};
OP(DeformSamples) = {.name = "DeformSamples",
                     .domain = kOwnDomain,
                     .infer = infer_samples,
                     .compute = compute_samples,
                     .accuracy = Accuracy::Accumulating,
                     .expensive = true};

}  // namespace onnxc
