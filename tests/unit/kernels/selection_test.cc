// Counting, finding, sorting and suppressing against plain loops; nothing is written outside of the outputs.
#include <map>
#include <numeric>

#include "reference.h"
#include "runtime_lib/kernels/all_kernels.h"

namespace kernel_test {
namespace {

// A list with a canary on each side.
template <class T>
class Fenced {
 public:
  explicit Fenced(int64_t n) : all_(static_cast<size_t>(n) + 2, T(77)) {}
  T* data() { return all_.data() + 1; }
  std::vector<T> first(int64_t n) const { return {all_.begin() + 1, all_.begin() + 1 + n}; }
  void check() const { EXPECT_TRUE(all_.front() == T(77) && all_.back() == T(77)); }

 private:
  std::vector<T> all_;
};

void check_places(const std::vector<int64_t>& dims, int one_in, uint8_t value) {
  Random random(5);
  const int64_t n = std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
  std::vector<uint8_t> mask;
  for (int64_t i = 0; i < n; ++i) mask.push_back(std::abs(random.next()) * float(one_in) <= 1 ? value : 0);
  const auto rank = static_cast<int64_t>(dims.size());
  std::vector<std::vector<int64_t>> rows(dims.size());
  for (int64_t i = 0; i < n; ++i) {
    if (!mask[static_cast<size_t>(i)]) continue;
    int64_t rest = i;
    for (size_t d = dims.size(); d-- > 0; rest /= dims[d]) rows[d].push_back(rest % dims[d]);
  }
  std::vector<int64_t> expected;
  for (const auto& row : rows) expected.insert(expected.end(), row.begin(), row.end());
  int64_t count = -1;
  onnxc_count_true(&count, mask.data(), n);
  ASSERT_EQ(count * rank, static_cast<int64_t>(expected.size()));
  Fenced<int64_t> y(count * rank);
  onnxc_true_places(y.data(), mask.data(), dims.data(), rank, n, count);
  EXPECT_EQ(y.first(count * rank), expected);
  y.check();
  // A mask that has more than was counted writes no further.
  const std::vector<uint8_t> full(mask.size(), 1);
  onnxc_true_places(y.data(), full.data(), dims.data(), rank, n, count);
  y.check();
}

TEST(SelectionTest, Places) {
  for (int one_in : {1, 2, 9, 1000})
    for (const std::vector<int64_t>& dims : std::vector<std::vector<int64_t>>{
             {1}, {7}, {8}, {1000}, {3, 5}, {40, 33}, {2, 3, 4}, {5, 1, 2, 9}, {0}, {3, 0}, {0, 3}})
      check_places(dims, one_in, one_in == 2 ? 200 : 1);
  check_places({70000}, 1, 255);
}

struct Unique {
  std::vector<int64_t> first, counts, inverse;
};

Unique plain_unique(const std::vector<int64_t>& keys, int64_t rows, int64_t length, bool sorted) {
  std::map<std::vector<int64_t>, int64_t> number;
  std::vector<std::vector<int64_t>> found;
  const auto row = [&](int64_t r) {
    return std::vector<int64_t>(keys.begin() + r * length, keys.begin() + (r + 1) * length);
  };
  for (int64_t r = 0; r < rows; ++r)
    if (number.emplace(row(r), 0).second) found.push_back(row(r));
  if (sorted) std::sort(found.begin(), found.end());
  for (size_t i = 0; i < found.size(); ++i) number[found[i]] = static_cast<int64_t>(i);
  Unique u;
  u.first.resize(found.size(), -1);
  u.counts.resize(found.size(), 0);
  for (int64_t r = 0; r < rows; ++r) {
    const auto g = static_cast<size_t>(number[row(r)]);
    if (u.counts[g]++ == 0) u.first[g] = r;
    u.inverse.push_back(static_cast<int64_t>(g));
  }
  return u;
}

TEST(SelectionTest, Unique) {
  for (int64_t rows : {0, 1, 2, 3, 17, 64, 1000})
    for (int64_t length : {0, 1, 3})
      for (int64_t values : {1, 3, 1 << 20})
        for (bool sorted : {false, true}) {
          Random random(static_cast<uint64_t>(rows * 31 + length));
          std::vector<int64_t> keys;
          for (int64_t i = 0; i < rows * length; ++i)
            keys.push_back(static_cast<int64_t>(random.next() * float(values)));
          const Unique expected = plain_unique(keys, rows, length, sorted);
          Fenced<int64_t> first(rows), counts(rows), inverse(rows), a(rows), b(rows);
          int64_t count = -1;
          onnxc_unique_i64(&count, first.data(), counts.data(), inverse.data(), keys.data(), a.data(), b.data(), rows,
                           length, sorted);
          ASSERT_EQ(count, static_cast<int64_t>(expected.first.size()));
          EXPECT_EQ(first.first(count), expected.first);
          EXPECT_EQ(counts.first(count), expected.counts);
          EXPECT_EQ(inverse.first(rows), expected.inverse);
          for (const auto* list : {&first, &counts, &inverse, &a, &b}) list->check();
        }
}

// Boxes as {low y, low x, high y, high x}.
bool overlap(const float* p, const float* q, float threshold) {
  float side[2], area_p = 1, area_q = 1;
  for (int axis = 0; axis < 2; ++axis) {
    side[axis] = std::min(p[axis + 2], q[axis + 2]) - std::max(p[axis], q[axis]);
    if (side[axis] <= 0) return false;
    area_p *= p[axis + 2] - p[axis];
    area_q *= q[axis + 2] - q[axis];
  }
  const float common = side[0] * side[1];
  return common / (area_p + area_q - common) > threshold;
}

void check_suppression(int64_t batches, int64_t classes, int64_t count, int64_t most, float iou, const float* score,
                       bool flipped) {
  Random random(7);
  std::vector<float> boxes, scores;
  for (int64_t i = 0; i < batches * count; ++i) {
    const float y = random.next(), x = random.next();
    const float box[] = {y, x, y + 0.5f + random.next() * 0.25f, x + 0.5f + random.next() * 0.25f};
    boxes.insert(boxes.end(), box, box + 4);
  }
  for (int64_t i = 0; i < batches * classes * count; ++i)
    scores.push_back(i % 11 == 5 ? kNan : std::round(random.next() * 20) / 20);  // with equal ones
  std::vector<int64_t> expected;
  for (int64_t plane = 0; plane < batches * classes; ++plane) {
    const float* own_boxes = boxes.data() + plane / classes * count * 4;
    const float* own = scores.data() + plane * count;
    std::vector<int64_t> order, chosen;
    for (int64_t i = 0; i < count; ++i)
      if (!score || own[i] > *score) order.push_back(i);
    const auto rank = [&](int64_t i) { return std::isnan(own[i]) ? -std::numeric_limits<float>::infinity() : own[i]; };
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return rank(a) > rank(b); });
    for (int64_t i : order) {
      if (static_cast<int64_t>(chosen.size()) >= most) break;
      if (std::none_of(chosen.begin(), chosen.end(),
                       [&](int64_t j) { return overlap(own_boxes + i * 4, own_boxes + j * 4, iou); }))
        chosen.push_back(i);
    }
    for (int64_t i : chosen) expected.insert(expected.end(), {plane / classes, plane % classes, i});
  }
  if (flipped)
    for (size_t i = 0; i < boxes.size(); i += 4) std::swap(boxes[i], boxes[i + 2]);
  const int64_t planes = batches * classes;
  Fenced<int32_t> chosen(planes * count);
  Fenced<int64_t> found(planes);
  onnxc_non_max_suppression_f32(chosen.data(), found.data(), boxes.data(), scores.data(), &most, &iou, score, classes,
                                count, 0, 0, planes / 2);
  onnxc_non_max_suppression_f32(chosen.data(), found.data(), boxes.data(), scores.data(), &most, &iou, score, classes,
                                count, 0, planes / 2, planes);
  chosen.check(), found.check();
  const auto each = found.first(planes);
  const int64_t total = std::accumulate(each.begin(), each.end(), int64_t{0});
  Fenced<int64_t> y(total * 3);
  onnxc_chosen_boxes(y.data(), chosen.data(), found.data(), planes, classes, count);
  EXPECT_EQ(y.first(total * 3), expected);
  y.check();
}

