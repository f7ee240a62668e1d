/* The first bytes of a weights blob (little-endian), as compiler/plan/weights_blob.h writes them: model_entry.h checks
 * them when a session is created. Tested in tests/unit/abi_test.cc. */
#ifndef ONNXC_ABI_WEIGHTS_HEADER_H
#define ONNXC_ABI_WEIGHTS_HEADER_H

#include <stdint.h>

#define ONNXC_WEIGHTS_MAGIC 0x73747763786e6e6full /* the bytes "onnxcwts" */
#define ONNXC_WEIGHTS_FORMAT 1u

typedef struct onnxc_weights_header {
  uint64_t magic;  /* ONNXC_WEIGHTS_MAGIC */
  uint32_t format; /* ONNXC_WEIGHTS_FORMAT */
  uint32_t num_entries;
  uint64_t hash;         /* onnxc_model_info.weights_hash */
  uint64_t packing_id;   /* models that differ only in their weights agree in it */
  uint64_t bytes;        /* of the whole blob: onnxc_model_info.weights_bytes */
  uint64_t table_offset; /* of the table, which is for whoever wants to look inside */
  uint64_t reserved[2];
} onnxc_weights_header;

#endif
