// conv_blocked_f32: convolution of NCHW16c by NCHW16c. x [N][ceil(IC/16)][IH][IW][16], y likewise, w
// [ceil(OC/16)][ceil(IC/16)][KH][KW][16 ic][16 oc], bias padded to whole blocks. Lanes of x beyond IC are never read;
// lanes of y beyond OC get anything, or are left as they were. Sums longer
// than kChain wait in y, so residual must not be y. A tile is up to kMaxRows pixels (rows x columns of the output) by 2
// vectors of output channels. Tiles inside read pixels at fixed offsets; tiles at an edge, and those of strides above
// 2, read through pointers, of which those outside point at zeros. conv_spread_f32: the same, whose pixels are stored
// step_h rows and step_w columns apart from (row, column) on, into maps of map_h x map_w. Tested in
// tests/unit/kernels/conv_test.cc.
#ifndef ONNXC_KERNELS_CONV_BLOCKED_H
#define ONNXC_KERNELS_CONV_BLOCKED_H

#include "conv_args.h"

namespace onnxc_kernels {

// Blocks of input channels in a chain of at most kChain products, but one at least.
ONNXC_INLINE int64_t blocks_of_chain(int64_t taps) {
  return kChain / (taps * kBlock) > 1 ? kChain / (taps * kBlock) : 1;
}

// Where the pixels of an output stand: elements before the first, and from a pixel to the next, from row to row and
// from block to block of channels.
struct Places {
  int64_t first, pixel, row, plane;
};
struct BlockedConv : ConvArgs {
  Places to;
};

// Input channels whose weights are fetched while these are multiplied. On a small map all weights are read a few times
// only, and come from a far cache: README.md has what that costs.
inline constexpr int64_t kAhead = kBlock;

// One tile: TR x columns pixels from (oy, ox), NV vectors of channels from `channel`; `blocks` of input channels, of
// which the sums of those before wait in y.
template <int NV, int TR>
struct BlockedTile {
  const BlockedConv& c;
  const float* zeros;
  int64_t image, oy, ox, channel;
  Range blocks;
  static constexpr int64_t kPanelBlocks = (NV * kLanes<float> + kBlock - 1) / kBlock;

