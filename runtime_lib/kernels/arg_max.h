// arg_max_{f32,f64,i32,i64,i8,u8}: y[outer][inner] = where along n the greatest (`least`: the least) of x[outer][n]
// [inner] stands, of equal ones the first (`last`: the last); NaN counts as better than all numbers. 0 where n is 0.
// [begin, end) of the columns (outer * inner) are done. Tested in tests/unit/kernels/selection_test.cc.
#ifndef ONNXC_KERNELS_ARG_MAX_H
#define ONNXC_KERNELS_ARG_MAX_H

#include "tile.h"

namespace onnxc_kernels {

// Lanes compare in the type W: T, or I32 for bytes.
template <class T, class W>
struct ArgMax {
  static constexpr int L = kLanes<W>;
  static constexpr int64_t kChunk = int64_t(1) << 30;  // places within fit 32 bits
  int64_t n;
  bool least, last;

  template <int count>
  static ONNXC_INLINE Vec<W, count> load_wide(const T* x) {
    if constexpr (sizeof(T) == sizeof(W)) {
      return load<Vec<W, count>>(x);
    } else if constexpr (count == 1) {
      return *x;
    } else {
      return __builtin_convertvector(load<Vec<T, count>>(x), Vec<W, count>);
    }
  }
  // Where x, which comes later, takes the place of `best`.
  template <class V>
  ONNXC_INLINE auto takes(V x, V best) const {
    const auto nan = x != x;
    if (last) return (least ? x <= best : x >= best) | nan;
    return (least ? x < best : x > best) | (nan & (best == best));
  }
  template <class V>
  ONNXC_INLINE auto above(V x, V best) const {
    return (least ? x < best : x > best) | ((x != x) & (best == best));
  }

  template <class V>
  struct Found {
    V best;
    IntVec<V> at;
  };
  template <class V>
  static ONNXC_INLINE Vec<Elem<V>, kLanesOf<V> / 2> half_of(V v, int which) {
    Elem<V> all[kLanesOf<V>];
    store<V>(all, v);
    return load<Vec<Elem<V>, kLanesOf<V> / 2>>(all + which * (kLanesOf<V> / 2));
  }
  // The one of all lanes, whose places may stand in any order.
  template <class V>
  ONNXC_INLINE Found<W> narrow(const Found<V>& f) const {
    if constexpr (kLanesOf<V> == 1) {
      return f;
    } else {
      using H = Vec<W, kLanesOf<V> / 2>;
      const H a = half_of(f.best, 0), b = half_of(f.best, 1);
      const auto i = half_of(f.at, 0), j = half_of(f.at, 1);
      const auto same = (a == b) | ((a != a) & (b != b));
      const auto takes = above(b, a) | (same & (last ? j > i : j < i));
      return narrow(Found<H>{select(takes, b, a), select(takes, j, i)});
    }
  }

  // Of the elements x[0 .. m - 1], 0 < m <= kChunk.
  ONNXC_INLINE Found<W> of_stretch(const T* x, int64_t m) const {
    using I = typename IntOfBytes<sizeof(W)>::type;
    int64_t i = 0;
    Found<W> found{W(x[0]), 0};
    if (m >= L) {
      Found<Vec<W, L>> f;
      IntVec<Vec<W, L>> places = splat<IntVec<Vec<W, L>>>(0);
      if constexpr (L > 1) {
        ONNXC_UNROLL
        for (int l = 0; l < L; ++l) places[l] = I(l);
      }
      f = {load_wide<L>(x), places};
      ONNXC_ROLLED
      for (i = L; i + L <= m; i += L) step(f, load_wide<L>(x + i), places + I(i));
      // The last elements once more: their places are the same.
      if (i < m) step(f, load_wide<L>(x + m - L), places + I(m - L));
      return narrow(f);
    }
    ONNXC_ROLLED
    for (i = 1; i < m; ++i) step(found, W(x[i]), I(i));
    return found;
  }
  template <class V>
  ONNXC_INLINE void step(Found<V>& f, V x, IntVec<V> at) const {
    const auto better = takes(x, f.best);
    f.best = select(better, x, f.best);
    f.at = select(better, at, f.at);
  }
  ONNXC_INLINE int64_t of_row(const T* x) const {
    W best = W(x[0]);
    int64_t at = 0;
    ONNXC_ROLLED
    for (int64_t base = 0; base < n; base += kChunk) {
      const Found<W> f = of_stretch(x + base, n - base < kChunk ? n - base : kChunk);
      if (base == 0 || takes(f.best, best)) {
        best = f.best;
        at = base + f.at;
      }
    }
    return at;
  }

