// libonnxc_images.so (runtime_lib/images), which models that decode pictures are linked to. Tested in
// tests/api/test_images.py.
#pragma once

#include <string>
#include <string_view>

#include "compiler/support/result.h"

namespace onnxc {

// Its name in artefacts, which find it beside themselves, and how the symbols begin that it gives.
inline constexpr const char* kImagesLibrary = "libonnxc_images.so";
inline constexpr std::string_view kImagesPrefix = "onnxc_images_";

// Its path: beside the running compiler, above its folder (the Python package) or in lib/ beside that.
Result<std::string> find_images_library();

}  // namespace onnxc
