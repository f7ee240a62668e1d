// BatchNormalization, InstanceNormalization, LayerNormalization, RMSNormalization, LpNormalization, LRN
// (onnx/docs/Operators.md). The others (GroupNormalization, MeanVarianceNormalization) are functions of ONNX. Tested by
// tests/conformance.
#include <cmath>

#include "compiler/ops/axes.h"
#include "compiler/ops/elementwise.h"
#include "compiler/ops/graph_writer.h"
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using expr::operator+;
using expr::operator-;
using expr::operator*;
using expr::operator/;

Expr num(const Expr& like, double v) { return expr::constant(like->type, v); }
Expr extent_as(const Dim& d, Elem type) { return expr::cast(expr::index(d), type); }

// ---- BatchNormalization

Status infer_batch_norm(InferContext& c) {
  for (size_t i = 0; i < 5; ++i)
    if (!c.has_input(i)) return c.invalid("input " + std::to_string(i) + " is missing");
  if (c.has_shape(0) && c.shape(0).size() < 2)
    return c.invalid("the input " + shape_str(c.shape(0)) + " has no channel axis");
  for (size_t i = 1; i < 5; ++i)
    if (c.has_shape(0) && c.has_shape(i))
      ONNXC_TRY(indexing::require_same_shape(c.node, c.shape(i), {c.shape(0)[1]},
                                             "input " + std::to_string(i) + " has not one element per channel"));
  c.outputs[0] = c.in(0);
  for (size_t o = 1; o < c.node.num_outputs(); ++o) c.outputs[o] = c.in(3 + (o - 1) % 2);
  return ok();
}
// Where `spatial` is 0 (opset 7 and 8) each activation has a scale and moments of its own.
Status upgrade_batch_norm_8(Graph& g, Node& n) {
  const bool by_activation = n.attr_int("spatial", 1) == 0;
  n.attrs.erase("spatial");
  n.attrs.erase("is_test");
  if (!by_activation) return ok();
  for (size_t i = 0; i < 5; ++i)
    if (!n.input(i)) return Error(ErrorKind::InvalidModel, "input " + std::to_string(i) + " is missing", n.where());
  for (size_t o = 1; o < n.num_outputs(); ++o)
    if (n.output(o))
      return Error(ErrorKind::Unsupported, "BatchNormalization in training with spatial = 0 is not supported",
                   n.where(), "export the model for inference");
  GraphWriter w(g, n);
  Value *x = n.input(0), *variance = n.input(4);
  Value* deviation = w.add("Sqrt", {w.add("Add", {variance, w.number(n.attr_float("epsilon", 1e-5f), variance)})});
  Value* scaled = w.add("Mul", {w.add("Div", {w.add("Sub", {x, n.input(3)}), deviation}), n.input(1)});
  n.op = "Add";
  n.set_input(0, scaled);
  n.set_input(1, n.input(2));
  n.resize_inputs(2);
  n.attrs.clear();
  return ok();
}
bool training_norm(const Node& n) { return n.attr_int("training_mode", 0) != 0; }
bool inference_norm(const Node& n) {
  for (size_t o = 1; o < n.num_outputs(); ++o)
    if (n.output(o) && (!n.output(o)->users.empty() || n.graph->is_output(n.output(o)))) return false;
  return !training_norm(n);
}
bool decomposable_norm(const Node& n) {
  return n.input(0)->type.shape.has_value() && (training_norm(n) || inference_norm(n));
}
// x * (scale / sqrt(var + epsilon)) + (bias - mean * that): the two vectors fold when they are constant.
Status decompose_inference_norm(Graph& g, Node& n) {
  const size_t rank = n.input(0)->type.shape->size();
  const Elem elem = n.input(4)->type.elem;
  auto add = [&](const char* op, std::vector<Value*> in) {
    Node* made = g.add_node(op, std::move(in), 1, &n);
    made->origins = n.origins;
    return made->output();
  };
  Value* epsilon = g.add_constant(Tensor::f32({}, {n.attr_float("epsilon", 1e-5f)}));
  if (elem != Elem::F32) epsilon = add("CastLike", {epsilon, n.input(4)});
  Value* scale = add("Div", {n.input(1), add("Sqrt", {add("Add", {n.input(4), epsilon})})});
  Value* shift = add("Sub", {n.input(2), add("Mul", {n.input(3), scale})});
  std::vector<int64_t> dims(rank - 1, 1);
  dims[0] = -1;
  Value* shape = g.add_constant(Tensor::i64({static_cast<int64_t>(rank) - 1}, dims));
  Value* x = n.input(0);
  Value* y = add("Add", {add("Mul", {x, add("Reshape", {scale, shape})}), add("Reshape", {shift, shape})});
  g.replace_uses(n.output(), y);
  g.remove_node(&n);
  return ok();
}

