// What support vector classifiers (ai.onnx.ml SVMClassifier) do with the kernel values of a row: svm_scores_f32, a
// score of each pair of classes and the class that wins most pairs; svm_coupling_f32, probabilities of the classes from
// those of the pairs. Pairs are (0, 1), (0, 2) ... (1, 2) ...; [begin, end) of the rows are done. Tested in
// tests/unit/kernels/svm_test.cc.
#ifndef ONNXC_KERNELS_SVM_H
#define ONNXC_KERNELS_SVM_H

#include "rows.h"

namespace onnxc_kernels {

// One chain per lane of 16, then a binary tree; what is left over in one chain.
ONNXC_INLINE float dot(const float* a, const float* b, int64_t n) {
  using Sum = Sixteen<float>;
  Sum sum = Sum::fill(0);
  int64_t i = 0;
  ONNXC_ROLLED
  for (; i + 16 <= n; i += 16) {
    ONNXC_UNROLL
    for (int j = 0; j < Sum::count; ++j) {
      const int64_t at = i + j * kLanes<float>;
      sum.v[j] = madd(load<Sum::V>(a + at), load<Sum::V>(b + at), sum.v[j]);
    }
  }
  float rest = 0;
  ONNXC_ROLLED
  for (; i < n; ++i) rest = madd(a[i], b[i], rest);
  return sum.tree([](float x, float y) { return x + y; }) + rest;
}

// The place of the pair (i, j), i < j.
ONNXC_INLINE int64_t pair_of(int64_t i, int64_t j, int64_t classes) {
  return i * (2 * classes - i - 1) / 2 + j - i - 1;
}

// The class that wins most pairs, of equal ones the first. i wins (i, j) where its score is above 0.
ONNXC_INLINE int64_t winner_of(const float* scores, int64_t classes) {
  int64_t winner = 0, most = -1;
  ONNXC_ROLLED
  for (int64_t c = 0; c < classes; ++c) {
    int64_t won = 0;
    ONNXC_ROLLED
    for (int64_t i = 0; i < c; ++i) won += !(scores[pair_of(i, c, classes)] > 0);
    ONNXC_ROLLED
    for (int64_t j = c + 1; j < classes; ++j) won += scores[pair_of(c, j, classes)] > 0;
    if (won > most) most = won, winner = c;
  }
  return winner;
}

// The probability of i rather than j, from those of the pairs.
ONNXC_INLINE float rather(const float* pairs, int64_t i, int64_t j, int64_t classes) {
  return i < j ? pairs[pair_of(i, j, classes)] : 1 - pairs[pair_of(j, i, classes)];
}

// p := argmin p'Qp with sum p = 1, Q_ii = sum_j r_ji^2, Q_ij = -r_ji r_ij (Wu, Lin, Weng: Probability estimates for
// multi-class classification by pairwise coupling, 2004, algorithm 2). diagonal, product: room for `classes` each.
ONNXC_INLINE void couple(float* p, float* diagonal, float* product, const float* pairs, int64_t classes) {
  const auto q = [&](int64_t i, int64_t j) {
    if (i == j) return diagonal[i];
    const float r = rather(pairs, i, j, classes);
    return -(1 - r) * r;
  };
  ONNXC_ROLLED
  for (int64_t i = 0; i < classes; ++i) {
    p[i] = 1 / float(classes);
    diagonal[i] = 0;
    ONNXC_ROLLED
    for (int64_t j = 0; j < classes; ++j) {
      const float r = j == i ? 0 : rather(pairs, j, i, classes);
      diagonal[i] += r * r;
    }
  }
  ONNXC_ROLLED
  for (int turn = 0; turn < 100; ++turn) {
    float total = 0;  // p'Qp
    ONNXC_ROLLED
    for (int64_t i = 0; i < classes; ++i) {
      product[i] = 0;
      ONNXC_ROLLED
      for (int64_t j = 0; j < classes; ++j) product[i] += q(i, j) * p[j];
      total += p[i] * product[i];
    }
    float worst = 0;
    ONNXC_ROLLED
    for (int64_t i = 0; i < classes; ++i) {
      const float error = abs(product[i] - total);
      if (error > worst) worst = error;
    }
    if (worst < 0.005f / float(classes)) break;
    ONNXC_ROLLED
    for (int64_t i = 0; i < classes; ++i) {
      const float step = (total - product[i]) / diagonal[i];
      p[i] += step;
      total = (total + step * (step * diagonal[i] + 2 * product[i])) / (1 + step) / (1 + step);
      ONNXC_ROLLED
      for (int64_t j = 0; j < classes; ++j) {
        product[j] = (product[j] + step * q(i, j)) / (1 + step);
        p[j] /= 1 + step;
      }
    }
  }
}

}  // namespace onnxc_kernels

// scores [rows][pairs], winners [rows], kernels [rows][vectors]; the vectors of class c are first[c] ... first[c + 1],
// their coefficients against the other classes, in order, a column of coefficients [classes - 1][vectors].
ONNXC_KERNEL void onnxc_svm_scores_f32(float* scores, int64_t* winners, const float* kernels, const float* coefficients,
                                       const int32_t* first, const float* rho, int64_t vectors, int64_t classes,
                                       int64_t begin, int64_t end) {
  using namespace onnxc_kernels;
  const int64_t pairs = classes * (classes - 1) / 2;
  ONNXC_ROLLED
  for (int64_t row = begin; row < end; ++row) {
    const float* values = kernels + row * vectors;
    float* score = scores + row * pairs;
    int64_t pair = 0;
    ONNXC_ROLLED
    for (int64_t i = 0; i < classes; ++i) {
      ONNXC_ROLLED
      for (int64_t j = i + 1; j < classes; ++j, ++pair) {
        const float of_i = dot(coefficients + (j - 1) * vectors + first[i], values + first[i], first[i + 1] - first[i]);
        const float of_j = dot(coefficients + i * vectors + first[j], values + first[j], first[j + 1] - first[j]);
        score[pair] = of_i + of_j + rho[pair];
      }
    }
    winners[row] = winner_of(score, classes);
  }
}

// p, diagonal, product [rows][classes], pairs [rows][pairs], each in (0, 1); NaN gives equal probabilities.
ONNXC_KERNEL void onnxc_svm_coupling_f32(float* p, float* diagonal, float* product, const float* pairs, int64_t classes,
                                         int64_t begin, int64_t end) {
  ONNXC_ROLLED
  for (int64_t row = begin; row < end; ++row)
    onnxc_kernels::couple(p + row * classes, diagonal + row * classes, product + row * classes,
                          pairs + row * (classes * (classes - 1) / 2), classes);
}

#endif
