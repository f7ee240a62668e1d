// Axes: negative ones, and splitting a shape at one.
#pragma once

#include "compiler/ops/op.h"

namespace onnxc {

// axis in -rank .. rank - 1 (or rank - 1 + `extra`) as a non-negative one; an InvalidModel error otherwise.
inline Result<int64_t> normal_axis(const Node& node, int64_t axis, size_t rank, int64_t extra = 0) {
  const int64_t r = static_cast<int64_t>(rank);
  if (axis < -r - extra || axis >= r + extra)
    return Error(ErrorKind::InvalidModel,
                 "axis " + std::to_string(axis) + " is outside of a rank of " + std::to_string(rank), node.where());
  return axis < 0 ? axis + r + extra : axis;
}

inline Dim product(const Shape& s, size_t begin, size_t end) {
  Dim d(1);
  for (size_t i = begin; i < end; ++i) d = d * s[i];
  return d;
}

}  // namespace onnxc
