// top_k_i32, top_k_i64: y[rows][k] = where in each row of keys[rows][n] the k greatest stand, in descending order, of
// equal ones the first first; k <= n, for 32-bit keys n < 2^32. The rows are cut evenly into `shares`; [begin, end)
// counts these. `scratch` has a slot of 2 k + 64 candidates (an int64, of 64-bit keys two) for each share. A row is
// scanned for keys above the k-th of those kept so far; whenever there is no room for more, the k first are kept.
// Tested in tests/unit/kernels/selection_test.cc.
#ifndef ONNXC_KERNELS_TOP_K_H
#define ONNXC_KERNELS_TOP_K_H

#include "order.h"
#include "tile.h"

namespace onnxc_kernels {

inline constexpr int64_t kTopKSpare = 64;  // at least the lanes of a vector of keys

// Where the first k of a few candidates stand, c[i] having the index i, each found among all. Uses them up; needs room
// for a vector behind them.
ONNXC_INLINE void pick_few(int64_t* y, ShortCandidate* c, int64_t n, int64_t k) {
  using V = Wide<int64_t>;
  constexpr int L = kLanes<int64_t>;
  int64_t* const bits = &c->bits;
  store<V>(bits + n, splat<V>(INT64_MIN));
  ONNXC_ROLLED
  for (int64_t i = 0; i < k; ++i) {
    V best = load<V>(bits);
    ONNXC_ROLLED
    for (int64_t at = L; at < n; at += L) {
      const V v = load<V>(bits + at);
      best = select(v > best, v, best);
    }
    int64_t lanes[L];
    store<V>(lanes, best);
    ShortCandidate first{lanes[0]};
    ONNXC_UNROLL
    for (int l = 1; l < L; ++l) first.bits = lanes[l] > first.bits ? lanes[l] : first.bits;
    y[i] = first.index();
    bits[y[i]] = INT64_MIN;
  }
}
inline constexpr int64_t kFew = 8;

template <class C, class K>
struct TopKRow {
  const K* keys;
  C* kept;
  int64_t k, size;
  K least;  // of the first k

  ONNXC_INLINE void shrink() {
    move_first(kept, size, k);
    size = k;
    least = kept[0].key();
    ONNXC_ROLLED
    for (int64_t i = 1; i < k; ++i) least = kept[i].key() < least ? kept[i].key() : least;
  }
  ONNXC_INLINE void take(int64_t i) {
    kept[size] = C::of(keys[i], i);
    size += keys[i] > least;
  }
  ONNXC_INLINE void scan(int64_t begin, int64_t n) {
    constexpr int kWidth = kLanes<K>;
    const int64_t room = 2 * k + kTopKSpare;
    int64_t i = begin;
    ONNXC_ROLLED
    for (; i + kWidth <= n; i += kWidth) {
      if (!any_true(load<Wide<K>>(keys + i) > splat<Wide<K>>(least))) continue;
      if (size + kWidth > room) shrink();
      ONNXC_UNROLL
      for (int j = 0; j < kWidth; ++j) take(i + j);
    }
    if (size + kWidth > room) shrink();
    ONNXC_ROLLED
    for (; i < n; ++i) take(i);
  }
  ONNXC_INLINE void run(int64_t* y, int64_t n) {
    const int64_t room = 2 * k + kTopKSpare, straight = n < room ? n : room;
    ONNXC_ROLLED
    for (int64_t i = 0; i < straight; ++i) kept[i] = C::of(keys[i], i);
    if constexpr (sizeof(C) == 8) {
      if (k <= kFew && n + kLanes<int64_t> <= room) return pick_few(y, kept, n, k);
    }
    size = straight;
    if (straight < n) {
      shrink();
      scan(straight, n);
    }
    move_first(kept, size, k);
    const C* const sorted = in_order(kept, kept + k, k);
    ONNXC_ROLLED
    for (int64_t i = 0; i < k; ++i) y[i] = sorted[i].index();
  }
};

template <class C, class K>
ONNXC_INLINE void top_k(int64_t* y, const K* keys, int64_t* scratch, int64_t n, int64_t k, Range rows, int64_t share) {
  if (k == 0) return;
  C* const kept = reinterpret_cast<C*>(scratch) + share * (2 * k + kTopKSpare);
  ONNXC_ROLLED
  for (int64_t row = rows.begin; row < rows.end; ++row)
    TopKRow<C, K>{keys + row * n, kept, k, 0, 0}.run(y + row * k, n);
}

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_top_k_i32(int64_t* y, const int32_t* keys, int64_t* scratch, int64_t n, int64_t k, int64_t rows,
                                  int64_t shares, int64_t begin, int64_t end) {
  using namespace onnxc_kernels;
  top_k<ShortCandidate>(y, keys, scratch, n, k, {rows * begin / shares, rows * end / shares}, begin);
}
ONNXC_KERNEL void onnxc_top_k_i64(int64_t* y, const int64_t* keys, int64_t* scratch, int64_t n, int64_t k, int64_t rows,
                                  int64_t shares, int64_t begin, int64_t end) {
  using namespace onnxc_kernels;
  top_k<LongCandidate>(y, keys, scratch, n, k, {rows * begin / shares, rows * end / shares}, begin);
}

#endif
