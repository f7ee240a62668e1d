// Signals: DFT, STFT, MelWeightMatrix (onnx/docs/Operators.md). A DFT of known length is a product with a constant
// matrix, an STFT a convolution with one. Others are sums over a table of cosines and sines, made here where the length
// is known, else by each run. Tested by tests/conformance, tests/differential/test_signal.py and
// tests/api/test_free_dims.py.
#include <cmath>

#include "compiler/ops/graph_writer.h"
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;
using expr::operator+;
using expr::operator-;
using expr::operator*;

// cos and sin of 2 pi i / n, for i < n.
struct TurnTable {
  BufferId cosines, sines;
};

Tensor tensor_of(Elem elem, std::vector<int64_t> dims, const std::vector<double>& values) {
  if (elem == Elem::F64) return Tensor::of(elem, std::move(dims), values);
  return Tensor::f32(std::move(dims), {values.begin(), values.end()});
}

Tensor turn_table(Elem elem, int64_t n, bool sine) {
  std::vector<double> table;
  for (int64_t i = 0; i < n; ++i) {
    const double angle = 2 * M_PI * static_cast<double>(i) / static_cast<double>(n);
    table.push_back(sine ? std::sin(angle) : std::cos(angle));
  }
  return tensor_of(elem, {n}, table);
}

TurnTable make_turn_table(LowerContext& c, Elem elem, const Dim& n) {
  if (n.is_const())
    return {c.constant_buffer(turn_table(elem, n.value(), false)),
            c.constant_buffer(turn_table(elem, n.value(), true))};
  const TurnTable table{c.temporary(elem, {n}), c.temporary(elem, {n})};
  c.emit(make_nest(c, {n}, [&](std::span<const Expr> idx) {
    const auto number = [](const Expr& e) { return expr::cast(e, Elem::F64); };
    const Expr part = binary(ExprOp::Div, number(idx[0]), number(extent(n)));
    const Expr angle = expr::constant(Elem::F64, 2 * M_PI) * part;
    Block b;
    for (const auto& [buffer, op] : {std::pair(table.cosines, ExprOp::Cos), std::pair(table.sines, ExprOp::Sin)})
      b.push_back(Stmt{Store{buffer, {idx[0]}, expr::cast(expr::unary(op, angle), elem), nullptr}});
    return b;
  }));
  return table;
}

// What each part of each number of the signal adds to each part of each result: [given, parts, results, result parts].
struct TransformMatrix {
  int64_t length, given, parts, results, result_parts;
  bool inverse = false, mirrored = false;  // `mirrored`: all but the first and the middle number stand for two

  // Above this a table of sums is kept: a matrix grows with the square of the length.
  bool is_small() const { return given * parts * results * result_parts <= (int64_t{1} << 22); }
  std::vector<double> values() const {
    std::vector<double> out;
    for (int64_t n = 0; n < given; ++n)
      for (int64_t part = 0; part < parts; ++part)
        for (int64_t k = 0; k < results; ++k)
          for (int64_t r = 0; r < result_parts; ++r) out.push_back(value(n, part, k, r));
    return out;
  }

 private:
  // e^(-jwt) forwards, e^(jwt) backwards.
  double value(int64_t n, int64_t part, int64_t k, int64_t result_part) const {
    const double angle = 2 * M_PI * static_cast<double>(n * k % length) / static_cast<double>(length);
    const double sine = inverse ? std::sin(angle) : -std::sin(angle);
    double v = part == result_part ? std::cos(angle) : result_part == 1 ? sine : -sine;
    if (inverse) v /= static_cast<double>(length);
    return mirrored && n != 0 && 2 * n != length ? 2 * v : v;
  }
};

// An optional input that tells a dim: one integer, if only as a symbol.
Status require_known_scalar(InferContext& c, size_t i) {
  ONNXC_TRY(require_scalar(c, i));
  const auto& contents = c.in_contents(i);
  return !c.has_input(i) || (contents && contents->size() == 1)
             ? ok()
             : Status(c.unsupported("the shape of input " + std::to_string(i) + " is not known", "declare it"));
}

