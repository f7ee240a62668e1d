// Types of If, Loop and Scan (onnx/docs/Operators.md), and their way down where branches are not both computed and
// turns not unrolled: a branch or a loop of the Program, whose results and carried values have one shape, and whose
// number of turns, where they are stacked, is bounded before the first one. Others go by varying_shapes.cc. Tested by
// tests/conformance, tests/differential/random_ops.py and tests/lit/lower/loops.txt.
#include <algorithm>
#include <set>

#include "compiler/ops/control_flow.h"
#include "compiler/ops/indexing.h"
#include "compiler/ops/sequence.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;
using expr::operator+;

// ---- types

// What holds for values of both types. Dims that differ become unknown, once and for all.
Type joined(const InferContext& c, const Type& a, const Type& b, size_t carried) {
  if (is_joinable(a, b)) return joined_lists(a, b);
  if (!a.is_tensor() || !b.is_tensor() || a == b) return a;
  if (!a.shape || !b.shape || a.shape->size() != b.shape->size()) return Type::unranked(a.elem);
  Type out = a;
  for (size_t d = 0; d < a.shape->size(); ++d)
    if ((*a.shape)[d] != (*b.shape)[d])
      (*out.shape)[d] = c.unknown("carried" + std::to_string(carried) + "." + std::to_string(d));
  return out;
}

// A turn must leave the shape as it is.
Status require_shape(const InferContext& c, const Value& before, const Type& after) {
  if (!before.type.shape || !after.shape) return ok();
  const std::string what = "the state \"" + before.name + "\" changes its shape";
  if (before.type.shape->size() != after.shape->size())
    return c.invalid(what + ": " + before.type.str() + " and " + after.str());
  for (size_t d = 0; d < after.shape->size(); ++d)
    ONNXC_TRY(c.require_equal((*before.type.shape)[d], (*after.shape)[d], what));
  return ok();
}

// Finds types of the carried values that hold in every turn, starting with those that the body's inputs have; `fixed`:
// their shapes may not change. False: not all of the body is typed yet.
Result<bool> settle_types(const InferContext& c, Graph& body, size_t first_input, size_t first_output, size_t carried,
                          bool fixed) {
  Graph* root = body.root();
  for (bool stable = false; !stable;) {
    const auto requirements = root->requirements;
    ONNXC_TRY(infer_graph(body));
    stable = true;
    for (size_t i = 0; i < carried; ++i) {
      Value* in = body.inputs[first_input + i];
      const Type& after = body.outputs[first_output + i]->type;
      if (after.kind == Type::Kind::None) return false;
      if (!is_joinable(after, in->type) &&
          (after.kind != in->type.kind || (after.is_tensor() && after.elem != in->type.elem)))
        return c.invalid("carried value \"" + in->name + "\" has the type " + in->type.str() + " before a turn and " +
                         after.str() + " after it");
      if (fixed) {
        ONNXC_TRY(require_shape(c, *in, after));
        continue;
      }
      const Type both = joined(c, in->type, after, i);
      if (both == in->type) continue;
      in->type = both;
      stable = false;
    }
    if (!stable) root->requirements = requirements;  // of types that do not hold
  }
  return std::none_of(body.outputs.begin(), body.outputs.end(),
                      [](const Value* v) { return v->type.kind == Type::Kind::None; });
}

// One turn's value, repeated along `axis`.
Status set_stacked(InferContext& c, size_t output, const Type& turn, const Dim& turns, int64_t axis) {
  if (!turn.is_tensor()) return c.unsupported("scan output " + std::to_string(output) + " is no tensor");
  if (!turn.shape) return c.set_unranked(output, turn.elem), ok();
  Shape shape = *turn.shape;
  ONNXC_ASSIGN(axis, normal_axis(c.node, axis, shape.size() + 1));
  shape.insert(shape.begin() + axis, turns);
  return c.set(output, turn.elem, std::move(shape)), ok();
}

Status require_scalar(InferContext& c, size_t i, Elem elem, const char* name) {
  if (!c.has_input(i)) return ok();
  if (!c.in(i).is_tensor() || c.elem(i) != elem)
    return c.invalid(std::string(name) + " must be " + std::string(elem_name(elem)) + ", not " + c.in(i).str());
  return c.has_shape(i) ? c.require_equal(numel(c.shape(i)), Dim(1), std::string("the elements of ") + name) : ok();
}

