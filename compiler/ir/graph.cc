// Editing of Graphs. Users lists are kept by Node::set_input, Graph::add_node and Graph::remove_node, and nowhere else.
// Tested in tests/unit/graph_test.cc.
#include "compiler/ir/graph.h"

#include <algorithm>
#include <queue>

namespace onnxc {
namespace {

void drop_use(Value* v, Node* user) {
  if (!v) return;
  const auto it = std::find(v->users.begin(), v->users.end(), user);
  if (it != v->users.end()) v->users.erase(it);
}

// The number at the end of a name that fresh_name made: "Relu--12" has 12.
std::optional<uint32_t> fresh_number(const std::string& name) {
  const size_t at = name.rfind("--");
  if (at == std::string::npos || at + 2 >= name.size() || name.size() - at > 10) return std::nullopt;
  uint32_t n = 0;
  for (size_t i = at + 2; i < name.size(); ++i) {
    if (name[i] < '0' || name[i] > '9') return std::nullopt;
    n = n * 10 + (name[i] - '0');
  }
  return n;
}

// Takes the uses that nodes of `g` make of values outside of it off those values.
void release_uses(Graph& g) {
  for (const auto& n : g.nodes()) {
    for (Value* v : n->inputs()) drop_use(v, n.get());
    for (Graph* s : n->subgraphs()) release_uses(*s);
  }
}

template <class T>
const T* attr_as(const std::map<std::string, Attr>& attrs, const std::string& name) {
  const auto it = attrs.find(name);
  return it == attrs.end() ? nullptr : std::get_if<T>(&it->second);
}

template <class T>
T attr_or(const std::map<std::string, Attr>& attrs, const std::string& name, T fallback) {
  const T* v = attr_as<T>(attrs, name);
  if (v) return *v;
  return fallback;
}

}  // namespace

bool Type::operator==(const Type& o) const {
  if (kind != o.kind || elem != o.elem || shape != o.shape) return false;
  return inner == o.inner || (inner && o.inner && *inner == *o.inner);
}

Type Type::stored() const {
  return kind == Kind::Sequence || kind == Kind::Optional ? tensor(Elem::I64, {Dim(2)}) : *this;
}

std::string Type::str() const {
  switch (kind) {
    case Kind::Tensor: return std::string(elem_name(elem)) + (shape ? shape_str(*shape) : "[*]");
    case Kind::Sequence: return "seq(" + inner->str() + ')';
    case Kind::Optional: return "optional(" + inner->str() + ')';
    case Kind::Map: return "map(" + std::string(elem_name(elem)) + ", " + inner->str() + ')';
    case Kind::None: return "?";
  }
  return "?";
}

void Node::set_input(size_t i, Value* v) {
  if (i >= inputs_.size()) inputs_.resize(i + 1, nullptr);
  if (inputs_[i] == v) return;
  drop_use(inputs_[i], this);
  inputs_[i] = v;
  if (v) v->users.push_back(this);
}

void Node::resize_inputs(size_t n) {
  for (size_t i = n; i < inputs_.size(); ++i) drop_use(inputs_[i], this);
  inputs_.resize(n, nullptr);
}

int64_t Node::attr_int(const std::string& attr, int64_t fallback) const {
  return attr_or<int64_t>(attrs, attr, fallback);
}
float Node::attr_float(const std::string& attr, float fallback) const { return attr_or<float>(attrs, attr, fallback); }
std::string Node::attr_string(const std::string& attr, std::string fallback) const {
  return attr_or<std::string>(attrs, attr, std::move(fallback));
}
std::vector<int64_t> Node::attr_ints(const std::string& attr, std::vector<int64_t> fallback) const {
  return attr_or<std::vector<int64_t>>(attrs, attr, std::move(fallback));
}
std::vector<float> Node::attr_floats(const std::string& attr, std::vector<float> fallback) const {
  return attr_or<std::vector<float>>(attrs, attr, std::move(fallback));
}
std::vector<std::string> Node::attr_strings(const std::string& attr) const {
  return attr_or<std::vector<std::string>>(attrs, attr, {});
}
const Tensor* Node::attr_tensor(const std::string& attr) const { return attr_as<Tensor>(attrs, attr); }
Graph* Node::attr_graph(const std::string& attr) const {
  const auto* g = attr_as<std::shared_ptr<Graph>>(attrs, attr);
  return g ? g->get() : nullptr;
}

std::vector<Graph*> Node::subgraphs() const {
  std::vector<Graph*> all;
  for (const auto& [name, attr] : attrs) {
    if (const auto* g = std::get_if<std::shared_ptr<Graph>>(&attr)) {
      all.push_back(g->get());
    } else if (const auto* list = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attr)) {
      for (const auto& g : *list) all.push_back(g.get());
    }
  }
  return all;
}

