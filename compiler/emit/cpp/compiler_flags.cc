#include "compiler/emit/cpp/compiler_flags.h"

#include <onnxc/onnxc.h>

namespace onnxc::cpp {

std::vector<std::string> common_flags(const Options& options) {
  std::vector<std::string> flags = {"-std=c++17",         "-O" + std::to_string(options.opt_level),
                                    "-ffp-contract=off",  "-fno-math-errno",
                                    "-fno-trapping-math", "-fno-exceptions",
                                    "-fno-rtti",          "-fno-threadsafe-statics",
                                    "-fvisibility=hidden"};
  if (options.sanitize_address) {
    flags.push_back("-fsanitize=address");
    flags.push_back("-g1");
  } else {
    flags.push_back("-ffreestanding");
    flags.push_back("-fno-stack-protector");
  }
  return flags;
}

std::vector<std::string> code_flags(const Target& target) {
  if (target.level == Level::Generic) return {};  // whatever the toolchain is set to
  std::vector<std::string> flags = {std::string("-march=") + level_name(target.level)};
  if (target.level == Level::X86V4) flags.push_back("-mprefer-vector-width=512");
  if (target.required_features & ONNXC_X86_AVX512_VNNI) flags.push_back("-mavx512vnni");
  if (target.required_features & ONNXC_X86_AVX512_BF16) flags.push_back("-mavx512bf16");
  return flags;
}

}  // namespace onnxc::cpp
