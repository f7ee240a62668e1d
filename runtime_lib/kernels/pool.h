// Pools of blocked tensors [N][ceil(C/16)][H][W][16]: max, average, and over the whole map; and max of plain ones.
// Lanes never mix, so pad lanes may hold anything; a window without any element gives -inf (max) or 0 (average). NaN
// wins a maximum. Tested in tests/unit/kernels/pool_test.cc.
#ifndef ONNXC_KERNELS_POOL_H
#define ONNXC_KERNELS_POOL_H

#include "conv_args.h"

namespace onnxc_kernels {

struct MaxPool {
  using V = Wide<float>;
  ONNXC_INLINE V begin() const { return splat<V>(-kInfinity<float>); }
  ONNXC_INLINE V add(V a, V x) const { return max<V>(a, x); }
  ONNXC_INLINE V end(V a, int64_t, int64_t) const { return a; }
};
struct AveragePool {
  using V = Wide<float>;
  bool count_pad;
  ONNXC_INLINE V begin() const { return V{}; }
  ONNXC_INLINE V add(V a, V x) const { return a + x; }
  ONNXC_INLINE V end(V a, int64_t inside, int64_t all) const {
    const int64_t count = count_pad ? all : inside > 0 ? inside : 1;
    return a / float(count);
  }
};

// The walk over planes and rows stands in max_pool_plain too: as a function that takes the body, both took 30 % longer
// (clang 19, AVX-512).
template <class Pool>
ONNXC_INLINE void pool_blocked(Pool pool, float* y, const float* x, int64_t planes, const Window& g,
                               const Share& share) {
  using V = Wide<float>;
  ONNXC_ROLLED
  for (int64_t plane = 0; plane < planes; ++plane) {
    const Range mine = share.of(plane, planes, g.oh);
    ONNXC_ROLLED
    for (int64_t oy = mine.begin; oy < mine.end; ++oy) {
      const int64_t y0 = oy * g.stride_h - g.pad_top;
      const Range rows = taps_inside(y0, g.dil_h, g.kh, g.ih);
      ONNXC_ROLLED
      for (int64_t ox = 0; ox < g.ow; ++ox) {
        const int64_t x0 = ox * g.stride_w - g.pad_left;
        const Range columns = taps_inside(x0, g.dil_w, g.kw, g.iw);
        const int64_t inside = (rows.end - rows.begin) * (columns.end - columns.begin);
        constexpr int vectors = int(kBlock / kLanes<float>);
        V acc[vectors];
        ONNXC_UNROLL
        for (int v = 0; v < vectors; ++v) acc[v] = pool.begin();
        ONNXC_ROLLED
        for (int64_t ky = rows.begin; ky < rows.end; ++ky) {
          const float* row = x + ((plane * g.ih + y0 + ky * g.dil_h) * g.iw + x0) * kBlock;
          ONNXC_ROLLED
          for (int64_t kx = columns.begin; kx < columns.end; ++kx) {
            ONNXC_UNROLL
            for (int v = 0; v < vectors; ++v) {
              acc[v] = pool.add(acc[v], load<V>(row + kx * g.dil_w * kBlock + v * kLanes<float>));
            }
          }
        }
        float* to = y + ((plane * g.oh + oy) * g.ow + ox) * kBlock;
        ONNXC_UNROLL
        for (int v = 0; v < vectors; ++v) store<V>(to + v * kLanes<float>, pool.end(acc[v], inside, g.kh * g.kw));
      }
    }
  }
}

// Four chains per vector, combined as (0 + 2) + (1 + 3).
template <class Pool>
ONNXC_INLINE void global_pool_blocked(Pool pool, float* y, const float* x, Range planes, int64_t hw) {
  using V = Wide<float>;
  ONNXC_ROLLED
  for (int64_t plane = planes.begin; plane < planes.end; ++plane) {
    ONNXC_ROLLED
    for (int64_t lane = 0; lane < kBlock; lane += kLanes<float>) {
      const float* from = x + plane * hw * kBlock + lane;
      V acc[4] = {pool.begin(), pool.begin(), pool.begin(), pool.begin()};
      int64_t i = 0;
      ONNXC_ROLLED
      for (; i + 4 <= hw; i += 4) {
        ONNXC_UNROLL
        for (int j = 0; j < 4; ++j) acc[j] = pool.add(acc[j], load<V>(from + (i + j) * kBlock));
      }
      ONNXC_ROLLED
      for (; i < hw; ++i) acc[0] = pool.add(acc[0], load<V>(from + i * kBlock));
      const V all = pool.add(pool.add(acc[0], acc[2]), pool.add(acc[1], acc[3]));
      store<V>(y + plane * kBlock + lane, pool.end(all, hw, hw));
    }
  }
}

// ---- Plain tensors

// Maxima of columns that are kept at a time, and how wide a window may be: it must fit, with many places to stand on.
inline constexpr int64_t kPoolColumns = 256, kPlainPoolReach = kPoolColumns / 2;

template <class V, int... I>
ONNXC_INLINE V every_second(V a, V b, Indices<I...>) {
  return __builtin_shufflevector(a, b, (2 * I)...);
}
// p[0], p[step] ...: the first `count` lanes. Two vectors are read where the step is 2.
template <class V>
ONNXC_INLINE V strided(const float* p, int64_t step, int64_t count) {
  if constexpr (kLanesOf<V> == 1) {
    return *p;
  } else {
    if (step == 1) return load<V>(p);
    if (step == 2)
      return every_second(load<V>(p), load<V>(p + kLanesOf<V>), typename FirstIndices<kLanesOf<V>>::type{});
    V v{};
    ONNXC_UNROLL
    for (int l = 0; l < kLanesOf<V>; ++l) {
      if (l < count) v[l] = p[l * step];
    }
    return v;
  }
}
// Where the vector at `i` of `count` elements lies, so that none reaches beyond: the last may overlap the one before.
ONNXC_INLINE int64_t vector_place(int64_t i, int64_t count) {
  const int64_t last = count < kLanes<float> ? 0 : count - kLanes<float>;
  return i < last ? i : last;
}

// to[i] = the maximum of `rows` values x[i], x[i + row_step] ..., for i in 0 .. count - 1.
ONNXC_INLINE void max_of_rows(float* to, const float* x, int64_t rows, int64_t row_step, int64_t count) {
  using V = Wide<float>;
  ONNXC_ROLLED
  for (int64_t start = 0; start < count; start += kLanes<float>) {
    const int64_t i = vector_place(start, count);
    V most = splat<V>(-kInfinity<float>);
    ONNXC_ROLLED
    for (int64_t r = 0; r < rows; ++r) {
      most = max<V>(most, load_up_to<V>(x + r * row_step + i, count, -kInfinity<float>));
    }
    store_up_to<V>(to + i, count, most);
  }
}
// Outputs 0 .. count - 1 from the maxima of columns.
ONNXC_INLINE void max_of_columns(float* y, const float* columns, int64_t count, const Window& g) {
  using V = Wide<float>;
  ONNXC_ROLLED
  for (int64_t start = 0; start < count; start += kLanes<float>) {
    const int64_t i = vector_place(start, count);
    V most = splat<V>(-kInfinity<float>);
    ONNXC_ROLLED
    for (int64_t k = 0; k < g.kw; ++k)
      most = max<V>(most, strided<V>(columns + i * g.stride_w + k * g.dil_w, g.stride_w, count));
    store_up_to<V>(y + i, count, most);
  }
}
// Rows first: each is read once for the windows that share it sideways.
ONNXC_INLINE void max_pool_plain(float* y, const float* x, int64_t planes, const Window& g, const Share& share) {
  constexpr int64_t beyond = 2 * kLanes<float>;
  const int64_t reach = (g.kw - 1) * g.dil_w + 1, together = (kPoolColumns - reach) / g.stride_w + 1;
  float columns[kPoolColumns + beyond];
  ONNXC_ROLLED
  for (int64_t plane = 0; plane < planes; ++plane) {
    const Range mine = share.of(plane, planes, g.oh);
    ONNXC_ROLLED
    for (int64_t oy = mine.begin; oy < mine.end; ++oy) {
      const int64_t y0 = oy * g.stride_h - g.pad_top;
      const Range rows = taps_inside(y0, g.dil_h, g.kh, g.ih);
      const float* const from = x + (plane * g.ih + y0 + rows.begin * g.dil_h) * g.iw;
      ONNXC_ROLLED
      for (int64_t ox = 0; ox < g.ow; ox += together) {
        const int64_t count = g.ow - ox < together ? g.ow - ox : together;
        const int64_t x0 = ox * g.stride_w - g.pad_left;
        const Range inside = taps_inside(x0, 1, (count - 1) * g.stride_w + reach, g.iw);
        ONNXC_ROLLED
        for (int64_t i = 0; i < inside.begin; ++i) columns[i] = -kInfinity<float>;
        max_of_rows(columns + inside.begin, from + x0 + inside.begin, rows.end - rows.begin, g.dil_h * g.iw,
                    inside.end - inside.begin);
        ONNXC_ROLLED
        for (int64_t i = inside.end; i < (count - 1) * g.stride_w + reach; ++i) columns[i] = -kInfinity<float>;
        max_of_columns(y + (plane * g.oh + oy) * g.ow + ox, columns, count, g);
      }
    }
  }
}

ONNXC_INLINE int64_t blocked_planes(int64_t n, int64_t c) { return n * ((c + kBlock - 1) / kBlock); }

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_max_pool_blocked_f32(float* y, const float* x, int64_t n, int64_t c, int64_t ih, int64_t iw,
                                             int64_t oh, int64_t ow, int64_t kh, int64_t kw, int64_t stride_h,
                                             int64_t stride_w, int64_t pad_top, int64_t pad_left, int64_t dil_h,
                                             int64_t dil_w, int64_t by_rows, int64_t begin, int64_t end) {
  using namespace onnxc_kernels;
  pool_blocked(MaxPool{}, y, x, blocked_planes(n, c),
               {ih, iw, oh, ow, kh, kw, stride_h, stride_w, pad_top, pad_left, dil_h, dil_w}, {by_rows, begin, end});
}
// Windows of at most kPlainPoolReach columns.
ONNXC_KERNEL void onnxc_max_pool_plain_f32(float* y, const float* x, int64_t n, int64_t c, int64_t ih, int64_t iw,
                                           int64_t oh, int64_t ow, int64_t kh, int64_t kw, int64_t stride_h,
                                           int64_t stride_w, int64_t pad_top, int64_t pad_left, int64_t dil_h,
                                           int64_t dil_w, int64_t by_rows, int64_t begin, int64_t end) {
  using namespace onnxc_kernels;
  max_pool_plain(y, x, n * c, {ih, iw, oh, ow, kh, kw, stride_h, stride_w, pad_top, pad_left, dil_h, dil_w},
                 {by_rows, begin, end});
}
ONNXC_KERNEL void onnxc_avg_pool_blocked_f32(float* y, const float* x, int64_t n, int64_t c, int64_t ih, int64_t iw,
                                             int64_t oh, int64_t ow, int64_t kh, int64_t kw, int64_t stride_h,
                                             int64_t stride_w, int64_t pad_top, int64_t pad_left,
                                             int64_t count_include_pad, int64_t by_rows, int64_t begin, int64_t end) {
  using namespace onnxc_kernels;
  pool_blocked(AveragePool{count_include_pad != 0}, y, x, blocked_planes(n, c),
               {ih, iw, oh, ow, kh, kw, stride_h, stride_w, pad_top, pad_left, 1, 1}, {by_rows, begin, end});
}
// [begin, end) of the n * ceil(c / 16) planes.
ONNXC_KERNEL void onnxc_global_max_pool_blocked_f32(float* y, const float* x, int64_t hw, int64_t begin, int64_t end) {
  using namespace onnxc_kernels;
  global_pool_blocked(MaxPool{}, y, x, {begin, end}, hw);
}
ONNXC_KERNEL void onnxc_global_avg_pool_blocked_f32(float* y, const float* x, int64_t hw, int64_t begin, int64_t end) {
  using namespace onnxc_kernels;
  global_pool_blocked(AveragePool{false}, y, x, {begin, end}, hw);
}

#endif