// The last axis of a signal holds real numbers, or real and imaginary parts.
Status check_numbers(InferContext& c, const Dim& parts) {
  const std::string what = "the last axis must hold 1 or 2 numbers, not " + parts.str();
  return c.require_equal((parts - Dim(1)) * (parts - Dim(2)), Dim(0), what);
}
struct Number {
  Expr re, im;
};
// `load` gives a part of the number.
Number load_number(const Dim& parts, Elem type, const std::function<Expr(const Expr&)>& load) {
  const Expr zero = expr::constant(type, 0);
  if (parts.is_const()) return {load(constant(0)), parts.value() == 2 ? load(constant(1)) : zero};
  const Expr last = extent(Dim::min(parts, 2) - Dim(1));
  return {load(constant(0)), expr::select(binary(ExprOp::Eq, last, constant(1)), load(last), zero)};
}

// ---- DFT

struct Transform {
  size_t axis = 0;
  Dim length;  // of the signal, zero-padded or cut
  bool inverse = false, onesided = false;
  bool real_result() const { return inverse && onesided; }
  Dim half() const { return Dim::floor_div(length, 2); }
  Dim results() const { return onesided && !inverse ? half() + Dim(1) : length; }
};

// For each axis but the last: the transform along it, and 1 where it is the axis to transform, else 0. An axis that is
// known not to be is left out.
struct Choice {
  Transform transform;
  Dim chosen;
};

Result<std::vector<Choice>> transforms_of(const Node& node, const Shape& x) {
  if (x.size() < 2)
    return Error(ErrorKind::InvalidModel, "the input " + shape_str(x) + " holds no signal", node.where());
  Contents axis{Dim(-2)};
  if (node.input(2)) axis = *contents_of(node.input(2));
  ONNXC_ASSIGN(const std::vector<Dim> chosen, chosen_axes(node, axis, x.size()));
  ONNXC_TRY(require_equal(node, chosen.back(), Dim(0), "the last axis holds numbers, no signal"));
  std::vector<Choice> choices;
  for (size_t a = 0; a + 1 < x.size(); ++a) {
    if (chosen[a] == Dim(0)) continue;
    Transform t{a, x[a], node.attr_int("inverse", 0) != 0, node.attr_int("onesided", 0) != 0};
    if (node.input(1))
      t.length = contents_of(node.input(1))->front();
    else if (t.real_result())
      t.length = Dim(2) * (x[a] - Dim(1));
    const Dim lack = chosen[a] * (t.length - Dim(1));
    ONNXC_TRY(require_non_negative(node, lack, "the transform has the length " + t.length.str()));
    if (!node.input(1) && t.real_result()) t.length = Dim::max(t.length, 1);  // of an axis that is not the one
    choices.push_back({t, chosen[a]});
  }
  return choices;
}

Status infer_dft(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  for (size_t i : {1, 2}) ONNXC_TRY(require_known_scalar(c, i));
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  Shape out = c.shape(0);
  if (!out.empty()) ONNXC_TRY(check_numbers(c, out.back()));
  ONNXC_ASSIGN(const std::vector<Choice> choices, transforms_of(c.node, out));
  for (const auto& [t, chosen] : choices) out[t.axis] = chosen * t.results() + (Dim(1) - chosen) * out[t.axis];
  out.back() = Dim(choices.front().transform.real_result() ? 1 : 2);
  return c.set(0, c.elem(0), std::move(out)), ok();
}

