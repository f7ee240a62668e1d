// Sequences and optionals (onnx/docs/Operators.md). A sequence whose elements the graph lists is taken apart: its
// operators become those on tensors, and what cannot be (a sequence that is an output ...) is one SequenceConstruct.
// Elsewhere: sequence_lowering.cc. Tested by tests/conformance and tests/differential/test_sequences.py.
#include "compiler/ops/sequence.h"

#include <algorithm>

#include "compiler/ir/clone_graph.h"
#include "compiler/ops/indexing.h"

namespace onnxc {

Dim varying_dim() { return Dim::symbol("?"); }

Type joined_elements(const Type& a, const Type& b) {
  if (!a.shape || !b.shape) return a.shape ? a : b;
  if (a.shape->size() != b.shape->size()) return Type::unranked(a.elem);
  Type both = a;
  for (size_t d = 0; d < a.shape->size(); ++d)
    if ((*a.shape)[d] != (*b.shape)[d]) (*both.shape)[d] = varying_dim();
  return both;
}

const Type& element_type(const Type& t) {
  const Type* inner = &t;
  while (inner->inner) inner = inner->inner.get();
  return *inner;
}

namespace {

const Type& without_optional(const Type& t) { return is_optional(t) ? *t.inner : t; }

}  // namespace

bool is_joinable(const Type& a, const Type& b) {
  if (a.is_tensor() || b.is_tensor() || !a.inner || !b.inner) return false;
  const Type &x = without_optional(a), &y = without_optional(b);
  return x.kind == y.kind && element_type(x).kind == element_type(y).kind &&
         element_type(x).elem == element_type(y).elem;
}

Type joined_lists(const Type& a, const Type& b) {
  const Type both = joined_elements(element_type(a), element_type(b));
  const Type inner = is_sequence(without_optional(a)) ? Type::sequence(both) : both;
  return is_optional(a) || is_optional(b) ? Type::optional(inner) : inner;
}

std::optional<std::vector<Value*>> listed_elements(const Value* sequence) {
  while (sequence && sequence->producer && sequence->producer->op == "Identity")
    sequence = sequence->producer->input(0);
  if (!sequence || !sequence->producer) return std::nullopt;
  if (sequence->producer->op == "SequenceEmpty") return std::vector<Value*>{};
  if (sequence->producer->op != "SequenceConstruct") return std::nullopt;
  return sequence->producer->inputs();
}

namespace {

// ---- what the rules share

Status require_sequence(InferContext& c, size_t i) {
  if (!c.has_input(i)) return c.invalid("input " + std::to_string(i) + " is missing");
  if (is_sequence(c.in(i))) return ok();
  return c.invalid("input " + std::to_string(i) + " must be a sequence, not " + c.in(i).str());
}

Status require_element(InferContext& c, size_t i, Elem elem) {
  if (!c.has_input(i) || !c.in(i).is_tensor()) return c.invalid("input " + std::to_string(i) + " must be a tensor");
  if (c.elem(i) == elem) return ok();
  return c.invalid("a sequence of " + std::string(elem_name(elem)) + " cannot hold " + c.in(i).str());
}

Status require_position(InferContext& c, size_t i) {
  if (!c.has_input(i)) return ok();
  if (!c.in(i).is_tensor() || (c.elem(i) != Elem::I64 && c.elem(i) != Elem::I32))
    return c.invalid("the position must be an integer, not " + c.in(i).str());
  return indexing::require_scalar(c, i);
}

// The type of one tensor that the sequence holds.
Type one_of(const InferContext& c, const Type& elements) {
  Type one = elements;
  for (size_t d = 0; one.shape && d < one.shape->size(); ++d)
    if ((*one.shape)[d] == varying_dim()) (*one.shape)[d] = c.unknown("dim" + std::to_string(d));
  return one;
}

Node* add(Node& like, std::string op, std::vector<Value*> inputs, size_t outputs = 1) {
  Node* n = like.graph->add_node(std::move(op), std::move(inputs), outputs, &like);
  n->origins = like.origins;
  return n;
}

Status replace(Graph& g, Node& node, Value* with) {
  g.replace_uses(node.output(), with);
  g.remove_node(&node);
  return ok();
}

Status replace_by_list(Graph& g, Node& node, std::vector<Value*> elements) {
  const bool empty = elements.empty();
  Node* list = add(node, empty ? "SequenceEmpty" : "SequenceConstruct", std::move(elements));
  if (empty) list->attrs["dtype"] = static_cast<int64_t>(element_type(node.output()->type).elem);
  list->output()->type = node.output()->type;
  return replace(g, node, list->output());
}

// The position that input `i` gives in a list of `count` places, or `fallback` without it; nothing where only a run
// tells.
Result<std::optional<size_t>> known_position(const Node& node, size_t i, size_t count, int64_t fallback) {
  const auto n = static_cast<int64_t>(count);
  int64_t at = fallback;
  if (node.input(i)) {
    const auto given = indexing::ints_of(node.input(i));
    if (!given || given->size() != 1) return std::optional<size_t>();
    at = given->front();
  }
  if (at < 0) at += n;
  if (at < 0 || at >= n)
    return Error(ErrorKind::InvalidModel,
                 "position " + std::to_string(at < 0 ? at - n : at) + " is outside of " + std::to_string(n) + " places",
                 node.where());
  return std::optional<size_t>(static_cast<size_t>(at));
}

bool is_known_position(const Node& node, size_t i) {
  return !node.input(i) || indexing::ints_of(node.input(i)).has_value();
}

// In the body of a loop a symbol may stand for another number in each turn.
Type in_any_turn(const Node& node, Type type) {
  for (size_t d = 0; node.graph->parent && type.shape && d < type.shape->size(); ++d)
    if (!(*type.shape)[d].is_const()) (*type.shape)[d] = varying_dim();
  return type;
}

// ---- SequenceConstruct, SequenceEmpty

Status infer_sequence_construct(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("a sequence must be given an element");
  Type elements = c.in(0);
  for (size_t i = 0; i < c.node.num_inputs(); ++i) {
    ONNXC_TRY(require_element(c, i, elements.elem));
    // One of unknown rank may have any.
    elements = c.in(i).shape && elements.shape ? joined_elements(elements, c.in(i)) : Type::unranked(elements.elem);
  }
  return c.outputs[0] = Type::sequence(in_any_turn(c.node, std::move(elements))), ok();
}

Status infer_sequence_empty(InferContext& c) {
  const int64_t dtype = c.node.attr_int("dtype", static_cast<int64_t>(Elem::F32));
  if (dtype <= 0 || dtype >= kElemCount) return c.invalid("there is no element type " + std::to_string(dtype));
  return c.outputs[0] = Type::sequence(Type::unranked(static_cast<Elem>(dtype))), ok();
}

// ---- SequenceInsert, SequenceErase, SequenceAt, SequenceLength

Status infer_sequence_insert(InferContext& c) {
  ONNXC_TRY(require_sequence(c, 0));
  ONNXC_TRY(require_element(c, 1, element_type(c.in(0)).elem));
  ONNXC_TRY(require_position(c, 2));
  return c.outputs[0] = Type::sequence(joined_elements(*c.in(0).inner, in_any_turn(c.node, c.in(1)))), ok();
}

bool is_listed_with_position(const Node& node, size_t position) {
  return listed_elements(node.input(0)) && is_known_position(node, position);
}

Status decompose_sequence_insert(Graph& g, Node& node) {
  std::vector<Value*> elements = *listed_elements(node.input(0));
  const auto end = static_cast<int64_t>(elements.size());
  // One place more than there are elements; a negative position counts from the end of these.
  auto at = static_cast<std::ptrdiff_t>(end);
  if (node.input(2)) {
    const int64_t given = indexing::ints_of(node.input(2))->front();
    at = static_cast<std::ptrdiff_t>(given < 0 ? given + end : given);
    if (at < 0 || at > end)
      return Error(ErrorKind::InvalidModel,
                   "position " + std::to_string(given) + " is outside of a sequence of " + std::to_string(end),
                   node.where());
  }
  elements.insert(elements.begin() + at, node.input(1));
  return replace_by_list(g, node, std::move(elements));
}

Status infer_sequence_erase(InferContext& c) {
  ONNXC_TRY(require_sequence(c, 0));
  ONNXC_TRY(require_position(c, 1));
  return c.outputs[0] = c.in(0), ok();
}

Status decompose_sequence_erase(Graph& g, Node& node) {
  std::vector<Value*> elements = *listed_elements(node.input(0));
  ONNXC_ASSIGN(const auto at, known_position(node, 1, elements.size(), -1));
  elements.erase(elements.begin() + static_cast<std::ptrdiff_t>(*at));
  return replace_by_list(g, node, std::move(elements));
}

Status infer_sequence_at(InferContext& c) {
  ONNXC_TRY(require_sequence(c, 0));
  if (!c.has_input(1)) return c.invalid("the position is missing");
  ONNXC_TRY(require_position(c, 1));
  c.outputs[0] = one_of(c, *c.in(0).inner);
  return ok();
}

Status decompose_sequence_at(Graph& g, Node& node) {
  const std::vector<Value*> elements = *listed_elements(node.input(0));
  ONNXC_ASSIGN(const auto at, known_position(node, 1, elements.size(), 0));
  return replace(g, node, elements[*at]);
}

Status infer_sequence_length(InferContext& c) {
  ONNXC_TRY(require_sequence(c, 0));
  c.set(0, Elem::I64, {});
  if (const auto elements = listed_elements(c.node.input(0)))
    c.contents[0] = Contents{Dim(static_cast<int64_t>(elements->size()))};
  return ok();
}

// ---- SplitToSequence

// The sizes of the parts, where the compiler knows them.
Result<std::optional<std::vector<int64_t>>> known_parts(const Node& node) {
  constexpr int64_t kMostParts = 256;
  std::optional<std::vector<int64_t>> parts;
  const Shape& x = *node.input(0)->type.shape;
  ONNXC_ASSIGN(const int64_t axis, normal_axis(node, node.attr_int("axis", 0), x.size()));
  const auto extent = x[static_cast<size_t>(axis)].constant();
  int64_t part = 1;
  if (const Value* split = node.input(1)) {
    const auto sizes = indexing::ints_of(split);
    if (!sizes || !split->type.shape) return parts;
    if (!split->type.shape->empty()) {
      if (static_cast<int64_t>(sizes->size()) <= kMostParts) parts = sizes;
      return parts;
    }
    part = sizes->front();
    if (part < 1) return Error(ErrorKind::InvalidModel, "a part must have one element at least", node.where());
  }
  if (!extent || *extent / part >= kMostParts) return parts;
  parts.emplace();
  for (int64_t at = 0; at < *extent; at += part) parts->push_back(std::min(part, *extent - at));
  return parts;
}

bool keeps_dims(const Node& node) { return node.input(1) || node.attr_int("keepdims", 1) != 0; }

Status infer_split_to_sequence(InferContext& c) {
  if (!c.has_input(0) || !c.in(0).is_tensor()) return c.invalid("input 0 must be a tensor");
  Type elements = c.in(0);
  if (!elements.shape) return c.outputs[0] = Type::sequence(std::move(elements)), ok();
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, c.node.attr_int("axis", 0), elements.shape->size()));
  ONNXC_ASSIGN(const auto parts, known_parts(c.node));
  Dim& part = (*elements.shape)[static_cast<size_t>(axis)];
  const Dim extent = part;
  part = c.has_input(1) ? varying_dim() : Dim(1);
  if (parts && !parts->empty() && std::ranges::all_of(*parts, [&](int64_t p) { return p == parts->front(); }))
    part = Dim(parts->front());
  if (!keeps_dims(c.node)) elements.shape->erase(elements.shape->begin() + axis);
  if (parts) {
    Dim sum(0);
    for (int64_t p : *parts) sum = sum + Dim(p);
    ONNXC_TRY(c.require_equal(sum, extent, "the parts are not the whole"));
  }
  return c.outputs[0] = Type::sequence(in_any_turn(c.node, std::move(elements))), ok();
}

