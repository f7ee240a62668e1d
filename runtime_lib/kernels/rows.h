// Reductions over rows: softmax_f32, log_softmax_f32 (and f64), layer_norm_f32, rms_norm_f32. x and y are [rows][cols]
// and may be the same; [begin, end) of the rows are done. Sums: one chain per lane of 16, then a binary tree, the same
// at every level. Softmax of a row of -inf is NaN. Tested in tests/unit/kernels/rows_test.cc.
#ifndef ONNXC_KERNELS_ROWS_H
#define ONNXC_KERNELS_ROWS_H

#include "tile.h"

namespace onnxc_kernels {

struct Identity {
  template <class V>
  ONNXC_INLINE V operator()(V x) const {
    return x;
  }
};

// 16 lanes as vectors of this level.
template <class T>
struct Sixteen {
  static constexpr int count = int(16 / kLanes<T>);
  using V = Wide<T>;
  V v[count];

  static ONNXC_INLINE Sixteen fill(T s) {
    Sixteen r;
    ONNXC_UNROLL
    for (int i = 0; i < count; ++i) r.v[i] = splat<V>(s);
    return r;
  }
  // Combines x[0 .. n - 1] into the lanes, element i into lane i % 16, in order.
  template <class Map, class Combine>
  ONNXC_INLINE void take(const T* x, int64_t n, Map map, Combine combine) {
    int64_t i = 0;
    ONNXC_ROLLED
    for (; i + 16 <= n; i += 16) {
      ONNXC_UNROLL
      for (int j = 0; j < count; ++j) v[j] = combine(v[j], map(load<V>(x + i + j * kLanes<T>)));
    }
    T rest[16];
    if (i < n) {
      ONNXC_UNROLL
      for (int j = 0; j < count; ++j) store<V>(rest + j * kLanes<T>, v[j]);
      ONNXC_ROLLED
      for (int64_t j = 0; i + j < n; ++j) rest[j] = combine(rest[j], map(x[i + j]));
      ONNXC_UNROLL
      for (int j = 0; j < count; ++j) v[j] = load<V>(rest + j * kLanes<T>);
    }
  }
  // Stores y[i] = map(x[i]), i < n, and combines it into lane i % 16; n is a multiple of 16.
  template <class Map, class Combine>
  ONNXC_INLINE void take_mapped(T* y, const T* x, int64_t n, Map map, Combine combine) {
    if constexpr (count > 2) {  // few registers: `map` for a vector at a time
      ONNXC_ROLLED
      for (int64_t i = 0; i < n; i += kLanes<T>) store<V>(y + i, map(load<V>(x + i)));
      take(y, n, Identity{}, combine);
    } else {
      ONNXC_ROLLED
      for (int64_t i = 0; i < n; i += 16) {
        ONNXC_UNROLL
        for (int j = 0; j < count; ++j) {
          const V e = map(load<V>(x + i + j * kLanes<T>));
          store<V>(y + i + j * kLanes<T>, e);
          v[j] = combine(v[j], e);
        }
      }
    }
  }
  template <class Combine>
  ONNXC_INLINE T tree(Combine combine) const {
    T all[16];
    ONNXC_UNROLL
    for (int j = 0; j < count; ++j) store<V>(all + j * kLanes<T>, v[j]);
    ONNXC_UNROLL
    for (int width = 8; width > 0; width /= 2) {
      ONNXC_UNROLL
      for (int i = 0; i < width; ++i) all[i] = combine(all[i], all[i + width]);
    }
    return all[0];
  }
};

struct Plus {
  template <class V>
  ONNXC_INLINE V operator()(V a, V b) const {
    return a + b;
  }
};
struct Larger {  // of numbers: a NaN as b is passed over
  template <class V>
  ONNXC_INLINE V operator()(V a, V b) const {
    return select(b > a, b, a);
  }
};
template <class T>
struct ExpOf {  // e^(x - top)
  T top;
  template <class V>
  ONNXC_INLINE V operator()(V x) const {
    return exp_of_negative<V>(x - top);
  }
};
template <class T>
struct SquareOf {  // (x - mean)^2
  T mean;
  template <class V>
  ONNXC_INLINE V operator()(V x) const {
    const V d = x - mean;
    return d * d;
  }
};

// The greatest number of x[0 .. n - 1], -inf if all are NaN (the sum of exponentials tells of these); in four vectors
// at least, so that none waits for itself.
template <class T>
ONNXC_INLINE T greatest(const T* x, int64_t n) {
  constexpr int count = Sixteen<T>::count, chains = count < 4 ? 4 / count : 1;
  Sixteen<T> top[chains];
  ONNXC_UNROLL
  for (int c = 0; c < chains; ++c) top[c] = Sixteen<T>::fill(-kInfinity<T>);
  int64_t i = 0;
  ONNXC_ROLLED
  for (; i + chains * 16 <= n; i += chains * 16) {
    ONNXC_UNROLL
    for (int c = 0; c < chains; ++c) {
      ONNXC_UNROLL
      for (int j = 0; j < count; ++j) {
        top[c].v[j] = Larger{}(top[c].v[j], load<Wide<T>>(x + i + c * 16 + j * kLanes<T>));
      }
    }
  }
  top[0].take(x + i, n - i, Identity{}, Larger{});
  ONNXC_UNROLL
  for (int c = 1; c < chains; ++c) {
    ONNXC_UNROLL
    for (int j = 0; j < count; ++j) top[0].v[j] = Larger{}(top[0].v[j], top[c].v[j]);
  }
  return top[0].tree(Larger{});
}

// y[i] = f(x[i], i) for a row; f takes vectors and single elements.
template <class T, class F>
ONNXC_INLINE void map_row(T* y, const T* x, int64_t n, F f) {
  using V = Wide<T>;
  int64_t i = 0;
  if constexpr (kLanes<T> > 1) {
    ONNXC_ROLLED
    for (; i + kLanes<T> <= n; i += kLanes<T>) store<V>(y + i, f(load<V>(x + i), i));
  }
  ONNXC_ROLLED
  for (; i < n; ++i) y[i] = f(x[i], i);
}
template <class T>
struct ScaleBy {
  T factor;
  template <class V>
  ONNXC_INLINE V operator()(V x, int64_t) const {
    return x * factor;
  }
};
template <class T>
struct LessBy {
  T top, log_sum;
  template <class V>
  ONNXC_INLINE V operator()(V x, int64_t) const {
    return (x - top) - log_sum;
  }
};
template <class T>
struct ExpRow {
  ExpOf<T> e;
  template <class V>
  ONNXC_INLINE V operator()(V x, int64_t) const {
    return e(x);
  }
};

// Rows whose extremes, sums and quotients are found side by side: each of these waits for itself for as long as a short
// row takes.
inline constexpr int64_t kRowsTogether = 4;

template <class T, bool Log>
ONNXC_INLINE void softmax(T* y, const T* x, Range rows, int64_t cols) {
  x += rows.begin * cols;
  y += rows.begin * cols;
  const int64_t whole = cols / 16 * 16;
  ONNXC_ROLLED
  for (int64_t row = rows.begin; row < rows.end; row += kRowsTogether) {
    const int64_t count = rows.end - row < kRowsTogether ? rows.end - row : kRowsTogether;
    T top[kRowsTogether], sum[kRowsTogether];
    ONNXC_ROLLED
    for (int64_t r = 0; r < count; ++r) top[r] = greatest(x + r * cols, cols);
    ONNXC_ROLLED
    for (int64_t r = 0; r < count; ++r) {
      const T* from = x + r * cols;
      T* to = y + r * cols;
      auto sums = Sixteen<T>::fill(T(0));
      if constexpr (Log) {
        sums.take(from, cols, ExpOf<T>{top[r]}, Plus{});
      } else {
        sums.take_mapped(to, from, whole, ExpOf<T>{top[r]}, Plus{});
        map_row<T>(to + whole, from + whole, cols - whole, ExpRow<T>{{top[r]}});
        sums.take(to + whole, cols - whole, Identity{}, Plus{});
      }
      sum[r] = sums.tree(Plus{});
    }
    ONNXC_ROLLED
    for (int64_t r = 0; r < count; ++r, x += cols, y += cols) {
      if constexpr (Log)
        map_row<T>(y, x, cols, LessBy<T>{top[r], log<T>(sum[r])});
      else
        map_row<T>(y, y, cols, ScaleBy<T>{T(1) / sum[r]});
    }
  }
}

template <class T>
struct Normalise {
  T mean, inverse;
  const T *scale, *bias;
  template <class V>
  ONNXC_INLINE V operator()(V x, int64_t i) const {
    V r = (x - mean) * inverse;
    if (scale) r = r * load<V>(scale + i);
    return bias ? r + load<V>(bias + i) : r;
  }
};

// Centre: subtract the mean first.
template <class T, bool Centre>
ONNXC_INLINE void normalise_rows(T* y, const T* x, const T* scale, const T* bias, Range rows, int64_t cols, T epsilon) {
  x += rows.begin * cols;
  y += rows.begin * cols;
  ONNXC_ROLLED
  for (int64_t row = rows.begin; row < rows.end; ++row, x += cols, y += cols) {
    T mean = T(0);
    if constexpr (Centre) {
      auto sums = Sixteen<T>::fill(T(0));
      sums.take(x, cols, Identity{}, Plus{});
      mean = sums.tree(Plus{}) / T(cols);
    }
    auto squares = Sixteen<T>::fill(T(0));
    squares.take(x, cols, SquareOf<T>{mean}, Plus{});
    const T variance = squares.tree(Plus{}) / T(cols);
    map_row<T>(y, x, cols, Normalise<T>{mean, T(1) / sqrt<T>(variance + epsilon), scale, bias});
  }
}

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_softmax_f32(float* y, const float* x, int64_t cols, int64_t begin, int64_t end) {
  onnxc_kernels::softmax<float, false>(y, x, {begin, end}, cols);
}
ONNXC_KERNEL void onnxc_log_softmax_f32(float* y, const float* x, int64_t cols, int64_t begin, int64_t end) {
  onnxc_kernels::softmax<float, true>(y, x, {begin, end}, cols);
}
ONNXC_KERNEL void onnxc_softmax_f64(double* y, const double* x, int64_t cols, int64_t begin, int64_t end) {
  onnxc_kernels::softmax<double, false>(y, x, {begin, end}, cols);
}
ONNXC_KERNEL void onnxc_log_softmax_f64(double* y, const double* x, int64_t cols, int64_t begin, int64_t end) {
  onnxc_kernels::softmax<double, true>(y, x, {begin, end}, cols);
}
ONNXC_KERNEL void onnxc_layer_norm_f32(float* y, const float* x, const float* scale, const float* bias, int64_t cols,
                                       float epsilon, int64_t begin, int64_t end) {
  onnxc_kernels::normalise_rows<float, true>(y, x, scale, bias, {begin, end}, cols, epsilon);
}
ONNXC_KERNEL void onnxc_rms_norm_f32(float* y, const float* x, const float* scale, int64_t cols, float epsilon,
                                     int64_t begin, int64_t end) {
  onnxc_kernels::normalise_rows<float, false>(y, x, scale, nullptr, {begin, end}, cols, epsilon);
}

#endif
