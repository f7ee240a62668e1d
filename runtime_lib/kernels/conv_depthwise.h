// conv_depthwise_f32: depthwise convolution, blocked x and y [N][ceil(C/16)][H][W][16], w [ceil(C/16)][KH][KW][16];
// lanes never mix, so pad lanes may hold anything. A tile is a few pixels of a row by one vector of channels; a row of
// x is loaded once for all taps of a 3 or 5 wide window. Tested in tests/unit/kernels/conv_test.cc.
#ifndef ONNXC_KERNELS_CONV_DEPTHWISE_H
#define ONNXC_KERNELS_CONV_DEPTHWISE_H

#include "conv_args.h"

namespace onnxc_kernels {

// KW, S: width and stride of the window, 0 for any. Pixels whose windows lie inside in x.
template <int KW, int S>
struct DepthwiseTile {
  const ConvArgs& c;
  int64_t image, oy, ox, channel;  // of a vector

  template <int MR>
  ONNXC_INLINE void run() {
    using V = Wide<float>;
    const Window& g = c.g;
    const int64_t in_plane = g.ih * g.iw * kBlock;
    const int64_t blocks = (c.oc + kBlock - 1) / kBlock;
    const int64_t kw = KW ? KW : g.kw, stride_w = S ? S : g.stride_w;
    const float* x = c.x + image * blocks * in_plane + column_offset(channel, in_plane);
    const float* w = c.w + column_offset(channel, g.kh * kw * kBlock);
    const int64_t y0 = oy * g.stride_h - g.pad_top, x0 = ox * stride_w - g.pad_left;
    const Range rows = taps_inside(y0, g.dil_h, g.kh, g.ih);
    const Range columns = MR == 1 ? taps_inside(x0, g.dil_w, kw, g.iw) : Range{0, kw};
    V acc[MR];
    ONNXC_UNROLL
    for (int r = 0; r < MR; ++r) acc[r] = V{};
    ONNXC_ROLLED
    for (int64_t ky = rows.begin; ky < rows.end; ++ky) {
      const float* row = x + ((y0 + ky * g.dil_h) * g.iw + x0) * kBlock;
      const float* at_w = w + ky * kw * kBlock;
      if constexpr (KW != 0 && MR > 1) {
        V taps[KW], pixels[(MR - 1) * S + KW];
        ONNXC_UNROLL
        for (int k = 0; k < KW; ++k) taps[k] = load<V>(at_w + k * kBlock);
        ONNXC_UNROLL
        for (int p = 0; p < (MR - 1) * S + KW; ++p) pixels[p] = load<V>(row + p * kBlock);
        ONNXC_UNROLL
        for (int k = 0; k < KW; ++k) {
          ONNXC_UNROLL
          for (int r = 0; r < MR; ++r) acc[r] = madd(pixels[r * S + k], taps[k], acc[r]);
        }
      } else {
        ONNXC_ROLLED
        for (int64_t k = columns.begin; k < columns.end; ++k) {
          const V tap = load<V>(at_w + k * kBlock);
          ONNXC_UNROLL
          for (int r = 0; r < MR; ++r) acc[r] = madd(load<V>(row + (r * stride_w + k * g.dil_w) * kBlock), tap, acc[r]);
        }
      }
    }
    const int64_t at = output();
    ONNXC_UNROLL
    for (int r = 0; r < MR; ++r) finish_blocked(c, acc[r], channel, at + r * kBlock);
  }

  ONNXC_INLINE int64_t output() const {
    const int64_t blocks = (c.oc + kBlock - 1) / kBlock, plane = c.g.oh * c.g.ow * kBlock;
    return image * blocks * plane + column_offset(channel, plane) + (oy * c.g.ow + ox) * kBlock;
  }
};

template <int KW, int S>
ONNXC_INLINE void depthwise_row(const ConvArgs& c, Range whole, int64_t image, int64_t oy, int64_t channel) {
  constexpr int most = ONNXC_LEVEL == 4 ? (KW * S <= 6 ? 8 : 6) : KW * S == 3 ? 5 : 4;
  DepthwiseTile<KW, S> tile{c, image, oy, 0, channel};
  const int64_t row = tile.output();
  // Windows across an edge one by one, the others in tiles; the last tile of these may be smaller.
  ONNXC_ROLLED
  while (tile.ox < c.g.ow) {
    const int64_t left = whole.end - tile.ox;
    const int64_t rows = tile.ox < whole.begin || left <= 0 ? 1 : left < most ? left : most;
    with_rows<most>(rows, tile);
    tile.ox += rows;
  }
  activate_blocked(c, row, c.g.ow, 1, 0);
}

template <int KW, int S>
ONNXC_INLINE void depthwise_planes(const ConvArgs& c, const Share& share) {
  const Window& g = c.g;
  const int64_t blocks = (c.oc + kBlock - 1) / kBlock;
  const Range whole = whole_windows(g.ow, g.stride_w, g.pad_left, g.kw, g.dil_w, g.iw);
  ONNXC_ROLLED
  for (int64_t image = 0; image < c.n; ++image) {
    ONNXC_ROLLED
    for (int64_t block = 0; block < blocks; ++block) {
      const Range rows = share.of(image * blocks + block, c.n * blocks, g.oh);
      const int64_t first = block * kBlock, end = c.oc - first < kBlock ? c.oc : first + kBlock;
      ONNXC_ROLLED
      for (int64_t oy = rows.begin; oy < rows.end; ++oy) {  // all vectors of a row share its cache lines
        ONNXC_ROLLED
        for (int64_t channel = first; channel < end; channel += kLanes<float>)
          depthwise_row<KW, S>(c, whole, image, oy, channel);
      }
    }
  }
}

ONNXC_INLINE void conv_depthwise(const ConvArgs& c, const Share& share) {
  const Window& g = c.g;
  const bool dense = g.dil_w == 1;
  if (dense && g.kw == 3 && g.stride_w == 1) return depthwise_planes<3, 1>(c, share);
  if (dense && g.kw == 3 && g.stride_w == 2) return depthwise_planes<3, 2>(c, share);
  if (dense && g.kw == 5 && g.stride_w == 1) return depthwise_planes<5, 1>(c, share);
  depthwise_planes<0, 0>(c, share);
}

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_conv_depthwise_f32(float* y, const float* x, const float* w, const float* bias,
                                           const float* residual, int64_t n, int64_t c, int64_t ih, int64_t iw,
                                           int64_t oh, int64_t ow, int64_t kh, int64_t kw, int64_t stride_h,
                                           int64_t stride_w, int64_t pad_top, int64_t pad_left, int64_t dil_h,
                                           int64_t dil_w, int64_t activation, float alpha, float beta, int64_t by_rows,
                                           int64_t begin, int64_t end) {
  onnxc_kernels::conv_depthwise({y,
                                 x,
                                 w,
                                 bias,
                                 residual,
                                 n,
                                 c,
                                 c,
                                 {ih, iw, oh, ow, kh, kw, stride_h, stride_w, pad_top, pad_left, dil_h, dil_w},
                                 {activation, alpha, beta}},
                                {by_rows, begin, end});
}

#endif
