// The description of a custom operator's node, which its function is called with: attributes, names, types
// (runtime_lib/abi/custom_op.h says how it lies in memory).
#pragma once

#include <cstdint>
#include <string>

#include "compiler/ir/graph.h"
#include "compiler/ir/tensor.h"
#include "compiler/support/result.h"

namespace onnxc {

struct CustomOpSite {
  Tensor description;
  int64_t workspace_bytes = 0;  // that a call needs
};

// `op`: DOMAIN::NAME. Attributes whose names begin with `own` are the compiler's.
Result<CustomOpSite> describe_custom_op(const Node& node, const std::string& op, const std::string& function,
                                        std::string_view own);

}  // namespace onnxc
