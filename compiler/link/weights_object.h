// A relocatable ELF object (x86-64) with one section `.onnxc_weights` and the hidden symbol `<name>_weights` at its
// start. Tested in tests/unit/link_test.cc.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/support/result.h"

namespace onnxc {

inline constexpr uint64_t kWeightsAlignment = 4096;

// All of the object before the section's bytes, which follow at once. Without `content` the section only reserves
// `bytes` (NOBITS), and the object ends here.
std::string weights_object(const std::string& name, uint64_t bytes, bool content);

// What to overwrite in a linked shared library, where the section is NOBITS in a segment of its own, so that its bytes
// are those at `offset` in the file.
struct Patch {
  uint64_t at = 0;
  std::string bytes;
};
Result<std::vector<Patch>> place_weights(const std::string& file, uint64_t offset);

}  // namespace onnxc
