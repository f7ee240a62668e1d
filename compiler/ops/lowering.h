// What an operator's lowering may ask for. Implemented by lower/ (lower_graph.cc); operators see only this.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "compiler/ir/expr.h"
#include "compiler/ir/graph.h"
#include "compiler/ir/program.h"
#include "compiler/support/options.h"
#include "compiler/support/result.h"
#include "compiler/support/target.h"

namespace onnxc {

// For ComputeFn: pure element expressions. `idx` are I64 expressions, one per dim of the output (ONNX's logical dims,
// or, for layout-agnostic operators, whatever dims the fused group runs over).
class ComputeContext {
 public:
  virtual ~ComputeContext() = default;
  const Node* node_ptr = nullptr;
  size_t output = 0;
  const Node& node() const { return *node_ptr; }
  bool has_input(size_t i) const { return node_ptr->input(i) != nullptr; }
  Elem in_elem(size_t i) const { return node_ptr->input(i)->type.elem; }
  const Shape& in_shape(size_t i) const { return *node_ptr->input(i)->type.shape; }
  Elem out_elem() const { return node_ptr->output(output)->type.elem; }
  const Shape& out_shape() const { return *node_ptr->output(output)->type.shape; }
  // Element of input i at `idx` (in arithmetic_type of its element type): a load, or the producer's own expression.
  virtual Expr load(size_t i, std::span<const Expr> idx) = 0;
  // The same with ONNX broadcasting from the output's dims to the input's: right-aligned, extent-1 dims read at 0.
  virtual Expr load_broadcast(size_t i, std::span<const Expr> idx) = 0;
};

class LowerContext {
 public:
  virtual ~LowerContext() = default;
  const Node* node_ptr = nullptr;
  const Node& node() const { return *node_ptr; }
  bool has_input(size_t i) const { return node_ptr->input(i) != nullptr; }
  Elem in_elem(size_t i) const { return node_ptr->input(i)->type.elem; }
  const Shape& in_shape(size_t i) const { return *node_ptr->input(i)->type.shape; }
  Elem out_elem(size_t i = 0) const { return node_ptr->output(i)->type.elem; }
  const Shape& out_shape(size_t i = 0) const { return *node_ptr->output(i)->type.shape; }
  const Tensor* constant(size_t i) const;  // of input i, or null

  // The buffer of input i in `layout` (converted, once per value, when it lies otherwise).
  virtual Result<BufferId> in(size_t i, Layout layout = {}) = 0;
  virtual Layout layout_of(size_t i) const = 0;  // how input i lies now
  virtual const Target& target() const = 0;
  virtual const Options& options() const = 0;
  int channel_block() const { return target().channel_block; }
  virtual int64_t model_bytes() const = 0;  // of all constants of the graph
  // A new buffer for output i; call once per output that exists. For a plain graph output it is the output buffer
  // itself.
  virtual BufferId out(size_t i = 0, Layout layout = {}) = 0;
  // Output i, in `layout`, is a view of / the same memory as `base` (Reshape, Split along the outermost dim ...).
  virtual BufferId out_view(size_t i, BufferId base, Dim offset, Shape strides = {}, Layout layout = {}) = 0;
  // Whether input i lies in a buffer: it is neither a constant nor an expression that waits for its reader.
  virtual bool is_stored(size_t i) const = 0;
  // Lets whoever computes input i write it right into `whole`, `offset` elements in, where it is one piece in `layout`.
  // False: its memory is already someone else's, or not in this layout; then it must be copied.
  virtual bool place_in(size_t i, Layout layout, BufferId whole, const Dim& offset) = 0;
  virtual BufferId temporary(Elem elem, Shape dims) = 0;
  // From here on the symbol `dim` (of InferContext::unknown) has the value of that element of `buffer`, of integers.
  virtual void define(const Dim& dim, BufferId buffer, int64_t element = 0) = 0;
  // A constant made here (tables ...), or input i packed for a kernel; equal (source, packing) pairs are one constant.
  virtual BufferId constant_buffer(Tensor tensor, Packing packing = {}, std::string name = {}) = 0;
  virtual BufferId packed(size_t i, Packing packing) = 0;
  // Emits an operation; origins are the node's.
  virtual Operation& emit(Operation op) = 0;
  // Whether all of the dim's symbols have a value in the run.
  virtual bool knows(const Dim& dim) const = 0;
  // Operations emitted between these two are a region's (program.h), in which `body`, a graph of the node's, is
  // lowered: what it reads of the graphs around is stored before.
  virtual Status begin_region(const Graph& body) = 0;
  virtual std::vector<Operation> end_region() = 0;
  // Lowers the nodes of `body`, whose inputs lie in these buffers; gives those of its outputs.
  virtual Result<std::vector<BufferId>> lower_graph(const Graph& body, const std::vector<BufferId>& inputs) = 0;
  virtual std::string fresh(const std::string& stem) = 0;  // a loop variable's or Let's name
  virtual const Program& program() const = 0;
  // Elements of input i, with its producer's expression fused in when that is possible: for reductions over
  // element-wise chains. Same rules as ComputeContext::load.
  virtual Expr load(size_t i, std::span<const Expr> idx) = 0;

