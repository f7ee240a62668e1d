// non_max_suppression_f32: for each plane (a class of an image) the boxes of greatest score that overlap no box chosen
// before them by more than iou_threshold, in descending order of their scores (of equal ones the first box first; NaN
// is below all). boxes: [batches][count][4], scores: [batches * classes][count]. chosen: [batches * classes][count];
// those of a plane stand at its end, the last one chosen foremost. The planes are cut evenly into `shares`; [begin,
// end) counts these. Each has a slot of 2 count `candidates` and 5 count `numbers`. As in ONNX Runtime
// (onnxruntime/core/providers/cpu/object_detection/non_max_suppression.cc, 1.23) a box must exceed score_threshold, and
// boxes without area overlap none. chosen_boxes: y[..][3] = {batch, class, box} of all planes. Tested in
// tests/unit/kernels/selection_test.cc.
#ifndef ONNXC_KERNELS_NON_MAX_SUPPRESSION_H
#define ONNXC_KERNELS_NON_MAX_SUPPRESSION_H

#include "order.h"

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
};

// Boxes that are chosen, each of their numbers in a row of its own: sides, then the area.
struct ChosenBoxes {
  float* numbers;
  int64_t stride;
  using V = Wide<float>;
  static constexpr int L = kLanes<float>;

  struct Box {
    Interval side[2];
    float area;
  };
  static ONNXC_INLINE Box box_of(const Boxes& boxes, int64_t box) {
    Box b{{boxes.side(box, 0), boxes.side(box, 1)}, 1};
    ONNXC_UNROLL
    for (int axis = 0; axis < 2; ++axis) b.area *= b.side[axis].high - b.side[axis].low;
    return b;
  }
  ONNXC_INLINE float* row(int i) const { return numbers + i * stride; }
  ONNXC_INLINE void add(int64_t at, const Box& b) const {
    ONNXC_UNROLL
    for (int axis = 0; axis < 2; ++axis) {
      row(2 * axis)[at] = b.side[axis].low;
      row(2 * axis + 1)[at] = b.side[axis].high;
    }
    row(4)[at] = b.area;
  }
  // In which lanes the box overlaps the chosen ones from `at` on by more than `threshold`.
  template <class W>
  ONNXC_INLINE auto overlaps(const Box& b, int64_t at, float threshold) const {
    W common = splat<W>(1), length[2];
    ONNXC_UNROLL
    for (int axis = 0; axis < 2; ++axis) {
      const W p_low = splat<W>(b.side[axis].low), p_high = splat<W>(b.side[axis].high);
      const W q_low = load<W>(row(2 * axis) + at), q_high = load<W>(row(2 * axis + 1) + at);
      length[axis] = select(q_high < p_high, q_high, p_high) - select(p_low < q_low, q_low, p_low);
      common = common * length[axis];
    }
    const W area = load<W>(row(4) + at), both = b.area + area - common;
    return (length[0] > 0.0f) & (length[1] > 0.0f) & (common > 0.0f) & (area > 0.0f) & (both > 0.0f) &
           (common / both > threshold);
  }
  ONNXC_INLINE bool suppress(const Box& b, int64_t count, float threshold) const {
    if (!(b.area > 0)) return false;
    int64_t at = 0;
    for (; at + L <= count; at += L)
      if (any_true(overlaps<V>(b, at, threshold))) return true;
    for (; at < count; ++at)
      if (any_true(overlaps<float>(b, at, threshold))) return true;
    return false;
  }
};

// Of one plane, on memory for `count` chosen boxes and twice as many candidates. These are put in order as far as they
// are needed, by stretches each twice as long as the one before.
ONNXC_INLINE int64_t choose_boxes(int32_t* chosen, ShortCandidate* candidates, float* numbers, const Boxes& boxes,
                                  const float* scores, int64_t count, int64_t most, float iou_threshold,
                                  const float* score_threshold) {
  if (most <= 0) return 0;
  int64_t size = 0;
  ONNXC_ROLLED
  for (int64_t i = 0; i < count; ++i) {
    candidates[size] = ShortCandidate::of(key_of_float(scores[i]), i);
    size += score_threshold == nullptr || scores[i] > *score_threshold;
  }
  const ChosenBoxes others{numbers, count};
  int64_t found = 0, stretch = most < 32 ? 64 : most < count ? 2 * most : count;
  for (int64_t begin = 0; begin < size && found < most; begin += stretch, stretch *= 2) {
    if (stretch > size - begin) stretch = size - begin;
    move_first(candidates + begin, size - begin, stretch);
    const ShortCandidate* const sorted = in_order(candidates + begin, candidates + count, stretch);
    for (int64_t i = 0; i < stretch && found < most; ++i) {
      const int64_t box = sorted[i].index();
      const auto mine = ChosenBoxes::box_of(boxes, box);
      if (others.suppress(mine, found, iou_threshold)) continue;
      others.add(found, mine);
      chosen[count - ++found] = int32_t(box);
    }
  }
  return found;
}

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_non_max_suppression_f32(int32_t* chosen, int64_t* found, const float* boxes,
                                                const float* scores, const int64_t* most, const float* iou_threshold,
                                                const float* score_threshold, int64_t* candidates, float* numbers,
                                                int64_t planes, int64_t classes, int64_t count, int64_t centred,
                                                int64_t shares, int64_t begin, int64_t end) {
  using namespace onnxc_kernels;
  const int64_t limit = most == nullptr ? 0 : *most;
  const float iou = iou_threshold == nullptr ? 0.0f : *iou_threshold;
  auto* const own = reinterpret_cast<ShortCandidate*>(candidates) + begin * 2 * count;
  ONNXC_ROLLED
  for (int64_t plane = planes * begin / shares; plane < planes * end / shares; ++plane)
    found[plane] = choose_boxes(chosen + plane * count, own, numbers + begin * 5 * count,
                                Boxes{boxes + plane / classes * count * 4, centred != 0}, scores + plane * count, count,
                                limit, iou, score_threshold);
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
