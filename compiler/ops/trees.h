// Decision trees in one table. Tested by tests/differential/test_classifiers.py and test_features.py,
// tests/conformance.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/ops/ml.h"

namespace onnxc::ml {

enum class Aggregate : uint8_t { Sum, Min, Max };  // numbers that the kernel knows

// Floats of an attribute, or of the tensor that stands in its place (`..._as_tensor`); nothing where there are none.
std::optional<Tensor> tree_numbers(const Node& n, const std::string& attribute);

struct TreeScores {
  Value* scores;  // [rows, columns]; f64 where the input or a table of the trees is, else f32
  int64_t trees;
};
// What the leaves give the columns, by attributes nodes_* and, `votes` being "class" or "target", class_* or target_*.
// A column that no leaf of any tree gives anything to is 0, an infinity for Min and Max.
Result<TreeScores> tree_scores(GraphWriter& w, const Node& node, const std::string& votes, int64_t columns,
                               Aggregate aggregate);

// As the kernel reads them (runtime_lib/kernels/trees.h): each tree's nodes level by level, the two that follow one
// node side by side.
struct TreeTables {
  std::vector<int32_t> what, next, vote_columns, roots;
  std::vector<double> splits, votes;  // splits: of leaves that all have one vote, this
  bool single = true;                 // each leaf has one vote
};
// What they give the columns; `wide`: rows and tables are f64, else f32.
Value* scores_of(GraphWriter& w, Value* rows, const TreeTables& tables, int64_t columns, Aggregate aggregate,
                 bool wide);

}  // namespace onnxc::ml
