// Writing at computed places: ScatterElements, ScatterND, Scatter (old), TensorScatter (onnx/docs/Operators.md). The
// data is copied, then one serial nest over the updates stores into the copy. Updates outside the data are left out.
// Tested by tests/conformance.
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;

Status infer_scatter(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 3));
  if (c.elem(0) != c.elem(2)) return c.invalid("data and updates have different element types");
  c.outputs[0] = c.in(0);
  return ok();
}

Status infer_scatter_elements(InferContext& c) {
  ONNXC_TRY(infer_scatter(c));
  int64_t axis = 0;
  if (c.has_shape(0)) {
    ONNXC_ASSIGN(axis, normal_axis(c.node, c.node.attr_int("axis", 0), c.shape(0).size()));
    if (c.has_shape(1) && c.shape(1).size() != c.shape(0).size())
      return c.invalid("data and indices have different ranks");
  }
  if (c.has_shape(1) && c.has_shape(2)) {
    const std::string what =
        "indices " + shape_str(c.shape(1)) + " and updates " + shape_str(c.shape(2)) + " have different shapes";
    if (c.shape(1).size() != c.shape(2).size()) return c.invalid(what);
    for (size_t d = 0; d < c.shape(1).size(); ++d) ONNXC_TRY(c.require_equal(c.shape(1)[d], c.shape(2)[d], what));
  }
  for (size_t d = 0; c.has_shape(0) && c.has_shape(1) && d < c.shape(0).size(); ++d) {
    const Dim &extent = c.shape(0)[d], &own = c.shape(1)[d];
    if (static_cast<int64_t>(d) == axis) {
      ONNXC_TRY(require_some(c.node, extent, numel(c.shape(1)), "the axis has no element to update"));
    } else {
      ONNXC_TRY(require_non_negative(c.node, extent - own, "the indices go beyond the data"));
    }
  }
  return ok();
}

// How many coordinates an index holds: where its extent is free, the ranks tell.
std::optional<int64_t> coordinates(const Node& n) {
  const auto &data = n.input(0)->type.shape, &indices = n.input(1)->type.shape, &updates = n.input(2)->type.shape;
  if (!data || !indices || indices->empty()) return std::nullopt;
  if (indices->back().is_const()) return indices->back().value();
  if (!updates) return std::nullopt;
  return static_cast<int64_t>(indices->size() - 1 + data->size()) - static_cast<int64_t>(updates->size());
}

Status infer_scatter_nd(InferContext& c) {
  ONNXC_TRY(infer_scatter(c));
  if (!c.has_shape(0) || !c.has_shape(1)) return ok();
  if (c.shape(1).empty()) return c.invalid("the indices must have at least one axis");
  const auto depth = coordinates(c.node);
  if (!depth) return ok();
  if (*depth < 0 || *depth > static_cast<int64_t>(c.shape(0).size()))
    return c.invalid("the indices hold " + std::to_string(*depth) + " coordinates for data " + shape_str(c.shape(0)));
  return c.require_equal(
      c.shape(1).back(), Dim(*depth),
      "the indices must hold " + std::to_string(*depth) + " coordinates, by the ranks of the inputs");
}

// The data as output 0, to be written into.
BufferId copy_data(LowerContext& c) {
  const BufferId out = c.out(0);
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    Block b;
    b.push_back(Stmt{Store{out, to_vector(idx), c.load(0, idx), nullptr}});
    return b;
  }));
  return out;
}

Expr combine(const std::string& reduction, const Expr& old, const Expr& update) {
  if (reduction == "add") return binary(old->type == Elem::Bool ? ExprOp::Or : ExprOp::Add, old, update);
  if (reduction == "mul") return binary(old->type == Elem::Bool ? ExprOp::And : ExprOp::Mul, old, update);
  if (reduction == "min") return binary(ExprOp::Min, old, update);
  if (reduction == "max") return binary(ExprOp::Max, old, update);
  return update;
}

// index + extent where negative; `inside` collects whether it is in bounds.
Expr checked_index(const Expr& index, const Dim& extent, Expr& inside) {
  const Expr i =
      expr::select(binary(ExprOp::Lt, index, constant(0)), binary(ExprOp::Add, index, expr::index(extent)), index);
  const Expr good = binary(ExprOp::And, binary(ExprOp::Ge, i, constant(0)), binary(ExprOp::Lt, i, expr::index(extent)));
  inside = inside ? binary(ExprOp::And, inside, good) : good;
  return clamp(i, extent);
}

// Several updates may meet in one place: the nest over them runs in order, on one thread.
void emit_updates(LowerContext& c, BufferId out, const Shape& space,
                  const std::function<std::vector<Expr>(std::span<const Expr>, Expr& inside)>& place) {
  const std::string reduction = c.node().attr_string("reduction", "none");
  Operation op = make_nest(c, space, [&](std::span<const Expr> idx) {
    Expr inside;
    const std::vector<Expr> at = place(idx, inside);
    const Expr update = c.load(2, idx);
    const Expr old = reduction == "none" ? update : expr::load(out, c.out_elem(), at);
    Block b;
    b.push_back(Stmt{Store{out, at, combine(reduction, old, update), inside}});
    return b;
  });
  op.partition.reset();
  c.emit(std::move(op));
}

