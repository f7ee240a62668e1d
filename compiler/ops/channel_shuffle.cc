// ChannelShuffle (domain onnxc, made by the pass recognise_channel_shuffle): channel c of the output [N][C][...] is the
// input's channel (c % groups) * (C / groups) + c / groups, as between grouped convolutions. Tested by
// tests/lit/lower/channel_shuffle.txt and tests/differential.
#include "compiler/ops/lowering.h"
#include "compiler/ops/op.h"

namespace onnxc {
namespace {

Status infer_shuffle(InferContext& c) {
  const int64_t groups = c.node.attr_int("groups", 1);
  if (!c.has_input(0) || !c.has_shape(0) || c.shape(0).size() < 2) return c.invalid("an input of known rank is needed");
  if (groups < 1 || !c.shape(0)[1].is_const() || c.shape(0)[1].value() % groups != 0)
    return c.invalid("the groups do not divide the channels");
  c.set(0, c.elem(0), c.shape(0));
  return ok();
}

Result<Expr> compute_shuffle(ComputeContext& c, std::span<const Expr> idx) {
  const Dim groups(c.node().attr_int("groups", 1)), channel = idx[1]->dim;
  std::vector<Expr> at(idx.begin(), idx.end());
  at[1] = expr::index(Dim::mod(channel, groups) * Dim::floor_div(c.out_shape()[1], groups) +
                      Dim::floor_div(channel, groups));
  return c.load(0, at);
}

// Into the blocked layout right from the plain one.
Result<bool> store_shuffle(LowerContext& c, Layout layout) {
  if (layout.plain() || c.in_elem(0) != Elem::F32) return false;
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  if (!has_layout_kernel(c.program(), in, layout)) return false;
  c.emit(to_blocked(in, c.out(0, layout), c.out_shape(), c.node().attr_int("groups", 1)));
  return true;
}

}  // namespace

OP(ChannelShuffle) = [] {
  OpDef d;
  d.name = "ChannelShuffle";
  d.domain = kOwnDomain;
  d.infer = infer_shuffle;
  d.compute = compute_shuffle;
  d.store = store_shuffle;
  return d;
}();

}  // namespace onnxc
