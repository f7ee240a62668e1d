// Winograd's F(m,3), m = 2 or 4, on N = m + 2 points per dimension: A tile of m x m outputs of a 3x3 convolution is
// A'[(G g G') . (B' d B)]A of N x N inputs d and weights g. The points are 0, 1, -1 and for m = 4 also 1/2 and -2 (of
// the usual choices the one that loses least accuracy), and infinity. B and A are in the kernel
// (runtime_lib/kernels/conv_winograd.h); G is here, since weights are transformed at compile time. Tested in
// tests/unit/winograd_test.cc.
#pragma once

#include <cstdint>
#include <vector>

#include "compiler/ir/tensor.h"

namespace onnxc {

// G g G' of 3x3 weights g: N * N values.
void transform_winograd_weights(const float* g, int m, double* u);

// Elements of the packed weights; dims are [O][I][3][3].
int64_t winograd_elements(const std::vector<int64_t>& dims, int m);

// f32 [O][I][3][3] as conv_winograd_f32 reads it: [ceil(O/32)][N * N][I][32], the last panel 16 wide when that is all
// there is, zeros as padding.
Tensor winograd_weights(const Tensor& weights, int m);

}  // namespace onnxc
