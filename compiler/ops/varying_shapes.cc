#include "compiler/ops/varying_shapes.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "compiler/ir/clone_graph.h"
#include "compiler/ops/control_flow.h"
#include "compiler/ops/sequence.h"

namespace onnxc {
namespace {

bool is_ranked(const Type& t) { return t.is_tensor() && t.shape.has_value(); }

// Whether `dim` holds a symbol whose name begins with `stem`.
bool has_symbol(const Dim& dim, const std::string& stem) {
  std::set<std::string> symbols;
  dim.collect_symbols(symbols);
  return std::ranges::any_of(symbols, [&](const std::string& s) { return s.starts_with(stem); });
}

bool has_symbol(const Type& type, const std::string& stem) {
  return is_ranked(type) && std::ranges::any_of(*type.shape, [&](const Dim& d) { return has_symbol(d, stem); });
}

// Symbols that the types of values around the node hold.
std::set<std::string> symbols_around(const Node& node) {
  std::set<std::string> symbols;
  for (const Graph* g = node.graph; g; g = g->parent)
    for (const auto& v : g->values()) {
      if (v->producer == &node) continue;
      if (v->type.is_tensor() && v->type.shape)
        for (const Dim& d : *v->type.shape) d.collect_symbols(symbols);
      if (v->contents)
        for (const Dim& d : *v->contents) d.collect_symbols(symbols);
    }
  return symbols;
}

Value* add(Graph& g, const Node& like, const char* op, std::vector<Value*> inputs, Node* before = nullptr) {
  Node* n = g.add_node(op, std::move(inputs), 1, before);
  n->origins = like.origins;
  return n->output();
}

Value* first_of(Graph& g, const Node& like, Value* sequence) {
  return add(g, like, "SequenceAt", {sequence, g.add_constant(Tensor::i64({}, {0}))});
}

// A node with `outputs` outputs to take the place of `node`, whose attributes it has now.
Node* with_outputs(Graph& g, Node& node, size_t outputs) {
  Node* other = g.add_node(node.op, node.inputs(), outputs, nullptr, node.domain);
  other->name = node.name;
  other->origins = node.origins;
  other->attrs = std::exchange(node.attrs, {});
  return other;
}

// ---- Loop

// Inputs of the body before the carried values: the number of the turn and the condition.
constexpr size_t kFirstCarried = 2;
// Outputs of the body before the carried values: the condition.
constexpr size_t kFirstLeft = 1;

size_t carried_by(const Node& loop) { return loop.num_inputs() - kFirstCarried; }

// `joined` (loops.cc) names the dims that change.
bool carried_varies(const Node& loop, size_t i) {
  const Type& type = loop.attr_graph("body")->inputs[kFirstCarried + i]->type;
  return has_symbol(type, "n" + std::to_string(loop.id) + ".carried");
}

bool stack_varies(const Node& loop, size_t output) {
  const Graph& body = *loop.attr_graph("body");
  const Type& turn = body.outputs[kFirstLeft + output]->type;
  if (!loop.output(output) || !is_ranked(turn)) return false;
  if (!turns_are_bounded(loop)) return true;
  const std::set<std::string> known = symbols_around(loop);
  std::set<std::string> symbols;
  for (const Dim& d : *turn.shape) d.collect_symbols(symbols);
  return !std::ranges::includes(known, symbols);
}

void box_carried(Graph& g, Node& loop, size_t i) {
  Graph& body = *loop.attr_graph("body");
  loop.set_input(kFirstCarried + i, add(g, loop, "SequenceConstruct", {loop.input(kFirstCarried + i)}, &loop));
  Value*& own = body.inputs[kFirstCarried + i];
  Value* before = own;
  own = body.add_value(body.fresh_name("carried"), loop.input(kFirstCarried + i)->type);
  body.replace_uses(before, first_of(body, loop, own));
  body.remove_value(before);
  Value*& left = body.outputs[kFirstLeft + i];
  left = add(body, loop, "SequenceConstruct", {left});
}

// What turn by turn is stacked goes into a sequence, which is joined in the end.
void box_stack(Graph& g, Node& loop, Graph& body, size_t output, size_t carried) {
  Value* turn = body.outputs[kFirstLeft + output];
  Node* empty = g.add_node("SequenceEmpty", {}, 1, &loop);
  empty->origins = loop.origins;
  empty->attrs["dtype"] = static_cast<int64_t>(turn->type.elem);
  const size_t last = kFirstCarried + carried;
  loop.set_input(last, empty->output());
  Value* before = body.add_input(body.fresh_name("stacked"), Type{});
  body.outputs.erase(body.outputs.begin() + static_cast<std::ptrdiff_t>(kFirstLeft + output));
  body.outputs.insert(body.outputs.begin() + static_cast<std::ptrdiff_t>(kFirstLeft + carried),
                      add(body, loop, "SequenceInsert", {before, turn}));
}

}  // namespace

bool loop_varies(const Node& loop) {
  const Graph* body = loop.attr_graph("body");
  if (!body || loop.num_inputs() < kFirstCarried || body->outputs.size() < loop.num_outputs() + kFirstLeft)
    return false;
  for (size_t i = 0; i < carried_by(loop); ++i)
    if (carried_varies(loop, i)) return true;
  for (size_t o = carried_by(loop); o < loop.num_outputs(); ++o)
    if (stack_varies(loop, o)) return true;
  return false;
}

Status box_loop(Graph& g, Node& loop) {
  Graph& body = *loop.attr_graph("body");
  const size_t carried = carried_by(loop);
  std::vector<size_t> boxed, stacked, plain;
  for (size_t i = 0; i < carried; ++i)
    if (carried_varies(loop, i)) boxed.push_back(i);
  for (size_t o = carried; o < body.outputs.size() - kFirstLeft; ++o)
    (o < loop.num_outputs() && stack_varies(loop, o) ? stacked : plain).push_back(o);
  for (size_t i : boxed) box_carried(g, loop, i);
  for (size_t s = 0; s < stacked.size(); ++s) box_stack(g, loop, body, stacked[s], carried + s);
  Node* boxes = with_outputs(g, loop, body.outputs.size() - kFirstLeft);
  const auto replace = [&](size_t o, const std::function<Value*()>& with) {
    if (Value* old = loop.output(o)) g.replace_uses(old, with());
  };
  for (size_t o = 0; o < carried; ++o)
    replace(o, [&] { return std::ranges::count(boxed, o) ? first_of(g, loop, boxes->output(o)) : boxes->output(o); });
  for (size_t s = 0; s < stacked.size(); ++s)
    replace(stacked[s], [&] {
      Value* all = add(g, loop, "ConcatFromSequence", {boxes->output(carried + s)});
      all->producer->attrs = {{"axis", int64_t{0}}, {"new_axis", int64_t{1}}, {kMayBeEmpty, int64_t{1}}};
      return all;
    });
  for (size_t p = 0; p < plain.size(); ++p)
    replace(plain[p], [&] { return boxes->output(carried + stacked.size() + p); });
  g.remove_node(&loop);
  return ok();
}

// ---- If

namespace {

std::vector<Graph*> branches_of(const Node& branch) {
  return {branch.attr_graph("then_branch"), branch.attr_graph("else_branch")};
}

bool ranks_differ(const Node& branch, size_t output) {
  const auto graphs = branches_of(branch);
  const Type &a = graphs[0]->outputs[output]->type, &b = graphs[1]->outputs[output]->type;
  return is_ranked(a) && is_ranked(b) && a.shape->size() != b.shape->size();
}

bool dims_differ(const Node& branch, size_t output) {
  return branch.output(output) && has_symbol(branch.output(output)->type, "n" + std::to_string(branch.id) + ".branch");
}

bool is_dead(const Graph& g, const Node& node) {
  return std::ranges::none_of(node.outputs(),
                              [&](const Value* v) { return v && (!v->users.empty() || g.is_output(v)); });
}

void collect_captured(const Graph& within, const Graph& g, std::vector<Value*>& captured) {
  const auto take = [&](Value* v) {
    if (v && v->graph == &g) captured.push_back(v);
  };
  for (Value* v : within.outputs) take(v);
  for (const auto& node : within.nodes()) {
    for (Value* v : node->inputs()) take(v);
    for (const Graph* inner : node->subgraphs()) collect_captured(*inner, g, captured);
  }
}

// Values of its graph that the node reads, itself or in its subgraphs.
std::vector<Value*> operands(const Node& node) {
  std::vector<Value*> read;
  for (Value* v : node.inputs())
    if (v && v->graph == node.graph) read.push_back(v);
  for (const Graph* inner : node.subgraphs()) collect_captured(*inner, *node.graph, read);
  return read;
}

bool holds(const Node& node, const Node& other) {
  if (&node == &other) return true;
  for (const Graph* inner : node.subgraphs())
    for (const auto& n : inner->nodes())
      if (holds(*n, other)) return true;
  return false;
}

// A node of the graph that reads a value whose rank depends on the branch; null: none, or one that cannot move.
Node* reader(const Graph& g, const Node& branch, size_t output) {
  const Value* v = branch.output(output);
  if (!v || g.is_output(v)) return nullptr;
  Node* found = nullptr;
  for (Node* user : v->users) {
    const auto owner = std::ranges::find_if(g.nodes(), [&](const auto& n) { return holds(*n, *user); });
    if (owner == g.nodes().end()) return nullptr;
    if (!is_dead(g, **owner)) found = owner->get();
  }
  return found;
}

// Nodes of the branch's graph that need what it gives.
class Dependents {
 public:
  explicit Dependents(const Node& branch) : branch_(branch) {}
  bool contain(const Node& node) {
    const auto [known, added] = known_.emplace(&node, false);
    if (!added) return known->second;
    const auto needs = [&](const Value* v) {
      return v->producer && (v->producer == &branch_ || contain(*v->producer));
    };
    const bool found = std::ranges::any_of(operands(node), needs);
    return known_[&node] = found;
  }