TEST(SelectionTest, NonMaxSuppression) {
  const float low = -2, middle = 0.2f;
  for (const float* score : {static_cast<const float*>(nullptr), &low, &middle})
    for (int64_t most : {-1, 0, 1, 5, 1000})
      for (int64_t count : {0, 1, 2, 50, 300}) check_suppression(2, 3, count, most, 0.3f, score, count == 50);
  check_suppression(1, 1, 200, 200, 0, &low, false);
  check_suppression(1, 1, 200, 200, 2, nullptr, false);
}

TEST(SelectionTest, CentredBoxes) {
  const float boxes[] = {0.5f, 0.5f, 1, 1, 0.5f, 0.6f, 1, 1, 0.5f, 10.5f, 1, 1}, scores[] = {0.9f, 0.75f, 0.6f};
  const float iou = 0.5f;
  const int64_t most = 3;
  int32_t chosen[3];
  int64_t found = 0, y[6];
  onnxc_non_max_suppression_f32(chosen, &found, boxes, scores, &most, &iou, nullptr, 1, 3, 1, 0, 1);
  ASSERT_EQ(found, 2);
  onnxc_chosen_boxes(y, chosen, &found, 1, 1, 3);
  EXPECT_EQ(std::vector<int64_t>(y, y + 6), (std::vector<int64_t>{0, 0, 0, 0, 0, 2}));
  onnxc_non_max_suppression_f32(chosen, &found, boxes, scores, nullptr, nullptr, nullptr, 1, 3, 1, 0, 1);
  EXPECT_EQ(found, 0);  // as many as none unless said otherwise
}

}  // namespace
}  // namespace kernel_test
