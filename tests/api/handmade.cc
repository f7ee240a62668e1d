// A model written by hand over the C ABI, for what tests need a model to do: y = 2 x (an x below 0 fails), and a 4-bit
// tensor that is passed on. Compiled by test_model_files.py.
#include "runtime_lib/abi/model_entry.h"

namespace {

const int64_t kDimsX[] = {2, 3}, kDimsQ[] = {5};
const char* const kNames[] = {"", ""};
const onnxc_value_info kInputs[] = {
    {sizeof(onnxc_value_info), ONNXC_TENSOR, "x", 1, 2, kDimsX, kNames, -1, ONNXC_STATIC},
    {sizeof(onnxc_value_info), ONNXC_TENSOR, "q", HANDMADE_ELEM, 1, kDimsQ, kNames, -1, ONNXC_STATIC},
};
const onnxc_value_info kOutputs[] = {
    {sizeof(onnxc_value_info), ONNXC_TENSOR, "y", 1, 2, kDimsX, kNames, -1, ONNXC_STATIC},
    {sizeof(onnxc_value_info), ONNXC_TENSOR, "p", HANDMADE_ELEM, 1, kDimsQ, kNames, -1, ONNXC_STATIC},
};
const onnxc_metadata kMetadata[] = {{"producer_name", "hand"}, {"custom.colour", "green"}};

int32_t body(onnxc_frame* frame) {
  const float* x = static_cast<const float*>(frame->inputs[0]);
  float* y = static_cast<float*>(frame->outputs[0]);
  for (int i = 0; i < 6; ++i) {
    if (x[i] < 0) {
      onnxc_entry::Message(frame->message) << "Mul_1: x is below 0";
      return ONNXC_FAILED;
    }
    y[i] = 2 * x[i];
  }
  const unsigned char* q = static_cast<const unsigned char*>(frame->inputs[1]);
  unsigned char* p = static_cast<unsigned char*>(frame->outputs[1]);
  for (int i = 0; i < 5; ++i) p[i] = q[i];
  return ONNXC_OK;
}

onnxc_model_info make_info() {
  onnxc_model_info info = {};
  info.struct_size = sizeof info;
  info.abi_version = HANDMADE_ABI;
  info.name = "handmade";
  info.compiler = "hand";
  info.target = "x86-64";
  info.arena_bytes = 2 * onnxc_entry::staging_bytes(22, 5, false);
  info.session_bytes = ONNXC_SESSION_BYTES;
  info.num_inputs = info.num_outputs = info.num_metadata = 2;
  info.inputs = kInputs;
  info.outputs = kOutputs;
  info.metadata = kMetadata;
  return info;
}

const onnxc_model_info kInfo = make_info();
const onnxc_code kCode = {&body, nullptr, 0, 0, 0, nullptr, 0};

onnxc_status create(const onnxc_create_args* args, onnxc_session** session, onnxc_message* message) {
  return onnxc_entry_create(&kInfo, &kCode, args, session, message);
}

const onnxc_model kModel = {sizeof(onnxc_model), HANDMADE_ABI, &kInfo, &create, &onnxc_entry_run, &onnxc_entry_destroy};

}  // namespace

extern "C" const onnxc_model* onnxc_get_model() { return &kModel; }
