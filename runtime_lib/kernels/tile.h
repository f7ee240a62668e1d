// The register tile of GEMM and convolutions, and what is done to it before it is stored (bias, residual, activation).
// A tile is MR rows (rows of A, or pixels) by NV vectors of columns (columns of B, or output channels). The loop over k
// is rolled; only the tile is unrolled (both measured: README.md). Tested in tests/unit/kernels/gemm_test.cc.
#ifndef ONNXC_KERNELS_TILE_H
#define ONNXC_KERNELS_TILE_H

#include "math_f32.h"
#include "math_f64.h"

namespace onnxc_kernels {

// Columns of one block of packed weights and of the blocked layout, at every level.
inline constexpr int64_t kBlock = 16;

// The highest tile of NV vectors that the registers of this level hold.
template <int NV>
inline constexpr int kMaxRows = ONNXC_LEVEL == 4   ? (NV >= 4   ? 6
                                                      : NV == 3 ? 8
                                                                : 14)
                                : ONNXC_LEVEL == 3 ? (NV >= 4   ? 2
                                                      : NV == 1 ? 12
                                                                : 6)
                                : NV >= 4          ? 2
                                : NV == 1          ? 8
                                                   : 4;

// How `total` rows are cut into tiles of at most `most` rows, as even as can be: `count` tiles, the first `larger` of
// them of height + 1 rows, the others of `height`.
struct Cut {
  int64_t count, height, larger;
  ONNXC_INLINE int64_t rows(int64_t tile) const { return tile < larger ? height + 1 : height; }
  ONNXC_INLINE int64_t start(int64_t tile) const { return tile * height + (tile < larger ? tile : larger); }
};
ONNXC_INLINE Cut cut_evenly(int64_t total, int64_t most) {
  const int64_t count = (total + most - 1) / most;
  if (count == 0) return {0, 0, 0};
  return {count, total / count, total % count};
}

struct Range {
  int64_t begin, end;
};

// Calls run(outer, first, count) for the stretches of [begin, end) in units of `inner` units each.
template <class F>
ONNXC_INLINE void for_stretches(Range range, int64_t inner, F run) {
  int64_t at = range.begin;
  while (at < range.end) {
    const int64_t first = at % inner, rest = inner - first;
    const int64_t count = rest < range.end - at ? rest : range.end - at;
    run(at / inner, first, count);
    at += count;
  }
}

// What a call does of a kernel whose units of work (tiles, rows of a panel ...) are a matter of the level: [begin, end)
// in slices, of which the whole work has kSlices at every level. Units are never cut, so that no sum is regrouped and
// every unit is computed the same way in whichever share it is.
inline constexpr int64_t kSlices = 240;

struct Share {
  int64_t by_inner, begin, end;
  // Of outer units of `inner` units each, outer ones first: those of the outer unit before which stands the work
  // `before` (of `all`) and which is `weight` of it. by_inner: the same part of each outer unit; else one stretch of
  // all the work.
  ONNXC_INLINE Range of(int64_t before, int64_t all, int64_t inner, int64_t weight = 1) const {
    if (by_inner) return {inner * begin / kSlices, inner * end / kSlices};
    const int64_t work = all * inner, start = before * inner;
    return {clamp((work * begin / kSlices - start) / weight, inner),
            clamp((work * end / kSlices - start) / weight, inner)};
  }
  static ONNXC_INLINE int64_t clamp(int64_t x, int64_t most) { return x < 0 ? 0 : x > most ? most : x; }
};

// Calls f.run<rows>() with the run-time `rows` in 1 .. MR as a constant.
template <int MR, class F>
ONNXC_INLINE void with_rows(int64_t rows, F& f) {
  if constexpr (MR == 1) {
    f.template run<1>();
  } else {
    if (rows == MR) {
      f.template run<MR>();
    } else {
      with_rows<MR - 1>(rows, f);
    }
  }
}

// Products that are summed in one chain of madd before the sum is added to those before it: long chains lose accuracy
// (the error of a chain grows with its length), and adding up costs one pass over the tile per so many steps.
inline constexpr int64_t kChain = 128;

// Where column c of blocked columns stands: blocks of 16 that are `stride` elements apart.
ONNXC_INLINE int64_t column_offset(int64_t c, int64_t stride) { return (c / kBlock) * stride + c % kBlock; }

template <class T, int MR, int NV, class V = Wide<T>>
struct Tile {
  static constexpr int kLanesV = kLanesOf<V>;
  V acc[MR][NV];