  // `count` times `width` columns side by side.
  template <int width, int count>
  ONNXC_INLINE void of_columns(int64_t* y, const T* x, int64_t inner) const {
    using V = Vec<W, width>;
    using I = IntVec<V>;
    V best[count];
    ONNXC_UNROLL
    for (int c = 0; c < count; ++c) best[c] = load_wide<width>(x + c * width);
    ONNXC_ROLLED
    for (int64_t i = 0; i < width * count; ++i) y[i] = 0;
    ONNXC_ROLLED
    for (int64_t base = 0; base < n; base += kChunk) {
      const int64_t end = n - base < kChunk ? n : base + kChunk;
      I at[count], now = splat<I>(0);
      ONNXC_UNROLL
      for (int c = 0; c < count; ++c) at[c] = splat<I>(-1);
      ONNXC_ROLLED
      for (int64_t i = base; i < end; ++i, now = now + splat<I>(1)) {
        ONNXC_UNROLL
        for (int c = 0; c < count; ++c) {
          const V v = load_wide<width>(x + i * inner + c * width);
          const auto better = takes(v, best[c]);
          best[c] = select(better, v, best[c]);
          at[c] = select(better, now, at[c]);
        }
      }
      ONNXC_UNROLL
      for (int c = 0; c < count; ++c) {
        Elem<I> places[width];
        store<I>(places, at[c]);
        ONNXC_ROLLED
        for (int l = 0; l < width; ++l) {
          if (places[l] >= 0) y[c * width + l] = base + places[l];
        }
      }
    }
  }

  ONNXC_INLINE void run(int64_t* y, const T* x, int64_t inner, Range range) const {
    if (n == 0) {
      ONNXC_ROLLED
      for (int64_t i = range.begin; i < range.end; ++i) y[i] = 0;
      return;
    }
    if (inner == 1) {
      ONNXC_ROLLED
      for (int64_t row = range.begin; row < range.end; ++row) y[row] = of_row(x + row * n);
      return;
    }
    for_stretches(range, inner, [&](int64_t outer, int64_t first, int64_t count) {
      int64_t* const to = y + outer * inner + first;
      const T* const from = x + outer * n * inner + first;
      int64_t c = 0;
      ONNXC_ROLLED
      for (; c + 4 * L <= count; c += 4 * L) of_columns<L, 4>(to + c, from + c, inner);
      ONNXC_ROLLED
      for (; c + L <= count; c += L) of_columns<L, 1>(to + c, from + c, inner);
      ONNXC_ROLLED
      for (; c < count; ++c) of_columns<1, 1>(to + c, from + c, inner);
    });
  }
};

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_arg_max_f32(int64_t* y, const float* x, int64_t n, int64_t inner, int64_t least, int64_t last,
                                    int64_t begin, int64_t end) {
  onnxc_kernels::ArgMax<float, float>{n, least != 0, last != 0}.run(y, x, inner, {begin, end});
}
ONNXC_KERNEL void onnxc_arg_max_f64(int64_t* y, const double* x, int64_t n, int64_t inner, int64_t least, int64_t last,
                                    int64_t begin, int64_t end) {
  onnxc_kernels::ArgMax<double, double>{n, least != 0, last != 0}.run(y, x, inner, {begin, end});
}
ONNXC_KERNEL void onnxc_arg_max_i32(int64_t* y, const int32_t* x, int64_t n, int64_t inner, int64_t least, int64_t last,
                                    int64_t begin, int64_t end) {
  onnxc_kernels::ArgMax<int32_t, int32_t>{n, least != 0, last != 0}.run(y, x, inner, {begin, end});
}
ONNXC_KERNEL void onnxc_arg_max_i64(int64_t* y, const int64_t* x, int64_t n, int64_t inner, int64_t least, int64_t last,
                                    int64_t begin, int64_t end) {
  onnxc_kernels::ArgMax<int64_t, int64_t>{n, least != 0, last != 0}.run(y, x, inner, {begin, end});
}
ONNXC_KERNEL void onnxc_arg_max_i8(int64_t* y, const int8_t* x, int64_t n, int64_t inner, int64_t least, int64_t last,
                                   int64_t begin, int64_t end) {
  onnxc_kernels::ArgMax<int8_t, int32_t>{n, least != 0, last != 0}.run(y, x, inner, {begin, end});
}
ONNXC_KERNEL void onnxc_arg_max_u8(int64_t* y, const uint8_t* x, int64_t n, int64_t inner, int64_t least, int64_t last,
                                   int64_t begin, int64_t end) {
  onnxc_kernels::ArgMax<uint8_t, int32_t>{n, least != 0, last != 0}.run(y, x, inner, {begin, end});
}

#endif
