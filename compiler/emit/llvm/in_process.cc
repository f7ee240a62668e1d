#include "compiler/emit/llvm/in_process.h"

#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/Support/TargetSelect.h>

#include <cstdlib>

#include "compiler/plan/make_plan.h"
#include "runtime_lib/abi/sub_byte.h"

namespace onnxc {

namespace {

using Bytes = std::unique_ptr<std::byte, decltype(&std::free)>;

Bytes aligned_bytes(uint64_t bytes) {
  return Bytes(static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64 + 64)), &std::free);
}

void* allocate(void*, uint64_t bytes, uint64_t) { return aligned_bytes(bytes).release(); }
void release(void*, void* memory) { std::free(memory); }

bool is_fixed(const onnxc_value_info& info) { return info.flags & ONNXC_STATIC; }

std::string as_text(llvm::Error error) { return llvm::toString(std::move(error)); }

class LoadedModel final : public InProcessModel {
 public:
  static Result<std::unique_ptr<InProcessModel>> make(const std::string& object, const Plan& plan) {
    auto made = std::make_unique<LoadedModel>();
    ONNXC_TRY(made->load_code(object));
    ONNXC_TRY(made->load_weights(plan));
    ONNXC_TRY(made->create());
    return std::unique_ptr<InProcessModel>(std::move(made));
  }
  ~LoadedModel() override {
    if (session_) model_->destroy(session_);
  }

  const onnxc_model& model() const override { return *model_; }

  Result<std::vector<Tensor>> run(const std::vector<Tensor>& inputs) override {
    const onnxc_model_info& info = *model_->info;
    if (inputs.size() != info.num_inputs)
      return Error(ErrorKind::Internal, "run in process with a wrong number of inputs");
    std::vector<onnxc_value> in, out;
    std::vector<Bytes> packed;
    for (uint32_t i = 0; i < info.num_inputs; ++i) {
      if (!is_fixed(info.inputs[i]))
        return Error(ErrorKind::Unsupported, "only inputs of known shape are run in process", info.name);
      ONNXC_ASSIGN(onnxc_value value, describe(info.inputs[i]));
      value.data = const_cast<std::byte*>(inputs[i].raw());
      value.capacity = inputs[i].bytes();
      if (onnxc_entry::is_sub_byte(value.elem)) {
        packed.push_back(aligned_bytes(inputs[i].bytes()));
        onnxc_entry::pack(reinterpret_cast<const unsigned char*>(inputs[i].raw()),
                          reinterpret_cast<unsigned char*>(packed.back().get()), inputs[i].bytes(), value.elem);
        value.data = packed.back().get();
      }
      in.push_back(value);
    }
    std::vector<Tensor> results;
    for (uint32_t i = 0; i < info.num_outputs; ++i) {
      ONNXC_ASSIGN(onnxc_value value, describe(info.outputs[i]));
      results.emplace_back();
      if (is_fixed(info.outputs[i]) && value.kind == ONNXC_TENSOR) {
        results.back() = Tensor::zeros(static_cast<Elem>(value.elem), {value.dims, value.dims + value.rank});
        value.data = const_cast<std::byte*>(results.back().raw());
        value.capacity = results.back().bytes();
      }
      out.push_back(value);
    }
    Bytes arena = aligned_bytes(info.arena_bytes);
    onnxc_run_args args = {sizeof args, info.num_inputs, info.num_outputs, in.data(),
                           out.data(),  arena.get(),     info.arena_bytes};
    onnxc_message message = {sizeof message, ""};
    if (model_->run(session_, &args, &message) != ONNXC_OK)
      return Error(ErrorKind::InvalidModel, std::string("a run of constant operators failed: ") + message.text,
                   info.name);
    for (uint32_t i = 0; i < info.num_outputs; ++i) {
      if (!is_fixed(info.outputs[i]) || out[i].kind != ONNXC_TENSOR) {  // in memory of `allocate`
        const Bytes given(static_cast<std::byte*>(out[i].data), &std::free);
        if (out[i].kind == ONNXC_STRING_TENSOR) {
          results[i] = strings_of(out[i]);
          continue;
        }
        results[i] = Tensor::zeros(static_cast<Elem>(out[i].elem), {out[i].dims, out[i].dims + out[i].rank});
        if (given) std::memcpy(const_cast<std::byte*>(results[i].raw()), given.get(), results[i].bytes());
      }
      if (onnxc_entry::is_sub_byte(out[i].elem)) results[i] = unpacked(results[i]);
    }
    return results;
  }