  ONNXC_INLINE void clear() {
    ONNXC_UNROLL
    for (int r = 0; r < MR; ++r) {
      ONNXC_UNROLL
      for (int n = 0; n < NV; ++n) acc[r][n] = V{};
    }
  }
  // Row r to p + r * step.
  ONNXC_INLINE void store_rows(T* p, int64_t step) const {
    ONNXC_UNROLL
    for (int r = 0; r < MR; ++r) {
      ONNXC_UNROLL
      for (int n = 0; n < NV; ++n) store<V>(p + r * step + n * kLanesV, acc[r][n]);
    }
  }
  // Adds what p + r * step + column offset holds (unless `first`), stores the sums there and clears the tile.
  ONNXC_INLINE void flush(T* p, int64_t step, int64_t stride, bool first) {
    ONNXC_UNROLL
    for (int r = 0; r < MR; ++r) {
      ONNXC_UNROLL
      for (int n = 0; n < NV; ++n) flush_one(p + r * step + column_offset(n * kLanesV, stride), acc[r][n], first);
    }
    keep_in_memory(p);
  }
  // After a flush: the sums stay in memory, so that they take no register from the tile.
  static ONNXC_INLINE void keep_in_memory(T* sums) { __asm__ volatile("" ::"r"(sums) : "memory"); }
  static ONNXC_INLINE void flush_one(T* at, V& v, bool first) {
    store<V>(at, first ? v : load<V>(at) + v);
    v = V{};
  }
  // acc += a(r, i) * b[i * step + columns] for i in 0 .. count - 1; columns are blocked, `stride` apart. With Ahead,
  // the lines of b that many turns ahead are fetched; with `later`, one of its lines a turn, into the second cache.
  template <int64_t Ahead = 0, bool Later = false, class A>
  ONNXC_INLINE void multiply(A a, const T* b, int64_t step, int64_t stride, int64_t count, const T* later = nullptr) {
    ONNXC_ROLLED
    for (int64_t i = 0; i < count; ++i) {
      if constexpr (Ahead > 0) {
        ONNXC_UNROLL
        for (int64_t n = 0; n < NV * kLanesV; n += int64_t(64 / sizeof(T)))
          __builtin_prefetch(b + (i + Ahead) * step + column_offset(n, stride));
      }
      if constexpr (Later) __builtin_prefetch(later + i * kBlock, 0, 2);
      V v[NV];
      ONNXC_UNROLL
      for (int n = 0; n < NV; ++n) v[n] = load<V>(b + i * step + column_offset(n * kLanesV, stride));
      ONNXC_UNROLL
      for (int r = 0; r < MR; ++r) {
        const V s = splat<V>(a(r, i));
        ONNXC_UNROLL
        for (int n = 0; n < NV; ++n) acc[r][n] = madd(s, v[n], acc[r][n]);
      }
    }
  }
};

// Activation codes: 0 none, 1 relu, 2 leaky_relu(alpha), 3 clip(alpha, beta), 4 sigmoid, 5 tanh, 6 silu, 7 hard_swish,
// 8 hard_sigmoid(alpha, beta), 9 gelu (erf), 10 elu(alpha). NaN stays NaN.
template <class T>
struct Activation {
  int64_t code;
  T alpha, beta;

  // none, relu, leaky_relu and clip are all a slope below zero and a clip: applied in registers, as a tile is stored.
  // The others are applied by a rolled loop over the tile in memory, so that their code stands once per kernel and not
  // once per height of tile.
  ONNXC_INLINE bool in_registers() const { return code >= 0 && code <= 3; }
  ONNXC_INLINE T slope() const { return code == 2 ? alpha : T(1); }
  ONNXC_INLINE T low() const { return code == 1 ? T(0) : code == 3 ? alpha : -kInfinity<T>; }
  ONNXC_INLINE T high() const { return code == 3 ? beta : kInfinity<T>; }

  template <class V>
  static ONNXC_INLINE V clip(V x, T low, T high) {
    x = select(x < low, low, x);
    return select(x > high, high, x);
  }
  template <class V>
  ONNXC_INLINE V apply_in_registers(V x) const {
    return clip<V>(select(x < T(0), x * slope(), x), low(), high());
  }
  template <class V>
  ONNXC_INLINE V apply(V x) const {
    switch (code) {
      case 4: return sigmoid<V>(x);
      case 5: return tanh<V>(x);
      case 6: return silu<V>(x);
      case 7: return x * clip<V>(madd<V>(x, splat<V>(T(1) / T(6)), splat<V>(T(0.5))), T(0), T(1));
      case 8: return clip<V>(madd<V>(x, splat<V>(alpha), splat<V>(beta)), T(0), T(1));
      case 9: return x * T(0.5) * (T(1) + erf<V>(x * T(0.70710678118654752440)));
      case 10: return select(x < T(0), alpha * expm1<V>(x), x);
      default: return apply_in_registers<V>(x);
    }
  }
};

// Applies the activation to `vectors` vectors of memory.
template <class T>
ONNXC_INLINE void activate_in_place(const Activation<T>& activation, T* p, int64_t vectors) {
  using V = Wide<T>;
  ONNXC_ROLLED
  for (int64_t i = 0; i < vectors; ++i)
    store<V>(p + i * kLanes<T>, activation.template apply<V>(load<V>(p + i * kLanes<T>)));
}

}  // namespace onnxc_kernels

#endif
