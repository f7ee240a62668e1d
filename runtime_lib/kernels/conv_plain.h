// conv_plain_f32: convolution of plain tensors with any groups: x [N][IC][IH][IW], w [OC][IC/groups][KH][KW], y
// [N][OC][OH][OW], residual as y but other memory, bias [OC] or null. What grouped convolutions, those with few output
// channels and firmware use. A tile is a few output channels of one group by vectors of pixels of a row; the last
// vector of a row is moved back to end where the row ends. A 1x1 convolution is one long row. Where windows reach
// beyond the row or are not dense, the tile reads each input row through a small zero-filled copy. Sums longer than
// kChain wait in y. Tested in tests/unit/kernels/conv_test.cc.
#ifndef ONNXC_KERNELS_CONV_PLAIN_H
#define ONNXC_KERNELS_CONV_PLAIN_H

#include "conv_args.h"

namespace onnxc_kernels {

// A tile is up to kPlainChannels channels by kPlainVectors vectors, or one channel by kPlainLong: what the registers
// hold. At least 3 vectors, so that no tile of a row that is cut evenly into several is a single vector.
inline constexpr int kPlainChannels = ONNXC_LEVEL == 4 ? 8 : ONNXC_LEVEL == 3 ? 4 : 3;
inline constexpr int kPlainVectors = 3;
inline constexpr int kPlainLong = 8;
// The narrowest vector that tiles are made of, and the floats of a tile's copy of an input row.
inline constexpr int kPlainNarrow = kLanes<float> > 4 ? 4 : kLanes<float>;
inline constexpr int64_t kPlainCopy = 1024;

struct PlainConv {
  ConvArgs c;
  int64_t groups;
  // Taps k, k + together, ... are `tap_step` elements of a copy apart.
  int64_t together, tap_step;

  ONNXC_INLINE int64_t channels() const { return c.ic / groups; }
  ONNXC_INLINE int64_t per_output() const { return channels() * c.g.kh * c.g.kw; }
  ONNXC_INLINE bool one_tap() const { return c.g.kh == 1 && c.g.kw == 1; }
  // Channels whose products are one chain.
  ONNXC_INLINE int64_t chain() const {
    const int64_t taps = c.g.kh * c.g.kw;
    return taps < kChain ? kChain / taps : 1;
  }
  // Whether the copy for `pixels` pixels fits.
  ONNXC_INLINE bool copyable(int64_t pixels) const { return copy_width(pixels) * c.g.stride_w <= kPlainCopy; }
  // Elements of the copy that `pixels` pixels need for each of stride_w phases.
  ONNXC_INLINE int64_t copy_width(int64_t pixels) const { return pixels + (c.g.kw - 1) * c.g.dil_w / c.g.stride_w; }
};

// A row of outputs, and the output channels of a tile from `first`, all of one group.
struct PlainPlace {
  int64_t image, first, oy;

