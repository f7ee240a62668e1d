// The operator table and shape inference over it. Tested in tests/unit/ops_test.cc.
#include "compiler/ops/op.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace onnxc {

#define ONNXC_OP(name) extern const OpDef op_##name;
#include "compiler/ops/ops.inc"
#undef ONNXC_OP

namespace {

const OpDef* const kOps[] = {
#define ONNXC_OP(name) &op_##name,
#include "compiler/ops/ops.inc"
#undef ONNXC_OP
};

using OpKey = std::pair<std::string_view, std::string_view>;

const std::map<OpKey, const OpDef*>& op_index() {
  static const std::map<OpKey, const OpDef*> index = [] {
    std::map<OpKey, const OpDef*> m;
    for (const OpDef* op : kOps) m[{op->domain, op->name}] = op;
    return m;
  }();
  return index;
}

// Contents of a constant, as Dims, where it is a small tensor of integers, bools, or floats that are whole numbers.
std::optional<Contents> contents_of(const Tensor& t) {
  if (!is_int(t.elem()) && t.elem() != Elem::Bool && !is_float(t.elem())) return std::nullopt;
  if (static_cast<size_t>(t.numel()) > kMaxContents) return std::nullopt;
  constexpr double kMostWhole = 1LL << 53;
  for (int64_t i = 0; is_float(t.elem()) && i < t.numel(); ++i)
    if (const double v = t.float_at(i); v != std::floor(v) || std::abs(v) > kMostWhole) return std::nullopt;
  Contents c;
  for (int64_t v : t.to_ints()) c.emplace_back(v);
  return c;
}

Status check_outputs(const Node& node, const InferContext& c) {
  for (size_t i = 0; i < c.outputs.size(); ++i) {
    if (!node.output(i)) continue;
    const Type& t = c.outputs[i];
    if (t.kind == Type::Kind::None)
      return Error(ErrorKind::Internal, "the shape rule gave no type for output " + std::to_string(i), node.where());
    if (!t.is_tensor() || !t.shape) continue;
    for (const Dim& d : *t.shape) {
      if (d.is_overflow())
        return Error(ErrorKind::InvalidModel, "a dimension of output " + std::to_string(i) + " is too large",
                     node.where());
      if (d.is_const() && d.value() < 0)
        return Error(ErrorKind::InvalidModel,
                     "output " + std::to_string(i) + " would have the shape " + shape_str(*t.shape) +
                         ", with a negative dimension",
                     node.where(), "check the shapes of the inputs, and --dim / --shape if you gave them");
    }
    if (is_static(*t.shape) && !checked_numel(static_dims(*t.shape)))
      return Error(ErrorKind::InvalidModel,
                   "output " + std::to_string(i) + " would have the shape " + shape_str(*t.shape) +
                       ", more elements than memory can hold",
                   node.where());
  }
  return ok();
}

}  // namespace

WayDown way_down(const OpDef* def, const Node& node) {
  const auto agrees = [&](ConditionFn condition) { return !condition || condition(node); };
  if (def && def->decompose && agrees(def->decompose_if)) return WayDown::Decompose;
  if (def && def->compute && agrees(def->compute_if)) return WayDown::Compute;
  if (def && def->lower && agrees(def->lower_if)) return WayDown::Lower;
  return WayDown::Body;
}

const OpDef* find_op(std::string_view domain, std::string_view name) {
  if (domain == "ai.onnx") domain = "";
  const auto& index = op_index();
  auto it = index.find({domain, name});
  return it == index.end() ? nullptr : it->second;
}

std::span<const OpDef* const> all_ops() { return kOps; }

const std::optional<Contents>& InferContext::in_contents(size_t i) const {
  static const std::optional<Contents> none;
  Value* v = node.input(i);
  if (!v) return none;
  if (!v->contents && v->constant) v->contents = contents_of(*v->constant);
  return v->contents;
}

std::optional<std::vector<int64_t>> InferContext::in_ints(size_t i) const {
  const auto& c = in_contents(i);
  if (!c || is_float(elem(i))) return std::nullopt;
  std::vector<int64_t> out;
  for (const Dim& d : *c) {
    if (!d.is_const()) return std::nullopt;
    out.push_back(d.value());
  }
  return out;
}

const Tensor* InferContext::in_constant(size_t i) const {
  Value* v = node.input(i);
  return v && v->constant ? &*v->constant : nullptr;
}

Status require_non_negative(const Node& node, const Dim& value, const std::string& what) {
  if (value.is_const()) return value.value() >= 0 ? ok() : Status(Error(ErrorKind::InvalidModel, what, node.where()));
  node.graph->require(value, node.where() + ": " + what);
  return ok();
}

namespace {

// Not within subgraphs: a branch that no run takes asks for nothing.
void learn(Graph& graph, const Dim& free, const Dim& constant) {
  const auto name = free.as_symbol();
  if (!name || graph.parent || constant.value() < 0) return;
  for (const Value* input : graph.inputs)
    if (input->type.shape && std::ranges::count(*input->type.shape, free) > 0) graph.learned.emplace(*name, constant);
}

}  // namespace

Status require_equal(const Node& node, const Dim& a, const Dim& b, const std::string& what) {
  if (a == b) return ok();
  if (a.is_const() && b.is_const())
    return Error(ErrorKind::InvalidModel, what + ": " + a.str() + " and " + b.str(), node.where());
  if (a.is_const() || b.is_const()) learn(*node.graph, a.is_const() ? b : a, a.is_const() ? a : b);
  return require_non_negative(node, Dim::min(a - b, b - a), what + ": " + a.str() + " and " + b.str());
}