 private:
  const Node& branch_;
  std::map<const Node*, bool> known_;
};

// Moves `node`, and what it needs of the branch, into both branches; its outputs become those of the branch, which is
// returned in its new form. The node stays, without use.
Node* take_over(Graph& g, Node* branch, Node& node) {
  for (bool more = true; more;) {
    more = false;
    Dependents dependents(*branch);
    for (const Value* v : operands(node)) {
      if (!v->producer || v->producer == branch || !dependents.contain(*v->producer)) continue;
      branch = take_over(g, branch, *v->producer);
      more = true;
      break;
    }
  }
  for (Graph* body : branches_of(*branch)) {
    ValueMap map;
    for (size_t o = 0; o < branch->num_outputs(); ++o)
      if (branch->output(o)) map[branch->output(o)] = body->outputs[o];
    const Node* copy = copy_node(node, *body, map);
    body->outputs.insert(body->outputs.end(), copy->outputs().begin(), copy->outputs().end());
  }
  const size_t before = branch->num_outputs();
  Node* whole = with_outputs(g, *branch, before + node.num_outputs());
  for (size_t o = 0; o < node.num_outputs(); ++o)
    if (node.output(o)) g.replace_uses(node.output(o), whole->output(before + o));
  for (size_t o = 0; o < before; ++o)
    if (branch->output(o)) g.replace_uses(branch->output(o), whole->output(o));
  g.remove_node(branch);
  return whole;
}

// Moves all readers of values whose rank depends on the branch, as far as their types are known; null: there are none.
Node* take_over_readers(Graph& g, Node& branch) {
  Node* moved = nullptr;
  for (Node *at = &branch, *next = at; next;) {
    next = nullptr;
    for (size_t o = 0; o < at->num_outputs() && !next; ++o)
      if (ranks_differ(*at, o)) next = reader(g, *at, o);
    if (!next) break;
    moved = at = take_over(g, at, *next);
    for (Graph* body : branches_of(*at))
      if (!infer_branch(*body).ok()) return moved;  // refuses the run, as control_flow.cc finds
  }
  return moved;
}

}  // namespace

bool has_two_ranks(const Node& branch, size_t output) {
  return ranks_differ(branch, output) && !reader(*branch.graph, branch, output);
}

bool if_varies(const Node& branch) {
  const auto graphs = branches_of(branch);
  for (const Graph* body : graphs)
    if (!body || body->outputs.size() < branch.num_outputs()) return false;
  for (size_t o = 0; o < branch.num_outputs(); ++o)
    if (dims_differ(branch, o) || (ranks_differ(branch, o) && reader(*branch.graph, branch, o))) return true;
  return false;
}

Status box_if(Graph& g, Node& branch) {
  if (take_over_readers(g, branch)) return ok();
  Node* boxes = with_outputs(g, branch, branch.num_outputs());
  for (size_t o = 0; o < branch.num_outputs(); ++o) {
    if (!branch.output(o)) continue;
    const bool boxed = dims_differ(branch, o);
    for (Graph* body : branches_of(*boxes))
      if (boxed) body->outputs[o] = add(*body, branch, "SequenceConstruct", {body->outputs[o]});
    g.replace_uses(branch.output(o), boxed ? first_of(g, branch, boxes->output(o)) : boxes->output(o));
  }
  g.remove_node(&branch);
  return ok();
}

}  // namespace onnxc
