#include "compiler/driver/compile.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>

#include "compiler/driver/constant_evaluator.h"
#include "compiler/driver/report.h"
#include "compiler/driver/settle_lengths.h"
#include "compiler/driver/special_bodies.h"
#include "compiler/emit/cpp/emit_cpp.h"
#include "compiler/emit/llvm/emit_llvm.h"
#include "compiler/import/function_bodies.h"
#include "compiler/ir/graph_text.h"
#include "compiler/ir/plan_text.h"
#include "compiler/ir/program_text.h"
#include "compiler/ir/verify_graph.h"
#include "compiler/ir/verify_program.h"
#include "compiler/link/link.h"
#include "compiler/lower/lower.h"
#include "compiler/passes/pass.h"
#include "compiler/plan/make_plan.h"

namespace onnxc {
namespace {

bool has_suffix(const std::string& s, const std::string& suffix) {
  return s.size() >= suffix.size() && s.compare(s.size() - suffix.size(), suffix.size(), suffix) == 0;
}

// A C identifier from --name, the output's or the input's file name.
std::string model_name(const Options& options) {
  std::string path = options.output.empty() ? options.input : options.output;
  while (!path.empty() && path.back() == '/') path.pop_back();
  std::string stem = options.model_name.empty() ? std::filesystem::path(path).stem().string() : options.model_name;
  for (char& c : stem)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  if (stem.empty() || std::isdigit(static_cast<unsigned char>(stem[0]))) stem = "model_" + stem;
  return stem;
}

// Functions of custom operators have names that the model has no symbol of.
Status check_function_names(const Options& options, const std::string& model) {
  constexpr const char* kOwn[] = {"get_model", "body", "create", "info", "code", "model", "weights"};
  constexpr const char* kMemory[] = {"memcpy", "memmove", "memset", "memcmp"};
  for (const auto& [op, custom] : options.custom_ops) {
    bool taken = std::ranges::count(kMemory, custom.function) > 0 || custom.function.starts_with(model + "_layout_");
    for (const char* own : kOwn) taken = taken || custom.function == model + "_" + own;
    if (taken)
      return Error(ErrorKind::Usage, "the name of the function " + custom.function + " is one of the model's own",
                   "--custom-op", "call it otherwise, or the model, by --name");
  }
  return ok();
}

Status print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return Error(ErrorKind::Environment, "standard output cannot be written");
  return ok();
}

// What belongs beside the artefact: the header of an archive, weights that are kept apart.
Status write_companions(const Plan& plan, const ModelIdentity& identity, const std::string& artefact) {
  if (!identity.embed_weights && plan.blob_bytes)
    ONNXC_TRY(write_weights(plan, std::filesystem::path(artefact).replace_extension(".weights")));
  return identity.shared ? ok() : write_header(plan, identity, artefact);
}

Status emit_artefact(std::span<const Plan> plans, const ModelIdentity& identity, const Target& target,
                     const Options& options, Progress& progress) {
  const Plan& plan = plans.front();
  const bool shared = has_suffix(options.output, ".so"), archive = has_suffix(options.output, ".a");
  if (!options.link.empty() && !shared)
    return Error(ErrorKind::Usage, "only a shared library (NAME.so) is linked here", "--link",
                 "link the files together with the archive or the sources, by your own linker");
  if (!shared && !archive) {
    progress.phase("write C++ sources");
    return write_cpp_project(plan, identity, target, options, options.output);
  }
  if (options.backend == Backend::Cpp) {
    progress.phase("compile C++ sources");
    return shared ? build_cpp_shared(plan, identity, target, options, options.output)
                  : build_cpp_archive(plan, identity, target, options, options.output);
  }
  progress.phase("generate code");
  ONNXC_ASSIGN(const std::string object, emit_llvm(plans, identity, target, options, LlvmOutput::Object));
  progress.phase("link");
  ONNXC_TRY(shared ? link_shared(object, plan, identity, options, options.output)
                   : write_archive(object, plan, identity, options.output));
  const Status rest = write_companions(plan, identity, options.output);
  std::error_code ignored;
  if (!rest.ok()) std::filesystem::remove(options.output, ignored);
  return rest;
}

// How many convolutions took which form of Winograd's, and how many the accuracy guard kept from it.
std::string winograd_report(const Program& program) {
  int f4 = 0, f2 = 0, refused = 0;
  for (const Operation& op : program.ops) {
    const auto* call = std::get_if<KernelCall>(&op.node);
    if (!call) continue;
    refused += op.note.find("refused") != std::string::npos;
    if (call->kernel != "conv_winograd_f32") continue;
    const Buffer& weights = program.buffers[call->ins[1].buffer];
    ++(program.constants[static_cast<size_t>(weights.index)].packing.winograd == 4 ? f4 : f2);
  }
  if (f4 + f2 + refused == 0) return {};
  return "Winograd: " + std::to_string(f4) + " by F(4,3), " + std::to_string(f2) + " by F(2,3), " +
         std::to_string(refused) + " kept to less or none for accuracy (--emit=program tells why)";
}

void note_sizes(const Plan& plan, const Options& options, const Progress& progress) {
  if (options.quiet) return;
  if (const std::string text = winograd_report(plan.program); !text.empty()) progress.note(text);
  char text[200];
  const double mib = 1024.0 * 1024.0;
  std::snprintf(text, sizeof text, "arena %.2f MiB (%.2f without sharing), constants %.2f MiB (%.2f in the model)",
                static_cast<double>(plan.stages.front().arena_bytes.constant().value_or(0)) / mib,
                static_cast<double>(plan.unshared_bytes) / mib, static_cast<double>(plan.blob_bytes) / mib,
                static_cast<double>(plan.source_constant_bytes) / mib);
  progress.note(text);
}

// Puts the body behind those of `plans`, with which it shares its weights.
Status add_special_body(const SpecialBody& body, const Target& target, std::vector<Plan>& plans) {
  Progress quiet(true, false);
  const auto plan_body = [&]() -> Result<Plan> {
    ONNXC_ASSIGN(const ImportedModel model, load_model(body.options, quiet));
    return plan_graph(*model.graph, target, body.options, quiet);
  };
  auto plan = plan_body();
  if (!plan.ok()) {
    std::vector<Diagnostic> diagnostics = plan.error().diagnostics();
    for (Diagnostic& d : diagnostics) d.where = "with " + body.label + (d.where.empty() ? "" : ": " + d.where);
    return Error(std::move(diagnostics));
  }
  plans.push_back(std::move(*plan));
  return share_blob(plans);
}

Result<LoadedModel> import_and_optimise(const Options& options, Progress& progress) {
  progress.phase("read " + options.input);
  ONNXC_ASSIGN(ImportedModel model, import_model(options));
  LoadedModel loaded;
  for (const Value* output : model.graph->outputs) loaded.declared_ranks.push_back(output->declared_rank);
  progress.phase("optimise the graph");
  ConstantEvaluator evaluator;
  OnnxFunctionBodies functions;
  PassContext context{options, options.fold_constants ? &evaluator : nullptr, &functions};
  ONNXC_TRY(run_passes(*model.graph, context));
  ONNXC_TRY(verify_graph(*model.graph));
  loaded.model = std::move(model);
  return loaded;
}

bool multiplies_integers(const Plan& plan) {
  return std::ranges::any_of(Target::kIntegerKernels,
                             [&](std::string_view kernel) { return calls_kernel(plan.program.ops, kernel); });
}

}  // namespace