// Mean and variance are the batch's own, in at least f32; the running ones move towards them.
Status decompose_training_norm(Graph& g, Node& n) {
  const size_t rank = n.input(0)->type.shape->size();
  const auto add = [&](const char* op, std::vector<Value*> in) {
    Node* made = g.add_node(op, std::move(in), 1, &n);
    made->origins = n.origins;
    return made->output();
  };
  const auto ints = [&](const std::vector<int64_t>& v) {
    return g.add_constant(Tensor::i64({static_cast<int64_t>(v.size())}, v));
  };
  const auto number = [&](double v, Value* like) {
    return add("CastLike", {g.add_constant(Tensor::of<double>(Elem::F64, {}, {v})), like});
  };
  std::vector<int64_t> axes{0}, dims(rank - 1, 1);
  for (size_t a = 2; a < rank; ++a) axes.push_back(static_cast<int64_t>(a));
  dims[0] = -1;
  Value* x = n.input(0);
  const Elem elem = x->type.elem, wide = expr::arithmetic_type(elem);
  if (wide != elem) {
    x = add("Cast", {x});
    x->producer->attrs["to"] = static_cast<int64_t>(wide);
  }
  const auto average = [&](Value* v) { return add("ReduceMean", {v, ints(axes)}); };
  const auto per_channel = [&](size_t i) { return add("Reshape", {add("CastLike", {n.input(i), x}), ints(dims)}); };
  Value* mean = average(x);
  Value* centred = add("Sub", {x, mean});
  Value* variance = average(add("Mul", {centred, centred}));
  Value* deviation = add("Sqrt", {add("Add", {variance, number(n.attr_float("epsilon", 1e-5f), x)})});
  Value* y = add("Add", {add("Mul", {centred, add("Div", {per_channel(1), deviation})}), per_channel(2)});
  if (wide != elem) y = add("CastLike", {y, n.input(0)});
  g.replace_uses(n.output(), y);
  const double momentum = n.attr_float("momentum", 0.9f);
  for (size_t o = 1; o < n.num_outputs(); ++o) {
    if (!n.output(o)) continue;
    Value* running = n.input(2 + o);
    Value* current = add("CastLike", {add("Reshape", {o == 1 ? mean : variance, ints({-1})}), running});
    g.replace_uses(n.output(o), add("Add", {add("Mul", {running, number(momentum, running)}),
                                            add("Mul", {current, number(1 - momentum, running)})}));
  }
  g.remove_node(&n);
  return ok();
}
Status decompose_batch_norm(Graph& g, Node& n) {
  return training_norm(n) ? decompose_training_norm(g, n) : decompose_inference_norm(g, n);
}

// ---- normalisation over the trailing `from` dims: mean and 1/sqrt(var + epsilon) per row

struct Moments {
  Expr mean, inverse;
};
// Reduces input 0 over `dims`, at indices outer + inner; two passes, in at least f32.
Moments moments(LowerContext& c, Block& b, BufferId in, std::span<const Expr> outer, const Shape& dims, double epsilon,
                bool centre) {
  const Elem elem = c.in_elem(0), type = expr::arithmetic_type(elem);
  auto reduce = [&](const std::function<Expr(Expr)>& map) {
    Reduce r{c.fresh("r"), ReduceOp::Add, {}, 8, false, nullptr};
    std::vector<Expr> at(outer.begin(), outer.end());
    for (const Dim& d : dims) {
      r.vars.push_back({c.fresh("k"), d});
      at.push_back(expr::index(Dim::symbol(r.vars.back().name)));
    }
    r.value = map(expr::load(in, elem, at));
    Expr value = expr::let(r.name, type);
    b.push_back(Stmt{std::move(r)});
    return value;
  };
  auto named = [&](Expr e) {
    const std::string n = c.fresh("t");
    b.push_back(Stmt{Let{n, e}});
    return expr::let(n, e->type);
  };
  const Expr count = extent_as(numel(dims), type);
  Moments m;
  m.mean = centre ? named(reduce([](Expr e) { return e; }) / count) : expr::constant(type, 0);
  const Expr square = reduce([&](Expr e) {
    Expr d = centre ? e - m.mean : e;
    return d * d;
  });
  m.inverse = named(num(square, 1) / expr::unary(ExprOp::Sqrt, square / count + num(square, epsilon)));
  return m;
}

