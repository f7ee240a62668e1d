// Changes of layout by square tiles that are transposed in registers: to_blocked_f32 (plain [N][C][P] to
// [N][ceil(C/16)][P][16], pad lanes 0), to_plain_f32 (the way back), transpose_f32 ([B][R][C] to [B][C][R]). With
// `groups` > 1 to_blocked_f32 shuffles: channel c of the result is channel (c % groups) * (C / groups) + c / groups.
// Tested in tests/unit/kernels/transpose_test.cc.
#ifndef ONNXC_KERNELS_TRANSPOSE_H
#define ONNXC_KERNELS_TRANSPOSE_H

#include "tile.h"

namespace onnxc_kernels {

// Lane i of a step of a transposition: every other run of `Run` lanes of a, the gaps filled by b's. `Second`: by the
// runs that the first half of the step leaves.
template <int Lanes, int Run, bool Second>
ONNXC_INLINE constexpr int mixed_lane(int i) {
  const int start = (Second ? Run : 0) + i / (2 * Run) * (2 * Run) + i % Run;
  return i / Run % 2 == 0 ? start : Lanes + start;
}
template <class V, int Run, bool Second, int... I>
ONNXC_INLINE V mix(V a, V b, Indices<I...>) {
  return __builtin_shufflevector(a, b, mixed_lane<kLanesOf<V>, Run, Second>(I)...);
}

// L x L elements.
template <int L>
struct SquareTile {
  using V = Vec<float, L>;
  V v[L];

  template <int Run>
  ONNXC_INLINE void exchange() {
    if constexpr (Run > 0) {
      using All = typename FirstIndices<L>::type;
      ONNXC_UNROLL
      for (int i = 0; i < L; ++i) {
        if (i / Run % 2 == 1) continue;
        const V a = v[i], b = v[i + Run];
        v[i] = mix<V, Run, false>(a, b, All{});
        v[i + Run] = mix<V, Run, true>(a, b, All{});
      }
      exchange<Run / 2>();
    }
  }
  ONNXC_INLINE void transpose() { exchange<L / 2>(); }
  // Row i to y + i * step, for the first `rows`.
  ONNXC_INLINE void store_rows(float* y, int64_t step, int64_t rows) const {
    ONNXC_UNROLL
    for (int i = 0; i < L; ++i) {
      if (i < rows) store<V>(y + i * step, v[i]);
    }
  }
};

// An extent cut into units of L; the last one goes on to the end, where its second tile is moved back to. Shorter than
// L: one unit.
template <int L>
struct TileUnits {
  int64_t extent;

  ONNXC_INLINE int64_t count() const { return extent < L ? 1 : extent / L; }
  ONNXC_INLINE int64_t turns(int64_t unit) const { return unit + 1 == count() && extent % L != 0 ? 2 : 1; }
  ONNXC_INLINE int64_t at(int64_t unit, int64_t turn) const { return turn == 0 ? unit * L : extent - L; }
};

// A block of channels of one image: those from `first` on, of `channels`, which are shuffled by `groups`.
struct ChannelBlock {
  int64_t first, channels, pixels, groups;

  ONNXC_INLINE int64_t has() const { return channels - first < kBlock ? channels - first : kBlock; }
  ONNXC_INLINE int64_t plane(int64_t lane) const {
    const int64_t c = first + lane;
    return (groups > 1 ? c % groups * (channels / groups) + c / groups : c) * pixels;
  }
};

// L pixels from `at` on, of all lanes of the block: plain -> blocked, and back.
template <int L>
struct ToBlocked {
  static ONNXC_INLINE void run(const ChannelBlock& b, float* y, const float* x, int64_t at) {
    ONNXC_ROLLED
    for (int64_t lane = 0; lane < kBlock; lane += L) {
      if constexpr (L == 1) {
        y[at * kBlock + lane] = lane < b.has() ? x[b.plane(lane) + at] : 0.0f;
      } else {
        using V = typename SquareTile<L>::V;
        SquareTile<L> t;
        ONNXC_UNROLL
        for (int i = 0; i < L; ++i) t.v[i] = lane + i < b.has() ? load<V>(x + b.plane(lane + i) + at) : V{};
        t.transpose();
        t.store_rows(y + at * kBlock + lane, kBlock, L);
      }
    }
  }
};
template <int L>
struct ToPlain {
  static ONNXC_INLINE void run(const ChannelBlock& b, float* y, const float* x, int64_t at) {
    const int64_t has = b.has();
    ONNXC_ROLLED
    for (int64_t lane = 0; lane < has; lane += L) {
      if constexpr (L == 1) {
        y[b.plane(lane) + at] = x[at * kBlock + lane];
      } else {
        SquareTile<L> t;
        ONNXC_UNROLL
        for (int i = 0; i < L; ++i) t.v[i] = load<typename SquareTile<L>::V>(x + (at + i) * kBlock + lane);
        t.transpose();
        t.store_rows(y + b.plane(lane) + at, b.pixels, has - lane);
      }
    }
  }
};

// The tiles of the level, those of 4 where extents are shorter, single elements where these are too.
inline constexpr int kTileLanes = kLanes<float>;
inline constexpr int kShortTile = kTileLanes < 4 ? kTileLanes : 4;
template <class F>
ONNXC_INLINE void with_tile(int64_t extent, const F& f) {
  if (extent >= kTileLanes) {
    f.template run<kTileLanes>();
  } else if (extent >= kShortTile) {
    f.template run<kShortTile>();
  } else {
    f.template run<1>();
  }
}

template <template <int> class Change, bool kPlainSource>
struct ChangeLayout {
  float* y;
  const float* x;
  int64_t n, c, pixels, groups;
  const Share& share;

