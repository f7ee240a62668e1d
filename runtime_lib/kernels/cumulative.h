// cumulative_{f32,f64,i32,i64}: y[outer][n][inner], for each column (of outer * inner) the sums or products of x along
// n up to each element: of the elements before it (exclusive) or it too; from the end (reverse). Each is one chain from
// 0 or 1 on, in the order of the axis. [begin, end) of the columns are done; x and y may be the same. Tested in
// tests/unit/kernels/selection_test.cc.
#ifndef ONNXC_KERNELS_CUMULATIVE_H
#define ONNXC_KERNELS_CUMULATIVE_H

#include "tile.h"

namespace onnxc_kernels {

template <class T>
struct Cumulative {
  int64_t n;
  bool multiply, exclusive, reverse;

  template <class V>
  ONNXC_INLINE V next(V sum, V x) const {
    return multiply ? sum * x : sum + x;
  }
  // `count` vectors V, `apart` elements from each other, with `step` elements from one element of the axis to the next.
  template <class V, int count>
  ONNXC_INLINE void run(T* y, const T* x, int64_t apart, int64_t step) const {
    V sum[count];
    ONNXC_UNROLL
    for (int c = 0; c < count; ++c) sum[c] = splat<V>(T(multiply));
    int64_t at = reverse ? (n - 1) * step : 0;
    const int64_t forward = reverse ? -step : step;
    ONNXC_ROLLED
    for (int64_t i = 0; i < n; ++i, at += forward) {
      ONNXC_UNROLL
      for (int c = 0; c < count; ++c) {
        const V after = next(sum[c], load<V>(x + at + c * apart));
        store<V>(y + at + c * apart, exclusive ? sum[c] : after);
        sum[c] = after;
      }
    }
  }
  // Columns side by side.
  ONNXC_INLINE void columns(T* y, const T* x, int64_t count, int64_t inner) const {
    constexpr int L = kLanes<T>;
    constexpr int64_t kPage = int64_t(4096 / sizeof(T));
    int64_t c = 0;
    if (n > 0 && !(exclusive && x == y)) {
      ONNXC_ROLLED
      for (; count - c >= kPage / 4; c += kPage) page(y + c, x + c, count - c < kPage ? count - c : kPage, inner);
    }
    ONNXC_ROLLED
    for (; c + 4 * L <= count; c += 4 * L) run<Wide<T>, 4>(y + c, x + c, L, inner);
    ONNXC_ROLLED
    for (; c + L <= count; c += L) run<Wide<T>, 1>(y + c, x + c, 0, inner);
    ONNXC_ROLLED
    for (; c < count; ++c) run<Vec<T, 1>, 1>(y + c, x + c, 0, inner);
  }
  // A row of sums, of those before (null: none yet) and of what is added (null: nothing).
  ONNXC_INLINE void row(T* y, const T* before, const T* added, int64_t count) const {
    int64_t c = 0;
    ONNXC_ROLLED
    for (; c + kLanes<T> <= count; c += kLanes<T>) element<Wide<T>>(y, before, added, c);
    ONNXC_ROLLED
    for (; c < count; ++c) element<Vec<T, 1>>(y, before, added, c);
  }
  template <class V>
  ONNXC_INLINE void element(T* y, const T* before, const T* added, int64_t c) const {
    const V sum = before ? load<V>(before + c) : splat<V>(T(multiply));
    store<V>(y + c, added ? next(sum, load<V>(added + c)) : sum);
  }
  // Columns side by side, row by row, so that memory is read as it lies: each row from that of y before.
  ONNXC_INLINE void page(T* y, const T* x, int64_t count, int64_t inner) const {
    const int64_t forward = reverse ? -inner : inner;
    int64_t at = reverse ? (n - 1) * inner : 0;
    row(y + at, nullptr, exclusive ? nullptr : x + at, count);
    ONNXC_ROLLED
    for (int64_t i = 1; i < n; ++i, at += forward)
      row(y + at + forward, y + at, exclusive ? x + at : x + at + forward, count);
  }
  // Columns that are rows in memory.
  ONNXC_INLINE void rows(T* y, const T* x, int64_t count) const {
    int64_t r = 0;
    ONNXC_ROLLED
    for (; r + 4 <= count; r += 4) run<Vec<T, 1>, 4>(y + r * n, x + r * n, n, 1);
    ONNXC_ROLLED
    for (; r < count; ++r) run<Vec<T, 1>, 1>(y + r * n, x + r * n, 0, 1);
  }
  ONNXC_INLINE void all(T* y, const T* x, int64_t inner, Range range) const {
    if (inner == 1) return rows(y + range.begin * n, x + range.begin * n, range.end - range.begin);
    for_stretches(range, inner, [&](int64_t outer, int64_t first, int64_t count) {
      columns(y + outer * n * inner + first, x + outer * n * inner + first, count, inner);
    });
  }
};

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_cumulative_f32(float* y, const float* x, int64_t n, int64_t inner, int64_t multiply,
                                       int64_t exclusive, int64_t reverse, int64_t begin, int64_t end) {
  onnxc_kernels::Cumulative<float>{n, multiply != 0, exclusive != 0, reverse != 0}.all(y, x, inner, {begin, end});
}
ONNXC_KERNEL void onnxc_cumulative_f64(double* y, const double* x, int64_t n, int64_t inner, int64_t multiply,
                                       int64_t exclusive, int64_t reverse, int64_t begin, int64_t end) {
  onnxc_kernels::Cumulative<double>{n, multiply != 0, exclusive != 0, reverse != 0}.all(y, x, inner, {begin, end});
}
ONNXC_KERNEL void onnxc_cumulative_i32(int32_t* y, const int32_t* x, int64_t n, int64_t inner, int64_t multiply,
                                       int64_t exclusive, int64_t reverse, int64_t begin, int64_t end) {
  onnxc_kernels::Cumulative<uint32_t>{n, multiply != 0, exclusive != 0, reverse != 0}.all(
      reinterpret_cast<uint32_t*>(y), reinterpret_cast<const uint32_t*>(x), inner, {begin, end});
}
ONNXC_KERNEL void onnxc_cumulative_i64(int64_t* y, const int64_t* x, int64_t n, int64_t inner, int64_t multiply,
                                       int64_t exclusive, int64_t reverse, int64_t begin, int64_t end) {
  onnxc_kernels::Cumulative<uint64_t>{n, multiply != 0, exclusive != 0, reverse != 0}.all(
      reinterpret_cast<uint64_t*>(y), reinterpret_cast<const uint64_t*>(x), inner, {begin, end});
}

#endif
