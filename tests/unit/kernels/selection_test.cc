// Counting, finding, sorting and suppressing against plain loops; nothing is written outside of the outputs.
#include <map>
#include <numeric>

#include "reference.h"
#include "runtime_lib/kernels/all_kernels.h"

namespace kernel_test {
namespace {

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
  for (int64_t rows : {0, 1, 2, 3, 17, 64, 128, 1000})
    for (int64_t length : {0, 1, 3})
      for (int64_t values : {int64_t{1}, int64_t{3}, int64_t{1} << 20, int64_t{1} << 62})
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
  const int64_t shares = 4;
  Fenced<int64_t> candidates(shares * 2 * count);
  Fenced<float> numbers(shares * 5 * count);
  for (int64_t share = 0; share < shares; share += 2)
    onnxc_non_max_suppression_f32(chosen.data(), found.data(), boxes.data(), scores.data(), &most, &iou, score,
                                  candidates.data(), numbers.data(), planes, classes, count, 0, shares, share,
                                  share + 2);
  chosen.check(), found.check(), candidates.check(), numbers.check();
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
  int64_t found = 0, y[6], candidates[6];
  float numbers[15];
  onnxc_non_max_suppression_f32(chosen, &found, boxes, scores, &most, &iou, nullptr, candidates, numbers, 1, 1, 3, 1, 1,
                                0, 1);
  ASSERT_EQ(found, 2);
  onnxc_chosen_boxes(y, chosen, &found, 1, 1, 3);
  EXPECT_EQ(std::vector<int64_t>(y, y + 6), (std::vector<int64_t>{0, 0, 0, 0, 0, 2}));
  onnxc_non_max_suppression_f32(chosen, &found, boxes, scores, nullptr, nullptr, nullptr, candidates, numbers, 1, 1, 3,
                                1, 1, 0, 1);
  EXPECT_EQ(found, 0);  // as many as none unless said otherwise
}

// ---- TopK

template <class K>
void check_top_k(int64_t rows, int64_t n, int64_t k, const std::vector<K>& keys, int64_t shares) {
  Fenced<int64_t> y(rows * k), scratch(shares * (2 * k + 64) * int64_t(sizeof(K) / 4));
  for (int64_t share = 0; share < shares; ++share) {
    if constexpr (sizeof(K) == 4)
      onnxc_top_k_i32(y.data(), keys.data(), scratch.data(), n, k, rows, shares, share, share + 1);
    else
      onnxc_top_k_i64(y.data(), keys.data(), scratch.data(), n, k, rows, shares, share, share + 1);
  }
  y.check(), scratch.check();
  const auto found = y.first(rows * k);
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<int64_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), int64_t{0});
    const K* own = keys.data() + row * n;
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return own[a] > own[b]; });
    ASSERT_EQ(std::vector<int64_t>(found.begin() + row * k, found.begin() + (row + 1) * k),
              std::vector<int64_t>(order.begin(), order.begin() + k))
        << "row " << row << " of " << n << ", " << k;
  }
}

template <class K>
void check_top_k_orders(int64_t rows, int64_t n, int64_t k) {
  Random random(3);
  std::vector<K> wild, few, rising, falling;
  for (int64_t i = 0; i < rows * n; ++i) {
    wild.push_back(static_cast<K>(double(random.next()) * double(std::numeric_limits<K>::max())));
    few.push_back(static_cast<K>(std::round(random.next() * 2)));
    rising.push_back(i % 7 == 0 ? std::numeric_limits<K>::min() : static_cast<K>(i));
    falling.push_back(static_cast<K>(-i));
  }
  for (const auto* keys : {&wild, &few, &rising, &falling}) check_top_k<K>(rows, n, k, *keys, rows < 3 ? rows : 3);
}

