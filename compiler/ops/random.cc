// Random tensors: RandomUniform, RandomNormal, those shaped like an input, Multinomial (onnx/docs/Operators.md);
// Bernoulli is a function of ONNX over them. An element is a hash of its number and the node's seed (SplitMix64; Steele
// et al., Fast splittable pseudorandom number generators, 2014), so that the same model gives the same numbers in every
// run. A node without a seed takes the name of its output for one. Tested by tests/conformance and tests/differential.
#include <bit>
#include <cmath>

#include "compiler/ops/graph_writer.h"
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;
using expr::operator+;
using expr::operator*;

// ---- the generator

struct Step {
  uint64_t shift, factor;
};
constexpr uint64_t kIncrement = 0x9E3779B97F4A7C15;
constexpr Step kSteps[] = {{30, 0xBF58476D1CE4E5B9}, {27, 0x94D049BB133111EB}};
constexpr uint64_t kLastShift = 31;

uint64_t mix(uint64_t z) {
  for (const Step& s : kSteps) z = (z ^ (z >> s.shift)) * s.factor;
  return z ^ (z >> kLastShift);
}

Expr u64(uint64_t v) { return expr::int_constant(Elem::U64, static_cast<int64_t>(v)); }
Expr xor_shifted(const Expr& z, uint64_t shift) { return binary(ExprOp::Xor, z, binary(ExprOp::Shr, z, u64(shift))); }
Expr mix(Expr z) {
  for (const Step& s : kSteps) z = xor_shifted(z, s.shift) * u64(s.factor);
  return xor_shifted(z, kLastShift);
}

uint64_t seed_of(const Node& n) {
  if (n.has("seed")) return std::bit_cast<uint32_t>(n.attr_float("seed", 0));
  uint64_t hash = 0xCBF29CE484222325;  // FNV-1a
  for (const char ch : n.output()->name) hash = (hash ^ static_cast<unsigned char>(ch)) * 0x100000001B3;
  return hash;
}

// The element's number `stream` in 0 .. 1, without 1, or, `open` at zero, without 0; of type f32 or f64.
Expr draw(ComputeContext& c, std::span<const Expr> idx, uint64_t stream, Elem type, bool open = false) {
  Expr number = constant(0);
  for (size_t d = 0; d < idx.size(); ++d) number = number * extent(c.out_shape()[d]) + idx[d];
  const uint64_t start = mix(mix(seed_of(c.node())) + stream);
  Expr z = mix(expr::cast(number, Elem::U64) * u64(kIncrement) + u64(start + kIncrement));
  const int bits = type == Elem::F64 ? 53 : 24;
  z = binary(ExprOp::Shr, z, u64(static_cast<uint64_t>(64 - bits)));
  if (open) z = z + u64(1);
  return expr::cast(expr::cast(z, Elem::I64), type) * expr::constant(type, std::ldexp(1.0, -bits));
}

// ---- the operators

Status set_random(InferContext& c, int64_t elem, std::optional<Shape> shape) {
  if (elem <= 0 || elem >= kElemCount || !is_float(static_cast<Elem>(elem)))
    return c.invalid("random numbers need a type of floats");
  c.outputs[0] = Type::unranked(static_cast<Elem>(elem));
  c.outputs[0].shape = std::move(shape);
  return ok();
}

Status infer_shaped(InferContext& c) {
  if (!c.node.has("shape")) return c.invalid("attribute `shape` is missing");
  Shape shape;
  for (int64_t d : c.node.attr_ints("shape")) shape.emplace_back(d);
  return set_random(c, c.node.attr_int("dtype", static_cast<int64_t>(Elem::F32)), std::move(shape));
}

Status infer_like(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  return set_random(c, c.node.attr_int("dtype", static_cast<int64_t>(c.elem(0))), c.in(0).shape);
}

Result<Expr> compute_uniform(ComputeContext& c, std::span<const Expr> idx) {
  const Elem type = expr::arithmetic_type(c.out_elem());
  const float low = c.node().attr_float("low", 0), high = c.node().attr_float("high", 1);
  const Expr part = draw(c, idx, 0, type);
  return part * expr::constant(type, static_cast<double>(high) - low) + expr::constant(type, low);
}