// For over `dims` with a store at outer + inner indices.
Stmt store_all(LowerContext& c, BufferId out, std::span<const Expr> outer, const Shape& dims,
               const std::function<Expr(std::span<const Expr> at)>& value) {
  std::vector<LoopVar> vars;
  std::vector<Expr> at(outer.begin(), outer.end());
  for (const Dim& d : dims) {
    vars.push_back({c.fresh("k"), d});
    at.push_back(expr::index(Dim::symbol(vars.back().name)));
  }
  Stmt s{Store{out, at, value(at), nullptr}};
  for (size_t i = vars.size(); i-- > 0;) {
    Block b;
    b.push_back(std::move(s));
    s = Stmt{For{vars[i], std::move(b)}};
  }
  return s;
}

Status infer_instance_norm(InferContext& c) {
  for (size_t i = 0; i < 3; ++i)
    if (!c.has_input(i)) return c.invalid("input " + std::to_string(i) + " is missing");
  c.outputs[0] = c.in(0);
  if (c.has_shape(0) && c.shape(0).size() < 2)
    return c.invalid("the input " + shape_str(c.shape(0)) + " has no channel axis");
  for (size_t i = 1; i < 3; ++i)
    if (c.has_shape(0) && c.has_shape(i))
      ONNXC_TRY(indexing::require_same_shape(c.node, c.shape(i), {c.shape(0)[1]},
                                             "input " + std::to_string(i) + " has not one element per channel"));
  return ok();
}
Status lower_instance_norm(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  const Elem elem = c.in_elem(0);
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  ONNXC_ASSIGN(const BufferId scale, c.in(1));
  ONNXC_ASSIGN(const BufferId bias, c.in(2));
  const BufferId out = c.out(0);
  const Shape spatial(x.begin() + 2, x.end());
  c.emit(make_nest(c, {x[0], x[1]}, [&](std::span<const Expr> idx) {
    Block b;
    const Moments m = moments(c, b, in, idx, spatial, c.node().attr_float("epsilon", 1e-5f), true);
    b.push_back(store_all(c, out, idx, spatial, [&](std::span<const Expr> at) {
      return (expr::load(in, elem, {at.begin(), at.end()}) - m.mean) * m.inverse * expr::load(scale, elem, {idx[1]}) +
             expr::load(bias, elem, {idx[1]});
    }));
    return b;
  }));
  return ok();
}

// ---- LayerNormalization, RMSNormalization

Status infer_layer_norm(InferContext& c) {
  if (!c.has_input(0) || !c.has_input(1)) return c.invalid("input and scale are needed");
  c.outputs[0] = c.in(0);
  const Elem stash = static_cast<Elem>(c.node.attr_int("stash_type", 1));
  for (size_t o = 1; o < c.node.num_outputs(); ++o) c.set_unranked(o, stash);
  if (!c.has_shape(0)) return ok();
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, c.node.attr_int("axis", -1), c.shape(0).size()));
  Shape reduced = c.shape(0);
  for (size_t i = 1; i < c.node.num_inputs(); ++i)
    if (c.has_shape(i) && c.shape(i).size() > reduced.size())
      return c.invalid("input " + std::to_string(i) + " has a higher rank than input 0");
  for (size_t i = 1; i < c.node.num_inputs(); ++i)
    for (size_t d = 0; c.has_shape(i) && d < c.shape(i).size(); ++d)
      ONNXC_TRY(indexing::require_one_or(c.node, c.shape(i)[d], reduced[reduced.size() - c.shape(i).size() + d],
                                         "a parameter does not broadcast"));
  for (size_t d = static_cast<size_t>(axis); d < reduced.size(); ++d) reduced[d] = Dim(1);
  for (size_t o = 1; o < c.node.num_outputs(); ++o) c.set(o, stash, reduced);
  return ok();
}

