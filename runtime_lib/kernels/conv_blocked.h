// conv_blocked_f32: convolution of NCHW16c by NCHW16c. x [N][ceil(IC/16)][IH][IW][16], y likewise, w
// [ceil(OC/16)][ceil(IC/16)][KH][KW][16 ic][16 oc], bias padded to whole blocks. Lanes of x beyond IC are never read;
// lanes of y beyond OC get whatever the padding of w and bias gives (zero weights: the activation of 0). Sums longer
// than kChain wait in y, so residual must not be y. A tile is up to kMaxRows pixels (rows x columns of the output) by 2
// vectors of output channels. Tiles inside read pixels at fixed offsets; tiles at an edge read through pointers, of
// which those outside point at zeros. Tested in tests/unit/kernels/conv_test.cc.
#ifndef ONNXC_KERNELS_CONV_BLOCKED_H
#define ONNXC_KERNELS_CONV_BLOCKED_H

#include "conv_args.h"

namespace onnxc_kernels {

// One tile: TR x columns pixels from (oy, ox), NV vectors of channels from `channel`.
template <int NV, int TR>
struct BlockedTile {
  const ConvArgs& c;
  const float* zeros;
  int64_t image, oy, ox, channel;

  // Pixel r of the tile is row r / MC, column r % MC of it.
  template <int MC>
  struct Inside {
    const float* x;
    int64_t row_step, column_step;
    ONNXC_INLINE float operator()(int r, int64_t i) const {
      return x[(r / MC) * row_step + (r % MC) * column_step + i];
    }
  };
  struct ByPointer {
    const float* const* x;
    ONNXC_INLINE float operator()(int r, int64_t i) const { return x[r][i]; }
  };

  ONNXC_INLINE bool inside(int64_t columns) const {
    const Window& g = c.g;
    const int64_t y0 = oy * g.stride_h - g.pad_top, y1 = y0 + (TR - 1) * g.stride_h + (g.kh - 1) * g.dil_h;
    const int64_t x0 = ox * g.stride_w - g.pad_left, x1 = x0 + (columns - 1) * g.stride_w + (g.kw - 1) * g.dil_w;
    const bool rows = TR == 1 || (y0 >= 0 && y1 < g.ih);  // one row: taps outside are skipped
    return rows && x0 >= 0 && x1 < g.iw;
  }

  template <int MC>
  ONNXC_INLINE void run() {
    constexpr int MR = TR * MC;
    const Window& g = c.g;
    const int64_t blocks = (c.ic + kBlock - 1) / kBlock, taps = g.kh * g.kw;
    const int64_t stride = blocks * taps * kBlock * kBlock;  // between blocks of output channels
    const float* w = c.w + column_offset(channel, stride);
    const int64_t y0 = oy * g.stride_h - g.pad_top, x0 = ox * g.stride_w - g.pad_left;
    const bool fast = inside(MC);
    Range rows = TR == 1 ? taps_inside(y0, g.dil_h, g.kh, g.ih) : Range{0, g.kh};
    const int64_t chain = kChain / (taps * kBlock) > 1 ? kChain / (taps * kBlock) : 1;  // in blocks of channels
    const int64_t plane_size = g.oh * g.ow * kBlock, at = output();
    bool flushed = false;
    Tile<float, MR, NV> tile;
    tile.clear();
    ONNXC_ROLLED
    for (int64_t b = 0; b < blocks; ++b) {
      if (b > 0 && b % chain == 0) {  // chains but the last wait in y
        flush(tile, at, plane_size, !flushed);
        flushed = true;
      }
      const float* plane = c.x + (image * blocks + b) * g.ih * g.iw * kBlock;
      const int64_t count = c.ic - b * kBlock < kBlock ? c.ic - b * kBlock : kBlock;
      ONNXC_ROLLED
      for (int64_t ky = rows.begin; ky < rows.end; ++ky) {
        ONNXC_ROLLED
        for (int64_t kx = 0; kx < g.kw; ++kx) {
          const float* at_w = w + ((b * g.kh + ky) * g.kw + kx) * kBlock * kBlock;
          const int64_t iy = y0 + ky * g.dil_h, ix = x0 + kx * g.dil_w;
          if (fast) {
            const Inside<MC> pixels{plane + (iy * g.iw + ix) * kBlock, g.stride_h * g.iw * kBlock, g.stride_w * kBlock};
            tile.multiply(pixels, at_w, kBlock, stride, count);
          } else {
            const float* pointers[MR];
            ONNXC_UNROLL
            for (int r = 0; r < MR; ++r) {
              const int64_t py = iy + (r / MC) * g.stride_h, px = ix + (r % MC) * g.stride_w;
              const bool exists = uint64_t(py) < uint64_t(g.ih) && uint64_t(px) < uint64_t(g.iw);
              pointers[r] = exists ? plane + (py * g.iw + px) * kBlock : zeros;
            }
            tile.multiply(ByPointer{pointers}, at_w, kBlock, stride, count);
          }
        }
      }
    }
    ONNXC_UNROLL
    for (int r = 0; r < MR; ++r) {
      ONNXC_UNROLL
      for (int n = 0; n < NV; ++n) {
        const int64_t here = at + pixel<MC>(r) + column_offset(n * kLanes<float>, plane_size);
        Wide<float> v = tile.acc[r][n];
        if (flushed) v = v + load<Wide<float>>(c.y + here);
        finish_blocked(c, v, channel + n * kLanes<float>, here);
      }
    }
  }

