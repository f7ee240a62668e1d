// Calls of the functions that the user links for custom operators (KernelCall::function): builds the onnxc_custom_op
// in the call's workspace, from what the compiler wrote down of the node (a constant) and from the dims of the run.
// Called by emitted C++ and by LLVM code, so extern "C". Tested in tests/api/test_custom_ops.py.
#ifndef ONNXC_ABI_CUSTOM_OP_H
#define ONNXC_ABI_CUSTOM_OP_H

#include <onnxc/custom_op.h>

#include "step.h"

// The description of a node. Places are bytes from its beginning; what stands there is aligned to 8, texts end with a
// zero. ops/custom_op.cc writes it.
typedef struct onnxc_site {
  int64_t op, node, function;  // texts
  int64_t num_outputs, num_inputs, num_attributes;
  int64_t values;      // place of an onnxc_site_value for each output, then each input
  int64_t attributes;  // place of an onnxc_site_attribute for each
} onnxc_site;

typedef struct onnxc_site_value {
  int64_t kind, elem, elem_bytes, rank;  // kind 0: the node leaves it out
} onnxc_site_value;

typedef struct onnxc_site_attribute {
  int64_t name, type, count;
  int64_t data;  // place of floats, of int64s, of an onnxc_site_text for each string, or of an onnxc_site_tensor
} onnxc_site_attribute;

typedef struct onnxc_site_text {
  int64_t place, bytes;
} onnxc_site_text;

typedef struct onnxc_site_tensor {
  onnxc_site_value type;
  int64_t dims[ONNXC_MAX_RANK];
  int64_t place;
} onnxc_site_tensor;

#define ONNXC_CUSTOM_OP_FAILED 11  // for onnxc_step_failed: the message is written

namespace onnxc_entry {
namespace {

class CustomOp {
 public:
  // `workspace`: as large as ops/custom_op.cc reckons.
  CustomOp(onnxc_frame* frame, const void* description, void* workspace)
      : frame_(frame),
        base_(static_cast<const unsigned char*>(description)),
        site_(*static_cast<const onnxc_site*>(description)),
        free_(static_cast<unsigned char*>(workspace)) {
    op_.struct_size = sizeof op_;
    op_.abi_version = ONNXC_ABI_VERSION;
    op_.op = text(site_.op);
    op_.node = text(site_.node);
    op_.num_inputs = static_cast<uint32_t>(site_.num_inputs);
    op_.num_outputs = static_cast<uint32_t>(site_.num_outputs);
    op_.num_attributes = static_cast<uint32_t>(site_.num_attributes);
    op_.message = &message_;
    op_.host = frame->host;
    op_.allocate = &onnxc_run_allocate;
    op_.run = frame;
    message_.struct_size = sizeof message_;
    message_.text[0] = 0;
  }

  // `dims`: of all values, outputs first; `outputs` is null where these have no memory yet.
  void set_values(const void* const* outputs, const void* const* inputs, const int64_t* dims) {
    const auto* sites = at<onnxc_site_value>(site_.values);
    onnxc_value* values = take<onnxc_value>(site_.num_outputs + site_.num_inputs);
    for (int64_t i = 0; i < site_.num_outputs; ++i, dims += sites++->rank)
      set_value(values[i], *sites, dims, outputs ? outputs[i] : nullptr);
    op_.outputs = values;
    op_.inputs = values += site_.num_outputs;
    for (int64_t i = 0; i < site_.num_inputs; ++i, dims += sites++->rank) set_value(values[i], *sites, dims, inputs[i]);
  }

  void set_attributes() {
    const auto* sites = at<onnxc_site_attribute>(site_.attributes);
    onnxc_attribute* attributes = take<onnxc_attribute>(site_.num_attributes);
    op_.attributes = attributes;
    for (int64_t i = 0; i < site_.num_attributes; ++i) {
      onnxc_attribute& a = attributes[i];
      a.name = text(sites[i].name);
      a.type = static_cast<int32_t>(sites[i].type);
      a.count = static_cast<uint32_t>(sites[i].count);
      a.data = data_of(sites[i]);
    }
  }

  int32_t call(onnxc_custom_op_fn function, const char* suffix) {
    const int32_t code = function(&op_);
    if (code == 0) return 0;
    if (onnxc_first_failure(frame_, ONNXC_FAILED)) {
      Message out(frame_->message);
      begin_message(out, suffix) << " gave the code " << static_cast<int64_t>(code);
      message_.text[ONNXC_MESSAGE_BYTES - 1] = 0;
      if (message_.text[0]) out << ": " << message_.text;
    }
    return ONNXC_CUSTOM_OP_FAILED;
  }

