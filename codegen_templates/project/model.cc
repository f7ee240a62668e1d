// {{{name}}}: the operations of the model, in the order in which {{{name}}}_body runs them. Made by {{{compiler}}} for
// {{{target}}}; changes will be lost. Compile with -ffp-contract=off and the flags of CMakeLists.txt.
{{#kernel_headers}}
#include "kernels/{{{header}}}"
{{/kernel_headers}}
#include "abi/memory_functions.h"
#include "abi/step.h"
{{#threads}}
#include "abi/barrier.h"
{{/threads}}
{{#debug}}
#include "abi/debug_plan.h"
{{/debug}}
{{#links}}
#include "abi/custom_op.h"
{{/links}}
#include "support.h"

{{#has_weights}}
extern "C" __attribute__((visibility("hidden"))) const unsigned char {{{name}}}_weights[];
{{/has_weights}}
extern "C" __attribute__((visibility("hidden"))) int32_t {{{name}}}_body(onnxc_frame* frame);
{{#layouts}}
extern "C" __attribute__((visibility("hidden"))) int32_t {{{name}}}_layout_{{{stage}}}(onnxc_frame* frame);
{{/layouts}}
{{#linked}}
extern "C" int32_t {{{function}}}(const onnxc_custom_op* op);  // {{{node}}}
{{/linked}}

namespace onnxc_model_{{{name}}} {
namespace {

using namespace onnxc_support;

{{#functions}}
{{{text}}}
{{/functions}}
{{#debug}}
constexpr onnxc_debug_buffer kBuffers[] = {
{{#debug_buffers}}
    {"{{{label}}}", {{{offset}}}, {{{bytes}}}, {{{first}}}, {{{last}}} },
{{/debug_buffers}}
    {nullptr, 0, 0, -1, -1},
};
constexpr onnxc_debug_plan kDebugPlan = {kBuffers, {{{num_debug_buffers}}}, {{{guard_bytes}}} };

{{/debug}}
int32_t run(onnxc_frame* frame) {
  [[maybe_unused]] unsigned char* const arena = frame->arena;
  [[maybe_unused]] const unsigned char* const weights = frame->weights;
  [[maybe_unused]] const int64_t* const table = frame->table;
  [[maybe_unused]] int32_t status = ONNXC_OK;
{{#grows}}
  onnxc_grown grown[{{{num_grown}}}] = {};
{{/grows}}
{{#steps}}

{{#comment}}
  // {{{comment}}}
{{/comment}}
{{{text}}}
{{/steps}}
  return status;
}

{{#layouts}}
int32_t layout_{{{stage}}}(onnxc_frame* frame) {
  [[maybe_unused]] unsigned char* const arena = frame->arena;
  [[maybe_unused]] const unsigned char* const weights = frame->weights;
{{{text}}}
}

{{/layouts}}
}  // namespace
}  // namespace onnxc_model_{{{name}}}

{{#layouts}}
int32_t {{{name}}}_layout_{{{stage}}}(onnxc_frame* frame) { return onnxc_model_{{{name}}}::layout_{{{stage}}}(frame); }
{{/layouts}}

int32_t {{{name}}}_body(onnxc_frame* frame) {
{{#debug}}
  onnxc_debug_start(frame, &onnxc_model_{{{name}}}::kDebugPlan);
  const int32_t status = onnxc_model_{{{name}}}::run(frame);
  onnxc_debug_end(frame, &onnxc_model_{{{name}}}::kDebugPlan);
  return status;
{{/debug}}
{{^debug}}
  return onnxc_model_{{{name}}}::run(frame);
{{/debug}}
}