// How often a Loop turns.
struct Turns {
  std::optional<Dim> count;  // the most, where it is known or follows from dims
  bool conditional = false;  // fewer, perhaps
};
Turns turns_of(const Node& n, const Graph& body) {
  Turns t;
  if (const auto contents = contents_of(n.input(0)); contents && contents->size() == 1)
    t.count = (*contents)[0].is_const() ? Dim(std::max<int64_t>(0, (*contents)[0].value()))
                                        : Dim::max((*contents)[0], Dim(0));
  const auto condition = n.input(1) ? known_int(n.input(1)) : std::optional<int64_t>(1);
  if (condition && *condition == 0) return {Dim(0), false};
  t.conditional = !condition || !stays_true(body) || (n.input(0) && !t.count);
  return t;
}

// Of a loop that may end before.
constexpr int64_t kMostRows = 1 << 20;

struct ScanForm {
  size_t states = 0, scans = 0;  // inputs
  std::vector<int64_t> axes, directions, out_axes, out_directions;
  explicit ScanForm(const Node& n)
      : scans(static_cast<size_t>(std::max<int64_t>(0, n.attr_int("num_scan_inputs", 0)))),
        axes(n.attr_ints("scan_input_axes")),
        directions(n.attr_ints("scan_input_directions")),
        out_axes(n.attr_ints("scan_output_axes")),
        out_directions(n.attr_ints("scan_output_directions")) {
    scans = std::min(scans, n.num_inputs());
    states = n.num_inputs() - scans;
  }
};
int64_t entry(const std::vector<int64_t>& list, size_t i) { return i < list.size() ? list[i] : 0; }

// ---- ways down

BufferId copied(LowerContext& c, BufferId from, const Shape& dims) {
  const Elem elem = c.program().buffers[from].elem;
  const BufferId to = c.temporary(elem, dims);
  c.emit(make_nest(c, dims, [&](std::span<const Expr> idx) {
    return Block{Stmt{Store{to, to_vector(idx), expr::load(from, elem, to_vector(idx)), nullptr}}};
  }));
  return to;
}
// With these dims, which the buffer has, written in another way perhaps, and without gaps between elements.
BufferId dense(LowerContext& c, BufferId b, const Shape& dims) {
  const Buffer& buffer = c.program().buffers[b];
  const bool fits = buffer.dims == dims && buffer.effective_strides() == row_major_strides(buffer.dims);
  return fits ? b : copied(c, b, dims);
}
BufferId dense(LowerContext& c, BufferId b) { return dense(c, b, Shape(c.program().buffers[b].dims)); }

class LoopWriter {
 public:
  LoopWriter(LowerContext& c, const Graph& body) : c_(c), body_(body), turn_(c.fresh("turn")) {}

  Expr turn() const { return expr::index(Dim::symbol(turn_)); }
  Dim turn_dim() const { return Dim::symbol(turn_); }

