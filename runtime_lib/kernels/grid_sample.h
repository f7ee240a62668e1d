// grid_sample_f32: y[n][channels][points] = samples of x[n][channels][depth][height][width] at grid[n][points][axes],
// where the coordinate of the innermost axis comes first; axes: 1 to 3, depth and height are 1 where there are fewer.
// mode: 0 nearest, 1 linear, 2 cubic (up to two axes); padding: 0 zeros, 1 border, 2 reflection. Where taps lie and
// what they weigh is worked out once for a block of points, then applied to all channels. grid_sample_blocked_f32: x
// and y are [n][ceil(channels/16)][...][16]. [begin, end) of the points (n * points) are done. Coordinates beyond 2^31
// are cut to it. Formulas: onnx/docs/Operators.md. Tested in tests/unit/kernels/selection_test.cc.
#ifndef ONNXC_KERNELS_GRID_SAMPLE_H
#define ONNXC_KERNELS_GRID_SAMPLE_H

#include "math.h"
#include "tile.h"

namespace onnxc_kernels {

enum GridMode { kGridNearest, kGridLinear, kGridCubic };
enum GridPadding { kGridZeros, kGridBorder, kGridReflection };

template <class V>
ONNXC_INLINE IntVec<V> to_ints(V x) {
  if constexpr (kLanesOf<V> == 1) {
    return IntVec<V>(x);
  } else {
    return __builtin_convertvector(x, IntVec<V>);
  }
}

template <class V>
ONNXC_INLINE V gather(const Elem<V>* x, const int64_t* at) {
  if constexpr (kLanesOf<V> == 1) {
    return x[*at];
  } else {
    V v = {};
    ONNXC_UNROLL
    for (int l = 0; l < kLanesOf<V>; ++l) v[l] = x[at[l]];
    return v;
  }
}

// One axis of x.
struct GridAxis {
  int64_t extent;
  int64_t padding;
  bool align;

  template <class V>
  ONNXC_INLINE V pixels(V x) const {  // from -1 .. 1
    const float n = float(extent);
    if (align) return (x + 1.0f) / 2.0f * (n - 1.0f);
    return ((x + 1.0f) * n - 1.0f) / 2.0f;
  }
  // Mirrored at both ends as often as needed.
  template <class V>
  ONNXC_INLINE V reflect(V x) const {
    const V low = splat<V>(align ? 0.0f : -0.5f), high = splat<V>(float(extent) - (align ? 1.0f : 0.5f)),
            range = high - low;
    const auto below = x < low;
    const V distance = select(below, low - x, x - high);
    const V turns = trunc<V>(distance / range), rest = distance - turns * range;
    const auto odd = turns != 2.0f * floor<V>(turns * 0.5f);
    const V from_low = select(odd, high - rest, low + rest), from_high = select(odd, low + rest, high - rest);
    return select(below, from_low, select(x > high, from_high, x));
  }
  template <class V>
  ONNXC_INLINE V settle(V x) const {
    if (padding == kGridBorder) return max(splat<V>(0.0f), min(x, splat<V>(float(extent - 1))));
    return padding == kGridReflection ? reflect(x) : x;
  }
  // The index of a whole-numbered coordinate, in bounds; clears `inside` where it lies in the zeros.
  template <class V>
  ONNXC_INLINE IntVec<V> tap(V x, IntVec<V>* inside) const {
    using I = IntVec<V>;
    const float most = 2147483520.0f;
    const int32_t last = extent > INT32_MAX ? INT32_MAX : int32_t(extent - 1);
    V at = padding == kGridReflection ? reflect(x) : x;
    at = select(at > -1.0f, at, splat<V>(-1.0f));  // NaN too
    I i = to_ints(select(at < most, at, splat<V>(most)));
    const I first_index = splat<I>(0), last_index = splat<I>(last);
    const I zero = splat<I>(0);
    if (padding == kGridZeros) *inside = select(i < first_index, zero, select(i > last_index, zero, *inside));
    i = select(i < first_index, first_index, i);
    return select(i > last_index, last_index, i);
  }
};

// The taps along one axis of as many points as a vector has lanes.
template <int kPerAxis>
struct GridTaps {
  using V = Wide<float>;
  using I = IntVec<V>;
  static constexpr int L = kLanes<float>;
  float weight[kPerAxis][L];
  int32_t at[kPerAxis][L], inside[kPerAxis][L];  // inside: all bits, or none

