// The operator table and its shape rules.
#include "compiler/ops/op.h"

#include <gtest/gtest.h>

#include <set>

namespace onnxc {
namespace {

TEST(Ops, TableIsConsistent) {
  std::set<std::pair<std::string_view, std::string_view>> names;
  for (const OpDef* op : all_ops()) {
    EXPECT_TRUE(names.insert({op->domain, op->name}).second) << op->name << " is listed twice";
    EXPECT_EQ(find_op(op->domain, op->name), op);
    EXPECT_TRUE(op->infer || !op->upgrades.empty()) << op->name << " has neither a shape rule nor an upgrade to another operator";
    EXPECT_FALSE(op->compute_if && !op->compute) << op->name;
    EXPECT_FALSE(op->decompose_if && !op->decompose) << op->name;
  }
  EXPECT_EQ(find_op("", "NoSuchOperator"), nullptr);
  EXPECT_EQ(find_op("ai.onnx", "Relu"), find_op("", "Relu"));
}

// Output 0 of a node made of `op`, its inputs and attributes.
struct OneNode {
  Graph graph;
  Node* add(const char* op, std::vector<Type> inputs) {
    std::vector<Value*> values;
    for (size_t i = 0; i < inputs.size(); ++i) values.push_back(graph.add_input("x" + std::to_string(i), inputs[i]));
    return graph.add_node(op, values);
  }
};
Type f32(Shape s) { return Type::tensor(Elem::F32, std::move(s)); }
const Dim N = Dim::symbol("N");

TEST(Ops, BroadcastKeepsSymbols) {
  OneNode m;
  Node* n = m.add("Add", {f32({N, Dim(1), Dim(4)}), f32({Dim(3), Dim(1)})});
  ASSERT_TRUE(infer_node(*n).ok());
  EXPECT_EQ(n->output()->type.str(), "f32[N, 3, 4]");
}

TEST(Ops, ShapesThatDoNotBroadcastNameTheNode) {
  OneNode m;
  Node* n = m.add("Mul", {f32({Dim(2)}), f32({Dim(3)})});
  n->name = "scale";
  const Status s = infer_node(*n);
  ASSERT_FALSE(s.ok());
  EXPECT_EQ(s.error().kind(), ErrorKind::InvalidModel);
  EXPECT_NE(s.error().str().find("scale"), std::string::npos);
}

TEST(Ops, ConvOutputShape) {
  OneNode m;
  Node* n = m.add("Conv", {f32({N, Dim(3), Dim(224), Dim(224)}), f32({Dim(64), Dim(3), Dim(7), Dim(7)})});
  n->attrs["strides"] = std::vector<int64_t>{2, 2};
  n->attrs["pads"] = std::vector<int64_t>{3, 3, 3, 3};
  ASSERT_TRUE(infer_node(*n).ok());
  EXPECT_EQ(n->output()->type.str(), "f32[N, 64, 112, 112]");
}

TEST(Ops, WindowLargerThanItsInputIsInvalid) {
  OneNode m;
  Node* n = m.add("MaxPool", {f32({Dim(1), Dim(1), Dim(2), Dim(2)})});
  n->attrs["kernel_shape"] = std::vector<int64_t>{5, 5};
  const Status s = infer_node(*n);
  ASSERT_FALSE(s.ok());
  EXPECT_EQ(s.error().kind(), ErrorKind::InvalidModel);
}

// The exporters' noise around Reshape: Shape -> Gather -> Unsqueeze -> Concat -> Reshape ends in a known shape.
TEST(Ops, ShapeArithmeticIsTracked) {
  Graph g;
  Value* x = g.add_input("x", f32({N, Dim(8), Dim(4)}));
  Value* shape = g.add_node("Shape", {x})->output();
  Node* gather = g.add_node("Gather", {shape, g.add_constant(Tensor::i64({}, {0}))});
  Node* row = g.add_node("Unsqueeze", {gather->output(), g.add_constant(Tensor::i64({1}, {0}))});
  Node* concat = g.add_node("Concat", {row->output(), g.add_constant(Tensor::i64({1}, {-1}))});
  concat->attrs["axis"] = int64_t{0};
  Node* reshape = g.add_node("Reshape", {x, concat->output()});
  g.outputs.push_back(reshape->output());
  ASSERT_TRUE(infer_graph(g).ok());
  EXPECT_EQ(reshape->output()->type.str(), "f32[N, 32]");
}

}  // namespace
}  // namespace onnxc
