// Operators whose values decide how many elements there are: NonZero, Compress, Unique, NonMaxSuppression
// (onnx/docs/Operators.md). Each counts first, by a kernel, gives the count's symbol its value, then fills its outputs.
// Tested by tests/conformance and tests/differential; the kernels by tests/unit/kernels/selection_test.cc.
#include <algorithm>
#include <limits>

#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;
using expr::select;

// The dims as elements of a buffer.
BufferId dims_buffer(LowerContext& c, const Shape& shape) {
  const auto rank = static_cast<int64_t>(shape.size());
  if (is_static(shape)) return c.constant_buffer(Tensor::i64({rank}, static_dims(shape)));
  const BufferId dims = c.temporary(Elem::I64, {Dim(rank)});
  c.emit(make_nest(c, {}, [&](std::span<const Expr>) {
    Block stores;
    for (int64_t d = 0; d < rank; ++d)
      stores.push_back(Stmt{Store{dims, {constant(d)}, extent(shape[static_cast<size_t>(d)]), nullptr}});
    return stores;
  }));
  return dims;
}

// A new buffer of the first elements of a list.
void copy_first(LowerContext& c, BufferId from, BufferId to, const Dim& count) {
  c.emit(make_nest(c, {count}, [&](std::span<const Expr> idx) {
    return Block{Stmt{Store{to, to_vector(idx), expr::load(from, Elem::I64, to_vector(idx)), nullptr}}};
  }));
}

Status refuse_text(InferContext& c, size_t i) {
  const Elem elem = c.elem(i);
  if (elem == Elem::String || elem == Elem::C64 || elem == Elem::C128)
    return c.unsupported("elements of the type " + std::string(elem_name(elem)) + " are not supported yet");
  return ok();
}

// ---- NonZero

Status infer_nonzero(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  ONNXC_TRY(refuse_text(c, 0));
  if (!c.has_shape(0)) return c.set_unranked(0, Elem::I64), ok();
  return c.set(0, Elem::I64, {Dim(static_cast<int64_t>(c.shape(0).size())), c.unknown("count")}), ok();
}

bool has_constant_input(const Node& node) { return node.input(0) && node.input(0)->is_constant(); }

Status decompose_nonzero(Graph& graph, Node& node) {
  const Tensor& x = *node.input(0)->constant;
  const auto rank = static_cast<size_t>(x.rank());
  std::vector<std::vector<int64_t>> places(rank);
  int64_t count = 0;
  for (int64_t i = 0; i < x.numel(); ++i) {
    if (is_float(x.elem()) ? x.float_at(i) == 0 : x.int_at(i) == 0) continue;
    ++count;
    int64_t rest = i;
    for (size_t d = rank; d-- > 0; rest /= x.dims()[d]) places[d].push_back(rest % x.dims()[d]);
  }
  std::vector<int64_t> all;
  for (const auto& row : places) all.insert(all.end(), row.begin(), row.end());
  graph.replace_uses(node.output(), graph.add_constant(Tensor::i64({x.rank(), count}, all)));
  graph.remove_node(&node);
  return ok();
}

// Bytes that are 0 where the input is.
Result<BufferId> nonzero_mask(LowerContext& c) {
  if (c.in_elem(0) == Elem::Bool) return c.in(0);
  const BufferId mask = c.temporary(Elem::Bool, c.in_shape(0));
  c.emit(make_nest(c, c.in_shape(0), [&](std::span<const Expr> idx) {
    const Expr x = c.load(0, idx);
    const Expr zero = is_float(x->type) ? expr::constant(x->type, 0) : expr::int_constant(x->type, 0);
    return Block{Stmt{Store{mask, to_vector(idx), binary(ExprOp::Ne, x, zero), nullptr}}};
  }));
  return mask;
}

Status lower_nonzero(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  const auto rank = static_cast<int64_t>(x.size());
  ONNXC_ASSIGN(const BufferId mask, nonzero_mask(c));
  const BufferId count = c.temporary(Elem::I64, {Dim(1)});
  c.emit(Call("count_true").out(count).in(mask).arg("n", numel(x)).op());
  const Dim found = c.out_shape()[1];
  c.define(found, count, 0);
  const BufferId y = c.out();
  if (rank == 0) return ok();  // there is nothing in it
  Call fill("true_places");
  fill.out(y).in(mask).in(dims_buffer(c, x));
  c.emit(fill.arg("rank", rank).arg("n", numel(x)).arg("count", found).op());
  return ok();
}

