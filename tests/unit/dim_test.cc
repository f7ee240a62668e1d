#include "compiler/ir/dim.h"

#include <gtest/gtest.h>

namespace onnxc {
namespace {

Dim D(const char* text) {
  auto d = Dim::parse(text);
  EXPECT_TRUE(d.ok()) << text << ": " << (d.ok() ? "" : d.error().str());
  return d.ok() ? *d : Dim::overflow();
}
const Dim N = Dim::symbol("N"), M = Dim::symbol("M"), C = Dim::symbol("C");

TEST(Dim, EqualityIsStructural) {
  EXPECT_EQ(N + N + N, N * 3);
  EXPECT_EQ((N + 1) * (N - 1), N * N - 1);
  EXPECT_EQ(N - N, Dim(0));
  EXPECT_NE(N, M);
  EXPECT_EQ((N * 2 + M).str(), (M + N * 2).str());
}

TEST(Dim, FloorDivision) {
  EXPECT_EQ(Dim::floor_div(-7, 2), Dim(-4));
  EXPECT_EQ(Dim::floor_div(N * 6 + 5, 3), N * 2 + 1);
  EXPECT_EQ(Dim::floor_div(N * M * 4, M * 4), N);
  EXPECT_EQ(Dim::floor_div((N + M) * C, N + M), C);
  EXPECT_EQ(Dim::floor_div(N * M, C * M), Dim::floor_div(N, C));
  EXPECT_EQ(Dim::floor_div(Dim::floor_div(N, 2), 3), Dim::floor_div(N, 6));
  EXPECT_EQ(Dim::floor_div(N * 4 + 2, 8), Dim::floor_div(N * 2 + 1, 4));
  EXPECT_EQ(Dim::floor_div(Dim::mod(N, 4), 4), Dim(0));
  EXPECT_EQ(Dim::floor_div(N, N), Dim(1));
  EXPECT_TRUE(Dim::floor_div(N, N + 1).constant() == 0);
  EXPECT_TRUE(Dim::floor_div(3, 0).is_overflow());
  EXPECT_EQ(Dim::ceil_div(7, 2), Dim(4));
  EXPECT_EQ(Dim::ceil_div(N * 4, 4), N);
}

TEST(Dim, Remainder) {
  EXPECT_EQ(Dim::mod(-7, 4), Dim(1));
  EXPECT_EQ(Dim::mod(N * 8, 4), Dim(0));
  EXPECT_EQ(Dim::mod(N * 8 + 3, 4), Dim(3));
  EXPECT_EQ(Dim::mod(N * M, M), Dim(0));
  EXPECT_EQ(Dim::mod(Dim::mod(N, 4), 8), Dim::mod(N, 4));
  EXPECT_EQ(Dim::mod(N * 2, 4), Dim::mod(N, 2) * 2);
}

TEST(Dim, MinMax) {
  EXPECT_EQ(Dim::min(3, 5), Dim(3));
  EXPECT_EQ(Dim::max(N, 0), N);
  EXPECT_EQ(Dim::min(N, N + 3), N);
  EXPECT_EQ(Dim::min(Dim::min(N, 8), 4), Dim::min(4, N));
  EXPECT_EQ(Dim::max(M, N), Dim::max(N, M));
  const Dim signed_symbol = Dim::symbol("~i");
  EXPECT_NE(Dim::max(signed_symbol, 0), signed_symbol);
}

TEST(Dim, OverflowPoisons) {
  EXPECT_TRUE((Dim(INT64_MAX) + 1).is_overflow());
  EXPECT_TRUE((Dim(INT64_MAX) * N * 2).is_overflow());
  EXPECT_TRUE((Dim::overflow() * 0).is_overflow());
  EXPECT_FALSE(N.evaluate({}).has_value());
  EXPECT_FALSE((N * N).evaluate({{"N", INT64_MAX}}).has_value());
}

TEST(Dim, KnownPositive) {
  EXPECT_TRUE((N + 1).known_positive());
  EXPECT_FALSE(N.known_positive());
  EXPECT_FALSE((N - M + 1).known_positive());
  EXPECT_TRUE((Dim(4) - Dim::mod(N, 4)).known_positive());
}

TEST(Dim, SubstituteAndEvaluate) {
  const Dim d = Dim::floor_div(N * 3 + M, 2) + Dim::min(N, 10);
  EXPECT_EQ(d.evaluate({{"N", 5}, {"M", 2}}), 8 + 5);
  EXPECT_EQ(d.substitute({{"N", 4}}), Dim::floor_div(M, 2) + 10);
  std::set<std::string> symbols;
  d.collect_symbols(symbols);
  EXPECT_EQ(symbols, (std::set<std::string>{"M", "N"}));
}

TEST(Dim, TextRoundTrips) {
  for (const char* text : {"3", "-3", "N", "2*N + 1", "N/2", "N % 4", "min(N, M)", "-N", "-2*N + M - 7", "2*(N/3) + 5",
                           "(N + 1)/2", "N*M*(C % 7)", "%12.nnz", "%1.a % %1.b", "\"batch size\" + 1", "(N/3)/M",
                           "max(4, N % (M + 1))", "N - -9223372036854775808*M"}) {
    const Dim d = D(text);
    EXPECT_EQ(D(d.str().c_str()), d) << text << " -> " << d.str();
  }
  EXPECT_EQ(D("2*N + 1").str(), "2*N + 1");
  EXPECT_EQ(D("N % 4").str(), "N % 4");
  EXPECT_EQ(D("N/2").str(), "N/2");
}

TEST(Dim, ParseErrors) {
  for (const char* text : {"", "N +", "3 N", "(N", "min(N)", "%", "\"a"}) EXPECT_FALSE(Dim::parse(text).ok()) << text;
}

// Every rewriting rule at once: random expressions have the value that plain arithmetic gives.
TEST(Dim, AgreesWithPlainArithmetic) {
  uint64_t state = 12345;
  const auto random = [&](int n) {
    return static_cast<int>((state = state * 6364136223846793005u + 1442695040888963407u) >> 33) % n;
  };
  const auto floor_div = [](int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); };
  for (int round = 0; round < 3000; ++round) {
    const int64_t n = random(20), m = random(20) + 1;
    std::vector<std::pair<Dim, int64_t>> pool = {{N, n}, {M, m}, {Dim(random(7)), 0}};
    pool[2].second = pool[2].first.value();
    for (int step = 0; step < 6; ++step) {
      const auto [a, x] = pool[random(static_cast<int>(pool.size()))];
      const auto [b, y] = pool[random(static_cast<int>(pool.size()))];
      const int64_t k = random(6) + 1;
      switch (random(9)) {
        case 0: pool.push_back({a + b, x + y}); break;
        case 1: pool.push_back({a - b, x - y}); break;
        case 2:
          if (std::abs(x) < 10000 && std::abs(y) < 10000) pool.push_back({a * b, x * y});
          break;
        case 3: pool.push_back({Dim::floor_div(a, k), floor_div(x, k)}); break;
        case 4: pool.push_back({Dim::mod(a, k), x - k * floor_div(x, k)}); break;
        case 5: pool.push_back({Dim::min(a, b), std::min(x, y)}); break;
        case 6: pool.push_back({Dim::max(a, b), std::max(x, y)}); break;
        case 7: pool.push_back({Dim::floor_div(a, M), floor_div(x, m)}); break;
        case 8: pool.push_back({Dim::mod(a, M * k), x - m * k * floor_div(x, m * k)}); break;
      }
    }
    for (const auto& [d, expected] : pool) {
      ASSERT_EQ(d.evaluate({{"N", n}, {"M", m}}), expected) << d.str() << " with N=" << n << " M=" << m;
      ASSERT_EQ(*Dim::parse(d.str()), d) << d.str();
      const auto folded =
          d.fold<int64_t>({[](int64_t v) { return v; }, [&](const std::string& s) { return s == "N" ? n : m; },
                           [&](char op, int64_t a, int64_t b) {
                             switch (op) {
                               case '+': return a + b;
                               case '*': return a * b;
                               case '/': return floor_div(a, b);
                               case '%': return a - b * floor_div(a, b);
                               case 'm': return std::min(a, b);
                               default: return std::max(a, b);
                             }
                           }});
      ASSERT_EQ(folded, expected) << d.str();
    }
  }
}

TEST(Shape, Helpers) {
  EXPECT_EQ(shape_str({1, N, 4}), "[1, N, 4]");
  EXPECT_EQ(numel({2, N, 3}), N * 6);
  EXPECT_EQ(numel({}), Dim(1));
  EXPECT_EQ(row_major_strides({2, N, 3}), (Shape{N * 3, 3, 1}));
  EXPECT_TRUE(is_static({1, 2}));
  EXPECT_FALSE(is_static({1, N}));
}

TEST(Shape, Broadcast) {
  EXPECT_EQ(*broadcast({2, 1, 4}, {3, 1}), (Shape{2, 3, 4}));
  EXPECT_EQ(*broadcast({N, 1}, {1, 5}), (Shape{N, 5}));
  EXPECT_EQ(*broadcast({N}, {5}), (Shape{5}));
  EXPECT_EQ(*broadcast({}, {2, 3}), (Shape{2, 3}));
  EXPECT_EQ(*broadcast({0}, {1}), (Shape{0}));
  EXPECT_EQ(broadcast({2}, {3}).error().kind(), ErrorKind::InvalidModel);
  EXPECT_EQ(*broadcast({N}, {M}), (Shape{Dim::max(N, M)}));
}

}  // namespace
}  // namespace onnxc
