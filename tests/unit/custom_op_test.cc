// The shape rules of --custom-op, and what is written down of a node for its function.
#include "compiler/ops/custom_op.h"

#include <gtest/gtest.h>

#include "compiler/ops/custom_op_shapes.h"
#include "compiler/ops/custom_op_site.h"
#include "compiler/ops/op.h"
#include "runtime_lib/abi/custom_op.h"

namespace onnxc {
namespace {

TEST(OutputRules, Same) {
  const auto rules = parse_output_rules("same; same12 ;bool same");
  ASSERT_TRUE(rules.ok()) << rules.error().str();
  ASSERT_EQ(rules->size(), 3u);
  EXPECT_EQ((*rules)[0].same, 0u);
  EXPECT_EQ((*rules)[1].same, 12u);
  EXPECT_EQ((*rules)[2].elem, Elem::Bool);
  for (const OutputRule& rule : *rules) EXPECT_FALSE(rule.dims);
}

TEST(OutputRules, Dims) {
  const auto rules = parse_output_rules("i64[d0.0, 2*(d1.1 + 1), min(n, 4), ?];[]");
  ASSERT_TRUE(rules.ok()) << rules.error().str();
  ASSERT_EQ(rules->size(), 2u);
  EXPECT_EQ((*rules)[0].elem, Elem::I64);
  const auto& dims = *(*rules)[0].dims;
  ASSERT_EQ(dims.size(), 4u);
  EXPECT_EQ(dims[0]->str(), "d0.0");
  EXPECT_EQ(dims[1]->str(), "2*d1.1 + 2");
  EXPECT_EQ(dims[2]->str(), "min(4, n)");
  EXPECT_FALSE(dims[3]);
  EXPECT_FALSE((*rules)[1].elem);
  EXPECT_TRUE((*rules)[1].dims->empty());
}

TEST(OutputRules, Mistakes) {
  for (const char* text : {"", "same;", "sam", "same-1", "samex", "[", "]", "[1,,2]", "[1]x", "x[1]", "[1/0]",
                           "[99999999999999999999]", "[(1]", "same99999999999999999999999", "[d0.0 d0.1]"}) {
    const auto rules = parse_output_rules(text);
    ASSERT_FALSE(rules.ok()) << text;
    EXPECT_EQ(rules.error().kind(), ErrorKind::Usage) << text;
  }
}

class CustomOpNode : public testing::Test {
 protected:
  Node* make(const std::string& shapes, size_t outputs = 1) {
    Value* x = graph_.add_input("x", Type::tensor(Elem::F32, {Dim::symbol("N"), Dim(4)}));
    Node* node = graph_.add_node("Scale", {x, nullptr}, outputs, nullptr, "acme");
    node->name = "s";
    node->attrs["units"] = int64_t{3};
    node->attrs["alpha"] = 0.5f;
    EXPECT_TRUE(make_custom_op(*node, {"acme_scale", shapes}).ok());
    return node;
  }
  Graph graph_;
};

TEST_F(CustomOpNode, TypesFollowTheRules) {
  const Node* node = make("same;i64[units*d0.0, d0.1/2];u8[?]", 3);
  const Status inferred = infer_graph(graph_);
  ASSERT_TRUE(inferred.ok()) << inferred.error().str();
  EXPECT_EQ(node->output(0)->type.str(), "f32[N, 4]");
  EXPECT_EQ(node->output(1)->type.str(), "i64[3*N, 2]");
  EXPECT_EQ(node->output(2)->type.elem, Elem::U8);
  EXPECT_EQ(node->output(2)->type.shape->size(), 1u);
}

TEST_F(CustomOpNode, DeclaredTypeServesWithoutRules) {
  const Node* node = make("", 2);
  declare_output(*node->output(1), Type::tensor(Elem::I32, {Dim::symbol("N")}));
  ASSERT_TRUE(infer_graph(graph_).ok());
  EXPECT_EQ(node->output(0)->type.str(), "f32[N, 4]");
  EXPECT_EQ(node->output(1)->type.str(), "i32[N]");
  graph_.substitute({{"N", Dim(7)}});
  ASSERT_TRUE(infer_graph(graph_).ok());
  EXPECT_EQ(node->output(1)->type.str(), "i32[7]");
}

TEST_F(CustomOpNode, RuleBeatsWhatIsDeclared) {
  const Node* node = make("[2]");
  declare_output(*node->output(), Type::tensor(Elem::I32, {Dim(5)}));
  ASSERT_TRUE(infer_graph(graph_).ok());
  EXPECT_EQ(node->output()->type.str(), "f32[2]");
}

TEST_F(CustomOpNode, DivisorThatMayBeZeroIsRefused) {
  make("[4/d0.0]");
  const Status inferred = infer_graph(graph_);
  ASSERT_FALSE(inferred.ok());
  EXPECT_EQ(inferred.error().kind(), ErrorKind::Usage);
}

TEST_F(CustomOpNode, DescriptionHoldsTheAttributes) {
  Node* node = make("");
  ASSERT_TRUE(infer_graph(graph_).ok());
  const auto made = describe_custom_op(*node, "acme::Scale", "acme_scale", "onnxc.");
  ASSERT_TRUE(made.ok());
  const auto* base = reinterpret_cast<const char*>(made->description.raw());
  const auto& site = *reinterpret_cast<const onnxc_site*>(base);
  EXPECT_STREQ(base + site.op, "acme::Scale");
  EXPECT_EQ(site.num_inputs, 2);
  ASSERT_EQ(site.num_attributes, 2);
  const auto* values = reinterpret_cast<const onnxc_site_value*>(base + site.values);
  EXPECT_EQ(values[1].rank, 2);
  EXPECT_EQ(values[2].kind, 0);  // left out
  const auto* attributes = reinterpret_cast<const onnxc_site_attribute*>(base + site.attributes);
  EXPECT_STREQ(base + attributes[0].name, "alpha");
  EXPECT_EQ(*reinterpret_cast<const float*>(base + attributes[0].data), 0.5f);
  EXPECT_EQ(*reinterpret_cast<const int64_t*>(base + attributes[1].data), 3);
  EXPECT_EQ(made->workspace_bytes, int64_t(3 * sizeof(onnxc_value) + 2 * sizeof(onnxc_attribute)));
}

}  // namespace
}  // namespace onnxc
