// The functions of test_custom_ops.py, in C as a user would write them.
#include <math.h>
#include <onnxc/custom_op.h>
#include <stdio.h>
#include <string.h>

// y = alpha * x + beta, of floats
int32_t acme_scale(const onnxc_custom_op* op) {
  const float* x = (const float*)op->inputs[0].data;
  float* y = (float*)op->outputs[0].data;
  const float alpha = onnxc_attribute_float(op, "alpha", 1.0f), beta = (float)onnxc_attribute_int(op, "beta", 0);
  const int64_t count = onnxc_count(&op->inputs[0]);
  for (int64_t i = 0; i < count; ++i) y[i] = alpha * x[i] + beta;
  return 0;
}

// Sine and cosine; either output may be left out.
int32_t acme_angles(const onnxc_custom_op* op) {
  const float* x = (const float*)op->inputs[0].data;
  const int64_t count = onnxc_count(&op->inputs[0]);
  float *s = (float*)op->outputs[0].data, *c = (float*)op->outputs[1].data;
  for (int64_t i = 0; i < count; ++i) {
    if (s) s[i] = sinf(x[i]);
    if (c) c[i] = cosf(x[i]);
  }
  return 0;
}

// [N, K] -> [N], i64: the place of the greatest of each row
int32_t acme_best(const onnxc_custom_op* op) {
  const onnxc_value* in = &op->inputs[0];
  const float* x = (const float*)in->data;
  int64_t* y = (int64_t*)op->outputs[0].data;
  for (int64_t n = 0; n < in->dims[0]; ++n) {
    y[n] = 0;
    for (int64_t k = 1; k < in->dims[1]; ++k)
      if (x[n * in->dims[1] + k] > x[n * in->dims[1] + y[n]]) y[n] = k;
  }
  return 0;
}

// The positive elements, in order.
int32_t acme_positive_dims(const onnxc_custom_op* op) {
  const float* x = (const float*)op->inputs[0].data;
  const int64_t all = onnxc_count(&op->inputs[0]);
  int64_t count = 0;
  for (int64_t i = 0; i < all; ++i) count += x[i] > 0;
  op->outputs[0].dims[0] = onnxc_attribute_int(op, "lie", count);
  return op->outputs[0].data ? 1 : 0;
}
int32_t acme_positive(const onnxc_custom_op* op) {
  const float* x = (const float*)op->inputs[0].data;
  float* y = (float*)op->outputs[0].data;
  const int64_t all = onnxc_count(&op->inputs[0]);
  for (int64_t i = 0; i < all; ++i)
    if (x[i] > 0) *y++ = x[i];
  return 0;
}

int32_t acme_refuse(const onnxc_custom_op* op) {
  snprintf(op->message->text, sizeof op->message->text, "no wish to see %.3g", ((const float*)op->inputs[0].data)[0]);
  return 7;
}

// All that a function is told, as text of a fixed length.
int32_t acme_tell(const onnxc_custom_op* op) {
  char text[512];
  int n = snprintf(text, sizeof text, "%s %s in", op->op, op->node);
  for (uint32_t i = 0; i < op->num_inputs; ++i) {
    const onnxc_value* v = &op->inputs[i];
    n += snprintf(text + n, sizeof text - n, " %u:%d:%llu", v->kind, v->elem, (unsigned long long)v->capacity);
    for (uint32_t d = 0; d < v->rank; ++d) n += snprintf(text + n, sizeof text - n, "x%lld", (long long)v->dims[d]);
  }
  for (uint32_t i = 0; i < op->num_attributes; ++i) {
    const onnxc_attribute* a = &op->attributes[i];
    n += snprintf(text + n, sizeof text - n, " %s", a->name);
    for (uint32_t k = 0; k < a->count; ++k) {
      if (a->type == ONNXC_ATTRIBUTE_FLOAT || a->type == ONNXC_ATTRIBUTE_FLOATS)
        n += snprintf(text + n, sizeof text - n, ":%g", ((const float*)a->data)[k]);
      if (a->type == ONNXC_ATTRIBUTE_INT || a->type == ONNXC_ATTRIBUTE_INTS)
        n += snprintf(text + n, sizeof text - n, ":%lld", (long long)((const int64_t*)a->data)[k]);
      if (a->type == ONNXC_ATTRIBUTE_STRING || a->type == ONNXC_ATTRIBUTE_STRINGS)
        n += snprintf(text + n, sizeof text - n, ":%s/%d", ((const onnxc_string*)a->data)[k].data,
                      (int)((const onnxc_string*)a->data)[k].bytes);
      if (a->type == ONNXC_ATTRIBUTE_TENSOR) {
        const onnxc_value* v = (const onnxc_value*)a->data;
        n += snprintf(text + n, sizeof text - n, ":%d[%lld]%g", v->elem, (long long)v->dims[0],
                      ((const double*)v->data)[v->dims[0] - 1]);
      }
    }
  }
  n += snprintf(text + n, sizeof text - n, " %s", onnxc_attribute_text(op, "text", "none"));
  memset(op->outputs[0].data, 0, op->outputs[0].capacity);
  memcpy(op->outputs[0].data, text, n);
  return 0;
}

// Strings, each twice.
int32_t acme_twice(const onnxc_custom_op* op) {
  const onnxc_string* x = (const onnxc_string*)op->inputs[0].data;
  onnxc_string* y = (onnxc_string*)op->outputs[0].data;
  const int64_t count = onnxc_count(&op->inputs[0]);
  for (int64_t i = 0; i < count; ++i) {
    char* text = (char*)op->allocate(op->run, (int64_t)(2 * x[i].bytes));
    if (!text) return 1;
    memcpy(text, x[i].data, x[i].bytes);
    memcpy(text + x[i].bytes, x[i].data, x[i].bytes);
    y[i].data = text;
    y[i].bytes = 2 * x[i].bytes;
  }
  return 0;
}