  // `x`: coordinates in pixels.
  ONNXC_INLINE void prepare(const GridAxis& axis, V x) {
    if constexpr (kPerAxis == 1) {
      put(0, axis, axis.settle(round_even<V>(x)), splat<V>(1.0f));
    } else {
      x = axis.settle(x);
      const V base = floor<V>(x), t = x - base, u = 1.0f - t;
      if constexpr (kPerAxis == 2) {
        put(0, axis, base, u);
        put(1, axis, base + 1.0f, t);
      } else {
        put(0, axis, base - 1.0f, far(t + 1.0f));
        put(1, axis, base, near(t));
        put(2, axis, base + 1.0f, near(u));
        put(3, axis, base + 2.0f, far(u + 1.0f));
      }
    }
  }
  ONNXC_INLINE void put(int k, const GridAxis& axis, V x, V w) {
    I in = splat<I>(-1);
    store<I>(at[k], axis.tap<V>(x, &in));
    store<I>(inside[k], in);
    store<V>(weight[k], w);
  }
  // Cubic convolution with a = -0.75 (Keys, 1981).
  static ONNXC_INLINE V near(V d) { return ((1.25f * d - 2.25f) * d) * d + 1.0f; }
  static ONNXC_INLINE V far(V d) { return ((-0.75f * d + 3.75f) * d - 6.0f) * d + 3.0f; }
};

template <int kPerAxis, int axes>
struct GridSampler {
  static constexpr int kTaps = axes == 1 ? kPerAxis : axes == 2 ? kPerAxis * kPerAxis : kPerAxis * kPerAxis * kPerAxis;
  static constexpr int kPoints = 64, kChannels = int(kBlock), L = kLanes<float>;
  using V = Wide<float>;
  using I = IntVec<V>;

  const GridAxis* axis;  // outermost first
  int64_t at[kTaps][kPoints];
  float weight[kTaps][kPoints];
  int32_t inside[kTaps][kPoints];

  // Taps of the points grid[0 .. count - 1], a vector's or fewer, as those from `place` on of the block.
  ONNXC_INLINE void prepare(const float* grid, int64_t count, int64_t place) {
    GridTaps<kPerAxis> taps[axes];
    ONNXC_UNROLL
    for (int a = 0; a < axes; ++a) {
      float x[L];
      ONNXC_ROLLED
      for (int l = 0; l < L; ++l) x[l] = grid[(l < count ? l : count - 1) * axes + axes - 1 - a];
      taps[a].prepare(axis[a], axis[a].pixels(load<V>(x)));
    }
    ONNXC_ROLLED
    for (int k = 0; k < kTaps; ++k) {
      V w = splat<V>(1.0f);
      I in = splat<I>(-1);
      int64_t to[L] = {};
      int others = kTaps, rest = k;
      ONNXC_ROLLED
      for (int a = 0; a < axes; ++a) {
        others /= kPerAxis;
        const int own = rest / others;
        rest %= others;
        w = a == 0 ? load<V>(taps[a].weight[own]) : w * load<V>(taps[a].weight[own]);
        in = in & load<I>(taps[a].inside[own]);
        ONNXC_ROLLED
        for (int l = 0; l < L; ++l) to[l] = to[l] * axis[a].extent + taps[a].at[own][l];
      }
      store<V>(weight[k] + place, w);
      store<I>(inside[k] + place, in);
      ONNXC_ROLLED
      for (int l = 0; l < L; ++l) at[k][place + l] = to[l];
    }
  }

  // A vector of samples, those from `place` on of the block.
  template <bool masked>
  ONNXC_INLINE V sample(const float* x, int64_t place) const {
    V sum = splat<V>(0.0f);
    ONNXC_UNROLL
    for (int k = 0; k < kTaps; ++k) {
      V v = gather<V>(x, at[k] + place);
      if constexpr (masked) v = bits_as<V>(bits_as<I>(v) & load<I>(inside[k] + place));
      v = v * load<V>(weight[k] + place);
      sum = k == 0 ? v : sum + v;
    }
    return sum;
  }

  // The sample of a block of 16 channels at the point `place` of the block.
  template <bool masked>
  ONNXC_INLINE void sample_channels(float* y, const float* x, int64_t place) const {
    constexpr int vectors = kChannels / L;
    V sum[vectors];
    ONNXC_UNROLL
    for (int k = 0; k < kTaps; ++k) {
      const float* const from = x + at[k][place] * kChannels;
      const V w = splat<V>(weight[k][place]);
      const I in = splat<I>(inside[k][place]);
      ONNXC_UNROLL
      for (int v = 0; v < vectors; ++v) {
        V tap = load<V>(from + v * L);
        if constexpr (masked) tap = bits_as<V>(bits_as<I>(tap) & in);
        sum[v] = k == 0 ? tap * w : sum[v] + tap * w;
      }
    }
    ONNXC_UNROLL
    for (int v = 0; v < vectors; ++v) store<V>(y + v * L, sum[v]);
  }

