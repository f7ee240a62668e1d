// Tested in tests/unit/verify_graph_test.cc.
#include "compiler/ir/verify_graph.h"

#include <algorithm>
#include <set>

namespace onnxc {
namespace {

class Verifier {
 public:
  explicit Verifier(bool typed) : typed_(typed) {}

  Status whole(const Graph& g) {
    ONNXC_TRY(graph(g));
    for (const Value* v : all_) {
      std::vector<const Node*> listed(v->users.begin(), v->users.end()), found = uses_[v];
      std::sort(listed.begin(), listed.end());
      std::sort(found.begin(), found.end());
      if (listed != found) {
        return bad(*v, "lists " + std::to_string(listed.size()) + " users, but is used " +
                           std::to_string(found.size()) + " times or by others");
      }
    }
    return ok();
  }

 private:
  static Error bad(const Value& v, const std::string& message) {
    return Error(ErrorKind::Internal, message, "value %" + v.name + ": " + v.type.str());
  }
  static Error bad(const Node& n, const std::string& message) { return Error(ErrorKind::Internal, message, n.where()); }

  Status type(const Value& v, const Type& t) {
    if (t.kind == Type::Kind::None) return typed_ ? Status(bad(v, "has no type")) : ok();
    if (t.inner) return type(v, *t.inner);
    if (t.kind != Type::Kind::Tensor) return bad(v, "has a type without an element type");
    if (t.elem == Elem::Undefined) return bad(v, "has an undefined element type");
    for (const Dim& d : t.shape.value_or(Shape{})) {
      if (d.is_overflow()) return bad(v, "has a dim that overflowed");
      if (d.is_const() && d.value() < 0) return bad(v, "has a negative dim");
    }
    return ok();
  }

  Status value(const Graph& g, const Value& v) {
    if (v.name.empty()) return Error(ErrorKind::Internal, "a value has no name", "graph @" + g.name);
    if (v.graph != &g) return bad(v, "does not know its graph");
    for (const auto& names : scopes_) {
      if (names.contains(v.name)) return bad(v, "has a name that is taken");
    }
    scopes_.back().insert(v.name);
    ONNXC_TRY(type(v, v.type));
    if (v.producer) {
      const auto& outs = v.producer->outputs();
      if (std::find(outs.begin(), outs.end(), &v) == outs.end()) return bad(v, "is no output of its producer");
      if (v.is_constant()) return bad(v, "is a constant and has a producer");
    }
    if (v.is_constant()) {
      const Tensor& t = *v.constant;
      const auto n = checked_numel(t.dims());
      const bool agrees =
          v.type.is_static_tensor() && v.type.elem == t.elem() && static_dims(*v.type.shape) == t.dims();
      if (!agrees) return bad(v, "is a constant of another type");
      if (!n || (t.elem() != Elem::String && t.bytes() != *n * elem_size(t.elem()))) {
        return bad(v, "is a constant of " + std::to_string(t.bytes()) + " bytes");
      }
    }
    if (v.contents && v.type.is_static_tensor()) {
      const Dim n = numel(*v.type.shape);
      if (n != Dim(static_cast<int64_t>(v.contents->size()))) return bad(v, "has contents of another size");
    }
    all_.push_back(&v);
    return ok();
  }

  Status node(const Graph& g, const Node& n) {
    if (n.op.empty()) return bad(n, "has no operator");
    if (n.graph != &g) return bad(n, "does not know its graph");
    for (const Value* v : n.inputs()) {
      if (!v) continue;
      if (!defined_.contains(v))
        return bad(n, "uses %" + v->name + " before it is defined, or where it cannot be seen");
      uses_[v].push_back(&n);
    }
    for (const Graph* s : n.subgraphs()) {
      if (s->parent != &g) return bad(n, "holds a graph that does not know its parent");
      ONNXC_TRY(graph(*s));
    }
    for (const Value* v : n.outputs()) {
      if (!v) continue;
      if (v->producer != &n) return bad(n, "has the output %" + v->name + " of another node");
      if (!defined_.insert(v).second) return bad(n, "defines %" + v->name + " twice");
    }
    return ok();
  }

  Status graph(const Graph& g) {
    scopes_.emplace_back();
    std::vector<const Value*> here;
    for (const auto& v : g.values()) {
      ONNXC_TRY(value(g, *v));
      if (v->is_constant()) defined_.insert(v.get());
      here.push_back(v.get());
    }
    for (const Value* v : g.inputs) {
      if (!v || v->graph != &g || v->producer)
        return Error(ErrorKind::Internal, "has a wrong input", "graph @" + g.name);
      if (!defined_.insert(v).second) return bad(*v, "is an input twice, or a constant too");
    }
    for (const auto& n : g.nodes()) ONNXC_TRY(node(g, *n));
    for (const Value* v : g.outputs) {
      if (!v || !defined_.contains(v) || v->graph != &g) {
        return Error(ErrorKind::Internal, "has an output that nothing in it defines", "graph @" + g.name);
      }
    }
    for (const Value* v : here) defined_.erase(v);
    scopes_.pop_back();
    return ok();
  }

  bool typed_;
  std::vector<std::set<std::string>> scopes_;
  std::set<const Value*> defined_;
  std::vector<const Value*> all_;
  std::map<const Value*, std::vector<const Node*>> uses_;
};

}  // namespace

Status verify_graph(const Graph& graph, bool typed) { return Verifier(typed).whole(graph); }

}  // namespace onnxc
