// Changes of layout by square tiles that are transposed in registers: to_blocked_f32 (plain [N][C][P] to
// [N][ceil(C/16)][P][16], pad lanes 0), to_plain_f32 (the way back), transpose_f32 ([B][R][C] to [B][C][R]). With
// `groups` > 1 to_blocked_f32 shuffles: channel c of the result is channel (c % groups) * (C / groups) + c / groups.
// Tested in tests/unit/kernels/transpose_test.cc.
#ifndef ONNXC_KERNELS_TRANSPOSE_H
#define ONNXC_KERNELS_TRANSPOSE_H

#include "tile.h"

namespace onnxc_kernels {

template <int... I>
struct Indices {};
template <int N, int... I>
struct FirstIndices : FirstIndices<N - 1, N - 1, I...> {};
template <int... I>
struct FirstIndices<0, I...> {
  using type = Indices<I...>;
};

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

// L x L elements, L the lanes of the level.
struct SquareTile {
  using V = Wide<float>;
  static constexpr int L = kLanes<float>;
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

// An extent cut into units of a tile each; the last one goes on to the end, where its second tile is moved back to.
struct TileUnits {
  static constexpr int64_t L = SquareTile::L;
  int64_t extent;

  ONNXC_INLINE bool tiles() const { return L > 1 && extent >= L; }
  ONNXC_INLINE int64_t count() const { return tiles() ? extent / L : 1; }
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

  ONNXC_INLINE void to_blocked(float* y, const float* x, const TileUnits& units, int64_t unit) const {
    if (!units.tiles()) {
      ONNXC_ROLLED
      for (int64_t i = 0; i < pixels * kBlock; ++i)
        y[i] = i % kBlock < has() ? x[plane(i % kBlock) + i / kBlock] : 0.0f;
      return;
    }
    ONNXC_ROLLED
    for (int64_t turn = 0; turn < units.turns(unit); ++turn) {
      const int64_t at = units.at(unit, turn);
      ONNXC_ROLLED
      for (int64_t lane = 0; lane < kBlock; lane += SquareTile::L) {
        SquareTile t;
        ONNXC_UNROLL
        for (int i = 0; i < SquareTile::L; ++i)
          t.v[i] = lane + i < has() ? load<SquareTile::V>(x + plane(lane + i) + at) : SquareTile::V{};
        t.transpose();
        t.store_rows(y + at * kBlock + lane, kBlock, SquareTile::L);
      }
    }
  }
  ONNXC_INLINE void to_plain(float* y, const float* x, const TileUnits& units, int64_t unit) const {
    if (!units.tiles()) {
      ONNXC_ROLLED
      for (int64_t i = 0; i < pixels * has(); ++i)
        y[plane(i / pixels) + i % pixels] = x[i % pixels * kBlock + i / pixels];
      return;
    }
    ONNXC_ROLLED
    for (int64_t turn = 0; turn < units.turns(unit); ++turn) {
      const int64_t at = units.at(unit, turn);
      ONNXC_ROLLED
      for (int64_t lane = 0; lane < has(); lane += SquareTile::L) {
        SquareTile t;
        ONNXC_UNROLL
        for (int i = 0; i < SquareTile::L; ++i) t.v[i] = load<SquareTile::V>(x + (at + i) * kBlock + lane);
        t.transpose();
        t.store_rows(y + plane(lane) + at, pixels, has() - lane);
      }
    }
  }
};

template <bool ToBlocked>
ONNXC_INLINE void change_layout(float* y, const float* x, int64_t n, int64_t c, int64_t pixels, int64_t groups,
                                const Share& share) {
  const int64_t blocks = (c + kBlock - 1) / kBlock, planes = n * blocks;
  const TileUnits units{pixels};
  ONNXC_ROLLED
  for (int64_t plane = 0; plane < planes; ++plane) {
    const Range mine = share.of(plane, planes, units.count());
    const int64_t image = plane / blocks * c * pixels, blocked = plane * pixels * kBlock;
    const ChannelBlock block{plane % blocks * kBlock, c, pixels, groups};
    ONNXC_ROLLED
    for (int64_t unit = mine.begin; unit < mine.end; ++unit) {
      if constexpr (ToBlocked) {
        block.to_blocked(y + blocked, x + image, units, unit);
      } else {
        block.to_plain(y + image, x + blocked, units, unit);
      }
    }
  }
}

// Columns `unit` of a matrix [rows][columns] become rows of the transposed one.
ONNXC_INLINE void transpose_unit(float* y, const float* x, int64_t rows, const TileUnits& units, int64_t unit) {
  const int64_t columns = units.extent;
  const TileUnits down{rows};
  if (!units.tiles() || !down.tiles()) {
    const int64_t first = units.at(unit, 0), last = unit + 1 == units.count() ? columns : first + units.L;
    ONNXC_ROLLED
    for (int64_t c = first; c < last; ++c) {
      ONNXC_ROLLED
      for (int64_t r = 0; r < rows; ++r) y[c * rows + r] = x[r * columns + c];
    }
    return;
  }
  ONNXC_ROLLED
  for (int64_t turn = 0; turn < units.turns(unit); ++turn) {
    const int64_t c = units.at(unit, turn);
    ONNXC_ROLLED
    for (int64_t i = 0; i < (rows + down.L - 1) / down.L; ++i) {
      const int64_t r = i < down.count() ? i * down.L : rows - down.L;
      SquareTile t;
      ONNXC_UNROLL
      for (int j = 0; j < SquareTile::L; ++j) t.v[j] = load<SquareTile::V>(x + (r + j) * columns + c);
      t.transpose();
      t.store_rows(y + c * rows + r, rows, SquareTile::L);
    }
  }
}

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_to_blocked_f32(float* y, const float* x, int64_t n, int64_t c, int64_t pixels, int64_t groups,
                                       int64_t begin, int64_t end) {
  onnxc_kernels::change_layout<true>(y, x, n, c, pixels, groups, {0, begin, end});
}
ONNXC_KERNEL void onnxc_to_plain_f32(float* y, const float* x, int64_t n, int64_t c, int64_t pixels, int64_t begin,
                                     int64_t end) {
  onnxc_kernels::change_layout<false>(y, x, n, c, pixels, 1, {0, begin, end});
}
ONNXC_KERNEL void onnxc_transpose_f32(float* y, const float* x, int64_t batches, int64_t rows, int64_t columns,
                                      int64_t begin, int64_t end) {
  const onnxc_kernels::Share share{0, begin, end};
  const onnxc_kernels::TileUnits units{columns};
  ONNXC_ROLLED
  for (int64_t b = 0; b < batches; ++b) {
    const onnxc_kernels::Range mine = share.of(b, batches, units.count());
    ONNXC_ROLLED
    for (int64_t unit = mine.begin; unit < mine.end; ++unit)
      onnxc_kernels::transpose_unit(y + b * rows * columns, x + b * rows * columns, rows, units, unit);
  }
}

#endif
