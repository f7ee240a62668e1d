// The kernels, embedded in the compiler. As LLVM bitcode of kernels.cc: one module per x86-64 level, made with
// -disable-llvm-passes, so that the LLVM back end optimises and specialises it. Every kernel is a hidden alwaysinline
// definition there.
#pragma once

#include <string_view>

namespace onnxc {

// level: 2, 3 or 4 (x86-64-v2 ...); empty for any other.
std::string_view kernel_bitcode(int level);

// The kernels of strings (text_kernels.cc), the same for all levels.
std::string_view text_kernel_bitcode();

// An object file of the kernels whose tiles exist in many heights, with all of them: of level 4, conv_blocked_f32 is
// the hidden function onnxc_any_size_v4_conv_blocked_f32. Every function has a section of its own. Empty for other
// levels.
std::string_view any_size_kernels(int level);
// Whether it has "conv_blocked_f32".
bool is_any_size_kernel(std::string_view kernel);
// Before the level's number and '_'.
inline constexpr std::string_view kAnySizePrefix = "onnxc_any_size_v";

// runtime_lib/abi/model_entry.cc (create, run, destroy, memcpy and its kin), for plain x86-64: it holds the CPU check,
// so no function of it may use more, whatever the level of the model. `address_sanitizer`: for instrumented models,
// which have memcpy from the sanitizer's run-time library and poison what does not live.
std::string_view entry_bitcode(bool address_sanitizer);

}  // namespace onnxc
