// non_max_suppression_f32: for each plane (a class of an image) the boxes of greatest score that overlap no box chosen
// before them by more than iou_threshold, in descending order of their scores (of equal ones the first box first; NaN
// is below all). boxes: [batches][count][4], scores: [batches * classes][count]. chosen: [batches * classes][count];
// those of a plane stand at its end, the last one chosen foremost. [begin, end) of the planes are done. As in ONNX
// Runtime (onnxruntime/core/providers/cpu/object_detection/non_max_suppression.cc, 1.23) a box must exceed
// score_threshold, and boxes without area overlap none. chosen_boxes: y[..][3] = {batch, class, box} of all planes.
// Tested in tests/unit/kernels/selection_test.cc.
#ifndef ONNXC_KERNELS_NON_MAX_SUPPRESSION_H
#define ONNXC_KERNELS_NON_MAX_SUPPRESSION_H

#include "kernel.h"

namespace onnxc_kernels {

struct Interval {
  float low, high;
};

struct Boxes {
  const float* boxes;
  bool centred;  // {x, y, width, height} of a box; else any two opposite corners {y, x, y, x}

  ONNXC_INLINE Interval side(int64_t box, int axis) const {
    const float* const b = boxes + box * 4;
    if (centred) {
      const float half = b[axis + 2] / 2;
      return {b[axis] - half, b[axis] + half};
    }
    return b[axis] < b[axis + 2] ? Interval{b[axis], b[axis + 2]} : Interval{b[axis + 2], b[axis]};
  }
  ONNXC_INLINE bool overlap(int64_t a, int64_t b, float threshold) const {
    float common = 1, area_a = 1, area_b = 1;
    ONNXC_UNROLL
    for (int axis = 0; axis < 2; ++axis) {
      const Interval p = side(a, axis), q = side(b, axis);
      const float low = p.low < q.low ? q.low : p.low, high = q.high < p.high ? q.high : p.high;
      if (high <= low) return false;
      common *= high - low;
      area_a *= p.high - p.low;
      area_b *= q.high - q.low;
    }
    const float both = area_a + area_b - common;
    if (common <= 0 || area_a <= 0 || area_b <= 0 || both <= 0) return false;
    return common / both > threshold;
  }
};

// Boxes in a heap, the best one first.
struct ScoreHeap {
  int32_t* boxes;
  const float* scores;
  int64_t size;

  ONNXC_INLINE bool before(int32_t a, int32_t b) const {
    const float x = scores[a], y = scores[b];
    if (x > y || (x == x && y != y)) return true;
    if (x < y || (x != x && y == y)) return false;
    return a < b;
  }
  ONNXC_INLINE void sink(int64_t at) {
    const int32_t box = boxes[at];
    ONNXC_ROLLED
    for (int64_t child = 2 * at + 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && before(boxes[child + 1], boxes[child])) ++child;
      if (!before(boxes[child], box)) break;
      boxes[at] = boxes[child];
      at = child;
    }
    boxes[at] = box;
  }
  ONNXC_INLINE void build() {
    ONNXC_ROLLED
    for (int64_t i = size / 2 - 1; i >= 0; --i) sink(i);
  }
  ONNXC_INLINE int32_t pop() {
    const int32_t best = boxes[0];
    boxes[0] = boxes[--size];
    if (size > 1) sink(0);
    return best;
  }
};

// Of one plane; chosen has room for all boxes.
ONNXC_INLINE int64_t choose_boxes(int32_t* chosen, const Boxes& boxes, const float* scores, int64_t count, int64_t most,
                                  float iou_threshold, const float* score_threshold) {
  ScoreHeap heap{chosen, scores, 0};
  ONNXC_ROLLED
  for (int64_t i = 0; i < count; ++i)
    if (score_threshold == nullptr || scores[i] > *score_threshold) chosen[heap.size++] = int32_t(i);
  heap.build();
  int64_t found = 0;
  while (heap.size > 0 && found < most) {
    const int32_t box = heap.pop();
    bool free = true;
    for (int64_t i = 1; i <= found && free; ++i) free = !boxes.overlap(box, chosen[count - i], iou_threshold);
    if (free) chosen[count - ++found] = box;  // the heap has left this place
  }
  return found;
}

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_non_max_suppression_f32(int32_t* chosen, int64_t* found, const float* boxes,
                                                const float* scores, const int64_t* most, const float* iou_threshold,
                                                const float* score_threshold, int64_t classes, int64_t count,
                                                int64_t centred, int64_t begin, int64_t end) {
  using namespace onnxc_kernels;
  const int64_t limit = most == nullptr ? 0 : *most;
  const float iou = iou_threshold == nullptr ? 0.0f : *iou_threshold;
  ONNXC_ROLLED
  for (int64_t plane = begin; plane < end; ++plane)
    found[plane] = choose_boxes(chosen + plane * count, Boxes{boxes + plane / classes * count * 4, centred != 0},
                                scores + plane * count, count, limit, iou, score_threshold);
}

ONNXC_KERNEL void onnxc_chosen_boxes(int64_t* y, const int32_t* chosen, const int64_t* found, int64_t planes,
                                     int64_t classes, int64_t count) {
  int64_t at = 0;
  ONNXC_ROLLED
  for (int64_t plane = 0; plane < planes; ++plane) {
    ONNXC_ROLLED
    for (int64_t i = 1; i <= found[plane]; ++i, at += 3) {
      y[at] = plane / classes;
      y[at + 1] = plane % classes;
      y[at + 2] = chosen[(plane + 1) * count - i];
    }
  }
}

#endif