// Right-aligned broadcast load of a parameter.
Expr parameter(BufferId buffer, Elem elem, const Shape& shape, const Shape& x, std::span<const Expr> at) {
  std::vector<Expr> idx;
  for (size_t d = 0; d < shape.size(); ++d) {
    const size_t full = at.size() - shape.size() + d;
    idx.push_back(indexing::broadcast_index(at[full], shape[d], x[full]));
  }
  return expr::load(buffer, elem, std::move(idx));
}

template <bool kCentre>
Status lower_layer_norm(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  const Elem elem = c.in_elem(0);
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", -1), x.size()));
  const Shape outer(x.begin(), x.begin() + axis), inner(x.begin() + axis, x.end());
  const double epsilon = c.node().attr_float("epsilon", 1e-5f);
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  ONNXC_ASSIGN(const BufferId scale, c.in(1));
  ONNXC_ASSIGN(const BufferId bias, c.in(2));
  const BufferId out = c.out(0);
  const bool extras = c.node().num_outputs() > 1 && (c.node().output(1) || c.node().output(2));
  const bool whole = c.in_shape(1) == inner && (!c.has_input(2) || c.in_shape(2) == inner);
  if (elem == Elem::F32 && c.in_elem(1) == Elem::F32 && whole && !extras) {
    Call call(kCentre ? "layer_norm_f32" : "rms_norm_f32");
    call.out(out).in(in).in(scale);
    if (kCentre) call.in(bias);
    call.arg("cols", numel(inner)).arg("epsilon", epsilon).in_place(out, in);
    c.emit(call.partition("rows", numel(outer), numel(outer) * numel(inner) * Dim(16)).op());
    return ok();
  }
  const BufferId mean_out = c.node().output(1) ? c.out(1) : kNoBuffer,
                 inverse_out = c.node().output(2) ? c.out(2) : kNoBuffer;
  c.emit(make_nest(c, outer, [&](std::span<const Expr> idx) {
    Block b;
    const Moments m = moments(c, b, in, idx, inner, epsilon, kCentre);
    std::vector<Expr> one(idx.begin(), idx.end());
    one.resize(x.size(), expr::index(Dim(0)));
    if (mean_out != kNoBuffer) b.push_back(Stmt{Store{mean_out, one, m.mean, nullptr}});
    if (inverse_out != kNoBuffer) b.push_back(Stmt{Store{inverse_out, one, m.inverse, nullptr}});
    b.push_back(store_all(c, out, idx, inner, [&](std::span<const Expr> at) {
      const Expr value = expr::load(in, elem, {at.begin(), at.end()});
      Expr y = (kCentre ? value - m.mean : value) * m.inverse * parameter(scale, c.in_elem(1), c.in_shape(1), x, at);
      return bias == kNoBuffer ? y : y + parameter(bias, c.in_elem(2), c.in_shape(2), x, at);
    }));
    return b;
  }));
  return ok();
}

// ---- LpNormalization, LRN

