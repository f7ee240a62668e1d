// Graph: ONNX operators at the newest opset, in one canonical form. Values have a type (element type + shape of Dims);
// no layouts, no buffers. A Graph owns its nodes and values; nodes of a subgraph (If, Loop, Scan bodies) may use values
// of the graphs around it directly. Text form: graph_text.h. Invariants: verify_graph.h. Tested in
// tests/unit/graph_test.cc.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "compiler/ir/dim.h"
#include "compiler/ir/elem.h"
#include "compiler/ir/tensor.h"

namespace onnxc {

class Graph;
class Node;

// The type of a value. Tensor: elem and, unless the rank is unknown, shape.
struct Type {
  enum class Kind : uint8_t { Tensor, Sequence, Optional, Map, None };
  Kind kind = Kind::None;             // None: not inferred yet
  Elem elem = Elem::Undefined;        // Tensor; Map: the key type
  std::optional<Shape> shape;         // Tensor with known rank
  std::shared_ptr<const Type> inner;  // Sequence, Optional: element; Map: value

  static Type tensor(Elem e, Shape s) { return {Kind::Tensor, e, std::move(s), nullptr}; }
  static Type unranked(Elem e) { return {Kind::Tensor, e, std::nullopt, nullptr}; }
  static Type sequence(Type t) { return {Kind::Sequence, Elem::Undefined, {}, std::make_shared<Type>(std::move(t))}; }
  static Type optional(Type t) { return {Kind::Optional, Elem::Undefined, {}, std::make_shared<Type>(std::move(t))}; }
  static Type map(Elem key, Type v) { return {Kind::Map, key, {}, std::make_shared<Type>(std::move(v))}; }
  bool is_tensor() const { return kind == Kind::Tensor; }
  bool is_static_tensor() const { return is_tensor() && shape && is_static(*shape); }
  // The tensor as which a value of this type lies in memory: a sequence or an optional is two integers
  // (runtime_lib/abi/sequence.h).
  Type stored() const;
  bool operator==(const Type& o) const;
  std::string str() const;  // "f32[1, N, 4]", "f32[*]" unranked, "seq(f32[*])", "optional(..)", "map(i64, f32[*])", "?"
};

// What a small integer tensor is known to hold, as Dims, in row-major order: the outputs of Shape, of Gather of it,
// of Concat of them ... Constants are the special case in which every Dim is one. Of a float tensor: what it would hold
// if nothing were rounded (ops/whole_floats.h).
using Contents = std::vector<Dim>;
inline constexpr size_t kMaxContents = 1024;

class Value {
 public:
  uint32_t id = 0;
  std::string name;  // the ONNX name; unique in its graph
  Type type;
  Node* producer = nullptr;  // null: graph input, or constant
  Graph* graph = nullptr;
  std::optional<Tensor> constant;       // initializer, Constant, or folded
  std::optional<Contents> contents;     // see above; set for constants too where small
  std::optional<size_t> declared_rank;  // that the file gives, for shape rules that cannot tell it
  std::vector<Node*> users;             // one entry per use, subgraphs' nodes included; kept by Node::set_input
  bool is_constant() const { return constant.has_value(); }
};

using Attr =
    std::variant<int64_t, float, std::string, Tensor, std::shared_ptr<Graph>, std::vector<int64_t>, std::vector<float>,
                 std::vector<std::string>, std::vector<Tensor>, std::vector<std::shared_ptr<Graph>>, Type>;

class Node {
 public:
  uint32_t id = 0;
  std::string name;    // may be empty
  std::string domain;  // "" is ai.onnx
  std::string op;      // exact ONNX name
  std::map<std::string, Attr> attrs;
  std::vector<std::string> origins;  // names of the ONNX nodes that this one came from, for reports
  Graph* graph = nullptr;

  const std::vector<Value*>& inputs() const { return inputs_; }    // null: absent optional input
  const std::vector<Value*>& outputs() const { return outputs_; }  // null: absent optional output
  size_t num_inputs() const { return inputs_.size(); }
  size_t num_outputs() const { return outputs_.size(); }
  Value* input(size_t i) const { return i < inputs_.size() ? inputs_[i] : nullptr; }
  Value* output(size_t i = 0) const { return i < outputs_.size() ? outputs_[i] : nullptr; }
  void set_input(size_t i, Value* v);  // grows the list when needed
  void resize_inputs(size_t n);