bool split_to_sequence_decomposes(const Node& node) {
  if (!node.input(0)->type.shape) return false;
  const auto parts = known_parts(node);
  return parts.ok() && *parts && !(*parts)->empty();
}

Status decompose_split_to_sequence(Graph& g, Node& node) {
  ONNXC_ASSIGN(const auto parts, known_parts(node));
  const auto count = static_cast<int64_t>(parts->size());
  const int64_t axis = node.attr_int("axis", 0);
  Node* split = add(node, "Split", {node.input(0), g.add_constant(Tensor::i64({count}, *parts))}, parts->size());
  split->attrs["axis"] = axis;
  std::vector<Value*> elements = split->outputs();
  if (!keeps_dims(node))
    for (Value*& v : elements) v = add(node, "Squeeze", {v, g.add_constant(Tensor::i64({1}, {axis}))})->output();
  return replace_by_list(g, node, std::move(elements));
}

// ---- ConcatFromSequence

Status infer_concat_from_sequence(InferContext& c) {
  ONNXC_TRY(require_sequence(c, 0));
  if (!c.node.has("axis")) return c.invalid("the axis is missing");
  Type out = one_of(c, *c.in(0).inner);
  if (!out.shape) return c.outputs[0] = std::move(out), ok();
  const bool new_axis = c.node.attr_int("new_axis", 0) != 0;
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, c.node.attr_int("axis", 0), out.shape->size() + new_axis));
  if (new_axis) out.shape->insert(out.shape->begin() + axis, Dim(0));
  (*out.shape)[static_cast<size_t>(axis)] = c.unknown("total");
  return c.outputs[0] = std::move(out), ok();
}