// The sum for one output element as a Reduce in `block`. `part`: 0 real, 1 imaginary.
Expr transform_sum(LowerContext& c, const Transform& t, const TurnTable& table, std::span<const Expr> idx,
                   Block& block) {
  const Shape& x = c.in_shape(0);
  const size_t a = t.axis;
  const Elem type = expr::arithmetic_type(c.in_elem(0));
  const Dim given = Dim::min(x[a], t.real_result() ? t.half() + Dim(1) : t.length);
  const std::string name = c.fresh("n");
  const Expr n = expr::index(Dim::symbol(name)), length = extent(t.length);
  const Expr turn = binary(ExprOp::Rem, binary(ExprOp::Mul, idx[a], n), length);
  const Expr cosine = expr::load(table.cosines, type, {turn}), sine = expr::load(table.sines, type, {turn});
  // Another axis is as long as the input's, but where it is the one to transform.
  std::vector<Expr> at;
  for (size_t d = 0; d < x.size(); ++d)
    at.push_back(d == a ? n : c.out_shape()[d] == x[d] ? idx[d] : clamp(idx[d], x[d]));
  const auto [re, im] = load_number(x.back(), type, [&](const Expr& part) {
    at.back() = part;
    return c.load(0, at);
  });
  // e^(-jwt) forwards, e^(jwt) backwards.
  const Expr minus = expr::unary(ExprOp::Neg, sine);
  const Expr real = t.inverse ? re * cosine - im * sine : re * cosine + im * sine;
  const Expr imaginary = t.inverse ? re * sine + im * cosine : im * cosine + re * minus;
  Expr term = expr::select(binary(ExprOp::Eq, idx.back(), constant(0)), real, imaginary);
  if (t.real_result()) {
    // The other half is the mirror image: all terms but the first and, for even lengths, the last count twice.
    Expr single = binary(ExprOp::Eq, n, constant(0));
    const Expr even = binary(ExprOp::Eq, extent(Dim::mod(t.length, 2)), constant(0)),
               last = binary(ExprOp::Eq, n, extent(t.half()));
    if (t.length.is_const()) {
      if (t.length.value() % 2 == 0) single = binary(ExprOp::Or, single, last);
    } else {
      single = binary(ExprOp::Or, single, binary(ExprOp::And, even, last));
    }
    term = expr::select(single, real, real + real);
  }
  Reduce sum{c.fresh("sum"), ReduceOp::Add, {{name, given}}, 1, false, term};
  Expr value = expr::let(sum.name, type);
  block.push_back(Stmt{std::move(sum)});
  if (!t.inverse) return value;
  if (t.length.is_const()) return value * expr::constant(type, 1.0 / static_cast<double>(t.length.value()));
  return binary(ExprOp::Div, value, expr::cast(length, type));
}

Status lower_dft(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  ONNXC_ASSIGN(const std::vector<Choice> choices, transforms_of(c.node(), x));
  std::vector<TurnTable> tables;
  for (const auto& [t, chosen] : choices)
    tables.push_back(make_turn_table(c, expr::arithmetic_type(c.in_elem(0)), t.length));
  const BufferId out = c.out(0);
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    Block block;
    Expr value;
    for (size_t i = 0; i < choices.size(); ++i) {
      const Expr sum = transform_sum(c, choices[i].transform, tables[i], idx, block);
      const Expr is_it = binary(ExprOp::Eq, extent(choices[i].chosen), constant(1));
      value = value ? expr::select(is_it, sum, value) : sum;
    }
    block.push_back(Stmt{Store{out, to_vector(idx), value, nullptr}});
    return block;
  }));
  return ok();
}

bool is_whole_number(const Dim& d) { return d.is_const() && d.value() > 0; }
bool has_matrix_products(Elem elem) { return elem == Elem::F32 || elem == Elem::F64; }

std::optional<TransformMatrix> matrix_of(const Transform& t, const Shape& x) {
  if (!is_whole_number(t.length) || !is_whole_number(x[t.axis]) || !is_whole_number(x.back())) return std::nullopt;
  const Dim given = Dim::min(x[t.axis], t.real_result() ? t.half() + Dim(1) : t.length);
  const TransformMatrix m{t.length.value(),        given.value(), x.back().value(), t.results().value(),
                          t.real_result() ? 1 : 2, t.inverse,     t.real_result()};
  return m.is_small() ? std::optional(m) : std::nullopt;
}

// The only transform, where the axis is known.
std::optional<Transform> only_transform(const Node& node) {
  if (!node.input(0)->type.shape || (node.input(2) && !contents_of(node.input(2)))) return std::nullopt;
  const auto choices = transforms_of(node, *node.input(0)->type.shape);
  if (!choices || choices->size() != 1 || choices->front().chosen != Dim(1)) return std::nullopt;
  return choices->front().transform;
}

bool dft_is_product(const Node& node) {
  const auto t = only_transform(node);
  return t && has_matrix_products(node.input(0)->type.elem) && matrix_of(*t, *node.input(0)->type.shape);
}

