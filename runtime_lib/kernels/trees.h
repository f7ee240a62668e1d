// What the leaves of decision trees give (TreeEnsembleClassifier, TreeEnsembleRegressor): their votes' sum, least or
// greatest. Node i is 3 words (of doubles 4): what it is (mode + 16 feature; mode 0: leaf, 1 <=, 2 <, 3 >=, 4 >, 5 ==,
// 6 !=; + 8: NaN goes on where the comparison holds), the next node where it holds, after which comes the one where
// not, and what it compares with. A leaf has its column and vote there or, where not all of them have one vote, the
// first of its votes or -1; vote_columns of a last vote is ~column. The tables have no cycle and name no feature that
// is not there. Eight rows, or eight trees of one row, are walked at once, without branches. Tested by
// tests/differential/test_classifiers.py.
#ifndef ONNXC_KERNELS_TREES_H
#define ONNXC_KERNELS_TREES_H

#include "kernel.h"

namespace onnxc_kernels {

template <class T>
struct Forest {
  static constexpr int kWords = 2 + int(sizeof(T) / 4), kRows = 8, kTrees = 16;
  const int32_t *nodes, *vote_columns;
  const T* votes;
  int64_t mode;  // of all branches, 0 where they differ or NaN goes on
  int64_t single, aggregate;

  ONNXC_INLINE const int32_t* node(int32_t i) const { return nodes + kWords * i; }
  ONNXC_INLINE static T number(const int32_t* node) {
    T v;
    __builtin_memcpy(&v, node + 2, sizeof v);
    return v;
  }

  ONNXC_INLINE static bool compare(int64_t mode, T x, T split) {
    switch (mode) {
      case 1: return x <= split;
      case 2: return x < split;
      case 3: return x >= split;
      case 4: return x > split;
      case 5: return x == split;
      default: return x != split;
    }
  }
  ONNXC_INLINE bool holds(int32_t what, T x, T split) const {
    if (mode) return compare(mode, x, split);
    return compare(what & 7, x, split) || ((what & 8) && x != x);
  }

  // From the nodes `at` to leaves; lane l reads row x[l].
  template <int Lanes>
  ONNXC_INLINE void walk(int32_t (&at)[Lanes], const T* const (&x)[Lanes]) const {
    for (;;) {
      int32_t what[Lanes], open = 0;
      ONNXC_UNROLL
      for (int l = 0; l < Lanes; ++l) {
        what[l] = node(at[l])[0];
        open |= what[l];
      }
      if (!(open & 15)) return;
      ONNXC_UNROLL
      for (int l = 0; l < Lanes; ++l) {
        const int32_t* n = node(at[l]);
        const int32_t next = n[1] + !holds(what[l], x[l][what[l] >> 4], number(n));
        at[l] += (next - at[l]) & -int32_t((what[l] & 15) != 0);
        __asm__("" : "+r"(at[l]));  // no vector: gathers and masks take three times as long (Zen 4)
      }
    }
  }

  // 0: the sum, 1: the lesser, 2: the greater.
  ONNXC_INLINE T joined(T old, T vote) const {
    if (aggregate == 0) return old + vote;
    return (aggregate == 1 ? vote < old : vote > old) ? vote : old;
  }
  ONNXC_INLINE void add_votes(T* scores, int32_t leaf) const {
    const int32_t* n = node(leaf);
    if (single) {
      scores[n[1]] = joined(scores[n[1]], number(n));
      return;
    }
    for (int32_t i = n[1]; i >= 0;) {
      const int32_t column = vote_columns[i];
      T& score = scores[column < 0 ? ~column : column];
      score = joined(score, votes[i]);
      i = column < 0 ? -1 : i + 1;
    }
  }

  // One tree, `lanes` rows.
  template <int Lanes>
  ONNXC_INLINE void rows(T* y, const T* x, int32_t root, int64_t features, int64_t columns) const {
    int32_t at[Lanes];
    const T* row[Lanes];
    ONNXC_UNROLL
    for (int l = 0; l < Lanes; ++l) at[l] = root, row[l] = x + l * features;
    walk<Lanes>(at, row);
    ONNXC_UNROLL
    for (int l = 0; l < Lanes; ++l) add_votes(y + l * columns, at[l]);
  }
  // One row, all trees.
  template <int Lanes>
  ONNXC_INLINE void trees(T* y, const T* x, const int32_t* roots) const {
    int32_t at[Lanes];
    const T* row[Lanes];
    ONNXC_UNROLL
    for (int l = 0; l < Lanes; ++l) at[l] = roots[l], row[l] = x;
    walk<Lanes>(at, row);
    ONNXC_UNROLL
    for (int l = 0; l < Lanes; ++l) add_votes(y, at[l]);
  }
};

template <class T>
ONNXC_INLINE void tree_scores(const Forest<T>& forest, T* y, const T* x, const int32_t* roots, int64_t features,
                              int64_t columns, int64_t trees, int64_t begin, int64_t end) {
  constexpr int64_t kRows = Forest<T>::kRows, kTrees = Forest<T>::kTrees;
  // Rows that share a tree while it is in the cache; a large forest is read anew for each such block.
  constexpr int64_t kLeastBlock = 64, kMostBlock = 1024, kBlockBytes = 48 << 10;
  const int64_t fitting = kBlockBytes / ((features + columns) * int64_t(sizeof(T))) / kRows * kRows;
  const int64_t block = fitting < kLeastBlock ? kLeastBlock : fitting > kMostBlock ? kMostBlock : fitting;
  const T start = forest.aggregate == 0 ? T(0) : forest.aggregate == 1 ? kInfinity<T> : -kInfinity<T>;
  ONNXC_ROLLED
  for (int64_t i = begin * columns; i < end * columns; ++i) y[i] = start;
  const int64_t grouped = begin + (end - begin) / kRows * kRows;
  ONNXC_ROLLED
  for (int64_t first = begin; first < grouped; first += block) {
    const int64_t stop = grouped - first < block ? grouped : first + block;
    ONNXC_ROLLED
    for (int64_t t = 0; t < trees; ++t) {
      ONNXC_ROLLED
      for (int64_t row = first; row < stop; row += kRows)
        forest.template rows<kRows>(y + row * columns, x + row * features, roots[t], features, columns);
    }
  }
  ONNXC_ROLLED
  for (int64_t row = grouped; row < end; ++row) {
    int64_t t = 0;
    ONNXC_ROLLED
    for (; t + kTrees <= trees; t += kTrees)
      forest.template trees<kTrees>(y + row * columns, x + row * features, roots + t);
    ONNXC_ROLLED
    for (; t < trees; ++t) forest.template trees<1>(y + row * columns, x + row * features, roots + t);
  }
}

}  // namespace onnxc_kernels

// y [rows][columns], x [rows][features].
#define ONNXC_TREE_SCORES(suffix, T)                                                                                \
  ONNXC_KERNEL void onnxc_tree_scores_##suffix(T* y, const T* x, const int32_t* nodes, const int32_t* vote_columns, \
                                               const T* votes, const int32_t* roots, int64_t features,              \
                                               int64_t columns, int64_t trees, int64_t aggregate, int64_t mode,     \
                                               int64_t single, int64_t begin, int64_t end) {                        \
    const onnxc_kernels::Forest<T> forest = {nodes, vote_columns, votes, mode, single, aggregate};                  \
    onnxc_kernels::tree_scores<T>(forest, y, x, roots, features, columns, trees, begin, end);                       \
  }
ONNXC_TREE_SCORES(f32, float)
ONNXC_TREE_SCORES(f64, double)
#undef ONNXC_TREE_SCORES

#endif
