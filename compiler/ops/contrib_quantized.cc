// Quantised operators of com.microsoft: what ONNX says with DequantizeLinear and QuantizeLinear around an operator of
// floats, or with products of integers. See contrib.h. Tested by tests/differential/contrib_rows.py.
#include "compiler/ops/contrib.h"

namespace onnxc {
namespace {

using namespace contrib;

// Tensor, scale, zero point: inputs i, i + 1, i + 2.
Value* dequantized(GraphWriter& w, const Node& n, size_t i, GraphWriter::Attrs attrs = {}) {
  return w.add("DequantizeLinear", {n.input(i), n.input(i + 1), n.input(i + 2)}, std::move(attrs));
}
// Scale and zero point are inputs i and i + 1; of the type of `like` where there is no zero point.
Value* quantized(GraphWriter& w, const Node& n, Value* y, size_t i, const Value* like) {
  GraphWriter::Attrs attrs;
  if (!n.input(i + 1)) attrs["output_dtype"] = static_cast<int64_t>(like->type.elem);
  return w.add("QuantizeLinear", {y, n.input(i), n.input(i + 1)}, std::move(attrs));
}

// a, its scale and zero point, b, its ones, the result's.
Status binary_of_floats(Graph& g, Node& n, const char* op) {
  ONNXC_TRY(require_inputs(n, {0, 1, 3, 4, 6}));
  GraphWriter w(g, n);
  Value* y = w.add(op, {dequantized(w, n, 0), dequantized(w, n, 3)});
  w.replace({quantized(w, n, y, 6, n.input(0))});
  return ok();
}
Status decompose_qlinear_add(Graph& g, Node& n) { return binary_of_floats(g, n, "Add"); }
Status decompose_qlinear_mul(Graph& g, Node& n) { return binary_of_floats(g, n, "Mul"); }

// x, its scale and zero point, the result's.
Status unary_of_floats(Graph& g, Node& n, const char* op, GraphWriter::Attrs attrs) {
  ONNXC_TRY(require_inputs(n, {0, 1, 3}));
  GraphWriter w(g, n);
  w.replace({quantized(w, n, w.add(op, {dequantized(w, n, 0)}, std::move(attrs)), 3, n.input(0))});
  return ok();
}
Status decompose_qlinear_sigmoid(Graph& g, Node& n) { return unary_of_floats(g, n, "Sigmoid", {}); }
Status decompose_qlinear_leaky_relu(Graph& g, Node& n) {
  return unary_of_floats(g, n, "LeakyRelu", {{"alpha", n.attr_float("alpha", 0.01f)}});
}
// Up to opset 12 all axes from `axis` on are one.
Status decompose_qlinear_softmax(Graph& g, Node& n) {
  ONNXC_TRY(require_inputs(n, {0, 1, 3}));
  const bool old = n.attr_int("opset", 13) < 13;
  int64_t axis = n.attr_int("axis", -1);
  if (!old) return unary_of_floats(g, n, "Softmax", {{"axis", axis}});
  ONNXC_ASSIGN(const Shape shape, shape_of(n, 0));
  const auto rank = static_cast<int64_t>(shape.size());
  if (axis < -rank || axis >= rank) return invalid(n, "axis " + std::to_string(axis) + " is outside of the input");
  if (axis < 0) axis += rank;
  GraphWriter w(g, n);
  Value* flat = w.add("Flatten", {dequantized(w, n, 0)}, {{"axis", axis}});
  Value* y = w.add("Reshape", {w.add("Softmax", {flat}, {{"axis", int64_t{-1}}}), w.add("Shape", {n.input(0)})});
  w.replace({quantized(w, n, y, 3, n.input(0))});
  return ok();
}

// The result's scale and zero point, then tensors with theirs.
Status decompose_qlinear_concat(Graph& g, Node& n) {
  ONNXC_TRY(require_inputs(n, {0, 1}));
  if (n.num_inputs() < 5 || n.num_inputs() % 3 != 2)
    return invalid(n, "the inputs are no scale, zero point and groups of three");
  GraphWriter w(g, n);
  std::vector<Value*> parts;
  for (size_t i = 2; i < n.num_inputs(); i += 3) {
    ONNXC_TRY(require_inputs(n, {i, i + 1}));
    parts.push_back(dequantized(w, n, i));
  }
  Value* y = w.add("Concat", std::move(parts), {{"axis", n.attr_int("axis", 0)}});
  w.replace({quantized(w, n, y, 0, n.input(2))});
  return ok();
}

std::vector<int64_t> channels_first(size_t rank) {
  std::vector<int64_t> perm{0, static_cast<int64_t>(rank) - 1};
  for (size_t d = 1; d + 1 < rank; ++d) perm.push_back(static_cast<int64_t>(d));
  return perm;
}
std::vector<int64_t> channels_last(size_t rank) {
  std::vector<int64_t> perm{0};
  for (size_t d = 2; d < rank; ++d) perm.push_back(static_cast<int64_t>(d));
  perm.push_back(1);
  return perm;
}

Status pool_of_floats(Graph& g, Node& n, const char* op) {
  ONNXC_TRY(require_inputs(n, {0, 1, 3}));
  ONNXC_ASSIGN(const Shape shape, shape_of(n, 0));
  if (shape.size() < 3) return invalid(n, "the input " + shape_str(shape) + " has no spatial axis");
  GraphWriter w(g, n);
  const bool last = n.attr_int("channels_last", 0) != 0;
  Value* x = dequantized(w, n, 0);
  if (last) x = w.transpose(x, channels_first(shape.size()));
  Value* y = w.add(op, {x}, attributes_without(n, {"channels_last"}));
  if (last) y = w.transpose(y, channels_last(shape.size()));
  w.replace({quantized(w, n, y, 3, n.input(0))});
  return ok();
}
Status decompose_qlinear_average_pool(Graph& g, Node& n) { return pool_of_floats(g, n, "AveragePool"); }
Status decompose_qlinear_global_average_pool(Graph& g, Node& n) { return pool_of_floats(g, n, "GlobalAveragePool"); }

Status decompose_nhwc_max_pool(Graph& g, Node& n) {
  ONNXC_ASSIGN(const Shape shape, shape_of(n, 0));
  if (shape.size() < 3) return invalid(n, "the input " + shape_str(shape) + " has no spatial axis");
  GraphWriter w(g, n);
  Value* x = w.transpose(n.input(0), channels_first(shape.size()));
  w.replace({w.transpose(w.add("MaxPool", {x}, n.attrs), channels_last(shape.size()))});
  return ok();
}

// ---- products

// The product of integers without their zero points, I32.
Value* integer_product(GraphWriter& w, Value* a, Value* b, Value* a_zero, Value* b_zero) {
  return w.add("MatMulInteger", {a, b, a_zero, b_zero});
}

Value* scaled(GraphWriter& w, Value* ints, Value* a_scale, Value* b_scale, Value* bias) {
  Value* y = w.add("Mul", {w.add("CastLike", {ints, a_scale}), w.add("Mul", {a_scale, b_scale})});
  return bias ? w.add("Add", {y, bias}) : y;
}

// a, b, their scales, their zero points, bias
Status decompose_matmul_integer_to_float(Graph& g, Node& n) {
  ONNXC_TRY(require_inputs(n, {0, 1, 2, 3}));
  GraphWriter w(g, n);
  Value* ints = integer_product(w, n.input(0), n.input(1), n.input(4), n.input(5));
  w.replace({scaled(w, ints, n.input(2), n.input(3), n.input(6))});
  return ok();
}

// a (floats), b, b's scale and zero point, bias
Status decompose_dynamic_quantize_matmul(Graph& g, Node& n) {
  ONNXC_TRY(require_inputs(n, {0, 1, 2}));
  GraphWriter w(g, n);
  Node* a = w.node("DynamicQuantizeLinear", {n.input(0)}, {}, 3);
  Value* ints = integer_product(w, a->output(0), n.input(1), a->output(2), n.input(3));
  w.replace({scaled(w, ints, a->output(1), n.input(2), n.input(4))});
  return ok();
}

// a, its scale and zero point, b, its ones, c (in units of both scales), the result's ones; without these: floats
Status decompose_qgemm(Graph& g, Node& n) {
  ONNXC_TRY(require_inputs(n, {0, 1, 3, 4}));
  GraphWriter w(g, n);
  const auto turned = [&](size_t i, const char* attr) {
    return n.attr_int(attr, 0) != 0 ? w.transpose(n.input(i), {1, 0}) : n.input(i);
  };
  Value* ints = integer_product(w, turned(0, "transA"), turned(3, "transB"), n.input(2), n.input(5));
  if (n.input(6)) ints = w.add("Add", {ints, n.input(6)});
  Value* scale = w.add("Mul", {n.input(1), n.input(4)});
  if (const float alpha = n.attr_float("alpha", 1); alpha != 1)
    scale = w.add("Mul", {scale, w.number(static_cast<double>(alpha), scale)});
  Value* y = w.add("Mul", {w.cast(ints, Elem::F32), scale});
  if (n.input(7)) y = quantized(w, n, y, 7, n.input(0));
  w.replace({y});
  return ok();
}

// Numbers of `bits` each, low ones first, of which a byte holds 8 / bits: one per byte.
Tensor unpacked(const Tensor& packed, int64_t rows, int64_t columns, int64_t bits) {
  const auto bytes = packed.as<uint8_t>();
  const int64_t per_byte = 8 / bits, row_bytes = static_cast<int64_t>(bytes.size()) / std::max<int64_t>(rows, 1);
  std::vector<uint8_t> out;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      const uint8_t byte = bytes[static_cast<size_t>(r * row_bytes + c / per_byte)];
      out.push_back(static_cast<uint8_t>(byte >> (c % per_byte * bits) & ((1 << bits) - 1)));
    }
  return Tensor::of(Elem::U8, {rows, columns}, out);
}

// a, b: [rows of the weights, blocks, bytes of a block], scales and zero points of the blocks, g_idx, bias
Status decompose_matmul_nbits(Graph& g, Node& n) {
  ONNXC_TRY(require_inputs(n, {0, 1, 2}));
  const int64_t bits = n.attr_int("bits", 4), block = n.attr_int("block_size", 0);
  const int64_t columns = n.attr_int("K", 0), rows = n.attr_int("N", 0);
  if (n.input(4)) return unsupported(n, "g_idx is not supported");
  if (bits != 2 && bits != 4 && bits != 8) return unsupported(n, "weights of " + std::to_string(bits) + " bits");
  if (block < 8 || columns < 1 || rows < 1 || columns > (int64_t{1} << 31) || rows > (int64_t{1} << 31) ||
      block > (int64_t{1} << 20))
    return invalid(n, "K, N and block_size do not fit");
  if (!n.input(1)->is_constant()) return unsupported(n, "weights that only a run knows");
  const int64_t blocks = (columns + block - 1) / block;
  const Tensor& b = *n.input(1)->constant;
  if (b.elem() != Elem::U8 || b.numel() != rows * blocks * (block * bits / 8))
    return invalid(n, "the weights do not have N rows of K columns in blocks");
  GraphWriter w(g, n);
  Value* scales = w.reshape(n.input(2), {rows, blocks});
  Value* q = g.add_constant(unpacked(b, rows, blocks * block, bits).reshaped({rows, blocks * block}));
  Value* zero = nullptr;
  Value* weights = nullptr;
  if (n.input(3) && n.input(3)->type.elem != Elem::U8) {  // of floats
    Value* floats = w.reshape(w.add("CastLike", {q, scales}), {rows, blocks, block});
    Value* shifted = w.add("Sub", {floats, w.reshape(n.input(3), {rows, blocks, 1})});
    weights = w.reshape(w.add("Mul", {shifted, w.reshape(scales, {rows, blocks, 1})}), {rows, blocks * block});
  } else {
    if (n.input(3)) {
      if (!n.input(3)->is_constant()) return unsupported(n, "zero points that only a run knows");
      const Tensor& zeros = *n.input(3)->constant;
      if (zeros.numel() != rows * ((blocks * bits + 7) / 8))
        return invalid(n, "there are as many zero points as blocks, each row's in whole bytes");
      zero = g.add_constant(unpacked(zeros, rows, blocks, bits));
    } else {
      const std::vector<uint8_t> middle(static_cast<size_t>(rows * blocks), static_cast<uint8_t>(1 << (bits - 1)));
      zero = g.add_constant(Tensor::of(Elem::U8, {rows, blocks}, middle));
    }
    weights = w.add("DequantizeLinear", {q, scales, zero}, {{"axis", int64_t{1}}, {"block_size", block}});
  }
  if (blocks * block != columns) weights = w.add("Slice", {weights, w.ints({0}), w.ints({columns}), w.ints({1})});
  Value* y = w.add("MatMul", {n.input(0), w.transpose(weights, {1, 0})});
  if (n.input(5)) y = w.add("Add", {y, n.input(5)});
  w.replace({y});
  return ok();
}

// ---- DynamicQuantizeLSTM: an LSTM of floats whose weights, [directions, inputs, 4 hidden], are integers with a scale
// (and a zero point) for each direction, or each direction and column. What flows through it is not quantised.

enum QuantizedLstm { kX, kW, kR, kBias, kLengths, kHidden, kCell, kPeepholes, kWScale, kWZero, kRScale, kRZero };

Value* lstm_weights(GraphWriter& w, const Node& n, QuantizedLstm weights, QuantizedLstm scale, QuantizedLstm zero) {
  const auto per_column = [&](Value* v) { return w.reshape(v, {0, 1, -1}); };
  Value* numbers = w.cast(n.input(weights), Elem::F32);
  if (n.input(zero)) numbers = w.add("Sub", {numbers, per_column(w.cast(n.input(zero), Elem::F32))});
  return w.transpose(w.add("Mul", {numbers, per_column(n.input(scale))}), {0, 2, 1});
}

Status decompose_dynamic_quantize_lstm(Graph& g, Node& n) {
  ONNXC_TRY(require_inputs(n, {kX, kW, kR, kWScale, kRScale}));
  GraphWriter w(g, n);
  Value *weights = lstm_weights(w, n, kW, kWScale, kWZero), *recurrent = lstm_weights(w, n, kR, kRScale, kRZero);
  Node* lstm = w.node("LSTM",
                      {n.input(kX), weights, recurrent, n.input(kBias), n.input(kLengths), n.input(kHidden),
                       n.input(kCell), n.input(kPeepholes)},
                      n.attrs, 3);
  w.replace({lstm->output(0), lstm->output(1), lstm->output(2)});
  return ok();
}

OpDef make(std::string_view name, DecomposeFn decompose, Accuracy accuracy = Accuracy::Rounding) {
  OpDef d;
  d.name = name;
  d.domain = kMicrosoft;
  d.decompose = decompose;
  d.accuracy = accuracy;
  return d;
}

}  // namespace

