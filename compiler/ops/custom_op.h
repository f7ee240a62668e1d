// onnxc.CustomOp, an operator that a C function of the user's computes (--custom-op): what import makes of its nodes.
// Tested in tests/unit/custom_op_test.cc and tests/api/test_custom_ops.py.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/support/options.h"
#include "compiler/support/result.h"

namespace onnxc {

// Makes of a node of the file one that calls the function.
Status make_custom_op(Node& node, const CustomOp& spec);
// The model declares this type for the node's output; it counts where --custom-op says nothing of shapes.
void declare_output(Value& output, const Type& type);
bool is_custom_op(const Node& node);
// DOMAIN::NAME as --custom-op has it.
std::string custom_op_name(const std::string& domain, const std::string& name);

}  // namespace onnxc