Status lower_scatter_elements(LowerContext& c) {
  const Shape& data = c.in_shape(0);
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", 0), data.size()));
  const BufferId out = copy_data(c);
  emit_updates(c, out, c.in_shape(1), [&](std::span<const Expr> idx, Expr& inside) {
    std::vector<Expr> at = to_vector(idx);
    Expr& i = at[static_cast<size_t>(axis)];
    i = checked_index(to_index(c.load(1, idx)), data[static_cast<size_t>(axis)], inside);
    return at;
  });
  return ok();
}

Status lower_scatter_nd(LowerContext& c) {
  const Shape &data = c.in_shape(0), &indices = c.in_shape(1);
  const size_t depth = static_cast<size_t>(coordinates(c.node()).value_or(0)), lead = indices.size() - 1;
  const BufferId out = copy_data(c);
  Shape space(indices.begin(), indices.end() - 1);
  space.insert(space.end(), data.begin() + static_cast<int64_t>(depth), data.end());
  const std::string what = "the updates must have the shape " + shape_str(space) + ", not " + shape_str(c.in_shape(2));
  if (c.in_shape(2).size() != space.size()) return c.invalid(what);
  for (size_t d = 0; d < space.size(); ++d) ONNXC_TRY(require_equal(c.node(), c.in_shape(2)[d], space[d], what));
  for (size_t k = 0; k < depth; ++k)
    ONNXC_TRY(require_some(c.node(), data[k], numel(space), "an axis of the data has no element to update"));
  emit_updates(c, out, space, [&](std::span<const Expr> idx, Expr& inside) {
    std::vector<Expr> place(idx.begin(), idx.begin() + static_cast<int64_t>(lead)), at;
    place.push_back(nullptr);
    for (size_t k = 0; k < depth; ++k) {
      place.back() = constant(static_cast<int64_t>(k));
      at.push_back(checked_index(to_index(c.load(1, place)), data[k], inside));
    }
    at.insert(at.end(), idx.begin() + static_cast<int64_t>(lead), idx.end());
    return at;
  });
  return ok();
}

// ---- TensorScatter: a cache [batch, .., max_length, ..] that takes `update` at its batch's write index.

Status infer_tensor_scatter(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  c.outputs[0] = c.in(0);
  if (!c.has_shape(0) || !c.has_shape(1)) return ok();
  const Shape &cache = c.shape(0), &update = c.shape(1);
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, c.node.attr_int("axis", -2), cache.size()));
  if (axis == 0) return c.invalid("axis 0 is the batch");
  const size_t a = static_cast<size_t>(axis);
  ONNXC_TRY(require_same_shape(c.node, cache, update, "cache and update differ", a));
  ONNXC_TRY(require_non_negative(c.node, cache[a] - update[a], "the update is longer than the cache"));
  ONNXC_TRY(require_some(c.node, update[a], numel(cache), "the update has no element"));
  if (!c.has_shape(2)) return ok();
  return require_same_shape(c.node, c.shape(2), {cache[0]}, "there is not one write index per batch");
}

Result<Expr> compute_tensor_scatter(ComputeContext& c, std::span<const Expr> idx) {
  const Shape &cache = c.in_shape(0), &update = c.in_shape(1);
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", -2), cache.size()));
  const size_t a = static_cast<size_t>(axis);
  const bool circular = c.node().attr_string("mode", "linear") == "circular";
  const Expr first = c.has_input(2) ? to_index(c.load(2, idx.subspan(0, 1))) : constant(0);
  Expr offset = binary(ExprOp::Sub, idx[a], first);
  if (circular) offset = binary(ExprOp::Mod, offset, extent(cache[a]));
  const Expr written =
      binary(ExprOp::And, binary(ExprOp::Ge, offset, constant(0)), binary(ExprOp::Lt, offset, extent(update[a])));
  std::vector<Expr> at = to_vector(idx);
  at[a] = clamp(offset, update[a]);
  return expr::select(written, c.load(1, at), c.load(0, idx));
}

Status rename_scatter(Graph&, Node& node) {
  node.op = "ScatterElements";
  return ok();
}

}  // namespace

OP(ScatterElements) = {.name = "ScatterElements", .infer = infer_scatter_elements, .lower = lower_scatter_elements};
OP(ScatterND) = {.name = "ScatterND", .infer = infer_scatter_nd, .lower = lower_scatter_nd};
OP(Scatter) = {.name = "Scatter", .upgrades = {{10, rename_scatter}}};
OP(TensorScatter) = {.name = "TensorScatter", .infer = infer_tensor_scatter, .compute = compute_tensor_scatter};

}  // namespace onnxc