TEST(SelectionTest, TopK) {
  for (int64_t n : {1, 2, 15, 16, 17, 64, 100, 1000})
    for (int64_t k : {int64_t{0}, int64_t{1}, int64_t{5}, n / 2, n - 1, n}) {
      if (k > n) continue;
      check_top_k_orders<int32_t>(5, n, k);
      check_top_k_orders<int64_t>(2, n, k);
    }
  check_top_k_orders<int32_t>(1, 20000, 300);
}

// ---- ArgMax, CumSum

// Some of the numbers are equal, some NaN.
template <class T>
std::vector<T> numbers_for_arg(int64_t count, int one_nan_in) {
  Random random(11);
  std::vector<T> x;
  for (int64_t i = 0; i < count; ++i) {
    x.push_back(static_cast<T>(std::round(random.next() * 40 + (std::is_signed_v<T> ? 0 : 50))));
    if constexpr (std::is_floating_point_v<T>)
      if (one_nan_in != 0 && std::abs(random.next()) * float(one_nan_in) < 1) x.back() = T(kNan);
  }
  return x;
}

template <class T, class Kernel>
void check_arg_max(Kernel kernel, int64_t outer, int64_t n, int64_t inner, int one_nan_in) {
  const std::vector<T> x = numbers_for_arg<T>(outer * n * inner, one_nan_in);
  for (bool least : {false, true})
    for (bool last : {false, true}) {
      Fenced<int64_t> y(outer * inner);
      const int64_t middle = outer * inner / 3;
      kernel(y.data(), x.data(), n, inner, least, last, 0, middle);
      kernel(y.data(), x.data(), n, inner, least, last, middle, outer * inner);
      y.check();
      const auto found = y.first(outer * inner);
      for (int64_t c = 0; c < outer * inner; ++c) {
        const auto element = [&](int64_t i) { return x[static_cast<size_t>((c / inner * n + i) * inner + c % inner)]; };
        int64_t best = 0;
        for (int64_t i = 1; i < n; ++i) {
          const T a = element(i), b = element(best);
          const bool more = a != a ? b == b || last : b == b && (least ? a < b : a > b);
          if (more || (last && a == b)) best = i;
        }
        ASSERT_EQ(found[static_cast<size_t>(c)], best) << outer << " " << n << " " << inner << " " << c;
      }
    }
}

TEST(SelectionTest, ArgMax) {
  for (int64_t n : {0, 1, 3, 8, 16, 21, 80, 333})
    for (int64_t inner : {1, 2, 17, 70}) {
      for (int one_nan_in : {0, 10, 300}) {
        check_arg_max<float>([](auto... a) { onnxc_arg_max_f32(a...); }, 3, n, inner, one_nan_in);
        check_arg_max<double>([](auto... a) { onnxc_arg_max_f64(a...); }, 3, n, inner, one_nan_in);
      }
      check_arg_max<int32_t>([](auto... a) { onnxc_arg_max_i32(a...); }, 2, n, inner, 0);
      check_arg_max<int64_t>([](auto... a) { onnxc_arg_max_i64(a...); }, 2, n, inner, 0);
      check_arg_max<int8_t>([](auto... a) { onnxc_arg_max_i8(a...); }, 2, n, inner, 0);
      check_arg_max<uint8_t>([](auto... a) { onnxc_arg_max_u8(a...); }, 2, n, inner, 0);
    }
}

template <class T>
void expect_same(const std::vector<T>& got, const std::vector<T>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_TRUE(got[i] == expected[i] || (got[i] != got[i] && expected[i] != expected[i]))
        << i << ": " << +got[i] << ", not " << +expected[i];
}

