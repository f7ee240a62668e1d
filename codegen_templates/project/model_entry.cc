// {{{name}}}: what the model is, and its entry points. Compiled for the architecture's baseline, because it checks the processor
// before anything else runs. Made by {{{compiler}}}; changes will be lost.
#include "abi/memory_functions.h"
#include "abi/model_entry.h"
#include "{{{name}}}.h"

extern "C" __attribute__((visibility("hidden"))) int32_t {{{name}}}_body(onnxc_frame* frame);
{{#layouts}}
extern "C" __attribute__((visibility("hidden"))) int32_t {{{name}}}_layout_{{{stage}}}(onnxc_frame* frame);
{{/layouts}}
{{#own_weights}}
extern "C" __attribute__((visibility("hidden"))) const unsigned char {{{name}}}_weights[];
{{/own_weights}}

namespace onnxc_entry_{{{name}}} {
namespace {

{{#values}}
constexpr int64_t {{{group}}}_{{{index}}}_dims[] = { {{{info_dims}}} };
constexpr const char* {{{group}}}_{{{index}}}_dim_names[] = { {{{dim_names}}} };
{{/values}}

constexpr onnxc_value_info inputs[] = {
{{#inputs}}
    {sizeof(onnxc_value_info), {{{kind}}}, {{{quoted_name}}}, {{{elem}}}, {{{rank}}}, {{{group}}}_{{{index}}}_dims, {{{group}}}_{{{index}}}_dim_names, -1, {{{flags}}}},
{{/inputs}}
{{^inputs}}
    {},
{{/inputs}}
};
constexpr onnxc_value_info outputs[] = {
{{#outputs}}
    {sizeof(onnxc_value_info), {{{kind}}}, {{{quoted_name}}}, {{{elem}}}, {{{rank}}}, {{{group}}}_{{{index}}}_dims, {{{group}}}_{{{index}}}_dim_names, {{{alias_of}}}, {{{flags}}}},
{{/outputs}}
{{^outputs}}
    {},
{{/outputs}}
};
constexpr onnxc_metadata metadata[] = {
{{#metadata}}
    { {{{key}}}, {{{value}}} },
{{/metadata}}
    {nullptr, nullptr},
};
constexpr const char* operations[] = {
{{#operations}}
    {{{label}}},
{{/operations}}
    nullptr,
};

constexpr onnxc_model_info info = {
    sizeof(onnxc_model_info),
    ONNXC_ABI_VERSION,
    "{{{name}}}",
    "{{{compiler}}}",
    "{{{target}}}",
    {{{required_features}}},
    { {{{model_hash}}} },
    {{{weights_hash}}},
    {{{weights_bytes}}},
{{#own_weights}}
    {{{name}}}_weights,
{{/own_weights}}
{{^own_weights}}
    nullptr,
{{/own_weights}}
    {{{arena_bytes}}},
    ONNXC_SESSION_BYTES,
    {{{num_inputs}}},
    {{{num_outputs}}},
    {{{num_metadata}}},
    {{{num_operations}}},
    inputs,
    outputs,
    metadata,
    operations,
};

constexpr onnxc_layout_fn layouts[] = {
{{#layouts}}
    &{{{name}}}_layout_{{{stage}}},
{{/layouts}}
    nullptr,
};

constexpr onnxc_code code = {&{{{name}}}_body, layouts, {{{num_layouts}}}, {{{table_length}}}, {{{flags}}}, nullptr, 0};

onnxc_status create(const onnxc_create_args* args, onnxc_session** session, onnxc_message* message) {
  return onnxc_entry_create(&info, &code, args, session, message);
}

constexpr onnxc_model model = {sizeof(onnxc_model), ONNXC_ABI_VERSION, &info, &create, &onnxc_entry_run, &onnxc_entry_destroy};

}  // namespace
}  // namespace onnxc_entry_{{{name}}}

extern "C" {
__attribute__((visibility("default"))) const onnxc_model* {{{name}}}_get_model(void) { return &onnxc_entry_{{{name}}}::model; }
{{#shared}}
__attribute__((visibility("default"))) const onnxc_model* onnxc_get_model(void) { return &onnxc_entry_{{{name}}}::model; }
{{/shared}}
}
