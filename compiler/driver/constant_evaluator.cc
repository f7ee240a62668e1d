#include "compiler/driver/constant_evaluator.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "compiler/emit/llvm/emit_llvm.h"
#include "compiler/link/link.h"
#include "compiler/lower/lower.h"
#include "compiler/plan/make_plan.h"
#include "onnxc/onnxc.h"

namespace onnxc {
namespace {

// A folder of our own that goes away with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::error_code error;
    std::string pattern = (std::filesystem::temp_directory_path(error) / "onnxc-fold-XXXXXX").string();
    if (!error && ::mkdtemp(pattern.data())) path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A shared library that stays loaded while this lives.
class LoadedLibrary {
 public:
  explicit LoadedLibrary(const std::string& path) : handle_(::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {}
  ~LoadedLibrary() {
    if (handle_) ::dlclose(handle_);
  }
  LoadedLibrary(const LoadedLibrary&) = delete;
  LoadedLibrary& operator=(const LoadedLibrary&) = delete;
  const onnxc_model* model() const {
    auto get = handle_ ? reinterpret_cast<onnxc_get_model_fn>(::dlsym(handle_, "onnxc_get_model")) : nullptr;
    return get ? get() : nullptr;
  }

 private:
  void* handle_;
};

Error failed(const std::string& what) {
  return Error(ErrorKind::Internal, "a constant part of the model could not be computed: " + what, "", "try --disable-pass=fold_constants");
}

// Runs a model without inputs; `types` are those of its outputs.
Result<std::vector<Tensor>> run_model(const onnxc_model& model, const std::vector<Value*>& outputs) {
  auto aligned = [](uint64_t bytes) {
    const size_t size = (static_cast<size_t>(bytes) + 127) & ~size_t{63};
    return std::shared_ptr<std::byte>(static_cast<std::byte*>(::aligned_alloc(64, size)), [](std::byte* p) { ::free(p); });
  };
  onnxc_message message{};
  message.struct_size = sizeof message;
  auto session_memory = aligned(model.info->session_bytes);
  onnxc_create_args create{};
  create.struct_size = sizeof create;
  create.abi_version = ONNXC_ABI_VERSION;
  create.session_memory = session_memory.get();
  create.session_memory_bytes = model.info->session_bytes;
  onnxc_session* session = nullptr;
  if (model.create(&create, &session, &message) != ONNXC_OK) return failed(message.text);
  auto arena = aligned(model.info->arena_bytes);
  std::vector<Tensor> results;
  std::vector<onnxc_value> values;
  for (const Value* v : outputs) {
    const std::vector<int64_t> dims = static_dims(*v->type.shape);
    if (dims.size() > ONNXC_MAX_RANK) return failed("the rank is above " + std::to_string(ONNXC_MAX_RANK));
    Tensor t = Tensor::zeros(v->type.elem, dims);
    onnxc_value value{};
    value.struct_size = sizeof value;
    value.kind = ONNXC_TENSOR;
    value.elem = static_cast<onnxc_elem>(v->type.elem);
    value.rank = static_cast<uint32_t>(dims.size());
    std::copy(dims.begin(), dims.end(), value.dims);
    value.data = const_cast<std::byte*>(t.raw());
    value.capacity = t.bytes();
    values.push_back(value);
    results.push_back(std::move(t));
  }
  onnxc_run_args run{};
  run.struct_size = sizeof run;
  run.num_outputs = static_cast<uint32_t>(values.size());
  run.outputs = values.data();
  run.arena = arena.get();
  run.arena_bytes = model.info->arena_bytes;
  const onnxc_status status = model.run(session, &run, &message);
  model.destroy(session);
  if (status != ONNXC_OK) return failed(message.text);
  return results;
}

}  // namespace

Result<std::vector<Tensor>> ConstantEvaluator::evaluate(const Graph& graph) {
  Options options;
  options.cpu = "x86-64-v2";
  options.opt_level = 1;
  options.quiet = true;
  ONNXC_ASSIGN(const Target target, Target::from_options(options));
  ONNXC_ASSIGN(Program program, lower(graph, target, options));
  ONNXC_ASSIGN(const Plan plan, make_plan(std::move(program), options));
  ModelIdentity identity;
  identity.name = "folded";
  identity.sha256.assign(32, 0);
  ONNXC_ASSIGN(const std::string object, emit_llvm(plan, identity, target, options, LlvmOutput::Object));
  TemporaryFolder folder;
  if (folder.path().empty()) return Error(ErrorKind::Environment, "no temporary folder could be made", "", "check TMPDIR");
  const std::string path = folder.path() + "/folded.so";
  ONNXC_TRY(link_shared(object, plan, identity, path));
  LoadedLibrary library(path);
  const onnxc_model* model = library.model();
  if (!model) return failed("it does not load");
  return run_model(*model, graph.outputs);
}

}  // namespace onnxc