std::string Node::where() const {
  const std::string full = domain.empty() ? op : domain + "::" + op;
  std::string text = "node ";
  if (!name.empty()) text += '"' + name + "\" ";
  return text + '(' + full + ", #" + std::to_string(id) + ')';
}

Value* Graph::add_value(std::string value_name, Type type) {
  uint32_t& next = root()->next_id_;
  if (value_name.empty()) value_name = fresh_name("v");
  if (const auto number = fresh_number(value_name)) next = std::max(next, *number + 1);
  const uint32_t id = next++;
  auto v = std::make_unique<Value>();
  v->id = id;
  v->name = std::move(value_name);
  v->type = std::move(type);
  v->graph = this;
  values_.push_back(std::move(v));
  return values_.back().get();
}

Value* Graph::add_input(std::string value_name, Type type) {
  Value* v = add_value(std::move(value_name), std::move(type));
  inputs.push_back(v);
  return v;
}

Value* Graph::add_constant(Tensor tensor, std::string value_name) {
  Value* v = add_value(value_name.empty() ? fresh_name("c") : std::move(value_name));
  v->type = Type::tensor(tensor.elem(), Shape(tensor.dims().begin(), tensor.dims().end()));
  const Elem e = tensor.elem();
  if ((is_int(e) || e == Elem::Bool) && static_cast<size_t>(tensor.numel()) <= kMaxContents) {
    const std::vector<int64_t> ints = tensor.to_ints();
    v->contents = Contents(ints.begin(), ints.end());
  }
  v->constant = std::move(tensor);
  return v;
}

Node* Graph::add_node(std::string op, std::vector<Value*> node_inputs, size_t num_outputs, Node* before,
                      std::string domain) {
  std::vector<Value*> node_outputs;
  for (size_t i = 0; i < num_outputs; ++i) node_outputs.push_back(add_value(fresh_name(op)));
  return add_node_to(std::move(op), std::move(node_inputs), std::move(node_outputs), before, std::move(domain));
}

Node* Graph::add_node_to(std::string op, std::vector<Value*> node_inputs, std::vector<Value*> node_outputs,
                         Node* before, std::string domain) {
  auto owned = std::make_unique<Node>();
  Node* n = owned.get();
  n->id = root()->next_id_++;
  n->op = std::move(op);
  n->domain = std::move(domain);
  n->graph = this;
  n->inputs_ = std::move(node_inputs);
  n->outputs_ = std::move(node_outputs);
  for (Value* v : n->inputs_) {
    if (v) v->users.push_back(n);
  }
  for (Value* v : n->outputs_) {
    if (v) v->producer = n;
  }
  auto at = nodes_.end();
  if (before) at = std::find_if(nodes_.begin(), nodes_.end(), [&](const auto& p) { return p.get() == before; });
  nodes_.insert(at, std::move(owned));
  return n;
}

Dim Graph::name_dim(const Dim& dim, bool may_be_negative) {
  std::map<Dim, std::string>& names = root()->named_dims;
  const auto [at, made] = names.try_emplace(dim);
  if (made) at->second = (may_be_negative ? "~s" : "s") + std::to_string(names.size());
  return Dim::symbol(at->second);
}

Graph* Graph::root() {
  Graph* graph = this;
  while (graph->parent) graph = graph->parent;
  return graph;
}

void Graph::require(const Dim& value, std::string message) { root()->requirements.emplace(value, std::move(message)); }

void Graph::substitute(const std::map<std::string, Dim>& symbols) {
  if (symbols.empty()) return;
  for (const auto& value : values_) {
    if (value->type.shape)
      for (Dim& dim : *value->type.shape) dim = dim.substitute(symbols);
    if (value->contents)
      for (Dim& dim : *value->contents) dim = dim.substitute(symbols);
  }
  const auto substitute_keys = [&](std::map<Dim, std::string>& texts) {
    std::map<Dim, std::string> changed;
    for (auto& [dim, text] : texts) changed.emplace(dim.substitute(symbols), std::move(text));
    texts = std::move(changed);
  };
  substitute_keys(requirements);
  substitute_keys(named_dims);
  for (const auto& node : nodes_)
    for (Graph* inner : node->subgraphs()) inner->substitute(symbols);
}

bool Graph::is_output(const Value* value) const {
  return std::find(outputs.begin(), outputs.end(), value) != outputs.end();
}

