// A convolution over one channel in one row, without padding: the windows are the rows of a matrix, `step` elements
// apart in memory, and the convolution is its product with the weights. Filter banks and Fourier transforms of audio
// look so, whose taps often mirror each other. Tested in tests/differential/test_window_products.py.
#pragma once

#include "compiler/ops/lowering.h"

namespace onnxc {

struct WindowProduct {
  Dim windows;  // of an image
  int64_t taps, step;
};

// Weights [OC][1][1 ...][taps] by gemm_f32, one per image and block of output channels. `in` is plain, `out` blocked,
// `bias` as packed for blocks, or kNoBuffer.
//
// Where all output channels of a block weigh taps l and r, which lie at the same distance from the middle, alike (or
// with opposite signs), w (x[l] + x[r]) is computed, half the products. What is less than 2^-34 of a channel's greatest
// weight is no difference: a thousandth of what rounding did to that weight.
void lower_window_product(LowerContext& c, const WindowProduct& w, BufferId out, BufferId in, BufferId bias);

}  // namespace onnxc
