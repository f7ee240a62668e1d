#include "compiler/emit/llvm/entry_emitter.h"

#include <algorithm>

#include "compiler/emit/list_info.h"
#include "compiler/emit/llvm/abi_types.h"
#include "compiler/emit/llvm/layout_emitter.h"
#include "compiler/emit/llvm/region_emitter.h"
#include "runtime_lib/abi/model_entry.h"

namespace onnxc::emit {

namespace {

class EntryEmitter {
 public:
  explicit EntryEmitter(const std::vector<EmittedBody>& bodies)
      : bodies_(bodies), context_(*bodies.front().context), types_(context_.llvm()), b_(context_.llvm()) {}

  void emit() {
    llvm::GlobalVariable* info = constant(types_.model_info, model_info(), "info");
    llvm::Function* create = create_function(info);
    llvm::Function* run = entry("onnxc_entry_run");
    llvm::Function* destroy = entry("onnxc_entry_destroy");
    if (!run || !destroy || !create) return;
    llvm::Constant* model = llvm::ConstantStruct::get(
        types_.model, {i32(sizeof(onnxc_model)), i32(ONNXC_ABI_VERSION), info, create, run, destroy});
    llvm::GlobalVariable* table = constant(types_.model, model, "model");
    getter(context_.identity.name + "_get_model", table);
    if (context_.identity.shared) getter("onnxc_get_model", table);
  }

 private:
  llvm::ConstantInt* i32(uint64_t v) { return b_.getInt32(static_cast<uint32_t>(v)); }
  llvm::Constant* null() { return llvm::ConstantPointerNull::get(b_.getPtrTy()); }

  llvm::Constant* text(const std::string& s) {
    llvm::Constant*& made = texts_[s];
    if (!made) made = constant(nullptr, llvm::ConstantDataArray::getString(context_.llvm(), s), "text");
    return made;
  }

  llvm::GlobalVariable* constant(llvm::Type* type, llvm::Constant* value, const std::string& name) {
    auto* made = new llvm::GlobalVariable(context_.module, type ? type : value->getType(), true,
                                          llvm::GlobalValue::PrivateLinkage, value, name);
    if (!type) made->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
    return made;
  }

  llvm::Constant* array(llvm::Type* element, const std::vector<llvm::Constant*>& values, const std::string& name) {
    if (values.empty()) return null();
    auto* type = llvm::ArrayType::get(element, values.size());
    return constant(type, llvm::ConstantArray::get(type, values), name);
  }

  llvm::Function* entry(const char* name) {
    llvm::Function* function = context_.kernels.declare(context_.module, name);
    if (!function) context_.fail(ErrorKind::Internal, std::string("the entry library has no function ") + name);
    return function;
  }

  llvm::Constant* list_info(const ProgramValue& value, bool is_input) {
    const ListInfo info = list_info_of(*value.held, is_input);
    std::vector<llvm::Constant*> dims, names;
    for (int64_t dim : info.dims) {
      dims.push_back(b_.getInt64(static_cast<uint64_t>(dim)));
      names.push_back(text(""));
    }
    const auto rank = static_cast<uint64_t>(info.rank);
    return llvm::ConstantStruct::get(
        types_.value_info,
        {i32(sizeof(onnxc_value_info)), i32(info.kind), text(value.name), i32(static_cast<uint64_t>(value.held->elem)),
         i32(rank), array(b_.getInt64Ty(), dims, "dims"), array(b_.getPtrTy(), names, "dim_names"),
         i32(static_cast<uint64_t>(-1)), i32(info.flags)});
  }

  llvm::Constant* value_info(const ProgramValue& value, const Program& program) {
    std::vector<llvm::Constant*> dims, names;
    bool all_known = true;
    for (size_t i = 0; i < value.dims.size(); ++i) {
      const auto known = value.dims[i].constant();
      all_known &= known.has_value();
      dims.push_back(b_.getInt64(static_cast<uint64_t>(known.value_or(-1))));
      names.push_back(text(i < value.dim_names.size() ? value.dim_names[i] : ""));
    }
    const Buffer& buffer = program.buffers[value.buffer];
    int64_t alias = -1;
    if (buffer.storage == Buffer::Storage::Output && buffer.alias_of != kNoBuffer)
      alias = program.buffers[buffer.alias_of].index;
    const bool strings = value.elem == Elem::String;
    return llvm::ConstantStruct::get(types_.value_info,
                                     {i32(sizeof(onnxc_value_info)), i32(strings ? ONNXC_STRING_TENSOR : ONNXC_TENSOR),
                                      text(value.name), i32(static_cast<uint64_t>(value.elem)), i32(value.dims.size()),
                                      array(b_.getInt64Ty(), dims, "dims"), array(b_.getPtrTy(), names, "dim_names"),
                                      i32(static_cast<uint64_t>(alias)), i32(all_known ? ONNXC_STATIC : 0)});
  }

  llvm::Constant* value_infos(const Program& program, bool are_inputs) {
    std::vector<llvm::Constant*> rows;
    for (const ProgramValue& value : are_inputs ? program.inputs : program.outputs)
      rows.push_back(value.held ? list_info(value, are_inputs) : value_info(value, program));
    return array(types_.value_info, rows, are_inputs ? "inputs" : "outputs");
  }

