// What a body calls around its operations: cancel flag, profile hook, the message of a failure. Called by emitted C++
// and by LLVM code, so extern "C". Tested in tests/unit/abi_test.cc.
#ifndef ONNXC_ABI_STEP_H
#define ONNXC_ABI_STEP_H

#include "frame.h"
#include "message.h"
#include "run_memory.h"

// Whether this is the first failure of the run, whose status stands and which may write the message.
static inline bool onnxc_first_failure(const onnxc_frame* frame, int32_t status) {
  int32_t none = ONNXC_OK;
  return __atomic_compare_exchange_n(frame->status, &none, status, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

extern "C" {

// Before operation `index`. Not ONNXC_OK: the body returns it, at once or from the next barrier.
ONNXC_ENTRY int32_t onnxc_step_begin(const onnxc_frame* frame, uint32_t index) {
  const onnxc_host* host = frame->host;
  if (!host) return ONNXC_OK;
  if (host->cancel && *host->cancel) {
    if (onnxc_first_failure(frame, ONNXC_CANCELLED))
      onnxc_entry::Message(frame->message) << "cancelled before operation " << static_cast<int64_t>(index);
    return ONNXC_CANCELLED;
  }
  if (host->profile && frame->thread == 0) host->profile(host->user, index, 0);
  return ONNXC_OK;
}

// After operation `index`.
ONNXC_ENTRY void onnxc_step_end(const onnxc_frame* frame, uint32_t index) {
  const onnxc_host* host = frame->host;
  if (host && host->profile && frame->thread == 0) host->profile(host->user, index, 1);
}

// What a layout requires does not hold.
ONNXC_ENTRY int32_t onnxc_layout_refused(const onnxc_frame* frame, const char* text) {
  onnxc_entry::Message(frame->message) << text;
  return ONNXC_INVALID_ARGUMENT;
}

// A Require within a loop or branch does not hold.
ONNXC_ENTRY int32_t onnxc_step_refused(const onnxc_frame* frame, const char* text) {
  if (onnxc_first_failure(frame, ONNXC_INVALID_ARGUMENT)) onnxc_entry::Message(frame->message) << text;
  return ONNXC_INVALID_ARGUMENT;
}

// A kernel that may fail returned `code` != 0 (runtime_lib/kernels/README.md lists them). `operation`: kernel and ONNX
// nodes.
ONNXC_ENTRY int32_t onnxc_step_failed(const onnxc_frame* frame, const char* operation, int32_t code) {
  const int32_t status = code == 2 ? ONNXC_OUT_OF_MEMORY : ONNXC_FAILED;
  if (!onnxc_first_failure(frame, status)) return status;
  onnxc_entry::Message message(frame->message);
  message << operation << ": ";
  if (code == 1)
    message << "an index is out of range";
  else if (code == 2 && (!frame->host || !frame->host->allocate))
    message << "needs memory during the run: give the session a host with `allocate`";
  else if (code == 2)
    message << "the host could not allocate memory during the run";
  else if (code == 3)
    message << "a text is no number";
  else if (code == 4)
    message << "a text is not valid UTF-8";
  else if (code == 5)
    message << "an element of the sequence has another type or shape than is needed there";
  else if (code == 6)
    message << "the optional value has no element";
  else if (code == 7)
    message << "the parts are not the whole";
  else if (code == 8)
    message << "the bytes are no picture of a known format (BMP, JPEG, JPEG 2000, TIFF, PNG, WebP, PBM, PGM, PPM)";
  else if (code == 9)
    message << "the picture is damaged, cut off, or of a kind that is not supported";
  else if (code == 10)
    message << "the picture has more than 2^28 pixels";
  else
    message << "failed with code " << static_cast<int64_t>(code);
  return status;
}

}  // extern "C"

#endif
