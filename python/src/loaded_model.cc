// See loaded_model.h.
#include "python/src/loaded_model.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace onnxc::python {

namespace {

constexpr const char* kImagesLibrary = "libonnxc_images.so";

// The loader takes two files of one name for the same library, even when a new file has taken the old one's place while
// the old library is still open (a model compiled again in a notebook). So the name that it sees spells the inode: each
// bit is a "/" or a "/." before the file's name, which both mean nothing.
std::string name_for_loader(const std::string& path) {
  char real[PATH_MAX];
  struct stat file;
  if (!realpath(path.c_str(), real) || stat(real, &file) != 0) return path;
  const std::string whole = real;
  const size_t slash = whole.rfind('/');
  std::string name = whole.substr(0, slash);
  for (uint64_t bits = file.st_ino; bits; bits >>= 1) name += bits & 1 ? "/." : "/";
  return name + "/" + whole.substr(slash + 1);
}

std::string with_text(const std::string& what, const onnxc_message& message) {
  return message.text[0] ? std::string(message.text) : what;
}

onnxc_message empty_message() {
  onnxc_message message{};
  message.struct_size = sizeof message;
  return message;
}

// The library that lies beside this module, for models that need it.
void* open_images_library() {
  Dl_info module;
  if (!dladdr(reinterpret_cast<void*>(&name_for_loader), &module)) return nullptr;
  const auto path = std::filesystem::path(module.dli_fname).replace_filename(kImagesLibrary);
  return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
}

// Models that decode pictures look for a library beside themselves; where it is not, the package's own, once it is
// open, takes its place.
void* open_model(const std::string& path) {
  const std::string name = name_for_loader(path);
  if (void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  std::string problem = dlerror();
  if (problem.find(kImagesLibrary) != std::string::npos) {
    if (open_images_library())
      if (void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    problem = path + " decodes pictures, and what it needs for that cannot be loaded: " + dlerror();
  }
  throw ModelError(ONNXC_INVALID_ARGUMENT, problem);
}

}  // namespace

LoadedModel::LoadedModel(const std::string& path) {
  library_ = open_model(path);
  const auto get_model = reinterpret_cast<onnxc_get_model_fn>(dlsym(library_, "onnxc_get_model"));
  std::string problem;
  if (!get_model) {
    problem = path + " is no compiled model: it has no function onnxc_get_model";
  } else {
    entry_ = get_model();
    if (entry_->abi_version != ONNXC_ABI_VERSION)
      problem = path + " was made for version " + std::to_string(entry_->abi_version) +
                " of the C ABI, this is version " + std::to_string(ONNXC_ABI_VERSION) + ": compile it again";
    else if (info().weights_bytes && !info().weights)
      problem = map_weights(path);
  }
  if (problem.empty()) return;
  dlclose(library_);
  throw ModelError(ONNXC_INCOMPATIBLE, problem);
}

LoadedModel::~LoadedModel() {
  if (weights_) munmap(weights_, info().weights_bytes);
  dlclose(library_);
}

// By --weights=separate: model.weights beside model.so, mapped and read only where the model reads.
std::string LoadedModel::map_weights(const std::string& path) {
  const std::string name = std::filesystem::path(path).replace_extension(".weights");
  const int file = open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return path + " keeps its weights apart in " + name + ", which cannot be opened: " + strerror(errno);
  struct stat status;
  const bool whole = fstat(file, &status) == 0 && static_cast<uint64_t>(status.st_size) >= info().weights_bytes;
  void* mapped = whole ? mmap(nullptr, info().weights_bytes, PROT_READ, MAP_PRIVATE, file, 0) : MAP_FAILED;
  close(file);
  if (mapped == MAP_FAILED)
    return name + " does not hold the " + std::to_string(info().weights_bytes) + " bytes of " + path;
  weights_ = mapped;
  return "";
}

ModelSession::ModelSession(std::shared_ptr<LoadedModel> model, int32_t threads) : model_(std::move(model)) {
  host_.struct_size = sizeof host_;
  onnxc_host_init(&host_, threads);
  plain_host_ = host_;
  host_.user = this;
  host_.allocate = &allocate;
  host_.release = &release;
  onnxc_create_args args{};
  args.struct_size = sizeof args;
  args.abi_version = ONNXC_ABI_VERSION;
  args.host = &host_;
  args.num_threads = host_.max_threads;
  args.weights = model_->weights();
  args.weights_bytes = model_->info().weights_bytes;
  onnxc_message message = empty_message();
  const onnxc_status status = model_->entry().create(&args, &session_, &message);
  if (status != ONNXC_OK) throw ModelError(status, with_text("the model refused to make a session", message));
}

ModelSession::~ModelSession() {
  model_->entry().destroy(session_);
  for (auto& arena : arenas_) std::free(arena.load());
}

void* ModelSession::allocate(void* user, uint64_t bytes, uint64_t alignment) {
  constexpr uint64_t kHugePage = 2u << 20;
  // A piece of more than this many times the bytes stays for those who need it.
  constexpr uint64_t kWaste = 4;
  auto& session = *static_cast<ModelSession*>(user);
  for (auto& slot : session.arenas_) {
    void* memory = slot.exchange(nullptr, std::memory_order_acq_rel);
    if (!memory) continue;
    const uint64_t held = malloc_usable_size(memory);
    const bool aligned = reinterpret_cast<uintptr_t>(memory) % alignment == 0;
    if (aligned && held >= bytes && held / kWaste <= bytes) return memory;
    release(user, memory);
  }
  const bool huge = bytes >= 2 * kHugePage;
  void* memory = session.plain_host_.allocate(session.plain_host_.user, bytes, huge ? kHugePage : alignment);
  if (memory && huge) madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

// What finds no free slot drives out the piece in the first one.
void ModelSession::release(void* user, void* memory) {
  auto& session = *static_cast<ModelSession*>(user);
  for (auto& slot : session.arenas_) {
    void* none = nullptr;
    if (slot.compare_exchange_strong(none, memory, std::memory_order_acq_rel)) return;
  }
  std::free(session.arenas_.front().exchange(memory, std::memory_order_acq_rel));
}

void ModelSession::run(onnxc_run_args* args) {
  onnxc_message message = empty_message();
  const onnxc_status status = model_->entry().run(session_, args, &message);
  if (status != ONNXC_OK) throw ModelError(status, with_text("the model failed", message));
}

}  // namespace onnxc::python
