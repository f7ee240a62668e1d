// Sums of what the leaves of decision trees vote for (TreeEnsembleClassifier). Node i is nodes[6 i ...]: feature, mode
// (0: leaf; 1 <=, 2 <, 3 >=, 4 >, 5 ==, 6 !=; + 8: NaN goes on where the comparison holds), next node where it holds,
// next where not, first and end of a leaf's votes. The tables have no cycle and name no feature that is not there.
// Tested by tests/differential/test_classifiers.py.
#ifndef ONNXC_KERNELS_TREES_H
#define ONNXC_KERNELS_TREES_H

#include "kernel.h"

namespace onnxc_kernels {

ONNXC_INLINE bool branch_holds(int32_t mode, float x, float split) {
  switch (mode) {
    case 1: return x <= split;
    case 2: return x < split;
    case 3: return x >= split;
    case 4: return x > split;
    case 5: return x == split;
    default: return x != split;
  }
}

}  // namespace onnxc_kernels

// y [rows][classes], x [rows][features].
ONNXC_KERNEL void onnxc_tree_scores_f32(float* y, const float* x, const int32_t* nodes, const float* splits,
                                        const int32_t* vote_classes, const float* votes, const int32_t* roots,
                                        const float* base, int64_t features, int64_t classes, int64_t trees,
                                        int64_t begin, int64_t end) {
  ONNXC_ROLLED
  for (int64_t row = begin; row < end; ++row) {
    float* scores = y + row * classes;
    ONNXC_ROLLED
    for (int64_t c = 0; c < classes; ++c) scores[c] = base ? base[c] : 0.0f;
    ONNXC_ROLLED
    for (int64_t t = 0; t < trees; ++t) {
      int32_t at = roots[t];
      while (nodes[6 * at + 1]) {
        const int32_t* node = nodes + 6 * at;
        const float v = x[row * features + node[0]];
        const bool holds = onnxc_kernels::branch_holds(node[1] & 7, v, splits[at]) || ((node[1] & 8) && v != v);
        at = node[holds ? 2 : 3];
      }
      for (int32_t i = nodes[6 * at + 4]; i < nodes[6 * at + 5]; ++i) scores[vote_classes[i]] += votes[i];
    }
  }
}

#endif
