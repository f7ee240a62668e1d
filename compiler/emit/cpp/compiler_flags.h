// Flags of the C++ compilers that emitted code is built with: g++ 12 or later, clang 15 or later.
#pragma once

#include <string>
#include <vector>

#include "compiler/support/options.h"
#include "compiler/support/target.h"

namespace onnxc::cpp {

// For every unit.
std::vector<std::string> common_flags(const Options& options);
// For <name>.cc, which holds the operations: the target's level.
std::vector<std::string> code_flags(const Target& target);

}  // namespace onnxc::cpp