 private:
  static Result<onnxc_value> describe(const onnxc_value_info& info) {
    if (info.rank < 0 || info.rank > static_cast<int32_t>(ONNXC_MAX_RANK))
      return Error(ErrorKind::Unsupported, "only values of known rank can be computed in process", info.name);
    onnxc_value value = {};
    value.struct_size = sizeof value;
    value.kind = info.kind;
    value.elem = info.elem;
    value.rank = static_cast<uint32_t>(info.rank);
    for (int32_t d = 0; d < info.rank; ++d) value.dims[d] = info.dims[d];
    return value;
  }

  static Tensor strings_of(const onnxc_value& value) {
    const std::vector<int64_t> dims(value.dims, value.dims + value.rank);
    const auto* texts = static_cast<const onnxc_string*>(value.data);
    std::vector<std::string> strings;
    for (int64_t i = 0; i < checked_numel(dims).value_or(0); ++i) strings.emplace_back(texts[i].data, texts[i].bytes);
    return Tensor::strings(dims, std::move(strings));
  }

  static Tensor unpacked(const Tensor& packed) {
    Tensor wide = Tensor::zeros(packed.elem(), packed.dims());
    onnxc_entry::unpack(reinterpret_cast<const unsigned char*>(packed.raw()),
                        reinterpret_cast<unsigned char*>(const_cast<std::byte*>(wide.raw())),
                        static_cast<uint64_t>(packed.numel()), static_cast<int32_t>(packed.elem()));
    return wide;
  }

  Status load_code(const std::string& object) {
    auto jit = llvm::orc::LLJITBuilder().create();
    if (!jit) return Error(ErrorKind::Environment, "code cannot be loaded in process: " + as_text(jit.takeError()));
    jit_ = std::move(*jit);
    if (auto error = jit_->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(object, "model.o")))
      return Error(ErrorKind::Internal, "code cannot be loaded in process: " + as_text(std::move(error)));
    auto symbol = jit_->lookup("onnxc_get_model");
    if (!symbol) return Error(ErrorKind::Internal, "code cannot be loaded in process: " + as_text(symbol.takeError()));
    model_ = symbol->toPtr<onnxc_get_model_fn>()();
    return ok();
  }

  Status load_weights(const Plan& plan) {
    weights_ = aligned_bytes(plan.blob_bytes);
    weights_bytes_ = 0;
    return write_blob(plan, [this, &plan](std::span<const std::byte> piece) -> Status {
      if (weights_bytes_ + piece.size() > plan.blob_bytes)
        return Error(ErrorKind::Internal, "the weights are larger than planned");
      std::memcpy(weights_.get() + weights_bytes_, piece.data(), piece.size());
      weights_bytes_ += piece.size();
      return ok();
    });
  }

  Status create() {
    session_memory_ = aligned_bytes(model_->info->session_bytes);
    host_.struct_size = sizeof host_;
    host_.allocate = &allocate;
    host_.release = &release;
    onnxc_create_args args = {};
    args.struct_size = sizeof args;
    args.host = &host_;
    args.abi_version = ONNXC_ABI_VERSION;
    args.session_memory = session_memory_.get();
    args.session_memory_bytes = model_->info->session_bytes;
    args.weights = weights_.get();
    args.weights_bytes = weights_bytes_;
    onnxc_message message = {sizeof message, ""};
    if (model_->create(&args, &session_, &message) != ONNXC_OK)
      return Error(ErrorKind::Internal, std::string("a model loaded in process: ") + message.text);
    return ok();
  }

  std::unique_ptr<llvm::orc::LLJIT> jit_;
  const onnxc_model* model_ = nullptr;
  onnxc_host host_ = {};
  onnxc_session* session_ = nullptr;
  Bytes weights_{nullptr, &std::free}, session_memory_{nullptr, &std::free};
  uint64_t weights_bytes_ = 0;
};

}  // namespace

Result<std::unique_ptr<InProcessModel>> InProcessModel::load(const Plan& plan, const Target& target,
                                                             const Options& options) {
  ModelIdentity identity;
  identity.name = "in_process";
  identity.embed_weights = false;
  ONNXC_ASSIGN(std::string object, emit_llvm(plan, identity, target, options, LlvmOutput::Object));
  return LoadedModel::make(object, plan);
}

Options in_process_options() {
  Options options;
  options.cpu = "x86-64-v2";
  options.opt_level = 1;
  options.single_thread = true;
  options.quiet = true;
  return options;
}

Result<std::vector<Tensor>> run_in_process(const Plan& plan, const std::vector<Tensor>& inputs) {
  const Options options = in_process_options();
  ONNXC_ASSIGN(const Target target, Target::from_options(options));
  ONNXC_ASSIGN(const auto model, InProcessModel::load(plan, target, options));
  return model->run(inputs);
}

}  // namespace onnxc
