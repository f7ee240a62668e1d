#pragma once

namespace onnxc {
inline constexpr const char* kVersion = "0.1.0";
}