Status decompose_dft(Graph& graph, Node& node) {
  GraphWriter write(graph, node);
  const Transform t = *only_transform(node);
  Value* x = node.input(0);
  const Shape shape = *x->type.shape;
  const TransformMatrix m = *matrix_of(t, shape);
  const auto last = static_cast<int64_t>(shape.size()) - 1;
  std::vector<int64_t> perm, back(shape.size()), flat;  // the axis to transform beside the parts, and back
  for (int64_t d = 0; d < last; ++d)
    if (static_cast<size_t>(d) != t.axis) perm.push_back(d);
  flat.assign(perm.size(), 0);
  perm.insert(perm.end(), {static_cast<int64_t>(t.axis), last});
  for (size_t d = 0; d < perm.size(); ++d) back[static_cast<size_t>(perm[d])] = static_cast<int64_t>(d);
  const bool moves = t.axis + 2 != shape.size();
  if (moves) x = write.transpose(x, perm);
  if (Dim(m.given) != shape[t.axis]) {
    const auto axis = last - 1;
    x = write.add("Slice", {x, write.ints({0}), write.ints({m.given}), write.ints({axis})});
  }
  std::vector<int64_t> split = flat;
  flat.push_back(m.given * m.parts);
  split.insert(split.end(), {m.results, m.result_parts});
  Value* matrix =
      write.constant(tensor_of(node.input(0)->type.elem, {m.given * m.parts, m.results * m.result_parts}, m.values()));
  Value* y = write.reshape(write.add("MatMul", {write.reshape(x, flat), matrix}), split);
  write.replace({moves ? write.transpose(y, back) : y});
  return ok();
}

// Up to opset 19 the axis is an attribute, 1 by default.
Status upgrade_dft_19(Graph& graph, Node& node) {
  if (node.num_inputs() < 2) node.resize_inputs(2);
  node.set_input(2, graph.add_constant(Tensor::i64({}, {node.attr_int("axis", 1)})));
  node.attrs.erase("axis");
  return ok();
}

// ---- STFT: signal [batch, length, 1 or 2], step, window, frame length. Files and ONNX Runtime also have [batch,
// length], of real numbers.

struct Frames {
  Dim step, length;
  bool onesided = false;
};

Result<Frames> frames_of(const Node& node) {
  const Shape& signal = *node.input(0)->type.shape;
  const Value *step = node.input(1), *window = node.input(2), *length = node.input(3);
  Frames f{contents_of(step)->front(), signal[1], node.attr_int("onesided", 1) != 0};
  if (length)
    f.length = contents_of(length)->front();
  else if (window)
    f.length = window->type.shape->front();
  ONNXC_TRY(require_non_negative(node, f.step - Dim(1), "the frame step must be positive"));
  ONNXC_TRY(require_non_negative(node, f.length - Dim(1), "the frame length must be positive"));
  return f;
}

Status infer_stft(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  const Shape& signal = c.shape(0);
  if (signal.size() != 2 && signal.size() != 3)
    return c.invalid("the signal " + shape_str(signal) + " must have two or three axes");
  if (signal.size() == 3) ONNXC_TRY(check_numbers(c, signal[2]));
  ONNXC_TRY(require_known_scalar(c, 1));
  ONNXC_TRY(require_known_scalar(c, 3));
  if (c.has_input(2) && (!c.has_shape(2) || c.shape(2).size() != 1)) return c.invalid("the window must have one axis");
  ONNXC_ASSIGN(const Frames f, frames_of(c.node));
  if (c.has_input(2)) ONNXC_TRY(require_same_shape(c.node, c.shape(2), {f.length}, "the window is no frame"));
  const Dim rest = signal[1] - f.length, bins = f.onesided ? Dim::floor_div(f.length, 2) + Dim(1) : f.length;
  ONNXC_TRY(require_non_negative(c.node, rest, "the frame is longer than the signal " + shape_str(signal)));
  return c.set(0, c.elem(0), {signal[0], Dim::floor_div(rest, f.step) + Dim(1), bins, Dim(2)}), ok();
}

Status lower_stft(LowerContext& c) {
  ONNXC_ASSIGN(const Frames f, frames_of(c.node()));
  const Elem type = expr::arithmetic_type(c.in_elem(0));
  const TurnTable table = make_turn_table(c, type, f.length);
  const BufferId out = c.out(0);
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    const std::string name = c.fresh("n");
    const Expr n = expr::index(Dim::symbol(name));
    const Expr turn = binary(ExprOp::Rem, binary(ExprOp::Mul, idx[2], n), extent(f.length));
    const Expr cosine = expr::load(table.cosines, type, {turn}), sine = expr::load(table.sines, type, {turn});
    const Expr position = binary(ExprOp::Add, binary(ExprOp::Mul, idx[1], extent(f.step)), n);
    const auto [re, im] = load_number(c.in_shape(0)[2], type, [&](const Expr& part) {
      const std::vector<Expr> at{idx[0], position, part}, window{n};
      const Expr x = c.load(0, at);
      return c.has_input(2) ? x * c.load(2, window) : x;
    });
    const Expr term =
        expr::select(binary(ExprOp::Eq, idx[3], constant(0)), re * cosine + im * sine, im * cosine - re * sine);
    Reduce sum{c.fresh("sum"), ReduceOp::Add, {{name, f.length}}, 1, false, term};
    const Expr value = expr::let(sum.name, type);
    Block block;
    block.push_back(Stmt{std::move(sum)});
    block.push_back(Stmt{Store{out, to_vector(idx), value, nullptr}});
    return block;
  }));
  return ok();
}

