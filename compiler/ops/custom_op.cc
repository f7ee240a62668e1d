// onnxc.CustomOp: calls a C function that the user links (--custom-op). The node keeps its own attributes; those of the
// compiler have names that no attribute of a file needs (kOwn). Outputs have the types that --custom-op gives, else
// those that the model declares, else input 0's. Tested by tests/api/test_custom_ops.py.
#include "compiler/ops/custom_op.h"

#include <algorithm>
#include <charconv>

#include "compiler/ops/custom_op_shapes.h"
#include "compiler/ops/custom_op_site.h"
#include "compiler/ops/op.h"

namespace onnxc {
namespace {

constexpr std::string_view kOwn = "onnxc.";
const char* const kOperator = "onnxc.operator";  // DOMAIN::NAME
const char* const kFunction = "onnxc.function";
const char* const kShapes = "onnxc.shapes";      // of --custom-op
const char* const kDeclared = "onnxc.declared";  // per output kAsDeclared, a rule, or nothing
const char* const kAsDeclared = "declared";      // the value's own type

const char* const kAdvice = "say what the outputs are: --custom-op DOMAIN::NAME=FUNCTION,SHAPES (onnxc --help)";

std::string operator_of(const Node& node) { return node.attr_string(kOperator, "custom operator"); }

// What "dK.A" stands for.
struct InputDim {
  size_t input = 0, axis = 0;
};
std::optional<InputDim> input_dim(const std::string& symbol) {
  InputDim dim;
  const char* const end = symbol.data() + symbol.size();
  if (symbol.size() < 4 || symbol[0] != 'd') return std::nullopt;
  const auto input = std::from_chars(symbol.data() + 1, end, dim.input);
  if (input.ec != std::errc() || input.ptr == end || *input.ptr != '.') return std::nullopt;
  const auto axis = std::from_chars(input.ptr + 1, end, dim.axis);
  return axis.ec == std::errc() && axis.ptr == end ? std::optional(dim) : std::nullopt;
}

// Divisions by what may be 0 or below are not for a run.
bool divides_safely(const Dim& dim) {
  using Number = std::optional<int64_t>;
  bool safe = true;
  Dim::Folder<Number> folder;
  folder.constant = [](int64_t v) { return Number(v); };
  folder.symbol = [](const std::string&) { return Number(); };
  folder.binary = [&](char op, const Number&, const Number& b) {
    safe = safe && ((op != '/' && op != '%') || (b && *b > 0));
    return Number();
  };
  dim.fold(folder);
  return safe;
}

// The shape rules of one node.
class Outputs {
 public:
  explicit Outputs(InferContext& c) : c_(c) {}

  Status infer(size_t i, const OutputRule& rule) {
    if (!rule.elem || !rule.dims) ONNXC_TRY(require_input(rule.same));
    const Elem elem = rule.elem ? *rule.elem : c_.elem(rule.same);
    if (!rule.dims && !c_.has_shape(rule.same)) return c_.set_unranked(i, elem), ok();
    if (!rule.dims) return c_.set(i, elem, c_.shape(rule.same)), ok();
    Shape shape;
    for (size_t d = 0; d < rule.dims->size(); ++d) {
      ONNXC_ASSIGN(const std::optional<Dim> dim, dim_of(i, d, (*rule.dims)[d]));
      if (!dim) return c_.set_unranked(i, elem), ok();
      shape.push_back(*dim);
    }
    return c_.set(i, elem, std::move(shape)), ok();
  }

 private:
  Error wrong(const std::string& message) const {
    return Error(ErrorKind::Usage, "--custom-op " + operator_of(c_.node) + ": " + message, c_.node.where(), kAdvice);
  }

  Status require_input(size_t k) const {
    if (!c_.has_input(k))
      return wrong("the node has no input " + std::to_string(k) + ", which an output's type follows");
    return ok();
  }

  // Nothing: the rank of the input is not known (yet).
  Result<std::optional<Dim>> dim_of(size_t output, size_t axis, const std::optional<Dim>& rule) {
    if (!rule) return std::optional(c_.unknown("o" + std::to_string(output) + "." + std::to_string(axis)));
    std::set<std::string> symbols;
    rule->collect_symbols(symbols);
    std::map<std::string, Dim> values;
    for (const std::string& symbol : symbols) {
      ONNXC_ASSIGN(const std::optional<Dim> value, value_of(symbol));
      if (!value) return std::optional<Dim>();
      values.emplace(symbol, *value);
    }
    const Dim dim = rule->substitute(values);
    if (dim.is_overflow() || !divides_safely(dim))
      return wrong("dim " + rule->str() + " of output " + std::to_string(output) +
                   " divides by what may be 0, or overflows");
    ONNXC_TRY(require_non_negative(c_.node, dim,
                                   "dim " + std::to_string(axis) + " of output " + std::to_string(output) + " of " +
                                       operator_of(c_.node) + ", " + rule->str() + ", is negative"));
    return std::optional(dim);
  }