bool is_listed(const Node& node) {
  const auto elements = listed_elements(node.input(0));
  return elements && !elements->empty();
}

Status decompose_concat_from_sequence(Graph& g, Node& node) {
  std::vector<Value*> elements = *listed_elements(node.input(0));
  const int64_t axis = node.attr_int("axis", 0);
  if (node.attr_int("new_axis", 0) != 0)
    for (Value*& v : elements) v = add(node, "Unsqueeze", {v, g.add_constant(Tensor::i64({1}, {axis}))})->output();
  Node* joined = add(node, "Concat", std::move(elements));
  joined->attrs["axis"] = axis;
  return replace(g, node, joined->output());
}

// ---- SequenceMap: the body for each element of the first sequence, and of the others at the same place

Status check_map(const Node& node) {
  const Graph* body = node.attr_graph("body");
  const auto wrong = [&](const char* what) { return Error(ErrorKind::InvalidModel, what, node.where()); };
  if (!body || !node.input(0) || !is_sequence(node.input(0)->type)) return wrong("a body and a sequence are needed");
  if (body->inputs.size() != node.num_inputs() || body->outputs.size() < node.num_outputs())
    return wrong("the body's inputs and outputs do not fit the node's");
  for (const Value* v : node.inputs())
    if (!v) return wrong("an input is missing");
  return ok();
}

