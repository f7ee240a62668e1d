// Scores of pairs, votes and coupled probabilities against plain loops in double; the coupling against what it solves.
#include "reference.h"
#include "runtime_lib/kernels/all_kernels.h"

namespace kernel_test {
namespace {

struct Machine {
  std::vector<int32_t> first = {0};
  std::vector<float> coefficients, rho;
  int64_t classes, vectors, pairs;

  Machine(const std::vector<int32_t>& per_class, Random& random) : classes(int64_t(per_class.size())) {
    for (int32_t count : per_class) first.push_back(first.back() + count);
    vectors = first.back();
    pairs = classes * (classes - 1) / 2;
    coefficients = random.vector((classes - 1) * vectors);
    rho = random.vector(pairs);
  }
  double score(const float* kernels, int64_t i, int64_t j, int64_t pair) const {
    double sum = rho[size_t(pair)];
    for (int64_t v = first[size_t(i)]; v < first[size_t(i) + 1]; ++v)
      sum += double(coefficients[size_t((j - 1) * vectors + v)]) * kernels[v];
    for (int64_t v = first[size_t(j)]; v < first[size_t(j) + 1]; ++v)
      sum += double(coefficients[size_t(i * vectors + v)]) * kernels[v];
    return sum;
  }
};

void check_scores(const std::vector<int32_t>& per_class) {
  Random random(3);
  const Machine m(per_class, random);
  const int64_t rows = 5;
  const auto kernels = random.vector(rows * m.vectors);
  std::vector<float> scores(size_t(rows * m.pairs));
  std::vector<int64_t> winners(size_t(rows), -1);
  for (int64_t row = 0; row < rows; ++row)
    onnxc_svm_scores_f32(scores.data(), winners.data(), kernels.data(), m.coefficients.data(), m.first.data(),
                         m.rho.data(), m.vectors, m.classes, row, row + 1);
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<int64_t> votes(size_t(m.classes), 0);
    int64_t pair = 0;
    for (int64_t i = 0; i < m.classes; ++i)
      for (int64_t j = i + 1; j < m.classes; ++j, ++pair) {
        const float score = scores[size_t(row * m.pairs + pair)];
        EXPECT_NEAR(score, m.score(kernels.data() + row * m.vectors, i, j, pair), 1e-4);
        ++votes[size_t(score > 0 ? i : j)];
      }
    EXPECT_EQ(winners[size_t(row)], std::max_element(votes.begin(), votes.end()) - votes.begin());
  }
}

TEST(SvmTest, Scores) {
  check_scores({7});
  check_scores({1, 1});
  check_scores({100, 33});
  check_scores({17, 0, 16, 40});
  check_scores({5, 4, 3, 2, 1, 2, 3, 4, 50});
}

// p' Q p, of which the probabilities are the least.
double cost(const std::vector<float>& p, const std::vector<std::vector<double>>& r) {
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i)
    for (size_t j = 0; j < p.size(); ++j)
      if (i != j) sum += std::pow(r[j][i] * p[i] - r[i][j] * p[j], 2) / 2;
  return sum;
}

void check_coupling(int64_t classes) {
  Random random(11);
  const int64_t pairs = classes * (classes - 1) / 2;
  std::vector<float> rather(size_t(pairs), 0);
  std::vector<std::vector<double>> r(size_t(classes), std::vector<double>(size_t(classes), 0));
  size_t pair = 0;
  for (size_t i = 0; i < size_t(classes); ++i)
    for (size_t j = i + 1; j < size_t(classes); ++j, ++pair) {
      rather[pair] = 0.5f + 0.49f * random.next();
      r[i][j] = double(rather[pair]), r[j][i] = 1 - r[i][j];
    }
  const size_t n = size_t(classes);
  std::vector<float> p(n), diagonal(n), product(n);
  onnxc_svm_coupling_f32(p.data(), diagonal.data(), product.data(), rather.data(), classes, 0, 1);
  double sum = 0;
  for (float x : p) {
    sum += double(x);
    EXPECT_GE(x, 0);
  }
  EXPECT_NEAR(sum, 1, 1e-5);
  if (classes == 2) {
    EXPECT_NEAR(p[0], rather[0], 2e-3);
  }
  const double least = cost(p, r);
  for (int turn = 0; turn < 50; ++turn) {  // no neighbour is much better
    std::vector<float> other = p;
    const size_t from = size_t(turn) % n, to = size_t(turn / 2 + 1) % n;
    const float step = std::min(0.05f * std::abs(random.next()), other[from]);
    other[from] -= step, other[to] += step;
    EXPECT_GE(cost(other, r), least - 1e-3);
  }
}

TEST(SvmTest, Coupling) {
  for (int64_t classes : {2, 3, 4, 9}) check_coupling(classes);
}

TEST(SvmTest, NanGivesEqualProbabilities) {
  std::vector<float> p(3), diagonal(3), product(3);
  const std::vector<float> rather(3, kNan);
  onnxc_svm_coupling_f32(p.data(), diagonal.data(), product.data(), rather.data(), 3, 0, 1);
  for (float x : p) EXPECT_EQ(x, 1.0f / 3);
}

}  // namespace
}  // namespace kernel_test
