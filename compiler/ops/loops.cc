// Types of Loop and Scan (onnx/docs/Operators.md), and their way down where turns are not unrolled: a loop of the
// Program, whose carried values keep their shapes. Scan outputs need a number of turns that is known before the first
// one. Tested by tests/conformance, tests/differential/random_ops.py and tests/lit/lower/loops.txt.
#include <algorithm>
#include <set>

#include "compiler/ops/control_flow.h"
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;
using expr::operator+;

// ---- types

// What holds for values of both types. Dims that differ become unknown, once and for all.
Type joined(const InferContext& c, const Type& a, const Type& b, size_t carried) {
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
  Graph* root = &body;
  while (root->parent) root = root->parent;
  for (bool stable = false; !stable;) {
    const auto requirements = root->requirements;
    ONNXC_TRY(infer_graph(body));
    stable = true;
    for (size_t i = 0; i < carried; ++i) {
      Value* in = body.inputs[first_input + i];
      const Type& after = body.outputs[first_output + i]->type;
      if (after.kind == Type::Kind::None) return false;
      if (after.kind != in->type.kind || (after.is_tensor() && after.elem != in->type.elem))
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

// Whether the run knows the dim where this is lowered.
bool is_known(const LowerContext& c, const Dim& dim) {
  std::set<std::string> symbols;
  dim.collect_symbols(symbols);
  for (const ProgramValue& input : c.program().inputs)
    for (const Dim& d : input.dims)
      if (const auto symbol = d.as_symbol()) symbols.erase(*symbol);
  for (const Operation& op : c.program().ops)
    if (const auto* def = std::get_if<ScalarDef>(&op.node)) symbols.erase(def->name);
  return symbols.empty();
}

class LoopWriter {
 public:
  LoopWriter(LowerContext& c, const Graph& body) : c_(c), body_(body), turn_(c.fresh("turn")) {}

  Expr turn() const { return expr::index(Dim::symbol(turn_)); }
  Dim turn_dim() const { return Dim::symbol(turn_); }

  // Input `i` of the node becomes input `at` of the body, carried from turn to turn.
  Status carry(size_t i, size_t at) {
    ONNXC_ASSIGN(const BufferId in, c_.in(i));
    loop_.inits.push_back(dense(in));
    ONNXC_ASSIGN(const BufferId arg, own(at));
    loop_.body.args.push_back(arg);
    return ok();
  }
  // A buffer for input `at` of the body.
  Result<BufferId> own(size_t at) {
    const Value& v = *body_.inputs[at];
    const auto& shape = v.type.shape;
    if (!v.type.is_tensor() || v.type.elem == Elem::String || !shape ||
        !std::ranges::all_of(*shape, [&](const Dim& d) { return is_known(c_, d); }))
      return c_.unsupported("\"" + v.name + "\" has the type " + v.type.str() + " in the body; only tensors of one " +
                            "shape in all turns are supported yet");
    return c_.temporary(v.type.elem, *shape);
  }
  Status begin() { return c_.begin_region(body_); }
  // Lowers the body. Its outputs first, first + 1 ... are the carried values and what is stacked, `count` in all.
  Status run(const std::vector<BufferId>& inputs, size_t first, size_t count) {
    ONNXC_ASSIGN(outputs_, c_.lower_graph(body_, inputs));
    for (size_t i = 0; i < count; ++i) loop_.body.yields.push_back(dense(outputs_[first + i]));
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
  BufferId copied(BufferId from, const Shape& dims) {
    const Elem elem = c_.program().buffers[from].elem;
    const BufferId to = c_.temporary(elem, dims);
    c_.emit(make_nest(c_, dims, [&](std::span<const Expr> idx) {
      return Block{Stmt{Store{to, to_vector(idx), expr::load(from, elem, to_vector(idx)), nullptr}}};
    }));
    return to;
  }
  BufferId dense(BufferId b) {
    const Buffer& buffer = c_.program().buffers[b];
    return buffer.effective_strides() == row_major_strides(buffer.dims) ? b : copied(b, Shape(buffer.dims));
  }
  // What a turn leaves is copied to the carried values one after the other: none may lie in another one. Its dims are
  // theirs, written in another way perhaps.
  void keep_apart(size_t i) {
    BufferId& next = loop_.body.yields[i];
    const BufferId own = loop_.body.args[i], root = storage_root(c_.program(), next);
    const Shape dims = c_.program().buffers[own].dims;
    const bool in_another = std::ranges::find(loop_.body.args, root) != loop_.body.args.end() && next != own;
    if (in_another || c_.program().buffers[next].dims != dims) next = copied(next, dims);
  }

  LowerContext& c_;
  const Graph& body_;
  const std::string turn_;
  Loop loop_;
  std::vector<BufferId> outputs_;
};

BufferId result(LowerContext& c, size_t output, const Type& type) {
  return c.node().output(output) ? c.out(output) : c.temporary(type.elem, *type.shape);
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

}  // namespace

bool keeps_types(const Graph& body, size_t first_input, size_t first_output, size_t carried) {
  if (body.inputs.size() < first_input + carried || body.outputs.size() < first_output + carried) return false;
  for (size_t i = 0; i < carried; ++i) {
    const Type &in = body.inputs[first_input + i]->type, &out = body.outputs[first_output + i]->type;
    if (!in.is_tensor() || !in.shape || !(in == out)) return false;
  }
  return true;
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

Status lower_loop(LowerContext& c) {
  const Node& n = c.node();
  const Graph& body = *n.attr_graph("body");
  Turns turns = turns_of(n, body);
  if (turns.count && !is_known(c, *turns.count)) turns = {std::nullopt, true};
  const size_t carried = body.inputs.size() - 2;
  if (!turns.count && !turns.conditional) return c.invalid("the loop never ends");
  if (turns.conditional && body.outputs.size() > 1 + carried)
    for (size_t o = carried; o < n.num_outputs(); ++o)
      if (n.output(o))
        return c.unsupported("how often the loop turns depends on values of the run, and output " + std::to_string(o) +
                                 " stacks what its turns give",
                             "give the loop a constant trip count and no condition");
  LoopWriter loop(c, body);
  std::vector<BufferId> inputs(2, kNoBuffer);
  for (size_t i = 0; i < carried; ++i) ONNXC_TRY(loop.carry(2 + i, 2 + i));
  ONNXC_ASSIGN(inputs[0], loop.own(0));
  const bool counted = c.has_input(0) && !turns.count;
  ONNXC_ASSIGN(const BufferId most, counted ? c.in(0) : Result<BufferId>(kNoBuffer));
  BufferId initial = kNoBuffer;
  if (turns.conditional) {
    ONNXC_ASSIGN(const BufferId given, c.in(1));
    initial = bool_buffer(c, [&] {
      const Expr yes = expr::int_constant(Elem::Bool, 1);
      const Expr more = counted ? binary(ExprOp::Gt, only_element(c, most), constant(0)) : yes;
      return binary(ExprOp::And, given == kNoBuffer ? yes : only_element(c, given), more);
    });
  }
  inputs[1] = c.constant_buffer(Tensor::of<uint8_t>(Elem::Bool, {}, {1}));  // else there would be no turn
  std::vector<BufferId> results;
  for (size_t o = 0; o + 1 < body.outputs.size(); ++o) {
    const Type& turn = body.outputs[1 + o]->type;
    if (!turn.is_tensor() || !turn.shape)
      return c.unsupported("the shape of the body's output \"" + body.outputs[1 + o]->name + "\" is not known");
    Type type = o < carried ? body.inputs[2 + o]->type : turn;
    if (o >= carried && turns.conditional) continue;  // nobody reads it
    if (o >= carried) type.shape->insert(type.shape->begin(), *turns.count);
    results.push_back(result(c, o, type));
  }
  ONNXC_TRY(loop.begin());
  c.emit(
      make_nest(c, {}, [&](std::span<const Expr>) { return Block{Stmt{Store{inputs[0], {}, loop.turn(), nullptr}}}; }));
  for (size_t i = 0; i < carried; ++i) inputs.push_back(loop.arg(i));
  ONNXC_TRY(loop.run(inputs, 1, results.size()));
  if (turns.conditional) {
    if (numel(c.program().buffers[loop.output(0)].dims) != Dim(1))
      return c.unsupported("the body's condition is not known to be one element");
    const BufferId next = bool_buffer(c, [&] {
      const Expr go = only_element(c, loop.output(0));
      if (!counted) return go;
      return binary(ExprOp::And, go, binary(ExprOp::Lt, loop.turn() + constant(1), only_element(c, most)));
    });
    loop.condition(initial, next);
  }
  loop.end(turns.count, std::move(results));
  return ok();
}

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
  ONNXC_TRY(loop.run(inputs, 0, results.size()));
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
