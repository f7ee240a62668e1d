#include "runtime_lib/kernels/bitcode.h"

#include <cstddef>

// Places the file ONNXC_BITCODE_DIR/<name>.bc (CMake makes both) between the symbols onnxc_bitcode_<name> and ..._end.
#define ONNXC_EMBED(name)                                  \
  __asm__(                                                 \
      ".section .rodata.onnxc_bitcode, \"a\", @progbits\n" \
      ".balign 16\n"                                       \
      ".hidden onnxc_bitcode_" #name                       \
      "\n"                                                 \
      ".global onnxc_bitcode_" #name                       \
      "\n"                                                 \
      "onnxc_bitcode_" #name                               \
      ":\n"                                                \
      ".incbin \"" ONNXC_BITCODE_DIR "/" #name             \
      ".bc\"\n"                                            \
      ".hidden onnxc_bitcode_" #name                       \
      "_end\n"                                             \
      ".global onnxc_bitcode_" #name                       \
      "_end\n"                                             \
      "onnxc_bitcode_" #name                               \
      "_end:\n"                                            \
      ".byte 0\n"                                          \
      ".text\n");                                          \
  extern "C" __attribute__((visibility("hidden"))) const char onnxc_bitcode_##name[], onnxc_bitcode_##name##_end[];

ONNXC_EMBED(kernels_v2)
ONNXC_EMBED(kernels_v3)
ONNXC_EMBED(kernels_v4)
ONNXC_EMBED(entry)
ONNXC_EMBED(entry_asan)

namespace onnxc {

namespace {
std::string_view between(const char* begin, const char* end) { return {begin, static_cast<std::size_t>(end - begin)}; }
}  // namespace

std::string_view kernel_bitcode(int level) {
  switch (level) {
    case 2: return between(onnxc_bitcode_kernels_v2, onnxc_bitcode_kernels_v2_end);
    case 3: return between(onnxc_bitcode_kernels_v3, onnxc_bitcode_kernels_v3_end);
    case 4: return between(onnxc_bitcode_kernels_v4, onnxc_bitcode_kernels_v4_end);
    default: return {};
  }
}

std::string_view entry_bitcode(bool address_sanitizer) {
  return address_sanitizer ? between(onnxc_bitcode_entry_asan, onnxc_bitcode_entry_asan_end)
                           : between(onnxc_bitcode_entry, onnxc_bitcode_entry_end);
}

}  // namespace onnxc
