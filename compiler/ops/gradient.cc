// Gradient (ai.onnx.preview.training 1: onnx/docs/Operators.md): the derivatives of the sum of a tensor of the graph by
// others, in reverse mode: nodes are visited from that tensor backwards, and each adds its part. Tested by
// tests/conformance and tests/differential/test_programs.py.
#include "compiler/ops/gradient.h"

#include <algorithm>
#include <map>
#include <optional>

#include "compiler/ops/graph_writer.h"
#include "compiler/ops/op.h"

namespace onnxc {
namespace {

constexpr std::string_view kDomain = "ai.onnx.preview.training";

Status infer_gradient(InferContext& c) {
  const size_t count = c.node.attr_strings("xs").size();
  if (count == 0 || c.node.attr_string("y", "").empty()) return c.invalid("attributes xs and y are needed");
  if (c.node.num_inputs() < count || c.node.num_outputs() > count)
    return c.invalid("there must be an input, and at most one output, for each of xs");
  for (size_t i = 0; i < c.node.num_outputs(); ++i) {
    if (!c.has_input(i) || !c.in(i).is_tensor() || !is_float(c.elem(i)))
      return c.invalid("input " + std::to_string(i) + " must be a tensor of floats");
    c.outputs[i] = c.in(i);
  }
  return ok();
}

// What a node adds to the derivatives by its inputs, from that by its output.
class Rules {
 public:
  Rules(GraphWriter& w, const Node& node, Value* dy) : w_(w), node_(node), dy_(dy) {}

  // Null: no rule for this operator.
  std::optional<std::vector<Value*>> parts() {
    Value *a = node_.input(0), *b = node_.input(1), *y = node_.output();
    const std::string& op = node_.op;
    const auto times = [&](Value* v) { return w_.add("Mul", {dy_, v}); };
    const auto one_minus = [&](Value* v) { return w_.add("Sub", {w_.number(1, v), v}); };
    if (!node_.domain.empty() || node_.num_outputs() != 1) return std::nullopt;
    if (op == "Identity") return {{dy_}};
    if (op == "Neg") return {{minus(dy_)}};
    if (op == "Add") return {{dy_, dy_}};
    if (op == "Sub") return {{dy_, minus(dy_)}};
    if (op == "Mul") return {{times(b), times(a)}};
    if (op == "Div") return {{w_.add("Div", {dy_, b}), minus(times(w_.add("Div", {y, b})))}};
    if (op == "Exp") return {{times(y)}};
    if (op == "Log") return {{w_.add("Div", {dy_, a})}};
    if (op == "Sqrt") return {{w_.add("Div", {dy_, w_.add("Add", {y, y})})}};
    if (op == "Tanh") return {{times(one_minus(w_.add("Mul", {y, y})))}};
    if (op == "Sigmoid") return {{times(w_.add("Mul", {y, one_minus(y)}))}};
    if (op == "Relu") return {{w_.add("Where", {w_.add("Greater", {a, w_.number(0, a)}), dy_, w_.number(0, dy_)})}};
    if (op == "MatMul" && rank(a) == 2 && rank(b) == 2)
      return {{w_.add("MatMul", {dy_, w_.transpose(b, {1, 0})}), w_.add("MatMul", {w_.transpose(a, {1, 0}), dy_})}};
    return std::nullopt;
  }

 private:
  static size_t rank(const Value* v) { return v->type.shape ? v->type.shape->size() : 0; }
  Value* minus(Value* v) { return w_.add("Neg", {v}); }

  GraphWriter& w_;
  const Node& node_;
  Value* dy_;
};

// The sum over the axes along which `v`, of the dims `from`, is broadcast from `to`.
Result<Value*> sum_to(GraphWriter& w, const Node& gradient, Value* v, const Type& from, Value* to) {
  if (from == to->type) return v;
  if (!from.is_static_tensor() || !to->type.is_static_tensor())
    return Error(ErrorKind::Unsupported, "the derivative of a broadcast of dims that are not known", gradient.where(),
                 "fix the dims of the inputs");
  const Shape &all = *from.shape, &own = *to->type.shape;
  const size_t ahead = all.size() - own.size();
  std::vector<int64_t> axes;
  for (size_t d = 0; d < all.size(); ++d)
    if (d < ahead || own[d - ahead] != all[d]) axes.push_back(static_cast<int64_t>(d));
  if (!axes.empty()) v = w.add("ReduceSum", {v, w.ints(axes)}, {{"keepdims", int64_t{1}}});
  return ahead ? w.reshape(v, static_dims(own)) : v;
}

Status decompose_gradient(Graph& g, Node& n) {
  const auto xs = n.attr_strings("xs");
  const std::string name = n.attr_string("y", "");
  Value* y = g.find_value(name);
  if (!y || !y->type.is_tensor() || !is_float(y->type.elem))
    return Error(ErrorKind::InvalidModel, "there is no tensor of floats \"" + name + "\"", n.where());
  for (size_t i = 0; i < xs.size(); ++i)
    if (const Value* x = g.find_value(xs[i]); x && x != n.input(i))
      return Error(ErrorKind::Unsupported, "\"" + xs[i] + "\" is not input " + std::to_string(i), n.where(),
                   "take the derivative at the values that the graph has");
  ONNXC_TRY(g.sort());
  GraphWriter w(g, n);
  std::map<const Value*, Value*> by;  // the derivative by each value
  by[y] = w.add("Expand", {w.number(1, y), w.add("Shape", {y})});
  std::vector<Node*> nodes;
  for (const auto& node : g.nodes()) nodes.push_back(node.get());
  std::reverse(nodes.begin(), nodes.end());
  for (const Node* node : nodes) {
    const bool in_question = node->num_outputs() > 0 && by.contains(node->output());
    if (!in_question || std::ranges::count(n.inputs(), node->output()) > 0) continue;
    const auto parts = Rules(w, *node, by[node->output()]).parts();
    if (!parts) return Error(ErrorKind::Unsupported, "no derivative is known of " + node->where(), n.where());
    for (size_t i = 0; i < parts->size(); ++i) {
      Value* in = node->input(i);
      ONNXC_ASSIGN(Value * part, sum_to(w, n, (*parts)[i], node->output()->type, in));
      Value*& sum = by[in];
      sum = sum ? w.add("Add", {sum, part}) : part;
    }
  }
  std::vector<Value*> results;
  for (size_t i = 0; i < n.num_outputs(); ++i) {
    Value* x = n.input(i);
    results.push_back(by.contains(x) ? by[x] : w.add("Expand", {w.number(0, x), w.add("Shape", {x})}));
  }
  return w.replace(results), ok();
}

bool is_gradient(const Node& n) { return n.domain == kDomain && n.op == "Gradient"; }

}  // namespace

Status expand_gradients(Graph& graph) {
  std::vector<Node*> gradients;
  for (const auto& node : graph.nodes())
    if (is_gradient(*node)) gradients.push_back(node.get());
  if (gradients.empty()) return ok();
  ONNXC_TRY(infer_graph(graph));
  for (Node* n : gradients) ONNXC_TRY(decompose_gradient(graph, *n));
  return ok();
}

OP(Gradient) = {.name = "Gradient",
                .domain = kDomain,
                .infer = infer_gradient,
                .decompose = decompose_gradient,
                .accuracy = Accuracy::Accumulating};

}  // namespace onnxc
