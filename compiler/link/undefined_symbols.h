// What an emitted object needs from elsewhere.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/support/result.h"

namespace onnxc {

// Names that the object leaves open.
Result<std::vector<std::string>> undefined_symbols(const std::string& object);
bool is_any_size_kernel(const std::string& symbol);
// The object file of the kernels for any size, when one of the names is there; else empty.
std::string_view any_size_kernels_of(const std::vector<std::string>& undefined);

}  // namespace onnxc
