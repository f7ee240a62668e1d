// Operators that give the same bytes another shape or type: Reshape, Flatten, Squeeze, Unsqueeze, BitCast
// (onnx/docs/Operators.md). They are views.
// Tested by tests/conformance and tests/unit/ops_test.cc.
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

Status lower_view(LowerContext& c) {
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  c.out_view(0, in, Dim(0));
  return ok();
}

// ---- Reshape

Status infer_reshape(InferContext& c) {
  if (!c.has_input(0) || !c.has_input(1)) return c.invalid("input and shape are needed");
  c.contents[0] = c.in_contents(0);
  const auto& wanted = c.in_contents(1);
  if (!wanted) {
    if (c.has_shape(1) && c.shape(1).size() == 1 && c.shape(1)[0].is_const() && c.shape(1)[0].value() <= 16) {
      Shape out;
      for (int64_t i = 0; i < c.shape(1)[0].value(); ++i) out.push_back(c.unknown("d" + std::to_string(i)));
      c.set(0, c.elem(0), std::move(out));
    } else {
      c.set_unranked(0, c.elem(0));
    }
    return ok();
  }
  const bool allow_zero = c.node.attr_int("allowzero", 0) != 0;
  Shape out;
  std::optional<size_t> open;
  Dim known(1);
  for (size_t i = 0; i < wanted->size(); ++i) {
    Dim d = (*wanted)[i];
    if (d.is_const() && d.value() == 0 && !allow_zero) {
      if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
      if (i >= c.shape(0).size())
        return c.invalid("shape entry " + std::to_string(i) + " is 0 (copy), but the input has rank " +
                         std::to_string(c.shape(0).size()));
      d = c.shape(0)[i];
    }
    if (d.is_const() && d.value() == -1) {
      if (open) return c.invalid("the shape has more than one -1");
      open = i;
      out.push_back(Dim(1));
      continue;
    }
    known = known * d;
    out.push_back(d);
  }
  if (!c.has_shape(0)) {
    if (open) out[*open] = c.unknown("open");
    return c.set(0, c.elem(0), std::move(out)), ok();
  }
  const Dim total = numel(c.shape(0));
  if (open) {
    if (known.is_const() && known.value() == 0)
      out[*open] = Dim(0);
    else if (total.is_const() && known.is_const() && total.value() % known.value() != 0)
      return c.invalid(shape_str(c.shape(0)) + " cannot be reshaped to " + shape_str(*wanted));
    else
      out[*open] = Dim::floor_div(total, known);
    ONNXC_TRY(c.require_equal(out[*open] * known, total, "elements before and after are not the same number"));
  } else {
    ONNXC_TRY(c.require_equal(total, known, shape_str(c.shape(0)) + " cannot be reshaped to " + shape_str(*wanted)));
  }
  c.set(0, c.elem(0), std::move(out));
  return ok();
}

// ---- Flatten

Status infer_flatten(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  if (!c.has_shape(0)) return c.set(0, c.elem(0), {c.unknown("rows"), c.unknown("cols")}), ok();
  const Shape& x = c.shape(0);
  int64_t axis = c.node.attr_int("axis", 1);
  const int64_t rank = static_cast<int64_t>(x.size());
  if (axis < -rank || axis > rank)
    return c.invalid("axis " + std::to_string(axis) + " is outside of a rank of " + std::to_string(rank));
  if (axis < 0) axis += rank;
  c.set(0, c.elem(0), {product(x, 0, static_cast<size_t>(axis)), product(x, static_cast<size_t>(axis), x.size())});
  return ok();
}

// ---- Squeeze, Unsqueeze: axes are input 1 since opset 13

Status upgrade_axes_attribute_12(Graph& g, Node& n) {
  indexing::attribute_to_input(g, n, "axes", 1);
  return ok();
}

Status infer_squeeze(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  c.contents[0] = c.in_contents(0);
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  const Shape& x = c.shape(0);
  std::vector<bool> drop(x.size(), false);
  if (c.has_input(1)) {
    const auto axes = c.in_ints(1);
    if (!axes) return c.unsupported("the axes are computed at run time", "make them constant");
    for (int64_t a : *axes) {
      ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, a, x.size()));
      if (x[axis].is_const() && x[axis].value() != 1)
        return c.invalid("axis " + std::to_string(a) + " of " + shape_str(x) + " is not 1");
      drop[axis] = true;
    }
  } else {
    if (!is_static(x)) return c.set_unranked(0, c.elem(0)), ok();  // a dim that is not known yet may be 1
    for (size_t d = 0; d < x.size(); ++d) drop[d] = x[d].value() == 1;
  }
  Shape out;
  for (size_t d = 0; d < x.size(); ++d)
    if (!drop[d]) out.push_back(x[d]);
  c.set(0, c.elem(0), std::move(out));
  return ok();
}

Status infer_unsqueeze(InferContext& c) {
  if (!c.has_input(0) || !c.has_input(1)) return c.invalid("input and axes are needed");
  c.contents[0] = c.in_contents(0);
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  const auto axes = c.in_ints(1);
  if (!axes) return c.unsupported("the axes are computed at run time", "make them constant");
  const size_t rank = c.shape(0).size() + axes->size();
  std::vector<bool> fresh(rank, false);
  for (int64_t a : *axes) {
    ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, a, rank));
    if (fresh[axis]) return c.invalid("axis " + std::to_string(a) + " is named twice");
    fresh[axis] = true;
  }
  Shape out;
  size_t next = 0;
  for (size_t d = 0; d < rank; ++d) out.push_back(fresh[d] ? Dim(1) : c.shape(0)[next++]);
  c.set(0, c.elem(0), std::move(out));
  return ok();
}

// ---- BitCast

Status infer_bit_cast(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  const Elem to = static_cast<Elem>(c.node.attr_int("to", 0)), from = c.elem(0);
  if (to == Elem::Undefined || elem_size(to) == 0 || elem_bits(to) != elem_bits(from))
    return c.invalid("the types " + std::string(elem_name(from)) + " and " + std::string(elem_name(to)) +
                     " have different widths");
  if (to != from && is_sub_byte(from)) return c.unsupported("elements of less than a byte are not reinterpreted");
  c.outputs[0] = c.in(0);
  c.outputs[0].elem = to;
  return ok();
}

OpDef view(std::string_view name, InferFn infer, std::vector<Upgrade> upgrades = {}) {
  OpDef d;
  d.name = name;
  d.infer = infer;
  d.lower = lower_view;
  d.upgrades = std::move(upgrades);
  return d;
}

}  // namespace

OP(Reshape) = view("Reshape", infer_reshape);
OP(Flatten) = view("Flatten", infer_flatten);
OP(Squeeze) = view("Squeeze", infer_squeeze, {{12, upgrade_axes_attribute_12}});
OP(Unsqueeze) = view("Unsqueeze", infer_unsqueeze, {{12, upgrade_axes_attribute_12}});
OP(BitCast) = view("BitCast", infer_bit_cast);

}  // namespace onnxc