  // Input `i` of the node becomes input `at` of the body, carried from turn to turn.
  Status carry(size_t i, size_t at) {
    ONNXC_ASSIGN(const BufferId in, c_.in(i));
    loop_.inits.push_back(dense(c_, in));
    ONNXC_ASSIGN(const BufferId arg, own(at));
    loop_.body.args.push_back(arg);
    return ok();
  }
  // A buffer for input `at` of the body.
  Result<BufferId> own(size_t at) {
    const Value& v = *body_.inputs[at];
    const Type type = v.type.stored();
    const auto& shape = type.shape;
    if (!type.is_tensor() || !shape ||
        !std::ranges::all_of(*shape, [&](const Dim& d) { return c_.knows(d) && !changes(d); }))
      return c_.unsupported("\"" + v.name + "\" has the type " + v.type.str() + " in the body; only tensors of one " +
                            "shape in all turns are supported yet");
    return c_.temporary(type.elem, *shape);
  }
  // Whether the dim of a carried value is another after a turn: `joined` has named it.
  bool changes(const Dim& dim) const {
    std::set<std::string> symbols;
    dim.collect_symbols(symbols);
    const std::string mine = "n" + std::to_string(c_.node().id) + ".carried";
    return std::ranges::any_of(symbols, [&](const std::string& s) { return s.starts_with(mine); });
  }
  Status begin() { return c_.begin_region(body_); }
  // One more carried value, after the others: how many turns there were.
  void count_turns() {
    count_ = c_.temporary(Elem::I64, {});
    loop_.inits.push_back(c_.constant_buffer(Tensor::i64({}, {0})));
    loop_.body.args.push_back(c_.temporary(Elem::I64, {}));
  }
  // Lowers the body. Its outputs first, first + 1 ... are the carried values and then what is stacked.
  Status run(const std::vector<BufferId>& inputs, size_t first, size_t carried, size_t stacked) {
    ONNXC_ASSIGN(outputs_, c_.lower_graph(body_, inputs));
    const auto yield = [&](size_t i) { loop_.body.yields.push_back(dense(c_, outputs_[i])); };
    for (size_t i = 0; i < carried; ++i) yield(first + i);
    if (count_ != kNoBuffer) {
      c_.emit(make_nest(c_, {}, [&](std::span<const Expr>) {
        return Block{Stmt{Store{count_, {}, turn() + constant(1), nullptr}}};
      }));
      loop_.body.yields.push_back(count_);
    }
    for (size_t i = 0; i < stacked; ++i) yield(first + carried + i);
    for (size_t i = 0; i < loop_.inits.size(); ++i) keep_apart(i);
    return ok();
  }
  BufferId arg(size_t i) const { return loop_.body.args[i]; }  // carried value i
  BufferId output(size_t i) const { return outputs_[i]; }      // of the body
  // `next`: whether to go on, in the region.
  void condition(BufferId initial, BufferId next) {
    loop_.condition = initial;
    loop_.body.yields.insert(loop_.body.yields.begin(), next);
  }
  void end(std::optional<Dim> turns, std::vector<BufferId> results) {
    loop_.body.ops = c_.end_region();
    loop_.body.scalar_args = {turn_};
    loop_.trip_count = std::move(turns);
    loop_.results = std::move(results);
    Operation op;
    op.node = std::move(loop_);
    c_.emit(std::move(op));
  }

 private:
  // What a turn leaves is copied to the carried values one after the other: none may lie in another one. Its dims are
  // theirs, written in another way perhaps.
  void keep_apart(size_t i) {
    BufferId& next = loop_.body.yields[i];
    const BufferId own = loop_.body.args[i], root = storage_root(c_.program(), next);
    const Shape dims = c_.program().buffers[own].dims;
    const bool in_another = std::ranges::find(loop_.body.args, root) != loop_.body.args.end() && next != own;
    next = in_another ? copied(c_, next, dims) : dense(c_, next, dims);
  }

  LowerContext& c_;
  const Graph& body_;
  const std::string turn_;
  Loop loop_;
  std::vector<BufferId> outputs_;
  BufferId count_ = kNoBuffer;
};

BufferId result(LowerContext& c, size_t output, const Type& type) {
  return c.node().output(output) ? c.out(output) : c.temporary(type.stored().elem, *type.stored().shape);
}

// A Bool whose value `f` says.
BufferId bool_buffer(LowerContext& c, const std::function<Expr()>& f) {
  const BufferId b = c.temporary(Elem::Bool, {});
  c.emit(make_nest(c, {}, [&](std::span<const Expr>) { return Block{Stmt{Store{b, {}, f(), nullptr}}}; }));
  return b;
}
Expr only_element(LowerContext& c, BufferId b) {
  const Buffer& buffer = c.program().buffers[b];
  return expr::load(b, buffer.elem, std::vector<Expr>(buffer.dims.size(), constant(0)));
}

// Whether elements of tensors stand in it.
bool is_computed(const Dim& dim) {
  std::set<std::string> symbols;
  dim.collect_symbols(symbols);
  return std::ranges::any_of(symbols, [](const std::string& s) { return s.front() == '~'; });
}