Status infer_like_input(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  c.outputs[0] = c.in(0);
  return ok();
}
Status lower_lp_normalization(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  const Elem elem = c.in_elem(0);
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", -1), x.size()));
  const bool one_norm = c.node().attr_int("p", 2) == 1;
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  const BufferId out = c.out(0);
  Shape outer = x;
  outer.erase(outer.begin() + axis);
  c.emit(make_nest(c, outer, [&](std::span<const Expr> idx) {
    auto at = [&](const std::string& var) {
      std::vector<Expr> full(idx.begin(), idx.end());
      full.insert(full.begin() + axis, expr::index(Dim::symbol(var)));
      return full;
    };
    const std::string k = c.fresh("k"), j = c.fresh("k");
    const Expr e = expr::load(in, elem, at(k));
    Reduce r{c.fresh("r"), ReduceOp::Add, {{k, x[axis]}}, 1, false, one_norm ? expr::unary(ExprOp::Abs, e) : e * e};
    Expr norm = expr::let(r.name, e->type);
    if (!one_norm) norm = expr::unary(ExprOp::Sqrt, norm);
    const Expr zero = num(norm, 0);
    Block b, inner;
    b.push_back(Stmt{std::move(r)});
    const std::string name = c.fresh("t");
    b.push_back(Stmt{Let{name, norm}});
    norm = expr::let(name, norm->type);
    inner.push_back(Stmt{
        Store{out, at(j), expr::select(expr::binary(ExprOp::Eq, norm, zero), zero, expr::load(in, elem, at(j)) / norm),
              nullptr}});
    b.push_back(Stmt{For{{j, x[axis]}, std::move(inner)}});
    return b;
  }));
  return ok();
}
Status lower_lrn(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  const Elem elem = c.in_elem(0);
  const int64_t size = c.node().attr_int("size", 1);
  const double alpha = c.node().attr_float("alpha", 1e-4f), beta = c.node().attr_float("beta", 0.75f),
               bias = c.node().attr_float("bias", 1.0f);
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  const BufferId out = c.out(0);
  c.emit(make_nest(c, x, [&](std::span<const Expr> idx) {
    const std::string k = c.fresh("k");
    const Dim at_channel = idx[1]->dim + Dim::symbol(k) - Dim((size - 1) / 2);
    std::vector<Expr> at(idx.begin(), idx.end());
    at[1] = expr::index(Dim::max(Dim(0), Dim::min(at_channel, x[1] - Dim(1))));
    const Expr inside =
        expr::binary(ExprOp::And, expr::binary(ExprOp::Ge, expr::index(at_channel), expr::index(Dim(0))),
                     expr::binary(ExprOp::Lt, expr::index(at_channel), expr::index(x[1])));
    const Expr e = expr::load(in, elem, at);
    Reduce r{c.fresh("r"), ReduceOp::Add, {{k, Dim(size)}}, 1, false, expr::select(inside, e * e, num(e, 0))};
    const Expr sum = expr::let(r.name, e->type);
    const Expr own = expr::load(in, elem, {idx.begin(), idx.end()});
    const Expr y =
        own / expr::binary(ExprOp::Pow, num(e, bias) + num(e, alpha / static_cast<double>(size)) * sum, num(e, beta));
    Block b;
    b.push_back(Stmt{std::move(r)});
    b.push_back(Stmt{Store{out, {idx.begin(), idx.end()}, y, nullptr}});
    return b;
  }));
  return ok();
}

OpDef norm(std::string_view name, InferFn infer, LowerFn lower) {
  OpDef d;
  d.name = name;
  d.infer = infer;
  d.lower = lower;
  d.accuracy = Accuracy::Accumulating;
  return d;
}

}  // namespace

OP(BatchNormalization) = [] {
  OpDef d = norm("BatchNormalization", infer_batch_norm, nullptr);
  d.decompose = decompose_batch_norm;
  d.decompose_if = decomposable_norm;
  d.upgrades = {{8, upgrade_batch_norm_8}};
  return d;
}();
OP(InstanceNormalization) = norm("InstanceNormalization", infer_instance_norm, lower_instance_norm);
OP(LayerNormalization) = norm("LayerNormalization", infer_layer_norm, lower_layer_norm<true>);
OP(RMSNormalization) = norm("RMSNormalization", infer_layer_norm, lower_layer_norm<false>);
OP(LpNormalization) = norm("LpNormalization", infer_like_input, lower_lp_normalization);
OP(LRN) = norm("LRN", infer_like_input, lower_lrn);

namespace {

// Opset 18 to 20: scale and bias are per group; since then per channel. Each is repeated for the channels of its group.
Status upgrade_group_norm_20(Graph& g, Node& n) {
  const auto ints = [&](const std::vector<int64_t>& v) {
    return g.add_constant(Tensor::i64({static_cast<int64_t>(v.size())}, v));
  };
  const auto add = [&](const char* op, std::vector<Value*> inputs) {
    Node* node = g.add_node(op, std::move(inputs), 1, &n);
    node->origins = n.origins;
    return node->output();
  };
  const int64_t groups = n.attr_int("num_groups", 1);
  Value* channels = add("Shape", {n.input(0)});
  channels->producer->attrs["start"] = int64_t{1};
  channels->producer->attrs["end"] = int64_t{2};
  Value* target = add("Concat", {ints({groups}), add("Div", {channels, ints({groups})})});
  target->producer->attrs["axis"] = int64_t{0};
  for (size_t i : {1, 2}) {
    Value* column = add("Reshape", {n.input(i), ints({groups, 1})});
    n.set_input(i, add("Reshape", {add("Expand", {column, target}), ints({-1})}));
  }
  return ok();
}

}  // namespace

// The way down is the function body that ONNX gives.
OP(GroupNormalization) = {
    .name = "GroupNormalization", .upgrades = {{20, upgrade_group_norm_20}}, .accuracy = Accuracy::Accumulating};

}  // namespace onnxc
