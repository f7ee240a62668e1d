// The LLVM bitcode of kernels.cc, embedded in the compiler: one module per x86-64 level, made with
// -disable-llvm-passes, so that the LLVM back end optimises and specialises it. Every kernel is a hidden alwaysinline
// definition there.
#pragma once

#include <string_view>

namespace onnxc {

// level: 2, 3 or 4 (x86-64-v2 ...); empty for any other.
std::string_view kernel_bitcode(int level);

}  // namespace onnxc
