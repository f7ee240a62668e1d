// AlignAxis (domain onnxc, made by upgrades): input 0 with trailing dims of 1, so that its first dim stands on
// attribute `axis` of input 1 when they are broadcast (onnx/docs/Changelog.md, Add-6). Tested by the cases of opset 6
// of tests/conformance.
#include "compiler/ops/legacy_broadcast.h"

#include "compiler/ops/graph_writer.h"
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

Status align(Graph& graph, Node& node, int64_t axis) {
  GraphWriter writer(graph, node);
  node.set_input(
      1,
      writer.node("AlignAxis", {node.input(1), node.input(0)}, {{"axis", axis}}, 1, std::string(kOwnDomain))->output());
  return ok();
}

Status infer_align(InferContext& c) {
  ONNXC_TRY(indexing::require_inputs(c, 2));
  if (!c.has_shape(0) || !c.has_shape(1)) return c.set_unranked(0, c.elem(0)), ok();
  Shape out = c.shape(0);
  if (numel(out) == Dim(1)) return c.set(0, c.elem(0), std::move(out)), ok();
  const size_t rank = c.shape(1).size();
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, c.node.attr_int("axis", 0), rank));
  const size_t filled = static_cast<size_t>(axis) + out.size();
  if (filled > rank)
    return c.invalid(shape_str(out) + " does not fit " + shape_str(c.shape(1)) + " from axis " + std::to_string(axis) +
                     " on");
  out.insert(out.end(), rank - filled, Dim(1));
  return c.set(0, c.elem(0), std::move(out)), ok();
}

Result<Expr> compute_align(ComputeContext& c, std::span<const Expr> idx) {
  return c.load(0, idx.first(c.in_shape(0).size()));
}

}  // namespace

Status upgrade_broadcast_6(Graph& graph, Node& node) {
  const bool aligned = node.attr_int("broadcast", 0) != 0 && node.has("axis");
  const int64_t axis = node.attr_int("axis", 0);
  node.attrs.erase("broadcast");
  node.attrs.erase("axis");
  return aligned && node.input(0) && node.input(1) ? align(graph, node, axis) : ok();
}

Status upgrade_channel_slope_6(Graph& graph, Node& node) {
  return node.input(0) && node.input(1) ? align(graph, node, 1) : ok();
}

OP(AlignAxis) = [] {
  OpDef d;
  d.name = "AlignAxis";
  d.domain = kOwnDomain;
  d.infer = infer_align;
  d.compute = compute_align;
  return d;
}();

}  // namespace onnxc