OP(MicrosoftQLinearAdd) = make("QLinearAdd", decompose_qlinear_add);
OP(MicrosoftQLinearMul) = make("QLinearMul", decompose_qlinear_mul);
OP(MicrosoftQLinearSigmoid) = make("QLinearSigmoid", decompose_qlinear_sigmoid);
OP(MicrosoftQLinearLeakyRelu) = make("QLinearLeakyRelu", decompose_qlinear_leaky_relu);
OP(MicrosoftQLinearSoftmax) = make("QLinearSoftmax", decompose_qlinear_softmax);
OP(MicrosoftQLinearConcat) = make("QLinearConcat", decompose_qlinear_concat);
OP(MicrosoftQLinearAveragePool) = make("QLinearAveragePool", decompose_qlinear_average_pool);
OP(MicrosoftQLinearGlobalAveragePool) = make("QLinearGlobalAveragePool", decompose_qlinear_global_average_pool);
OP(MicrosoftNhwcMaxPool) = make("NhwcMaxPool", decompose_nhwc_max_pool, Accuracy::Exact);
OP(MicrosoftMatMulIntegerToFloat) = make("MatMulIntegerToFloat", decompose_matmul_integer_to_float);
OP(MicrosoftDynamicQuantizeMatMul) = make("DynamicQuantizeMatMul", decompose_dynamic_quantize_matmul);
OP(MicrosoftQGemm) = make("QGemm", decompose_qgemm);
OP(MicrosoftDynamicQuantizeLSTM) = make("DynamicQuantizeLSTM", decompose_dynamic_quantize_lstm, Accuracy::Accumulating);
OP(MicrosoftMatMulNBits) = make("MatMulNBits", decompose_matmul_nbits, Accuracy::Accumulating);

}  // namespace onnxc
