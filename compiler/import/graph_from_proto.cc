#include "compiler/import/graph_from_proto.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "compiler/import/tensor_from_proto.h"
#include "compiler/ops/custom_op.h"
#include "compiler/ops/op.h"

namespace onnxc {
namespace {

using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

// Names that nodes of one graph may read: its own, then those of the graphs around it.
struct Scope {
  const Scope* parent = nullptr;
  std::unordered_map<std::string, Value*> values;
  std::unordered_map<std::string, std::string> makers;  // who defined a name, for messages

  Value** find(const std::string& name) {
    for (Scope* s = this; s; s = const_cast<Scope*>(s->parent))
      if (auto it = s->values.find(name); it != s->values.end()) return &it->second;
    return nullptr;
  }
  bool hides(const std::string& name) const {  // the value of that name of a graph around
    for (const Scope* s = parent; s; s = s->parent)
      if (s->values.contains(name)) return true;
    return false;
  }
};

class GraphBuilder {
 public:
  GraphBuilder(const GraphSource& source, const std::map<std::string, Attr>* arguments)
      : source_(source), arguments_(arguments) {}

  Status build(onnx::GraphProto& proto, Graph& graph, Scope& scope, int depth);
  Status build_nodes(Nodes& nodes, Graph& graph, Scope& scope, int depth);
  Status note_type(const onnx::ValueInfoProto& info, Scope& scope, int depth) const;
  Result<Value*> output_value(const std::string& name, Graph& graph, Scope& scope);
  Status define(const std::string& name, Value* value, Scope& scope, const std::string& where);
  // Unsupported operators met so far, as an error.
  Status unsupported() const {
    if (unsupported_.empty()) return ok();
    return Error(unsupported_);
  }

 private:
  Status add_initializers(onnx::GraphProto& proto, Graph& graph, Scope& scope);
  Status add_inputs(onnx::GraphProto& proto, Graph& graph, Scope& scope, int depth);
  Status define_outputs(onnx::NodeProto& proto, Graph& graph, Scope& scope, const std::string& where);
  Status define_constant(onnx::NodeProto& proto, Graph& graph, Scope& scope, const std::string& where);
  Status connect(onnx::NodeProto& proto, Graph& graph, Scope& scope, int depth, const std::string& where);
  Status add_attributes(onnx::NodeProto& proto, Node& node, Scope& scope, int depth, const std::string& where);
  Result<std::shared_ptr<Graph>> subgraph(onnx::GraphProto& proto, Graph& outer, Scope& scope, int depth);
  Status check_operator(const onnx::NodeProto& proto, const std::string& where);
  void note_unsupported(const std::string& key, const std::string& where, const std::string& message,
                        const std::string& advice);
  const CustomOp* custom_op(const onnx::NodeProto& proto) const;
  bool in_function() const { return arguments_ != nullptr; }

