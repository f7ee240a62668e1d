#include "compiler/ir/graph_text.h"

#include <gtest/gtest.h>

#include <cmath>

#include "compiler/ir/verify_graph.h"

namespace onnxc {
namespace {

void expect_round_trip(const std::string& text) {
  auto g = parse_graph(text);
  ASSERT_TRUE(g.ok()) << g.error().str();
  EXPECT_EQ(print_graph(**g), text);
  const Status s = verify_graph(**g);
  EXPECT_TRUE(s.ok()) << s.error().str();
}

TEST(GraphText, RoundTrips) {
  expect_round_trip(R"(graph @main {
  metadata "producer" = "a \"quoted\"\nname"
  input %x: f32[N, 3, 2*H + 1, 224]
  input %"a b": seq(optional(map(i64, f32[*])))
  input %n: ?
  %w: f32[3] = constant {0.5, -0.0, nan}
  %h: f16[2] = constant {0x3c00, 0x1}
  %i: u64[1] = constant {18446744073709551615}
  %z: i64[100] = constant splat 7
  %t: string[2] = constant {"x", "y\\"}
  %c: c64[1] = constant {1.0, -2.0}
  %e: i32[0] = constant {}
  %s: i64[2] is {N, H/2} = Shape @"node 1"(%x)
  %y: f32[N, 3, H, 224], _, %v: f32[*] = com.example::Conv(%x, %w, _) {a = 1, b = 1.0, c = "s", d = [1, 2], e = [1.0, inf], f = ["p"], g = ints[], h = floats[], i = strings[], j = f32[2] {1.0, 2.0}, k = type f32[2], l = tensors[i64[] {3}], m = graphs[graph @g {
    %q: ? = Identity(%x)
    output %q
  }]}  // from: /conv/1, "bn 1"
  output %y
}
)");
}

TEST(GraphText, FloatsKeepTheirBits) {
  const uint32_t odd_nan = 0x7fc12345;
  float nan;
  std::memcpy(&nan, &odd_nan, 4);
  Graph g;
  const Tensor t = Tensor::f32({5}, {0.1f, 1e-45f, 3.4028235e38f, nan, -INFINITY});
  g.outputs = {g.add_constant(t, "t")};
  auto back = parse_graph(print_graph(g));
  ASSERT_TRUE(back.ok()) << back.error().str();
  EXPECT_TRUE((*back)->outputs[0]->constant->equals(t));
}

TEST(GraphText, BigConstantsAreOpaque) {
  Graph g;
  std::vector<float> values(100);
  for (int i = 0; i < 100; ++i) values[i] = i;
  g.outputs = {g.add_constant(Tensor::f32({100}, values), "t")};
  const std::string text = print_graph(g);
  EXPECT_NE(text.find("opaque 0x"), std::string::npos);
  auto back = parse_graph(text);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ((*back)->outputs[0]->constant->bytes(), 400u);
}

TEST(GraphText, ErrorsNameTheLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"graph @m {\n  %y = Relu(%x)\n}", "line 2: %x is not defined"},
      {"graph @m {\n input %x: f33[2]\n}", "f33"},
      {"graph @m {\n input %x: f32[2]\n input %x: f32[2]\n}", "defined twice"},
      {"graph @m {\n %c: f32[2] = constant {1.0}\n}", "needs 2 values"},
      {"graph @m {\n", "expected \"}\""},
      {"graph @m { }  x", "end of the text"},
      {"graph @m { %y: f32[N +] = A() }", "dimension"},
      {"graph @m { %y: f32[] = A() {a = [1, 2.0]} }", "integers and floats"},
  };
  for (const auto& [text, expected] : cases) {
    auto g = parse_graph(text);
    ASSERT_FALSE(g.ok()) << text;
    EXPECT_NE(g.error().str().find(expected), std::string::npos) << g.error().str();
  }
}

}  // namespace
}  // namespace onnxc
