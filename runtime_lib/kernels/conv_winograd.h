// conv_winograd_f32: 3x3 convolution, stride 1, dilation 1, of NCHW16c by NCHW16c as in conv_blocked.h, by Winograd's
// F(m,3), m = 2 or 4: a tile of m x m outputs is A'[(G g G') . (B' d B)]A of N x N inputs, N = m + 2 (Lavin and Gray
// 2015; Toom-Cook points 0, 1, -1 and for m = 4 also 1/2 and -2, which lose less accuracy than 2 and -2). u holds
// G g G' as [ceil(OC/32)][PH*PW][IC][32 oc], the last panel 16 wide when that is all there is, zeros as padding. Lanes
// of x beyond IC are never summed; lanes of y beyond OC as in conv_blocked.h. residual may be y.
//
// kh and kw may be 2: the third tap is 0, and so are the products at the last point, infinity, which u leaves out: PH =
// m + kh - 1 and PW = m + kw - 1 points are multiplied.
//
// All tiles of all images are numbered and cut evenly into ceil(tiles / block) blocks. A block is transformed to V
// [N*N][ceil(IC/16)][tiles][16]; each panel then makes the products M [N*N][tiles][32] and transforms them back. Planes
// of V and M are 64 bytes further apart than they are long, so that one tile's lines do not meet in one cache set.
//
// (block, panel) pairs, panels fastest, are the units of work: every element of y depends on one pair only. They are
// cut evenly into `shares`; [begin, end) counts these. `scratch` has a slot for each share, of which a call uses that
// of its first: N*N * (most * (16 * ceil(IC/16) + 32) + 32) floats, `most` being the tiles of the largest block. Tested
// in tests/unit/kernels/winograd_test.cc.
#ifndef ONNXC_KERNELS_CONV_WINOGRAD_H
#define ONNXC_KERNELS_CONV_WINOGRAD_H

#include "conv_args.h"

namespace onnxc_kernels {

// Columns of one panel of u, and how many of its k-rows ahead are fetched: u is one stream, often from main memory.
inline constexpr int64_t kWinogradPanel = 2 * kBlock, kWinogradAhead = 160;
// Shorter chains than the direct form's: the transform back magnifies the error of the products.
inline constexpr int64_t kWinogradChain = 64;

// One dimension of the transforms: v = B'd of the input, y = A'm of the products.
template <int M>
struct WinogradTransform;
template <>
struct WinogradTransform<2> {
  template <class V>
  static ONNXC_INLINE void input(const V* d, V* v) {
    v[0] = d[0] - d[2];
    v[1] = d[1] + d[2];
    v[2] = d[2] - d[1];
    v[3] = d[3] - d[1];
  }
  template <class V>
  static ONNXC_INLINE void output(const V* m, V* y) {
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] + m[3];
  }
};
template <>
struct WinogradTransform<4> {
  template <class V>
  static ONNXC_INLINE void input(const V* d, V* v) {
    const V e = d[4] - d[2], o = d[3] - d[1];
    v[0] = madd(o, 1.5f, d[0] - d[2] + e);
    v[1] = madd(d[2] + d[3], 1.5f, e + o);
    v[2] = madd(d[3] - d[2], 1.5f, e - o);
    v[3] = madd(o, 2.0f, e);
    v[4] = madd(o, -0.5f, e);
    v[5] = madd(e, 1.5f, d[5] - d[3] - o);
  }
  template <class V>
  static ONNXC_INLINE void output(const V* m, V* y) {
    const V s = m[1] + m[2], d = m[1] - m[2];
    y[0] = m[0] + s + (m[3] + m[4]);
    y[1] = madd(m[4], -2.0f, madd(m[3], 0.5f, d));
    y[2] = madd(m[4], 4.0f, madd(m[3], 0.25f, s));
    y[3] = madd(m[4], -8.0f, madd(m[3], 0.125f, d + m[5]));
  }
};

// Products of one plane: rows are tiles from `row`, columns NV vectors of a panel of W.
template <int W, int NV>
struct WinogradTile {
  const float *v, *u;  // the plane's first block of channels, its first tile; the panel's columns
  float* m;
  int64_t ic, tiles, row;

  struct RowsOfV {
    const float* v;
    ONNXC_INLINE float operator()(int r, int64_t i) const { return v[r * kBlock + i]; }
  };

  template <int MR>
  ONNXC_INLINE void run() {
    Tile<float, MR, NV> tile;
    tile.clear();
    float* sums = m + row * W;
    bool flushed = false;
    ONNXC_ROLLED
    for (int64_t i = 0; i < ic; i += kBlock) {
      if (i > 0 && i % kWinogradChain == 0) {
        tile.flush(sums, W, kBlock, !flushed);
        flushed = true;
      }
      const RowsOfV rows{v + i * tiles + row * kBlock};
      tile.template multiply<kWinogradAhead>(rows, u + i * W, W, kBlock, ic - i < kBlock ? ic - i : kBlock);
    }
    if (flushed)
      tile.flush(sums, W, kBlock, false);
    else
      tile.store_rows(sums, W);
  }
};

