#include "compiler/emit/llvm/emit_llvm.h"

#include <llvm/IR/Verifier.h>

#include <deque>

#include "compiler/emit/llvm/entry_emitter.h"
#include "compiler/emit/llvm/layout_emitter.h"
#include "compiler/emit/llvm/module_pipeline.h"
#include "compiler/emit/llvm/region_emitter.h"

namespace onnxc {

namespace {

std::vector<std::string> public_names(const ModelIdentity& identity) {
  std::vector<std::string> names = {identity.name + "_get_model"};
  if (identity.shared) names.push_back("onnxc_get_model");
  return names;
}

emit::EmittedBody emit_body(emit::EmitContext& context) {
  emit::EmittedBody body{&context, emit::RegionEmitter(context).emit_body(), {}};
  const Plan& plan = context.plan;
  for (size_t s = 0; has_layout(plan) && s < plan.stages.size(); ++s)
    body.layouts.push_back(emit::emit_layout(context, s));
  return body;
}

Status verify(const llvm::Module& module) {
  std::string problems;
  llvm::raw_string_ostream stream(problems);
  if (llvm::verifyModule(module, &stream))
    return Error(ErrorKind::Internal, "the emitted LLVM module is not valid: " + problems);
  return ok();
}

}  // namespace

Result<std::string> emit_llvm(std::span<const Plan> plans, const ModelIdentity& identity, const Target& target,
                              const Options& options, LlvmOutput output) {
  if (target.level == Level::Generic)
    return Error(ErrorKind::Usage, "the LLVM back end makes code for x86-64 only", "--mcpu=generic",
                 "Use --emit=cpp or --backend=cpp for this target.");
  ONNXC_ASSIGN(const auto machine, emit::make_target_machine(target, options.opt_level));
  llvm::LLVMContext llvm;
  llvm::Module module(identity.name, llvm);
  module.setTargetTriple(target.triple);
  module.setDataLayout(machine->createDataLayout());
  module.setPICLevel(llvm::PICLevel::BigPIC);
  ONNXC_ASSIGN(emit::KernelLibrary kernels, emit::KernelLibrary::open(llvm, target.level, options.sanitize_address));
  emit::SpecialisedKernels specialised;
  std::deque<emit::EmitContext> contexts;
  std::vector<emit::EmittedBody> bodies;
  size_t operations = 0;
  for (const Plan& plan : plans) {
    emit::EmitContext& context = contexts.emplace_back(emit::EmitContext{
        plan, identity, target, options, module, kernels, specialised, bodies.size(), operations, std::nullopt});
    bodies.push_back(emit_body(context));
    if (context.error) return std::move(*context.error);
    operations += plan.program.ops.size();
  }
  emit::EmitContext& general = contexts.front();
  emit::emit_entry(bodies);
  if (general.error) return std::move(*general.error);
  ONNXC_TRY(verify(module));
  ONNXC_TRY(kernels.link_kernels(module, [&](llvm::Function& f) { general.set_target_attributes(f); }));
  if (options.sanitize_address)
    for (llvm::Function& f : module)
      if (!f.isDeclaration()) f.addFnAttr(llvm::Attribute::SanitizeAddress);
  const std::vector<std::string> names = public_names(identity);
  emit::optimise(module, *machine, options, names);
  ONNXC_TRY(kernels.link_entry(module));
  emit::drop_unused(module, names);
  return emit::write_code(module, *machine, output);
}

}  // namespace onnxc
