// recognise_channel_shuffle: Reshape [N, g, k, ...], Transpose of the axes 1 and 2, Reshape back, as between grouped
// convolutions, becomes ChannelShuffle. Exact. Tested in tests/lit/passes/recognise_channel_shuffle.txt.
#include "compiler/ops/op.h"
#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

bool swaps_groups(const Node* transpose) {
  std::vector<int64_t> perm = transpose->attr_ints("perm");
  if (perm.size() < 3) return false;
  std::swap(perm[1], perm[2]);
  for (size_t i = 0; i < perm.size(); ++i)
    if (perm[i] != static_cast<int64_t>(i)) return false;
  return true;
}

// Whether `split` is `x` with its channels as groups, all other dims being the same.
bool splits_channels(const Shape& x, const Shape& split) {
  if (x.size() < 3 || split.size() != x.size() + 1 || x[0] != split[0] || x[1] != split[1] * split[2]) return false;
  return x[1].is_const() && std::equal(x.begin() + 2, x.end(), split.begin() + 3);
}

bool recognise(Node* last) {
  if (!is_op(last, "Reshape")) return false;
  Node* transpose = made_by(last->input(0), "Transpose");
  Node* first = transpose ? made_by(transpose->input(0), "Reshape") : nullptr;
  if (!first || !single_use(transpose->output()) || !single_use(first->output()) || !swaps_groups(transpose))
    return false;
  Value* x = first->input(0);
  if (!is_float_tensor(x) || !same_shape(x, last->output()) || !first->output()->type.shape) return false;
  const Shape& split = *first->output()->type.shape;
  if (!splits_channels(*x->type.shape, split)) return false;
  Node* shuffle = add_like(last, "ChannelShuffle", {x}, last);
  shuffle->domain = kOwnDomain;
  shuffle->attrs["groups"] = split[1].value();
  merge_origins(shuffle, first);
  merge_origins(shuffle, transpose);
  replace_node(last, shuffle->output());
  return true;
}

}  // namespace

Result<bool> recognise_channel_shuffle(Graph& graph, PassContext&) {
  return each_graph(graph, [](Graph& g) { return each_node(g, recognise); });
}

}  // namespace onnxc
