// widen_halves: products, sums, normalisations and the like of float16 and bfloat16 are computed in float32, and what
// lies between them stays in float32: values are rounded to 16 bits where the model casts, compares or ends, as ONNX
// Runtime's CPU provider and XLA have it. CPUs have kernels for float32 only, and what is rounded less often is nearer
// to the truth. Tested in tests/lit/passes/widen_halves.txt.
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "compiler/ops/op.h"
#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

bool is_half(Elem elem) { return elem == Elem::F16 || elem == Elem::BF16; }
bool is_half(const Value* v) { return v && v->type.is_tensor() && is_half(v->type.elem); }

// What it reads or makes has a type or a rounding that belongs to its meaning.
bool is_about_types(const Node& n) {
  constexpr std::array<std::string_view, 5> kOps = {"Cast", "CastLike", "BitCast", "QuantizeLinear",
                                                    "DequantizeLinear"};
  return std::find(kOps.begin(), kOps.end(), n.op) != kOps.end();
}

class Widener {
 public:
  explicit Widener(Graph& graph) : graph_(graph) {}

  bool run() {
    bool changed = false;
    for (Node* n : nodes_of(graph_)) changed |= drop_idle_cast(*n) || (wants(*n) && widen(*n));
    return changed;
  }

 private:
  // Whether to compute `n` in float32: sums of many terms always, all else where its operands are in float32 already.
  bool wants(const Node& n) const {
    const OpDef* def = n.domain.empty() ? find_op(n.domain, n.op) : nullptr;
    if (!def || def->random || !n.subgraphs().empty() || is_about_types(n)) return false;
    const auto& outputs = n.outputs();
    if (std::none_of(outputs.begin(), outputs.end(), [](const Value* v) { return is_half(v); })) return false;
    if (def->accuracy == Accuracy::Accumulating) return true;
    const auto& inputs = n.inputs();
    return std::any_of(inputs.begin(), inputs.end(), [&](const Value* v) { return narrowed_.contains(v); });
  }

  // A Cast to the type that the value has already rounds nothing.
  bool drop_idle_cast(Node& n) {
    if (!is_op(&n, "Cast") || !narrowed_.contains(n.input(0)) || n.output()->type.elem != n.input(0)->type.elem)
      return false;
    replace_node(&n, n.input(0));
    return true;
  }

  Node* cast(Value* v, Elem to, Node* before) {
    Node* made = graph_.add_node("Cast", {v}, 1, before);
    made->attrs["to"] = static_cast<int64_t>(to);
    made->origins = before->origins;
    made->output()->type = v->type;
    made->output()->type.elem = to;
    return made;
  }

  Value* widened(Value* v, Node* before) {
    Value*& wide = wide_[v];
    if (!wide) wide = cast(v, Elem::F32, before)->output();
    return wide;
  }

  bool widen(Node& n) {
    std::vector<Value*> inputs;
    for (Value* v : n.inputs()) inputs.push_back(is_half(v) ? widened(v, &n) : v);
    std::vector<Value*> outputs;
    for (const Value* v : n.outputs()) outputs.push_back(v ? graph_.add_value() : nullptr);
    Node* wide = graph_.add_node_to(n.op, std::move(inputs), std::move(outputs), &n, n.domain);
    wide->name = n.name;
    wide->origins = n.origins;
    wide->attrs = n.attrs;
    if (!fits(n, *wide)) {
      graph_.remove_node(wide);
      return false;
    }
    for (size_t i = 0; i < n.num_outputs(); ++i) {
      Value* from = n.output(i);
      if (!from) continue;
      Value* to = wide->output(i);
      if (is_half(from)) {
        Value* narrow = cast(to, from->type.elem, &n)->output();
        wide_[narrow] = to;
        narrowed_.insert(narrow);
        to = narrow;
      }
      graph_.replace_uses(from, to);
    }
    graph_.remove_node(&n);
    return true;
  }

  // Whether the shape rule gives `wide` the outputs of `n`, with float32 for 16 bits.
  static bool fits(const Node& n, Node& wide) {
    for (size_t i = 0; i < n.num_outputs(); ++i)
      if (n.output(i)) wide.output(i)->declared_rank = n.output(i)->declared_rank;
    if (!infer_node(wide).ok()) return false;
    for (size_t i = 0; i < n.num_outputs(); ++i) {
      if (!n.output(i)) continue;
      Type expected = n.output(i)->type;
      if (is_half(n.output(i))) expected.elem = Elem::F32;
      if (!(wide.output(i)->type == expected)) return false;
    }
    return true;
  }

  Graph& graph_;
  std::map<const Value*, Value*> wide_;  // of 16-bit values of this graph and those around: the same in float32
  std::set<const Value*> narrowed_;      // those that were computed so
};

}  // namespace

Result<bool> widen_halves(Graph& graph, PassContext&) {
  return each_graph(graph, [](Graph& g) { return Widener(g).run(); });
}

}  // namespace onnxc