  bool has(const std::string& attr) const { return attrs.contains(attr); }
  int64_t attr_int(const std::string& attr, int64_t fallback) const;
  float attr_float(const std::string& attr, float fallback) const;
  std::string attr_string(const std::string& attr, std::string fallback) const;
  std::vector<int64_t> attr_ints(const std::string& attr, std::vector<int64_t> fallback = {}) const;
  std::vector<float> attr_floats(const std::string& attr, std::vector<float> fallback = {}) const;
  std::vector<std::string> attr_strings(const std::string& attr) const;
  const Tensor* attr_tensor(const std::string& attr) const;  // null when absent
  Graph* attr_graph(const std::string& attr) const;          // null when absent
  std::vector<Graph*> subgraphs() const;

  // `node "conv1" (Conv, #12)`: for diagnostics.
  std::string where() const;

 private:
  friend class Graph;
  std::vector<Value*> inputs_, outputs_;
};

class Graph {
 public:
  explicit Graph(std::string name = "main") : name(std::move(name)) {}
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  std::string name;
  Graph* parent = nullptr;                      // the graph whose node holds this one as an attribute
  std::vector<Value*> inputs, outputs;          // outputs are values of this very graph
  std::map<std::string, std::string> metadata;  // root only: producer, version, custom metadata ...
  // Root only: what shape rules took for granted of dims that only a run knows: each >= 0, else the run is refused with
  // the message. Unlike shapes these outlive the nodes that they came from.
  std::map<Dim, std::string> requirements;
  // Root only: symbols of the inputs' dims that a requirement makes a constant, not in place yet.
  std::map<std::string, Dim> learned;
  // Root only: long expressions that stand in shapes and contents by a name, and their names.
  std::map<Dim, std::string> named_dims;

  Value* add_input(std::string name, Type type);
  Value* add_constant(Tensor tensor, std::string name = {});
  Value* add_value(std::string name = {}, Type type = {});  // without producer: to be an output of a node
  // Appends (or inserts before `before`) a node. Makes `num_outputs` new values, whose names may be set afterwards.
  Node* add_node(std::string op, std::vector<Value*> inputs, size_t num_outputs = 1, Node* before = nullptr,
                 std::string domain = {});
  // The same with existing, producer-less values as outputs (null entries: absent).
  Node* add_node_to(std::string op, std::vector<Value*> inputs, std::vector<Value*> outputs, Node* before = nullptr,
                    std::string domain = {});
  // In nodes, in subgraphs' nodes and in graph outputs. A graph output keeps its name: `to` takes it over, or, where it
  // cannot (an input, a constant, an output already, a value of a graph around), an Identity node stands between.
  void replace_uses(Value* from, Value* to);
  void remove_node(Node* node);     // and its outputs, which must be unused
  void remove_value(Value* value);  // must be unused and without producer
  bool is_output(const Value* value) const;
  Graph* root();
  void require(const Dim& value, std::string message);  // in the root
  // In all types, contents and requirements, of the graphs within this one too.
  void substitute(const std::map<std::string, Dim>& symbols);
  // The symbol that stands for `dim` in the root; one for a dim of a shape is never negative.
  Dim name_dim(const Dim& dim, bool may_be_negative);
  // Nodes in execution order (producers first). The list is kept sorted by `sort()`, which fails on a cycle and names
  // it.
  const std::vector<std::unique_ptr<Node>>& nodes() const { return nodes_; }
  const std::vector<std::unique_ptr<Value>>& values() const { return values_; }
  Status sort();
  // STEM--N, with an N that no name in the graph, those around and those within it has.
  std::string fresh_name(const std::string& stem);
  Value* find_value(std::string_view name) const;  // linear; for tests and parsers

 private:
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Value>> values_;
  uint32_t next_id_ = 0;
};

}  // namespace onnxc
