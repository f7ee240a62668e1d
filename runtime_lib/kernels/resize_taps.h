// Which elements of an axis a resized one is made of, and with what weights (onnx/docs/Operators.md, Resize 19; the
// formulas of onnx's reference op_resize). The compiler calls it for fixed extents. Tested by tests/conformance.
#ifndef ONNXC_KERNELS_RESIZE_TAPS_H
#define ONNXC_KERNELS_RESIZE_TAPS_H

#include "math.h"

namespace onnxc_kernels {

enum ResizeKind { kResizeNearest, kResizeLinear, kResizeCubic };
enum ResizeWhere {
  kHalfPixel,
  kHalfPixelSymmetric,
  kPytorchHalfPixel,
  kAlignCorners,
  kAsymmetric,
  kTfHalfPixelForNn,
  kTfCropAndResize
};
enum ResizeRounding { kRoundPreferFloor, kRoundPreferCeil, kRoundFloor, kRoundCeil, kRoundSimple };
enum ResizeFlags { kResizeAntialias = 1, kResizeExcludeOutside = 2 };

struct ResizedAxis {
  double in, out, scale, roi_begin, roi_end;
};

// Where output coordinate i falls in the input.
ONNXC_INLINE double resize_source(int64_t where, double i, const ResizedAxis& a) {
  const bool single = a.out == 1;
  switch (where) {
    case kAlignCorners: return single ? 0 : i * (a.in - 1) / (a.out - 1);
    case kAsymmetric: return i / a.scale;
    case kTfHalfPixelForNn: return (i + 0.5) / a.scale;
    case kPytorchHalfPixel: return single ? 0 : (i + 0.5) / a.scale - 0.5;
    case kTfCropAndResize:
      return single ? 0.5 * (a.roi_begin + a.roi_end) * (a.in - 1)
                    : a.roi_begin * (a.in - 1) + i * (a.roi_end - a.roi_begin) * (a.in - 1) / (a.out - 1);
    case kHalfPixelSymmetric: {
      const double centre = a.in / 2, adjustment = a.out / (a.scale * a.in);
      return centre * (1 - adjustment) + (i + 0.5) / a.scale - 0.5;
    }
    default: return (i + 0.5) / a.scale - 0.5;
  }
}

ONNXC_INLINE double resize_nearest(int64_t rounding, double x, double scale) {
  switch (rounding) {
    case kRoundFloor: return floor<double>(x);
    case kRoundCeil: return ceil<double>(x);
    case kRoundPreferCeil: return floor<double>(x + 0.5);
    case kRoundSimple: return scale < 1 ? ceil<double>(x) : floor<double>(x);
    default: return ceil<double>(x - 0.5);
  }
}

ONNXC_INLINE double resize_weight(int64_t kind, double distance, double a) {
  const double x = distance < 0 ? -distance : distance;
  if (kind == kResizeLinear) return x < 1 ? 1 - x : 0;
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((x - 5) * x + 8) * x * a - 4 * a : 0;
}

// An element of the axis, whatever the position is.
ONNXC_INLINE int64_t resize_inside(double at, int64_t in) {
  return !(at > 0) ? 0 : at >= static_cast<double>(in - 1) ? in - 1 : static_cast<int64_t>(at);
}

// A smaller one is smoothed over more taps.
ONNXC_INLINE double resize_shrink(double scale, int64_t kind, int64_t flags) {
  return kind != kResizeNearest && (flags & kResizeAntialias) && scale < 1 ? scale : 1;
}

}  // namespace onnxc_kernels

// index, weight[out][taps], which may be null for the nearest; outside[out], may be null: 1 where the position is
// beyond the axis (kTfCropAndResize). Of axis `axis` among `axes`: scale[axes], roi[2 * axes] (begins, ends; null: all
// of each axis). taps: 1 for the nearest, else 2 reach / min(scale, 1) rounded up, with a reach of 1 or (cubic) 2.
ONNXC_KERNEL void onnxc_resize_taps(int64_t* index, float* weight, int64_t* outside, const double* scale,
                                    const double* roi, int64_t axis, int64_t axes, int64_t in, int64_t out,
                                    int64_t taps, int64_t kind, int64_t where, int64_t rounding, int64_t flags,
                                    double cubic) {
  using namespace onnxc_kernels;
  const ResizedAxis a = {static_cast<double>(in), static_cast<double>(out), scale[axis], roi ? roi[axis] : 0,
                         roi ? roi[axes + axis] : 1};
  const double shrink = resize_shrink(a.scale, kind, flags);
  const int64_t first = 1 - taps / 2;
  ONNXC_ROLLED
  for (int64_t i = 0; i < out; ++i) {
    const double x = resize_source(where, static_cast<double>(i), a);
    if (outside) outside[i] = !(x >= 0 && x <= static_cast<double>(in - 1));
    if (kind == kResizeNearest) {
      index[i] = resize_inside(resize_nearest(rounding, x, a.scale), in);
      if (weight) weight[i] = 1;
      continue;
    }
    const double base = onnxc_kernels::ceil<double>(x) - 1,
                 ratio = x - base;  // in (0, 1]: the left neighbour is preferred
    const auto weight_of = [&](int64_t k) {
      const double at = base + static_cast<double>(first + k);
      if ((flags & kResizeExcludeOutside) && !(at >= 0 && at < static_cast<double>(in))) return 0.0;
      return resize_weight(kind, (static_cast<double>(first + k) - ratio) * shrink, cubic);
    };
    double sum = 0;
    ONNXC_ROLLED
    for (int64_t k = 0; k < taps; ++k) sum += weight_of(k);
    const bool normalise = shrink != 1 || (flags & kResizeExcludeOutside);
    ONNXC_ROLLED
    for (int64_t k = 0; k < taps; ++k) {
      index[i * taps + k] = resize_inside(base + static_cast<double>(first + k), in);
      weight[i * taps + k] = static_cast<float>(normalise ? weight_of(k) / sum : weight_of(k));
    }
  }
}

#endif
