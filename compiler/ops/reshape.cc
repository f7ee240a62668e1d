// Operators that give the same bytes another shape or type: Reshape, Flatten, Squeeze, Unsqueeze, BitCast
// (onnx/docs/Operators.md). They are views.
// Tested by tests/conformance and tests/unit/ops_test.cc.
#include <algorithm>

#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

Status lower_view(LowerContext& c) {
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  c.out_view(0, in, Dim(0));
  return ok();
}

// ---- Reshape

// Entries of 0 copied from the input.
Result<Shape> wanted_shape(InferContext& c, const Contents& wanted) {
  if (c.node.attr_int("allowzero", 0) != 0) return wanted;
  Shape out;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const Dim& d = wanted[i];
    const Dim is_copy = d.is_const() || !d.known_non_negative() ? Dim::equals(d, 0) : Dim(0);
    if (i >= c.shape(0).size() && is_copy == Dim(1))
      return c.invalid("shape entry " + std::to_string(i) + " is 0 (copy), but the input has rank " +
                       std::to_string(c.shape(0).size()));
    out.push_back(i < c.shape(0).size() ? d + is_copy * c.shape(0)[i] : d);
  }
  return out;
}

Status infer_reshape(InferContext& c) {
  if (!c.has_input(0) || !c.has_input(1)) return c.invalid("input and shape are needed");
  c.contents[0] = c.in_contents(0);
  if (const auto rank = c.declared_rank(0)) ONNXC_TRY(c.settle_length(1, *rank));
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
  if (!c.has_shape(0)) {
    Shape out;
    for (size_t i = 0; i < wanted->size(); ++i)
      out.push_back((*wanted)[i].known_positive() ? (*wanted)[i] : c.unknown("d" + std::to_string(i)));
    return c.set(0, c.elem(0), std::move(out)), ok();
  }
  ONNXC_ASSIGN(Shape out, wanted_shape(c, *wanted));
  const std::string what = shape_str(c.shape(0)) + " cannot be reshaped to " + shape_str(*wanted);
  if (std::ranges::count(*wanted, Dim(-1)) > 1) return c.invalid("the shape has more than one -1");
  if (std::ranges::any_of(*wanted, [](const Dim& d) { return d.is_const() && d.value() < -1; })) return c.invalid(what);
  const Dim total = numel(c.shape(0));
  // One entry that only a run knows, or -1, follows from the others.
  const auto is_open_to_run = [](const Dim& d) { return !d.known_non_negative(); };
  if (std::ranges::count_if(out, is_open_to_run) == 1) {
    const size_t open = static_cast<size_t>(std::ranges::find_if(out, is_open_to_run) - out.begin());
    out[open] = Dim(1);
    const Dim others = numel(out);
    if (total.is_const() && others.is_const() && others != Dim(0) && total.value() % others.value() != 0)
      return c.invalid(what);
    out[open] = others == Dim(0) ? Dim(0) : Dim::floor_div(total, others);
    ONNXC_TRY(c.require_equal(out[open] * others, total, what));
    return c.set(0, c.elem(0), std::move(out)), ok();
  }
  // -1 stands for what is left.
  Dim others(1);
  std::vector<Dim> is_open;
  for (const Dim& d : out) {
    is_open.push_back(d.known_non_negative() ? Dim(0) : Dim::equals(d, -1));
    others = others * (d + Dim(2) * is_open.back());
  }
  const Dim rest =
      others == Dim(0) ? Dim(0) : Dim::floor_div(total, others.known_positive() ? others : Dim::max(others, 1));
  for (size_t i = 0; i < out.size(); ++i) out[i] = out[i] + is_open[i] * (rest + Dim(1));
  ONNXC_TRY(c.require_equal(numel(out), total, what));
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

// The axes that Squeeze drops when none are given. A dim that only a run knows may be 1: unless the rank that the file
// declares tells, it is kept and a run in which it is 1 is refused, since the rank must be the same in all runs.
Result<Contents> axes_of_ones(InferContext& c, const Shape& x, std::optional<size_t> declared_rank) {
  Contents ones, all;
  std::vector<size_t> free;
  for (size_t d = 0; d < x.size(); ++d) {
    const bool is_free = !x[d].is_const() && !(x[d] - Dim(1)).known_positive();
    if (is_free) free.push_back(d);
    if (x[d] == Dim(1)) ones.emplace_back(static_cast<int64_t>(d));
    if (x[d] == Dim(1) || is_free) all.emplace_back(static_cast<int64_t>(d));
  }
  if (declared_rank && *declared_rank + all.size() == x.size()) return all;
  for (size_t d : free)
    ONNXC_TRY(require_non_negative(
        c.node, (x[d] - Dim(1)) * (x[d] - Dim(1)) - Dim(1),
        "dim " + std::to_string(d) + " of " + shape_str(x) + " is 1, and no axes are given: the rank would change"));
  return ones;
}

Status infer_squeeze(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  c.contents[0] = c.in_contents(0);
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  const Shape& x = c.shape(0);
  const auto rank = c.declared_rank(0);
  if (rank && *rank <= x.size()) ONNXC_TRY(c.settle_length(1, x.size() - *rank));
  Contents axes;
  if (!c.has_input(1)) {
    ONNXC_ASSIGN(axes, axes_of_ones(c, x, rank));
  } else if (c.in_contents(1)) {
    axes = *c.in_contents(1);
  } else {
    return c.unsupported("the number of axes is not known", "make them constant");
  }
  ONNXC_ASSIGN(const std::vector<Dim> drop, indexing::chosen_axes(c.node, axes, x.size()));
  if (std::ranges::all_of(drop, &Dim::is_const)) {
    Shape out;
    for (size_t d = 0; d < x.size(); ++d) {
      if (drop[d] == Dim(0))
        out.push_back(x[d]);
      else
        ONNXC_TRY(c.require_equal(x[d], 1, "axis " + std::to_string(d) + " of " + shape_str(x) + " is not 1"));
    }
    return c.set(0, c.elem(0), std::move(out)), ok();
  }
  if (axes.size() > x.size()) return c.invalid("there are more axes than dims");
  Shape out = indexing::shape_without(x, drop, x.size() - axes.size());
  ONNXC_TRY(c.require_equal(numel(out), numel(x), "an axis of " + shape_str(x) + " that is taken away is not 1"));
  c.set(0, c.elem(0), std::move(out));
  return ok();
}

Status infer_unsqueeze(InferContext& c) {
  if (!c.has_input(0) || !c.has_input(1)) return c.invalid("input and axes are needed");
  c.contents[0] = c.in_contents(0);
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  const Shape& x = c.shape(0);
  const auto declared = c.declared_rank(0);
  if (declared && *declared >= x.size()) ONNXC_TRY(c.settle_length(1, *declared - x.size()));
  const auto& axes = c.in_contents(1);
  if (!axes) return c.unsupported("the number of axes is not known", "make them constant");
  const size_t rank = x.size() + axes->size();
  ONNXC_ASSIGN(const std::vector<Dim> fresh, indexing::chosen_axes(c.node, *axes, rank));
  Shape out;
  Dim place(0);  // of the next dim of the input
  for (size_t d = 0; d < rank; ++d) {
    Dim own(0);
    for (size_t i = 0; i < x.size(); ++i) own = own + Dim::equals(place, static_cast<int64_t>(i)) * x[i];
    out.push_back(fresh[d] + (Dim(1) - fresh[d]) * own);
    place = place + Dim(1) - fresh[d];
  }
  ONNXC_TRY(c.require_equal(place, static_cast<int64_t>(x.size()), "an axis is named twice"));
  c.set(0, c.elem(0), std::move(out));
  return ok();
}

// ---- BitCast

Status infer_bit_cast(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  const Elem to = static_cast<Elem>(c.node.attr_int("to", 0)), from = c.elem(0);
  if (to == Elem::Undefined || to == Elem::String || elem_size(to) == 0 || elem_bits(to) != elem_bits(from))
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
