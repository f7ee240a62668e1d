// The functions of the passes: each in the file of its name, which says what it does. Only pipeline.cc lists them.
#pragma once

#include "compiler/passes/pass.h"

namespace onnxc {

Result<bool> infer_shapes(Graph& graph, PassContext& context);
Result<bool> widen_halves(Graph& graph, PassContext& context);
Result<bool> fold_constants(Graph& graph, PassContext& context);
Result<bool> eliminate_dead_code(Graph& graph, PassContext& context);
Result<bool> eliminate_common_subexpressions(Graph& graph, PassContext& context);
Result<bool> simplify_algebra(Graph& graph, PassContext& context);
Result<bool> inline_branches(Graph& graph, PassContext& context);
Result<bool> cleanup_reshapes(Graph& graph, PassContext& context);
Result<bool> sink_reshapes(Graph& graph, PassContext& context);
Result<bool> cleanup_transposes(Graph& graph, PassContext& context);
Result<bool> fuse_conv_batchnorm(Graph& graph, PassContext& context);
Result<bool> recognise_layer_norm(Graph& graph, PassContext& context);
Result<bool> fuse_pad_conv(Graph& graph, PassContext& context);
Result<bool> recognise_channel_shuffle(Graph& graph, PassContext& context);
Result<bool> recognise_hard_swish(Graph& graph, PassContext& context);
Result<bool> recognise_one_hot_product(Graph& graph, PassContext& context);
Result<bool> recognise_attention(Graph& graph, PassContext& context);
Result<bool> recognise_gelu(Graph& graph, PassContext& context);
Result<bool> fuse_matmul_bias(Graph& graph, PassContext& context);
Result<bool> fuse_activations(Graph& graph, PassContext& context);
Result<bool> decompose(Graph& graph, PassContext& context);

}  // namespace onnxc
