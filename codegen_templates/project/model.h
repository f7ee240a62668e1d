/* {{{name}}}: a model compiled by {{{compiler}}}. Made by a program; changes will be lost.
{{#inputs}}
 *   input  {{{label}}}
{{/inputs}}
{{#outputs}}
 *   output {{{label}}}
{{/outputs}}
{{#fixed}}
 * C: {{{name}}}_get_model() and the functions of <onnxc/onnxc.h>. C++17: also what stands below. */
{{/fixed}}
{{^fixed}}
 * {{{name}}}_get_model() and the functions of <onnxc/onnxc.h>: some dims are known only in a run, or values are no tensors. */
{{/fixed}}
#ifndef ONNXC_MODEL_{{{name}}}_H
#define ONNXC_MODEL_{{{name}}}_H

#include <onnxc/onnxc.h>

#ifdef __cplusplus
extern "C"
#endif
const onnxc_model* {{{name}}}_get_model(void);

{{#fixed}}
#ifdef __cplusplus
namespace onnxc {
namespace models {
namespace {{{name}}} {

// Bytes that a run needs beside inputs and outputs, aligned to 64; and those of a session, aligned to 16.
constexpr uint64_t arena_bytes = {{{arena_bytes}}};
constexpr uint64_t session_bytes = {{{session_bytes}}};

{{#values}}
// {{{label}}}
struct {{{type_name}}} {
  using type = {{{type}}};{{{type_note}}}
  static constexpr uint32_t index = {{{index}}};
  static constexpr onnxc_elem elem = {{{elem}}};
  static constexpr uint32_t rank = {{{rank}}};
  static constexpr int64_t dims[] = { {{{dims}}} };
  static constexpr uint64_t size = {{{size}}};  // elements
  static constexpr uint64_t bytes = {{{bytes}}};
};
{{/values}}

// A session in its own memory: no heap, no destructor to call.
class Session {
 public:
  // `weights`: only for models whose weights are kept apart.
  onnxc_status create(onnxc_message* message = nullptr, const onnxc_host* host = nullptr, const void* weights = nullptr,
                      uint64_t weights_bytes = 0) {
    onnxc_create_args args = {};
    args.struct_size = sizeof args;
    args.abi_version = ONNXC_ABI_VERSION;
    args.host = host;
    args.session_memory = memory_;
    args.session_memory_bytes = sizeof memory_;
    args.weights = weights;
    args.weights_bytes = weights_bytes;
    return {{{name}}}_get_model()->create(&args, &session_, message);
  }

  // `arena`: arena_bytes, aligned to 64; null: from the host.
  onnxc_status run({{#inputs}}const {{{type}}}* {{{id}}}, {{/inputs}}{{#outputs}}{{{type}}}* {{{id}}}, {{/outputs}}void* arena,
                   onnxc_message* message = nullptr) {
    const onnxc_value inputs[] = {
{{#inputs}}
        value<{{{type_name}}}>({{{id}}}),
{{/inputs}}
{{^inputs}}
        onnxc_value(),
{{/inputs}}
    };
    onnxc_value outputs[] = {
{{#outputs}}
        value<{{{type_name}}}>({{{id}}}),
{{/outputs}}
{{^outputs}}
        onnxc_value(),
{{/outputs}}
    };
    onnxc_run_args args = {};
    args.struct_size = sizeof args;
    args.num_inputs = {{{num_inputs}}};
    args.num_outputs = {{{num_outputs}}};
    args.inputs = inputs;
    args.outputs = outputs;
    args.arena = arena;
    args.arena_bytes = arena ? arena_bytes : 0;
    return {{{name}}}_get_model()->run(session_, &args, message);
  }

 private:
  template <class T>
  static onnxc_value value(const typename T::type* data) {
    onnxc_value v = {};
    v.struct_size = sizeof v;
    v.kind = ONNXC_TENSOR;
    v.elem = T::elem;
    v.rank = T::rank;
    for (uint32_t i = 0; i < T::rank; ++i) v.dims[i] = T::dims[i];
    v.data = const_cast<typename T::type*>(data);
    v.capacity = T::bytes;
    return v;
  }

  alignas(16) unsigned char memory_[session_bytes];
  onnxc_session* session_ = nullptr;
};

}  // namespace {{{name}}}
}  // namespace models
}  // namespace onnxc
#endif
{{/fixed}}
#endif
