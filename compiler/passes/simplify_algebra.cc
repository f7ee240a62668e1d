// simplify_algebra: drops operators that change nothing and replaces some by cheaper ones. Only where every bit of
// every result stays the same, so that this pass cannot be seen in any model's outputs:
//  - x + 0 is dropped for integers and for -0.0 only (-0.0 + 0.0 is 0.0); x - 0 for integers and 0.0; x * 1, x / 1,
//  Pow(x, 1);
//  - Pow(x, 2) becomes x * x, which is how ONNX Runtime and every libm give it: the correctly rounded square;
//  - x / c becomes x * (1 / c) where c is a power of two, so that 1 / c is exact;
//  - a Sum of two is an Add;
//  - NaN payloads and signs may differ: IEEE 754 leaves them open.
// A graph output keeps its name. Tested in tests/lit/passes/simplify_algebra.txt.
#include <cmath>

#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

bool is_one(const Value* v) {
  return splat_float(v) == 1.0 || (v && v->constant && is_int(v->type.elem) && splat_int(v) == 1);
}
bool is_int_zero(const Value* v) { return v && is_int(v->type.elem) && splat_int(v) == 0; }
bool is_float_zero(const Value* v, bool negative) {
  const auto s = splat_float(v);
  return s && *s == 0 && std::signbit(*s) == negative;
}
bool is_bool(const Value* v, bool value) {
  return v && v->type.elem == Elem::Bool && splat_int(v) == static_cast<int64_t>(value);
}

// What a binary operator gives back unchanged, when its other operand is neutral.
Value* neutral_operand(const Node& n) {
  Value *a = n.input(0), *b = n.input(1);
  if (is_op(&n, "Add")) {
    if (is_int_zero(b) || is_float_zero(b, true)) return a;
    if (is_int_zero(a) || is_float_zero(a, true)) return b;
  } else if (is_op(&n, "Sub")) {
    if (is_int_zero(b) || is_float_zero(b, false)) return a;
  } else if (is_op(&n, "Mul")) {
    if (is_one(b)) return a;
    if (is_one(a)) return b;
  } else if (is_op(&n, "Div")) {
    if (is_one(b)) return a;
  } else if (is_op(&n, "Pow")) {
    if (is_one(b) && n.output()->type.elem == a->type.elem) return a;
  } else if (is_op(&n, "And")) {
    if (a == b || is_bool(b, true)) return a;
    if (is_bool(a, true)) return b;
  } else if (is_op(&n, "Or")) {
    if (a == b || is_bool(b, false)) return a;
    if (is_bool(a, false)) return b;
  } else if (is_op(&n, "Xor")) {
    if (is_bool(b, false)) return a;
    if (is_bool(a, false)) return b;
  }
  return nullptr;
}

// Whether every value of `from` survives a Cast to `to`.
bool holds_all(Elem from, Elem to) {
  if (from == Elem::Bool) return is_int(to) || is_float(to);
  if (is_int(from) && is_int(to)) {
    if (is_signed(from) && !is_signed(to)) return false;
    return elem_bits(to) - is_signed(to) >= elem_bits(from) - is_signed(from);
  }
  if (is_int(from)) return (to == Elem::F64 && elem_bits(from) <= 32) || (to == Elem::F32 && elem_bits(from) <= 16);
  return (from == Elem::F32 && to == Elem::F64) ||
         ((from == Elem::F16 || from == Elem::BF16) && (to == Elem::F32 || to == Elem::F64));
}

bool is_inference_dropout(const Node& n) {
  if (!is_op(&n, "Dropout")) return false;
  for (size_t i = 1; i < n.num_outputs(); ++i) {
    if (n.output(i) && (!n.output(i)->users.empty() || n.graph->is_output(n.output(i)))) return false;
  }
  return !n.input(2) || is_bool(n.input(2), false);
}

