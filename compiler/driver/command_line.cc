#include "compiler/driver/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>

#include "compiler/driver/version.h"
#include "compiler/ops/custom_op_shapes.h"

namespace onnxc {
namespace {

constexpr const char* kFooter = R"(Examples:
  onnxc model.onnx -o model.so                  a shared library for this machine's CPU
  onnxc model.onnx -o model.a                   an archive, and model.h beside it
  onnxc model.onnx -o project/                  readable C++ sources with a CMakeLists.txt
  onnxc model.onnx --dim batch=1 -o model.so    fix a free dimension
  onnxc model.onnx --dim batch=1,8 -o model.so  any batch, and a faster body for 1 and for 8
  onnxc model.onnx --emit=program               look at what the machine will do

SHAPES of --custom-op has a rule for each output, separated by `;`, or one for all:
  same                 the type of input 0 (same1: of input 1); `bool same`: of its shape
  f32[d0.0, 2*d1.1, n] an element type (none: input 0's) and dims: numbers, dK.A (dim A of input K), integer attributes,
                       + - * / % min() max(); `?`: FUNCTION_dims, another function, tells the dim in each run
  Without: what the model declares the outputs as, else same.

Exit codes: 2 command line, 3 invalid model, 4 unsupported, 5 environment (files, memory, linker), 70 a bug in onnxc.)";

Result<int64_t> parse_int(const std::string& text, const std::string& flag) {
  int64_t v = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size() || v < 0)
    return Error(ErrorKind::Usage, "\"" + text + "\" is not a dimension", flag, "give a non-negative integer");
  return v;
}

// The N,M,... of a --dim.
Result<std::vector<int64_t>> parse_values(const std::string& text, size_t begin) {
  std::vector<int64_t> values;
  for (const std::string& v : CLI::detail::split(text.substr(begin) + ",", ',')) {  // an empty last part is left out
    ONNXC_ASSIGN(const int64_t value, parse_int(v, "--dim"));
    if (std::ranges::find(values, value) != values.end())
      return Error(ErrorKind::Usage, "\"" + text + "\" has a value twice", "--dim");
    values.push_back(value);
  }
  return values;
}

Status parse_dims(const std::vector<std::string>& texts, Options& o) {
  for (const std::string& t : texts) {
    const size_t eq = t.rfind('=');
    if (eq == std::string::npos || eq == 0)
      return Error(ErrorKind::Usage, "\"" + t + "\" has no NAME=N form", "--dim", "for example --dim batch=1");
    const std::string name = t.substr(0, eq);
    ONNXC_ASSIGN(std::vector<int64_t> values, parse_values(t, eq + 1));
    o.dims.erase(name);
    o.special_dims.erase(name);
    if (values.size() == 1)
      o.dims[name] = values.front();
    else
      o.special_dims[name] = std::move(values);
  }
  return ok();
}

Status parse_shapes(const std::vector<std::string>& texts, Options& o) {
  for (const std::string& t : texts) {
    const size_t eq = t.rfind('=');
    if (eq == std::string::npos || eq == 0)
      return Error(ErrorKind::Usage, "\"" + t + "\" has no INPUT=N,N,... form", "--shape",
                   "for example --shape x=1,3,224,224");
    std::vector<int64_t> dims;
    for (const std::string& d : CLI::detail::split(t.substr(eq + 1), ',')) {
      if (d.empty()) continue;
      ONNXC_ASSIGN(const int64_t v, parse_int(d, "--shape"));
      dims.push_back(v);
    }
    o.shapes[t.substr(0, eq)] = std::move(dims);
  }
  return ok();
}

bool is_identifier(const std::string& text) {
  const auto inner = [](unsigned char c) { return std::isalnum(c) || c == '_'; };
  return !text.empty() && !std::isdigit(static_cast<unsigned char>(text[0])) && std::ranges::all_of(text, inner);
}

// DOMAIN::NAME=FUNCTION[,SHAPES]
Status parse_custom_op(const std::string& text, Options& o) {
  const auto bad = [&](const std::string& why) {
    return Error(ErrorKind::Usage, "\"" + text + "\" " + why, "--custom-op",
                 "for example --custom-op acme::Scale=acme_scale or 'acme::Scale=acme_scale,[d0.0, 4]'");
  };
  const size_t colons = text.find("::"), eq = text.find('=');
  if (colons == std::string::npos || eq == std::string::npos || eq < colons + 3)
    return bad("has no DOMAIN::NAME=FUNCTION form");
  const std::string domain = text.substr(0, colons), name = text.substr(colons + 2, eq - colons - 2);
  const size_t comma = std::min(text.find(',', eq), text.size());
  CustomOp op{text.substr(eq + 1, comma - eq - 1), comma < text.size() ? text.substr(comma + 1) : ""};
  if (!is_identifier(op.function)) return bad("names a function that C cannot have, \"" + op.function + "\"");
  if (op.function.starts_with("onnxc_")) return bad("names a function of onnxc's: the prefix onnxc_ is not free");
  if (comma < text.size()) ONNXC_TRY(parse_output_rules(op.shapes));
  if (!o.custom_ops.emplace(std::pair(domain == "ai.onnx" ? "" : domain, name), std::move(op)).second)
    return bad("gives an operator a function for the second time");
  return ok();
}

}  // namespace

