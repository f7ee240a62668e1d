// What --custom-op says of the outputs of an operator: `DOMAIN::NAME=FUNCTION,SHAPES`. SHAPES has one rule for each
// output, separated by `;`, or a single one for all:
//
//     same              the type of input 0; same1: of input 1
//     [d0.0, 2*d1.1, n] a tensor of input 0's element type
//     i64[d0.0, ?]      of that element type; so does `bool same`
//
// A dim is an expression (as ir/dim.h prints them) of numbers, dK.A (dim A of input K) and integer attributes of the
// node; or `?`, which FUNCTION_dims tells in the run. Tested in tests/unit/custom_op_test.cc.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/ir/dim.h"
#include "compiler/ir/elem.h"
#include "compiler/support/result.h"

namespace onnxc {

struct OutputRule {
  size_t same = 0;                                      // the input whose type, or element type, it has
  std::optional<Elem> elem;                             // or this one
  std::optional<std::vector<std::optional<Dim>>> dims;  // nothing: the input's; of a dim: the run tells it
};

Result<std::vector<OutputRule>> parse_output_rules(const std::string& text);

}  // namespace onnxc