// The value that `n` merely repeats, or null.
Value* repeated(const Node& n) {
  Value* x = n.input(0);
  if (is_op(&n, "Identity") || is_inference_dropout(n)) return x;
  if (!x || n.num_outputs() != 1) return nullptr;
  if (is_op(&n, "Cast") || is_op(&n, "CastLike")) {
    if (x->type.is_tensor() && x->type.elem == n.output()->type.elem) return x;
    const Node* inner = made_by(x, "Cast");
    Value* source = inner ? inner->input(0) : nullptr;
    const bool there_and_back =
        source && source->type.elem == n.output()->type.elem && holds_all(source->type.elem, x->type.elem);
    return there_and_back ? source : nullptr;
  }
  for (const char* twice_is_none : {"Not", "Neg", "BitwiseNot"}) {
    if (is_op(&n, twice_is_none) && made_by(x, twice_is_none)) return x->producer->input(0);
  }
  for (const char* twice_is_once : {"Relu", "Abs", "Floor", "Ceil", "Round", "Sign"}) {
    if (is_op(&n, twice_is_once) && made_by(x, twice_is_once)) return x;
  }
  for (const char* of_one : {"Sum", "Mean", "Max", "Min"}) {
    if (!is_op(&n, of_one)) continue;
    if (n.num_inputs() == 1) return x;
    if (n.num_inputs() == 2 && n.input(1) == x && (n.op == "Max" || n.op == "Min")) return x;
  }
  if (is_op(&n, "Clip") && !n.input(1) && !n.input(2)) return x;
  if (is_op(&n, "Where")) {
    if (is_bool(x, true)) return n.input(1);
    if (is_bool(x, false)) return n.input(2);
    if (n.input(1) == n.input(2)) return n.input(1);
  }
  return neutral_operand(n);
}

bool drop(Node* n) {
  if (n->num_outputs() == 0 || !n->output()) return false;
  Value* with = repeated(*n);
  if (!with) return false;
  const bool always_alike = is_op(n, "Identity") || is_op(n, "Dropout");
  if (!always_alike && !(same_shape(with, n->output()) && with->type.elem == n->output()->type.elem)) return false;
  if (is_op(n, "Identity") && must_stay_output(n->output(), with)) return false;
  if (with->producer) merge_origins(with->producer, n);
  replace_node(n, with);
  return true;
}

bool square_by_mul(Node* n) {
  if (!is_op(n, "Pow") || splat_float(n->input(1)).value_or(splat_int(n->input(1)).value_or(0)) != 2) return false;
  if (!n->input(0)->type.is_tensor() || !same_shape(n->input(0), n->output()) ||
      n->input(0)->type.elem != n->output()->type.elem)
    return false;
  replace_node(n, add_like(n, "Mul", {n->input(0), n->input(0)}, n)->output());
  return true;
}

bool sum_by_add(Node* n) {
  if (!is_op(n, "Sum") || n->num_inputs() != 2) return false;
  replace_node(n, add_like(n, "Add", {n->input(0), n->input(1)}, n)->output());
  return true;
}

bool divide_by_mul(Node* n) {
  if (!is_op(n, "Div") || !n->input(1)->is_constant()) return false;
  const Elem e = n->input(1)->type.elem;
  const auto c = splat_float(n->input(1));
  if (!c || (e != Elem::F32 && e != Elem::F64)) return false;
  int exponent = 0;
  if (std::fabs(std::frexp(*c, &exponent)) != 0.5 || std::abs(exponent) > 100) return false;
  const Tensor& t = *n->input(1)->constant;
  Value* reciprocal = n->graph->add_constant(from_doubles(e, t.dims(), std::vector<double>(t.numel(), 1 / *c)));
  replace_node(n, add_like(n, "Mul", {n->input(0), reciprocal}, n)->output());
  return true;
}

}  // namespace

Result<bool> simplify_algebra(Graph& graph, PassContext&) {
  return each_graph(graph, [](Graph& g) {
    bool changed = false;
    for (Node* n : nodes_of(g)) changed |= drop(n) || square_by_mul(n) || divide_by_mul(n) || sum_by_add(n);
    return changed;
  });
}

}  // namespace onnxc
