// conv_first_f32: the first convolution of an image network: plain x [N][IC][IH][IW] with few channels, blocked y; w
// [ceil(OC/16)][IC][KH][KW][16 oc]. Tiles at the left and right edges read each input row through a small zero-filled
// copy. Tested in tests/unit/kernels/conv_test.cc.
#ifndef ONNXC_KERNELS_CONV_FIRST_H
#define ONNXC_KERNELS_CONV_FIRST_H

#include "conv_args.h"

namespace onnxc_kernels {

// Widest stretch of an input row under one tile that is copied; wider ones (huge dilations) go pixel by pixel.
inline constexpr int64_t kRowCopy = 256;

// Pixels of a row by NV vectors of output channels. Where a last block has no more than half a vector of channels, V is
// half a vector: its other lanes are pad lanes, and become zeros.
template <int NV, class V = Wide<float>>
struct FirstTile {
  static constexpr int kLanesV = kLanesOf<V>;
  const ConvArgs& c;
  int64_t image, oy, ox, channel;

  struct Pixels {
    const float* x;
    int64_t step, dilation;
    ONNXC_INLINE float operator()(int r, int64_t i) const { return x[r * step + i * dilation]; }
  };

  template <int MR>
  ONNXC_INLINE void run() {
    const Window& g = c.g;
    const int64_t stride = c.ic * g.kh * g.kw * kBlock;
    const float* w = c.w + column_offset(channel, stride);
    const int64_t y0 = oy * g.stride_h - g.pad_top, x0 = ox * g.stride_w - g.pad_left;
    const int64_t width = (MR - 1) * g.stride_w + (g.kw - 1) * g.dil_w + 1;
    const bool fast = x0 >= 0 && x0 + width <= g.iw;
    const Range rows = taps_inside(y0, g.dil_h, g.kh, g.ih);
    // One pixel can do without a copy: its taps outside are skipped.
    const Range columns = MR == 1 ? taps_inside(x0, g.dil_w, g.kw, g.iw) : Range{0, g.kw};
    Tile<float, MR, NV, V> tile;
    tile.clear();
    ONNXC_ROLLED
    for (int64_t i = 0; i < c.ic; ++i) {
      const float* plane = c.x + (image * c.ic + i) * g.ih * g.iw;
      ONNXC_ROLLED
      for (int64_t ky = rows.begin; ky < rows.end; ++ky) {
        const float* row = plane + (y0 + ky * g.dil_h) * g.iw;
        const float* at_w = w + ((i * g.kh + ky) * g.kw + columns.begin) * kBlock;
        const int64_t count = columns.end - columns.begin;
        if (MR == 1 || fast) {
          const Pixels pixels{row + x0 + columns.begin * g.dil_w, g.stride_w, g.dil_w};
          tile.multiply(pixels, at_w, kBlock, stride, count);
        } else {
          float copy[kRowCopy];
          ONNXC_ROLLED
          for (int64_t j = 0; j < width; ++j) copy[j] = uint64_t(x0 + j) < uint64_t(g.iw) ? row[x0 + j] : 0.0f;
          tile.multiply(Pixels{copy, g.stride_w, g.dil_w}, at_w, kBlock, stride, count);
        }
      }
    }
    const int64_t plane_size = g.oh * g.ow * kBlock, at = output();
    ONNXC_UNROLL
    for (int r = 0; r < MR; ++r) {
      ONNXC_UNROLL
      for (int n = 0; n < NV; ++n) {
        finish_blocked(c, tile.acc[r][n], channel + n * kLanesV,
                       at + r * kBlock + column_offset(n * kLanesV, plane_size));
      }
      if constexpr (kLanesV < kLanes<float>) store<V>(c.y + at + r * kBlock + kLanesV, V{});
    }
  }

  ONNXC_INLINE int64_t output() const {
    const int64_t blocks = (c.oc + kBlock - 1) / kBlock, plane_size = c.g.oh * c.g.ow * kBlock;
    return image * blocks * plane_size + column_offset(channel, plane_size) + (oy * c.g.ow + ox) * kBlock;
  }
};

template <int NV, class V = Wide<float>>
ONNXC_INLINE void conv_first_image(const ConvArgs& c, int64_t image, int64_t channel, Range rows) {
  constexpr int most = kMaxRows<NV> > 8 ? 8 : kMaxRows<NV>;
  const bool copyable = (most - 1) * c.g.stride_w + (c.g.kw - 1) * c.g.dil_w + 1 <= kRowCopy;
  const Cut cut = cut_evenly(c.g.ow, copyable ? most : 1);
  ONNXC_ROLLED
  for (int64_t oy = rows.begin; oy < rows.end; ++oy) {
    FirstTile<NV, V> tile{c, image, oy, 0, channel};
    const int64_t at = tile.output();
    ONNXC_ROLLED
    for (int64_t t = 0; t < cut.count; ++t) {
      with_rows<most>(cut.rows(t), tile);
      tile.ox += cut.rows(t);
    }
    activate_blocked(c, at, c.g.ow, NV, c.g.oh * c.g.ow * kBlock);
  }
}

ONNXC_INLINE void conv_first(const ConvArgs& c, const Share& share) {
  constexpr int64_t lanes = kLanes<float>;
  const int64_t vectors = (c.oc + lanes - 1) / lanes, all = c.n * vectors;
  constexpr bool can_halve = lanes == kBlock;
  using Half = Vec<float, int(can_halve ? lanes / 2 : lanes)>;
  const bool half = can_halve && (c.oc - 1) % lanes < lanes / 2;
  const int64_t whole = half ? vectors - 1 : vectors;
  ONNXC_ROLLED
  for (int64_t image = 0; image < c.n; ++image) {
    int64_t v = 0;
    ONNXC_ROLLED
    for (; v + 2 <= whole; v += 2)
      conv_first_image<2>(c, image, v * lanes, share.of(image * vectors + v, all, c.g.oh, 2));
    ONNXC_ROLLED
    for (; v < vectors; ++v) {
      const Range rows = share.of(image * vectors + v, all, c.g.oh);
      if (v < whole)
        conv_first_image<1>(c, image, v * lanes, rows);
      else
        conv_first_image<1, Half>(c, image, v * lanes, rows);
    }
  }
}

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_conv_first_f32(float* y, const float* x, const float* w, const float* bias,
                                       const float* residual, int64_t n, int64_t ic, int64_t ih, int64_t iw, int64_t oc,
                                       int64_t oh, int64_t ow, int64_t kh, int64_t kw, int64_t stride_h,
                                       int64_t stride_w, int64_t pad_top, int64_t pad_left, int64_t dil_h,
                                       int64_t dil_w, int64_t activation, float alpha, float beta, int64_t by_rows,
                                       int64_t begin, int64_t end) {
  onnxc_kernels::conv_first({y,
                             x,
                             w,
                             bias,
                             residual,
                             n,
                             ic,
                             oc,
                             {ih, iw, oh, ow, kh, kw, stride_h, stride_w, pad_top, pad_left, dil_h, dil_w},
                             {activation, alpha, beta}},
                            {by_rows, begin, end});
}

#endif