Status InferContext::require_equal(const Dim& a, const Dim& b, const std::string& what) const {
  return onnxc::require_equal(node, a, b, what);
}

std::optional<size_t> InferContext::declared_rank(size_t i) const {
  return node.output(i) ? node.output(i)->declared_rank : std::nullopt;
}

Status InferContext::settle_length(size_t i, size_t length) const {
  if (!has_shape(i) || shape(i).size() != 1 || shape(i)[0].is_const()) return ok();
  return require_equal(shape(i)[0], Dim(static_cast<int64_t>(length)),
                       "the number of entries of input " + std::to_string(i));
}

Dim InferContext::unknown(std::string_view tag) const {
  return Dim::symbol("n" + std::to_string(node.id) + "." + std::string(tag));
}

namespace {

// Elements of a list that may tell dims; a longer one is data.
constexpr int64_t kMaxListed = 32;
// What is longer and made of elements is known by a name.
constexpr size_t kMaxDimNodes = 64;

bool is_too_long(const Dim& d) {
  if (d.count_nodes() <= kMaxDimNodes) return false;
  std::set<std::string> symbols;
  d.collect_symbols(symbols);
  return std::ranges::any_of(symbols, [](const std::string& s) { return s.front() == '~'; });
}

// An integer tensor that may be a shape, axes, a count ...
bool may_tell_dims(const Value& v) {
  const Type& type = v.type;
  if (!type.is_static_tensor() || type.shape->size() > 1 || !is_int(type.elem) || elem_bits(type.elem) < 8)
    return false;
  return numel(*type.shape).value() <= kMaxListed;
}

// Elements that only a run knows are symbols of their own, which may be negative.
void name_elements(Value& v, const std::string& stem) {
  const auto unknown = [](const Dim& d) { return d.is_overflow(); };
  if (!may_tell_dims(v)) {
    if (v.contents && std::ranges::any_of(*v.contents, unknown)) v.contents.reset();
    return;
  }
  if (!v.contents) v.contents = Contents(static_cast<size_t>(numel(*v.type.shape).value()), Dim::overflow());
  for (size_t i = 0; i < v.contents->size(); ++i) {
    Dim& element = (*v.contents)[i];
    if (element.is_overflow())
      element = Dim::symbol(stem + "." + std::to_string(i));
    else if (is_too_long(element))
      element = v.graph->parent ? Dim::symbol(stem + "." + std::to_string(i)) : v.graph->name_dim(element, true);
  }
}

// What works element by element on one tensor keeps its rank.
bool keeps_rank(const Node& node) {
  if (node.num_outputs() != 1 || !node.input(0) || !node.output()) return false;
  // Further inputs have no part in it.
  if (node.domain.empty() && (node.op == "CastLike" || node.op == "Clip")) return true;
  const OpDef* def = find_op(node.domain, node.op);
  return node.num_inputs() == 1 && def && def->layout == LayoutBehaviour::Agnostic;
}

// The rank that the file declares for a value is known for what it is made of, too.
void spread_declared_ranks(const Graph& graph) {
  for (auto node = graph.nodes().rbegin(); node != graph.nodes().rend(); ++node)
    if (Value* in = keeps_rank(**node) ? (*node)->input(0) : nullptr; in && !in->declared_rank)
      in->declared_rank = (*node)->output()->declared_rank;
}

}  // namespace

Status infer_node(Node& node) {
  const OpDef* def = find_op(node.domain, node.op);
  if (!def || !def->infer) return ok();  // a function of ONNX: its body is inlined once its inputs are typed
  for (Value* in : node.inputs())
    if (in && in->type.kind == Type::Kind::None) return ok();  // waits for the same
  InferContext c(node);
  const Status told = def->infer(c);
  if (c.waits || !node.graph->learned.empty()) return ok();
  ONNXC_TRY(Status(told));
  ONNXC_TRY(check_outputs(node, c));
  for (size_t i = 0; i < node.num_outputs(); ++i) {
    Value* out = node.output(i);
    if (!out) continue;
    out->type = std::move(c.outputs[i]);
    if (out->type.is_tensor() && out->type.shape)
      for (Dim& d : *out->type.shape)
        if (is_too_long(d) && !node.graph->parent) d = node.graph->name_dim(d, false);
    out->contents = std::move(c.contents[i]);
    if (out->contents && out->contents->size() > kMaxContents) out->contents.reset();
    name_elements(*out, "~n" + std::to_string(node.id) + "." + std::to_string(i));
  }
  return ok();
}

Status infer_graph(Graph& graph) {
  ONNXC_TRY(graph.sort());
  spread_declared_ranks(graph);
  do {
    graph.substitute(std::exchange(graph.learned, {}));
    for (size_t i = 0; i < graph.inputs.size(); ++i) {
      Value& input = *graph.inputs[i];
      if (graph.parent) input.contents.reset();  // of a turn
      name_elements(input, graph.parent ? "~v" + std::to_string(input.id) : "~in" + std::to_string(i));
    }
    for (const auto& node : graph.nodes()) {
      ONNXC_TRY(infer_node(*node));
      if (!graph.learned.empty()) break;
    }
  } while (!graph.learned.empty());
  return ok();
}

}  // namespace onnxc
