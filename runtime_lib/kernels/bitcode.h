// The LLVM bitcode of kernels.cc, embedded in the compiler: one module per x86-64 level, made with
// -disable-llvm-passes, so that the LLVM back end optimises and specialises it. Every kernel is a hidden alwaysinline
// definition there.
#pragma once

#include <string_view>

namespace onnxc {

// level: 2, 3 or 4 (x86-64-v2 ...); empty for any other.
std::string_view kernel_bitcode(int level);

// runtime_lib/abi/model_entry.cc (create, run, destroy, memcpy and its kin), for plain x86-64: it holds the CPU check,
// so no function of it may use more, whatever the level of the model. `address_sanitizer`: for instrumented models,
// which have memcpy from the sanitizer's run-time library and poison what does not live.
std::string_view entry_bitcode(bool address_sanitizer);

}  // namespace onnxc