Result<ImportedModel> load_model(const Options& options, Progress& progress) {
  ONNXC_ASSIGN(LoadedModel loaded, import_and_optimise(options, progress));
  const auto quietly = [](const Options& fixed) {
    Progress quiet(true, false);
    return import_and_optimise(fixed, quiet);
  };
  std::optional<SettledModel> settled = settle_a_length(loaded, options, quietly);
  if (!settled) return std::move(loaded.model);
  progress.note(settled->dim + ": with no other length of this list the ranks fit");
  return std::move(settled->model);
}

Result<Plan> plan_graph(const Graph& graph, const Target& target, const Options& options, Progress& progress) {
  progress.phase("lower to kernels and loop nests");
  ONNXC_ASSIGN(Program program, lower(graph, target, options));
  if (options.emit != Emit::Program) ONNXC_TRY(require_known_dims(program));
  ONNXC_TRY(verify_program(program));
  if (options.emit == Emit::Program) {
    ONNXC_TRY(print(print_program(program)));
    return Plan{};
  }
  progress.phase("plan memory");
  return make_plan(std::move(program), options);
}

Status compile(const Options& options) {
  ONNXC_ASSIGN(Target target, Target::from_options(options));
  ONNXC_ASSIGN(const std::vector<SpecialBody> specials, special_bodies(options));
  Progress progress(options.quiet || options.emit != Emit::Artefact, options.time_passes, specials.size());
  ONNXC_ASSIGN(const ImportedModel model, load_model(options, progress));
  if (options.emit == Emit::Graph) return print(print_graph(*model.graph));
  std::vector<Plan> plans(1);  // the general one first
  ONNXC_ASSIGN(plans.front(), plan_graph(*model.graph, target, options, progress));
  if (options.emit == Emit::Program) return ok();
  for (const SpecialBody& body : specials) {
    progress.phase("a body for " + body.label);
    ONNXC_TRY(add_special_body(body, target, plans));
  }
  if (std::ranges::any_of(plans, multiplies_integers)) target.require_integer_extension();
  if (!options.report.empty()) ONNXC_TRY(write_report(plans, options.report));
  if (options.emit == Emit::Plan) return print(print_plan(plans.front()));

  ModelIdentity identity;
  identity.name = model_name(options);
  ONNXC_TRY(check_function_names(options, identity.name));
  identity.sha256.assign(model.sha256.begin(), model.sha256.end());
  identity.shared = has_suffix(options.output, ".so");
  identity.embed_weights = options.embed_weights;
  if (options.emit == Emit::Llvm || options.emit == Emit::Asm) {
    const LlvmOutput kind = options.emit == Emit::Llvm ? LlvmOutput::IrText : LlvmOutput::Assembly;
    ONNXC_ASSIGN(const std::string text, emit_llvm(plans, identity, target, options, kind));
    return print(text);
  }
  ONNXC_TRY(emit_artefact(plans, identity, target, options, progress));
  note_sizes(plans.front(), options, progress);
  return ok();
}

}  // namespace onnxc