// ---- Compress: a Gather of the places where the condition holds

Status infer_compress(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  if (c.elem(1) != Elem::Bool || (c.has_shape(1) && c.shape(1).size() != 1))
    return c.invalid("the condition must be a list of bools, not " + c.in(1).str());
  Shape out = c.shape(0);
  Dim kept = c.unknown("kept");
  if (const auto condition = c.in_ints(1)) {
    int64_t n = 0;
    for (int64_t v : *condition) n += v != 0;
    kept = Dim(n);
  }
  if (!c.node.has("axis")) return c.set(0, c.elem(0), {kept}), ok();
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, c.node.attr_int("axis", 0), out.size()));
  out[static_cast<size_t>(axis)] = kept;
  return c.set(0, c.elem(0), std::move(out)), ok();
}

bool compress_decomposes(const Node& node) {
  return ints_of(node.input(1)) || (node.input(0)->type.shape && node.input(1)->type.shape);
}

// The condition's places as a list; those beyond the data's extent are not looked at.
Value* kept_places(Graph& graph, Node& node, const Dim& extent) {
  const auto add = [&](const char* op, std::vector<Value*> inputs) {
    Node* n = graph.add_node(op, std::move(inputs), 1, &node);
    n->origins = node.origins;
    return n;
  };
  Value* condition = node.input(1);
  const Dim length = (*condition->type.shape)[0];
  if (Dim::min(length, extent) != length) {
    Value* end = nullptr;
    if (extent.is_const()) {
      end = graph.add_constant(Tensor::i64({1}, {extent.value()}));
    } else if (node.has("axis")) {
      const auto rank = static_cast<int64_t>(node.input(0)->type.shape->size());
      const int64_t axis = node.attr_int("axis", 0), from = axis < 0 ? axis + rank : axis;
      Node* shape = add("Shape", {node.input(0)});
      shape->attrs["start"] = from;
      shape->attrs["end"] = from + 1;
      end = shape->output();
    } else {
      Value* list = graph.add_constant(Tensor::i64({1}, {1}));
      end = add("Reshape", {add("Size", {node.input(0)})->output(), list})->output();
    }
    Value* begin = graph.add_constant(Tensor::i64({1}, {0}));
    condition = add("Slice", {condition, begin, end})->output();
  }
  Value* flat = graph.add_constant(Tensor::i64({1}, {-1}));
  return add("Reshape", {add("NonZero", {condition})->output(), flat})->output();
}

Status decompose_compress(Graph& graph, Node& node) {
  Value* data = node.input(0);
  const bool flat = !node.has("axis");
  Value* places = nullptr;
  if (const auto condition = ints_of(node.input(1))) {
    std::vector<int64_t> kept;
    for (size_t i = 0; i < condition->size(); ++i)
      if ((*condition)[i]) kept.push_back(static_cast<int64_t>(i));
    places = graph.add_constant(Tensor::i64({static_cast<int64_t>(kept.size())}, kept));
  } else {
    const Shape& shape = *data->type.shape;
    Dim extent = numel(shape);
    if (!flat) {
      ONNXC_ASSIGN(const int64_t axis, normal_axis(node, node.attr_int("axis", 0), shape.size()));
      extent = shape[static_cast<size_t>(axis)];
    }
    places = kept_places(graph, node, extent);
  }
  if (flat) {
    Value* all = graph.add_constant(Tensor::i64({1}, {-1}));
    data = graph.add_node("Reshape", {data, all}, 1, &node)->output();
  }
  Node* gather = graph.add_node("Gather", {data, places}, 1, &node);
  gather->attrs["axis"] = flat ? int64_t{0} : node.attr_int("axis", 0);
  gather->origins = node.origins;
  graph.replace_uses(node.output(), gather->output());
  graph.remove_node(&node);
  return ok();
}

// ---- Unique

