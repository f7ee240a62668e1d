// The state of lowering one Graph: where each value lies, which values are still expressions waiting to be fused into
// their reader, and the Program made so far. Split by idea over lower_graph.cc (the walk), fusion.cc (element
// expressions), layouts.cc (buffers and conversions), regions.cc (bodies of loops) and op_context.cc (what operators
// see). Tested in tests/lit/lower and by conformance.
//
// Invariants: a value is pending, or has at least one home buffer, or is a constant (whose buffers are made on demand).
// Every home of a value holds the same elements; homes are never written after the operation that made them.
#pragma once

#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include "compiler/ir/graph.h"
#include "compiler/ir/program.h"
#include "compiler/ops/op.h"
#include "compiler/support/options.h"
#include "compiler/support/target.h"

namespace onnxc {

class GraphLowering {
 public:
  // `needed`: names of elements (Value::contents) that the Program reads as Scalars.
  GraphLowering(const Graph& graph, const Target& target, const Options& options, const std::set<std::string>& needed)
      : graph_(graph), target_(target), options_(options), needed_(needed), required_at_root_(graph.requirements) {}
  Result<Program> run();
  // Of elements that the Program uses as well: another lowering must read them.
  const std::set<std::string>& missing() const { return missing_; }

 private:
  friend class FusionContext;
  friend class OpContext;

  // An element-wise value that no operation has stored yet.
  struct Pending {
    const Node* node;
    size_t output;
    Layout layout;
    size_t cost;  // expression nodes, those of pending inputs included
  };
  struct HomeKey {
    Layout layout;
    size_t rank;  // logical rank it is seen as: leading 1s are added when above the value's own
    bool operator<(const HomeKey& o) const { return layout == o.layout ? rank < o.rank : layout < o.layout; }
  };

  // ---- lower_graph.cc
  void find_element_names();
  void add_inputs();
  bool knows(const Dim& dim) const;  // as of an input, or by an element
  Status check_output(const Node& node, const Value& out) const;
  Status lower_node(const Node& node);
  // Scalar `name` is that element of `buffer`.
  void define(const std::string& name, BufferId buffer, int64_t element, const Node* origin);
  Status define_elements(const Value& value);
  Status define_dims(const Node& node, const OpDef& def);
  // Puts Scalars and requirements where they are needed; finds what is missing.
  Status arrange_stages();
  Status finish_outputs();
  Operation& emit(Operation op, const Node* origin);
  std::string fresh(const std::string& stem);
  // The run fails with `message` unless a == b, or unless `value` >= 0; nothing where that is known to hold.
  void require_equal(const Dim& a, const Dim& b, const std::string& message);
  void require_non_negative(const Dim& value, const std::string& message);

  // ---- regions.cc: see LowerContext
  // What a region's operation writes gets memory before it where the size is known within the region only.
  void allocate_within(const Operation& op);
  bool is_sized_within(const Buffer& buffer) const;
  bool is_told_within(const Dim& dim) const;  // by Scalars of regions
  // Requires in the region what its symbols must fulfil, and what a branch asks for: of all that shape rules took for
  // granted, or this.
  void require_within();
  void require_here(const Dim& value, const std::string& message);
  Status begin_region(const Graph& body);
  std::vector<Operation> end_region();
  Result<std::vector<BufferId>> lower_body(const Graph& body, const std::vector<BufferId>& inputs);

  // ---- fusion.cc
  Status lower_compute(const Node& node, const OpDef& def);
  Layout choose_layout(const Node& node, const OpDef& def) const;
  bool may_wait(const Node& node, const OpDef& def, const Value* value, size_t cost, bool loads_nothing) const;
  // The element of `value` at the plain indices `idx`.
  Result<Expr> element(const Value* value, std::span<const Expr> idx);
  // The element of `value` that broadcasts to the point `idx` of a loop space of the logical dims `space` in `layout`.
  Result<Expr> element_broadcast(const Value* value, std::span<const Expr> idx, Layout layout, const Shape& space);
  // Index along a dim `own` at `idx` along a dim `wide` of the space: 0 where `own` is 1, in the run at the latest.
  Expr index_broadcast(const Value* value, const Expr& idx, const Dim& own, const Dim& wide);
  // What OpDef::dims gives for the dims of output `o`.
  Result<std::vector<std::pair<Dim, Expr>>> dims_of(const Node& node, const OpDef& def, size_t o);
  Result<Expr> inline_pending(const Pending& pending, std::span<const Expr> idx);
  // Stores it, in the layout `wanted` where its operator can, else in its own.
  Status store_pending(const Value* value, Layout wanted);
  // Stores `pending` into `buffer`, element by element.
  Status emit_compute(const Pending& pending, BufferId buffer);