  Result<std::optional<Dim>> value_of(const std::string& symbol) {
    if (const auto dim = input_dim(symbol)) {
      ONNXC_TRY(require_input(dim->input));
      if (!c_.has_shape(dim->input)) return std::optional<Dim>();
      const Shape& shape = c_.shape(dim->input);
      if (dim->axis >= shape.size())
        return wrong("there is no " + symbol + ": input " + std::to_string(dim->input) + " is " +
                     c_.in(dim->input).str());
      return std::optional(shape[dim->axis]);
    }
    const auto attr = c_.node.attrs.find(symbol);
    if (attr != c_.node.attrs.end())
      if (const auto* number = std::get_if<int64_t>(&attr->second)) return std::optional(Dim(*number));
    return wrong("\"" + symbol + "\" is neither a dim of an input (d0.1) nor an integer attribute of the node");
  }

  InferContext& c_;
};

// A declared dim that is no input's is nothing that a run could compute.
Status keep_declared(InferContext& c, size_t i) {
  std::set<std::string> known, used;
  for (const Value* input : c.node.graph->root()->inputs)
    if (input->type.shape)
      for (const Dim& dim : *input->type.shape) dim.collect_symbols(known);
  c.outputs[i] = c.node.output(i)->type;
  for (const Dim& dim : *c.outputs[i].shape) dim.collect_symbols(used);
  for (const std::string& symbol : used)
    if (!known.contains(symbol))
      return c.unsupported("the model declares output " + std::to_string(i) + " of " + operator_of(c.node) + " as " +
                               c.outputs[i].str() + ", and no input of the model has the dim " + symbol,
                           kAdvice);
  return ok();
}

Result<std::vector<OutputRule>> rules_of(const Node& node) {
  ONNXC_ASSIGN(std::vector<OutputRule> rules, parse_output_rules(node.attr_string(kShapes, "same")));
  if (rules.size() == 1) rules.resize(node.num_outputs(), rules.front());
  if (rules.size() != node.num_outputs())
    return Error(ErrorKind::Usage,
                 "--custom-op " + operator_of(node) + " gives " + std::to_string(rules.size()) +
                     " shapes, the node has " + std::to_string(node.num_outputs()) + " outputs",
                 node.where(), kAdvice);
  if (node.has(kShapes)) return rules;
  const std::vector<std::string> declared = node.attr_strings(kDeclared);
  for (size_t i = 0; i < declared.size() && i < rules.size(); ++i) {
    if (declared[i].empty() || declared[i] == kAsDeclared) continue;
    ONNXC_ASSIGN(const std::vector<OutputRule> rule, parse_output_rules(declared[i]));
    rules[i] = rule.front();
  }
  return rules;
}

Status infer_custom_op(InferContext& c) {
  for (size_t i = 0; i < c.node.num_inputs(); ++i)
    if (c.has_input(i) && !c.in(i).is_tensor())
      return c.unsupported("input " + std::to_string(i) + " of " + operator_of(c.node) + " is " + c.in(i).str() +
                           ": custom operators take tensors");
  ONNXC_ASSIGN(const std::vector<OutputRule> rules, rules_of(c.node));
  const std::vector<std::string> declared =
      c.node.has(kShapes) ? std::vector<std::string>{} : c.node.attr_strings(kDeclared);
  for (size_t i = 0; i < c.node.num_outputs(); ++i) {
    if (!c.node.output(i)) continue;
    if (i < declared.size() && declared[i] == kAsDeclared)
      ONNXC_TRY(keep_declared(c, i));
    else
      ONNXC_TRY(Outputs(c).infer(i, rules[i]));
  }
  return ok();
}

// One node on its way down.
class CustomOpLowering {
 public:
  explicit CustomOpLowering(LowerContext& c) : c_(c), node_(c.node()) {}