  ONNXC_INLINE const float* input(const PlainConv& p) const {
    return p.c.x + (image * p.c.ic + first / (p.c.oc / p.groups) * p.channels()) * p.c.g.ih * p.c.g.iw;
  }
  ONNXC_INLINE int64_t output(const PlainConv& p, int64_t o) const {
    return ((image * p.c.oc + first + o) * p.c.g.oh + oy) * p.c.g.ow;
  }
};

template <class V>
ONNXC_INLINE V finish_plain(const ConvArgs& c, V v, int64_t channel, V residual) {
  if (c.bias) v = v + splat<V>(c.bias[channel]);
  if (c.residual) v = v + residual;
  return c.activation.in_registers() ? c.activation.apply_in_registers<V>(v) : v;
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
ONNXC_INLINE void conv_plain_pixel(const PlainConv& p, const PlainPlace& at, int64_t ox) {
  const ConvArgs& c = p.c;
  const Window& g = c.g;
  const int64_t y0 = at.oy * g.stride_h - g.pad_top, x0 = ox * g.stride_w - g.pad_left;
  const Range rows = taps_inside(y0, g.dil_h, g.kh, g.ih), columns = taps_inside(x0, g.dil_w, g.kw, g.iw);
  const int64_t channels = p.channels(), per_output = p.per_output(), chain = p.chain();
  const float *x = at.input(p), *w = c.w + at.first * per_output;
  float sum[OC], total[OC];
  ONNXC_UNROLL
  for (int o = 0; o < OC; ++o) sum[o] = total[o] = 0;
  ONNXC_ROLLED
  for (int64_t i = 0; i < channels; ++i) {
    if (i > 0 && i % chain == 0) {
      ONNXC_UNROLL
      for (int o = 0; o < OC; ++o) {
        total[o] = total[o] + sum[o];
        sum[o] = 0;
      }
    }
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
    const int64_t here = at.output(p, o) + ox;
    c.y[here] = finish_plain<float>(c, total[o] + sum[o], at.first + o, c.residual ? c.residual[here] : 0.0f);
  }
}

// OC channels by NV vectors V of pixels from `ox`, the last vector moved `back` pixels (0 where it is the only one).
template <class V, int OC, int NV>
struct PlainTile {
  static constexpr int kLanesV = kLanesOf<V>;
  const PlainConv& p;
  const PlainPlace& at;
  int64_t ox, back;
  V acc[OC][NV];

  ONNXC_INLINE int64_t place(int n) const { return n * kLanesV - (n == NV - 1 ? back : 0); }
  ONNXC_INLINE int64_t pixels() const { return NV * kLanesV - back; }

  // acc += x[i * step + pixels] * taps[o][i * tap_step] for i in 0 .. count - 1. Lines from `later` on are fetched into
  // the second cache.
  ONNXC_INLINE void multiply(const float* x, int64_t step, const float* taps, int64_t tap_step, int64_t count,
                             const float* later) {
    const int64_t per_output = p.per_output(), last = place(NV - 1);
    ONNXC_ROLLED
    for (int64_t i = 0; i < count; ++i) {
      __builtin_prefetch(later + i * OC, 0, 2);
      V v[NV];
      ONNXC_UNROLL
      for (int n = 0; n < NV; ++n) v[n] = load<V>(x + i * step + (n == NV - 1 ? last : n * kLanesV));
      ONNXC_UNROLL
      for (int o = 0; o < OC; ++o) {
        const V tap = splat<V>(taps[o * per_output + i * tap_step]);
        ONNXC_UNROLL
        for (int n = 0; n < NV; ++n) acc[o][n] = madd(v[n], tap, acc[o][n]);
      }
    }
  }
  // The columns of an input row from x0 on, `width` for each phase; those outside are zeros.
  ONNXC_INLINE void copy_row(float* copy, const float* row, int64_t x0, int64_t width) {
    const Window& g = p.c.g;
    ONNXC_ROLLED
    for (int64_t phase = 0; phase < g.stride_w; ++phase) {
      ONNXC_ROLLED
      for (int64_t j = 0; j < width; ++j) {
        const int64_t column = x0 + phase + j * g.stride_w;
        copy[phase * width + j] = uint64_t(column) < uint64_t(g.iw) ? row[column] : 0.0f;
      }
    }
  }
  // The sums so far to y, or added to what waits there. Vectors that overlap are read before any is written.
  ONNXC_INLINE void flush(bool first) {
    ONNXC_UNROLL
    for (int o = 0; o < OC; ++o) {
      float* y = p.c.y + at.output(p, o) + ox;
      ONNXC_UNROLL
      for (int n = 0; n < NV && !first; ++n) acc[o][n] = load<V>(y + place(n)) + acc[o][n];
      ONNXC_UNROLL
      for (int n = 0; n < NV; ++n) {
        store<V>(y + place(n), acc[o][n]);
        acc[o][n] = V{};
      }
    }
    __asm__ volatile("" ::"r"(p.c.y) : "memory");  // the sums stay in memory and take no register
  }
  ONNXC_INLINE void finish(bool flushed) {
    const ConvArgs& c = p.c;
    ONNXC_UNROLL
    for (int o = 0; o < OC; ++o) {
      const int64_t y = at.output(p, o) + ox;
      ONNXC_UNROLL
      for (int n = 0; n < NV && flushed; ++n) acc[o][n] = load<V>(c.y + y + place(n)) + acc[o][n];
      ONNXC_UNROLL
      for (int n = 0; n < NV; ++n) {
        const V residual = c.residual ? load<V>(c.residual + y + place(n)) : V{};
        store<V>(c.y + y + place(n), finish_plain<V>(c, acc[o][n], at.first + o, residual));
      }
    }
  }

  // One loop for all geometries, so that the tile's code stands once: a single tap takes the channels of a chain as the
  // steps of one product, others have a product for each row of taps, or for each phase of a copied row.
  ONNXC_INLINE void run() {
    const Window& g = p.c.g;
    const int64_t y0 = at.oy * g.stride_h - g.pad_top, x0 = ox * g.stride_w - g.pad_left;
    const int64_t channels = p.channels(), width = p.copy_width(pixels());
    const bool dense = g.stride_w == 1 && x0 >= 0 && x0 + pixels() + (g.kw - 1) * g.dil_w <= g.iw;
    const bool many = p.one_tap() && dense;
    const int64_t chain = p.chain(), stride = many ? kChain : 1, plane = g.ih * g.iw;
    const int64_t starts = dense ? 1 : p.together < g.kw ? p.together : g.kw;
    const float *x = at.input(p), *w = p.c.w + at.first * p.per_output();
    const Range rows = taps_inside(y0, g.dil_h, g.kh, g.ih);
    ONNXC_UNROLL
    for (int o = 0; o < OC; ++o) {
      ONNXC_UNROLL
      for (int n = 0; n < NV; ++n) acc[o][n] = V{};
    }
    ONNXC_ROLLED
    for (int64_t i = 0; i < channels; i += stride) {
      if (i > 0 && i % chain == 0) flush(i == chain);
      const int64_t rest = channels - i, count = !many ? g.kw : rest < kChain ? rest : kChain;
      ONNXC_ROLLED
      for (int64_t ky = rows.begin; ky < rows.end; ++ky) {
        const float* row = x + (i * g.ih + y0 + ky * g.dil_h) * g.iw;
        const float* taps = w + (i * g.kh + ky) * g.kw;
        float copy[kPlainCopy];
        if (!dense) copy_row(copy, row, x0, width);
        ONNXC_ROLLED
        for (int64_t k = 0; k < starts; ++k) {
          const int64_t column = k * g.dil_w, phase = column % g.stride_w;
          const float* pixels = dense ? row + x0 : copy + phase * width + column / g.stride_w;
          const int64_t step = many ? plane : dense ? g.dil_w : p.tap_step, tap_step = dense ? 1 : p.together;
          // The next tile's weights follow this one's, and are read once if the map is small.
          const float* later = many ? w + OC * p.per_output() + i * OC : taps;
          multiply(pixels, step, taps + k, tap_step, (count - k + tap_step - 1) / tap_step, later);
        }
      }
    }
    finish(channels > chain);
  }
};

// How a row of pixels is cut: into tiles of the widest vectors V, and a narrow one at its end where that is enough for
// the rest. Shorter rows are narrow vectors alone, the shortest pixels.
template <class V, int OC>
struct PlainRow {
  static constexpr int kLanesV = kLanesOf<V>;
  static constexpr bool kWidest = kLanesV == kLanes<float>;
  static constexpr int kMost = !kWidest ? 1 : OC == 1 ? kPlainLong : kPlainVectors;

  static ONNXC_INLINE bool narrow_end(int64_t ow) {
    return kWidest && kLanesV > kPlainNarrow && ow % kLanesV > 0 && ow % kLanesV <= kPlainNarrow;
  }
  static ONNXC_INLINE Cut cut(int64_t ow) {
    return cut_evenly(narrow_end(ow) ? ow / kLanesV : (ow + kLanesV - 1) / kLanesV, kMost);
  }
  static ONNXC_INLINE Range pixels(const Cut& cut, int64_t tile, int64_t ow) {
    const int64_t end = cut.start(tile + 1) * kLanesV;
    return {cut.start(tile) * kLanesV, tile + 1 == cut.count ? ow : end};
  }

  struct Tiles {
    const PlainConv& p;
    const PlainPlace& at;
    int64_t ox, back;
    template <int NV>
    ONNXC_INLINE void run() {
      PlainTile<V, OC, NV>{p, at, ox, back, {}}.run();
    }
  };
  static ONNXC_INLINE void run(const PlainConv& p, const PlainPlace& at, const Cut& cut, int64_t tile) {
    const int64_t ow = p.c.g.ow, vectors = cut.rows(tile), ox = cut.start(tile) * kLanesV;
    const int64_t reach = ox + vectors * kLanesV, back = reach > ow ? reach - ow : 0;
    Tiles tiles{p, at, vectors == 1 ? ox - back : ox, vectors == 1 ? 0 : back};
    with_rows<kMost>(vectors, tiles);
    if constexpr (kWidest && kLanesV > kPlainNarrow) {
      if (tile + 1 == cut.count && narrow_end(ow))
        PlainTile<Vec<float, kPlainNarrow>, OC, 1>{p, at, ow - kPlainNarrow, 0, {}}.run();
    }
  }
};

// OC channels of a row (tile < 0), or of one tile of vectors of it.
template <class V, int OC>
ONNXC_INLINE void conv_plain_row(const PlainConv& p, const PlainPlace& at, int64_t tile) {
  constexpr int64_t lanes = kLanesOf<V>;
  using Row = PlainRow<V, OC>;
  const ConvArgs& c = p.c;
  if constexpr (lanes > kPlainNarrow) {
    if (c.g.ow < lanes) return conv_plain_row<Vec<float, kPlainNarrow>, OC>(p, at, tile);
  }
  Range done{0, c.g.ow};
  if (lanes == 1 || c.g.ow < lanes || !p.copyable(Row::kMost * lanes)) {
    ONNXC_ROLLED
    for (int64_t ox = 0; ox < c.g.ow; ++ox) conv_plain_pixel<OC>(p, at, ox);
  } else if constexpr (lanes > 1) {
    const Cut cut = Row::cut(c.g.ow);
    const int64_t first = tile < 0 ? 0 : tile, last = tile < 0 ? cut.count : tile + 1;
    if (tile >= 0) done = Row::pixels(cut, tile, c.g.ow);
    ONNXC_ROLLED
    for (int64_t t = first; t < last; ++t) Row::run(p, at, cut, t);
  }
  if (c.activation.in_registers()) return;
  ONNXC_ROLLED
  for (int64_t o = 0; o < OC; ++o) activate_plain(c, c.y + at.output(p, o) + done.begin, done.end - done.begin);
}

// The tiles of a row where they are units of work, else -1: those of a single row of whole vectors.
ONNXC_INLINE int64_t plain_tiles(const PlainConv& p) {
  using V = Wide<float>;
  constexpr int64_t lanes = kLanes<float>;
  const bool one = p.c.oc == p.groups;
  const bool vectors = lanes > 1 && p.c.g.ow >= lanes && p.copyable((one ? kPlainLong : kPlainVectors) * lanes);
  if (p.c.g.oh != 1 || !vectors) return -1;
  return one ? PlainRow<V, 1>::cut(p.c.g.ow).count : PlainRow<V, 2>::cut(p.c.g.ow).count;
}

struct PlainUnit {
  const PlainConv& p;
  const PlainPlace& at;
  int64_t tile;
  template <int OC>
  ONNXC_INLINE void run() {
    conv_plain_row<Wide<float>, OC>(p, at, tile);
  }
};

ONNXC_INLINE void conv_plain(const ConvArgs& c, int64_t groups, const Share& share) {
  int64_t together = 1;
  ONNXC_ROLLED
  while (together * c.g.dil_w % c.g.stride_w != 0) ++together;
  const PlainConv p{c, groups, together, together * c.g.dil_w / c.g.stride_w};
  const int64_t per_group = c.oc / groups, tiles = plain_tiles(p), units = tiles < 0 ? c.g.oh : tiles;
  const Cut cut = cut_evenly(per_group, kPlainChannels);
  const int64_t steps = c.n * groups * units;
  ONNXC_ROLLED
  for (int64_t step = 0; step < steps; ++step) {
    const Range mine = share.of(step, steps, cut.count);
    const int64_t unit = step % units, group = step / units % groups;
    ONNXC_ROLLED
    for (int64_t t = mine.begin; t < mine.end; ++t) {
      const PlainPlace at{step / units / groups, group * per_group + cut.start(t), tiles < 0 ? unit : 0};
      PlainUnit work{p, at, tiles < 0 ? -1 : unit};
      with_rows<kPlainChannels>(cut.rows(t), work);
    }
  }
}

// A 1x1 convolution that moves no pixel has one long row.
ONNXC_INLINE Window plain_window(const Window& g) {
  const bool still = g.stride_h == 1 && g.stride_w == 1 && g.pad_top == 0 && g.pad_left == 0;
  if (g.kh != 1 || g.kw != 1 || !still || g.ih != g.oh || g.iw != g.ow) return g;
  return {1, g.oh * g.ow, 1, g.oh * g.ow, 1, 1, 1, 1, 0, 0, 1, 1};
}

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_conv_plain_f32(float* y, const float* x, const float* w, const float* bias,
                                       const float* residual, int64_t n, int64_t ic, int64_t ih, int64_t iw, int64_t oc,
                                       int64_t oh, int64_t ow, int64_t kh, int64_t kw, int64_t stride_h,
                                       int64_t stride_w, int64_t pad_top, int64_t pad_left, int64_t dil_h,
                                       int64_t dil_w, int64_t groups, int64_t activation, float alpha, float beta,
                                       int64_t begin, int64_t end) {
  const onnxc_kernels::Window window{ih, iw, oh, ow, kh, kw, stride_h, stride_w, pad_top, pad_left, dil_h, dil_w};
  onnxc_kernels::conv_plain(
      {y, x, w, bias, residual, n, ic, oc, onnxc_kernels::plain_window(window), {activation, alpha, beta}}, groups,
      {0, begin, end});
}

#endif