  // The dims that the function was asked for, in order.
  int32_t take_dims(int64_t* told, const int64_t* dims) {
    const auto* sites = at<onnxc_site_value>(site_.values);
    for (int64_t i = 0; i < site_.num_outputs; ++i)
      for (int64_t d = 0; d < sites[i].rank; ++d) {
        if (*dims++ != -1) continue;
        *told = op_.outputs[i].dims[d];
        if (*told++ < 0) return refuse_dim(i, d, told[-1]);
      }
    return 0;
  }

 private:
  template <class T>
  const T* at(int64_t place) const {
    return reinterpret_cast<const T*>(base_ + place);
  }
  const char* text(int64_t place) const { return at<char>(place); }
  template <class T>
  T* take(int64_t count) {
    T* taken = reinterpret_cast<T*>(free_);
    free_ += count * static_cast<int64_t>(sizeof(T));
    return taken;
  }

  static void set_value(onnxc_value& value, const onnxc_site_value& site, const int64_t* dims, const void* data) {
    value = {};
    value.struct_size = sizeof value;
    value.kind = static_cast<uint32_t>(site.kind);
    value.elem = static_cast<onnxc_elem>(site.elem);
    value.rank = static_cast<uint32_t>(site.rank);
    for (int64_t d = 0; d < site.rank; ++d) value.dims[d] = dims[d];
    value.data = const_cast<void*>(data);
    if (data) value.capacity = static_cast<uint64_t>(onnxc_count(&value) * site.elem_bytes);
  }

  const void* data_of(const onnxc_site_attribute& site) {
    if (site.type == ONNXC_ATTRIBUTE_TENSOR) {
      const auto& tensor = *at<onnxc_site_tensor>(site.data);
      onnxc_value* value = take<onnxc_value>(1);
      set_value(*value, tensor.type, tensor.dims, base_ + tensor.place);
      return value;
    }
    if (site.type != ONNXC_ATTRIBUTE_STRING && site.type != ONNXC_ATTRIBUTE_STRINGS) return base_ + site.data;
    const auto* texts = at<onnxc_site_text>(site.data);
    onnxc_string* strings = take<onnxc_string>(site.count);
    for (int64_t i = 0; i < site.count; ++i) strings[i] = {text(texts[i].place), static_cast<uint64_t>(texts[i].bytes)};
    return strings;
  }

  Message& begin_message(Message& out, const char* suffix) const {
    return out << "custom operator " << op_.op << " (" << op_.node << "): " << text(site_.function) << suffix;
  }

  int32_t refuse_dim(int64_t output, int64_t axis, int64_t dim) {
    if (onnxc_first_failure(frame_, ONNXC_FAILED)) {
      Message out(frame_->message);
      begin_message(out, "_dims") << " gave dim " << axis << " of output " << output << " the value " << dim;
    }
    return ONNXC_CUSTOM_OP_FAILED;
  }

  onnxc_frame* frame_;
  const unsigned char* base_;
  const onnxc_site& site_;
  unsigned char* free_;
  onnxc_message message_;
  onnxc_custom_op op_;
};

}  // namespace
}  // namespace onnxc_entry

extern "C" {

// `operands`: outputs, the description, inputs, the workspace. `numbers`: how many outputs and inputs there are, then
// the dims of all, outputs first; those of values that are left out are none.
ONNXC_ENTRY int32_t onnxc_custom_call(onnxc_frame* frame, onnxc_custom_op_fn function, const void* const* operands,
                                      const int64_t* numbers) {
  const void* const* description = operands + numbers[0];
  onnxc_entry::CustomOp op(frame, *description, const_cast<void*>(description[1 + numbers[1]]));
  op.set_values(operands, description + 1, numbers + 2);
  op.set_attributes();
  return op.call(function, "");
}

// Asks for dims of outputs, -1 in `numbers`, by FUNCTION_dims. `operands`: a list of int64s, which takes them, the
// description, inputs, the workspace.
ONNXC_ENTRY int32_t onnxc_custom_dims(onnxc_frame* frame, onnxc_custom_op_fn function, const void* const* operands,
                                      const int64_t* numbers) {
  onnxc_entry::CustomOp op(frame, operands[1], const_cast<void*>(operands[2 + numbers[1]]));
  op.set_values(nullptr, operands + 2, numbers + 2);
  op.set_attributes();
  const int32_t code = op.call(function, "_dims");
  return code ? code : op.take_dims(static_cast<int64_t*>(const_cast<void*>(operands[0])), numbers + 2);
}

}  // extern "C"

#endif
