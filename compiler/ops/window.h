// Sliding windows: the geometry that convolutions and pools share (onnx/docs/Operators.md: Conv, MaxPool, AveragePool),
// and the fused activations of kernels.
#pragma once

#include "compiler/ops/lowering.h"
#include "compiler/ops/op.h"

namespace onnxc {

// Per spatial axis.
struct Window {
  Shape kernel;
  std::vector<int64_t> strides, dilations;
  Shape pads_begin, pads_end;
  Shape out;  // spatial output dims
  size_t axes() const { return kernel.size(); }
  // Input coordinate read by output coordinate `o` at tap `k` of axis `a`: negative or >= extent in the padding.
  Dim position(size_t a, const Dim& o, const Dim& k) const {
    return o * Dim(strides[a]) + k * Dim(dilations[a]) - pads_begin[a];
  }
};

// Attributes strides, dilations, pads, auto_pad, ceil_mode of `node`, for a window of `kernel` over the spatial dims
// `in`. What it takes for granted of free dims is required of the run.
Result<Window> make_window(const Node& node, const Shape& in, Shape kernel);

// [N, C, spatial ...] -> [spatial ...].
inline Shape spatial_of(const Shape& s) { return {s.begin() + 2, s.end()}; }

// Attribute kernel_shape, if it is there, must be the spatial dims of `weights`.
Status check_kernel_shape(const Node& node, const Shape& weights);

// Attribute group is positive and divides `channels`.
Status check_group(InferContext& c, const Dim& channels);
// Input `bias`, if it is there, has one element per channel.
Status check_bias(InferContext& c, size_t bias, const Dim& channels);
// What a convolution of x [N][IC].. with weights [OC][IC / groups].. and a bias takes for granted.
Status check_channels(InferContext& c, const Shape& x, const Shape& weights, size_t bias);

// Element of input `i` of `c` at channel-first indices `at` whose spatial part (from axis 2 on) is read at window
// positions: `outside` where a position lies in the padding.
Expr load_padded(LowerContext& c, BufferId buffer, Elem elem, std::vector<Expr> at, const Shape& spatial,
                 const Expr& outside);

// The activation that pass fuse_activations put on a node, as kernels take it (runtime_lib/kernels/conv_args.h).
struct Activation {
  int code = 0;
  double alpha = 0, beta = 0;
};
Activation activation_of(const Node& node);
Call& activation_args(Call& call, const Activation& activation);
// The same as an expression, for nests.
Expr apply_activation(const Activation& activation, Expr x);

// Whether the channels of input 0 [N][C].. fill at least half of a block, so that a kernel on blocks is worth a change
// of layout.
bool fills_channel_blocks(const LowerContext& c);

// Whether a map has so many rows that threads share these and not its channels: each goes on with rows that it wrote
// itself.
bool has_rows_to_share(const LowerContext& c, const Dim& rows);

// Packing [O/b][I/ib][k...][ib][b] of weights [O][I][k...]: what the kernels read as one stream.
Packing weight_packing(size_t axes, int64_t out_block, int64_t in_block);

}  // namespace onnxc