// A graph output keeps its name: `to` takes it over where it can. Where it cannot (an input, a constant, a value of
// another graph, or an output already), an Identity node stands between.
void Graph::replace_uses(Value* from, Value* to) {
  if (from == to) return;
  const std::vector<Node*> users = from->users;
  for (Node* user : users) {
    for (size_t i = 0; i < user->num_inputs(); ++i) {
      if (user->input(i) == from) user->set_input(i, to);
    }
  }
  Graph& g = *from->graph;
  if (!g.is_output(from)) return;
  Value* replacement = to;
  if (to->graph != &g || !to->producer || g.is_output(to)) {
    Node* identity = g.add_node("Identity", {to});
    replacement = identity->output();
    replacement->type = to->type.kind == Type::Kind::None ? from->type : to->type;
    replacement->contents = to->contents;
    if (from->producer) identity->origins = from->producer->origins;
  }
  std::swap(from->name, replacement->name);
  std::replace(g.outputs.begin(), g.outputs.end(), from, replacement);
}

void Graph::remove_node(Node* node) {
  for (Value* v : node->inputs_) drop_use(v, node);
  for (Graph* s : node->subgraphs()) release_uses(*s);
  const std::vector<Value*> gone = node->outputs_;
  std::erase_if(nodes_, [&](const auto& p) { return p.get() == node; });
  for (Value* v : gone) {
    if (v) v->producer = nullptr, remove_value(v);
  }
}

void Graph::remove_value(Value* value) {
  std::erase_if(values_, [&](const auto& p) { return p.get() == value; });
}

namespace {

// The values of `graph` itself that `node` needs before it can run: its inputs, and what its subgraphs take from here.
void collect_needs(const Graph& graph, const Node& node, std::vector<const Value*>& needs) {
  for (const Value* v : node.inputs()) {
    if (v && v->graph == &graph) needs.push_back(v);
  }
  for (const Graph* s : node.subgraphs()) {
    for (const auto& n : s->nodes()) collect_needs(graph, *n, needs);
    for (const Value* v : s->outputs) {
      if (v && v->graph == &graph) needs.push_back(v);
    }
  }
}

}  // namespace

// Kahn's algorithm that takes, of the nodes that are ready, the one that stood first: a sorted graph stays as it is.
Status Graph::sort() {
  std::map<const Node*, size_t> position;
  for (size_t i = 0; i < nodes_.size(); ++i) position[nodes_[i].get()] = i;
  std::vector<std::vector<size_t>> followers(nodes_.size());
  std::vector<size_t> waiting(nodes_.size(), 0);
  for (size_t i = 0; i < nodes_.size(); ++i) {
    std::vector<const Value*> needs;
    collect_needs(*this, *nodes_[i], needs);
    for (const Value* v : needs) {
      if (!v->producer) continue;
      followers[position.at(v->producer)].push_back(i);
      ++waiting[i];
    }
  }
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (waiting[i] == 0) ready.push(i);
  }
  std::vector<size_t> order;
  while (!ready.empty()) {
    const size_t i = ready.top();
    ready.pop();
    order.push_back(i);
    for (size_t f : followers[i]) {
      if (--waiting[f] == 0) ready.push(f);
    }
  }
  if (order.size() < nodes_.size()) {
    // Walk backwards among the nodes that are left: each has a producer that is left too, so a node comes twice.
    std::vector<std::vector<size_t>> before(nodes_.size());
    size_t at = nodes_.size();
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (waiting[i] && at == nodes_.size()) at = i;
      for (size_t f : followers[i]) {
        if (waiting[i] && waiting[f]) before[f].push_back(i);
      }
    }
    std::vector<bool> seen(nodes_.size(), false);
    while (!seen[at]) seen[at] = true, at = before[at].front();
    std::string cycle = nodes_[at]->where();
    for (size_t i = before[at].front(); i != at; i = before[i].front()) cycle += " <- " + nodes_[i]->where();
    return Error(ErrorKind::InvalidModel, "nodes depend on each other in a cycle: " + cycle, nodes_[at]->where());
  }
  std::vector<std::unique_ptr<Node>> sorted;
  for (size_t i : order) sorted.push_back(std::move(nodes_[i]));
  nodes_ = std::move(sorted);
  for (const auto& n : nodes_) {
    for (Graph* s : n->subgraphs()) ONNXC_TRY(s->sort());
  }
  return ok();
}

std::string Graph::fresh_name(const std::string& stem) {
  std::string base = stem;
  if (fresh_number(base)) base.resize(base.rfind("--"));
  return base + "--" + std::to_string(root()->next_id_++);
}

Value* Graph::find_value(std::string_view value_name) const {
  for (const auto& v : values_) {
    if (v->name == value_name) return v.get();
  }
  return nullptr;
}

}  // namespace onnxc
