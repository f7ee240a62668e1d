#include "compiler/driver/batch.h"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "compiler/driver/command_line.h"
#include "compiler/driver/compile.h"

namespace onnxc {
namespace {

Status compile_line(const std::vector<std::string>& fields) {
  std::vector<std::string> words{"onnxc", "-q", fields[0], "-o", fields[1]};
  if (fields.size() > 2) {
    std::istringstream flags(fields[2]);
    for (std::string w; flags >> w;) words.push_back(w);
  }
  std::vector<const char*> argv;
  for (const std::string& w : words) argv.push_back(w.c_str());
  ONNXC_ASSIGN(const CommandLine line, parse_command_line(static_cast<int>(argv.size()), argv.data()));
  return compile(line.options);
}

std::vector<std::string> split_tabs(const std::string& text) {
  std::vector<std::string> fields;
  std::istringstream in(text);
  for (std::string f; std::getline(in, f, '\t');) fields.push_back(f);
  return fields;
}

}  // namespace

Status run_batch(const std::string& file) {
  std::ifstream opened;
  if (file != "-") {
    opened.open(file);
    if (!opened) return Error(ErrorKind::Environment, "cannot be read", file);
  }
  std::istream& in = file == "-" ? std::cin : opened;
  for (std::string text; std::getline(in, text);) {
    const auto fields = split_tabs(text);
    if (fields.size() < 2) return Error(ErrorKind::Usage, "a line has no MODEL<TAB>OUTPUT form: " + text, file);
    const auto start = std::chrono::steady_clock::now();
    const Status status = compile_line(fields);
    nlohmann::json out{
        {"model", fields[0]}, {"ok", status.ok()}, {"exit", status.ok() ? 0 : static_cast<int>(status.error().kind())}};
    out["message"] = status.ok() ? "" : status.error().str();
    out["ms"] = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    std::cout << out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n' << std::flush;
  }
  return ok();
}

}  // namespace onnxc
