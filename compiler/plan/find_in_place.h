// Finds, in loop nests, what may be written over what is read: y[i] = f(x[i], ...). Tested in tests/unit/plan_test.cc.
#pragma once

#include "compiler/ir/program.h"

namespace onnxc {

// Adds pairs to Operation::in_place of nests, where they are not declared already. A pair (y, x) is added when the nest
// stores to y once, unconditionally, at indices that name every loop around it; when all loads of x have the same
// indices, stand in the same innermost block and not after the store; and when both have the same strides. Each element
// of x is then read before its place is written and never again, in whatever order and by however many threads the
// loops run.
void find_in_place(Program& program);

}  // namespace onnxc
