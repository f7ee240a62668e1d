// What every convolution and pool shares: the geometry of windows. Tested through the kernels.
#ifndef ONNXC_KERNELS_CONV_ARGS_H
#define ONNXC_KERNELS_CONV_ARGS_H

#include "tile.h"

namespace onnxc_kernels {

struct Window {
  int64_t ih, iw, oh, ow, kh, kw, stride_h, stride_w, pad_top, pad_left, dil_h, dil_w;
};

// The taps k of 0 .. taps - 1 with 0 <= start + k * dilation < extent.
ONNXC_INLINE Range taps_inside(int64_t start, int64_t dilation, int64_t taps, int64_t extent) {
  const int64_t first = start >= 0 ? 0 : (-start + dilation - 1) / dilation;
  const int64_t room = extent - start;
  const int64_t last = room <= 0 ? 0 : (room + dilation - 1) / dilation;
  const int64_t end = last < taps ? last : taps;
  return {first < end ? first : end, end};
}
// The outputs o of 0 .. outputs - 1 whose windows lie inside wholly.
ONNXC_INLINE Range whole_windows(int64_t outputs, int64_t stride, int64_t pad, int64_t taps, int64_t dilation,
                                 int64_t extent) {
  const int64_t first = (pad + stride - 1) / stride;
  const int64_t room = extent - 1 + pad - (taps - 1) * dilation;
  const int64_t end = room < 0 ? 0 : room / stride + 1;
  const int64_t limited = end < outputs ? end : outputs;
  return {first < limited ? first : limited, limited};
}

struct ConvArgs {
  float* y;
  const float *x, *w, *bias, *residual;
  int64_t n, ic, oc;
  Window g;
  Activation<float> activation;
};

// Bias, residual and store of one vector of a blocked output, `at` elements into y and residual; none, relu, leaky_relu
// and clip too. The caller applies other activations in place when the tile is stored.
template <class V>
ONNXC_INLINE void finish_blocked(const ConvArgs& c, V v, int64_t channel, int64_t at) {
  if (c.bias) v = v + load<V>(c.bias + channel);
  if (c.residual) v = v + load<V>(c.residual + at);
  store<V>(c.y + at, c.activation.in_registers() ? c.activation.apply_in_registers<V>(v) : v);
}
// The activations that finish_blocked leaves, for `pixels` pixels, `step` elements apart, of `vectors` vectors of
// channels from `channel`; `at` as above, of the first pixel.
ONNXC_INLINE void activate_blocked(const ConvArgs& c, int64_t at, int64_t pixels, int64_t vectors, int64_t plane,
                                   int64_t step = kBlock) {
  if (c.activation.in_registers()) return;
  ONNXC_ROLLED
  for (int64_t v = 0; v < vectors; ++v) {
    float* y = c.y + at + column_offset(v * kLanes<float>, plane);
    ONNXC_ROLLED
    for (int64_t p = 0; p < pixels; ++p) activate_in_place(c.activation, y + p * step, 1);
  }
}

}  // namespace onnxc_kernels

#endif
