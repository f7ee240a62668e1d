#include "runtime_lib/kernels/bitcode.h"

// ONNXC_BITCODE_DIR is set by CMake; the files are prerequisites of this one.
#define ONNXC_EMBED(level)                                                                          \
  __asm__(                                                                                          \
      ".section .rodata.onnxc_bitcode, \"a\", @progbits\n"                                          \
      ".balign 16\n.hidden onnxc_bitcode_v" #level                                                  \
      "\n"                                                                                          \
      ".global onnxc_bitcode_v" #level "\nonnxc_bitcode_v" #level ":\n.incbin \"" ONNXC_BITCODE_DIR \
      "/kernels_v" #level ".bc\"\n.hidden onnxc_bitcode_v" #level                                   \
      "_end\n"                                                                                      \
      ".global onnxc_bitcode_v" #level "_end\nonnxc_bitcode_v" #level "_end:\n.byte 0\n.text\n");   \
  extern "C" __attribute__((visibility("hidden"))) const char onnxc_bitcode_v##level[], onnxc_bitcode_v##level##_end[];

ONNXC_EMBED(2)
ONNXC_EMBED(3)
ONNXC_EMBED(4)

namespace onnxc {

std::string_view kernel_bitcode(int level) {
  switch (level) {
    case 2: return {onnxc_bitcode_v2, size_t(onnxc_bitcode_v2_end - onnxc_bitcode_v2)};
    case 3: return {onnxc_bitcode_v3, size_t(onnxc_bitcode_v3_end - onnxc_bitcode_v3)};
    case 4: return {onnxc_bitcode_v4, size_t(onnxc_bitcode_v4_end - onnxc_bitcode_v4)};
    default: return {};
  }
}

}  // namespace onnxc
