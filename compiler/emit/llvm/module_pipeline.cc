#include "compiler/emit/llvm/module_pipeline.h"

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/SmallVectorMemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Transforms/IPO/GlobalDCE.h>
#include <llvm/Transforms/IPO/Internalize.h>
#include <llvm/Transforms/IPO/MergeFunctions.h>
#include <llvm/Transforms/Instrumentation/AddressSanitizer.h>
#include <llvm/Transforms/Utils/ModuleUtils.h>

#include <algorithm>

#include "compiler/emit/llvm/vector_forms.h"

namespace onnxc::emit {

namespace {

// Machine code may call these where the source has a loop or a copy: they stay, under their names, until the object is
// made.
constexpr const char* kMemoryFunctions[] = {"memcpy", "memmove", "memset", "memcmp"};

llvm::OptimizationLevel optimisation(int level) {
  if (level <= 0) return llvm::OptimizationLevel::O0;
  if (level == 1) return llvm::OptimizationLevel::O1;
  return level == 2 ? llvm::OptimizationLevel::O2 : llvm::OptimizationLevel::O3;
}

llvm::CodeGenOptLevel code_generation(int level) {
  if (level <= 0) return llvm::CodeGenOptLevel::None;
  if (level == 1) return llvm::CodeGenOptLevel::Less;
  return level == 2 ? llvm::CodeGenOptLevel::Default : llvm::CodeGenOptLevel::Aggressive;
}

void hide_all_but(llvm::Module& module, const std::vector<std::string>& public_names) {
  llvm::internalizeModule(module, [&](const llvm::GlobalValue& value) {
    return value.isDeclaration() ||
           std::find(public_names.begin(), public_names.end(), value.getName()) != public_names.end();
  });
}

}  // namespace

Result<std::unique_ptr<llvm::TargetMachine>> make_target_machine(const Target& target, int opt_level) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  LLVMInitializeX86AsmParser();
  std::string problem;
  const llvm::Target* found = llvm::TargetRegistry::lookupTarget(target.triple, problem);
  if (!found) return Error(ErrorKind::Internal, "LLVM has no target " + target.triple + ": " + problem);
  llvm::TargetOptions options;
  options.FunctionSections = true;
  options.DataSections = true;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  std::unique_ptr<llvm::TargetMachine> machine(found->createTargetMachine(
      target.triple, "x86-64", "", options, llvm::Reloc::PIC_, std::nullopt, code_generation(opt_level)));
  if (!machine) return Error(ErrorKind::Internal, "LLVM cannot make code for " + target.triple);
  return machine;
}

void optimise(llvm::Module& module, llvm::TargetMachine& machine, const Options& options,
              const std::vector<std::string>& public_names) {
  hide_all_but(module, public_names);
  add_vector_forms(module);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager cgscc;
  llvm::ModuleAnalysisManager modules;
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = options.opt_level >= 2;
  llvm::PassBuilder builder(&machine, tuning);
  if (options.opt_level >= 1)  // identical nests (of identical layers) are optimised and generated once
    builder.registerPipelineStartEPCallback(
        [](llvm::ModulePassManager& passes, llvm::OptimizationLevel) { passes.addPass(llvm::MergeFunctionsPass()); });
  builder.registerOptimizerLastEPCallback(
      [](llvm::ModulePassManager& last, llvm::OptimizationLevel) { inline_vector_forms(last); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(cgscc);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, cgscc, modules);
  const llvm::OptimizationLevel level = optimisation(options.opt_level);
  llvm::ModulePassManager passes = level == llvm::OptimizationLevel::O0 ? builder.buildO0DefaultPipeline(level)
                                                                        : builder.buildPerModuleDefaultPipeline(level);
  if (options.sanitize_address) passes.addPass(llvm::AddressSanitizerPass(llvm::AddressSanitizerOptions()));
  passes.run(module, modules);
}

void drop_unused(llvm::Module& module, const std::vector<std::string>& public_names) {
  hide_all_but(module, public_names);
  std::vector<llvm::GlobalValue*> keep;
  for (const char* name : kMemoryFunctions)
    if (llvm::Function* function = module.getFunction(name); function && !function->isDeclaration()) {
      function->setVisibility(llvm::GlobalValue::DefaultVisibility);
      keep.push_back(function);
    }
  llvm::appendToCompilerUsed(module, keep);
  llvm::ModuleAnalysisManager modules;
  llvm::FunctionAnalysisManager functions;
  modules.registerPass([&] { return llvm::FunctionAnalysisManagerModuleProxy(functions); });
  modules.registerPass([] { return llvm::PassInstrumentationAnalysis(); });
  llvm::ModulePassManager passes;
  passes.addPass(llvm::GlobalDCEPass());
  passes.run(module, modules);
}

Result<std::string> write_code(llvm::Module& module, llvm::TargetMachine& machine, LlvmOutput output) {
  if (output == LlvmOutput::IrText) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    module.print(stream, nullptr);
    return text;
  }
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  const auto kind =
      output == LlvmOutput::Object ? llvm::CodeGenFileType::ObjectFile : llvm::CodeGenFileType::AssemblyFile;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, kind))
    return Error(ErrorKind::Internal, "LLVM cannot write this kind of file");
  passes.run(module);
  return std::string(bytes.data(), bytes.size());
}

}  // namespace onnxc::emit
