// conv_plain_f32: convolution of plain tensors with any groups: x [N][IC][IH][IW], w [OC][IC/groups][KH][KW], y
// [N][OC][OH][OW], residual as y, bias [OC] or null. The general fallback, and what firmware uses.
// Where columns are dense (stride 1), tiles are up to 8 output channels by vectors of pixels; elsewhere pixels.
// Tested in tests/unit/kernels/conv_test.cc.
#ifndef ONNXC_KERNELS_CONV_PLAIN_H
#define ONNXC_KERNELS_CONV_PLAIN_H

#include "conv_args.h"

namespace onnxc_kernels {

// Output channels of a tile.
inline constexpr int kPlainChannels = ONNXC_LEVEL == 4 ? 8 : 4;

struct PlainPlace {
  const ConvArgs& c;
  int64_t groups, image, oy, first;  // `first` of the output channels of a tile, all of one group

  int64_t in_channels() const { return c.ic / groups; }
  const float* input() const {
    return c.x + (image * c.ic + first / (c.oc / groups) * in_channels()) * c.g.ih * c.g.iw;
  }
  int64_t output(int64_t channel) const { return ((image * c.oc + channel) * c.g.oh + oy) * c.g.ow; }
};

template <class V>
ONNXC_INLINE V finish_plain(const ConvArgs& c, V v, int64_t channel, V residual) {
  if (c.bias) v = v + splat<V>(c.bias[channel]);
  if (c.residual) v = v + residual;
  return c.activation.is_clip() ? c.activation.apply_clip<V>(v) : v;
}

// The activations that finish_plain leaves, over `elements` of y.
ONNXC_INLINE void activate_plain(const ConvArgs& c, float* y, int64_t elements) {
  constexpr int64_t lanes = kLanes<float>;
  activate_in_place(c.activation, y, elements / lanes);
  ONNXC_ROLLED
  for (int64_t i = elements / lanes * lanes; i < elements; ++i) y[i] = c.activation.apply<float>(y[i]);
}

// One pixel of OC output channels, any geometry.
template <int OC>
ONNXC_INLINE void conv_plain_pixel(const PlainPlace& p, int64_t ox) {
  const ConvArgs& c = p.c;
  const Window& g = c.g;
  const int64_t y0 = p.oy * g.stride_h - g.pad_top, x0 = ox * g.stride_w - g.pad_left;
  const Range rows = taps_inside(y0, g.dil_h, g.kh, g.ih), columns = taps_inside(x0, g.dil_w, g.kw, g.iw);
  const int64_t channels = p.in_channels(), per_output = channels * g.kh * g.kw;
  const float *x = p.input(), *w = c.w + p.first * per_output;
  float sum[OC];
  ONNXC_UNROLL
  for (int o = 0; o < OC; ++o) sum[o] = 0;
  ONNXC_ROLLED
  for (int64_t i = 0; i < channels; ++i) {
    ONNXC_ROLLED
    for (int64_t ky = rows.begin; ky < rows.end; ++ky) {
      const float* row = x + (i * g.ih + y0 + ky * g.dil_h) * g.iw + x0;
      const float* taps = w + (i * g.kh + ky) * g.kw;
      ONNXC_ROLLED
      for (int64_t k = columns.begin; k < columns.end; ++k) {
        ONNXC_UNROLL
        for (int o = 0; o < OC; ++o) sum[o] = madd(row[k * g.dil_w], taps[o * per_output + k], sum[o]);
      }
    }
  }
  ONNXC_UNROLL
  for (int o = 0; o < OC; ++o) {
    const int64_t at = p.output(p.first + o) + ox;
    c.y[at] = finish_plain<float>(c, sum[o], p.first + o, c.residual ? c.residual[at] : 0.0f);
  }
}

// NV vectors V of pixels from ox, stride_w 1, all windows inside in x.
template <class V, int NV>
struct PlainTile {
  const PlainPlace& p;
  int64_t ox;

