// Target: the machine that code is made for. Made from Options by `Target::from_options` (target.cc).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "compiler/support/options.h"
#include "compiler/support/result.h"

namespace onnxc {

// Generic: any machine with a C++ compiler (firmware ...), through emitted sources only. The others: one kernel bitcode
// each.
enum class Level : uint8_t { X86V2, X86V3, X86V4, Generic };

struct Target {
  std::string triple = "x86_64-unknown-linux-gnu";
  Level level = Level::X86V4;
  std::string cpu = "x86-64-v4";   // for LLVM: the level's name
  std::string features;            // LLVM feature string, "+avx512vnni"; empty for plain levels
  bool native = false;             // made for this machine
  uint64_t required_features = 0;  // ONNXC_X86_* bits, checked at create
  int channel_block =
      16;  // the same for all x86 levels, so that artefacts share their packing; generic: 1 (plain layouts)
  int vector_bytes = 64;  // of the level's registers
  bool has_fma = true;    // whether madd() rounds once

  std::string name() const;  // "x86-64-v4"
  static Result<Target> from_options(const Options& options);
  // The kernels that use the instructions which require_integer_extension may add.
  static constexpr std::array<std::string_view, 2> kIntegerKernels{"gemm_i8", "gemm_u8"};
  // For programs that call such kernels: where this machine is the target and has AVX-512 VNNI, that is required too.
  void require_integer_extension();
};

const char* level_name(Level level);  // "x86-64-v4"

}  // namespace onnxc
