#include "runtime_lib/kernels/bitcode.h"

#include <cstddef>

// Places the file ONNXC_BITCODE_DIR/<name>.<suffix> (CMake makes both) between the symbols onnxc_bitcode_<name> and
// ..._end.
#define ONNXC_EMBED(name, suffix)                          \
  __asm__(                                                 \
      ".section .rodata.onnxc_bitcode, \"a\", @progbits\n" \
      ".balign 16\n"                                       \
      ".hidden onnxc_bitcode_" #name                       \
      "\n"                                                 \
      ".global onnxc_bitcode_" #name                       \
      "\n"                                                 \
      "onnxc_bitcode_" #name                               \
      ":\n"                                                \
      ".incbin \"" ONNXC_BITCODE_DIR "/" #name "." #suffix \
      "\"\n"                                               \
      ".hidden onnxc_bitcode_" #name                       \
      "_end\n"                                             \
      ".global onnxc_bitcode_" #name                       \
      "_end\n"                                             \
      "onnxc_bitcode_" #name                               \
      "_end:\n"                                            \
      ".byte 0\n"                                          \
      ".text\n");                                          \
  extern "C" __attribute__((visibility("hidden"))) const char onnxc_bitcode_##name[], onnxc_bitcode_##name##_end[];

ONNXC_EMBED(kernels_v2, bc)
ONNXC_EMBED(kernels_v3, bc)
ONNXC_EMBED(kernels_v4, bc)
ONNXC_EMBED(kernels_any_size_v2, o)
ONNXC_EMBED(kernels_any_size_v3, o)
ONNXC_EMBED(kernels_any_size_v4, o)
ONNXC_EMBED(text_kernels, bc)
ONNXC_EMBED(entry, bc)
ONNXC_EMBED(entry_asan, bc)

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

std::string_view text_kernel_bitcode() { return between(onnxc_bitcode_text_kernels, onnxc_bitcode_text_kernels_end); }

bool is_any_size_kernel(std::string_view kernel) {
  constexpr std::string_view kList = "," ONNXC_ANY_SIZE_KERNELS ",";
  for (std::size_t at = kList.find(kernel); at != kList.npos; at = kList.find(kernel, at + 1))
    if (kList[at - 1] == ',' && kList[at + kernel.size()] == ',') return true;
  return false;
}

std::string_view any_size_kernels(int level) {
  switch (level) {
    case 2: return between(onnxc_bitcode_kernels_any_size_v2, onnxc_bitcode_kernels_any_size_v2_end);
    case 3: return between(onnxc_bitcode_kernels_any_size_v3, onnxc_bitcode_kernels_any_size_v3_end);
    case 4: return between(onnxc_bitcode_kernels_any_size_v4, onnxc_bitcode_kernels_any_size_v4_end);
    default: return {};
  }
}

std::string_view entry_bitcode(bool address_sanitizer) {
  return address_sanitizer ? between(onnxc_bitcode_entry_asan, onnxc_bitcode_entry_asan_end)
                           : between(onnxc_bitcode_entry, onnxc_bitcode_entry_end);
}

}  // namespace onnxc
