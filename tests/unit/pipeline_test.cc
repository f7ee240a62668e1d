// run_passes, and fold_constants with an Evaluator of its own.
#include <gtest/gtest.h>

#include "compiler/ir/graph_text.h"
#include "compiler/ir/verify_graph.h"
#include "compiler/passes/pass.h"

namespace onnxc {
namespace {

// Gives zeros, or fails on graphs that hold `refuse`.
class FakeEvaluator final : public Evaluator {
 public:
  std::string refuse;
  int calls = 0;
  size_t nodes = 0;
  Result<std::vector<Tensor>> evaluate(const Graph& graph) override {
    ++calls;
    EXPECT_TRUE(verify_graph(graph, true).ok());
    EXPECT_TRUE(graph.inputs.empty());
    nodes = graph.nodes().size();
    for (const auto& n : graph.nodes()) {
      if (n->op == refuse) return Error(ErrorKind::Unsupported, "refused");
    }
    std::vector<Tensor> results;
    for (const Value* v : graph.outputs) results.push_back(Tensor::zeros(v->type.elem, static_dims(*v->type.shape)));
    return results;
  }
};

std::unique_ptr<Graph> parse(const char* text) {
  auto g = parse_graph(text);
  EXPECT_TRUE(g.ok()) << (g.ok() ? "" : g.error().str());
  return std::move(g).value();
}

size_t count(const Graph& g, const std::string& op) {
  size_t n = 0;
  for (const auto& node : g.nodes()) n += node->op == op;
  return n;
}

void run_all(Graph& g, FakeEvaluator& evaluator) {
  Options options;
  PassContext context{options, &evaluator};
  ASSERT_TRUE(run_passes(g, context).ok());
}

const char* kConstants = R"(graph @m {
  input %x: f32[2]
  %p: f32[2] = constant {1.0, 2.0}
  %q: f32[2] = constant {3.0, 4.0}
  %a: ? = Exp(%p)
  %b: ? = Sub(%a, %q)
  %c: ? = Log(%q)
  %r: ? = Add(%x, %b)
  %y: ? = Sub(%r, %c)
  output %y
})";

TEST(FoldConstants, RunsAllOfARoundAtOnce) {
  auto g = parse(kConstants);
  FakeEvaluator evaluator;
  run_all(*g, evaluator);
  EXPECT_EQ(evaluator.calls, 1);
  EXPECT_EQ(evaluator.nodes, 3u);
  EXPECT_EQ(count(*g, "Exp") + count(*g, "Log"), 0u);
  EXPECT_TRUE(verify_graph(*g, true).ok());
}

TEST(FoldConstants, KeepsWhatTheEvaluatorRefuses) {
  auto g = parse(kConstants);
  FakeEvaluator evaluator;
  evaluator.refuse = "Log";
  run_all(*g, evaluator);
  EXPECT_EQ(count(*g, "Exp"), 0u);
  EXPECT_EQ(count(*g, "Log"), 1u);
  EXPECT_EQ(evaluator.calls, 3);  // all, then each by itself; never again
}

TEST(FoldConstants, NeverMakesHugeOrRandomResults) {
  auto g = parse(R"(graph @m {
    input %x: f32[1000000]
    %p: f32[1] = constant {1.0}
    %n: i64[1] = constant {1000000}
    %e: ? = Expand(%p, %n)
    %r: ? = RandomNormalLike(%p)
    %s: ? = Add(%x, %e)
    %y: ? = Add(%s, %r)
    output %y
  })");
  FakeEvaluator evaluator;
  run_all(*g, evaluator);
  EXPECT_EQ(evaluator.calls, 0);
}

TEST(FoldConstants, MakesLargeResultsOfCostlyOperatorsOnly) {
  auto g = parse(R"(graph @m {
    input %x: f32[1000, 500]
    %p: f32[1000, 1] = constant splat 0.5
    %q: f32[1, 500] = constant splat 2.0
    %wide: ? = Add(%p, %q)
    %wave: ? = Sin(%wide)
    %filter: ? = Mul(%wave, %q)
    %mask: ? = Sub(%p, %q)
    %s: ? = Add(%x, %filter)
    %y: ? = Add(%s, %mask)
    output %y
  })");
  FakeEvaluator evaluator;
  run_all(*g, evaluator);
  EXPECT_EQ(count(*g, "Sin") + count(*g, "Mul"), 0u);
  EXPECT_EQ(count(*g, "Sub"), 1u);
}

TEST(Pipeline, NamesAreUniqueAndFound) {
  for (const Pass& p : pass_pipeline()) EXPECT_EQ(find_pass(p.name), &p);
  EXPECT_EQ(find_pass("no_such_pass"), nullptr);
}

TEST(Pipeline, TypesEverythingEvenWhenAllIsDisabled) {
  auto g = parse(kConstants);
  Options options;
  for (const Pass& p : pass_pipeline()) options.disabled_passes.push_back(p.name);
  PassContext context{options};
  ASSERT_TRUE(run_passes(*g, context).ok());
  EXPECT_EQ(g->nodes().size(), 5u);
  EXPECT_TRUE(verify_graph(*g, true).ok());
}

TEST(Pipeline, BisectStopsAfterNApplications) {
  const char* text =
      "graph @m { input %x: f32[2]\n %a: ? = Relu(%x)\n %b: ? = Relu(%a)\n %dead: ? = Exp(%x)\n output %b }";
  const auto nodes_after = [&](int n) {
    auto g = parse(text);
    Options options;
    options.opt_bisect = n;
    PassContext context{options};
    EXPECT_TRUE(run_passes(*g, context).ok());
    return g->nodes().size();
  };
  EXPECT_EQ(nodes_after(0), 3u);
  EXPECT_EQ(nodes_after(-1), 1u);
}

TEST(Pipeline, ErrorsOfShapesSurface) {
  auto g = parse("graph @m { input %x: f32[2]\n input %z: f32[3]\n %y: ? = Add(%x, %z)\n output %y }");
  Options options;
  PassContext context{options};
  const Status s = run_passes(*g, context);
  ASSERT_FALSE(s.ok());
  EXPECT_EQ(s.error().kind(), ErrorKind::InvalidModel);
}

}  // namespace
}  // namespace onnxc