Result<CommandLine> parse_command_line(int argc, const char* const* argv) {
  CommandLine line;
  Options& o = line.options;
  std::vector<std::string> dims, shapes, custom_ops;
  const std::map<std::string, Emit> emits{{"graph", Emit::Graph}, {"program", Emit::Program}, {"plan", Emit::Plan},
                                          {"llvm", Emit::Llvm},   {"asm", Emit::Asm},         {"cpp", Emit::Cpp}};
  const std::map<std::string, Backend> backends{{"llvm", Backend::Llvm}, {"cpp", Backend::Cpp}};

  CLI::App app{"onnxc: compiles an ONNX model ahead of time to a shared library, an archive or C++ sources.", "onnxc"};
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("onnxc ") + kVersion);
  app.add_option("model", o.input, "the .onnx file");
  app.add_option("-o,--output", o.output, "what to write: NAME.so, NAME.a or DIRECTORY/");
  app.add_option("--emit", o.emit, "stop and print: graph, program, plan, llvm, asm; or cpp: write sources")
      ->transform(CLI::CheckedTransformer(emits, CLI::ignore_case).description(""));
  app.add_option("--backend", o.backend, "llvm (default) or cpp (needs a C++ compiler)")
      ->transform(CLI::CheckedTransformer(backends, CLI::ignore_case).description(""));
  app.add_option("--name", o.model_name, "C identifier of the model; default: from the file's name");
  app.add_option(
         "--dim", dims,
         "NAME=N: fix the free dimension NAME; NAME=N,M,...: leave it free, and add a faster body for each of these "
         "values (of several such dims for each combination, 16 at most); may be repeated")
      ->take_all();
  app.add_option("--shape", shapes, "INPUT=N,N,...: fix the shape of an input; may be repeated")->take_all();
  app.add_option(
         "--custom-op", custom_ops,
         "DOMAIN::NAME=FUNCTION[,SHAPES]: a C function (onnxc/custom_op.h) computes the operator; SHAPES: what its "
         "outputs are, see below; may be repeated")
      ->take_all();
  app.add_option("--link", o.link,
                 "FILE: an object, archive or shared library for NAME.so that has such functions; may be repeated")
      ->take_all();
  app.add_option("--mcpu", o.cpu, "native (default), x86-64-v2, x86-64-v3, x86-64-v4, generic");
  std::string weights = "embedded";
  app.add_option("--weights", weights,
                 "embedded (default), or separate: in NAME.weights beside NAME.so or NAME.a, which the loader maps")
      ->check(CLI::IsMember({"embedded", "separate"}).description(""));
  app.add_option("-O,--opt-level", o.opt_level, "0 to 3 (default): -O0 compiles fastest")->check(CLI::Range(0, 3));
  app.add_flag("!--no-winograd", o.winograd, "no Winograd convolutions");
  app.add_flag("--small", o.small, "weights no larger than in the model, even where larger ones are faster");
  app.add_flag("--single-thread", o.single_thread, "no code for several threads; always so with --mcpu=generic");
  app.add_option(
         "--thread-grain", o.thread_grain,
         "estimated nanoseconds of work that a thread takes at least (default 1000); 0: all that can be shared is")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--disable-pass", o.disabled_passes, "leave out a pass (names: --help-passes); may be repeated")
      ->take_all();
  app.add_option("--opt-bisect", o.opt_bisect, "run only the first N pass applications");
  app.add_option("--dump-after", o.dump_after, "print the graph when pass PASS (or: all) changed it; may be repeated")
      ->take_all();
  app.add_flag("--time-passes", o.time_passes, "print how long each phase and pass took");
  app.add_flag("--verify-each", o.verify_each, "verify the graph after each pass");
  app.add_flag("--debug-plan", o.debug_plan,
               "a guarded, NaN-filled allocation for each buffer, checked after each operation");
  app.add_option("--report", o.report, "FILE: write what the model was made into, per operation, as JSON");
  std::string sanitize;
  app.add_option("--sanitize", sanitize, "address: instrument the generated code")->check(CLI::IsMember({"address"}));
  app.add_option("--batch", line.batch,
                 "FILE of lines MODEL<TAB>OUTPUT[<TAB>flags], or -: compile one after the other");
  app.add_flag("--describe", line.describe, "print inputs, outputs and metadata of the model as JSON");
  app.add_flag("--help-passes", line.help_passes, "list the graph passes in their order");
  app.add_flag("--help-ops", line.help_ops, "list the operators: how exact each is, and what becomes of it");
  app.add_flag("-q,--quiet", o.quiet, "no progress");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) {
      app.exit(e);  // prints the help or version text
      line.exit_now = true;
      return line;
    }
    return Error(ErrorKind::Usage, e.what(), "", "onnxc --help explains the options");
  }
  ONNXC_TRY(parse_dims(dims, o));
  ONNXC_TRY(parse_shapes(shapes, o));
  for (const std::string& text : custom_ops) ONNXC_TRY(parse_custom_op(text, o));
  o.sanitize_address = sanitize == "address";
  o.single_thread |= o.cpu == "generic";
  o.embed_weights = weights == "embedded";
  if (line.help_passes || line.help_ops || !line.batch.empty()) return line;
  if (o.input.empty()) return Error(ErrorKind::Usage, "no model given", "", "onnxc model.onnx -o model.so");
  if (!line.describe && o.emit == Emit::Artefact && o.output.empty())
    return Error(ErrorKind::Usage, "no output given", "", "onnxc " + o.input + " -o model.so");
  if (o.emit == Emit::Cpp && o.output.empty())
    return Error(ErrorKind::Usage, "--emit=cpp needs a directory", "", "onnxc " + o.input + " --emit=cpp -o project/");
  return line;
}

}  // namespace onnxc
