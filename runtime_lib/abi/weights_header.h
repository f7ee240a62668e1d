/* The first bytes of a weights blob (little-endian). The blob is this header, padded to 64 bytes, then the table of
 * onnxc_weights_entry, then each constant at its offset from the blob's start. Written by plan/ (write_blob), checked
 * by model_entry.h when a session is created. Tested in tests/unit/abi_test.cc. */
#ifndef ONNXC_ABI_WEIGHTS_HEADER_H
#define ONNXC_ABI_WEIGHTS_HEADER_H

#include <stdint.h>

#define ONNXC_WEIGHTS_MAGIC 0x73747763786e6e6full /* the bytes "onnxcwts" */
#define ONNXC_WEIGHTS_FORMAT 1u

typedef struct onnxc_weights_header {
  uint64_t magic;  /* ONNXC_WEIGHTS_MAGIC */
  uint32_t format; /* ONNXC_WEIGHTS_FORMAT */
  uint32_t num_entries;
  uint64_t hash;         /* of everything after the header: onnxc_model_info.weights_hash */
  uint64_t bytes;        /* of the whole blob: onnxc_model_info.weights_bytes */
  uint64_t table_offset; /* of the first onnxc_weights_entry */
  uint64_t reserved[3];
} onnxc_weights_header;

typedef struct onnxc_weights_entry {
  uint64_t offset, bytes; /* of the packed constant */
} onnxc_weights_entry;

#endif
