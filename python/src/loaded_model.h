// A compiled model in memory: the shared library, its entry points, and one session of it. No Python in here.
// Tested in tests/api/test_model_files.py.
#pragma once

#include <onnxc/host.h>
#include <onnxc/onnxc.h>

#include <array>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>

namespace onnxc::python {

// What a call of the C ABI came to, when it was not ONNXC_OK.
class ModelError : public std::runtime_error {
 public:
  ModelError(onnxc_status status, const std::string& text) : std::runtime_error(text), status(status) {}
  onnxc_status status;
};

// The library stays open, and weights that are kept apart stay mapped, for as long as this object lives.
class LoadedModel {
 public:
  explicit LoadedModel(const std::string& path);  // throws ModelError
  ~LoadedModel();
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  const onnxc_model& entry() const { return *entry_; }
  const onnxc_model_info& info() const { return *entry_->info; }
  const void* weights() const { return weights_; }  // null: they are in the library

 private:
  std::string map_weights(const std::string& path);  // the problem, or ""

  void* library_ = nullptr;
  const onnxc_model* entry_ = nullptr;
  void* weights_ = nullptr;
};

// A session with a host of its own. run() may be called by several threads at a time.
class ModelSession {
 public:
  ModelSession(std::shared_ptr<LoadedModel> model, int32_t threads);  // threads <= 0: one per CPU
  ~ModelSession();
  ModelSession(const ModelSession&) = delete;
  ModelSession& operator=(const ModelSession&) = delete;

  void run(onnxc_run_args* args);  // throws ModelError
  const LoadedModel& model() const { return *model_; }
  const onnxc_host& host() const { return host_; }

 private:
  // The host's `allocate` and `release`: what runs give back is kept for the next ones, a few pieces at a time.
  static void* allocate(void* session, uint64_t bytes, uint64_t alignment);
  static void release(void* session, void* memory);

  std::shared_ptr<LoadedModel> model_;
  onnxc_host plain_host_{};  // libonnxc_rt's
  onnxc_host host_{};
  onnxc_session* session_ = nullptr;
  // Memory of finished runs, kept for the next ones. Without a lock, so that a fork at any time leaves it sound.
  std::array<std::atomic<void*>, 8> arenas_{};
};

}  // namespace onnxc::python