// What the body gets in the turn `number`, and gives: nodes in `to`.
std::vector<Value*> map_once(Graph& to, const Node& node, Value* number) {
  std::vector<Value*> inputs;
  for (Value* v : node.inputs()) {
    if (!is_sequence(v->type)) {
      inputs.push_back(v);
      continue;
    }
    Node* at = to.add_node("SequenceAt", {v, number});
    at->origins = node.origins;
    inputs.push_back(at->output());
  }
  return inline_graph(*node.attr_graph("body"), to, inputs);
}

Status map_listed(Graph& g, Node& node, size_t length) {
  std::vector<std::vector<Value*>> lists(node.num_outputs());
  for (size_t i = 0; i < length; ++i) {
    const auto results = map_once(g, node, g.add_constant(Tensor::i64({}, {static_cast<int64_t>(i)})));
    for (size_t o = 0; o < lists.size(); ++o) lists[o].push_back(results[o]);
  }
  for (size_t o = 0; o < lists.size(); ++o) {
    if (!node.output(o)) continue;
    Node* list = add(node, "SequenceConstruct", lists[o]);
    g.replace_uses(node.output(o), list->output());
  }
  g.remove_node(&node);
  return ok();
}

// The type of the body's outputs, from the declared types of its inputs' elements.
Result<std::vector<Elem>> output_elems(const Node& node) {
  Graph& body = *node.attr_graph("body");
  for (size_t i = 0; i < body.inputs.size(); ++i) body.inputs[i]->type = element_type(node.input(i)->type);
  ONNXC_TRY(infer_graph(body));
  std::vector<Elem> elems;
  for (size_t o = 0; o < node.num_outputs(); ++o) {
    const Type& type = body.outputs[o]->type;
    if (!type.is_tensor())
      return Error(ErrorKind::Unsupported, "output " + std::to_string(o) + " of the body has the type " + type.str(),
                   node.where());
    elems.push_back(type.elem);
  }
  return elems;
}

