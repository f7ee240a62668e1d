#include "compiler/support/images_library.h"

#include <filesystem>

namespace onnxc {

Result<std::string> find_images_library() {
  std::error_code code;
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe", code).parent_path();
  for (const char* folder : {".", "..", "../lib"})
    if (const auto path = here / folder / kImagesLibrary; std::filesystem::exists(path, code)) return path.string();
  return Error(ErrorKind::Environment,
               std::string(kImagesLibrary) +
                   ", to which a model with an ImageDecoder is linked, "
                   "was not found beside the compiler",
               here.string(), "build it (the target onnxc_images) or install onnxc again");
}

}  // namespace onnxc