template <class T, class Kernel>
void check_cumulative(Kernel kernel, int64_t outer, int64_t n, int64_t inner) {
  const std::vector<T> x = numbers_for_arg<T>(outer * n * inner, 0);
  for (int flags = 0; flags < 8; ++flags) {
    const bool multiply = flags & 1, exclusive = flags & 2, reverse = flags & 4;
    Fenced<T> y(outer * n * inner);
    const int64_t middle = outer * inner / 3;
    kernel(y.data(), x.data(), n, inner, multiply, exclusive, reverse, 0, middle);
    kernel(y.data(), x.data(), n, inner, multiply, exclusive, reverse, middle, outer * inner);
    y.check();
    using Word = typename std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>, std::common_type<T>>::type;
    std::vector<T> expected(x.size());
    for (int64_t c = 0; c < outer * inner; ++c) {
      Word sum = multiply;
      for (int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<size_t>((c / inner * n + (reverse ? n - 1 - i : i)) * inner + c % inner);
        if (exclusive) expected[at] = static_cast<T>(sum);
        sum = multiply ? sum * static_cast<Word>(x[at]) : sum + static_cast<Word>(x[at]);
        if (!exclusive) expected[at] = static_cast<T>(sum);
      }
    }
    SCOPED_TRACE(testing::Message() << n << " " << inner << " " << flags);
    expect_same(y.first(outer * n * inner), expected);
    std::vector<T> in_place = x;
    kernel(in_place.data(), in_place.data(), n, inner, multiply, exclusive, reverse, 0, outer * inner);
    expect_same(in_place, expected);
  }
}

TEST(SelectionTest, Cumulative) {
  for (int64_t n : {0, 1, 2, 9, 30})
    for (int64_t inner : {1, 3, 16, 83, 1300}) {
      check_cumulative<float>([](auto... a) { onnxc_cumulative_f32(a...); }, 3, n, inner);
      check_cumulative<double>([](auto... a) { onnxc_cumulative_f64(a...); }, 3, n, inner);
      check_cumulative<int32_t>([](auto... a) { onnxc_cumulative_i32(a...); }, 7, n, inner);
      check_cumulative<int64_t>([](auto... a) { onnxc_cumulative_i64(a...); }, 2, n, inner);
    }
}

// ---- GridSample

