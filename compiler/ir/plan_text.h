// The Plan for people: what --emit=plan prints. It is not parsed back; tests read Programs. Tested in
// tests/unit/plan_test.cc.
#pragma once

#include <string>

#include "compiler/ir/plan.h"

namespace onnxc {

// Totals; where each buffer lies and when it lives, in the order of birth; the constants in the blob; then the Program.
std::string print_plan(const Plan& plan);

}  // namespace onnxc