// A Loop that appends.
Status map_by_loop(Graph& g, Node& node) {
  ONNXC_ASSIGN(const std::vector<Elem> elems, output_elems(node));
  const auto turn = std::make_shared<Graph>("turn");
  turn->parent = &g;
  Value* number = turn->add_input(turn->fresh_name("number"), Type::tensor(Elem::I64, {}));
  Value* on = turn->add_input(turn->fresh_name("on"), Type::tensor(Elem::Bool, {}));
  std::vector<Value*> inits{add(node, "SequenceLength", {node.input(0)})->output(), nullptr};
  for (const Elem elem : elems) {
    Node* empty = add(node, "SequenceEmpty", {});
    empty->attrs["dtype"] = static_cast<int64_t>(elem);
    inits.push_back(empty->output());
    turn->add_input(turn->fresh_name("before"), Type{});
  }
  const auto results = map_once(*turn, node, number);
  turn->outputs.push_back(turn->add_node("Identity", {on})->output());
  for (size_t o = 0; o < elems.size(); ++o)
    turn->outputs.push_back(turn->add_node("SequenceInsert", {turn->inputs[2 + o], results[o]})->output());
  Node* loop = add(node, "Loop", inits, elems.size());
  loop->attrs["body"] = turn;
  for (size_t o = 0; o < elems.size(); ++o)
    if (node.output(o)) g.replace_uses(node.output(o), loop->output(o));
  g.remove_node(&node);
  return ok();
}

Status decompose_sequence_map(Graph& g, Node& node) {
  constexpr size_t kMostListed = 256;
  ONNXC_TRY(check_map(node));
  const auto elements = listed_elements(node.input(0));
  return elements && !elements->empty() && elements->size() <= kMostListed ? map_listed(g, node, elements->size())
                                                                           : map_by_loop(g, node);
}

// ---- optionals

Status infer_optional(InferContext& c) {
  if (c.has_input(0)) {
    if (!c.in(0).is_tensor() && !is_sequence(c.in(0))) return c.invalid("it cannot hold " + c.in(0).str());
    return c.outputs[0] = Type::optional(c.in(0)), ok();
  }
  const auto type = c.node.attrs.find("type");
  const Type* held = type == c.node.attrs.end() ? nullptr : std::get_if<Type>(&type->second);
  if (!held) return c.invalid("it has neither an element nor a type");
  return c.outputs[0] = Type::optional(*held), ok();
}

// The Optional operator that makes the value, or null.
const Node* maker_of_optional(const Value* v) {
  while (v && v->producer && v->producer->op == "Identity") v = v->producer->input(0);
  return v && v->producer && v->producer->op == "Optional" ? v->producer : nullptr;
}

