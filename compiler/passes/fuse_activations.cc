// fuse_activations: an activation that alone reads a Conv, ConvTranspose, Gemm or MatMul becomes its attribute
// "activation", with "activation_alpha" and "activation_beta"; a residual Add before it becomes the fourth input of a
// Conv. What the names mean: compiler/ops/window.h. Only f32 and f64, whose kernels apply it. Tested in
// tests/lit/passes/fuse_activations.txt.
#include <cmath>
#include <limits>

#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

struct Activation {
  std::string name;
  float alpha = 0, beta = 0;
};

// The bound of a Clip: `absent` when there is none, nothing when it is not known.
std::optional<float> bound(const Value* v, float absent) {
  if (!v) return absent;
  const auto s = splat_float(v);
  if (!s || std::isnan(*s)) return std::nullopt;
  return static_cast<float>(*s);
}

std::optional<Activation> clip(const Node& n) {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto low = bound(n.input(1), -infinity), high = bound(n.input(2), infinity);
  if (!low || !high || *low > *high) return std::nullopt;
  return Activation{"clip", *low, *high};
}

std::optional<Activation> activation_of_node(const Node& n) {
  if (is_op(&n, "Relu")) return Activation{"relu"};
  if (is_op(&n, "Sigmoid")) return Activation{"sigmoid"};
  if (is_op(&n, "Tanh")) return Activation{"tanh"};
  if (is_op(&n, "HardSwish")) return Activation{"hard_swish"};
  if (is_op(&n, "LeakyRelu")) return Activation{"leaky_relu", n.attr_float("alpha", 0.01f)};
  if (is_op(&n, "Elu")) return Activation{"elu", n.attr_float("alpha", 1.0f)};
  if (is_op(&n, "HardSigmoid"))
    return Activation{"hard_sigmoid", n.attr_float("alpha", 0.2f), n.attr_float("beta", 0.5f)};
  if (is_op(&n, "Gelu") && n.attr_string("approximate", "none") == "none") return Activation{"gelu"};
  if (is_op(&n, "Swish") && n.attr_float("alpha", 1) == 1) return Activation{"silu"};
  if (is_op(&n, "Clip")) return clip(n);
  return std::nullopt;
}

// A Gemm that the kernel takes as it is; the others decompose, and their parts have no place for an activation.
bool is_plain_gemm(const Node& n) {
  if (!n.input(1)->is_constant() || n.attr_int("transA", 0) != 0 || n.attr_float("alpha", 1) != 1) return false;
  if (n.input(1)->type.elem != Elem::F32) return false;
  if (!n.input(2)) return true;
  if (n.attr_float("beta", 1) != 1 || !n.input(2)->type.shape || !n.output()->type.shape) return false;
  const Shape& s = *n.input(2)->type.shape;
  if (s.empty() || s.size() > 2 || s.back() != (*n.output()->type.shape)[1]) return false;
  return s.size() == 1 || s[0] == Dim(1);
}

bool takes_activation(const Node* n) {
  if (!n || n->has("activation") || !is_float_tensor(n->output())) return false;
  if (is_op(n, "Gemm")) return is_plain_gemm(*n);
  return is_op(n, "Conv") || is_op(n, "ConvTranspose") || is_op(n, "MatMul");
}

void set_activation(Node& n, const Activation& a) {
  n.attrs["activation"] = a.name;
  if (a.alpha != 0 || a.beta != 0) n.attrs["activation_alpha"] = a.alpha;
  if (a.beta != 0) n.attrs["activation_beta"] = a.beta;
}

void absorb(Node* maker, Node* node, const Activation& a) {
  set_activation(*maker, a);
  merge_origins(maker, node);
  replace_node(node, maker->output());
}

bool fuse_single(Node* n) {
  if (n->num_outputs() != 1 || !n->input(0)) return false;
  Value* x = n->input(0);
  if (!single_use(x) || x->graph != n->graph || !takes_activation(x->producer)) return false;
  const auto a = activation_of_node(*n);
  if (!a) return false;
  absorb(x->producer, n, *a);
  return true;
}

// x * Sigmoid(x) and x * HardSigmoid(x; 1/6, 1/2), where nobody else reads x or the gate.
bool fuse_gated(Node* n) {
  if (!is_op(n, "Mul")) return false;
  for (int side = 0; side < 2; ++side) {
    Value *x = n->input(side), *gate = n->input(1 - side);
    Node* g = gate->producer;
    if (!g || !single_use(gate) || g->input(0) != x || x == gate) continue;
    if (x->users.size() != 2 || x->graph->is_output(x) || x->graph != n->graph || !takes_activation(x->producer))
      continue;
    const bool silu = is_op(g, "Sigmoid");
    const bool hard = is_op(g, "HardSigmoid") && std::fabs(g->attr_float("alpha", 0.2f) - 1.0f / 6) < 1e-7f &&
                      g->attr_float("beta", 0.5f) == 0.5f;
    if (!silu && !hard) continue;
    Node* maker = x->producer;
    merge_origins(maker, g);
    absorb(maker, n, {silu ? "silu" : "hard_swish"});
    g->graph->remove_node(g);
    return true;
  }
  return false;
}

// The other operand cannot depend on the Conv, whose output only this Add reads; it may stand later, though, until the
// graph is sorted again.
bool fuse_residual(Node* n) {
  if (!is_op(n, "Add") || n->input(0) == n->input(1)) return false;
  for (int side = 1; side >= 0; --side) {
    Value *x = n->input(side), *other = n->input(1 - side);
    Node* conv = made_by(x, "Conv");
    if (!conv || !single_use(x) || x->graph != n->graph || conv->has("activation") || conv->input(3)) continue;
    if (!is_float_tensor(x) || x->type.elem != other->type.elem || !same_shape(x, other)) continue;
    conv->set_input(3, other);
    merge_origins(conv, n);
    replace_node(n, x);
    return true;
  }
  return false;
}

}  // namespace

Result<bool> fuse_activations(Graph& graph, PassContext&) {
  return each_graph(graph, [](Graph& g) {
    bool changed = false;
    // Residuals first: an activation ends what a node can take. A removed node may only be met by its own turn.
    for (Node* n : nodes_of(g)) changed |= fuse_residual(n);
    for (size_t i = 0; i < g.nodes().size();) {
      Node* n = g.nodes()[i].get();
      if (fuse_single(n) || fuse_gated(n)) {
        changed = true;
        i = 0;
      } else {
        ++i;
      }
    }
    return changed;
  });
}

}  // namespace onnxc
