// Reading at computed places: Gather, GatherElements, GatherND (onnx/docs/Operators.md). Expressions, fused with what
// is around them; an index outside its axis reads the nearest element. Tested by tests/conformance.
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;

Status require_index_input(InferContext& c, size_t i) {
  if (c.elem(i) != Elem::I64 && c.elem(i) != Elem::I32)
    return c.invalid("the indices must be int32 or int64, not " + std::string(elem_name(c.elem(i))));
  return ok();
}

// ---- Gather

// Known indices must be inside; contents of lists of dims follow.
Status gather_contents(InferContext& c, int64_t axis) {
  const Dim& extent = c.shape(0)[static_cast<size_t>(axis)];
  const auto indices = c.in_ints(1);
  if (!indices) return require_some(c.node, extent, numel(c.shape(1)), "the axis has no element that an index names");
  const auto& data = c.in_contents(0);
  Contents out;
  for (int64_t i : *indices) {
    const std::string outside =
        "index " + std::to_string(i) + " is outside axis " + std::to_string(axis) + " of " + shape_str(c.shape(0));
    ONNXC_TRY(require_non_negative(c.node, i < 0 ? extent + Dim(i) : extent - Dim(i) - Dim(1), outside));
    if (!data || c.shape(0).size() != 1) continue;
    const int64_t at = i < 0 ? i + static_cast<int64_t>(data->size()) : i;
    if (at >= 0 && at < static_cast<int64_t>(data->size())) out.push_back((*data)[static_cast<size_t>(at)]);
  }
  if (data && out.size() == indices->size()) c.contents[0] = std::move(out);
  return ok();
}

Status infer_gather(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  ONNXC_TRY(require_index_input(c, 1));
  if (!c.has_shape(0) || !c.has_shape(1)) return c.set_unranked(0, c.elem(0)), ok();
  const Shape &data = c.shape(0), &indices = c.shape(1);
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, c.node.attr_int("axis", 0), data.size()));
  Shape out(data.begin(), data.begin() + axis);
  out.insert(out.end(), indices.begin(), indices.end());
  out.insert(out.end(), data.begin() + axis + 1, data.end());
  c.set(0, c.elem(0), std::move(out));
  return gather_contents(c, axis);
}

Result<Expr> compute_gather(ComputeContext& c, std::span<const Expr> idx) {
  const Shape& data = c.in_shape(0);
  const size_t rank = c.in_shape(1).size();
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", 0), data.size()));
  const size_t a = static_cast<size_t>(axis);
  std::vector<Expr> at(idx.begin(), idx.begin() + axis);
  at.push_back(wrap(to_index(c.load(1, idx.subspan(a, rank))), data[a]));
  at.insert(at.end(), idx.begin() + axis + static_cast<int64_t>(rank), idx.end());
  return c.load(0, at);
}

// ---- GatherElements

Status infer_gather_elements(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  ONNXC_TRY(require_index_input(c, 1));
  if (!c.has_shape(1)) return c.set_unranked(0, c.elem(0)), ok();
  if (c.has_shape(0)) {
    ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, c.node.attr_int("axis", 0), c.shape(0).size()));
    if (c.shape(0).size() != c.shape(1).size()) return c.invalid("data and indices have different ranks");
    for (size_t d = 0; d < c.shape(0).size(); ++d) {
      const Dim &extent = c.shape(0)[d], &own = c.shape(1)[d];
      if (static_cast<int64_t>(d) == axis)
        ONNXC_TRY(require_some(c.node, extent, numel(c.shape(1)), "the axis has no element that an index names"));
      else
        ONNXC_TRY(
            require_non_negative(c.node, extent - own, "the indices go beyond the data in axis " + std::to_string(d)));
    }
  }
  return c.set(0, c.elem(0), c.shape(1)), ok();
}

Result<Expr> compute_gather_elements(ComputeContext& c, std::span<const Expr> idx) {
  const Shape& data = c.in_shape(0);
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", 0), data.size()));
  std::vector<Expr> at;
  for (size_t d = 0; d < data.size(); ++d) at.push_back(clamp(idx[d], data[d]));
  at[static_cast<size_t>(axis)] = wrap(to_index(c.load(1, idx)), data[static_cast<size_t>(axis)]);
  return c.load(0, at);
}

// ---- GatherND: the last axis of the indices holds coordinates

Status infer_gather_nd(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  ONNXC_TRY(require_index_input(c, 1));
  if (!c.has_shape(0) || !c.has_shape(1)) return c.set_unranked(0, c.elem(0)), ok();
  const Shape &data = c.shape(0), &indices = c.shape(1);
  const int64_t batch = c.node.attr_int("batch_dims", 0);
  const int64_t ranks = static_cast<int64_t>(std::min(data.size(), indices.size()));
  if (batch < 0 || batch >= ranks)
    return c.invalid("batch_dims " + std::to_string(batch) + " does not fit the ranks of the inputs");
  const auto rank = c.declared_rank(0);
  const size_t ranks_in = indices.size() - 1 + data.size() - static_cast<size_t>(batch);
  if (!indices.back().is_const() && rank && *rank <= ranks_in)
    ONNXC_TRY(c.require_equal(indices.back(), Dim(static_cast<int64_t>(ranks_in - *rank)),
                              "the number of coordinates in each index"));
  if (!indices.back().is_const()) return c.set_unranked(0, c.elem(0)), ok();
  const int64_t depth = indices.back().value();
  if (depth < 1 || depth + batch > static_cast<int64_t>(data.size()))
    return c.invalid("the indices hold " + std::to_string(depth) + " coordinates for data " + shape_str(data));
  for (int64_t d = 0; d < batch; ++d)
    ONNXC_TRY(c.require_equal(data[d], indices[d], "data and indices have different batches"));
  Shape out(indices.begin(), indices.end() - 1);
  out.insert(out.end(), data.begin() + batch + depth, data.end());
  for (int64_t k = 0; k < depth; ++k)
    ONNXC_TRY(require_some(c.node, data[batch + k], numel(out), "an axis has no element that an index names"));
  return c.set(0, c.elem(0), std::move(out)), ok();
}

Result<Expr> compute_gather_nd(ComputeContext& c, std::span<const Expr> idx) {
  const Shape &data = c.in_shape(0), &indices = c.in_shape(1);
  const size_t batch = static_cast<size_t>(c.node().attr_int("batch_dims", 0));
  const size_t depth = static_cast<size_t>(indices.back().value()), lead = indices.size() - 1;
  std::vector<Expr> at(idx.begin(), idx.begin() + static_cast<int64_t>(batch));
  std::vector<Expr> place(idx.begin(), idx.begin() + static_cast<int64_t>(lead));
  place.push_back(nullptr);
  for (size_t k = 0; k < depth; ++k) {
    place.back() = constant(static_cast<int64_t>(k));
    at.push_back(wrap(to_index(c.load(1, place)), data[batch + k]));
  }
  at.insert(at.end(), idx.begin() + static_cast<int64_t>(lead), idx.end());
  return c.load(0, at);
}

}  // namespace

OP(Gather) = {.name = "Gather", .infer = infer_gather, .compute = compute_gather};
OP(GatherElements) = {.name = "GatherElements", .infer = infer_gather_elements, .compute = compute_gather_elements};
OP(GatherND) = {.name = "GatherND", .infer = infer_gather_nd, .compute = compute_gather_nd};

}  // namespace onnxc