  // The points grid[0 .. count - 1] of all channels, or blocks of channels, which lie `plane` elements apart in x and
  // `points` in y.
  template <bool blocked, bool masked>
  ONNXC_INLINE void run(float* y, const float* x, const float* grid, int64_t count, int64_t channels, int64_t plane,
                        int64_t points) {
    ONNXC_ROLLED
    for (int64_t begin = 0; begin < count; begin += kPoints) {
      const int64_t size = count - begin < kPoints ? count - begin : kPoints;
      ONNXC_ROLLED
      for (int64_t i = 0; i < size; i += L) prepare(grid + (begin + i) * axes, size - i, i);
      ONNXC_ROLLED
      for (int64_t c = 0; c < channels; ++c) {
        if constexpr (blocked) {
          ONNXC_ROLLED
          for (int64_t i = 0; i < size; ++i)
            sample_channels<masked>(y + (c * points + begin + i) * kChannels, x + c * plane * kChannels, i);
          continue;
        }
        float* const to = y + c * points + begin;
        int64_t i = 0;
        ONNXC_ROLLED
        for (; i + L <= size; i += L) store<V>(to + i, sample<masked>(x + c * plane, i));
        if (i < size) store_part<V>(to + i, size - i, sample<masked>(x + c * plane, i));
      }
    }
  }
};

// Channels, or blocks of them, `plane` and `points` elements, or vectors of a block, large.
struct GridShape {
  int64_t channels, plane, points;
};

template <bool blocked, int kPerAxis, int axes>
ONNXC_INLINE void grid_sample(float* y, const float* x, const float* grid, const GridAxis* axis, const GridShape& s,
                              Range range) {
  constexpr int64_t lanes = blocked ? kBlock : 1;
  GridSampler<kPerAxis, axes> sampler;
  sampler.axis = axis;
  for_stretches(range, s.points, [&](int64_t n, int64_t first, int64_t count) {
    float* const to = y + (n * s.channels * s.points + first) * lanes;
    const float* const from = x + n * s.channels * s.plane * lanes;
    const float* const at = grid + (n * s.points + first) * axes;
    if (axis[0].padding == kGridZeros)
      sampler.template run<blocked, true>(to, from, at, count, s.channels, s.plane, s.points);
    else
      sampler.template run<blocked, false>(to, from, at, count, s.channels, s.plane, s.points);
  });
}

template <bool blocked, int axes>
ONNXC_INLINE void grid_sample_by_mode(float* y, const float* x, const float* grid, const GridAxis* axis,
                                      const GridShape& s, int64_t mode, Range range) {
  if (mode == kGridNearest)
    grid_sample<blocked, 1, axes>(y, x, grid, axis, s, range);
  else if (mode == kGridLinear)
    grid_sample<blocked, 2, axes>(y, x, grid, axis, s, range);
  else if constexpr (axes < 3)
    grid_sample<blocked, 4, axes>(y, x, grid, axis, s, range);
}

template <bool blocked>
ONNXC_INLINE void grid_sample_by_axes(float* y, const float* x, const float* grid, int64_t axes, int64_t channels,
                                      int64_t depth, int64_t height, int64_t width, int64_t points, int64_t mode,
                                      int64_t padding, bool align, Range range) {
  const GridAxis axis[] = {{depth, padding, align}, {height, padding, align}, {width, padding, align}};
  const GridShape shape{channels, depth * height * width, points};
  if (axes == 1)
    grid_sample_by_mode<blocked, 1>(y, x, grid, axis + 2, shape, mode, range);
  else if (axes == 2)
    grid_sample_by_mode<blocked, 2>(y, x, grid, axis + 1, shape, mode, range);
  else
    grid_sample_by_mode<blocked, 3>(y, x, grid, axis, shape, mode, range);
}

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_grid_sample_f32(float* y, const float* x, const float* grid, int64_t axes, int64_t channels,
                                        int64_t depth, int64_t height, int64_t width, int64_t points, int64_t mode,
                                        int64_t padding, int64_t align, int64_t begin, int64_t end) {
  onnxc_kernels::grid_sample_by_axes<false>(y, x, grid, axes, channels, depth, height, width, points, mode, padding,
                                            align != 0, {begin, end});
}
ONNXC_KERNEL void onnxc_grid_sample_blocked_f32(float* y, const float* x, const float* grid, int64_t axes,
                                                int64_t channels, int64_t depth, int64_t height, int64_t width,
                                                int64_t points, int64_t mode, int64_t padding, int64_t align,
                                                int64_t begin, int64_t end) {
  using namespace onnxc_kernels;
  grid_sample_by_axes<true>(y, x, grid, axes, (channels + kBlock - 1) / kBlock, depth, height, width, points, mode,
                            padding, align != 0, {begin, end});
}

#endif