template <int M>
struct Winograd {
  static constexpr int N = M + 2;
  using V = Wide<float>;
  static constexpr int64_t lanes = kLanes<float>;
  using Transform = WinogradTransform<M>;

  const ConvArgs& c;
  int64_t channel_blocks;             // of x
  int64_t points_h, points_w;         // with products, of N
  int64_t tile_columns, image_tiles;  // tiles of a row, of an image
  Cut cut;                            // of all tiles into blocks
  int64_t step_v, step_m;             // between planes
  float *planes_v, *planes_m;

  ONNXC_INLINE Winograd(const ConvArgs& args, int64_t block) : c(args) {
    channel_blocks = (c.ic + kBlock - 1) / kBlock;
    points_h = M + c.g.kh - 1;
    points_w = M + c.g.kw - 1;
    tile_columns = (c.g.ow + M - 1) / M;
    image_tiles = (c.g.oh + M - 1) / M * tile_columns;
    cut = cut_evenly(c.n * image_tiles, block);
    const int64_t most = cut.rows(0);
    step_v = most * channel_blocks * kBlock + kBlock;
    step_m = most * kWinogradPanel + kBlock;
  }

  ONNXC_INLINE void run(float* scratch, int64_t shares, int64_t first_share, int64_t last_share) {
    const int64_t panels = (c.oc + kWinogradPanel - 1) / kWinogradPanel, pairs = cut.count * panels;
    const int64_t end = pairs * last_share / shares;
    planes_v = scratch + first_share * N * N * (step_v + step_m);
    planes_m = planes_v + N * N * step_v;
    clear_missing_products();
    ONNXC_ROLLED
    for (int64_t at = pairs * first_share / shares; at < end;) {
      const int64_t block = at / panels, tiles = cut.rows(block);
      const int64_t first = block * cut.height + (block < cut.larger ? block : cut.larger);
      const int64_t until = (block + 1) * panels < end ? (block + 1) * panels : end;
      transform_input(first, tiles);
      ONNXC_ROLLED
      for (; at < until; ++at) {
        const int64_t channel = at % panels * kWinogradPanel;
        if (c.oc - channel > kBlock)
          run_panel<2 * kBlock>(first, tiles, channel);
        else
          run_panel<kBlock>(first, tiles, channel);
      }
    }
  }

  // The products at infinity that are not made, for all panels.
  ONNXC_INLINE void clear_missing_products() {
    ONNXC_ROLLED
    for (int64_t p = 0; p < N * N; ++p) {
      if (p / N < points_h && p % N < points_w) continue;
      ONNXC_ROLLED
      for (int64_t i = 0; i < step_m; i += lanes) store<V>(planes_m + p * step_m + i, V{});
    }
  }

  // Where tile t lies: its image, its first output.
  struct Position {
    int64_t image, oy, ox;
  };
  ONNXC_INLINE Position position(int64_t t) const {
    const int64_t in_image = t % image_tiles;
    return {t / image_tiles, in_image / tile_columns * M, in_image % tile_columns * M};
  }

  // ---- V of the tiles from `first`.
  ONNXC_INLINE void transform_input(int64_t first, int64_t tiles) {
    const float zeros[kBlock] = {};
    ONNXC_ROLLED
    for (int64_t b = 0; b < channel_blocks; ++b) {
      ONNXC_ROLLED
      for (int64_t t = 0; t < tiles; ++t) {
        const Position p = position(first + t);
        const float* plane = c.x + (p.image * channel_blocks + b) * c.g.ih * c.g.iw * kBlock;
        const int64_t iy = p.oy - c.g.pad_top, ix = p.ox - c.g.pad_left;
        const float* x = plane + (iy * c.g.iw + ix) * kBlock;
        float* v = planes_v + (b * tiles + t) * kBlock;
        const bool inside = iy >= 0 && ix >= 0 && iy + N <= c.g.ih && ix + N <= c.g.iw;
        ONNXC_ROLLED
        for (int64_t lane = 0; lane < kBlock; lane += lanes) {
          if (inside)
            transform_tile(Inside{x + lane, c.g.iw * kBlock}, v + lane);
          else
            transform_tile(AtEdge{plane + lane, zeros, iy, ix, c.g.ih, c.g.iw}, v + lane);
        }
      }
    }
  }
  struct Inside {
    const float* x;
    int64_t row_step;
    ONNXC_INLINE const float* operator()(int64_t row, int64_t column) const {
      return x + row * row_step + column * kBlock;
    }
  };
  struct AtEdge {
    const float *plane, *zeros;
    int64_t iy, ix, ih, iw;
    ONNXC_INLINE const float* operator()(int64_t row, int64_t column) const {
      const bool exists = uint64_t(iy + row) < uint64_t(ih) && uint64_t(ix + column) < uint64_t(iw);
      return exists ? plane + ((iy + row) * iw + ix + column) * kBlock : zeros;
    }
  };
  template <class At>
  ONNXC_INLINE void transform_tile(At at, float* v) {
    V columns[N * N];
    ONNXC_ROLLED
    for (int64_t x = 0; x < N; ++x) {
      V d[N], out[N];
      ONNXC_UNROLL
      for (int y = 0; y < N; ++y) d[y] = load<V>(at(y, x));
      Transform::input(d, out);
      ONNXC_UNROLL
      for (int y = 0; y < N; ++y) columns[y * N + x] = out[y];
    }
    ONNXC_ROLLED
    for (int64_t y = 0; y < points_h; ++y) {
      V out[N];
      Transform::input(columns + y * N, out);
      ONNXC_UNROLL
      for (int x = 0; x < N; ++x) store<V>(v + (y * N + x) * step_v, out[x]);
    }
  }

