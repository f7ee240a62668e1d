// Prints the functions that compute what a stage defines (onnxc_layout_fn of runtime_lib/abi/frame.h).
#pragma once

#include <string>

#include "compiler/ir/plan.h"

namespace onnxc::cpp {

// The lines of the function body, whose parameter is `frame`.
std::string print_layout(const Plan& plan, size_t stage);

}  // namespace onnxc::cpp
