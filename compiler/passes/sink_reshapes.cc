// sink_reshapes: a Reshape that only drops dims of extent 1 behind the channels of a Mapped operator's output (as
// exporters put around 1-D convolutions) goes behind the element-wise operators that follow, so that they are fused
// into that operator. Exact. Tested in tests/lit/passes/sink_reshapes.txt.
#include <algorithm>

#include "compiler/ops/op.h"
#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

// Which axes of `from` `to` lacks: only ones of extent 1, none of the first two.
std::optional<std::vector<size_t>> dropped_axes(const Shape& from, const Shape& to) {
  std::vector<size_t> dropped;
  size_t kept = 0;
  for (size_t axis = 0; axis < from.size(); ++axis) {
    if (kept < to.size() && from[axis] == to[kept])
      ++kept;
    else if (axis >= 2 && from[axis] == Dim(1))
      dropped.push_back(axis);
    else
      return std::nullopt;
  }
  if (kept != to.size() || dropped.empty()) return std::nullopt;
  return dropped;
}

const OpDef* definition(const Node* n) { return n ? find_op(n->domain, n->op) : nullptr; }

struct Sinking {
  Value* whole;  // what is reshaped
  const Value* reshaped;
  std::vector<size_t> dropped;

  // `constant`, which broadcasts to the reshaped value, as what broadcasts to the whole one.
  Value* widened(const Value* constant) const {
    std::vector<int64_t> dims = constant->constant->dims();
    const size_t rank = reshaped->type.shape->size();
    if (dims.size() > rank) return nullptr;
    if (constant->constant->numel() == 1) dims.clear();
    if (!dims.empty()) {
      dims.insert(dims.begin(), rank - dims.size(), 1);
      for (const size_t axis : dropped) dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(axis), 1);
    }
    return whole->graph->add_constant(constant->constant->reshaped(dims));
  }
  // The other operand `v` as it is beside the whole value; null: it can't be.
  Value* beside(Value* v) const {
    if (v == reshaped) return whole;
    if (v->is_constant()) return widened(v);
    const Node* other = made_by(v, "Reshape");
    return other && same_shape(other->input(0), whole) && same_shape(v, reshaped) ? other->input(0) : nullptr;
  }
};

std::optional<Sinking> sinking_of(Value* v) {
  const Node* reshape = made_by(v, "Reshape");
  if (!reshape || !single_use(v) || !is_float_tensor(v) || !is_float_tensor(reshape->input(0))) return std::nullopt;
  const OpDef* maker = definition(reshape->input(0)->producer);
  if (!maker || !single_use(reshape->input(0)) || maker->layout == LayoutBehaviour::Opaque) return std::nullopt;
  const auto dropped = dropped_axes(*reshape->input(0)->type.shape, *v->type.shape);
  if (!dropped) return std::nullopt;
  return Sinking{reshape->input(0), v, *dropped};
}

bool sink(Node* n) {
  const OpDef* def = definition(n);
  if (!def || def->layout != LayoutBehaviour::Agnostic || n->num_outputs() != 1) return false;
  std::optional<Sinking> found;
  for (size_t i = 0; i < n->num_inputs() && !found; ++i)
    if (n->input(i) && same_shape(n->input(i), n->output())) found = sinking_of(n->input(i));
  if (!found || n->output()->type.elem != found->whole->type.elem) return false;
  std::vector<Value*> inputs;
  for (Value* v : n->inputs()) {
    inputs.push_back(v ? found->beside(v) : nullptr);
    if (v && !inputs.back()) return false;
  }
  const Node* reshape = found->reshaped->producer;
  Node* above = add_like(n, n->op, inputs, n);
  above->domain = n->domain;
  above->attrs = n->attrs;
  above->output()->type = found->whole->type;
  above->output()->contents.reset();
  Node* below = add_like(n, "Reshape", {above->output(), reshape->input(1)}, n);
  merge_origins(above, reshape);
  replace_node(n, below->output());
  return true;
}

}  // namespace

Result<bool> sink_reshapes(Graph& graph, PassContext&) {
  return each_graph(graph, [](Graph& g) { return each_node(g, sink); });
}

}  // namespace onnxc
