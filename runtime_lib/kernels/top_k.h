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
