// Tested in tests/unit/ops_test.cc and tests/api/test_free_dims.py.
#include "compiler/ops/whole_floats.h"

#include <cmath>
#include <set>

#include "compiler/ops/elementwise.h"

namespace onnxc {
namespace {

// Up to 2^bits every whole number is one of the type.
int whole_bits(Elem elem) {
  switch (elem) {
    case Elem::F64: return 53;
    case Elem::F32: return 24;
    case Elem::F16: return 11;
    case Elem::BF16: return 8;
    default: return 0;
  }
}

// False where a constant is rounded for certain.
Result<bool> require_whole(const Node& node, const Value& v) {
  const Dim limit(int64_t{1} << whole_bits(v.type.elem));
  for (const Dim& d : *v.contents) {
    if (d.is_const() && (d.value() > limit.value() || d.value() < -limit.value())) return false;
    const std::string what = d.str() + ", which a size follows from, is rounded as " +
                             std::string(elem_name(v.type.elem)) + ": at most " + limit.str() + " is exact";
    ONNXC_TRY(require_non_negative(node, limit - d, what));
    ONNXC_TRY(require_non_negative(node, limit + d, what));
  }
  return true;
}

// The same of all floats that it was computed from.
Result<bool> require_exact(const Node& node, const Value* v, std::set<const Value*>& seen) {
  if (!v || !is_float(v->type.elem) || v->is_constant() || !seen.insert(v).second) return true;
  if (v->contents) {
    ONNXC_ASSIGN(const bool whole, require_whole(node, *v));
    if (!whole) return false;
  }
  if (!v->producer) return v->contents.has_value();
  for (const Value* in : v->producer->inputs()) {
    ONNXC_ASSIGN(const bool exact, require_exact(node, in, seen));
    if (!exact) return false;
  }
  return true;
}

Dim quotient(const Dim& a, const Dim& b, Rounding rounding) {
  if (!b.is_const() || b.value() <= 0) return Dim::overflow();
  const Dim down = Dim::floor_div(a, b);
  if (rounding == Rounding::None) return down * b == a ? down : Dim::overflow();
  if (rounding == Rounding::Ceil) return Dim::ceil_div(a, b);
  if (rounding == Rounding::Truncate && !(a + Dim(1)).known_positive()) return Dim::overflow();
  return down;
}

std::optional<Contents> divided(const Contents& a, const Contents& b, Rounding rounding) {
  const auto n = elementwise::broadcast_length({a.size(), b.size()});
  if (!n) return std::nullopt;
  Contents out;
  for (size_t i = 0; i < *n; ++i) {
    out.push_back(quotient(elementwise::broadcast_at(a, i), elementwise::broadcast_at(b, i), rounding));
    if (out.back().is_overflow()) return std::nullopt;
  }
  return out;
}

// 2, 4 .. where the value is the constant 1/2, 1/4 ..
std::optional<Contents> inverse_power(const Value* v) {
  if (!v || !v->constant || v->constant->numel() != 1) return std::nullopt;
  const double inverse = 1 / v->constant->float_at(0);
  for (int64_t power = 2; power <= 1024; power *= 2)
    if (inverse == static_cast<double>(power)) return Contents{Dim(power)};
  return std::nullopt;
}

}  // namespace

bool is_whole_float(Elem elem) { return whole_bits(elem) > 0; }

std::optional<Contents> quotient_contents(const Node& node, Rounding rounding) {
  const Value *a = node.input(0), *b = node.input(1);
  if (!node.domain.empty() || !a || !b || !is_float(a->type.elem)) return std::nullopt;
  const Type& type = node.output()->type;
  if (type.shape && type.shape->size() > 1) return std::nullopt;
  if (node.op == "Div" && a->contents && b->contents) return divided(*a->contents, *b->contents, rounding);
  if (node.op != "Mul") return std::nullopt;
  if (!a->contents) std::swap(a, b);
  const auto power = inverse_power(b);
  return a->contents && power ? divided(*a->contents, *power, rounding) : std::nullopt;
}

std::optional<Contents> rounded_contents(const Node& node, size_t i, Rounding rounding) {
  const Value* v = node.input(i);
  if (!v) return std::nullopt;
  if (v->contents) return v->contents;
  return v->producer && is_float(v->type.elem) ? quotient_contents(*v->producer, rounding) : std::nullopt;
}

Result<std::optional<Contents>> exact_contents(const Node& node, size_t i, Rounding rounding) {
  auto contents = rounded_contents(node, i, rounding);
  if (!contents) return contents;
  std::set<const Value*> seen;
  ONNXC_ASSIGN(const bool exact, require_exact(node, node.input(i), seen));
  if (!exact) contents.reset();
  return contents;
}

}  // namespace onnxc