// By the polar form of two uniform numbers (Box and Muller, 1958).
Result<Expr> compute_normal(ComputeContext& c, std::span<const Expr> idx) {
  const Elem type = expr::arithmetic_type(c.out_elem());
  const auto num = [&](double v) { return expr::constant(type, v); };
  const Expr radius = expr::unary(ExprOp::Sqrt, num(-2) * expr::unary(ExprOp::Log, draw(c, idx, 0, type, true)));
  const Expr angle = num(2 * M_PI) * draw(c, idx, 1, type);
  return num(c.node().attr_float("scale", 1)) * (radius * expr::unary(ExprOp::Cos, angle)) +
         num(c.node().attr_float("mean", 0));
}

// ---- Multinomial

Status infer_multinomial(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  const int64_t dtype = c.node.attr_int("dtype", static_cast<int64_t>(Elem::I32));
  const int64_t samples = c.node.attr_int("sample_size", 1);
  if (dtype != static_cast<int64_t>(Elem::I32) && dtype != static_cast<int64_t>(Elem::I64))
    return c.invalid("attribute `dtype` must be int32 or int64");
  if (samples < 1) return c.invalid("attribute `sample_size` must be positive");
  if (!c.has_shape(0)) return c.set_unranked(0, static_cast<Elem>(dtype)), ok();
  if (c.shape(0).size() != 2) return c.invalid("the input must be [batch, classes], not " + shape_str(c.shape(0)));
  return c.set(0, static_cast<Elem>(dtype), {c.shape(0)[0], Dim(samples)}), ok();
}

// A sample is the number of classes, but the last, whose cumulated probability is not above a uniform number.
Status decompose_multinomial(Graph& g, Node& n) {
  GraphWriter w(g, n);
  const int64_t samples = n.attr_int("sample_size", 1);
  GraphWriter::Attrs seed;
  if (n.has("seed")) seed["seed"] = n.attr_float("seed", 0);
  Value* const logits = n.input(0);
  Value* const top = w.add("ReduceMax", {logits, w.ints({1})});
  Value* const sums = w.add("CumSum", {w.add("Exp", {w.add("Sub", {logits, top})}), w.ints({1})});
  Value* const total = w.add("Slice", {sums, w.ints({-1}), w.ints({INT64_MAX}), w.ints({1})});
  Value* const before = w.add("Slice", {sums, w.ints({0}), w.ints({-1}), w.ints({1})});
  Value* const drawn = w.add("RandomUniformLike", {w.add("Expand", {top, w.ints({1, samples})})}, std::move(seed));
  Value* const limit = w.add("Unsqueeze", {w.add("Mul", {drawn, total}), w.ints({2})});
  Value* const passed = w.add("LessOrEqual", {w.add("Unsqueeze", {before, w.ints({1})}), limit});
  Value* const count = w.add("ReduceSum", {w.cast(passed, Elem::I32), w.ints({2})}, {{"keepdims", int64_t{0}}});
  w.replace({w.cast(count, static_cast<Elem>(n.attr_int("dtype", static_cast<int64_t>(Elem::I32))))});
  return ok();
}

OpDef random(std::string_view name, InferFn infer, ComputeFn compute) {
  OpDef d;
  d.name = name;
  d.infer = infer;
  d.compute = compute;
  d.accuracy = Accuracy::Rounding;
  d.random = true;
  d.expensive = true;
  return d;
}

}  // namespace

OP(RandomUniform) = random("RandomUniform", infer_shaped, compute_uniform);
OP(RandomUniformLike) = random("RandomUniformLike", infer_like, compute_uniform);
OP(RandomNormal) = random("RandomNormal", infer_shaped, compute_normal);
OP(RandomNormalLike) = random("RandomNormalLike", infer_like, compute_normal);
OP(Multinomial) = [] {
  OpDef d = random("Multinomial", infer_multinomial, nullptr);
  d.decompose = decompose_multinomial;
  return d;
}();

}  // namespace onnxc
