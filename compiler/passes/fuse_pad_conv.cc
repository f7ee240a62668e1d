// fuse_pad_conv: a Pad with zeros of the spatial axes before a Conv becomes part of the Conv's own padding. Exact for
// finite weights. Tested in tests/lit/passes/fuse_pad_conv.txt.
#include <algorithm>

#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

// The zeros before and after each axis, as ONNX lists them; nothing where the Pad is anything else.
std::optional<std::vector<int64_t>> zero_padding(const Node& pad, size_t rank) {
  const auto value = pad.input(2) ? splat_float(pad.input(2)) : 0.0;
  const auto pads = known_ints(pad.input(1));
  if (pad.attr_string("mode", "constant") != "constant" || value != 0.0 || !pads) return std::nullopt;
  std::vector<int64_t> axes(rank);
  for (size_t i = 0; i < rank; ++i) axes[i] = static_cast<int64_t>(i);
  if (pad.input(3)) {
    const auto given = known_ints(pad.input(3));
    if (!given) return std::nullopt;
    axes = *given;
  }
  if (pads->size() != 2 * axes.size()) return std::nullopt;
  std::vector<int64_t> out(2 * rank, 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t axis = axes[i] < 0 ? axes[i] + static_cast<int64_t>(rank) : axes[i];
    if (axis < 0 || axis >= static_cast<int64_t>(rank)) return std::nullopt;
    out[axis] = (*pads)[i];
    out[rank + axis] = (*pads)[axes.size() + i];
  }
  return out;
}

bool fuse(Node* conv) {
  if (!is_op(conv, "Conv")) return false;
  const Node* pad = made_by(conv->input(0), "Pad");
  const std::string automatic = conv->attr_string("auto_pad", "NOTSET");
  if (!pad || !is_float_tensor(pad->input(0)) || (automatic != "NOTSET" && automatic != "VALID")) return false;
  const size_t rank = pad->input(0)->type.shape->size();
  const auto zeros = zero_padding(*pad, rank);
  if (rank < 3 || !zeros || std::any_of(zeros->begin(), zeros->end(), [](int64_t p) { return p < 0; })) return false;
  if ((*zeros)[0] != 0 || (*zeros)[1] != 0 || (*zeros)[rank] != 0 || (*zeros)[rank + 1] != 0) return false;
  const size_t axes = rank - 2;
  std::vector<int64_t> pads(2 * axes, 0);
  if (automatic == "NOTSET") pads = conv->attr_ints("pads", pads);
  if (pads.size() != 2 * axes) return false;
  for (size_t a = 0; a < axes; ++a) {
    pads[a] += (*zeros)[2 + a];
    pads[axes + a] += (*zeros)[rank + 2 + a];
  }
  conv->attrs.erase("auto_pad");
  conv->attrs["pads"] = pads;
  conv->set_input(0, pad->input(0));
  return true;
}

}  // namespace

Result<bool> fuse_pad_conv(Graph& graph, PassContext&) {
  return each_graph(graph, [](Graph& g) { return each_node(g, fuse); });
}

}  // namespace onnxc
