// Signals: DFT, STFT, MelWeightMatrix (onnx/docs/Operators.md). The transforms are sums over a table of cosines and
// sines, made here for the length in question. Tested by tests/conformance.
#include <cmath>

#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;
using expr::operator+;
using expr::operator-;
using expr::operator*;

// cos and sin of 2 pi i / n, for i < n.
Tensor turn_table(Elem elem, int64_t n, bool sine) {
  std::vector<double> table;
  for (int64_t i = 0; i < n; ++i) {
    const double angle = 2 * M_PI * static_cast<double>(i) / static_cast<double>(n);
    table.push_back(sine ? std::sin(angle) : std::cos(angle));
  }
  if (elem == Elem::F64) return Tensor::of(elem, {n}, table);
  return Tensor::f32({n}, {table.begin(), table.end()});
}

// One number that an optional input holds.
std::optional<int64_t> known_number(const Value* v) {
  const auto ints = ints_of(v);
  if (!ints || ints->size() != 1) return std::nullopt;
  return (*ints)[0];
}

// ---- DFT

struct Transform {
  int64_t axis = 0, length = 0;  // of the signal, zero-padded or cut
  bool inverse = false, onesided = false;
  bool real_result() const { return inverse && onesided; }
  int64_t results() const { return onesided && !inverse ? length / 2 + 1 : length; }
};

Result<std::optional<Transform>> transform_of(const Node& node, const Shape& x) {
  Transform t;
  t.inverse = node.attr_int("inverse", 0) != 0;
  t.onesided = node.attr_int("onesided", 0) != 0;
  if (x.size() < 2)
    return Error(ErrorKind::InvalidModel, "the input " + shape_str(x) + " holds no signal", node.where());
  const auto axis = node.input(2) ? known_number(node.input(2)) : std::optional<int64_t>(-2);
  if (!axis || (node.input(1) && !known_number(node.input(1)))) return std::optional<Transform>();
  ONNXC_ASSIGN(t.axis, normal_axis(node, *axis, x.size()));
  if (t.axis + 1 == static_cast<int64_t>(x.size()))
    return Error(ErrorKind::InvalidModel, "the last axis holds numbers, no signal", node.where());
  const Dim& extent = x[static_cast<size_t>(t.axis)];
  if (node.input(1))
    t.length = *known_number(node.input(1));
  else if (!extent.is_const())
    return std::optional<Transform>();
  else
    t.length = t.real_result() ? 2 * (extent.value() - 1) : extent.value();
  if (t.length < 1)
    return Error(ErrorKind::InvalidModel, "the transform has the length " + std::to_string(t.length), node.where());
  return std::optional(t);
}

Status infer_dft(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  Shape out = c.shape(0);
  ONNXC_ASSIGN(const auto t, transform_of(c.node, out));
  if (t) {
    out[static_cast<size_t>(t->axis)] = Dim(t->results());
    out.back() = Dim(t->real_result() ? 1 : 2);
  } else {
    // Without a length and one-sidedness no extent changes, whatever the axis.
    const bool same = !c.has_input(1) && c.node.attr_int("onesided", 0) == 0;
    for (size_t d = 0; !same && d + 1 < out.size(); ++d) out[d] = c.unknown("d" + std::to_string(d));
    out.back() = Dim(c.node.attr_int("onesided", 0) && c.node.attr_int("inverse", 0) ? 1 : 2);
  }
  return c.set(0, c.elem(0), std::move(out)), ok();
}

// The sum for one output element as a Reduce in `block`. `part`: 0 real, 1 imaginary.
Expr transform_sum(LowerContext& c, const Transform& t, std::span<const Expr> idx, Block& block) {
  const Shape& x = c.in_shape(0);
  const size_t a = static_cast<size_t>(t.axis);
  const Elem type = expr::arithmetic_type(c.in_elem(0));
  const BufferId cosines = c.constant_buffer(turn_table(type, t.length, false)),
                 sines = c.constant_buffer(turn_table(type, t.length, true));
  const bool complex = x.back().is_const() && x.back().value() == 2;
  const int64_t given = std::min(x[a].value(), t.real_result() ? t.length / 2 + 1 : t.length);
  const std::string name = c.fresh("n");
  const Expr n = expr::index(Dim::symbol(name)), length = constant(t.length);
  const Expr turn = binary(ExprOp::Rem, binary(ExprOp::Mul, idx[a], n), length);
  const Expr cosine = expr::load(cosines, type, {turn}), sine = expr::load(sines, type, {turn});
  std::vector<Expr> at = to_vector(idx);
  at[a] = n;
  at.back() = constant(0);
  const Expr re = c.load(0, at);
  at.back() = constant(complex ? 1 : 0);
  const Expr im = complex ? c.load(0, at) : expr::constant(type, 0);
  // e^(-jwt) forwards, e^(jwt) backwards.
  const Expr minus = expr::unary(ExprOp::Neg, sine);
  const Expr real = t.inverse ? re * cosine - im * sine : re * cosine + im * sine;
  const Expr imaginary = t.inverse ? re * sine + im * cosine : im * cosine + re * minus;
  Expr term = expr::select(binary(ExprOp::Eq, idx.back(), constant(0)), real, imaginary);
  if (t.real_result()) {
    // The other half is the mirror image: all terms but the first and, for even lengths, the last count twice.
    Expr single = binary(ExprOp::Eq, n, constant(0));
    if (t.length % 2 == 0) single = binary(ExprOp::Or, single, binary(ExprOp::Eq, n, constant(t.length / 2)));
    term = expr::select(single, real, real + real);
  }
  Reduce sum{c.fresh("sum"), ReduceOp::Add, {{name, Dim(given)}}, 1, false, term};
  Expr value = expr::let(sum.name, type);
  block.push_back(Stmt{std::move(sum)});
  return t.inverse ? value * expr::constant(type, 1.0 / static_cast<double>(t.length)) : value;
}

