// Groups of arena buffers that take one place because operations write them over what they read. Tested in
// tests/unit/plan_test.cc.
#pragma once

#include <vector>

#include "compiler/ir/program.h"
#include "compiler/plan/liveness.h"

namespace onnxc {

// The leader of each buffer's group (the buffer itself when it shares with none). A pair (written, read) of
// Operation::in_place shares when both are arena buffers that begin at the same byte of their extents, elements have
// one size, the written one is not larger, is born at this operation, the read one dies there, and the operation
// reaches it by no other operand.
std::vector<BufferId> share_in_place(const Program& program, const Liveness& liveness);

}  // namespace onnxc
