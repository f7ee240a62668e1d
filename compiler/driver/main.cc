// onnxc: the command.
#include <cstdio>
#include <exception>

#include "compiler/driver/batch.h"
#include "compiler/driver/command_line.h"
#include "compiler/driver/compile.h"
#include "compiler/driver/describe.h"
#include "compiler/passes/pass.h"

namespace onnxc {
namespace {

int fail(const Error& error) {
  std::fflush(stdout);
  std::fprintf(stderr, "%s\n", error.str().c_str());
  return static_cast<int>(error.kind());
}

int print_passes() {
  for (const Pass& p : pass_pipeline()) std::printf("  %-34s %s\n", p.name, p.description);
  return 0;
}

int run(int argc, char** argv) {
  auto line = parse_command_line(argc, argv);
  if (!line.ok()) return fail(line.error());
  if (line->exit_now) return 0;
  if (line->help_passes) return print_passes();
  if (line->help_ops) {
    std::fputs(describe_operators().c_str(), stdout);
    return 0;
  }
  if (!line->batch.empty()) {
    const Status s = run_batch(line->batch);
    return s.ok() ? 0 : fail(s.error());
  }
  if (line->describe) {
    auto text = describe_model(line->options);
    if (!text.ok()) return fail(text.error());
    std::fputs(text->c_str(), stdout);
    return 0;
  }
  const Status s = compile(line->options);
  return s.ok() ? 0 : fail(s.error());
}

}  // namespace
}  // namespace onnxc

int main(int argc, char** argv) {
  try {
    return onnxc::run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "error: environment: not enough memory\n");
    return static_cast<int>(onnxc::ErrorKind::Environment);
  } catch (const std::exception& e) {
    std::fprintf(stderr,
                 "error: internal: %s\n  this is a bug in onnxc: please report it with the model, or a part of it that "
                 "shows it\n",
                 e.what());
    return static_cast<int>(onnxc::ErrorKind::Internal);
  }
}
