// Reads a model file: bytes -> message -> Graph at the newest opset. The steps stand in import_model, in order.
#include "compiler/import/import.h"

#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <new>

#include "compiler/import/graph_from_proto.h"
#include "compiler/import/inline_functions.h"
#include "compiler/import/input_types.h"
#include "compiler/import/upgrade.h"
#include "compiler/support/sha256.h"

namespace onnxc {
namespace {

// A file as protobuf reads it, hashed on the way.
class HashingFile : public google::protobuf::io::CopyingInputStream {
 public:
  explicit HashingFile(int fd) : fd_(fd) {}
  ~HashingFile() override { ::close(fd_); }
  int Read(void* buffer, int size) override {
    ssize_t n;
    do n = ::read(fd_, buffer, static_cast<size_t>(size));
    while (n < 0 && errno == EINTR);
    if (n < 0) error_ = errno;
    if (n > 0) hash_.update(buffer, static_cast<size_t>(n));
    return static_cast<int>(n);
  }
  int error() const { return error_; }
  std::array<uint8_t, 32> digest() { return hash_.digest(); }

 private:
  int fd_;
  int error_ = 0;
  Sha256 hash_;
};

Error unreadable(const std::string& path, int code) {
  return Error(ErrorKind::Environment, std::string("cannot be read: ") + std::strerror(code), path);
}

Result<onnx::ModelProto> read_model(const std::string& path, std::array<uint8_t, 32>* sha256) {
  google::protobuf::SetLogHandler(nullptr);  // it prints to stderr what we report ourselves
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return unreadable(path, errno);
  HashingFile file(fd);
  struct stat st = {};
  if (::fstat(fd, &st) != 0) return unreadable(path, errno);
  if (S_ISDIR(st.st_mode)) return unreadable(path, EISDIR);
  if (S_ISREG(st.st_mode) && st.st_size == 0) return Error(ErrorKind::InvalidModel, "the file is empty", path);
  if (st.st_size > INT_MAX)
    return Error(ErrorKind::InvalidModel, "the file is larger than 2 GiB, which protobuf cannot hold", path,
                 "Save the model with external data.");
  onnx::ModelProto model;
  bool parsed = false;
  {
    google::protobuf::io::CopyingInputStreamAdaptor adaptor(&file, 1 << 20);
    google::protobuf::io::CodedInputStream stream(&adaptor);
    stream.SetTotalBytesLimit(INT_MAX);
    parsed = model.ParseFromCodedStream(&stream) && stream.ConsumedEntireMessage();
  }
  if (file.error()) return unreadable(path, file.error());
  if (!parsed)
    return Error(ErrorKind::InvalidModel, "this is no ONNX model: the file is cut off, damaged or of another kind",
                 path);
  *sha256 = file.digest();
  return model;
}

// What ONNX asks of a model as a whole.
Status check_model(const onnx::ModelProto& model, const std::string& path) {
  const auto invalid = [&](const std::string& why) { return Error(ErrorKind::InvalidModel, why, path); };
  if (!model.has_ir_version()) return invalid("this is no ONNX model: it has no ir_version");
  if (!model.has_graph()) return invalid("the model has no graph");
  if (model.ir_version() >= 3 && model.opset_import_size() == 0) return invalid("the model imports no opset");
  for (const auto& [domain, version] : opsets_of(model.opset_import())) {
    if (version < 1)
      return invalid("the model imports opset " + std::to_string(version) + " of domain \"" + domain + "\"");
    const auto newest = newest_opsets().find(domain);
    if (newest != newest_opsets().end() && version > newest->second)
      return Error(ErrorKind::Unsupported,
                   "the model imports opset " + std::to_string(version) + " of domain \"" + domain +
                       "\"; the newest that is known is " + std::to_string(newest->second),
                   path);
  }
  return ok();
}

void add_metadata(const onnx::ModelProto& model, Graph& graph) {
  const auto set = [&](const char* key, const std::string& value) {
    if (!value.empty()) graph.metadata[key] = value;
  };
  for (const auto& entry : model.metadata_props()) graph.metadata["custom." + entry.key()] = entry.value();
  set("producer_name", model.producer_name());
  set("producer_version", model.producer_version());
  set("domain", model.domain());
  set("description", model.doc_string());
  set("graph_name", model.graph().name());
  set("graph_description", model.graph().doc_string());
  if (model.model_version()) set("model_version", std::to_string(model.model_version()));
}

// What --custom-op names is the user's, even where the model has a function for it.
void keep_custom_ops(onnx::ModelProto& model, const Options& options) {
  auto& functions = *model.mutable_functions();
  const auto custom = std::remove_if(functions.begin(), functions.end(), [&](const onnx::FunctionProto& f) {
    return options.custom_ops.contains({canonical_domain(f.domain()), f.name()});
  });
  functions.erase(custom, functions.end());
}

Result<ImportedModel> import_steps(const Options& options) {
  ImportedModel result;
  ONNXC_ASSIGN(onnx::ModelProto model, read_model(options.input, &result.sha256));
  ONNXC_TRY(check_model(model, options.input));
  if (model.opset_import_size() == 0) model.add_opset_import()->set_version(1);
  keep_custom_ops(model, options);
  ONNXC_TRY(inline_functions(model));
  ONNXC_TRY(convert_ancient(model));
  ExternalData external(std::filesystem::path(options.input).parent_path().string());
  DimNames dim_names;
  const GraphSource source{opsets_of(model.opset_import()), &external, &dim_names, &options.custom_ops};
  ONNXC_ASSIGN(result.graph, graph_from_proto(*model.mutable_graph(), source));
  add_metadata(model, *result.graph);
  ONNXC_TRY(apply_shape_options(*result.graph, dim_names, options));
  ONNXC_TRY(upgrade_graph(*result.graph, source.opsets));
  return result;
}

}  // namespace

Result<ImportedModel> import_model(const Options& options) {
  try {
    return import_steps(options);
  } catch (const std::bad_alloc&) {
    return Error(ErrorKind::Environment, "not enough memory to read the model", options.input);
  } catch (const std::exception& e) {
    return Error(ErrorKind::InvalidModel, std::string("the model cannot be read: ") + e.what(), options.input);
  }
}

}  // namespace onnxc
