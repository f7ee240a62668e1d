#include <gtest/gtest.h>

#include "compiler/ir/clone_graph.h"
#include "compiler/ir/graph_text.h"
#include "compiler/ir/verify_graph.h"

namespace onnxc {
namespace {

std::unique_ptr<Graph> parse(const char* text) {
  auto g = parse_graph(text);
  EXPECT_TRUE(g.ok()) << (g.ok() ? "" : g.error().str());
  return std::move(g).value();
}

const Type kF = Type::tensor(Elem::F32, {2});

TEST(Graph, UsersFollowEdits) {
  Graph g;
  Value* x = g.add_input("x", kF);
  Node* a = g.add_node("Add", {x, x});
  Node* b = g.add_node("Relu", {a->output()});
  g.outputs = {b->output()};
  EXPECT_EQ(x->users.size(), 2u);
  a->set_input(1, b->output());
  EXPECT_EQ(x->users.size(), 1u);
  a->set_input(1, x);
  g.replace_uses(a->output(), x);
  EXPECT_EQ(b->input(0), x);
  g.remove_node(a);
  EXPECT_EQ(x->users, (std::vector<Node*>{b}));
  EXPECT_EQ(g.values().size(), 2u);
  EXPECT_TRUE(verify_graph(g).ok());
}

TEST(Graph, OutputsKeepTheirNames) {
  auto g = parse("graph @m { input %x: f32[2]\n %a: f32[2] = Relu(%x)\n %y: f32[2] = Identity(%a)\n output %y }");
  Node* identity = g->nodes()[1].get();
  g->replace_uses(identity->output(), identity->input(0));
  g->remove_node(identity);
  EXPECT_EQ(g->outputs[0]->name, "y");
  EXPECT_EQ(g->outputs[0]->producer->op, "Relu");
  EXPECT_TRUE(verify_graph(*g).ok());
}

TEST(Graph, AnOutputThatWouldBeAnInputGetsAnIdentity) {
  auto g = parse("graph @m { input %x: f32[2]\n %y: f32[2] = Dropout(%x)\n output %y }");
  Node* dropout = g->nodes()[0].get();
  g->replace_uses(dropout->output(), g->inputs[0]);
  g->remove_node(dropout);
  EXPECT_EQ(g->nodes()[0]->op, "Identity");
  EXPECT_EQ(g->outputs[0]->name, "y");
  EXPECT_TRUE(verify_graph(*g).ok());
}

TEST(Graph, SortIsStableAndFindsCycles) {
  Graph g;
  Value* x = g.add_input("x", kF);
  Value* late = g.add_value("late", kF);
  Node* b = g.add_node("Relu", {late});
  Node* c = g.add_node("Abs", {x});
  g.add_node_to("Neg", {x}, {late});
  ASSERT_TRUE(g.sort().ok());
  EXPECT_EQ(g.nodes()[0].get(), c);
  EXPECT_EQ(g.nodes()[2].get(), b);
  c->set_input(0, b->output());
  g.nodes()[1]->set_input(0, c->output());
  const Status s = g.sort();
  ASSERT_FALSE(s.ok());
  EXPECT_EQ(s.error().kind(), ErrorKind::InvalidModel);
  EXPECT_NE(s.error().str().find("Neg"), std::string::npos);
}

const char* kIf = R"(graph @m {
  input %c: bool[]
  input %x: f32[2]
  %a: f32[2] = Neg(%x)
  %y: f32[2] = If(%c) {else_branch = graph @e {
    %r: f32[2] = Relu(%a)
    output %r
  }, then_branch = graph @t {
    %s: f32[2] = Abs(%x)
    output %s
  }}
  output %y
})";

TEST(Graph, SubgraphsUseOuterValues) {
  auto g = parse(kIf);
  ASSERT_TRUE(verify_graph(*g).ok());
  Value* a = g->find_value("a");
  ASSERT_EQ(a->users.size(), 1u);
  EXPECT_EQ(a->users[0]->op, "Relu");
  g->replace_uses(a, g->inputs[1]);
  EXPECT_EQ(g->inputs[1]->users.size(), 3u);
  g->remove_node(a->producer);
  EXPECT_TRUE(verify_graph(*g).ok());
  Node* node = g->nodes()[0].get();
  g->outputs.clear();
  g->remove_node(node);
  EXPECT_TRUE(g->inputs[1]->users.empty());
}

TEST(CloneGraph, IsEqualAndIndependent) {
  auto g = parse(kIf);
  auto copy = clone_graph(*g);
  EXPECT_EQ(print_graph(*copy), print_graph(*g));
  EXPECT_TRUE(verify_graph(*copy).ok());
  g.reset();
  EXPECT_TRUE(verify_graph(*copy).ok());
}

TEST(CloneGraph, InlinesWithFreshNames) {
  auto body = parse(
      "graph @b { input %p: f32[2]\n input %q: f32[2]\n %w: f32[] = constant {2.0}\n %x: f32[2] = Mul(%p, %w)\n"
      " %z: f32[2] = Clip(%x, %q)\n output %z\n output %p }");
  auto g = parse("graph @m { input %x: f32[2]\n %y: f32[2] = F(%x)\n output %y }");
  Node* f = g->nodes()[0].get();
  const auto outs = inline_graph(*body, *g, {g->inputs[0], nullptr}, f);
  EXPECT_EQ(outs[1], g->inputs[0]);
  EXPECT_EQ(outs[0]->producer->input(1), nullptr);
  g->replace_uses(f->output(), outs[0]);
  g->remove_node(f);
  EXPECT_EQ(g->nodes().size(), 2u);
  EXPECT_TRUE(verify_graph(*g).ok()) << verify_graph(*g).error().str();
}

TEST(Type, Text) {
  EXPECT_EQ(kF.str(), "f32[2]");
  EXPECT_EQ(Type::unranked(Elem::I64).str(), "i64[*]");
  EXPECT_EQ(Type::map(Elem::String, Type::sequence(kF)).str(), "map(string, seq(f32[2]))");
  EXPECT_TRUE(Type::optional(kF) == Type::optional(kF));
  EXPECT_FALSE(Type::optional(kF) == Type::sequence(kF));
}

}  // namespace
}  // namespace onnxc