  // ---- W output channels from `channel`.
  template <int W>
  ONNXC_INLINE void run_panel(int64_t first, int64_t tiles, int64_t channel) {
    const float* u = c.w + channel * points_h * points_w * c.ic;
    const int64_t valid = c.oc - channel < W ? c.oc - channel : W;
    ONNXC_ROLLED
    for (int64_t point = 0; point < points_h * points_w; ++point) {
      const int64_t p = point / points_w * N + point % points_w;
      const float *v = planes_v + p * step_v, *columns = u + point * c.ic * W;
      float* m = planes_m + p * step_m;
      int64_t column = 0;
      if constexpr (W >= 2 * lanes) {
        ONNXC_ROLLED
        for (; column + lanes < valid; column += 2 * lanes)
          multiply_columns(WinogradTile<W, 2>{v, columns + column, m + column, c.ic, tiles, 0});
      }
      if (column < valid) multiply_columns(WinogradTile<W, 1>{v, columns + column, m + column, c.ic, tiles, 0});
    }
    const int64_t vectors = (valid + lanes - 1) / lanes;
    ONNXC_ROLLED
    for (int64_t t = 0; t < tiles; ++t) transform_output(position(first + t), channel, vectors, planes_m + t * W);
  }
  template <int W, int NV>
  static ONNXC_INLINE void multiply_columns(WinogradTile<W, NV> tile) {
    const Cut rows = cut_evenly(tile.tiles, kMaxRows<NV>);
    ONNXC_ROLLED
    for (int64_t r = 0; r < rows.count; ++r) {
      with_rows<kMaxRows<NV>>(rows.rows(r), tile);
      tile.row += rows.rows(r);
    }
  }

  ONNXC_INLINE void transform_output(Position p, int64_t channel, int64_t vectors, const float* m) {
    const int64_t blocks = (c.oc + kBlock - 1) / kBlock, plane = c.g.oh * c.g.ow * kBlock;
    const int64_t at = (p.image * blocks + channel / kBlock) * plane + (p.oy * c.g.ow + p.ox) * kBlock;
    const int64_t rows = c.g.oh - p.oy < M ? c.g.oh - p.oy : M, columns = c.g.ow - p.ox < M ? c.g.ow - p.ox : M;
    ONNXC_ROLLED
    for (int64_t lane = 0; lane < vectors * lanes; lane += lanes) {
      V half[M * N];
      ONNXC_ROLLED
      for (int64_t y = 0; y < N; ++y) {
        V in[N], out[M];
        ONNXC_UNROLL
        for (int x = 0; x < N; ++x) in[x] = load<V>(m + (y * N + x) * step_m + lane);
        Transform::output(in, out);
        ONNXC_UNROLL
        for (int x = 0; x < M; ++x) half[x * N + y] = out[x];
      }
      ONNXC_ROLLED
      for (int64_t x = 0; x < columns; ++x) {
        V out[M];
        Transform::output(half + x * N, out);
        ONNXC_UNROLL
        for (int y = 0; y < M; ++y) {
          const int64_t here = at + column_offset(lane, plane) + (y * c.g.ow + x) * kBlock;
          if (y < rows) finish_blocked(c, out[y], channel + lane, here);
        }
      }
    }
    if (c.activation.in_registers()) return;
    ONNXC_ROLLED
    for (int64_t y = 0; y < rows; ++y) activate_blocked(c, at + y * c.g.ow * kBlock, columns, vectors, plane);
  }
};

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_conv_winograd_f32(float* y, const float* x, const float* u, const float* bias,
                                          const float* residual, float* scratch, int64_t n, int64_t ic, int64_t ih,
                                          int64_t iw, int64_t oc, int64_t oh, int64_t ow, int64_t kh, int64_t kw,
                                          int64_t pad_top, int64_t pad_left, int64_t m, int64_t block, int64_t shares,
                                          int64_t activation, float alpha, float beta, int64_t begin, int64_t end) {
  const onnxc_kernels::ConvArgs c{y,
                                  x,
                                  u,
                                  bias,
                                  residual,
                                  n,
                                  ic,
                                  oc,
                                  {ih, iw, oh, ow, kh, kw, 1, 1, pad_top, pad_left, 1, 1},
                                  {activation, alpha, beta}};
  if (m == 4)
    onnxc_kernels::Winograd<4>(c, block).run(scratch, shares, begin, end);
  else
    onnxc_kernels::Winograd<2>(c, block).run(scratch, shares, begin, end);
}

#endif
