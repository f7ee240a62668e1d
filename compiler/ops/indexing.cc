#include "compiler/ops/indexing.h"

#include <algorithm>
#include <limits>

namespace onnxc::indexing {

std::optional<Contents> contents_of(const Value* v) {
  if (!v) return std::nullopt;
  if (v->contents) return v->contents;
  if (!v->constant || (!is_int(v->constant->elem()) && v->constant->elem() != Elem::Bool)) return std::nullopt;
  Contents out;
  for (int64_t i : v->constant->to_ints()) out.emplace_back(i);
  return out;
}

std::optional<std::vector<int64_t>> ints_of(const Value* v) {
  const auto contents = contents_of(v);
  if (!contents) return std::nullopt;
  std::vector<int64_t> out;
  for (const Dim& d : *contents) {
    if (!d.is_const()) return std::nullopt;
    out.push_back(d.value());
  }
  return out;
}

Result<std::vector<int64_t>> normal_axes(const Node& node, std::vector<int64_t> axes, size_t rank) {
  for (int64_t& a : axes) {
    ONNXC_ASSIGN(a, normal_axis(node, a, rank));
  }
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end())
    return Error(ErrorKind::InvalidModel, "an axis is named twice", node.where());
  return axes;
}

Result<std::vector<std::vector<Dim>>> named_by(const Node& node, const Contents& axes, size_t rank) {
  std::vector<std::vector<Dim>> named(rank);
  for (const Dim& axis : axes) {
    if (axis.is_const()) ONNXC_TRY(normal_axis(node, axis.value(), rank));
    for (size_t d = 0; d < rank; ++d) {
      const Dim front(static_cast<int64_t>(d)), back = front - Dim(static_cast<int64_t>(rank));
      named[d].push_back(Dim::equals(axis, front) + Dim::equals(axis, back));
    }
  }
  return named;
}

Result<std::vector<Dim>> chosen_axes(const Node& node, const Contents& axes, size_t rank) {
  ONNXC_ASSIGN(const auto named, named_by(node, axes, rank));
  std::vector<Dim> chosen;
  for (const std::vector<Dim>& entries : named) {
    Dim any(0);
    for (const Dim& entry : entries) any = Dim::max(any, entry);
    chosen.push_back(any);
  }
  return chosen;
}

std::vector<Dim> places_without(const std::vector<Dim>& drop) {
  std::vector<Dim> places;
  Dim place(0);
  for (const Dim& d : drop) {
    places.push_back(place);
    place = place + Dim(1) - d;
  }
  return places;
}

Shape shape_without(const Shape& shape, const std::vector<Dim>& drop, size_t rank) {
  const std::vector<Dim> places = places_without(drop);
  Shape out(rank, Dim(0));
  for (size_t d = 0; d < shape.size(); ++d)
    for (size_t e = 0; e < rank; ++e)
      out[e] = out[e] + (Dim(1) - drop[d]) * Dim::equals(places[d], static_cast<int64_t>(e)) * shape[d];
  return out;
}

Expr clamp(const Expr& index, const Dim& extent) {
  const Expr last = expr::index(extent - Dim(1));
  return expr::binary(ExprOp::Max, expr::binary(ExprOp::Min, index, last), constant(0));
}

Expr wrap(const Expr& index, const Dim& extent) {
  const Expr negative = expr::binary(ExprOp::Lt, index, constant(0));
  return clamp(expr::select(negative, expr::binary(ExprOp::Add, index, expr::index(extent)), index), extent);
}

Expr broadcast_index(const Expr& index, const Dim& own, const Dim& all) {
  if (is_one(own)) return constant(0);
  if (own == all || own.is_const()) return index;
  return expr::binary(ExprOp::Mul, index, expr::index(Dim::min(own - Dim(1), 1)));
}

Status require_inputs(InferContext& c, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    if (!c.has_input(i)) return c.invalid("input " + std::to_string(i) + " is missing");
    if (!c.in(i).is_tensor())
      return c.invalid("input " + std::to_string(i) + " must be a tensor, not " + c.in(i).str());
  }
  return ok();
}

Status require_one_or(const Node& node, const Dim& own, const Dim& all, const std::string& what) {
  if (is_one(own) || own == all) return ok();
  if (own.is_const()) return require_equal(node, own, all, what);
  return require_equal(node, (own - Dim(1)) * (own - all), Dim(0), what);
}