  template <int OC>
  ONNXC_INLINE void run() {
    constexpr int lanes = kLanesOf<V>;
    const ConvArgs& c = p.c;
    const Window& g = c.g;
    const int64_t y0 = p.oy * g.stride_h - g.pad_top, x0 = ox - g.pad_left;
    const Range rows = taps_inside(y0, g.dil_h, g.kh, g.ih);
    const int64_t channels = p.in_channels(), per_output = channels * g.kh * g.kw;
    const float *x = p.input(), *w = c.w + p.first * per_output;
    V acc[OC][NV];
    ONNXC_UNROLL
    for (int o = 0; o < OC; ++o) {
      ONNXC_UNROLL
      for (int n = 0; n < NV; ++n) acc[o][n] = V{};
    }
    ONNXC_ROLLED
    for (int64_t i = 0; i < channels; ++i) {
      ONNXC_ROLLED
      for (int64_t ky = rows.begin; ky < rows.end; ++ky) {
        const float* row = x + (i * g.ih + y0 + ky * g.dil_h) * g.iw + x0;
        const float* taps = w + (i * g.kh + ky) * g.kw;
        ONNXC_ROLLED
        for (int64_t k = 0; k < g.kw; ++k) {
          V pixels[NV];
          ONNXC_UNROLL
          for (int n = 0; n < NV; ++n) pixels[n] = load<V>(row + k * g.dil_w + n * lanes);
          ONNXC_UNROLL
          for (int o = 0; o < OC; ++o) {
            const V tap = splat<V>(taps[o * per_output + k]);
            ONNXC_UNROLL
            for (int n = 0; n < NV; ++n) acc[o][n] = madd(pixels[n], tap, acc[o][n]);
          }
        }
      }
    }
    ONNXC_UNROLL
    for (int o = 0; o < OC; ++o) {
      ONNXC_UNROLL
      for (int n = 0; n < NV; ++n) {
        const int64_t at = p.output(p.first + o) + ox + n * lanes;
        const V residual = c.residual ? load<V>(c.residual + at) : V{};
        store<V>(c.y + at, finish_plain<V>(c, acc[o][n], p.first + o, residual));
      }
    }
  }
};

template <int OC>
ONNXC_INLINE void conv_plain_row(const PlainPlace& p, Range whole) {
  using V = Wide<float>;
  constexpr int lanes = kLanes<float>, quarter = lanes > 4 ? 4 : lanes;
  int64_t ox = 0;
  ONNXC_ROLLED
  while (ox < p.c.g.ow) {
    const bool dense = lanes > 1 && p.c.g.stride_w == 1 && ox >= whole.begin;
    if (dense && ox + 2 * lanes <= whole.end) {
      PlainTile<V, 2>{p, ox}.template run<OC>();
      ox += 2 * lanes;
    } else if (dense && ox + lanes <= whole.end) {
      PlainTile<V, 1>{p, ox}.template run<OC>();
      ox += lanes;
    } else if (dense && quarter < lanes && ox + quarter <= whole.end) {
      PlainTile<Vec<float, quarter>, 1>{p, ox}.template run<OC>();
      ox += quarter;
    } else {
      conv_plain_pixel<OC>(p, ox);
      ++ox;
    }
  }
}

ONNXC_INLINE void conv_plain(ConvArgs c, int64_t groups, const Share& share) {
  Window& g = c.g;
  const bool pointwise =
      g.kh == 1 && g.kw == 1 && g.stride_h == 1 && g.stride_w == 1 && g.pad_top == 0 && g.pad_left == 0;
  if (pointwise && g.ih == g.oh && g.iw == g.ow) {
    g.iw = g.ow = g.oh * g.ow;
    g.ih = g.oh = 1;
  }
  const Range whole = whole_windows(g.ow, g.stride_w, g.pad_left, g.kw, g.dil_w, g.iw);
  const int64_t per_group = c.oc / groups;
  const int64_t steps = c.n * groups * (per_group / kPlainChannels + per_group % kPlainChannels);
  int64_t step = 0;
  ONNXC_ROLLED
  for (int64_t image = 0; image < c.n; ++image) {
    int64_t channel = 0;
    ONNXC_ROLLED
    while (channel < c.oc) {
      const int64_t together = per_group - channel % per_group >= kPlainChannels ? kPlainChannels : 1;
      const Range rows = share.of(step++, steps, g.oh);
      ONNXC_ROLLED
      for (int64_t oy = rows.begin; oy < rows.end; ++oy) {
        const PlainPlace place{c, groups, image, oy, channel};
        if (together == kPlainChannels) {
          conv_plain_row<kPlainChannels>(place, whole);
        } else {
          conv_plain_row<1>(place, whole);
        }
      }
      const int64_t activated = c.activation.is_clip() ? 0 : together;
      ONNXC_ROLLED
      for (int64_t o = 0; o < activated; ++o)
        activate_plain(c, c.y + ((image * c.oc + channel + o) * g.oh + rows.begin) * g.ow,
                       (rows.end - rows.begin) * g.ow);
      channel += together;
    }
  }
}

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_conv_plain_f32(float* y, const float* x, const float* w, const float* bias,
                                       const float* residual, int64_t n, int64_t ic, int64_t ih, int64_t iw, int64_t oc,
                                       int64_t oh, int64_t ow, int64_t kh, int64_t kw, int64_t stride_h,
                                       int64_t stride_w, int64_t pad_top, int64_t pad_left, int64_t dil_h,
                                       int64_t dil_w, int64_t groups, int64_t activation, float alpha, float beta,
                                       int64_t begin, int64_t end) {
  onnxc_kernels::conv_plain({y,
                             x,
                             w,
                             bias,
                             residual,
                             n,
                             ic,
                             oc,
                             {ih, iw, oh, ow, kh, kw, stride_h, stride_w, pad_top, pad_left, dil_h, dil_w},
                             {activation, alpha, beta}},
                            groups, {0, begin, end});
}

#endif