Status lower_dft(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  if (!is_static(x)) return c.unsupported("the signal's length is not known", "fix it by --dim or --shape");
  ONNXC_ASSIGN(const auto t, transform_of(c.node(), x));
  const BufferId out = c.out(0);
  std::vector<Transform> choices;
  if (t) {
    choices.push_back(*t);
  } else {  // the axis is known at run time only: all of them, and the right one is taken
    if (c.has_input(1) || !is_static(c.out_shape()))
      return c.unsupported("axis or length is computed at run time", "make it constant");
    for (size_t a = 0; a + 1 < x.size(); ++a)
      choices.push_back({static_cast<int64_t>(a), x[a].value(), c.node().attr_int("inverse", 0) != 0, false});
  }
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    Block block;
    Expr value = transform_sum(c, choices[0], idx, block);
    if (!t) {
      const std::vector<Expr> zeros(c.in_shape(2).size(), constant(0));
      const Expr axis = wrap(to_index(c.load(2, zeros)), Dim(static_cast<int64_t>(x.size())));
      for (size_t a = 1; a < choices.size(); ++a)
        value = expr::select(binary(ExprOp::Eq, axis, constant(choices[a].axis)),
                             transform_sum(c, choices[a], idx, block), value);
    }
    block.push_back(Stmt{Store{out, to_vector(idx), value, nullptr}});
    return block;
  }));
  return ok();
}

// Up to opset 19 the axis is an attribute, 1 by default.
Status upgrade_dft_19(Graph& graph, Node& node) {
  if (node.num_inputs() < 2) node.resize_inputs(2);
  node.set_input(2, graph.add_constant(Tensor::i64({}, {node.attr_int("axis", 1)})));
  node.attrs.erase("axis");
  return ok();
}

// ---- STFT: signal [batch, length, 1 or 2], step, window, frame length

struct Frames {
  int64_t step = 0, length = 0;
  bool onesided = false;
};

Result<std::optional<Frames>> frames_of(const Node& node) {
  Frames f;
  const Shape& signal = *node.input(0)->type.shape;
  const auto step = known_number(node.input(1));
  std::optional<int64_t> length = known_number(node.input(3));
  const Value* window = node.input(2);
  if (!node.input(3) && window && window->type.shape && window->type.shape->size() == 1)
    length = (*window->type.shape)[0].constant();
  if (!node.input(3) && !window) length = signal[1].constant();
  if (!step || !length) return std::optional<Frames>();
  if (*step < 1 || *length < 1)
    return Error(ErrorKind::InvalidModel, "frame step and frame length must be positive", node.where());
  f.step = *step;
  f.length = *length;
  f.onesided = node.attr_int("onesided", 1) != 0;
  return std::optional(f);
}

Status infer_stft(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  const Shape& signal = c.shape(0);
  if (signal.size() != 3) return c.invalid("the signal " + shape_str(signal) + " must have three axes");
  ONNXC_ASSIGN(const auto f, frames_of(c.node));
  if (!f) return c.set(0, c.elem(0), {signal[0], c.unknown("frames"), c.unknown("bins"), Dim(2)}), ok();
  const Dim frames = Dim::floor_div(signal[1] - Dim(f->length), Dim(f->step)) + Dim(1);
  return c.set(0, c.elem(0), {signal[0], frames, Dim(f->onesided ? f->length / 2 + 1 : f->length), Dim(2)}), ok();
}