struct PlainAxis {
  int64_t extent;
  int64_t padding;
  bool align;
  double reflect(double x) const {
    const double low = align ? 0 : -0.5, high = double(extent) - (align ? 1 : 0.5);
    if (high <= low) return low;
    while (x < low || x > high) x = x < low ? 2 * low - x : 2 * high - x;
    return x;
  }
  double settle(double x) const {
    if (padding == 1) return std::clamp(x, 0.0, double(extent - 1));
    return padding == 2 ? reflect(x) : x;
  }
  // Or -1 where zeros are read.
  int64_t tap(double x) const {
    const auto i = static_cast<int64_t>(std::trunc(padding == 2 ? reflect(x) : x));
    if (padding == 0 && (i < 0 || i >= extent)) return -1;
    return std::clamp(i, int64_t{0}, extent - 1);
  }
  std::vector<std::pair<int64_t, double>> taps(double coordinate, int64_t mode) const {
    const auto n = double(extent);
    double x = align ? (coordinate + 1) / 2 * (n - 1) : ((coordinate + 1) * n - 1) / 2;
    if (mode == 0) return {{tap(settle(std::nearbyint(x))), 1.0}};
    x = settle(x);
    const double base = std::floor(x), t = x - base;
    if (mode == 1) return {{tap(base), 1 - t}, {tap(base + 1), t}};
    const double a = -0.75;
    const auto near = [&](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
    const auto far = [&](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
    return {
        {tap(base - 1), far(1 + t)}, {tap(base), near(t)}, {tap(base + 1), near(1 - t)}, {tap(base + 2), far(2 - t)}};
  }
};

void check_grid_sample(int64_t axes, int64_t points, int64_t mode, int64_t padding, bool align) {
  Random random(17);
  const int64_t n = 2, channels = points == 75 ? 19 : 3, depth = axes > 2 ? 3 : 1, height = axes > 1 ? 5 : 1, width = 7;
  const int64_t plane = depth * height * width;
  const auto x = random.vector(n * channels * plane);
  auto grid = random.vector(n * points * axes);
  for (float& g : grid) g = std::round(g * 1.3f * 64) / 64 + 0.003f;  // away from where a rounding decides
  Fenced<float> y(n * channels * points);
  for (const auto& [begin, end] : {std::pair{int64_t{0}, points / 3}, {points / 3, n * points}})
    onnxc_grid_sample_f32(y.data(), x.data(), grid.data(), axes, channels, depth, height, width, points, mode, padding,
                          align, begin, end);
  y.check();
  const auto found = y.first(n * channels * points);
  const int64_t blocks = (channels + 15) / 16 * n;
  const auto xb = to_blocked(x, n, channels, plane, kNan);
  Fenced<float> yb(blocks * points * 16);
  for (const auto& [begin, end] : {std::pair{int64_t{0}, points / 3}, {points / 3, n * points}})
    onnxc_grid_sample_blocked_f32(yb.data(), xb.data(), grid.data(), axes, channels, depth, height, width, points, mode,
                                  padding, align, begin, end);
  yb.check();
  EXPECT_EQ(from_blocked(yb.first(blocks * points * 16), n, channels, points), found);
  const PlainAxis d{depth, padding, align}, h{height, padding, align}, w{width, padding, align};
  for (int64_t i = 0; i < n * channels * points; ++i) {
    const int64_t image = i / points / channels, c = i / points % channels, p = i % points;
    const float* at = grid.data() + (image * points + p) * axes;
    const std::vector<std::pair<int64_t, double>> one{{0, 1.0}};
    double sum = 0;
    for (const auto& [z, wz] : axes > 2 ? d.taps(at[2], mode) : one)
      for (const auto& [r, wr] : axes > 1 ? h.taps(at[1], mode) : one)
        for (const auto& [q, wq] : w.taps(at[0], mode))
          if (z >= 0 && r >= 0 && q >= 0)
            sum += wz * wr * wq *
                   double(x[static_cast<size_t>((((image * channels + c) * depth + z) * height + r) * width + q)]);
    ASSERT_NEAR(found[static_cast<size_t>(i)], sum, 4e-5) << axes << " " << mode << " " << padding << " " << align;
  }
}

TEST(SelectionTest, GridSample) {
  for (int64_t axes : {1, 2, 3})
    for (int64_t mode : {0, 1, 2})
      for (int64_t padding : {0, 1, 2})
        for (bool align : {false, true})
          for (int64_t points : {1, 16, 75, 200})
            if (axes < 3 || mode < 2) check_grid_sample(axes, points, mode, padding, align);
}

// What lies outside is zero, though what stands at the border is not a number; wild coordinates read nothing wild.
TEST(SelectionTest, GridSampleOutside) {
  const float x[] = {kNan, 1, 2, std::numeric_limits<float>::infinity()};
  const float grid[] = {-9, -3, 1e30f, -1e30f, kNan, std::numeric_limits<float>::infinity()};
  float y[6];
  onnxc_grid_sample_f32(y, x, grid, 1, 1, 1, 1, 4, 6, 0, 0, 0, 0, 6);
  for (float v : y) EXPECT_EQ(v, 0);
  const auto xb = to_blocked({std::begin(x), std::end(x)}, 1, 1, 4, kNan);
  float yb[6 * 16];
  onnxc_grid_sample_blocked_f32(yb, xb.data(), grid, 1, 1, 1, 1, 4, 6, 0, 0, 0, 0, 6);
  for (float v : yb) EXPECT_EQ(v, 0);
  for (int64_t mode : {0, 1, 2})
    for (int64_t padding : {0, 1, 2}) onnxc_grid_sample_f32(y, x, grid, 1, 1, 1, 1, 4, 6, mode, padding, 1, 0, 6);
}

}  // namespace
}  // namespace kernel_test