std::optional<TransformMatrix> matrix_of_frames(const Node& node) {
  const Value* window = node.input(2);
  for (size_t i : {0, 2})
    if (node.input(i) && !node.input(i)->type.shape) return std::nullopt;
  for (size_t i : {1, 3})
    if (node.input(i) && !contents_of(node.input(i))) return std::nullopt;
  const auto frames = frames_of(node);
  const Dim& parts = node.input(0)->type.shape->back();
  if (!frames || !is_whole_number(frames->step) || !is_whole_number(frames->length) || !is_whole_number(parts) ||
      (window && !window->is_constant()))
    return std::nullopt;
  const int64_t length = frames->length.value();
  const TransformMatrix m{length, length, parts.value(), frames->onesided ? length / 2 + 1 : length, 2};
  return m.is_small() ? std::optional(m) : std::nullopt;
}

bool has_two_axes(const Node& node) { return node.input(0)->type.shape && node.input(0)->type.shape->size() == 2; }

bool stft_decomposes(const Node& node) {
  return has_two_axes(node) || (has_matrix_products(node.input(0)->type.elem) && matrix_of_frames(node));
}

// A convolution: one output channel for each part of each result; the kernel is the window.
Status decompose_stft(Graph& graph, Node& node) {
  GraphWriter write(graph, node);
  if (has_two_axes(node)) {
    std::vector<Value*> inputs = node.inputs();
    inputs[0] = write.reshape(inputs[0], {0, 0, 1});
    write.replace({write.add("STFT", std::move(inputs), node.attrs)});
    return ok();
  }
  const TransformMatrix m = *matrix_of_frames(node);
  ONNXC_ASSIGN(const Frames frames, frames_of(node));
  Value* matrix =
      write.constant(tensor_of(node.input(0)->type.elem, {m.given, m.parts, m.results * m.result_parts}, m.values()));
  Value* kernel = write.transpose(matrix, {2, 1, 0});
  if (node.input(2)) kernel = write.add("Mul", {kernel, node.input(2)});
  Value* bins = write.add("Conv", {write.transpose(node.input(0), {0, 2, 1}), kernel},
                          {{"strides", std::vector<int64_t>{frames.step.value()}}});
  write.replace({write.reshape(write.transpose(bins, {0, 2, 1}), {0, 0, m.results, m.result_parts})});
  return ok();
}

// ---- MelWeightMatrix: triangles over the bins of a spectrum, evenly spaced on the mel scale

enum MelInput { kMelBins, kDftLength, kSampleRate, kLowerEdge, kUpperEdge };

Status infer_mel(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 5));
  for (size_t i = 0; i < 5; ++i) ONNXC_TRY(require_scalar(c, i));
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

OpDef transform(std::string_view name, InferFn infer, DecomposeFn decompose, ConditionFn decompose_if, LowerFn lower,
                std::vector<Upgrade> upgrades = {}) {
  OpDef d;
  d.name = name;
  d.infer = infer;
  d.decompose = decompose;
  d.decompose_if = decompose_if;
  d.lower = lower;
  d.upgrades = std::move(upgrades);
  d.accuracy = Accuracy::Accumulating;
  return d;
}

}  // namespace

OP(DFT) = transform("DFT", infer_dft, decompose_dft, dft_is_product, lower_dft, {{19, upgrade_dft_19}});
OP(STFT) = transform("STFT", infer_stft, decompose_stft, stft_decomposes, lower_stft);
OP(MelWeightMatrix) = {
    .name = "MelWeightMatrix", .infer = infer_mel, .compute = compute_mel, .accuracy = Accuracy::Rounding};

}  // namespace onnxc
