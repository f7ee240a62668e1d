// Checks a Plan by definition, without the planner's reasoning: every buffer that is used has a place of its size
// inside the arena or the blob, and no two buffers that live at the same time share a byte, except a declared in-place
// pair at its own operation. Tested in tests/unit/plan_test.cc, with planted overlaps.
#pragma once

#include "compiler/ir/plan.h"
#include "compiler/support/result.h"

namespace onnxc {

// Internal errors that name both buffers and their places.
Status verify_plan(const Plan& plan);

}  // namespace onnxc