Status require_some(const Node& node, const Dim& extent, const Dim& count, const std::string& what) {
  return require_non_negative(node, Dim::max(extent - Dim(1), Dim(0) - count), what);
}

Status require_same_shape(const Node& node, const Shape& a, const Shape& b, const std::string& what,
                          std::optional<size_t> but) {
  const std::string shapes = what + ": " + shape_str(a) + " and " + shape_str(b);
  if (a.size() != b.size()) return Error(ErrorKind::InvalidModel, shapes, node.where());
  for (size_t d = 0; d < a.size(); ++d)
    if (d != but) ONNXC_TRY(require_equal(node, a[d], b[d], shapes));
  return ok();
}

Status require_scalar(InferContext& c, size_t i) {
  if (!c.has_shape(i)) return ok();
  return c.require_equal(numel(c.shape(i)), Dim(1),
                         "input " + std::to_string(i) + " must have one element, not " + shape_str(c.shape(i)));
}

std::vector<Expr> to_vector(std::span<const Expr> idx) { return {idx.begin(), idx.end()}; }

void attribute_to_input(Graph& graph, Node& node, const char* attribute, size_t i) {
  const auto it = node.attrs.find(attribute);
  if (it == node.attrs.end()) return;
  if (const auto* list = std::get_if<std::vector<int64_t>>(&it->second))
    node.set_input(i, graph.add_constant(Tensor::i64({static_cast<int64_t>(list->size())}, *list)));
  else if (const auto* one = std::get_if<int64_t>(&it->second))
    node.set_input(i, graph.add_constant(Tensor::i64({1}, {*one})));
  node.attrs.erase(it);
}

Expr scalar(Elem elem, double v) {
  const Elem type = expr::arithmetic_type(elem);
  return is_float(type) ? expr::constant(type, v) : expr::int_constant(type, static_cast<int64_t>(v));
}

namespace {

// Bits of an integer type, counted without the sign.
int magnitude_bits(Elem elem) { return elem_bits(elem) - (is_signed(elem) ? 1 : 0); }

}  // namespace

Expr lowest(Elem elem) {
  const Elem type = expr::arithmetic_type(elem);
  if (is_float(type)) return expr::constant(type, -std::numeric_limits<double>::infinity());
  if (elem == Elem::Bool || !is_signed(elem)) return expr::int_constant(type, 0);
  return expr::int_constant(
      type, elem == Elem::I64 ? std::numeric_limits<int64_t>::min() : -(int64_t{1} << magnitude_bits(elem)));
}

Expr highest(Elem elem) {
  const Elem type = expr::arithmetic_type(elem);
  if (is_float(type)) return expr::constant(type, std::numeric_limits<double>::infinity());
  if (elem == Elem::Bool) return expr::int_constant(type, 1);
  if (elem == Elem::U64) return expr::int_constant(type, -1);
  if (elem == Elem::I64) return expr::int_constant(type, std::numeric_limits<int64_t>::max());
  return expr::int_constant(type, (int64_t{1} << magnitude_bits(elem)) - 1);
}

Expr order_key(const Expr& x) {
  using expr::binary;
  using expr::select;
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max(), kLeast = std::numeric_limits<int64_t>::min();
  if (x->type == Elem::U64)
    return binary(ExprOp::Xor, expr::bit_cast(x, Elem::I64), expr::int_constant(Elem::I64, kLeast));
  if (!is_float(x->type)) return expr::cast(x, x->type == Elem::I64 || x->type == Elem::U32 ? Elem::I64 : Elem::I32);
  const Elem bits = x->type == Elem::F64 ? Elem::I64 : Elem::I32;
  const Expr zero = expr::int_constant(bits, 0), all = expr::bit_cast(x, bits);
  const Expr most = expr::int_constant(bits, bits == Elem::I64 ? kMost : std::numeric_limits<int32_t>::max());
  const Expr ordered = select(binary(ExprOp::Lt, all, zero), binary(ExprOp::Xor, all, most), all);
  const Expr number = select(binary(ExprOp::Eq, x, expr::constant(x->type, 0)), zero, ordered);
  return select(expr::unary(ExprOp::IsNan, x), most, number);
}

Expr element_constant(const Tensor& t, int64_t i) {
  const Elem type = expr::arithmetic_type(t.elem());
  return is_float(type) ? expr::constant(type, t.float_at(i)) : expr::int_constant(type, t.int_at(i));
}

}  // namespace onnxc::indexing
