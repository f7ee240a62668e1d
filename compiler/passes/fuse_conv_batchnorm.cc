// fuse_conv_batchnorm: BatchNormalization (inference) and multiplication or addition of constants per channel after
// Conv, ConvTranspose, Gemm or another BatchNormalization become part of that node's weights. Computed in double and
// rounded once. Only where the intermediate value has no other reader. Tested in
// tests/lit/passes/fuse_conv_batchnorm.txt.
#include <cmath>

#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

// y = x * factor[c] + offset[c]
struct Affine {
  std::vector<double> factor, offset;
};

std::optional<std::vector<double>> vector_of(const Value* v, int64_t n) {
  if (!v || !v->constant || v->constant->numel() != n) return std::nullopt;
  if (v->constant->elem() != Elem::F32 && v->constant->elem() != Elem::F64) return std::nullopt;
  return to_doubles(*v->constant);
}

std::optional<Affine> batchnorm_affine(const Node& bn, int64_t channels) {
  if (bn.attr_int("training_mode", 0) != 0) return std::nullopt;
  const auto scale = vector_of(bn.input(1), channels), bias = vector_of(bn.input(2), channels);
  const auto mean = vector_of(bn.input(3), channels), variance = vector_of(bn.input(4), channels);
  if (!scale || !bias || !mean || !variance) return std::nullopt;
  const double epsilon = bn.attr_float("epsilon", 1e-5f);
  Affine a{std::vector<double>(channels), std::vector<double>(channels)};
  for (int64_t c = 0; c < channels; ++c) {
    a.factor[c] = (*scale)[c] / std::sqrt((*variance)[c] + epsilon);
    a.offset[c] = (*bias)[c] - (*mean)[c] * a.factor[c];
    if (!std::isfinite(a.factor[c]) || !std::isfinite(a.offset[c])) return std::nullopt;
  }
  return a;
}

// What `n` does to its input `x` (which is its first or second one) per channel of axis 1.
std::optional<Affine> affine_of(const Node& n, const Value* x, int64_t channels) {
  if (is_op(&n, "BatchNormalization") && n.input(0) == x) return batchnorm_affine(n, channels);
  const bool add = is_op(&n, "Add"), mul = is_op(&n, "Mul"), sub = is_op(&n, "Sub") && n.input(0) == x;
  const bool div = is_op(&n, "Div") && n.input(0) == x;
  if (!add && !mul && !sub && !div) return std::nullopt;
  if (!same_shape(x, n.output())) return std::nullopt;
  const Value* other = n.input(0) == x ? n.input(1) : n.input(0);
  const auto v = per_channel(other, x->type.shape->size(), 1, channels);
  if (!v) return std::nullopt;
  Affine a{std::vector<double>(channels, 1), std::vector<double>(channels, 0)};
  for (int64_t c = 0; c < channels; ++c) {
    if (!std::isfinite((*v)[c]) || (div && (*v)[c] == 0)) return std::nullopt;
    if (add) a.offset[c] = (*v)[c];
    if (sub) a.offset[c] = -(*v)[c];
    if (mul) a.factor[c] = (*v)[c];
    if (div) a.factor[c] = 1 / (*v)[c];
  }
  return a;
}

bool all_ones(const std::vector<double>& v) {
  for (double x : v) {
    if (x != 1) return false;
  }
  return true;
}

// The weights of `n` with each output channel multiplied. `channel(i)` is the channel that element i makes.
template <class F>
void scale_input(Node& n, size_t input, const std::vector<double>& factor, F channel) {
  if (all_ones(factor)) return;
  const Tensor& w = *n.input(input)->constant;
  std::vector<double> values = to_doubles(w);
  for (size_t i = 0; i < values.size(); ++i) values[i] *= factor[channel(static_cast<int64_t>(i))];
  n.set_input(input, n.graph->add_constant(from_doubles(w.elem(), w.dims(), values),
                                           n.graph->fresh_name(n.input(input)->name)));
}

