#include "compiler/driver/special_bodies.h"

namespace onnxc {
namespace {

size_t count_bodies(const Options& options) {
  size_t count = 1;
  for (const auto& [name, values] : options.special_dims)
    if (count <= kMaxSpecialBodies) count *= values.size();
  return count;
}

// Why an output of these options has one body only; empty: it may have several.
std::string one_body_because(const Options& options) {
  if (options.emit == Emit::Graph || options.emit == Emit::Program || options.emit == Emit::Plan)
    return "this --emit prints one body";
  const bool binary = options.output.ends_with(".so") || options.output.ends_with(".a");
  const bool sources = options.emit == Emit::Cpp || (options.emit == Emit::Artefact && !binary);
  return sources || options.backend == Backend::Cpp ? "C++ sources have one body" : "";
}

}  // namespace

Result<std::vector<SpecialBody>> special_bodies(const Options& options) {
  if (options.special_dims.empty()) return std::vector<SpecialBody>{};
  const std::string option = "--dim " + options.special_dims.begin()->first + "=N,M,...";
  if (const std::string why = one_body_because(options); !why.empty())
    return Error(ErrorKind::Usage, "several values make several bodies, and " + why, option,
                 "give one value, or leave the dim free; a .so or .a of the LLVM back end takes several");
  if (count_bodies(options) > kMaxSpecialBodies)
    return Error(ErrorKind::Usage,
                 "each combination of the values listed is compiled on its own: more than " +
                     std::to_string(kMaxSpecialBodies) + " are refused",
                 option, "list fewer values, or leave a dim free: the general body runs any");
  std::vector<SpecialBody> bodies = {{"", options}};
  bodies.front().options.special_dims.clear();
  for (const auto& [name, values] : options.special_dims) {
    std::vector<SpecialBody> longer;
    for (const SpecialBody& body : bodies)
      for (const int64_t value : values) {
        longer.push_back(body);
        longer.back().label += (body.label.empty() ? "" : ", ") + name + "=" + std::to_string(value);
        longer.back().options.dims[name] = value;
      }
    bodies = std::move(longer);
  }
  return bodies;
}

}  // namespace onnxc
