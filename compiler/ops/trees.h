// The decision trees of TreeEnsembleClassifier and TreeEnsembleRegressor, in one table. Tested by
// tests/differential/test_classifiers.py and test_features.py.
#pragma once

#include <optional>
#include <string>

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

}  // namespace onnxc::ml
