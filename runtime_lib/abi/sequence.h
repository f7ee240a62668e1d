/* How sequences and optionals lie in the memory of a run: plain data, and values. A sequence is two integers in the
 * arena, its length and the address of a list; of an optional that holds nothing the length is -1, and an optional
 * tensor is a sequence of one. Lists and elements are in memory of the run, or in the caller's inputs, and stay where
 * they are until its end. An element is never changed; lists may be shared: behind its `used` first entries a list has
 * room that the sequence whose last element is the last one used may take. */
#ifndef ONNXC_ABI_SEQUENCE_H
#define ONNXC_ABI_SEQUENCE_H

#include <onnxc/onnxc.h>

typedef struct onnxc_list {
  int64_t used, capacity;
  onnxc_value values[1]; /* `capacity` of them: tensors */
} onnxc_list;

typedef struct onnxc_sequence {
  int64_t length;
  int64_t list; /* address of an onnxc_list; 0 where there is none */
} onnxc_sequence;

#endif
