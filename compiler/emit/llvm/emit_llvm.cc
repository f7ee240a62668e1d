#include "compiler/emit/llvm/emit_llvm.h"

#include <llvm/IR/Verifier.h>

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

Status verify(const llvm::Module& module) {
  std::string problems;
  llvm::raw_string_ostream stream(problems);
  if (llvm::verifyModule(module, &stream))
    return Error(ErrorKind::Internal, "the emitted LLVM module is not valid: " + problems);
  return ok();
}

}  // namespace

Result<std::string> emit_llvm(const Plan& plan, const ModelIdentity& identity, const Target& target,
                              const Options& options, LlvmOutput output) {
  if (target.level == Level::Generic)
    return Error(ErrorKind::Usage, "the LLVM back end makes code for x86-64 only", "--mcpu=generic",
                 "Use --emit=cpp or --backend=cpp for this target.");
  ONNXC_ASSIGN(const auto machine, emit::make_target_machine(target, options.opt_level));
  llvm::LLVMContext context;
  llvm::Module module(identity.name, context);
  module.setTargetTriple(target.triple);
  module.setDataLayout(machine->createDataLayout());
  module.setPICLevel(llvm::PICLevel::BigPIC);
  ONNXC_ASSIGN(emit::KernelLibrary kernels, emit::KernelLibrary::open(context, target.level, options.sanitize_address));
  emit::EmitContext emitting{plan, identity, target, options, module, kernels, std::nullopt};

  llvm::Function* body = emit::RegionEmitter(emitting).emit_body();
  std::vector<llvm::Function*> layouts;
  for (size_t s = 0; has_layout(plan) && s < plan.stages.size(); ++s) layouts.push_back(emit::emit_layout(emitting, s));
  if (!emitting.error) emit::emit_entry(emitting, *body, layouts);
  if (emitting.error) return std::move(*emitting.error);
  ONNXC_TRY(verify(module));
  ONNXC_TRY(kernels.link_kernels(module, [&](llvm::Function& f) { emitting.set_target_attributes(f); }));
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
