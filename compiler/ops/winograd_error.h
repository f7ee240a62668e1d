// How much accuracy Winograd's form of a convolution loses with given weights. Tested in
// tests/unit/conv_choice_test.cc.
#pragma once

#include "compiler/ir/tensor.h"

namespace onnxc {

// The greatest error of F(m,3), m = 2 or 4, over that of a direct sum in one chain, both against double, on 64 random
// tiles (half of the inputs are 0, as behind a Relu) and up to 8 output channels of `weights`, f32 [O][I][2 or 3][2 or
// 3]. Each multiplication and addition is rounded once, as on targets with FMA, so that the result is the same on every
// machine. 0 when neither errs.
double winograd_error_ratio(const Tensor& weights, int m);

}  // namespace onnxc