  // ---- layouts.cc
  Layout layout_of(const Value* value) const;
  Shape physical_shape(const Shape& shape, Layout layout) const;
  BufferId new_buffer(const Value* value, Layout layout);
  // A buffer with the value in `layout`, seen as `rank` >= its own rank; converts or materialises when needed.
  Result<BufferId> home(const Value* value, Layout layout, size_t rank);
  Result<BufferId> home(const Value* value, Layout layout) {
    return home(value, layout, value->type.stored().shape->size());
  }
  BufferId constant_buffer(Tensor tensor, Packing packing, std::string name);
  BufferId constant_home(const Value* value, Layout layout, size_t rank);
  BufferId text_constant_home(const Value* value, size_t rank);
  void convert_to_blocked(BufferId from, BufferId to, const Shape& shape, Layout layout, const Node* origin);
  void convert_to_plain(BufferId from, BufferId to, const Shape& shape, Layout layout, const Node* origin);
  void copy(BufferId from, BufferId to, const Shape& shape, const Node* origin);
  void set_home(const Value* value, Layout layout, size_t rank, BufferId buffer);
  // Makes the buffer of a value a view of `whole`, if the arena holds it alone.
  bool place_in(const Value* value, Layout layout, BufferId whole, const Dim& offset);
  int output_index(const Value* value) const;  // index of the graph output that this value is stored as, or -1

  // What a region hides until it ends.
  struct Around {
    std::vector<Operation> ops;
    std::unordered_map<const Value*, Pending> pending;
    std::unordered_map<const Value*, std::map<HomeKey, BufferId>> homes;
    std::unordered_map<const Value*, Layout> main_layout;
    std::set<std::string> required;
  };

  const Graph& graph_;
  const Target& target_;
  const Options& options_;
  Program program_;
  std::unordered_map<const Value*, Pending> pending_;
  std::unordered_map<const Value*, std::map<HomeKey, BufferId>> homes_;
  std::unordered_map<const Value*, Layout> main_layout_;
  std::map<std::pair<uint64_t, std::string>, std::vector<BufferId>> constants_;  // (hash, packing) -> buffers
  int64_t model_bytes_ = 0;                                                      // of all constants of the graph
  uint32_t next_name_ = 0;
  std::set<std::string> symbols_;        // of the inputs
  std::set<std::string> element_names_;  // of elements that can be read
  std::set<std::string> defined_;        // Scalars
  const std::set<std::string>& needed_;
  std::set<std::string> missing_;
  const std::map<Dim, std::string> required_at_root_;  // of every run, whatever its branches
  std::vector<Operation> required_;                    // what the run requires of symbols
  std::vector<Around> around_;                         // of the regions that are being written, the innermost last
  std::set<std::string> requirements_;                 // each once, as text
  std::set<std::string> inner_names_;                  // what may be told within regions only: as element_names_
  std::set<std::string> told_within_;                  // of these: Scalars by now
  std::set<std::string> required_within_;              // of the regions that are being written, as text
};

// Names shared subexpressions of the stores in `block` by Let statements, so that no printer evaluates them twice.
void name_shared_subexpressions(Block& block, const std::function<std::string()>& name);

// (written, read) when every load of a buffer of the same shape is at the point that is stored.
std::vector<std::pair<BufferId, BufferId>> in_place_candidates(const Program& program, const Block& block);

}  // namespace onnxc