  // Pixel r of the tile is row r / MC, column r % MC of it, S pixels apart in x. No other strides: a distance that is
  // no constant takes a pointer for each column, which are more than there are registers.
  template <int MC, int S>
  struct Inside {
    const float* x;
    int64_t row_step;
    ONNXC_INLINE float operator()(int r, int64_t i) const { return x[(r / MC) * row_step + (r % MC) * S * kBlock + i]; }
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
    const int64_t all_blocks = (c.ic + kBlock - 1) / kBlock, taps = g.kh * g.kw;
    const int64_t stride = all_blocks * taps * kBlock * kBlock;  // between blocks of output channels
    const float* w = c.w + column_offset(channel, stride);
    const int64_t y0 = oy * g.stride_h - g.pad_top, x0 = ox * g.stride_w - g.pad_left;
    const bool fast = inside(MC);
    // Tiles take turns to fetch the weights of the next panel, a block of channels each.
    const int64_t later = (kPanelBlocks + (oy + ox / MC) % kPanelBlocks) * stride;
    Range rows = TR == 1 ? taps_inside(y0, g.dil_h, g.kh, g.ih) : Range{0, g.kh};
    const int64_t chain = blocks_of_chain(taps), plane_size = c.to.plane, at = output();
    bool flushed = blocks.begin > 0;
    Tile<float, MR, NV> tile;
    tile.clear();
    ONNXC_ROLLED
    for (int64_t b = blocks.begin; b < blocks.end; ++b) {
      if (b > blocks.begin && b % chain == 0) {  // chains but the last wait in y
        flush(tile, at, plane_size, !flushed);
        flushed = true;
      }
      const float* plane = c.x + (image * all_blocks + b) * g.ih * g.iw * kBlock;
      const int64_t count = c.ic - b * kBlock < kBlock ? c.ic - b * kBlock : kBlock;
      ONNXC_ROLLED
      for (int64_t ky = rows.begin; ky < rows.end; ++ky) {
        ONNXC_ROLLED
        for (int64_t kx = 0; kx < g.kw; ++kx) {
          const float* at_w = w + ((b * g.kh + ky) * g.kw + kx) * kBlock * kBlock;
          const int64_t iy = y0 + ky * g.dil_h, ix = x0 + kx * g.dil_w;
          if (fast && (g.stride_w == 1 || g.stride_w == 2)) {
            const float* const x = plane + (iy * g.iw + ix) * kBlock;
            const int64_t row_step = g.stride_h * g.iw * kBlock;
            if (g.stride_w == 1)
              tile.template multiply<kAhead, true>(Inside<MC, 1>{x, row_step}, at_w, kBlock, stride, count,
                                                   at_w + later);
            else
              tile.template multiply<kAhead, true>(Inside<MC, 2>{x, row_step}, at_w, kBlock, stride, count,
                                                   at_w + later);
          } else {
            const float* pointers[MR];
            ONNXC_UNROLL
            for (int r = 0; r < MR; ++r) {
              const int64_t py = iy + (r / MC) * g.stride_h, px = ix + (r % MC) * g.stride_w;
              const bool exists = uint64_t(py) < uint64_t(g.ih) && uint64_t(px) < uint64_t(g.iw);
              pointers[r] = exists ? plane + (py * g.iw + px) * kBlock : zeros;
            }
            tile.template multiply<kAhead, true>(ByPointer{pointers}, at_w, kBlock, stride, count, at_w + later);
          }
        }
      }
    }
    if (blocks.end < all_blocks) return flush(tile, at, plane_size, !flushed);
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
    return (r / MC) * c.to.row + (r % MC) * c.to.pixel;
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
    const int64_t blocks = (c.oc + kBlock - 1) / kBlock;
    return c.to.first + image * blocks * c.to.plane + column_offset(channel, c.to.plane) + oy * c.to.row +
           ox * c.to.pixel;
  }
};

// TR rows from oy, the given tiles of their columns, channels from `channel`.
template <int NV, int TR>
ONNXC_INLINE void conv_blocked_rows(const BlockedConv& c, const float* zeros, int64_t image, int64_t oy,
                                    int64_t channel, Range blocks, const Cut& cut, Range tiles) {
  BlockedTile<NV, TR> tile{c, zeros, image, oy, cut.start(tiles.begin), channel, blocks};
  const int64_t at = tile.output(), first = tile.ox;
  ONNXC_ROLLED
  for (int64_t t = tiles.begin; t < tiles.end; ++t) {
    with_rows<kMaxRows<NV> / TR>(cut.rows(t), tile);
    tile.ox += cut.rows(t);
  }
  if (blocks.end * kBlock < c.ic) return;
  ONNXC_UNROLL
  for (int r = 0; r < TR; ++r) {
    activate_blocked(c, at + r * c.to.row, tile.ox - first, NV, c.to.plane, c.to.pixel);
  }
}

// Rows of a tile of two vectors that keep two FMA units busy whose results take four cycles.
inline constexpr int64_t kMinRows = 4;

// How the pixels of an image are cut into units of work: a single row into its tiles, others into rows, or into pairs
// of rows (two rows in a tile) where these make fuller tiles.
template <int NV>
struct BlockedUnits {
  int64_t oh, ow;
  Cut cut, narrow;
  bool tiles, pairs;
  explicit ONNXC_INLINE BlockedUnits(const Window& g)
      : oh(g.oh),
        ow(g.ow),
        cut(cut_evenly(g.ow, kMaxRows<NV>)),
        narrow(cut_evenly(g.ow, kMaxRows<NV> / 2)),
        tiles(g.oh == 1),
        pairs(NV > 1 && (g.ow * 2 <= kMaxRows<NV> || cost(narrow, 2) < 2 * cost(cut, 1))) {}
  // Steps of one row of tiles, each of `rows` rows of pixels: a low tile waits for its own sums.
  static ONNXC_INLINE int64_t cost(const Cut& cut, int64_t rows) {
    const int64_t low = rows * cut.height, high = low + rows;
    return cut.larger * (high < kMinRows ? kMinRows : high) +
           (cut.count - cut.larger) * (low < kMinRows ? kMinRows : low);
  }
  ONNXC_INLINE int64_t count() const { return tiles ? cut.count : pairs ? (oh + 1) / 2 : oh; }
  ONNXC_INLINE int64_t pixels() const { return tiles ? kMaxRows<NV> : pairs ? 2 * ow : ow; }
};
template <int NV>
ONNXC_INLINE void conv_blocked_units(const BlockedConv& c, const float* zeros, int64_t image, int64_t channel,
                                     Range blocks, const BlockedUnits<NV>& units, Range mine) {
  if (units.tiles) return conv_blocked_rows<NV, 1>(c, zeros, image, 0, channel, blocks, units.cut, mine);
  int64_t oy = units.pairs ? 2 * mine.begin : mine.begin;
  const int64_t limit = units.pairs ? 2 * mine.end : mine.end, end = limit < c.g.oh ? limit : c.g.oh;
  if (units.pairs) {
    ONNXC_ROLLED
    for (; oy + 2 <= end; oy += 2)
      conv_blocked_rows<NV, NV == 1 ? 1 : 2>(c, zeros, image, oy, channel, blocks, units.narrow,
                                             {0, units.narrow.count});
  }
  ONNXC_ROLLED
  for (; oy < end; ++oy)
    conv_blocked_rows<NV, 1>(c, zeros, image, oy, channel, blocks, units.cut, {0, units.cut.count});
}

// Bytes of a panel's weights that are multiplied with all pixels of a group before the next are, so that they stay in
// the first cache; bytes of the input that a group reads meanwhile, so that they stay in the second. Measured on a Zen
// 3 (32 KiB, 512 KiB): README.md.
inline constexpr int64_t kFirstCacheWeights = 20 << 10, kSecondCacheInput = 256 << 10;

// Of an image, `panels` of NV vectors of output channels from `channel`, before which stand `first` of `all` vectors.
template <int NV>
ONNXC_INLINE void conv_blocked_panels(const BlockedConv& c, const float* zeros, int64_t image, int64_t channel,
                                      int64_t panels, const Share& share, int64_t first, int64_t all) {
  const BlockedUnits<NV> units(c.g);
  const int64_t width = NV * kLanes<float>, taps = c.g.kh * c.g.kw, blocks = (c.ic + kBlock - 1) / kBlock;
  const int64_t chain = blocks_of_chain(taps), chain_bytes = chain * kBlock * taps * width * int64_t(sizeof(float));
  const int64_t step = chain * (chain_bytes < kFirstCacheWeights ? kFirstCacheWeights / chain_bytes : 1);
  const int64_t unit_bytes =
      units.pixels() * c.g.stride_h * c.g.stride_w * (step < blocks ? step : blocks) * kBlock * int64_t(sizeof(float));
  const int64_t count = units.count(), most = unit_bytes < kSecondCacheInput ? kSecondCacheInput / unit_bytes : 1;
  const int64_t groups = (count + most - 1) / most, group = groups > 1 ? (count + groups - 1) / groups : most;
  ONNXC_ROLLED
  for (int64_t unit = 0; unit < count; unit += group) {
    ONNXC_ROLLED
    for (int64_t block = 0; block < blocks; block += step) {
      ONNXC_ROLLED
      for (int64_t panel = 0; panel < panels; ++panel) {
        Range mine = share.of(first + panel * NV, all, count, NV);
        if (mine.begin < unit) mine.begin = unit;
        if (mine.end > unit + group) mine.end = unit + group;
        if (mine.begin >= mine.end) continue;
        conv_blocked_units<NV>(c, zeros, image, channel + panel * width,
                               {block, block + step < blocks ? block + step : blocks}, units, mine);
      }
    }
  }
}

ONNXC_INLINE void conv_blocked(BlockedConv c, const Share& share) {
  constexpr int64_t lanes = kLanes<float>;
  const float zeros[kBlock] = {};
  Window& g = c.g;
  const bool pointwise =
      g.kh == 1 && g.kw == 1 && g.stride_h == 1 && g.stride_w == 1 && g.pad_top == 0 && g.pad_left == 0;
  if (pointwise && g.ih == g.oh && g.iw == g.ow && c.to.row == g.ow * c.to.pixel) {  // one long row of pixels
    g.iw = g.ow = g.oh * g.ow;
    g.ih = g.oh = 1;
  }
  // A panel: the channels of a tile, of which the last may be half. Vectors beyond the channels are not computed.
  const int64_t vectors = (c.oc + lanes - 1) / lanes, whole = vectors / 2;
  ONNXC_ROLLED
  for (int64_t image = 0; image < c.n; ++image) {
    const int64_t first = image * vectors, all = c.n * vectors;
    conv_blocked_panels<2>(c, zeros, image, 0, whole, share, first, all);
    if (vectors % 2) conv_blocked_panels<1>(c, zeros, image, whole * 2 * lanes, 1, share, first + whole * 2, all);
  }
}

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_conv_blocked_f32(float* y, const float* x, const float* w, const float* bias,
                                         const float* residual, int64_t n, int64_t ic, int64_t ih, int64_t iw,
                                         int64_t oc, int64_t oh, int64_t ow, int64_t kh, int64_t kw, int64_t stride_h,
                                         int64_t stride_w, int64_t pad_top, int64_t pad_left, int64_t dil_h,
                                         int64_t dil_w, int64_t activation, float alpha, float beta, int64_t by_rows,
                                         int64_t begin, int64_t end) {
  using onnxc_kernels::kBlock;
  const onnxc_kernels::Window window{ih, iw, oh, ow, kh, kw, stride_h, stride_w, pad_top, pad_left, dil_h, dil_w};
  onnxc_kernels::conv_blocked({{y, x, w, bias, residual, n, ic, oc, window, {activation, alpha, beta}},
                               {0, kBlock, ow * kBlock, oh * ow * kBlock}},
                              {by_rows, begin, end});
}
ONNXC_KERNEL void onnxc_conv_spread_f32(float* y, const float* x, const float* w, const float* bias, int64_t n,
                                        int64_t ic, int64_t ih, int64_t iw, int64_t oc, int64_t oh, int64_t ow,
                                        int64_t kh, int64_t kw, int64_t stride_h, int64_t stride_w, int64_t pad_top,
                                        int64_t pad_left, int64_t dil_h, int64_t dil_w, int64_t activation, float alpha,
                                        float beta, int64_t step_h, int64_t step_w, int64_t row, int64_t column,
                                        int64_t map_h, int64_t map_w, int64_t by_rows, int64_t begin, int64_t end) {
  using onnxc_kernels::kBlock;
  const onnxc_kernels::Window window{ih, iw, oh, ow, kh, kw, stride_h, stride_w, pad_top, pad_left, dil_h, dil_w};
  const onnxc_kernels::Places to{(row * map_w + column) * kBlock, step_w * kBlock, step_h * map_w * kBlock,
                                 map_h * map_w * kBlock};
  onnxc_kernels::conv_blocked({{y, x, w, bias, nullptr, n, ic, oc, window, {activation, alpha, beta}}, to},
                              {by_rows, begin, end});
}

#endif