class LoopNode {
 public:
  explicit LoopNode(LowerContext& c)
      : c_(c), n_(c.node()), body_(*n_.attr_graph("body")), carried_(body_.inputs.size() - 2), loop_(c, body_) {
    turns_ = turns_of(n_, body_);
    for (size_t o = carried_; o < n_.num_outputs(); ++o) stacks_ |= n_.output(o) != nullptr;
    // A number that the run computes is compared with turn by turn, unless it says how much is stacked.
    if (turns_.count && (!c.knows(*turns_.count) || (!stacks_ && is_computed(*turns_.count))))
      turns_ = {std::nullopt, true};
    counted_ = c.has_input(0) && !turns_.count;
  }

  Status lower() {
    ONNXC_TRY(check_turns());
    for (size_t i = 0; i < carried_; ++i) ONNXC_TRY(loop_.carry(2 + i, 2 + i));
    if (cut()) loop_.count_turns();
    ONNXC_ASSIGN(const BufferId number, loop_.own(0));
    // Where a turn runs, the condition holds.
    std::vector<BufferId> inputs{number, c_.constant_buffer(Tensor::of<uint8_t>(Elem::Bool, {}, {1}))};
    for (size_t i = 0; i < carried_; ++i) inputs.push_back(loop_.arg(i));
    ONNXC_ASSIGN(const BufferId initial, initial_condition());
    ONNXC_TRY(make_results());
    ONNXC_TRY(loop_.begin());
    c_.emit(make_nest(c_, {},
                      [&](std::span<const Expr>) { return Block{Stmt{Store{number, {}, loop_.turn(), nullptr}}}; }));
    ONNXC_TRY(loop_.run(inputs, 1, carried_, stacks_ ? body_.outputs.size() - 1 - carried_ : 0));
    if (turns_.conditional) {
      ONNXC_ASSIGN(const BufferId next, next_condition());
      loop_.condition(initial, next);
    }
    loop_.end(turns_.count, results_);
    if (cut()) copy_stacks();
    return ok();
  }

 private:
  // Whether there may be fewer turns than rows of what they stack.
  bool cut() const { return stacks_ && turns_.conditional; }

  Status check_turns() const {
    if (!turns_.count && !turns_.conditional) return c_.invalid("the loop never ends");
    if (!cut()) return ok();
    return turns_are_bounded(n_) ? ok() : Status(c_.unsupported("the values of turns of unknown number are stacked"));
  }

  Result<BufferId> initial_condition() {
    if (!turns_.conditional) return kNoBuffer;
    ONNXC_ASSIGN(most_, counted_ ? c_.in(0) : Result<BufferId>(kNoBuffer));
    ONNXC_ASSIGN(const BufferId given, c_.in(1));
    return bool_buffer(c_, [&] {
      const Expr yes = expr::int_constant(Elem::Bool, 1);
      const Expr more = counted_ ? binary(ExprOp::Gt, only_element(c_, most_), constant(0)) : yes;
      return binary(ExprOp::And, given == kNoBuffer ? yes : only_element(c_, given), more);
    });
  }
  Result<BufferId> next_condition() {
    const BufferId go = loop_.output(0);
    if (numel(c_.program().buffers[go].dims) != Dim(1))
      return c_.unsupported("the body's condition is not known to be one element");
    return bool_buffer(c_, [&] {
      if (!counted_) return only_element(c_, go);
      const Expr more = binary(ExprOp::Lt, loop_.turn() + constant(1), only_element(c_, most_));
      return binary(ExprOp::And, only_element(c_, go), more);
    });
  }

  Status make_results() {
    for (size_t o = 0; o < carried_; ++o) results_.push_back(result(c_, o, body_.inputs[2 + o]->type));
    if (cut()) results_.push_back(c_.temporary(Elem::I64, {}));
    for (size_t o = carried_; stacks_ && o + 1 < body_.outputs.size(); ++o) {
      Type type = body_.outputs[1 + o]->type;
      if (!type.is_tensor() || !type.shape)
        return c_.unsupported("the shape of the body's output \"" + body_.outputs[1 + o]->name + "\" is not known");
      type.shape->insert(type.shape->begin(), *turns_.count);
      results_.push_back(cut() ? c_.temporary(type.elem, *type.shape) : result(c_, o, type));
    }
    return ok();
  }
  void copy_stacks() {
    const BufferId count = results_[carried_];
    for (size_t o = carried_; o < n_.num_outputs(); ++o) {
      if (!n_.output(o)) continue;
      c_.define(c_.out_shape(o)[0], count, 0);
      const BufferId y = c_.out(o), all = results_[o + 1];
      c_.emit(make_nest(c_, c_.out_shape(o), [&](std::span<const Expr> idx) {
        return Block{Stmt{Store{y, to_vector(idx), expr::load(all, c_.out_elem(o), to_vector(idx)), nullptr}}};
      }));
    }
  }

