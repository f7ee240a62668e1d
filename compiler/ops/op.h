// OpDef: everything about one operator, declared in its family's file in this folder and listed by one line of ops.inc.
// How to add one: README.md here.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "compiler/ir/graph.h"
#include "compiler/ops/lowering.h"
#include "compiler/support/result.h"

namespace onnxc {

// Invalid where the value is below zero, or where a and b differ, as `what` says; where only a run can tell, it is
// required of the run. A free dim of an input that must equal a constant becomes that constant (infer_graph).
Status require_non_negative(const Node& node, const Dim& value, const std::string& what);
Status require_equal(const Node& node, const Dim& a, const Dim& b, const std::string& what);

// What a shape rule sees of its node and may say. Rules change nothing of the Graph but what it requires of a run.
class InferContext {
 public:
  explicit InferContext(const Node& node) : node(node), outputs(node.num_outputs()), contents(node.num_outputs()) {}
  const Node& node;
  std::vector<Type> outputs;                      // to be filled, one per output
  std::vector<std::optional<Contents>> contents;  // to be filled where known
  bool waits = false;                             // set: something within the node is not typed yet

  bool has_input(size_t i) const { return node.input(i) != nullptr; }
  const Type& in(size_t i) const { return node.input(i)->type; }
  Elem elem(size_t i) const { return in(i).elem; }
  bool has_shape(size_t i) const { return has_input(i) && in(i).is_tensor() && in(i).shape.has_value(); }
  const Shape& shape(size_t i) const { return *in(i).shape; }
  const std::optional<Contents>& in_contents(size_t i) const;   // nothing when the input is absent
  std::optional<std::vector<int64_t>> in_ints(size_t i) const;  // contents, when all constant
  const Tensor* in_constant(size_t i) const;
  void set(size_t i, Elem e, Shape s) { outputs[i] = Type::tensor(e, std::move(s)); }
  void set_unranked(size_t i, Elem e) { outputs[i] = Type::unranked(e); }
  // A dim that nobody knows before the run: a fresh symbol, stable for this node and tag ("%12.nnz").
  Dim unknown(std::string_view tag) const;

  // The number of dims that the file gives to output i, whose shape the rule cannot tell.
  std::optional<size_t> declared_rank(size_t i) const;
  // Where input i is a list whose length is free, `length` entries are required of it.
  Status settle_length(size_t i, size_t length) const;

  // See above.
  Status require_equal(const Dim& a, const Dim& b, const std::string& what) const;

  Error invalid(std::string message) const { return Error(ErrorKind::InvalidModel, std::move(message), node.where()); }
  Error unsupported(std::string message, std::string advice = {}) const {
    return Error(ErrorKind::Unsupported, std::move(message), node.where(), std::move(advice));
  }
};

// A step from the semantics of `from_version` (the newest opset in which the old meaning holds) to the next ones:
// rewrites `node` in place or around it. Applied when the model's opset for the domain is <= from_version.
struct Upgrade {
  int from_version;
  Status (*rewrite)(Graph& graph, Node& node);
};

enum class LayoutBehaviour : uint8_t {
  Opaque,    // inputs and outputs are plain
  Agnostic,  // element by element: any layout that all operands share
  Mapped,    // the lowering asks for layouts itself (Conv, pools, Concat on channels ...)
};

// How far results may be from the formula's: Exact (bits), Rounding (a few units in the last place of each element),
// Accumulating (dot products, sums: relative to the largest). tests/differential/random_ops.py holds each operator to
// it.
enum class Accuracy : uint8_t { Exact, Rounding, Accumulating };

using InferFn = Status (*)(InferContext&);
// The element of output `c.output` at `idx` as an expression of input elements: fused into producers and consumers.
using ComputeFn = Result<Expr> (*)(ComputeContext& c, std::span<const Expr> idx);
// Emits operations (kernel calls, nests) for the node.
using LowerFn = Status (*)(LowerContext& c);
// The dims of the outputs that InferContext::unknown named, as expressions (I64) of elements of the inputs.
using DimsFn = Result<std::vector<std::pair<Dim, Expr>>> (*)(ComputeContext& c);
// Makes the outputs parts of an input's memory where it lies so; false: they must be computed.
using ViewFn = Result<bool> (*)(LowerContext& c);
// Computes the only output by a kernel where it must lie in memory, in the layout wanted; false: it is stored element
// by element.
using StoreFn = Result<bool> (*)(LowerContext& c, Layout layout);
// Replaces the node by others in the Graph, once types are known.
using DecomposeFn = Status (*)(Graph& graph, Node& node);
// True when this node (types known) is taken by decompose / compute / lower; default: always.
using ConditionFn = bool (*)(const Node& node);

// The domain of operators that passes make and no file may hold.
inline constexpr std::string_view kOwnDomain = "onnxc";

struct OpDef {
  std::string_view name;
  std::string_view domain;
  InferFn infer = nullptr;
  // Exactly one way down, tried in this order: decompose (if `decompose_if` agrees), compute (if `compute_if` agrees),
  // lower (if `lower_if` agrees). Without any: the function body that ONNX gives (pass `decompose`).
  DecomposeFn decompose = nullptr;
  ConditionFn decompose_if = nullptr;
  ComputeFn compute = nullptr;
  ConditionFn compute_if = nullptr;
  StoreFn store = nullptr;  // beside compute
  LowerFn lower = nullptr;
  ConditionFn lower_if = nullptr;
  ViewFn view = nullptr;      // tried before compute and lower
  DimsFn dims = nullptr;      // beside compute or lower: evaluated before them
  bool defines_dims = false;  // lower gives the dims that InferContext::unknown named by LowerContext::define
  std::vector<Upgrade> upgrades;
  LayoutBehaviour layout = LayoutBehaviour::Opaque;
  Accuracy accuracy = Accuracy::Exact;
  bool random = false;     // never folded, never merged by CSE
  bool expensive = false;  // compute: worth storing rather than evaluating twice
};

// The way down that a node takes, its types being known.
enum class WayDown : uint8_t { Decompose, Compute, Lower, Body };
WayDown way_down(const OpDef* def, const Node& node);

// The operator, or null. Domain "ai.onnx" is "".
const OpDef* find_op(std::string_view domain, std::string_view name);
// All of ops.inc, in its order.
std::span<const OpDef* const> all_ops();

// Runs the shape rule of `node` and stores types and contents in its outputs (after checking the result).
Status infer_node(Node& node);
// All nodes, subgraphs included, in order; sorts first.
Status infer_graph(Graph& graph);

}  // namespace onnxc

// Begins the definition of an operator at namespace scope: OP(Relu) = ...;
#define OP(name)                \
  extern const OpDef op_##name; \
  const OpDef op_##name
