// From --mcpu to a Target. Tested in tests/unit/support_test.cc.
#include "compiler/support/target.h"

#include "runtime_lib/include/onnxc/onnxc.h"

namespace onnxc {
namespace {

// The highest level whose instructions this machine has; nothing below x86-64-v2.
bool host_level(Level* level) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) return *level = Level::X86V4, true;
  if (__builtin_cpu_supports("x86-64-v3")) return *level = Level::X86V3, true;
  if (__builtin_cpu_supports("x86-64-v2")) return *level = Level::X86V2, true;
#endif
  (void)level;
  return false;
}

Target of_level(Level level) {
  Target t;
  t.level = level;
  t.cpu = level_name(level);
  if (level == Level::Generic) {
    t.triple = "";
    t.channel_block = 1;
    t.vector_bytes = 4;
    t.has_fma = false;
    return t;
  }
  t.required_features = ONNXC_X86_V2;
  t.has_fma = level != Level::X86V2;
  t.vector_bytes = 16;
  if (level != Level::X86V2) {
    t.required_features |= ONNXC_X86_V3;
    t.vector_bytes = 32;
  }
  if (level == Level::X86V4) {
    t.required_features |= ONNXC_X86_V4;
    t.vector_bytes = 64;
  }
  return t;
}

}  // namespace

const char* level_name(Level level) {
  switch (level) {
    case Level::X86V2: return "x86-64-v2";
    case Level::X86V3: return "x86-64-v3";
    case Level::X86V4: return "x86-64-v4";
    case Level::Generic: return "generic";
  }
  return "?";
}

std::string Target::name() const { return level_name(level); }

void Target::require_integer_extension() {
#if defined(__x86_64__)
  if (!native || level != Level::X86V4 || !__builtin_cpu_supports("avx512vnni")) return;
  features = "+avx512vnni";
  required_features |= ONNXC_X86_AVX512_VNNI;
#endif
}

// `native` means the highest level that the machine has, and no more (but for require_integer_extension): the same
// model then gives the same bytes on every machine of that level, and runs on all of them.
Result<Target> Target::from_options(const Options& options) {
  if (options.cpu == "native") {
    Level level;
    if (!host_level(&level)) {
      return Error(ErrorKind::Environment, "this machine's processor is below x86-64-v2", "--mcpu=native",
                   "Name the target's level: --mcpu=x86-64-v2, x86-64-v3 or x86-64-v4.");
    }
    Target target = of_level(level);
    target.native = true;
    return target;
  }
  for (Level level : {Level::X86V2, Level::X86V3, Level::X86V4, Level::Generic}) {
    if (options.cpu == level_name(level)) return of_level(level);
  }
  return Error(ErrorKind::Usage, "unknown processor \"" + options.cpu + "\"", "--mcpu",
               "Choose one of: native, x86-64-v2, x86-64-v3, x86-64-v4, or generic (C++ sources for any machine).");
}

}  // namespace onnxc
