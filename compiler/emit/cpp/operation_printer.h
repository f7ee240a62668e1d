// Prints one operation as a function over pointers, and the call that runs it. Tested in tests/unit/emit_cpp_test.cc.
#pragma once

#include <string>
#include <vector>

#include "compiler/emit/cpp/cpp_text.h"
#include "compiler/ir/plan.h"
#include "compiler/support/result.h"

namespace onnxc::cpp {

struct PrintedOperation {
  std::string key;                   // equal for operations that can share a function
  std::string body;                  // parameters and body: what follows the function's name
  std::string arguments;             // of the call
  std::vector<std::string> scalars;  // names of Scalars that the call passes, the last arguments
  bool may_fail = false;
  bool takes_frame = false;  // the last parameter, where no share is taken
  bool takes_share = false;  // the last two parameters are the bounds of the partition's axis
};

// A KernelCall or Nest of the Plan.
PrintedOperation print_operation(const Plan& plan, const Operation& op);

// "table[3]" for what a stage defines.
std::function<std::string(const std::string&)> table_entry(const Plan& plan);
// Where the memory of a buffer is, as seen in the body: "at<float>(arena, 4096)".
// Of the pointer to a buffer that an Alloc gives memory.
std::string grown_name(BufferId buffer);
std::string pointer_text(const Plan& plan, BufferId buffer);
// "f32[1, 4, 56, 56, 16] block1x16"
std::string buffer_label(const Buffer& buffer);

}  // namespace onnxc::cpp
