// Whether this processor and operating system have what a model's code needs: a message instead of SIGILL. Must itself
// be compiled for the baseline of the architecture. Tested in tests/unit/abi_test.cc.
#ifndef ONNXC_ABI_CPU_CHECK_H
#define ONNXC_ABI_CPU_CHECK_H

#include "message.h"

namespace onnxc_entry {
namespace {

#if defined(__x86_64__)
enum CpuWord { kLeaf1Ecx, kLeaf7Ebx, kLeaf7Ecx, kLeaf7_1Eax, kLeafExt1Ecx, kXcr0, kCpuWords };

struct CpuFeature {
  uint64_t needed_by;  // ONNXC_X86_* bits
  uint8_t word, bit;
  const char* name;
};

// Intel SDM volume 2, CPUID; the levels of the x86-64 psABI.
constexpr CpuFeature kCpuFeatures[] = {
    {ONNXC_X86_V2, kLeaf1Ecx, 0, "SSE3"},
    {ONNXC_X86_V2, kLeaf1Ecx, 9, "SSSE3"},
    {ONNXC_X86_V2, kLeaf1Ecx, 13, "CX16"},
    {ONNXC_X86_V2, kLeaf1Ecx, 19, "SSE4.1"},
    {ONNXC_X86_V2, kLeaf1Ecx, 20, "SSE4.2"},
    {ONNXC_X86_V2, kLeaf1Ecx, 23, "POPCNT"},
    {ONNXC_X86_V2, kLeafExt1Ecx, 0, "LAHF"},
    {ONNXC_X86_V3, kLeaf1Ecx, 28, "AVX"},
    {ONNXC_X86_V3, kLeaf1Ecx, 12, "FMA"},
    {ONNXC_X86_V3, kLeaf1Ecx, 22, "MOVBE"},
    {ONNXC_X86_V3, kLeaf1Ecx, 29, "F16C"},
    {ONNXC_X86_V3, kLeaf7Ebx, 3, "BMI1"},
    {ONNXC_X86_V3, kLeaf7Ebx, 5, "AVX2"},
    {ONNXC_X86_V3, kLeaf7Ebx, 8, "BMI2"},
    {ONNXC_X86_V3, kLeafExt1Ecx, 5, "LZCNT"},
    {ONNXC_X86_V3, kXcr0, 2, "AVX registers enabled by the operating system"},
    {ONNXC_X86_V4, kLeaf7Ebx, 16, "AVX512F"},
    {ONNXC_X86_V4, kLeaf7Ebx, 17, "AVX512DQ"},
    {ONNXC_X86_V4, kLeaf7Ebx, 28, "AVX512CD"},
    {ONNXC_X86_V4, kLeaf7Ebx, 30, "AVX512BW"},
    {ONNXC_X86_V4, kLeaf7Ebx, 31, "AVX512VL"},
    {ONNXC_X86_V4, kXcr0, 6, "AVX-512 registers enabled by the operating system"},
    {ONNXC_X86_AVX512_VNNI, kLeaf7Ecx, 11, "AVX512_VNNI"},
    {ONNXC_X86_AVX512_BF16, kLeaf7_1Eax, 5, "AVX512_BF16"},
};

inline void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t regs[4]) {
  __asm__ volatile("cpuid" : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3]) : "0"(leaf), "2"(subleaf));
}

inline void read_cpu_words(uint32_t words[kCpuWords]) {
  for (int i = 0; i < kCpuWords; ++i) words[i] = 0;
  uint32_t regs[4];
  cpuid(0, 0, regs);
  const uint32_t last = regs[0];
  cpuid(1, 0, regs);
  words[kLeaf1Ecx] = regs[2];
  if (last >= 7) {
    cpuid(7, 0, regs);
    const uint32_t last_subleaf = regs[0];
    words[kLeaf7Ebx] = regs[1];
    words[kLeaf7Ecx] = regs[2];
    if (last_subleaf >= 1) {
      cpuid(7, 1, regs);
      words[kLeaf7_1Eax] = regs[0];
    }
  }
  cpuid(0x80000000u, 0, regs);
  if (regs[0] >= 0x80000001u) {
    cpuid(0x80000001u, 0, regs);
    words[kLeafExt1Ecx] = regs[2];
  }
  if (words[kLeaf1Ecx] >> 27 & 1) {  // OSXSAVE: xgetbv is there
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    words[kXcr0] = low;
  }
}

// A level needs the levels below it.
inline uint64_t with_lower_levels(uint64_t features) {
  if (features & (ONNXC_X86_AVX512_VNNI | ONNXC_X86_AVX512_BF16)) features |= ONNXC_X86_V4;
  if (features & ONNXC_X86_V4) features |= ONNXC_X86_V3;
  if (features & ONNXC_X86_V3) features |= ONNXC_X86_V2;
  return features;
}

// The words are a parameter so that tests can play another processor.
inline bool check_cpu_words(const uint32_t words[kCpuWords], uint64_t required, const char* target,
                            onnxc_message* out) {
  required = with_lower_levels(required);
  bool missing = false;
  Message message(out);
  for (const CpuFeature& f : kCpuFeatures) {
    if (!(f.needed_by & required) || (words[f.word] >> f.bit & 1)) continue;
    if (missing)
      message << ", " << f.name;
    else
      message << "the model was compiled for " << target << "; this machine lacks " << f.name;
    missing = true;
  }
  return !missing;
}

inline bool check_cpu(uint64_t required, const char* target, onnxc_message* out) {
  if (!required) return true;
  uint32_t words[kCpuWords];
  read_cpu_words(words);
  return check_cpu_words(words, required, target, out);
}
#else
// Other targets have no run-time choice of features: the toolchain and the chip go together.
inline bool check_cpu(uint64_t, const char*, onnxc_message*) { return true; }
#endif

}  // namespace
}  // namespace onnxc_entry

#endif
