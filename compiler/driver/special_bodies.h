// --dim NAME=N,M,...: the bodies that a model has beside the general one, each compiled as if its dims were fixed. A
// run takes the one that the dims of its inputs fit (onnxc_special of runtime_lib/abi/frame.h). Tested in
// tests/api/test_special_bodies.py.
#pragma once

#include <string>
#include <vector>

#include "compiler/support/options.h"
#include "compiler/support/result.h"

namespace onnxc {

struct SpecialBody {
  std::string label;  // "batch=1, seq=128"
  Options options;    // with these dims fixed
};

inline constexpr size_t kMaxSpecialBodies = 16;

// One per combination of the values listed, in their order. Usage: more than kMaxSpecialBodies of them, or an output
// that holds one body only.
Result<std::vector<SpecialBody>> special_bodies(const Options& options);

}  // namespace onnxc
