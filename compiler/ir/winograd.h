// Winograd's F(m,3), m = 2 or 4, on N = m + 2 points per dimension: A tile of m x m outputs of a 3x3 convolution is
// A'[(G g G') . (B' d B)]A of N x N inputs d and weights g. The points are 0, 1, -1 and for m = 4 also 1/2 and -2 (of
// the usual choices the one that loses least accuracy), and infinity. B and A are in the kernel
// (runtime_lib/kernels/conv_winograd.h); G is here, since weights are transformed at compile time. An axis may have 2
// taps: the third one is 0, and so are the weights at infinity, the last point, which packed weights leave out. Tested
// in tests/unit/winograd_test.cc.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "compiler/ir/tensor.h"

namespace onnxc {

inline bool has_winograd_taps(int64_t kh, int64_t kw) { return (kh == 2 || kh == 3) && (kw == 2 || kw == 3); }

// Points of an axis with that many taps that have products.
inline int64_t winograd_points(int64_t taps, int m) { return m + taps - 1; }

// 3x3 weights out of kh x kw, zeros behind.
std::array<float, 9> winograd_taps(const float* g, int64_t kh, int64_t kw);

// G g G' of 3x3 weights g: N * N values.
void transform_winograd_weights(const float* g, int m, double* u);

// Elements of the packed weights; dims are [O][I][kh][kw].
int64_t winograd_elements(const std::vector<int64_t>& dims, int m);

// f32 [O][I][kh][kw] as conv_winograd_f32 reads it: [ceil(O/32)][points of kh][points of kw][I][32], the last panel 16
// wide when that is all there is, zeros as padding.
Tensor winograd_weights(const Tensor& weights, int m);

}  // namespace onnxc