Status infer_unique(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  ONNXC_TRY(refuse_text(c, 0));
  const Dim count = c.unknown("count");
  for (size_t o = 1; o < c.node.num_outputs(); ++o) c.set(o, Elem::I64, {count});
  if (!c.has_shape(0)) {
    c.set_unranked(0, c.elem(0));
    if (c.node.num_outputs() > 2) c.set_unranked(2, Elem::I64);
    return ok();
  }
  Shape out{count};
  Dim rows = numel(c.shape(0));
  if (c.node.has("axis")) {
    out = c.shape(0);
    ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, c.node.attr_int("axis", 0), out.size()));
    rows = out[static_cast<size_t>(axis)];
    out[static_cast<size_t>(axis)] = count;
  }
  c.set(0, c.elem(0), std::move(out));
  if (c.node.num_outputs() > 2) c.set(2, Elem::I64, {rows});
  return ok();
}

bool is_flat_unique(const Node& node) { return !node.has("axis"); }

Status decompose_unique(Graph& graph, Node& node) {
  Value* all = graph.add_constant(Tensor::i64({1}, {-1}));
  Node* flat = graph.add_node("Reshape", {node.input(0), all}, 1, &node);
  Node* unique = graph.add_node("Unique", {flat->output()}, node.num_outputs(), &node);
  flat->origins = unique->origins = node.origins;
  unique->attrs = node.attrs;
  unique->attrs["axis"] = int64_t{0};
  for (size_t o = 0; o < node.num_outputs(); ++o)
    if (node.output(o)) graph.replace_uses(node.output(o), unique->output(o));
  graph.remove_node(&node);
  return ok();
}

Status lower_unique(LowerContext& c) {
  const Node& n = c.node();
  const Shape& x = c.in_shape(0);
  ONNXC_ASSIGN(const int64_t axis, normal_axis(n, n.attr_int("axis", 0), x.size()));
  const auto a = static_cast<size_t>(axis);
  const Dim rows = x[a];
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  const auto element = [&](const std::vector<Expr>& at) { return expr::load(in, c.in_elem(0), at); };

  Shape row_first = x;  // the rows' elements side by side
  row_first.erase(row_first.begin() + axis);
  const Dim length = numel(row_first);
  row_first.insert(row_first.begin(), rows);
  const BufferId keys = c.temporary(Elem::I64, row_first);
  c.emit(make_nest(c, row_first, [&](std::span<const Expr> idx) {
    std::vector<Expr> at(idx.begin() + 1, idx.end());
    at.insert(at.begin() + axis, idx[0]);
    return Block{Stmt{Store{keys, to_vector(idx), expr::cast(order_key(element(at)), Elem::I64), nullptr}}};
  }));

  const auto list = [&] { return c.temporary(Elem::I64, {rows}); };
  const BufferId count = c.temporary(Elem::I64, {Dim(1)}), first = list(), counts = list();
  const BufferId inverse = n.output(2) ? c.out(2) : list();
  Call call("unique_i64");
  call.out(count).out(first).out(counts).out(inverse).in(keys).scratch(list()).scratch(list());
  c.emit(call.arg("rows", rows).arg("length", length).arg("sorted", n.attr_int("sorted", 1) != 0 ? 1 : 0).op());

  Dim found;
  for (size_t o : {3, 1, 0})
    if (n.output(o)) found = c.out_shape(o)[o == 0 ? a : 0];
  if (!n.output(0) && !n.output(1) && !n.output(3)) return ok();
  c.define(found, count, 0);
  if (n.output(0)) {
    const BufferId y = c.out(0);
    c.emit(make_nest(c, c.out_shape(0), [&](std::span<const Expr> idx) {
      std::vector<Expr> at = to_vector(idx);
      at[a] = clamp(expr::load(first, Elem::I64, {idx[a]}), rows);
      return Block{Stmt{Store{y, to_vector(idx), element(at), nullptr}}};
    }));
  }
  if (n.output(1)) copy_first(c, first, c.out(1), found);
  if (n.output(3)) copy_first(c, counts, c.out(3), found);
  return ok();
}

// ---- NonMaxSuppression

Status require_one(InferContext& c, size_t i, Elem elem, const char* name) {
  if (!c.has_input(i)) return ok();
  if (c.elem(i) != elem)
    return c.invalid(std::string(name) + " must be " + std::string(elem_name(elem)) + ", not " + c.in(i).str());
  if (c.has_shape(i)) ONNXC_TRY(c.require_equal(numel(c.shape(i)), Dim(1), std::string("the elements of ") + name));
  return ok();
}