  LowerContext& c_;
  const Node& n_;
  const Graph& body_;
  const size_t carried_;
  LoopWriter loop_;
  Turns turns_;
  bool counted_ = false;  // up to a number that the run reads
  bool stacks_ = false;
  BufferId most_ = kNoBuffer;
  std::vector<BufferId> results_;
};

}  // namespace

bool keeps_types(const Graph& body, size_t first_input, size_t first_output, size_t carried) {
  if (body.inputs.size() < first_input + carried || body.outputs.size() < first_output + carried) return false;
  for (size_t i = 0; i < carried; ++i) {
    const Type &in = body.inputs[first_input + i]->type, &out = body.outputs[first_output + i]->type;
    if (!in.is_tensor() || !in.shape || !(in == out)) return false;
  }
  return true;
}

bool turns_are_bounded(const Node& loop) {
  const Turns turns = turns_of(loop, *loop.attr_graph("body"));
  return turns.count && (!turns.conditional || !turns.count->is_const() || turns.count->value() <= kMostRows);
}

// A branch that cannot be, for a condition that is not known yet, may hold what does not fit; what it would require of
// a run counts once it is lowered.
Status infer_if(InferContext& c) {
  Graph* branches[] = {c.node.attr_graph("then_branch"), c.node.attr_graph("else_branch")};
  for (const Graph* branch : branches)
    if (!branch || branch->outputs.size() < c.node.num_outputs())
      return c.invalid("then_branch and else_branch must give all outputs");
  ONNXC_TRY(require_scalar(c, 0, Elem::Bool, "the condition"));
  const auto known = known_int(c.node.input(0));
  for (size_t i = 0; i < 2; ++i) {
    if (known && (*known != 0) != (i == 0)) continue;
    if (known)
      ONNXC_TRY(infer_graph(*branches[i]));
    else if (!infer_branch(*branches[i]).ok())
      return c.waits = true, ok();
  }
  for (size_t o = 0; o < c.node.num_outputs(); ++o) {
    const Type &then = branches[0]->outputs[o]->type, &other = branches[1]->outputs[o]->type;
    const Type& first = known && *known == 0 ? other : then;
    if (first.kind == Type::Kind::None || (!known && other.kind == Type::Kind::None)) return c.waits = true, ok();
    c.outputs[o] = first;
    for (size_t b = 0; b < 2; ++b)
      if (const auto& contents = branches[b]->outputs[o]->contents; contents && refuses(*branches[1 - b]))
        if (std::ranges::all_of(*contents, &Dim::is_const)) c.contents[o] = contents;
    if (known || then == other) continue;
    if (is_joinable(then, other)) {
      c.outputs[o] = joined_lists(then, other);
      continue;
    }
    if (then.kind != other.kind || (then.is_tensor() && then.elem != other.elem))
      return c.invalid("output " + std::to_string(o) + " is " + then.str() + " of one branch and " + other.str() +
                       " of the other");
    if (!then.is_tensor() || !then.shape || !other.shape || then.shape->size() != other.shape->size()) {
      if (then.is_tensor()) c.set_unranked(o, then.elem);
      continue;
    }
    for (size_t d = 0; d < then.shape->size(); ++d)
      if ((*then.shape)[d] != (*other.shape)[d])
        (*c.outputs[o].shape)[d] = c.unknown("branch" + std::to_string(o) + "." + std::to_string(d));
  }
  return ok();
}