  const GraphSource& source_;
  const std::map<std::string, Attr>* arguments_;  // of the function call; null in models
  std::vector<Diagnostic> unsupported_;
  std::set<std::string> unsupported_keys_;
};

Error invalid(const std::string& message, const std::string& where) {
  return Error(ErrorKind::InvalidModel, message, where);
}

bool is_constant(const onnx::NodeProto& proto) {
  return proto.op_type() == "Constant" && canonical_domain(proto.domain()).empty();
}

std::string operator_name(const std::string& domain, const std::string& op) {
  return (domain.empty() ? std::string() : domain + "::") + op;
}

const char* const kAskForIt = "Export the model without this operator, or ask for it to be added.";

std::string call_a_function(const std::string& domain, const std::string& op) {
  return "If it is yours, --custom-op " + custom_op_name(domain, op) +
         "=FUNCTION calls a C function for it (onnxc/custom_op.h). Else export the model without it.";
}

void GraphBuilder::note_unsupported(const std::string& key, const std::string& where, const std::string& message,
                                    const std::string& advice) {
  if (unsupported_keys_.insert(key).second) unsupported_.push_back({ErrorKind::Unsupported, where, message, advice});
}

// What --custom-op says of the node's operator, or null.
const CustomOp* GraphBuilder::custom_op(const onnx::NodeProto& proto) const {
  if (!source_.custom_ops) return nullptr;
  const auto found = source_.custom_ops->find({canonical_domain(proto.domain()), proto.op_type()});
  return found == source_.custom_ops->end() ? nullptr : &found->second;
}

Status GraphBuilder::check_operator(const onnx::NodeProto& proto, const std::string& where) {
  if (in_function()) return ok();  // onnx's own
  const std::string domain = canonical_domain(proto.domain());
  const std::string& op = proto.op_type();
  const std::string full = operator_name(domain, op);
  if (op.empty()) return invalid("the node names no operator", where);
  if (proto.input_size() == 0 && proto.output_size() == 0)
    return invalid("the node has neither inputs nor outputs", where);
  if (custom_op(proto)) return ok();
  const auto newest = newest_opsets().find(domain);
  const auto version = source_.opsets.find(domain);
  if (newest == newest_opsets().end()) {
    if (domain == kOwnDomain || !find_op(domain, op))
      note_unsupported(full, where, "operator " + full + " is not one of ONNX's (domain \"" + domain + "\")",
                       call_a_function(domain, op));
    return ok();
  }
  if (version == source_.opsets.end())
    return invalid("the model does not import the domain \"" + domain + "\" that the node uses", where);
  const auto* schema = find_schema(domain, op, version->second);
  if (!schema) {
    if (find_schema(domain, op, newest->second))
      return invalid("operator " + full + " does not exist in opset " + std::to_string(version->second) +
                         ", which the model imports; it is newer",
                     where);
    return Error(ErrorKind::InvalidModel,
                 "there is no such operator as " + full + " in ONNX (opset " + std::to_string(version->second) + ")",
                 where, call_a_function(domain, op));
  }
  ONNXC_TRY(check_node(proto, *schema, where));
  if (!is_constant(proto) && !find_op(domain, op) && !has_function_body(domain, op))
    note_unsupported(full, where, "operator " + full + " is not supported yet", kAskForIt);
  return ok();
}

Status GraphBuilder::define(const std::string& name, Value* value, Scope& scope, const std::string& where) {
  auto [it, added] = scope.makers.emplace(name, where);
  if (!added)
    return invalid("value \"" + name + "\" is defined twice, first by " + it->second + "; names must be unique", where);
  scope.values[name] = value;
  // Files of Paddle's and others give a value of a subgraph the name of one around it, which it hides.
  if (value && scope.hides(name)) value->name = value->graph->fresh_name(name);
  return ok();
}

Status GraphBuilder::add_initializers(onnx::GraphProto& proto, Graph& graph, Scope& scope) {
  for (auto& init : *proto.mutable_initializer()) {
    const std::string where = "initializer \"" + init.name() + "\"";
    if (init.name().empty()) return invalid("an initializer has no name", "graph \"" + proto.name() + "\"");
    ONNXC_ASSIGN(Tensor tensor, tensor_from_proto(init, source_.external, where));
    ONNXC_TRY(define(init.name(), graph.add_constant(std::move(tensor), init.name()), scope, where));
  }
  for (auto& init : *proto.mutable_sparse_initializer()) {
    const std::string name = init.values().name();
    const std::string where = "sparse initializer \"" + name + "\"";
    ONNXC_ASSIGN(Tensor tensor, tensor_from_sparse(init, source_.external, where));
    ONNXC_TRY(define(name, graph.add_constant(std::move(tensor), name), scope, where));
  }
  return ok();
}

Status GraphBuilder::add_inputs(onnx::GraphProto& proto, Graph& graph, Scope& scope, int depth) {
  std::set<std::string> seen;
  for (const auto& input : proto.input()) {
    const std::string where = "input \"" + input.name() + "\"";
    if (input.name().empty()) return invalid("an input has no name", "graph \"" + proto.name() + "\"");
    if (!seen.insert(input.name()).second) return invalid("two inputs have this name", where);
    if (scope.values.contains(input.name())) continue;  // an initializer: its default value is what counts
    ONNXC_ASSIGN(Type type, type_from_proto(input.type(), input.name(), depth == 0 ? source_.dim_names : nullptr));
    ONNXC_TRY(define(input.name(), graph.add_input(input.name(), std::move(type)), scope, where));
  }
  return ok();
}

Status GraphBuilder::define_constant(onnx::NodeProto& proto, Graph& graph, Scope& scope, const std::string& where) {
  if (proto.attribute_size() != 1 || proto.output_size() != 1)
    return invalid("a Constant has exactly one attribute and one output", where);
  auto& attribute = *proto.mutable_attribute(0);
  Attr attr;
  if (attribute.ref_attr_name().empty()) {
    ONNXC_ASSIGN(attr, attr_from_proto(attribute, source_.external, where));
  } else {
    const auto* argument = arguments_ && arguments_->count(attribute.ref_attr_name())
                               ? &arguments_->at(attribute.ref_attr_name())
                               : nullptr;
    if (!argument) return invalid("attribute \"" + attribute.name() + "\" refers to one that is not given", where);
    attr = *argument;
  }
  Tensor tensor;
  if (auto* v = std::get_if<Tensor>(&attr))
    tensor = *v;
  else if (auto* v = std::get_if<float>(&attr))
    tensor = Tensor::f32({}, {*v});
  else if (auto* v = std::get_if<int64_t>(&attr))
    tensor = Tensor::i64({}, {*v});
  else if (auto* v = std::get_if<std::string>(&attr))
    tensor = Tensor::strings({}, {*v});
  else if (auto* v = std::get_if<std::vector<float>>(&attr))
    tensor = Tensor::f32({static_cast<int64_t>(v->size())}, *v);
  else if (auto* v = std::get_if<std::vector<int64_t>>(&attr))
    tensor = Tensor::i64({static_cast<int64_t>(v->size())}, *v);
  else if (auto* v = std::get_if<std::vector<std::string>>(&attr))
    tensor = Tensor::strings({static_cast<int64_t>(v->size())}, *v);
  else
    return invalid("attribute \"" + attribute.name() + "\" is no constant", where);
  const std::string& name = proto.output(0);
  return define(name, graph.add_constant(std::move(tensor), name), scope, where);
}

Status GraphBuilder::define_outputs(onnx::NodeProto& proto, Graph& graph, Scope& scope, const std::string& where) {
  if (is_constant(proto)) return define_constant(proto, graph, scope, where);
  for (const auto& name : proto.output())
    if (!name.empty()) ONNXC_TRY(define(name, graph.add_value(name), scope, where));
  return ok();
}

Result<std::shared_ptr<Graph>> GraphBuilder::subgraph(onnx::GraphProto& proto, Graph& outer, Scope& scope, int depth) {
  auto graph = std::make_shared<Graph>(proto.name().empty() ? "body" : proto.name());
  graph->parent = &outer;
  Scope inner;
  inner.parent = &scope;
  ONNXC_TRY(build(proto, *graph, inner, depth + 1));
  return graph;
}

Status GraphBuilder::add_attributes(onnx::NodeProto& proto, Node& node, Scope& scope, int depth,
                                    const std::string& where) {
  for (auto& attribute : *proto.mutable_attribute()) {
    if (!attribute.ref_attr_name().empty()) {
      if (!in_function())
        return invalid("attribute \"" + attribute.name() + "\" refers to a function's attribute", where);
      if (auto it = arguments_->find(attribute.ref_attr_name()); it != arguments_->end())
        node.attrs[attribute.name()] = it->second;
    } else if (attribute.has_g()) {
      ONNXC_ASSIGN(node.attrs[attribute.name()], subgraph(*attribute.mutable_g(), *node.graph, scope, depth));
    } else if (attribute.graphs_size() > 0) {
      std::vector<std::shared_ptr<Graph>> graphs;
      for (auto& g : *attribute.mutable_graphs()) {
        ONNXC_ASSIGN(auto graph, subgraph(g, *node.graph, scope, depth));
        graphs.push_back(std::move(graph));
      }
      node.attrs[attribute.name()] = std::move(graphs);
    } else {
      ONNXC_ASSIGN(node.attrs[attribute.name()], attr_from_proto(attribute, source_.external, where));
    }
  }
  return ok();
}

Status GraphBuilder::connect(onnx::NodeProto& proto, Graph& graph, Scope& scope, int depth, const std::string& where) {
  ONNXC_TRY(check_operator(proto, where));
  if (is_constant(proto)) return ok();
  std::vector<Value*> inputs, outputs;
  for (const auto& name : proto.input()) {
    if (name.empty()) {
      inputs.push_back(nullptr);
      continue;
    }
    Value** value = scope.find(name);
    if (!value) return invalid("reads \"" + name + "\", which nothing produces", where);
    inputs.push_back(*value);
  }
  while (!inputs.empty() && !inputs.back()) inputs.pop_back();
  for (const auto& name : proto.output()) outputs.push_back(name.empty() ? nullptr : scope.values.at(name));
  Node* node = graph.add_node_to(proto.op_type(), std::move(inputs), std::move(outputs), nullptr,
                                 canonical_domain(proto.domain()));
  node->name = proto.name();
  node->origins = {proto.name().empty() ? proto.op_type() + (proto.output_size() ? ":" + proto.output(0) : "")
                                        : proto.name()};
  ONNXC_TRY(add_attributes(proto, *node, scope, depth, where));
  const CustomOp* custom = custom_op(proto);
  return custom ? make_custom_op(*node, *custom) : ok();
}

Status GraphBuilder::build_nodes(Nodes& nodes, Graph& graph, Scope& scope, int depth) {
  for (int i = 0; i < nodes.size(); ++i) ONNXC_TRY(define_outputs(nodes[i], graph, scope, node_where(nodes[i], i)));
  for (int i = 0; i < nodes.size(); ++i) ONNXC_TRY(connect(nodes[i], graph, scope, depth, node_where(nodes[i], i)));
  return ok();
}

bool has_numbers_only(const onnx::TensorShapeProto& shape) {
  return std::ranges::all_of(shape.dim(), [](const auto& dim) { return dim.has_dim_value() && dim.dim_value() >= 0; });
}

// Of a value whose shape rule may not tell it: the rank; of what a custom operator gives the whole type. The names of
// dims in subgraphs mean nothing.
Status GraphBuilder::note_type(const onnx::ValueInfoProto& info, Scope& scope, int depth) const {
  const auto found = scope.values.find(info.name());
  const auto& tensor = info.type().tensor_type();
  if (found == scope.values.end() || !found->second) return ok();
  Value& value = *found->second;
  if (tensor.has_shape()) value.declared_rank = static_cast<size_t>(tensor.shape().dim_size());
  if (!value.producer || !is_custom_op(*value.producer) || tensor.elem_type() == 0) return ok();
  const bool usable = depth == 0 || has_numbers_only(tensor.shape());
  const auto type = type_from_proto(info.type(), info.name(), usable ? source_.dim_names : nullptr);
  if (!type.ok()) return invalid(type.error().diagnostics().front().message, "value \"" + info.name() + "\"");
  declare_output(value, *type);
  return ok();
}

Result<Value*> GraphBuilder::output_value(const std::string& name, Graph& graph, Scope& scope) {
  Value** value = scope.find(name);
  if (!value || !*value)
    return invalid("nothing produces this output", "output \"" + name + "\" of graph \"" + graph.name + "\"");
  if ((*value)->graph == &graph) return *value;
  // A value of a graph around this one: an output must be this graph's own.
  return graph.add_node("Identity", {*value})->output(0);
}

Status GraphBuilder::build(onnx::GraphProto& proto, Graph& graph, Scope& scope, int depth) {
  if (depth > kMaxGraphDepth)
    return invalid("subgraphs are nested more than " + std::to_string(kMaxGraphDepth) + " deep",
                   "graph \"" + proto.name() + "\"");
  ONNXC_TRY(add_initializers(proto, graph, scope));
  ONNXC_TRY(add_inputs(proto, graph, scope, depth));
  ONNXC_TRY(build_nodes(*proto.mutable_node(), graph, scope, depth));
  for (const auto& info : proto.value_info()) ONNXC_TRY(note_type(info, scope, depth));
  for (const auto& output : proto.output()) {
    ONNXC_ASSIGN(Value * value, output_value(output.name(), graph, scope));
    ONNXC_TRY(note_type(output, scope, depth));
    graph.outputs.push_back(value);
  }
  return graph.sort();
}

}  // namespace

Result<std::unique_ptr<Graph>> graph_from_proto(onnx::GraphProto& proto, const GraphSource& source) {
  auto graph = std::make_unique<Graph>(proto.name().empty() ? "main" : proto.name());
  GraphBuilder builder(source, nullptr);
  Scope scope;
  ONNXC_TRY(builder.build(proto, *graph, scope, 0));
  ONNXC_TRY(builder.unsupported());
  if (graph->outputs.empty()) return invalid("the graph has no outputs", "graph \"" + proto.name() + "\"");
  return graph;
}

Result<std::unique_ptr<Graph>> graph_from_function(onnx::FunctionProto& proto, const Node& call,
                                                   const std::map<std::string, Attr>& attributes,
                                                   const GraphSource& source) {
  auto graph = std::make_unique<Graph>(call.op);
  GraphBuilder builder(source, &attributes);
  Scope scope;
  for (int i = 0; i < proto.input_size(); ++i) {
    const Value* argument = call.input(static_cast<size_t>(i));
    Value* input = graph->add_input(proto.input(i), argument ? argument->type : Type{});
    ONNXC_TRY(builder.define(proto.input(i), argument ? input : nullptr, scope, call.where()));
  }
  ONNXC_TRY(builder.build_nodes(*proto.mutable_node(), *graph, scope, 0));
  for (int i = 0; i < proto.output_size(); ++i) {
    if (!call.output(static_cast<size_t>(i))) {  // not asked for: builders may leave it out
      graph->outputs.push_back(nullptr);
      continue;
    }
    ONNXC_ASSIGN(Value * value, builder.output_value(proto.output(i), *graph, scope));
    graph->outputs.push_back(value);
  }
  ONNXC_TRY(graph->sort());
  return graph;
}

}  // namespace onnxc
