// What the leaves of decision trees give (TreeEnsembleClassifier, TreeEnsembleRegressor): their votes' sum, least or
// greatest. Node i is nodes[6 i ...]: feature, mode (0: leaf; 1 <=, 2 <, 3 >=, 4 >, 5 ==, 6 !=; + 8: NaN goes on where
// the comparison holds), next node where it holds, next where not, first and end of a leaf's votes. The tables have no
// cycle and name no feature that is not there. Tested by tests/differential/test_classifiers.py.
#ifndef ONNXC_KERNELS_TREES_H
#define ONNXC_KERNELS_TREES_H

#include "kernel.h"

namespace onnxc_kernels {

template <class T>
ONNXC_INLINE bool branch_holds(int32_t mode, T x, T split) {
  switch (mode) {
    case 1: return x <= split;
    case 2: return x < split;
    case 3: return x >= split;
    case 4: return x > split;
    case 5: return x == split;
    default: return x != split;
  }
}

template <class T>
ONNXC_INLINE int32_t leaf_of(const int32_t* nodes, const T* splits, int32_t root, const T* x) {
  int32_t at = root;
  while (nodes[6 * at + 1]) {
    const int32_t* node = nodes + 6 * at;
    const T v = x[node[0]];
    const bool holds = branch_holds(node[1] & 7, v, splits[at]) || ((node[1] & 8) && v != v);
    at = node[holds ? 2 : 3];
  }
  return at;
}

// 0: the sum, 1: the lesser, 2: the greater.
template <class T>
ONNXC_INLINE T joined(int64_t aggregate, T old, T vote) {
  if (aggregate == 0) return old + vote;
  return (aggregate == 1 ? vote < old : vote > old) ? vote : old;
}

template <class T>
ONNXC_INLINE void tree_scores(T* y, const T* x, const int32_t* nodes, const T* splits, const int32_t* vote_columns,
                              const T* votes, const int32_t* roots, int64_t features, int64_t columns, int64_t trees,
                              int64_t aggregate, int64_t begin, int64_t end) {
  const T start = aggregate == 0 ? T(0) : aggregate == 1 ? kInfinity<T> : -kInfinity<T>;
  ONNXC_ROLLED
  for (int64_t i = begin * columns; i < end * columns; ++i) y[i] = start;
  constexpr int64_t kBlock = 64;  // rows that share a tree while it is in the cache
  ONNXC_ROLLED
  for (int64_t first = begin; first < end; first += kBlock) {
    const int64_t stop = end - first < kBlock ? end : first + kBlock;
    ONNXC_ROLLED
    for (int64_t t = 0; t < trees; ++t) {
      ONNXC_ROLLED
      for (int64_t row = first; row < stop; ++row) {
        const int32_t* leaf = nodes + 6 * leaf_of(nodes, splits, roots[t], x + row * features);
        T* scores = y + row * columns;
        for (int32_t i = leaf[4]; i < leaf[5]; ++i)
          scores[vote_columns[i]] = joined(aggregate, scores[vote_columns[i]], votes[i]);
      }
    }
  }
}

}  // namespace onnxc_kernels

// y [rows][columns], x [rows][features].
#define ONNXC_TREE_SCORES(suffix, T)                                                                                \
  ONNXC_KERNEL void onnxc_tree_scores_##suffix(T* y, const T* x, const int32_t* nodes, const T* splits,             \
                                               const int32_t* vote_columns, const T* votes, const int32_t* roots,   \
                                               int64_t features, int64_t columns, int64_t trees, int64_t aggregate, \
                                               int64_t begin, int64_t end) {                                        \
    onnxc_kernels::tree_scores<T>(y, x, nodes, splits, vote_columns, votes, roots, features, columns, trees,        \
                                  aggregate, begin, end);                                                           \
  }
ONNXC_TREE_SCORES(f32, float)
ONNXC_TREE_SCORES(f64, double)
#undef ONNXC_TREE_SCORES

#endif