Status infer_loop(InferContext& c) {
  const Node& n = c.node;
  Graph* body = n.attr_graph("body");
  if (!body) return c.invalid("the body is missing");
  const size_t carried = n.num_inputs() < 2 ? 0 : n.num_inputs() - 2;
  if (body->inputs.size() != carried + 2 || body->outputs.size() < carried + 1)
    return c.invalid("the body's inputs and outputs do not fit the carried values");
  if (n.num_outputs() > body->outputs.size() - 1)
    return c.invalid("the body has " + std::to_string(body->outputs.size()) + " outputs, too few for the node's");
  ONNXC_TRY(require_scalar(c, 0, Elem::I64, "the trip count"));
  ONNXC_TRY(require_scalar(c, 1, Elem::Bool, "the condition"));
  body->inputs[0]->type = Type::tensor(Elem::I64, {});
  body->inputs[1]->type = Type::tensor(Elem::Bool, {});
  for (size_t i = 0; i < carried; ++i) {
    if (!c.has_input(2 + i)) return c.invalid("carried value " + std::to_string(i) + " is missing");
    body->inputs[2 + i]->type = c.in(2 + i);
  }
  ONNXC_ASSIGN(const bool typed, settle_types(c, *body, 2, 1, carried, false));
  c.waits = !typed;
  if (!typed) return ok();
  const Turns turns = turns_of(n, *body);
  const Dim count = turns.count && !turns.conditional ? *turns.count : c.unknown("turns");
  for (size_t o = 0; o < n.num_outputs(); ++o) {
    if (o < carried)
      c.outputs[o] = body->inputs[2 + o]->type;
    else
      ONNXC_TRY(set_stacked(c, o, body->outputs[1 + o]->type, count, 0));
  }
  return ok();
}

Status infer_scan(InferContext& c) {
  const Node& n = c.node;
  Graph* body = n.attr_graph("body");
  if (!body) return c.invalid("the body is missing");
  const ScanForm form(n);
  if (form.scans == 0) return c.invalid("num_scan_inputs must be 1 at least, and no more than there are inputs");
  if (body->inputs.size() != n.num_inputs() || body->outputs.size() < form.states ||
      n.num_outputs() > body->outputs.size())
    return c.invalid("the body's inputs and outputs do not fit the node's");
  Dim turns = c.unknown("turns");
  bool known = false;
  for (size_t i = 0; i < n.num_inputs(); ++i) {
    if (!c.has_input(i) || !c.in(i).is_tensor()) return c.invalid("input " + std::to_string(i) + " must be a tensor");
    Type type = c.in(i);
    if (i >= form.states && type.shape) {
      ONNXC_ASSIGN(const int64_t axis, normal_axis(n, entry(form.axes, i - form.states), type.shape->size()));
      const Dim extent = (*type.shape)[static_cast<size_t>(axis)];
      if (known) ONNXC_TRY(c.require_equal(turns, extent, "the scan inputs have different lengths"));
      if (!known) turns = extent;
      known = true;
      type.shape->erase(type.shape->begin() + axis);
    }
    body->inputs[i]->type = std::move(type);
  }
  ONNXC_ASSIGN(const bool typed, settle_types(c, *body, 0, 0, form.states, true));
  c.waits = !typed;
  if (!typed) return ok();
  for (size_t o = 0; o < n.num_outputs(); ++o) {
    if (o < form.states)
      c.outputs[o] = body->inputs[o]->type;
    else
      ONNXC_TRY(set_stacked(c, o, body->outputs[o]->type, turns, entry(form.out_axes, o - form.states)));
  }
  return ok();
}

Status lower_if(LowerContext& c) {
  const Node& n = c.node();
  If branch;
  ONNXC_ASSIGN(branch.condition, c.in(0));
  if (numel(c.program().buffers[branch.condition].dims) != Dim(1))
    return c.unsupported("the condition is not known to be one element");
  for (size_t o = 0; o < n.num_outputs(); ++o)
    if (n.output(o)) branch.results.push_back(c.out(o));
  for (Region* region : {&branch.then_region, &branch.else_region}) {
    Graph& body = *n.attr_graph(region == &branch.then_region ? "then_branch" : "else_branch");
    const auto requirements = body.root()->requirements;
    ONNXC_TRY(infer_graph(body));  // what it requires, the region does
    ONNXC_TRY(c.begin_region(body));
    ONNXC_ASSIGN(const std::vector<BufferId> outputs, c.lower_graph(body, {}));
    for (size_t o = 0; o < n.num_outputs(); ++o)
      if (n.output(o)) region->yields.push_back(dense(c, outputs[o], *n.output(o)->type.stored().shape));
    region->ops = c.end_region();
    body.root()->requirements = requirements;
  }
  Operation op;
  op.node = std::move(branch);
  c.emit(std::move(op));
  return ok();
}