void set_bias(Node& n, size_t input, const std::vector<double>& old, const Affine& a, Elem elem) {
  std::vector<double> bias(a.offset);
  for (size_t c = 0; c < bias.size(); ++c) bias[c] += old[c] * a.factor[c];
  const auto size = static_cast<int64_t>(bias.size());
  n.set_input(input, n.graph->add_constant(from_doubles(elem, {size}, bias), n.graph->fresh_name("bias")));
}

// Puts `a` into the constants of `n`; false when they are not such that it can.
bool absorb(Node& n, const Affine& a, int64_t channels) {
  if (n.has("activation") || n.input(3)) {
    if (!is_op(&n, "BatchNormalization")) return false;
  }
  if (is_op(&n, "BatchNormalization")) {
    const auto scale = vector_of(n.input(1), channels), bias = vector_of(n.input(2), channels);
    if (!scale || !bias || n.attr_int("training_mode", 0) != 0) return false;
    const Elem elem = n.input(1)->type.elem;
    scale_input(n, 1, a.factor, [](int64_t i) { return i; });
    set_bias(n, 2, *bias, a, elem);
    return true;
  }
  if (!n.input(1) || !n.input(1)->is_constant() || !is_float_tensor(n.input(1))) return false;
  const Tensor& w = *n.input(1)->constant;
  const Elem elem = w.elem();
  std::vector<double> bias(channels, 0);
  if (n.input(2)) {
    const auto old = is_op(&n, "Gemm") ? per_channel(n.input(2), 2, 1, channels) : vector_of(n.input(2), channels);
    if (!old) return false;
    bias = *old;
  }
  if (is_op(&n, "Gemm")) {
    const double beta = n.attr_float("beta", 1);
    for (double& b : bias) b *= beta;
    const int64_t columns = w.dims()[1];
    const bool transposed = n.attr_int("transB", 0) != 0;
    scale_input(n, 1, a.factor, [&](int64_t i) { return transposed ? i / columns : i % columns; });
    n.attrs.erase("beta");
  } else {
    int64_t kernel = 1;
    for (size_t i = 2; i < w.dims().size(); ++i) kernel *= w.dims()[i];
    const int64_t second = w.dims()[1], groups = n.attr_int("group", 1);
    if (is_op(&n, "Conv")) {
      scale_input(n, 1, a.factor, [&](int64_t i) { return i / (kernel * second); });
    } else {  // ConvTranspose: weights [IC][OC / groups][kernel]
      const int64_t in_per_group = w.dims()[0] / groups;
      scale_input(n, 1, a.factor, [&](int64_t i) {
        const int64_t ic = i / (kernel * second), oc = i / kernel % second;
        return ic / in_per_group * second + oc;
      });
    }
  }
  set_bias(n, 2, bias, a, elem);
  return true;
}

bool fuse(Node* n) {
  bool takes = false;
  for (const char* op : {"Conv", "ConvTranspose", "Gemm", "BatchNormalization"}) takes = takes || is_op(n, op);
  if (!takes || !n->output() || !single_use(n->output()) || !is_float_tensor(n->output())) return false;
  for (size_t i = 1; i < n->num_outputs(); ++i) {
    if (n->output(i)) return false;  // training outputs
  }
  Value* y = n->output();
  Node* next = y->users[0];
  if (next->graph != n->graph || next->num_outputs() == 0 || !next->output()) return false;
  const Shape& shape = *y->type.shape;
  if (shape.size() < 2 || !shape[1].is_const()) return false;
  const auto a = affine_of(*next, y, shape[1].value());
  if (!a || !absorb(*n, *a, shape[1].value())) return false;
  merge_origins(n, next);
  replace_node(next, y);
  return true;
}

}  // namespace

Result<bool> fuse_conv_batchnorm(Graph& graph, PassContext&) {
  return each_graph(graph, [](Graph& g) {
    return each_node(g, [](Node* n) {
      bool changed = false;
      while (fuse(n)) changed = true;
      return changed;
    });
  });
}

}  // namespace onnxc
