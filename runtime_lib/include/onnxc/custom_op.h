/* Operators of your own: what a function gets that `onnxc --custom-op DOMAIN::NAME=FUNCTION` calls.
 *
 *   #include <onnxc/custom_op.h>
 *
 *   // acme::Scale(x) = alpha * x
 *   int32_t acme_scale(const onnxc_custom_op* op) {
 *     const float* x = (const float*)op->inputs[0].data;
 *     float* y = (float*)op->outputs[0].data;
 *     const float alpha = onnxc_attribute_float(op, "alpha", 1.0f);
 *     const int64_t count = onnxc_count(&op->inputs[0]);
 *     for (int64_t i = 0; i < count; ++i) y[i] = alpha * x[i];
 *     return 0;
 *   }
 *
 * In C++ it stands in extern "C". The model calls it on one thread at a time per run, but runs of other threads may be
 * in it at the same time. Nodes that do not need each other run in any order, and a node whose outputs nobody reads not
 * at all: a function gives the same outputs for the same inputs, and writes nothing else.
 *
 * C99 and C++17. Tested in tests/api/test_custom_ops.py. */
#ifndef ONNXC_CUSTOM_OP_H
#define ONNXC_CUSTOM_OP_H

#include <onnxc/onnxc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The numbers of ONNX's AttributeProto.AttributeType. */
typedef enum onnxc_attribute_type {
  ONNXC_ATTRIBUTE_FLOAT = 1,
  ONNXC_ATTRIBUTE_INT = 2,
  ONNXC_ATTRIBUTE_STRING = 3,
  ONNXC_ATTRIBUTE_TENSOR = 4,
  ONNXC_ATTRIBUTE_FLOATS = 6,
  ONNXC_ATTRIBUTE_INTS = 7,
  ONNXC_ATTRIBUTE_STRINGS = 8
} onnxc_attribute_type;

typedef struct onnxc_attribute {
  const char* name;
  int32_t type;     /* onnxc_attribute_type */
  uint32_t count;   /* of elements; 1 for what is no list */
  const void* data; /* `count` floats, int64_ts, onnxc_strings (whose characters a zero follows), or onnxc_values */
} onnxc_attribute;

/* A node of the operator, in one run. All of it is valid during the call only.
 *
 * Of an input `data` is read only: row-major, onnxc_strings for ONNXC_STRING_TENSOR; elements below one byte lie one
 * per byte. An optional input or output that the node leaves out has a null `data` and kind 0. An output's dims are
 * those that
 * --custom-op tells, and `data` has room for them (`capacity` bytes); the function writes all its elements. Of an
 * output of strings it fills in the onnxc_strings, whose characters come from `allocate` or from an input. */
typedef struct onnxc_custom_op {
  uint32_t struct_size;
  uint32_t abi_version;
  const char* op;   /* "acme::Scale" */
  const char* node; /* name of the ONNX node */
  uint32_t num_inputs, num_outputs, num_attributes;
  const onnxc_value* inputs;
  onnxc_value* outputs;
  const onnxc_attribute* attributes;
  onnxc_message* message; /* never null: a function that fails may say why */
  const onnxc_host* host; /* of the session; may be null */
  /* Memory that lives until the run ends, allocate(op->run, bytes); null where there is none, as in a session without a
   * host. */
  void* (*allocate)(void* run, int64_t bytes);
  void* run;
} onnxc_custom_op;

/* Not 0: the run fails with ONNXC_FAILED, and its message names the node and has the code and the text of `message`.
 *
 * Where --custom-op gives `?` for a dim, the model first calls FUNCTION_dims, another function of this type: it writes
 * each such dim, which is -1, into op->outputs, whose data are null then. */
typedef int32_t (*onnxc_custom_op_fn)(const onnxc_custom_op* op);

/* Elements of a tensor. */
static inline int64_t onnxc_count(const onnxc_value* value) {
  int64_t count = 1;
  for (uint32_t i = 0; i < value->rank; ++i) count *= value->dims[i];
  return count;
}

/* The attribute of that name, or null. */
static inline const onnxc_attribute* onnxc_find_attribute(const onnxc_custom_op* op, const char* name) {
  for (uint32_t i = 0; i < op->num_attributes; ++i) {
    const char *a = op->attributes[i].name, *b = name;
    while (*a && *a == *b) ++a, ++b;
    if (*a == *b) return &op->attributes[i];
  }
  return NULL;
}

/* `fallback` where the node has no such attribute of this type. */
static inline int64_t onnxc_attribute_int(const onnxc_custom_op* op, const char* name, int64_t fallback) {
  const onnxc_attribute* a = onnxc_find_attribute(op, name);
  return a && a->type == ONNXC_ATTRIBUTE_INT ? *(const int64_t*)a->data : fallback;
}
static inline float onnxc_attribute_float(const onnxc_custom_op* op, const char* name, float fallback) {
  const onnxc_attribute* a = onnxc_find_attribute(op, name);
  return a && a->type == ONNXC_ATTRIBUTE_FLOAT ? *(const float*)a->data : fallback;
}
static inline const char* onnxc_attribute_text(const onnxc_custom_op* op, const char* name, const char* fallback) {
  const onnxc_attribute* a = onnxc_find_attribute(op, name);
  return a && a->type == ONNXC_ATTRIBUTE_STRING ? ((const onnxc_string*)a->data)->data : fallback;
}

#ifdef __cplusplus
}
#endif
#endif