  Error invalid(std::string message) const {
    return Error(ErrorKind::InvalidModel, std::move(message), node_ptr->where());
  }
  Error unsupported(std::string message, std::string advice = {}) const {
    return Error(ErrorKind::Unsupported, std::move(message), node_ptr->where(), std::move(advice));
  }
};

// Kernels whose units of work depend on the level (tiles ...) are partitioned by slices, of which the whole has kSlices
// (runtime_lib/kernels/tile.h).
inline constexpr int64_t kSlices = 240;

// Fluent builder of kernel calls: Call("softmax_f32").out(y).in(x).arg("rows", r).arg("cols", n).op().
class Call {
 public:
  explicit Call(std::string kernel) { call_.kernel = std::move(kernel); }
  Call& out(BufferId b) { return call_.outs.push_back({b, {}}), *this; }
  Call& inout(BufferId b) { return call_.inouts.push_back({b, {}}), *this; }
  Call& in(BufferId b) { return call_.ins.push_back({b, {}}), *this; }  // kNoBuffer: null
  Call& out_at(Operand o) {
    return call_.outs.push_back(std::move(o)), *this;
  }  // at a place in a buffer (inside nests)
  Call& in_at(Operand o) { return call_.ins.push_back(std::move(o)), *this; }
  Call& scratch(BufferId b) { return call_.scratch.push_back(b), *this; }
  Call& arg(std::string name, Dim v) { return call_.arguments.push_back({std::move(name), std::move(v)}), *this; }
  Call& arg(std::string name, double v) { return call_.arguments.push_back({std::move(name), v}), *this; }
  Call& arg(std::string name, int64_t v) { return arg(std::move(name), Dim(v)); }
  Call& arg(std::string name, int v) { return arg(std::move(name), Dim(v)); }
  Call& may_fail() { return call_.may_fail = true, *this; }
  Call& run_memory() { return call_.run_memory = true, may_fail(); }
  Call& function(std::string symbol) { return call_.function = std::move(symbol), may_fail(); }
  Call& meetings(Dim count) { return call_.meetings = std::move(count), *this; }
  // `work`: as in Partition.
  Call& partition(std::string axis, Dim extent, Dim work) {
    partition_ = Partition{std::move(axis), std::move(extent), 1, 0, 0, std::move(work)};
    return *this;
  }
  Call& slices(Dim work) { return partition("slices", kSlices, std::move(work)); }
  // The whole axis: for calls inside nests.
  Call& all_slices() { return arg("begin", 0).arg("end", kSlices); }
  Call& in_place(BufferId written, BufferId read) { return in_place_.push_back({written, read}), *this; }
  Operation op() { return Operation{std::move(call_), std::move(partition_), std::move(in_place_), {}}; }

 private:
  KernelCall call_;
  std::optional<Partition> partition_;
  std::vector<std::pair<BufferId, BufferId>> in_place_;
};

// A perfect nest over `dims` whose loop variables are named by `name()`: for each point, `body(idx)` gives the
// innermost statements.
Operation nest_over(const Shape& dims, const std::function<std::string()>& name,
                    const std::function<Block(std::span<const Expr>)>& body);
// The same with names of the context's.
Operation make_nest(LowerContext& c, const Shape& dims, const std::function<Block(std::span<const Expr>)>& body);

// Changes between the plain and the channel-blocked layout by kernels: where `plain` is a dense buffer of floats and
// the blocks are the kernels'.
bool has_layout_kernel(const Program& program, BufferId plain, Layout layout);
// `shape`: of the values. Channels are shuffled by `groups`, see ChannelShuffle.
Operation to_blocked(BufferId from, BufferId to, const Shape& shape, int64_t groups);
Operation to_plain(BufferId from, BufferId to, const Shape& shape);
// [batches][rows][columns] -> [batches][columns][rows], floats.
Operation transpose(BufferId from, BufferId to, const Dim& batches, const Dim& rows, const Dim& columns);

}  // namespace onnxc