  // Where pixel r of the tile stands in y, from its first one.
  template <int MC>
  ONNXC_INLINE int64_t pixel(int r) const {
    return ((r / MC) * c.g.ow + r % MC) * kBlock;
  }
  template <int MR>
  ONNXC_INLINE void flush(Tile<float, MR, NV>& tile, int64_t at, int64_t plane_size, bool first) {
    ONNXC_UNROLL
    for (int r = 0; r < MR; ++r) {
      ONNXC_UNROLL
      for (int n = 0; n < NV; ++n) {
        float* p = c.y + at + pixel<MR / TR>(r) + column_offset(n * kLanes<float>, plane_size);
        Tile<float, MR, NV>::flush_one(p, tile.acc[r][n], first);
      }
    }
    Tile<float, MR, NV>::keep_in_memory(c.y);
  }

  // The first pixel of the tile in y.
  ONNXC_INLINE int64_t output() const {
    const int64_t blocks = (c.oc + kBlock - 1) / kBlock, plane_size = c.g.oh * c.g.ow * kBlock;
    return image * blocks * plane_size + column_offset(channel, plane_size) + (oy * c.g.ow + ox) * kBlock;
  }
};

// TR rows from oy, the given tiles of their columns, channels from `channel`.
template <int NV, int TR>
ONNXC_INLINE void conv_blocked_rows(const ConvArgs& c, const float* zeros, int64_t image, int64_t oy, int64_t channel,
                                    const Cut& cut, Range tiles) {
  BlockedTile<NV, TR> tile{c, zeros, image, oy, cut.start(tiles.begin), channel};
  const int64_t at = tile.output(), first = tile.ox;
  ONNXC_ROLLED
  for (int64_t t = tiles.begin; t < tiles.end; ++t) {
    with_rows<kMaxRows<NV> / TR>(cut.rows(t), tile);
    tile.ox += cut.rows(t);
  }
  activate_blocked(c, at, TR * (tile.ox - first), NV, c.g.oh * c.g.ow * kBlock);
}

// How the pixels of an image are cut into units of work: a single row into its tiles, narrow maps into pairs of rows
// (two rows in a tile), others into rows.
template <int NV>
struct BlockedUnits {
  int64_t oh;
  Cut cut, narrow;
  bool tiles, pairs;
  explicit ONNXC_INLINE BlockedUnits(const Window& g)
      : oh(g.oh),
        cut(cut_evenly(g.ow, kMaxRows<NV>)),
        narrow(cut_evenly(g.ow, kMaxRows<NV> / 2)),
        tiles(g.oh == 1),
        pairs(NV > 1 && g.ow * 2 <= kMaxRows<NV>) {}
  ONNXC_INLINE int64_t count() const { return tiles ? cut.count : pairs ? (oh + 1) / 2 : oh; }
};
template <int NV>
ONNXC_INLINE void conv_blocked_image(const ConvArgs& c, const float* zeros, int64_t image, int64_t channel,
                                     const Share& share, int64_t panel, int64_t panels) {
  const BlockedUnits<NV> units(c.g);
  const Range mine = share.of(panel, panels, units.count());
  if (units.tiles) return conv_blocked_rows<NV, 1>(c, zeros, image, 0, channel, units.cut, mine);
  int64_t oy = units.pairs ? 2 * mine.begin : mine.begin;
  const int64_t limit = units.pairs ? 2 * mine.end : mine.end, end = limit < c.g.oh ? limit : c.g.oh;
  if (units.pairs) {
    ONNXC_ROLLED
    for (; oy + 2 <= end; oy += 2)
      conv_blocked_rows<NV, NV == 1 ? 1 : 2>(c, zeros, image, oy, channel, units.narrow, {0, units.narrow.count});
  }
  ONNXC_ROLLED
  for (; oy < end; ++oy) conv_blocked_rows<NV, 1>(c, zeros, image, oy, channel, units.cut, {0, units.cut.count});
}

ONNXC_INLINE void conv_blocked(ConvArgs c, const Share& share) {
  constexpr int64_t lanes = kLanes<float>;
  const float zeros[kBlock] = {};
  Window& g = c.g;
  const bool pointwise =
      g.kh == 1 && g.kw == 1 && g.stride_h == 1 && g.stride_w == 1 && g.pad_top == 0 && g.pad_left == 0;
  if (pointwise && g.ih == g.oh && g.iw == g.ow) {  // one long row of pixels
    g.iw = g.ow = g.oh * g.ow;
    g.ih = g.oh = 1;
  }
  // A panel: the channels of a tile, of which the last may be half.
  const int64_t channels = (c.oc + kBlock - 1) / kBlock * kBlock, per_image = (channels + 2 * lanes - 1) / (2 * lanes);
  ONNXC_ROLLED
  for (int64_t image = 0; image < c.n; ++image) {
    int64_t channel = 0, panel = image * per_image;
    ONNXC_ROLLED
    for (; channel + 2 * lanes <= channels; channel += 2 * lanes)
      conv_blocked_image<2>(c, zeros, image, channel, share, panel++, c.n * per_image);
    if (channel < channels) conv_blocked_image<1>(c, zeros, image, channel, share, panel, c.n * per_image);
  }
}

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_conv_blocked_f32(float* y, const float* x, const float* w, const float* bias,
                                         const float* residual, int64_t n, int64_t ic, int64_t ih, int64_t iw,
                                         int64_t oc, int64_t oh, int64_t ow, int64_t kh, int64_t kw, int64_t stride_h,
                                         int64_t stride_w, int64_t pad_top, int64_t pad_left, int64_t dil_h,
                                         int64_t dil_w, int64_t activation, float alpha, float beta, int64_t by_rows,
                                         int64_t begin, int64_t end) {
  onnxc_kernels::conv_blocked({y,
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
