// For decompositions: adds nodes before a node, said to come from it, and puts values in the place of its outputs.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "compiler/ir/graph.h"

namespace onnxc {

class GraphWriter {
 public:
  using Attrs = std::map<std::string, Attr>;
  GraphWriter(Graph& graph, Node& node) : graph_(graph), node_(node) {}

  Node* node(const std::string& op, std::vector<Value*> inputs, Attrs attrs = {}, size_t outputs = 1,
             std::string domain = {}) {
    Node* made = graph_.add_node(op, std::move(inputs), outputs, &node_, std::move(domain));
    made->name = node_.name;
    made->origins = node_.origins;
    made->attrs = std::move(attrs);
    return made;
  }
  Value* add(const std::string& op, std::vector<Value*> inputs, Attrs attrs = {}) {
    return node(op, std::move(inputs), std::move(attrs))->output();
  }
  Value* constant(Tensor t) { return graph_.add_constant(std::move(t)); }
  Value* ints(const std::vector<int64_t>& v) { return constant(Tensor::i64({static_cast<int64_t>(v.size())}, v)); }
  Value* number(double v, Value* like) {  // a scalar of the type of `like`
    return add("CastLike", {constant(Tensor::of<double>(Elem::F64, {}, {v})), like});
  }
  Value* cast(Value* v, Elem to) { return add("Cast", {v}, {{"to", static_cast<int64_t>(to)}}); }
  Value* reshape(Value* v, const std::vector<int64_t>& dims) { return add("Reshape", {v, ints(dims)}); }
  Value* transpose(Value* v, std::vector<int64_t> perm) { return add("Transpose", {v}, {{"perm", std::move(perm)}}); }

  // `results` become what the outputs were; the node goes.
  void replace(const std::vector<Value*>& results) {
    for (size_t i = 0; i < node_.num_outputs() && i < results.size(); ++i)
      if (node_.output(i) && results[i]) graph_.replace_uses(node_.output(i), results[i]);
    graph_.remove_node(&node_);
  }

 private:
  Graph& graph_;
  Node& node_;
};

}  // namespace onnxc
