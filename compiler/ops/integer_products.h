// Products of integers less their zero points, in I32: what MatMulInteger, ConvInteger and the QLinear* operators check
// of their operands.
#pragma once

#include "compiler/ops/matmul.h"

namespace onnxc {

// The zero points `zero` of operands 0 and `b` of a product of matrices.
Status check_matrix_zero_points(InferContext& c, size_t zero_a, size_t b, size_t zero_b);
// Zero points of input i: one, one for each element of `axis`, or of the input's rank with dims of 1 or the input's.
Status check_zero_points(InferContext& c, size_t i, size_t zero, size_t axis);
// Types a convolution of input 0 and input `weights`.
Status infer_product_of_windows(InferContext& c, size_t weights, size_t bias, Elem elem);

}  // namespace onnxc