  template <int L>
  ONNXC_INLINE void run() const {
    const int64_t blocks = (c + kBlock - 1) / kBlock, planes = n * blocks;
    const TileUnits<L> units{pixels};
    ONNXC_ROLLED
    for (int64_t plane = 0; plane < planes; ++plane) {
      const Range mine = share.of(plane, planes, units.count());
      const int64_t plain = plane / blocks * c * pixels, blocked = plane * pixels * kBlock;
      const ChannelBlock block{plane % blocks * kBlock, c, pixels, groups};
      ONNXC_ROLLED
      for (int64_t unit = mine.begin; unit < mine.end; ++unit) {
        const int64_t turns = units.turns(unit);
        ONNXC_ROLLED
        for (int64_t turn = 0; turn < turns; ++turn)
          Change<L>::run(block, y + (kPlainSource ? blocked : plain), x + (kPlainSource ? plain : blocked),
                         units.at(unit, turn));
      }
    }
  }
};

struct TransposeMatrices {
  float* y;
  const float* x;
  int64_t batches, rows, columns;
  const Share& share;

  // Columns c .. c + L - 1 of a matrix become rows of the transposed one.
  template <int L>
  ONNXC_INLINE void run_columns(float* to, const float* from, int64_t c) const {
    const int64_t count = (rows + L - 1) / L;
    ONNXC_ROLLED
    for (int64_t i = 0; i < count; ++i) {
      const int64_t r = (i + 1) * L <= rows ? i * L : rows - L;
      if constexpr (L == 1) {
        to[c * rows + r] = from[r * columns + c];
      } else {
        SquareTile<L> t;
        ONNXC_UNROLL
        for (int j = 0; j < L; ++j) t.v[j] = load<typename SquareTile<L>::V>(from + (r + j) * columns + c);
        t.transpose();
        t.store_rows(to + c * rows + r, rows, L);
      }
    }
  }
  template <int L>
  ONNXC_INLINE void run() const {
    const TileUnits<L> units{columns};
    ONNXC_ROLLED
    for (int64_t b = 0; b < batches; ++b) {
      const Range mine = share.of(b, batches, units.count());
      ONNXC_ROLLED
      for (int64_t unit = mine.begin; unit < mine.end; ++unit) {
        const int64_t turns = units.turns(unit);
        ONNXC_ROLLED
        for (int64_t turn = 0; turn < turns; ++turn)
          run_columns<L>(y + b * rows * columns, x + b * rows * columns, units.at(unit, turn));
      }
    }
  }
};

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_to_blocked_f32(float* y, const float* x, int64_t n, int64_t c, int64_t pixels, int64_t groups,
                                       int64_t begin, int64_t end) {
  using namespace onnxc_kernels;
  const Share share{0, begin, end};
  with_tile(pixels, ChangeLayout<ToBlocked, true>{y, x, n, c, pixels, groups, share});
}
ONNXC_KERNEL void onnxc_to_plain_f32(float* y, const float* x, int64_t n, int64_t c, int64_t pixels, int64_t begin,
                                     int64_t end) {
  using namespace onnxc_kernels;
  const Share share{0, begin, end};
  with_tile(pixels, ChangeLayout<ToPlain, false>{y, x, n, c, pixels, 1, share});
}
ONNXC_KERNEL void onnxc_transpose_f32(float* y, const float* x, int64_t batches, int64_t rows, int64_t columns,
                                      int64_t begin, int64_t end) {
  using namespace onnxc_kernels;
  const Share share{0, begin, end};
  with_tile(rows < columns ? rows : columns, TransposeMatrices{y, x, batches, rows, columns, share});
}

#endif