  Status run() {
    const std::string function = node_.attr_string(kFunction, "");
    ONNXC_ASSIGN(const CustomOpSite site, describe_custom_op(node_, operator_of(node_), function, kOwn));
    description_ = c_.constant_buffer(site.description, {}, "custom_op");
    workspace_ = {Dim(site.workspace_bytes)};
    for (size_t i = 0; i < node_.num_inputs(); ++i) {
      ONNXC_ASSIGN(const BufferId input, c_.in(i));
      inputs_.push_back(input);
    }
    ONNXC_TRY(ask_dims(function));
    Call call("custom_call");
    for (size_t i = 0; i < node_.num_outputs(); ++i) call.out(node_.output(i) ? c_.out(i) : kNoBuffer);
    emit(std::move(call), function, {});
    return ok();
  }

 private:
  // The dims that only FUNCTION_dims knows.
  Status ask_dims(const std::string& function) {
    if (!node_.has(kShapes)) return ok();
    ONNXC_ASSIGN(const std::vector<OutputRule> rules, rules_of(node_));
    std::vector<Dim> asked;
    for (size_t i = 0; i < rules.size(); ++i)
      for (size_t d = 0; node_.output(i) && rules[i].dims && d < rules[i].dims->size(); ++d)
        if (!(*rules[i].dims)[d]) asked.push_back(c_.out_shape(i)[d]);
    if (asked.empty()) return ok();
    const BufferId told = c_.temporary(Elem::I64, {Dim(static_cast<int64_t>(asked.size()))});
    emit(std::move(Call("custom_dims").out(told)), function + "_dims", asked);
    for (size_t k = 0; k < asked.size(); ++k) c_.define(asked[k], told, static_cast<int64_t>(k));
    return ok();
  }

  void emit(Call call, const std::string& function, const std::vector<Dim>& asked) {
    call.in(description_);
    for (const BufferId input : inputs_) call.in(input);
    call.scratch(c_.temporary(Elem::U8, workspace_)).function(function);
    call.arg("outputs", static_cast<int64_t>(node_.num_outputs()));
    call.arg("inputs", static_cast<int64_t>(node_.num_inputs()));
    for (size_t i = 0; i < node_.num_outputs(); ++i)
      if (node_.output(i)) add_dims(call, "out" + std::to_string(i), c_.out_shape(i), asked);
    for (size_t i = 0; i < node_.num_inputs(); ++i)
      if (c_.has_input(i)) add_dims(call, "in" + std::to_string(i), c_.in_shape(i), {});
    Operation op = call.op();
    op.note = operator_of(node_);
    c_.emit(std::move(op));
  }

  static void add_dims(Call& call, const std::string& name, const Shape& shape, const std::vector<Dim>& asked) {
    for (size_t d = 0; d < shape.size(); ++d)
      call.arg(name + "." + std::to_string(d), std::ranges::find(asked, shape[d]) == asked.end() ? shape[d] : Dim(-1));
  }

  LowerContext& c_;
  const Node& node_;
  BufferId description_ = kNoBuffer;
  Shape workspace_;
  std::vector<BufferId> inputs_;
};

}  // namespace

Status make_custom_op(Node& node, const CustomOp& spec) {
  node.attrs[kOperator] = custom_op_name(node.domain, node.op);
  node.attrs[kFunction] = spec.function;
  if (!spec.shapes.empty()) node.attrs[kShapes] = spec.shapes;
  node.domain = kOwnDomain;
  node.op = "CustomOp";
  return node.num_outputs() ? ok() : Status(Error(ErrorKind::InvalidModel, "the node has no outputs", node.where()));
}

void declare_output(Value& output, const Type& type) {
  Node& node = *output.producer;
  if (node.has(kShapes) || !type.is_tensor()) return;
  std::vector<std::string> declared = node.attr_strings(kDeclared);
  declared.resize(node.num_outputs());
  const size_t i = static_cast<size_t>(std::ranges::find(node.outputs(), &output) - node.outputs().begin());
  if (type.shape) output.type = type;
  declared[i] = type.shape ? kAsDeclared : std::string(elem_name(type.elem)) + " same";
  node.attrs[kDeclared] = std::move(declared);
}

bool is_custom_op(const Node& node) { return node.domain == kOwnDomain && node.op == "CustomOp"; }

std::string custom_op_name(const std::string& domain, const std::string& name) {
  return (domain.empty() ? "ai.onnx" : domain) + "::" + name;
}

// What a function does is not known: as a random operator it is never folded nor merged with another.
OP(CustomOp) = {.name = "CustomOp",
                .domain = kOwnDomain,
                .infer = infer_custom_op,
                .lower = [](LowerContext& c) { return CustomOpLowering(c).run(); },
                .defines_dims = true,
                .random = true};

}  // namespace onnxc