Status infer_non_max_suppression(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  for (size_t i : {0, 1})
    if (c.elem(i) != Elem::F32) return c.invalid("boxes and scores must be f32, not " + c.in(i).str());
  ONNXC_TRY(require_one(c, 2, Elem::I64, "max_output_boxes_per_class"));
  ONNXC_TRY(require_one(c, 3, Elem::F32, "iou_threshold"));
  ONNXC_TRY(require_one(c, 4, Elem::F32, "score_threshold"));
  c.set(0, Elem::I64, {c.unknown("count"), Dim(3)});
  if (!c.has_shape(0) || !c.has_shape(1)) return ok();
  const Shape &boxes = c.shape(0), &scores = c.shape(1);
  if (boxes.size() != 3 || scores.size() != 3)
    return c.invalid("boxes and scores must have three axes, not " + shape_str(boxes) + " and " + shape_str(scores));
  ONNXC_TRY(c.require_equal(boxes[0], scores[0], "the batches of boxes and scores"));
  ONNXC_TRY(c.require_equal(boxes[1], scores[2], "the numbers of boxes and of scores of a class"));
  return c.require_equal(boxes[2], Dim(4), "the numbers of a box");
}

bool has_ranks(const Node& node) {
  for (size_t i = 0; i < node.num_inputs(); ++i)
    if (node.input(i) && !node.input(i)->type.shape) return false;
  return true;
}

Status lower_non_max_suppression(LowerContext& c) {
  const Shape& scores = c.in_shape(1);
  const Dim classes = scores[1], count = scores[2], planes = scores[0] * classes;
  const BufferId chosen = c.temporary(Elem::I32, {planes, count}), each = c.temporary(Elem::I64, {planes});
  const Dim shares = Dim::min(planes, kShares);
  Call choose("non_max_suppression_f32");
  choose.out(chosen).out(each);
  for (size_t i = 0; i < 5; ++i) {
    ONNXC_ASSIGN(const BufferId in, c.in(i));
    choose.in(in);
  }
  choose.scratch(c.temporary(Elem::I64, {shares, Dim(2), count}));
  choose.scratch(c.temporary(Elem::F32, {shares, Dim(5), count}));
  choose.arg("planes", planes).arg("classes", classes).arg("count", count);
  choose.arg("centred", c.node().attr_int("center_point_box", 0) != 0 ? 1 : 0).arg("shares", shares);
  c.emit(choose.partition("shares", shares, planes * count * Dim(64)).op());

  const BufferId total = c.temporary(Elem::I64, {Dim(1)});
  c.emit(make_nest(c, {Dim(1)}, [&](std::span<const Expr> idx) {
    const std::string p = c.fresh("p");
    Reduce sum{c.fresh("sum"), ReduceOp::Add,
               {{p, planes}},  1,
               false,          expr::load(each, Elem::I64, {expr::index(Dim::symbol(p))})};
    const Expr value = expr::let(sum.name, Elem::I64);
    return Block{Stmt{std::move(sum)}, Stmt{Store{total, to_vector(idx), value, nullptr}}};
  }));
  c.define(c.out_shape()[0], total, 0);
  Call fill("chosen_boxes");
  fill.out(c.out()).in(chosen).in(each).arg("planes", planes).arg("classes", classes).arg("count", count);
  c.emit(fill.op());
  return ok();
}

}  // namespace

OP(NonZero) = {.name = "NonZero",
               .infer = infer_nonzero,
               .decompose = decompose_nonzero,
               .decompose_if = has_constant_input,
               .lower = lower_nonzero,
               .defines_dims = true};
OP(Compress) = {
    .name = "Compress", .infer = infer_compress, .decompose = decompose_compress, .decompose_if = compress_decomposes};
OP(Unique) = {.name = "Unique",
              .infer = infer_unique,
              .decompose = decompose_unique,
              .decompose_if = is_flat_unique,
              .lower = lower_unique,
              .defines_dims = true};
OP(NonMaxSuppression) = {.name = "NonMaxSuppression",
                         .infer = infer_non_max_suppression,
                         .lower = lower_non_max_suppression,
                         .lower_if = has_ranks,
                         .defines_dims = true};

}  // namespace onnxc