Status lower_loop(LowerContext& c) { return LoopNode(c).lower(); }

Status lower_scan(LowerContext& c) {
  const Node& n = c.node();
  const Graph& body = *n.attr_graph("body");
  const ScanForm form(n);
  LoopWriter loop(c, body);
  std::vector<BufferId> whole, inputs;
  std::vector<size_t> axes;
  Dim turns;
  for (size_t i = 0; i < form.states; ++i) ONNXC_TRY(loop.carry(i, i));
  for (size_t i = 0; i < form.scans; ++i) {
    const size_t at = form.states + i;
    ONNXC_ASSIGN(const BufferId in, c.in(at));
    ONNXC_ASSIGN(const int64_t axis, normal_axis(n, entry(form.axes, i), c.in_shape(at).size()));
    whole.push_back(in), axes.push_back(static_cast<size_t>(axis));
    if (i == 0) turns = c.in_shape(at)[axes[0]];
  }
  const auto place = [&](int64_t backwards) {
    return backwards != 0 ? expr::index(turns - Dim(1) - loop.turn_dim()) : loop.turn();
  };
  // Carried values, then what is stacked: along the first axis at first.
  std::vector<BufferId> results;
  for (size_t o = 0; o < body.outputs.size(); ++o) {
    const Type& turn = body.outputs[o]->type;
    if (!turn.is_tensor() || !turn.shape)
      return c.unsupported("the shape of the body's output \"" + body.outputs[o]->name + "\" is not known");
    if (o < form.states) {
      results.push_back(result(c, o, body.inputs[o]->type));
      continue;
    }
    Type type = turn;
    type.shape->insert(type.shape->begin(), turns);
    const size_t s = o - form.states;
    const bool moved = entry(form.out_axes, s) != 0 || entry(form.out_directions, s) != 0;
    results.push_back(moved ? c.temporary(type.elem, *type.shape) : result(c, o, type));
  }
  ONNXC_TRY(loop.begin());
  for (size_t i = 0; i < form.states; ++i) inputs.push_back(loop.arg(i));
  for (size_t i = 0; i < form.scans; ++i) {
    ONNXC_ASSIGN(const BufferId slice, loop.own(form.states + i));
    const Elem elem = c.in_elem(form.states + i);
    c.emit(make_nest(c, *body.inputs[form.states + i]->type.shape, [&](std::span<const Expr> idx) {
      std::vector<Expr> at = to_vector(idx);
      at.insert(at.begin() + static_cast<std::ptrdiff_t>(axes[i]), place(entry(form.directions, i)));
      return Block{Stmt{Store{slice, to_vector(idx), expr::load(whole[i], elem, at), nullptr}}};
    }));
    inputs.push_back(slice);
  }
  ONNXC_TRY(loop.run(inputs, 0, form.states, results.size() - form.states));
  loop.end(turns, results);
  for (size_t o = form.states; o < n.num_outputs(); ++o) {
    const size_t s = o - form.states;
    const bool backwards = entry(form.out_directions, s) != 0;
    if (!n.output(o) || (entry(form.out_axes, s) == 0 && !backwards)) continue;
    ONNXC_ASSIGN(const int64_t axis, normal_axis(n, entry(form.out_axes, s), c.out_shape(o).size()));
    const BufferId y = c.out(o);
    c.emit(make_nest(c, c.out_shape(o), [&](std::span<const Expr> idx) {
      std::vector<Expr> at = to_vector(idx);
      const Expr row = at[static_cast<size_t>(axis)];
      at.erase(at.begin() + axis);
      at.insert(at.begin(), backwards ? expr::index(turns - Dim(1) - row->dim) : row);
      return Block{Stmt{Store{y, to_vector(idx), expr::load(results[o], c.out_elem(o), at), nullptr}}};
    }));
  }
  return ok();
}

}  // namespace onnxc
