#include "compiler/emit/llvm/vector_forms.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/VFABIDemangler.h>
#include <llvm/Transforms/IPO/AlwaysInliner.h>
#include <llvm/Transforms/IPO/GlobalDCE.h>
#include <llvm/Transforms/Utils/ModuleUtils.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

namespace onnxc::emit {

namespace {

using llvm::Value;

constexpr const char* kScalar = "onnxc_scale_f32";
// Lanes of loops of floats, from those of reductions to the longest.
constexpr unsigned kLanes[] = {4, 8, 16, 32, 64};
constexpr unsigned kWidest = 16;

std::string form_name(unsigned lanes) { return std::string(kScalar) + "_x" + std::to_string(lanes); }

bool is_form(const llvm::Value& value) { return value.getName().starts_with(kScalar); }

// x * 2^n for at most kWidest lanes.
Value* scale_one(llvm::IRBuilder<>& b, Value* x, Value* n) {
  const unsigned lanes = llvm::cast<llvm::FixedVectorType>(x->getType())->getNumElements();
  const bool widest = lanes == kWidest;
  const llvm::Intrinsic::ID id = widest       ? llvm::Intrinsic::x86_avx512_mask_scalef_ps_512
                                 : lanes == 8 ? llvm::Intrinsic::x86_avx512_mask_scalef_ps_256
                                              : llvm::Intrinsic::x86_avx512_mask_scalef_ps_128;
  Value* all = llvm::Constant::getAllOnesValue(widest ? b.getInt16Ty() : b.getInt8Ty());
  std::vector<Value*> arguments{x, n, llvm::Constant::getNullValue(x->getType()), all};
  constexpr unsigned kCurrentRounding = 4;
  if (widest) arguments.push_back(b.getInt32(kCurrentRounding));
  return b.CreateIntrinsic(id, {}, arguments);
}

// Lanes [first, first + count), as all lanes of a vector.
Value* part(llvm::IRBuilder<>& b, Value* vector, unsigned first, unsigned count) {
  std::vector<int> lanes(count);
  std::iota(lanes.begin(), lanes.end(), static_cast<int>(first));
  return b.CreateShuffleVector(vector, lanes);
}

Value* scale_lanes(llvm::IRBuilder<>& b, Value* x, Value* n, unsigned lanes) {
  if (lanes <= kWidest) return scale_one(b, x, n);
  const unsigned half = lanes / 2;
  Value* low = scale_lanes(b, part(b, x, 0, half), part(b, n, 0, half), half);
  Value* high = scale_lanes(b, part(b, x, half, half), part(b, n, half, half), half);
  std::vector<int> both(lanes);
  std::iota(both.begin(), both.end(), 0);
  return b.CreateShuffleVector(low, high, both);
}

llvm::Function* make_form(llvm::Function& scalar, unsigned lanes) {
  auto* vector = llvm::FixedVectorType::get(scalar.getReturnType(), lanes);
  auto* form = llvm::Function::Create(llvm::FunctionType::get(vector, {vector, vector}, false),
                                      llvm::GlobalValue::InternalLinkage, form_name(lanes), *scalar.getParent());
  form->copyAttributesFrom(&scalar);
  form->setVisibility(llvm::GlobalValue::DefaultVisibility);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(scalar.getContext(), "entry", form));
  b.CreateRet(scale_lanes(b, form->getArg(0), form->getArg(1), lanes));
  return form;
}

struct InlineForms : llvm::PassInfoMixin<InlineForms> {
  static llvm::PreservedAnalyses run(llvm::Module& module, llvm::ModuleAnalysisManager&) {
    llvm::removeFromUsedLists(module, [](llvm::Constant* c) { return is_form(*c->stripPointerCasts()); });
    for (llvm::Function& f : module) {
      if (!is_form(f)) continue;
      f.removeFnAttr(llvm::Attribute::NoInline);
      f.addFnAttr(llvm::Attribute::AlwaysInline);
    }
    return llvm::PreservedAnalyses::none();
  }
};

}  // namespace

void add_vector_forms(llvm::Module& module) {
  llvm::Function* scalar = module.getFunction(kScalar);
  if (!scalar || scalar->isDeclaration()) return;
  std::string variants;
  std::vector<llvm::GlobalValue*> forms;
  for (const unsigned lanes : kLanes) {
    forms.push_back(make_form(*scalar, lanes));
    variants += (variants.empty() ? "" : ",");
    variants += "_ZGV_LLVM_N" + std::to_string(lanes) + "vv_" + kScalar + "(" + form_name(lanes) + ")";
  }
  llvm::appendToCompilerUsed(module, forms);
  scalar->addFnAttr(llvm::VFABI::MappingsAttrName, variants);
}

void inline_vector_forms(llvm::ModulePassManager& passes) {
  passes.addPass(InlineForms());
  passes.addPass(llvm::AlwaysInlinerPass());
  passes.addPass(llvm::GlobalDCEPass());
}

}  // namespace onnxc::emit
