// Each invariant broken once.
#include "compiler/ir/verify_graph.h"

#include <gtest/gtest.h>

#include "compiler/ir/graph_text.h"

namespace onnxc {
namespace {

class VerifyGraph : public testing::Test {
 protected:
  void SetUp() override {
    auto parsed = parse_graph(R"(graph @m {
      input %x: f32[2]
      %w: f32[2] = constant {1.0, 2.0}
      %a: f32[2] = Add(%x, %w)
      %y: f32[2] = Relu(%a)
      output %y
    })");
    ASSERT_TRUE(parsed.ok());
    g = std::move(parsed).value();
    ASSERT_TRUE(verify_graph(*g, true).ok());
  }
  void expect(const char* message) {
    const Status s = verify_graph(*g);
    ASSERT_FALSE(s.ok());
    EXPECT_NE(s.error().str().find(message), std::string::npos) << s.error().str();
    EXPECT_EQ(s.error().kind(), ErrorKind::Internal);
  }
  Value* value(const char* name) { return g->find_value(name); }
  std::unique_ptr<Graph> g;
};

TEST_F(VerifyGraph, Order) {
  value("a")->producer->set_input(1, value("y"));
  expect("before it is defined");
}
TEST_F(VerifyGraph, Users) {
  value("x")->users.clear();
  expect("lists 0 users");
}
TEST_F(VerifyGraph, Names) {
  value("a")->name = "x";
  expect("name that is taken");
}
TEST_F(VerifyGraph, ConstantTypes) {
  value("w")->type.elem = Elem::I32;
  expect("constant of another type");
}
TEST_F(VerifyGraph, Overflow) {
  value("a")->type.shape = Shape{Dim::overflow()};
  expect("overflowed");
}
TEST_F(VerifyGraph, NegativeDims) {
  value("a")->type.shape = Shape{-1};
  expect("negative");
}
TEST_F(VerifyGraph, Contents) {
  value("a")->contents = Contents{1};
  expect("contents of another size");
}
TEST_F(VerifyGraph, Producers) {
  value("a")->producer = value("y")->producer;
  expect("no output of its producer");
}
TEST_F(VerifyGraph, Outputs) {
  g->outputs.push_back(nullptr);
  expect("output that nothing in it defines");
}
TEST_F(VerifyGraph, Parents) {
  value("y")->producer->attrs["body"] = std::make_shared<Graph>();
  expect("does not know its parent");
}
TEST_F(VerifyGraph, Types) {
  value("a")->type = {};
  EXPECT_TRUE(verify_graph(*g).ok());
  EXPECT_FALSE(verify_graph(*g, true).ok());
}

}  // namespace
}  // namespace onnxc
