// onnxc-opt: reads a graph, runs passes, verifies, prints; or reads a textual Program. For tests (tests/lit/) and for
// trying things out. FILE is a textual graph, - for standard input, or an .onnx model.
//   onnxc-opt [--passes=a,b,c | --pipeline] [--opt-bisect=N] [--dump-after=PASS] [--dim=NAME=N] [--shape=INPUT=1,2]
//             [--time-passes] [--verify-each] FILE
//   onnxc-opt --lower [--mcpu=x86-64-v3] [--no-winograd] [--small] FILE    the same, then the Program that the graph
//   becomes onnxc-opt --program [--plan] FILE    verifies a Program and prints it, or plans it and prints the Plan
// Named passes run once each, in the order given; --pipeline runs all of them to a fixpoint. Constants are folded only
// where that needs no execution: this program holds no back end.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include "compiler/import/function_bodies.h"
#include "compiler/import/import.h"
#include "compiler/ir/graph_text.h"
#include "compiler/ir/plan_text.h"
#include "compiler/ir/program_text.h"
#include "compiler/ir/verify_graph.h"
#include "compiler/ir/verify_program.h"
#include "compiler/lower/lower.h"
#include "compiler/ops/op.h"
#include "compiler/passes/pass.h"
#include "compiler/plan/make_plan.h"

namespace onnxc {
namespace {

struct Arguments {
  std::vector<std::string> passes;
  bool pipeline = false;
  bool lower = false, program = false, plan = false;
  std::string file;
  Options options;
};

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::stringstream stream(list);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

Result<Arguments> parse_arguments(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const size_t equals = arg.find('=');
    const std::string name = arg.substr(0, equals), value = equals == std::string::npos ? "" : arg.substr(equals + 1);
    if (name == "--passes") {
      a.passes = split(value);
    } else if (name == "--pipeline") {
      a.pipeline = true;
    } else if (name == "--lower") {
      a.lower = true;
    } else if (arg == "--no-winograd") {
      a.options.winograd = false;
    } else if (arg == "--small") {
      a.options.small = true;
    } else if (name == "--mcpu") {
      a.options.cpu = value;
    } else if (name == "--program") {
      a.program = true;
    } else if (name == "--plan") {
      a.plan = true;
    } else if (name == "--debug-plan") {
      a.options.debug_plan = true;
    } else if (arg == "--time-passes") {
      a.options.time_passes = true;
    } else if (arg == "--verify-each") {
      a.options.verify_each = true;
    } else if (name == "--dim" && value.find('=') != std::string::npos) {
      a.options.dims[value.substr(0, value.find('='))] = std::atoll(value.c_str() + value.find('=') + 1);
    } else if (name == "--shape" && value.find('=') != std::string::npos) {
      for (const std::string& d : split(value.substr(value.find('=') + 1))) {
        a.options.shapes[value.substr(0, value.find('='))].push_back(std::atoll(d.c_str()));
      }
    } else if (name == "--opt-bisect") {
      a.options.opt_bisect = std::atoi(value.c_str());
    } else if (name == "--disable-pass") {
      a.options.disabled_passes = split(value);
    } else if (name == "--dump-after") {
      a.options.dump_after = split(value);
    } else if (arg.size() > 1 && arg[0] == '-') {
      return Error(ErrorKind::Usage, "unknown option " + arg);
    } else {
      a.file = arg;
    }
  }
  if (a.file.empty()) return Error(ErrorKind::Usage, "no file given");
  return a;
}

Result<std::string> read(const std::string& file) {
  std::stringstream text;
  if (file == "-") {
    text << std::cin.rdbuf();
    return text.str();
  }
  std::ifstream in(file);
  if (!in) return Error(ErrorKind::Environment, "cannot read the file", file);
  text << in.rdbuf();
  return text.str();
}

// Holds the text form to its promise on the way: what is printed parses back to what prints the same.
Status run_program(const Arguments& a) {
  ONNXC_ASSIGN(const std::string text, read(a.file));
  ONNXC_ASSIGN(Program program, parse_program(text));
  ONNXC_TRY(verify_program(program));
  const std::string printed = print_program(program);
  ONNXC_ASSIGN(const Program again, parse_program(printed));
  if (print_program(again) != printed)
    return Error(ErrorKind::Internal, "the Program changes when its text is read", a.file);
  if (!a.plan) {
    std::fputs(printed.c_str(), stdout);
    return ok();
  }
  ONNXC_ASSIGN(const Plan plan, make_plan(std::move(program), a.options));
  std::fputs(print_plan(plan).c_str(), stdout);
  return ok();
}

Result<std::unique_ptr<Graph>> load(const Arguments& a) {
  if (a.file.ends_with(".onnx")) {
    Options options = a.options;
    options.input = a.file;
    ONNXC_ASSIGN(ImportedModel model, import_model(options));
    return std::move(model.graph);
  }
  ONNXC_ASSIGN(const std::string text, read(a.file));
  return parse_graph(text);
}

Status run(const Arguments& a) {
  if (a.program) return run_program(a);
  ONNXC_ASSIGN(const std::unique_ptr<Graph> graph, load(a));
  ONNXC_TRY(verify_graph(*graph));
  OnnxFunctionBodies functions;
  PassContext context{a.options, nullptr, &functions};
  if (a.pipeline) ONNXC_TRY(run_passes(*graph, context));
  for (const std::string& name : a.passes) {
    const Pass* pass = find_pass(name);
    if (!pass) return Error(ErrorKind::Usage, "there is no pass \"" + name + "\"");
    ONNXC_TRY(pass->run(*graph, context));
    ONNXC_TRY(graph->sort());
    ONNXC_TRY(verify_graph(*graph));
  }
  if (!a.lower) {
    std::fputs(print_graph(*graph).c_str(), stdout);
    return ok();
  }
  ONNXC_ASSIGN(const Target target, Target::from_options(a.options));
  ONNXC_ASSIGN(const Program program, lower(*graph, target, a.options));
  ONNXC_TRY(verify_program(program));
  std::fputs(print_program(program).c_str(), stdout);
  return ok();
}

int main_of(int argc, char** argv) {
  const auto arguments = parse_arguments(argc, argv);
  const Status s = arguments.ok() ? run(*arguments) : Status(arguments.error());
  if (s.ok()) return 0;
  std::fprintf(stderr, "%s\n", s.error().str().c_str());
  return static_cast<int>(s.error().kind());
}

}  // namespace
}  // namespace onnxc

int main(int argc, char** argv) { return onnxc::main_of(argc, argv); }