Status lower_stft(LowerContext& c) {
  ONNXC_ASSIGN(const auto f, frames_of(c.node()));
  if (!f) return c.unsupported("frame step or length is computed at run time", "make it constant");
  const Elem type = expr::arithmetic_type(c.in_elem(0));
  const bool complex = c.in_shape(0)[2].is_const() && c.in_shape(0)[2].value() == 2;
  const BufferId cosines = c.constant_buffer(turn_table(type, f->length, false)),
                 sines = c.constant_buffer(turn_table(type, f->length, true));
  const BufferId out = c.out(0);
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    const std::string name = c.fresh("n");
    const Expr n = expr::index(Dim::symbol(name));
    const Expr turn = binary(ExprOp::Rem, binary(ExprOp::Mul, idx[2], n), constant(f->length));
    const Expr cosine = expr::load(cosines, type, {turn}), sine = expr::load(sines, type, {turn});
    const Expr position = binary(ExprOp::Add, binary(ExprOp::Mul, idx[1], constant(f->step)), n);
    const auto part = [&](int64_t k) {
      const std::vector<Expr> at{idx[0], position, constant(k)}, window{n};
      const Expr x = c.load(0, at);
      return c.has_input(2) ? x * c.load(2, window) : x;
    };
    const Expr re = part(0), im = complex ? part(1) : expr::constant(type, 0);
    const Expr term =
        expr::select(binary(ExprOp::Eq, idx[3], constant(0)), re * cosine + im * sine, im * cosine - re * sine);
    Reduce sum{c.fresh("sum"), ReduceOp::Add, {{name, Dim(f->length)}}, 1, false, term};
    const Expr value = expr::let(sum.name, type);
    Block block;
    block.push_back(Stmt{std::move(sum)});
    block.push_back(Stmt{Store{out, to_vector(idx), value, nullptr}});
    return block;
  }));
  return ok();
}

// ---- MelWeightMatrix: triangles over the bins of a spectrum, evenly spaced on the mel scale

enum MelInput { kMelBins, kDftLength, kSampleRate, kLowerEdge, kUpperEdge };

Status infer_mel(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 5));
  const auto number = [&](size_t i) -> std::optional<Dim> {
    const auto& v = c.in_contents(i);
    return v && v->size() == 1 ? std::optional((*v)[0]) : std::nullopt;
  };
  const auto bins = number(kMelBins), length = number(kDftLength);
  const int64_t elem = c.node.attr_int("output_datatype", static_cast<int64_t>(Elem::F32));
  if (elem <= 0 || elem >= kElemCount) return c.invalid("output_datatype names no element type");
  c.set(0, static_cast<Elem>(elem),
        {length ? Dim::floor_div(*length, Dim(2)) + Dim(1) : c.unknown("bins"), bins ? *bins : c.unknown("mel_bins")});
  return ok();
}

Result<Expr> compute_mel(ComputeContext& c, std::span<const Expr> idx) {
  const Elem type = Elem::F64;  // positions are rounded down: as exact as the formula allows
  const auto num = [&](double v) { return expr::constant(type, v); };
  const auto input = [&](MelInput i) {
    const std::vector<Expr> at(c.in_shape(i).size(), constant(0));
    return expr::cast(c.load(i, at), type);
  };
  const auto mel = [&](const Expr& hertz) {
    return num(2595 / M_LN10) * expr::unary(ExprOp::Log1p, expr::binary(ExprOp::Div, hertz, num(700)));
  };
  const Expr low = mel(input(kLowerEdge)), high = mel(input(kUpperEdge));
  const Expr step = binary(ExprOp::Div, high - low, input(kMelBins) + num(2));
  // The bin of the spectrum where a corner lies; triangle i has the corners i, i + 1, i + 2.
  const auto corner = [&](int64_t k) {
    const Expr at = low + expr::cast(binary(ExprOp::Add, idx[1], constant(k)), type) * step;
    const Expr hertz = num(700) * expr::unary(ExprOp::Expm1, at * num(M_LN10 / 2595));
    return expr::unary(ExprOp::Floor, binary(ExprOp::Div, (input(kDftLength) + num(1)) * hertz, input(kSampleRate)));
  };
  const Expr left = corner(0), top = corner(1), right = corner(2), bin = expr::cast(idx[0], type);
  const auto between = [&](const Expr& from, const Expr& to, ExprOp until) {
    return binary(ExprOp::And, binary(ExprOp::Ge, bin, from), binary(until, bin, to));
  };
  const Expr rising = expr::select(binary(ExprOp::Eq, left, top), num(1), binary(ExprOp::Div, bin - left, top - left));
  const Expr falling = binary(ExprOp::Div, right - bin, right - top);
  const Expr value = expr::select(between(top, right, ExprOp::Lt), falling,
                                  expr::select(between(left, top, ExprOp::Le), rising, num(0)));
  return expr::cast(value, expr::arithmetic_type(c.out_elem()));
}

OpDef transform(std::string_view name, InferFn infer, LowerFn lower, std::vector<Upgrade> upgrades = {}) {
  OpDef d;
  d.name = name;
  d.infer = infer;
  d.lower = lower;
  d.upgrades = std::move(upgrades);
  d.accuracy = Accuracy::Accumulating;
  return d;
}

}  // namespace

OP(DFT) = transform("DFT", infer_dft, lower_dft, {{19, upgrade_dft_19}});
OP(STFT) = transform("STFT", infer_stft, lower_stft);
OP(MelWeightMatrix) = {
    .name = "MelWeightMatrix", .infer = infer_mel, .compute = compute_mel, .accuracy = Accuracy::Rounding};

}  // namespace onnxc
