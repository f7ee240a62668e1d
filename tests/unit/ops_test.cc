// The table of operators, and what shape rules make of dims and values that are not known yet.
#include <gtest/gtest.h>

#include <set>

#include "compiler/ir/graph_text.h"
#include "compiler/ops/op.h"

namespace onnxc {
namespace {

// The type of the output `name` of a textual graph, after inference; or the error.
std::string type_of(const std::string& text, const char* name = "y") {
  auto graph = parse_graph(text);
  if (!graph.ok()) return graph.error().str();
  if (const Status s = infer_graph(**graph); !s.ok()) return s.error().str();
  return (*graph)->find_value(name)->type.str();
}

TEST(Ops, EachStandsOnceInTheTable) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const OpDef* op : all_ops()) {
    EXPECT_TRUE(seen.insert({op->domain, op->name}).second) << op->name;
    EXPECT_EQ(find_op(op->domain, op->name), op);
  }
  EXPECT_EQ(find_op("ai.onnx", "Relu"), find_op("", "Relu"));
  EXPECT_EQ(find_op("", "Relo"), nullptr);
}

TEST(Ops, WhatHasAWayDownHasAShapeRule) {
  for (const OpDef* op : all_ops()) EXPECT_TRUE(op->infer || !(op->compute || op->lower)) << op->name;
}

TEST(Ops, BroadcastingKeepsSymbols) {
  EXPECT_EQ(type_of(R"(graph @g {
    input %a: f32[N, 1, 4]
    input %b: f32[3, 1]
    %y: ? = Add(%a, %b)
    output %y
  })"),
            "f32[N, 3, 4]");
}

TEST(Ops, SqueezeWithoutAxesKeepsWhatOnlyARunKnows) {
  EXPECT_EQ(type_of(R"(graph @g {
    input %x: f32[1, 3, 1]
    %y: ? = Squeeze(%x)
    output %y
  })"),
            "f32[3]");
  EXPECT_EQ(type_of(R"(graph @g {
    input %x: f32[N, 3, 1]
    %y: ? = Squeeze(%x)
    output %y
  })"),
            "f32[N, 3]");
}

TEST(Ops, SizesPassThroughFloats) {
  const char* const kText = R"(graph @g {
    input %x: f32[N, 12]
    %zero: f32[] = constant {0.0}
    %one: f32[] = constant {1.0}
    %two: f32[] = constant {2.0}
    %size: ? = Size(%x)
    %float: ? = Cast(%size) {to = 1}
    %half: ? = Div(%float, %two)
    %same: ? = Mul(%half, %two)
    %y: ? = Range(%zero, %half, %one)
    %z: ? = Range(%zero, %same, %one)
    output %y
    output %z
  })";
  EXPECT_EQ(type_of(kText), "f32[6*N]");
  EXPECT_EQ(type_of(kText, "z"), "f32[12*N]");
}

TEST(Ops, ContentsOfNothingAndOfOneGiveNothing) {
  for (const char* op : {"Add(%none, %one)", "Sub(%one, %none)", "Div(%none, %one)", "Where(%yes, %one, %none)",
                         "Where(%yes, %none, %one)"})
    EXPECT_EQ(type_of(std::string(R"(graph @g {
      input %x: f32[3]
      %none: i64[0] = constant {}
      %one: i64[] = constant {1}
      %yes: bool[1] = constant {1}
      %y: ? = )") + op +
                      R"(
      output %y
    })"),
              "i64[0]")
        << op;
}

TEST(Ops, QuotientsOfFloatsAreKnownOnceRounded) {
  const char* const kText = R"(graph @g {
    input %x: f32[N]
    %zero: f32[] = constant {0.0}
    %one: f32[] = constant {1.0}
    %half: f32[] = constant {0.5}
    %size: ? = Size(%x)
    %float: ? = Cast(%size) {to = 1}
    %quotient: ? = Mul(%float, %half)
    %down: ? = Floor(%quotient)
    %up: ? = Ceil(%quotient)
    %w: ? = Range(%zero, %quotient, %one)
    %y: ? = Range(%zero, %down, %one)
    %z: ? = Range(%zero, %up, %one)
    output %w
    output %y
    output %z
  })";
  EXPECT_EQ(type_of(kText), "f32[N/2]");
  EXPECT_EQ(type_of(kText, "z"), "f32[(N + 1)/2]");
  EXPECT_NE(type_of(kText, "w").find(".length"), std::string::npos);
}

TEST(Ops, ShapesThatDoNotFitNameTheNode) {
  const std::string error = type_of(R"(graph @g {
    input %a: f32[2, 3]
    input %b: f32[2, 4]
    %y: ? = Add(%a, %b)
    output %y
  })");
  EXPECT_NE(error.find("node (Add, #"), std::string::npos) << error;
  EXPECT_NE(error.find("[2, 3] and [2, 4]"), std::string::npos) << error;
}

TEST(Ops, RecurrentWeightsMustFitTheDirection) {
  const std::string error = type_of(R"(graph @g {
    input %x: f32[T, 1, 8]
    input %w: f32[1, 60, 8]
    input %r: f32[1, 60, 20]
    %y: ? = GRU(%x, %w, %r) {direction = "bidirectional"}
    output %y
  })");
  EXPECT_NE(error.find("input 1 must have the shape [2, 60, 8], not [1, 60, 8]"), std::string::npos) << error;
}

}  // namespace
}  // namespace onnxc