Status infer_optional_has_element(InferContext& c) {
  c.set(0, Elem::Bool, {});
  const Node* maker = c.has_input(0) ? maker_of_optional(c.node.input(0)) : nullptr;
  if (!c.has_input(0) || maker || !is_optional(c.in(0)))
    c.contents[0] = Contents{Dim(c.has_input(0) && (!maker || maker->input(0)) ? 1 : 0)};
  return ok();
}

bool is_told(const Node& node) { return node.output()->contents && node.output()->contents->front().is_const(); }

Status decompose_optional_has_element(Graph& g, Node& node) {
  const auto has = static_cast<uint8_t>(node.output()->contents->front().value());
  return replace(g, node, g.add_constant(Tensor::of<uint8_t>(Elem::Bool, {}, {has})));
}

Status infer_optional_get_element(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("the input is missing");
  const Type& in = c.in(0);
  if (!is_optional(in)) return c.outputs[0] = in, c.contents[0] = c.in_contents(0), ok();
  return c.outputs[0] = in.inner->is_tensor() ? one_of(c, *in.inner) : *in.inner, ok();
}

bool has_given_element(const Node& node) {
  return !is_optional(node.input(0)->type) || maker_of_optional(node.input(0));
}

Status decompose_optional_get_element(Graph& g, Node& node) {
  if (!is_optional(node.input(0)->type)) return replace(g, node, node.input(0));
  Value* element = maker_of_optional(node.input(0))->input(0);
  if (!element) return Error(ErrorKind::InvalidModel, "the optional value has no element", node.where());
  return replace(g, node, element);
}

template <size_t position>
bool listed_at(const Node& node) {
  return is_listed_with_position(node, position);
}

}  // namespace

OP(SequenceConstruct) = {
    .name = "SequenceConstruct", .infer = infer_sequence_construct, .lower = lower_sequence_construct};
OP(SequenceEmpty) = {.name = "SequenceEmpty", .infer = infer_sequence_empty, .lower = lower_sequence_empty};
OP(SequenceInsert) = {.name = "SequenceInsert",
                      .infer = infer_sequence_insert,
                      .decompose = decompose_sequence_insert,
                      .decompose_if = listed_at<2>,
                      .lower = lower_sequence_insert};
OP(SequenceErase) = {.name = "SequenceErase",
                     .infer = infer_sequence_erase,
                     .decompose = decompose_sequence_erase,
                     .decompose_if = listed_at<1>,
                     .lower = lower_sequence_erase};
OP(SequenceAt) = {.name = "SequenceAt",
                  .infer = infer_sequence_at,
                  .decompose = decompose_sequence_at,
                  .decompose_if = listed_at<1>,
                  .lower = lower_sequence_at,
                  .defines_dims = true};
OP(SequenceLength) = {.name = "SequenceLength", .infer = infer_sequence_length, .lower = lower_sequence_length};
OP(SplitToSequence) = {.name = "SplitToSequence",
                       .infer = infer_split_to_sequence,
                       .decompose = decompose_split_to_sequence,
                       .decompose_if = split_to_sequence_decomposes,
                       .lower = lower_split_to_sequence};
OP(ConcatFromSequence) = {.name = "ConcatFromSequence",
                          .infer = infer_concat_from_sequence,
                          .decompose = decompose_concat_from_sequence,
                          .decompose_if = is_listed,
                          .lower = lower_concat_from_sequence,
                          .defines_dims = true};
OP(SequenceMap) = {.name = "SequenceMap", .decompose = decompose_sequence_map};
OP(Optional) = {.name = "Optional", .infer = infer_optional, .lower = lower_optional};
OP(OptionalHasElement) = {.name = "OptionalHasElement",
                          .infer = infer_optional_has_element,
                          .decompose = decompose_optional_has_element,
                          .decompose_if = is_told,
                          .lower = lower_optional_has_element};
OP(OptionalGetElement) = {.name = "OptionalGetElement",
                          .infer = infer_optional_get_element,
                          .decompose = decompose_optional_get_element,
                          .decompose_if = has_given_element,
                          .lower = lower_optional_get_element,
                          .defines_dims = true};

}  // namespace onnxc
