// Products, convolutions and activations of com.microsoft that do in one node what ONNX does in several. See contrib.h.
// Tested by tests/differential/contrib_rows.py.
#include "compiler/ops/contrib.h"

namespace onnxc {
namespace {

using namespace contrib;

// `v` after the activation that is named, with its parameters.
Result<Value*> activated(GraphWriter& w, const Node& n, Value* v, const std::string& name,
                         const std::vector<float>& parameters) {
  const auto with = [&](std::initializer_list<const char*> names) -> GraphWriter::Attrs {
    GraphWriter::Attrs attrs;
    size_t i = 0;
    for (const char* attr : names)
      if (i < parameters.size()) attrs[attr] = parameters[i++];
    return attrs;
  };
  if (name.empty()) return v;
  if (name == "Relu" || name == "Tanh" || name == "Sigmoid" || name == "Softplus") return w.add(name, {v});
  if (name == "LeakyRelu") return w.add(name, {v}, with({"alpha"}));
  if (name == "HardSigmoid") return w.add(name, {v}, with({"alpha", "beta"}));
  if (name == "Clip" && parameters.size() == 2)
    return w.add(name,
                 {v, w.number(static_cast<double>(parameters[0]), v), w.number(static_cast<double>(parameters[1]), v)});
  return unsupported(n, "the activation \"" + name + "\" is not supported");
}

// With its batch axes before the rows: [rows, batch .., columns] if `batches`; then rows and columns exchanged.
Result<Value*> oriented(GraphWriter& w, const Node& n, size_t i, bool batches, bool exchanged) {
  if (!batches && !exchanged) return n.input(i);
  ONNXC_ASSIGN(const Shape shape, shape_of(n, i));
  const auto rank = static_cast<int64_t>(shape.size());
  if (rank < 2) return n.input(i);
  std::vector<int64_t> perm;
  for (int64_t d = 0; d < rank; ++d) perm.push_back(d);
  if (batches) std::rotate(perm.begin(), perm.begin() + 1, perm.end() - 1);
  if (exchanged) std::swap(perm[static_cast<size_t>(rank) - 2], perm[static_cast<size_t>(rank) - 1]);
  return w.transpose(n.input(i), std::move(perm));
}

Status decompose_fused_matmul(Graph& g, Node& n) {
  ONNXC_TRY(require_inputs(n, {0, 1}));
  GraphWriter w(g, n);
  ONNXC_ASSIGN(Value* const a, oriented(w, n, 0, n.attr_int("transBatchA", 0) != 0, n.attr_int("transA", 0) != 0));
  ONNXC_ASSIGN(Value* const b, oriented(w, n, 1, n.attr_int("transBatchB", 0) != 0, n.attr_int("transB", 0) != 0));
  Value* y = w.add("MatMul", {a, b});
  const float alpha = n.attr_float("alpha", 1);
  if (alpha != 1) y = w.add("Mul", {y, w.number(static_cast<double>(alpha), n.input(0))});
  w.replace({y});
  return ok();
}

Status decompose_fused_gemm(Graph& g, Node& n) {
  ONNXC_TRY(require_inputs(n, {0, 1}));
  GraphWriter w(g, n);
  std::vector<float> parameters;
  for (const char* name : {"activation_alpha", "activation_beta", "activation_gamma"})
    if (n.has(name)) parameters.push_back(n.attr_float(name, 0));
  Value* y = w.add("Gemm", n.inputs(),
                   attributes_without(n, {"activation", "activation_alpha", "activation_beta", "activation_gamma"}));
  ONNXC_ASSIGN(y, activated(w, n, y, n.attr_string("activation", ""), parameters));
  w.replace({y});
  return ok();
}

// X, W, B, and Z, which is added before the activation.
Status decompose_fused_conv(Graph& g, Node& n) {
  ONNXC_TRY(require_inputs(n, {0, 1}));
  GraphWriter w(g, n);
  Value* y =
      w.add("Conv", {n.input(0), n.input(1), n.input(2)}, attributes_without(n, {"activation", "activation_params"}));
  if (n.input(3)) y = w.add("Add", {y, n.input(3)});
  ONNXC_ASSIGN(y, activated(w, n, y, n.attr_string("activation", ""), n.attr_floats("activation_params")));
  w.replace({y});
  return ok();
}

Status gelu_of_sum(Graph& g, Node& n, const char* approximate) {
  ONNXC_TRY(require_inputs(n, {0}));
  GraphWriter w(g, n);
  Value* x = n.input(1) ? w.add("Add", {n.input(0), n.input(1)}) : n.input(0);
  w.replace({w.add("Gelu", {x}, {{"approximate", std::string(approximate)}})});
  return ok();
}
Status decompose_gelu(Graph& g, Node& n) { return gelu_of_sum(g, n, "none"); }
Status decompose_fast_gelu(Graph& g, Node& n) { return gelu_of_sum(g, n, "tanh"); }

Status decompose_quick_gelu(Graph& g, Node& n) {
  ONNXC_TRY(require_inputs(n, {0}));
  GraphWriter w(g, n);
  Value* x = n.input(0);
  Value* scaled = w.add("Mul", {x, w.number(static_cast<double>(n.attr_float("alpha", 1.702f)), x)});
  w.replace({w.add("Mul", {x, w.add("Sigmoid", {scaled})})});
  return ok();
}

}  // namespace

OP(MicrosoftFusedMatMul) = {.name = "FusedMatMul",
                            .domain = kMicrosoft,
                            .decompose = decompose_fused_matmul,
                            .accuracy = Accuracy::Accumulating};
OP(MicrosoftFusedGemm) = {
    .name = "FusedGemm", .domain = kMicrosoft, .decompose = decompose_fused_gemm, .accuracy = Accuracy::Accumulating};
OP(MicrosoftFusedConv) = {
    .name = "FusedConv", .domain = kMicrosoft, .decompose = decompose_fused_conv, .accuracy = Accuracy::Accumulating};
OP(MicrosoftGelu) = {.name = "Gelu", .domain = kMicrosoft, .decompose = decompose_gelu, .accuracy = Accuracy::Rounding};
OP(MicrosoftBiasGelu) = {
    .name = "BiasGelu", .domain = kMicrosoft, .decompose = decompose_gelu, .accuracy = Accuracy::Rounding};
OP(MicrosoftFastGelu) = {
    .name = "FastGelu", .domain = kMicrosoft, .decompose = decompose_fast_gelu, .accuracy = Accuracy::Rounding};
OP(MicrosoftQuickGelu) = {
    .name = "QuickGelu", .domain = kMicrosoft, .decompose = decompose_quick_gelu, .accuracy = Accuracy::Rounding};

}  // namespace onnxc
