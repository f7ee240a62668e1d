// Whole numbers in floats: exporters cast dims to floats, calculate, and cast back. The contents of a float value
// (ir/graph.h) are what it would hold if nothing were rounded; whoever takes them for its elements asks for that here.
#pragma once

#include "compiler/ops/op.h"

namespace onnxc {

// The float types that shapes are calculated in.
bool is_whole_float(Elem elem);

enum class Rounding { None, Floor, Ceil, Truncate };

// The contents of input i of `node` after rounding: also where it is a quotient of known ones. `None`: what is whole by
// itself.
std::optional<Contents> rounded_contents(const Node& node, size_t i, Rounding rounding);
// The same, if the run holds them, and what they were computed from, exactly: this is required of it where only it can
// tell.
Result<std::optional<Contents>> exact_contents(const Node& node, size_t i, Rounding rounding = Rounding::None);
// The quotient of the operands of a Div of floats, or the product of those of a Mul by a power of two below one,
// rounded; nothing where it is not known, or, with None, where there is a remainder.
std::optional<Contents> quotient_contents(const Node& node, Rounding rounding);

}  // namespace onnxc