  static uint64_t arena_bytes(const EmittedBody& body) {
    if (!body.layouts.empty()) return 0;
    const Program& program = body.context->program();
    auto bytes = static_cast<uint64_t>(body.context->plan.stages.front().arena_bytes.value());
    for (const auto* values : {&program.inputs, &program.outputs})
      for (const ProgramValue& value : *values)
        bytes += onnxc_entry::staging_bytes(static_cast<int32_t>(value.elem),
                                            static_cast<uint64_t>(numel(value.dims).constant().value_or(0)),
                                            values == &program.outputs);
    return bytes;
  }

  llvm::Constant* weights() {
    const Plan& plan = context_.plan;
    if (!plan.blob_bytes || !context_.identity.embed_weights) return null();
    auto* symbol = new llvm::GlobalVariable(context_.module, b_.getInt8Ty(), true, llvm::GlobalValue::ExternalLinkage,
                                            nullptr, context_.identity.name + "_weights");
    symbol->setVisibility(llvm::GlobalValue::HiddenVisibility);
    symbol->setDSOLocal(true);
    return symbol;
  }

  llvm::Constant* model_info() {
    const Program& program = context_.program();
    std::vector<llvm::Constant*> pairs, labels;
    for (const auto& [key, value] : program.metadata)
      pairs.push_back(llvm::ConstantStruct::get(types_.metadata, {text(key), text(value)}));
    for (const EmittedBody& body : bodies_)
      for (const Operation& op : body.context->program().ops) labels.push_back(text(operation_label(op)));
    std::vector<uint8_t> hash = context_.identity.sha256;
    hash.resize(32);
    auto count = [&](const auto& list) { return i32(list.size()); };
    return llvm::ConstantStruct::get(types_.model_info, {i32(sizeof(onnxc_model_info)),
                                                         i32(ONNXC_ABI_VERSION),
                                                         text(context_.identity.name),
                                                         text("onnxc " ONNXC_VERSION),
                                                         text(context_.target.name()),
                                                         b_.getInt64(context_.target.required_features),
                                                         llvm::ConstantDataArray::get(context_.llvm(), hash),
                                                         b_.getInt64(context_.plan.weights_hash),
                                                         b_.getInt64(context_.plan.blob_bytes),
                                                         weights(),
                                                         b_.getInt64(arena_bytes(bodies_.front())),
                                                         b_.getInt64(ONNXC_SESSION_BYTES),
                                                         count(program.inputs),
                                                         count(program.outputs),
                                                         count(program.metadata),
                                                         count(labels),
                                                         value_infos(program, true),
                                                         value_infos(program, false),
                                                         array(types_.metadata, pairs, "metadata"),
                                                         array(b_.getPtrTy(), labels, "operations")});
  }

  llvm::Constant* code(const EmittedBody& body, const std::vector<llvm::Constant*>& specials) {
    const Plan& plan = body.context->plan;
    const std::vector<llvm::Constant*> layouts(body.layouts.begin(), body.layouts.end());
    const uint64_t table = layouts.empty() ? 0 : table_names(plan).names.size();
    return llvm::ConstantStruct::get(
        types_.code, {body.function, array(b_.getPtrTy(), layouts, "layouts"), i32(layouts.size()), i32(table),
                      i32(plan.threads ? ONNXC_BODY_PARALLEL : 0), array(types_.special, specials, "specials"),
                      i32(specials.size())});
  }

  llvm::Constant* special(const EmittedBody& body) {
    const Program& program = body.context->program();
    return llvm::ConstantStruct::get(types_.special, {value_infos(program, true), value_infos(program, false),
                                                      b_.getInt64(arena_bytes(body)), code(body, {})});
  }

  // create(args, session, message): baseline code, since it runs before the CPU is checked.
  llvm::Function* create_function(llvm::GlobalVariable* info) {
    llvm::Function* create = entry("onnxc_entry_create");
    if (!create || create->arg_size() != 5) return nullptr;
    llvm::Type* p = b_.getPtrTy();
    auto* made =
        llvm::Function::Create(llvm::FunctionType::get(b_.getInt32Ty(), {p, p, p}, false),
                               llvm::GlobalValue::InternalLinkage, context_.identity.name + "_create", context_.module);
    made->addFnAttr(llvm::Attribute::NoUnwind);
    llvm::IRBuilder<> b(llvm::BasicBlock::Create(context_.llvm(), "", made));
    std::vector<llvm::Constant*> specials;
    for (size_t i = 1; i < bodies_.size(); ++i) specials.push_back(special(bodies_[i]));
    llvm::GlobalVariable* table = constant(types_.code, code(bodies_.front(), specials), "code");
    b.CreateRet(b.CreateCall(create, {info, table, made->getArg(0), made->getArg(1), made->getArg(2)}));
    return made;
  }

  void getter(const std::string& name, llvm::GlobalVariable* model) {
    auto* made = llvm::Function::Create(llvm::FunctionType::get(b_.getPtrTy(), false),
                                        llvm::GlobalValue::ExternalLinkage, name, context_.module);
    made->addFnAttr(llvm::Attribute::NoUnwind);
    llvm::IRBuilder<> b(llvm::BasicBlock::Create(context_.llvm(), "", made));
    b.CreateRet(model);
  }

  const std::vector<EmittedBody>& bodies_;
  EmitContext& context_;  // of the general body
  AbiTypes types_;
  llvm::IRBuilder<> b_;
  std::map<std::string, llvm::Constant*> texts_;
};

}  // namespace

void emit_entry(const std::vector<EmittedBody>& bodies) { EntryEmitter(bodies).emit(); }

}  // namespace onnxc::emit
