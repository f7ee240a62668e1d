// If, Loop, Scan: short loops are unrolled, constant conditions choose their branch, and branches of equal types are
// both computed and one is selected; one that cannot be run, as far as is known, refuses the run that takes it. Longer
// loops: loops.cc. Tested by tests/conformance and tests/differential/test_varying_shapes.py.
#include "compiler/ops/control_flow.h"

#include <algorithm>

#include "compiler/ir/clone_graph.h"
#include "compiler/ops/axes.h"
#include "compiler/ops/varying_shapes.h"

namespace onnxc {

std::optional<int64_t> known_int(const Value* v) {
  if (!v) return std::nullopt;
  if (v->constant && v->constant->numel() == 1) return v->constant->int_at(0);
  if (v->contents && v->contents->size() == 1) return v->contents->front().constant();
  return std::nullopt;
}

bool stays_true(const Graph& body) {
  const Value* v = body.outputs.empty() ? nullptr : body.outputs[0];
  while (v && v->producer && v->producer->op == "Identity") v = v->producer->input(0);
  if (!v) return false;
  if (v->producer && v->producer->op == "Constant") {
    const Tensor* t = v->producer->attr_tensor("value");
    return t && t->numel() == 1 && t->int_at(0) != 0;
  }
  return known_int(v).value_or(0) != 0 || (body.inputs.size() > 1 && v == body.inputs[1]);
}

Status infer_branch(Graph& branch) {
  Graph* root = branch.root();
  const auto requirements = root->requirements;
  Status inferred = infer_graph(branch);
  root->requirements = requirements;
  return inferred;
}

bool refuses(const Graph& branch) {
  return std::ranges::any_of(branch.nodes(),
                             [](const auto& n) { return n->domain == kOwnDomain && n->op == "Refuse"; });
}

namespace {

constexpr int64_t kMostTurns = 256;
constexpr size_t kMostNodes = 20000;  // of an unrolled loop that has no other way down
constexpr size_t kFewNodes = 512;     // of one that has
constexpr size_t kMostSelected = 64;  // nodes of branches that are both computed

// Inlines `body` before `node`; what it makes is said to come from `node`.
std::vector<Value*> inline_at(Graph& g, Node& node, const Graph& body, const std::vector<Value*>& inputs) {
  const size_t first = g.nodes().size();
  std::vector<Value*> results = inline_graph(body, g, inputs);
  for (size_t i = first; i < g.nodes().size(); ++i) g.nodes()[i]->origins = node.origins;
  return results;
}

void replace_node(Graph& g, Node& node, const std::vector<Value*>& results) {
  for (size_t i = 0; i < node.num_outputs() && i < results.size(); ++i)
    if (node.output(i)) g.replace_uses(node.output(i), results[i]);
  g.remove_node(&node);
}

Value* axes_constant(Graph& g, int64_t axis) { return g.add_constant(Tensor::i64({1}, {axis})); }

Value* stack(Graph& g, Node& node, std::vector<Value*> turns, int64_t axis, bool backwards) {
  for (Value*& v : turns) {
    Node* n = g.add_node("Unsqueeze", {v, axes_constant(g, axis)});
    n->origins = node.origins;
    v = n->output();
  }
  if (backwards) std::reverse(turns.begin(), turns.end());
  Node* joined = g.add_node("Concat", std::move(turns));
  joined->attrs["axis"] = axis;
  joined->origins = node.origins;
  return joined->output();
}

int64_t entry(const std::vector<int64_t>& list, size_t i) { return i < list.size() ? list[i] : 0; }

// ---- If

bool same_types(const Graph& a, const Graph& b) {
  for (size_t i = 0; i < a.outputs.size(); ++i)
    if (!a.outputs[i]->type.is_static_tensor() || !(a.outputs[i]->type == b.outputs[i]->type)) return false;
  return true;
}

Graph* branch_of(const Node& n, bool taken) { return n.attr_graph(taken ? "then_branch" : "else_branch"); }

// Of an If whose condition only a run knows: why one branch cannot be, where the other can.
struct Refusal {
  bool branch;  // the one that cannot be
  Error why;
};
// Of two branches whose types are known, one that gives another rank than the file declares, where nothing can take
// both.
std::optional<Refusal> undeclared_rank(const Node& n) {
  for (size_t i = 0; i < n.num_outputs(); ++i) {
    const auto declared = n.output(i) ? n.output(i)->declared_rank : std::nullopt;
    if (!declared || !has_two_ranks(n, i)) continue;
    for (const bool branch : {false, true}) {
      const size_t rank = branch_of(n, branch)->outputs[i]->type.shape->size(),
                   other = branch_of(n, !branch)->outputs[i]->type.shape->size();
      if (rank != *declared && other == *declared)
        return Refusal{branch, Error(ErrorKind::InvalidModel,
                                     "the file declares a rank of " + std::to_string(other) + " for output " +
                                         std::to_string(i) + ", which would have " + std::to_string(rank),
                                     n.where())};
    }
  }
  return std::nullopt;
}

std::optional<Refusal> refusal_of(const Node& n) {
  if (!n.input(0) || known_int(n.input(0)) || !branch_of(n, true) || !branch_of(n, false)) return std::nullopt;
  for (const bool branch : {false, true})
    if (branch_of(n, branch)->outputs.size() < n.num_outputs()) return std::nullopt;
  const Status inferred[] = {infer_branch(*branch_of(n, false)), infer_branch(*branch_of(n, true))};
  std::optional<Refusal> refusal;
  if (inferred[0].ok() && inferred[1].ok())
    refusal = undeclared_rank(n);
  else if (inferred[0].ok() != inferred[1].ok())
    refusal = Refusal{inferred[0].ok(), inferred[inferred[0].ok() ? 1 : 0].error()};
  if (!refusal || refusal->why.kind() != ErrorKind::InvalidModel) return std::nullopt;
  const Graph& good = *branch_of(n, !refusal->branch);
  for (size_t i = 0; i < n.num_outputs(); ++i)
    if (const Type& t = good.outputs[i]->type; !t.is_tensor() || !t.shape || t.elem == Elem::String)
      return std::nullopt;
  return refusal;
}
bool has_refusal(const Node& n) { return refusal_of(n).has_value(); }

// The branch that cannot be refuses the run, with results of the types of the other.
Status refuse_branch(Node& n, const Refusal& refusal) {
  Graph &bad = *branch_of(n, refusal.branch), &good = *branch_of(n, !refusal.branch);
  bad.outputs.clear();
  while (!bad.nodes().empty()) bad.remove_node(bad.nodes().back().get());
  const Diagnostic& why = refusal.why.diagnostics().front();
  Node* refuse = bad.add_node("Refuse", {}, n.num_outputs(), nullptr, std::string(kOwnDomain));
  refuse->name = n.name;
  refuse->origins = n.origins;
  refuse->attrs["message"] = n.where() + ": its " + (refusal.branch ? "then_branch" : "else_branch") +
                             " cannot run: " + why.where + ": " + why.message;
  for (size_t i = 0; i < n.num_outputs(); ++i) {
    refuse->output(i)->type = good.outputs[i]->type;
    bad.outputs.push_back(refuse->output(i));
  }
  return ok();
}

bool if_is_taken_apart(const Node& n) {
  if (!n.input(0)) return false;
  if (known_int(n.input(0))) return true;
  Graph *then_branch = n.attr_graph("then_branch"), *else_branch = n.attr_graph("else_branch");
  if (!then_branch || !else_branch || then_branch->nodes().size() + else_branch->nodes().size() > kMostSelected)
    return false;
  if (refuses(*then_branch) || refuses(*else_branch)) return false;
  if (!infer_branch(*then_branch).ok() || !infer_branch(*else_branch).ok()) return false;
  return then_branch->outputs.size() == else_branch->outputs.size() && same_types(*then_branch, *else_branch);
}

bool if_decomposes(const Node& n) { return if_is_taken_apart(n) || if_varies(n) || has_refusal(n); }

Status decompose_if(Graph& g, Node& n) {
  if (const auto refusal = refusal_of(n)) return refuse_branch(n, *refusal);
  if (!if_is_taken_apart(n)) return box_if(g, n);
  const Graph *then_branch = n.attr_graph("then_branch"), *else_branch = n.attr_graph("else_branch");
  if (!then_branch || !else_branch)
    return Error(ErrorKind::InvalidModel, "then_branch and else_branch are needed", n.where());
  if (const auto known = known_int(n.input(0))) {
    replace_node(g, n, inline_at(g, n, *known ? *then_branch : *else_branch, {}));
    return ok();
  }
  const auto yes = inline_at(g, n, *then_branch, {}), no = inline_at(g, n, *else_branch, {});
  std::vector<Value*> results;
  for (size_t i = 0; i < yes.size(); ++i) {
    Value* condition = n.input(0);
    if (condition->type.shape && condition->type.shape->size() == 1) {  // one element, of rank 0 for broadcasting
      Node* scalar = g.add_node("Squeeze", {condition});
      scalar->origins = n.origins;
      condition = scalar->output();
    }
    Node* select = g.add_node("Where", {condition, yes[i], no[i]});
    select->origins = n.origins;
    results.push_back(select->output());
  }
  replace_node(g, n, results);
  return ok();
}

// ---- Loop

bool is_unrolled(const Graph& body, int64_t turns, bool may_loop) {
  if (turns < 0 || turns > kMostTurns) return false;
  return body.nodes().size() * static_cast<size_t>(turns) <= (may_loop ? kFewNodes : kMostNodes);
}

bool loop_is_unrolled(const Node& n) {
  const Graph* body = n.attr_graph("body");
  const auto turns = known_int(n.input(0));
  const size_t carried = n.num_inputs() < 2 ? 0 : n.num_inputs() - 2;
  if (!body || !turns || !is_unrolled(*body, *turns, keeps_types(*body, 2, 1, carried))) return false;
  if (n.input(1)) {
    const auto condition = known_int(n.input(1));
    if (!condition || *condition == 0) return false;
  }
  return stays_true(*body) && (*turns > 0 || n.num_outputs() == carried);
}

constexpr const char* kRest = "rest_of_loop";  // of a Loop whose first turn is before it

// Whether the turns of a Loop only pass carried value i on.
bool is_passed_on(const Graph& body, size_t i) {
  const Value* left = body.outputs[1 + i];
  while (left->producer && left->producer->op == "Identity" && left->producer->domain.empty())
    left = left->producer->input(0);
  return left == body.inputs[2 + i];
}

bool passes_values_on(const Node& n) {
  const Graph* body = n.attr_graph("body");
  if (!body || n.num_inputs() < 2 || body->inputs.size() != n.num_inputs() || body->outputs.size() + 1 < n.num_inputs())
    return false;
  for (size_t i = 0; i + 2 < n.num_inputs(); ++i)
    if (n.input(2 + i) && is_passed_on(*body, i)) return true;
  return false;
}

// A Loop of other inputs that takes over the body of `n`.
Node* loop_instead(Graph& g, Node& n, std::vector<Value*> inputs, size_t outputs) {
  Node* loop = g.add_node("Loop", std::move(inputs), outputs);
  loop->name = n.name;
  loop->origins = n.origins;
  loop->attrs = std::move(n.attrs);
  return loop;
}

// What no turn changes (weights, as Paddle's files carry them) is read where it lies around the loop.
Status read_around(Graph& g, Node& n) {
  Graph& body = *n.attr_graph("body");
  std::vector<Value*> inputs = n.inputs(), results(n.num_outputs(), nullptr);
  size_t left = n.num_outputs();
  for (size_t i = n.num_inputs() - 2; i-- > 0;) {
    if (!inputs[2 + i] || !is_passed_on(body, i)) continue;
    const auto at = static_cast<std::ptrdiff_t>(i);
    Value *own = body.inputs[2 + i], *around = inputs[2 + i];
    body.outputs.erase(body.outputs.begin() + 1 + at);
    body.inputs.erase(body.inputs.begin() + 2 + at);
    body.replace_uses(own, around);
    body.remove_value(own);
    inputs.erase(inputs.begin() + 2 + at);
    if (i >= results.size()) continue;
    results[i] = around;
    --left;
  }
  const Node* loop = loop_instead(g, n, std::move(inputs), left);
  size_t next = 0;
  for (Value*& result : results)
    if (!result) result = loop->output(next++);
  replace_node(g, n, results);
  return ok();
}

// Whether a carried value has one rank at first and none that is known of all turns.
bool loses_a_rank(const Node& n) {
  const Graph* body = n.attr_graph("body");
  if (!body || body->inputs.size() != n.num_inputs()) return false;
  for (size_t i = 2; i < n.num_inputs(); ++i) {
    const Type &first = n.input(i)->type, &each = body->inputs[i]->type;
    if (first.is_tensor() && first.shape && each.is_tensor() && !each.shape) return true;
  }
  return false;
}

// Types the body by those of the carried values; gives back what they were.
std::vector<Type> retype(Graph& body, std::vector<Type> carried) {
  for (size_t i = 0; i < carried.size(); ++i) std::swap(body.inputs[2 + i]->type, carried[i]);
  (void)infer_branch(body).ok();  // where it fails the If's types stay unknown
  return carried;
}

std::vector<Type> types_at_first(const Node& n) {
  std::vector<Type> types;
  for (size_t i = 2; i < n.num_inputs(); ++i) types.push_back(n.input(i)->type);
  return types;
}

// The If of the body that gives two ranks already where the carried values have the types that they have at first.
Node* if_of_first_turn(const Node& n) {
  if (!loses_a_rank(n)) return nullptr;
  Graph& body = *n.attr_graph("body");
  std::vector<Type> settled = retype(body, types_at_first(n));
  Node* found = nullptr;
  for (const auto& inner : body.nodes())
    if (inner->op == "If" && inner->domain.empty() && if_varies(*inner)) found = inner.get();
  retype(body, std::move(settled));
  return found;
}

// Where the first turn gives a carried value a rank that it has not at first (a placeholder that no turn reads, one
// element that is broadcast), the turns after it may keep all ranks. It must be sure that there is a first turn.
bool first_turn_differs(const Node& n) {
  return loses_a_rank(n) && !n.has(kRest) && !(n.input(0) && known_int(n.input(0)).value_or(0) < 1) &&
         !(n.input(1) && known_int(n.input(1)).value_or(0) == 0);
}

// The body counts from 1.
void count_on(Graph& body) {
  Value* turn = body.inputs[0];
  const std::vector<Value*> one{turn, body.add_constant(Tensor::i64({}, {1}))};
  Node* next = body.add_node("Add", one, 1, body.nodes().empty() ? nullptr : body.nodes().front().get());
  body.replace_uses(turn, next->output());
  next->set_input(0, turn);
}

Status peel_loop(Graph& g, Node& n) {
  Graph& body = *n.attr_graph("body");
  const size_t carried = n.num_inputs() - 2;
  std::vector<Value*> inputs = n.inputs();
  inputs[0] = g.add_constant(Tensor::i64({}, {0}));
  inputs[1] = g.add_constant(Tensor::of<uint8_t>(Elem::Bool, {}, {1}));
  const size_t before = g.values().size();
  const auto first = inline_at(g, n, body, inputs);
  for (size_t i = before; i < g.values().size(); ++i)  // the names stay the body's
    g.values()[i]->name = g.fresh_name(g.values()[i]->name);
  inputs = first;
  inputs.resize(1 + carried);
  Value* count = nullptr;
  if (n.input(0)) count = g.add_constant(Tensor::i64({}, {*known_int(n.input(0)) - 1}));
  inputs.insert(inputs.begin(), count);
  Node* rest = loop_instead(g, n, std::move(inputs), n.num_outputs());
  rest->attrs[kRest] = int64_t{1};
  count_on(body);
  std::vector<Value*> results = rest->outputs();
  for (size_t o = carried; o < results.size(); ++o) {
    Node* joined = g.add_node("Concat", {stack(g, n, {first[1 + o]}, 0, false), results[o]});
    joined->attrs["axis"] = int64_t{0};
    joined->origins = n.origins;
    results[o] = joined->output();
  }
  replace_node(g, n, results);
  return ok();
}

bool loop_decomposes(const Node& n) {
  return loop_is_unrolled(n) || passes_values_on(n) || first_turn_differs(n) || if_of_first_turn(n) || loop_varies(n);
}

Status decompose_loop(Graph& g, Node& n) {
  if (!loop_is_unrolled(n)) {
    if (passes_values_on(n)) return read_around(g, n);
    if (first_turn_differs(n)) return peel_loop(g, n);
    Node* inner = if_of_first_turn(n);
    if (!inner) return box_loop(g, n);
    Graph& body = *n.attr_graph("body");
    retype(body, types_at_first(n));
    return decompose_if(body, *inner);
  }
  const Graph& body = *n.attr_graph("body");
  const int64_t turns = *known_int(n.input(0));
  std::vector<Value*> carried(n.inputs().begin() + std::min<size_t>(2, n.num_inputs()), n.inputs().end());
  if (body.inputs.size() != carried.size() + 2 || body.outputs.size() < carried.size() + 1)
    return Error(ErrorKind::InvalidModel, "the body's inputs and outputs do not fit the carried values", n.where());
  std::vector<std::vector<Value*>> scans(body.outputs.size() - 1 - carried.size());
  for (int64_t t = 0; t < turns; ++t) {
    std::vector<Value*> inputs{g.add_constant(Tensor::i64({}, {t})),
                               g.add_constant(Tensor::of<uint8_t>(Elem::Bool, {}, {1}))};
    inputs.insert(inputs.end(), carried.begin(), carried.end());
    const auto results = inline_at(g, n, body, inputs);
    for (size_t i = 0; i < carried.size(); ++i) carried[i] = results[1 + i];
    for (size_t i = 0; i < scans.size(); ++i) scans[i].push_back(results[1 + carried.size() + i]);
  }
  for (auto& values : scans) carried.push_back(values.empty() ? nullptr : stack(g, n, values, 0, false));
  replace_node(g, n, carried);
  return ok();
}

// ---- Scan (since opset 9; the form of opset 8 has a batch axis of its own)

// Of opset 8: sequence_lens, states and scan inputs, all with a batch axis before the axis of the turns. So a Scan over
// the batch, whose turns carry nothing, of a Scan.
Status upgrade_scan_8(Graph& g, Node& n) {
  const auto attr = n.attrs.find("body");
  const auto* body = attr == n.attrs.end() ? nullptr : std::get_if<std::shared_ptr<Graph>>(&attr->second);
  if (!body) return Error(ErrorKind::InvalidModel, "the body is missing", n.where());
  if (n.input(0))
    return Error(ErrorKind::Unsupported, "sequence_lens of Scan is not supported", n.where(),
                 "export with opset 9 or newer");
  const auto batch = std::make_shared<Graph>("batch");
  batch->parent = &g;
  const std::vector<Value*> inputs(n.inputs().begin() + 1, n.inputs().end());
  for (size_t i = 0; i < inputs.size(); ++i) batch->add_input(batch->fresh_name("batch"), Type{});
  Node* turns = batch->add_node("Scan", batch->inputs, n.num_outputs());
  turns->name = n.name;
  turns->origins = n.origins;
  turns->attrs = {{"body", *body}, {"num_scan_inputs", n.attr_int("num_scan_inputs", 0)}};
  if (n.has("directions")) turns->attrs["scan_input_directions"] = n.attr_ints("directions");
  (*body)->parent = batch.get();
  batch->outputs = turns->outputs();
  n.attrs = {{"body", batch}, {"num_scan_inputs", static_cast<int64_t>(inputs.size())}};
  for (size_t i = 0; i < inputs.size(); ++i) n.set_input(i, inputs[i]);
  n.resize_inputs(inputs.size());
  return ok();
}

struct ScanShape {
  const Graph* body = nullptr;
  size_t states = 0, scans = 0;
  int64_t turns = -1;
};
ScanShape scan_shape(const Node& n) {
  ScanShape s;
  s.body = n.attr_graph("body");
  s.scans = static_cast<size_t>(std::max<int64_t>(0, n.attr_int("num_scan_inputs", 0)));
  if (!s.body || s.scans == 0 || s.scans > n.num_inputs()) return s;
  s.states = n.num_inputs() - s.scans;
  const Value* first = n.input(s.states);
  if (!first || !first->type.shape) return s;
  auto axis = normal_axis(n, entry(n.attr_ints("scan_input_axes"), 0), first->type.shape->size());
  if (axis.ok()) s.turns = (*first->type.shape)[axis.value()].constant().value_or(-1);
  return s;
}

bool scan_decomposes(const Node& n) {
  const ScanShape s = scan_shape(n);
  return s.turns > 0 && is_unrolled(*s.body, s.turns, keeps_types(*s.body, 0, 0, s.states));
}

Status decompose_scan(Graph& g, Node& n) {
  const ScanShape s = scan_shape(n);
  if (s.body->inputs.size() != s.states + s.scans || s.body->outputs.size() < s.states)
    return Error(ErrorKind::InvalidModel, "the body's inputs and outputs do not fit the node's", n.where());
  const auto axes = n.attr_ints("scan_input_axes"), directions = n.attr_ints("scan_input_directions");
  const auto out_axes = n.attr_ints("scan_output_axes"), out_directions = n.attr_ints("scan_output_directions");
  std::vector<Value*> states(n.inputs().begin(), n.inputs().begin() + static_cast<std::ptrdiff_t>(s.states));
  std::vector<std::vector<Value*>> scans(s.body->outputs.size() - s.states);
  for (int64_t t = 0; t < s.turns; ++t) {
    std::vector<Value*> inputs = states;
    for (size_t i = 0; i < s.scans; ++i) {
      const int64_t at = entry(directions, i) ? s.turns - 1 - t : t;
      Node* slice = g.add_node("Gather", {n.input(s.states + i), g.add_constant(Tensor::i64({}, {at}))});
      slice->attrs["axis"] = entry(axes, i);
      slice->origins = n.origins;
      inputs.push_back(slice->output());
    }
    const auto results = inline_at(g, n, *s.body, inputs);
    for (size_t i = 0; i < s.states; ++i) states[i] = results[i];
    for (size_t i = 0; i < scans.size(); ++i) scans[i].push_back(results[s.states + i]);
  }
  for (size_t i = 0; i < scans.size(); ++i)
    states.push_back(stack(g, n, scans[i], entry(out_axes, i), entry(out_directions, i) != 0));
  replace_node(g, n, states);
  return ok();
}

}  // namespace

OP(If) = {.name = "If", .infer = infer_if, .decompose = decompose_if, .decompose_if = if_decomposes, .lower = lower_if};
OP(Loop) = {.name = "Loop",
            .infer = infer_loop,
            .decompose = decompose_loop,
            .decompose_if = loop_decomposes,
            .lower = lower_loop,
            .defines_dims = true};
OP(Scan) = {.name = "Scan",
            .infer = infer_scan,
            .decompose = decompose_scan,
            .decompose_if = scan_decomposes,
            .lower = lower_scan,
            .upgrades = {{8, upgrade_scan_8}}};

}  // namespace onnxc
