// Two loops that run over neighbouring elements as one: short rows (7, 14 pixels) then fill vectors. Tested in
// tests/unit/emit_llvm_test.cc.
#pragma once

#include <optional>

#include "compiler/ir/program.h"

namespace onnxc::emit {

// `outer` and the loop that is its whole body, as one loop over the variable of the inner one; the outer variable is 0
// in it. Possible where every element that the body reaches lies at the same place for (i, j) and (0, i * extent + j),
// and the body knows the variables from indices only.
std::optional<For> merged_with_inner(const Program& program, const For& outer);

// The same for the innermost variables of a reduction: the elements keep their positions, so the sum keeps its bits.
Reduce with_merged_rows(const Program& program, Reduce reduce);

}  // namespace onnxc::emit
