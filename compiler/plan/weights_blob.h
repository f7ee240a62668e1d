// The weights blob: header, table, constants. Code reaches a constant as blob + Place::offset; the header and the table
// are for whoever has the blob as a separate file and wants to know what it is. Little-endian. Tested in
// tests/unit/pack_test.cc.
#pragma once

#include <cstdint>

#include "compiler/ir/plan.h"
#include "compiler/support/result.h"

namespace onnxc {

inline constexpr char kBlobMagic[8] = {'o', 'n', 'n', 'x', 'c', 'w', 't', 's'};
inline constexpr uint32_t kBlobVersion = 1;
inline constexpr uint64_t kBlobAlignment = 64;  // of every constant
inline constexpr uint64_t kBlobPage = 4096;     // alignment of constants of at least this size, and of the blob itself

struct BlobHeader {
  char magic[8];
  uint32_t version;
  uint32_t num_entries;
  uint64_t hash;        // Plan::weights_hash: says whether a blob and a model belong together
  uint64_t packing_id;  // hash of all packings: models that differ only in their weights agree in it
  uint64_t bytes;       // of the whole blob
  uint64_t table_offset;
  uint64_t reserved[2];
};
static_assert(sizeof(BlobHeader) == 64);

struct BlobTableEntry {
  uint64_t offset, bytes;
  uint64_t source_hash;  // of the constant as it came
  uint32_t elem;         // ONNX's number
  uint32_t reserved;
};
static_assert(sizeof(BlobTableEntry) == 32);

// Fills blob, blob_bytes, weights_hash, source_constant_bytes and the places of constant buffers that `used` marks (one
// flag per buffer). Constants that hold the same bytes in the same packing share their entry. Nothing is packed here.
Status place_constants(Plan& plan, const std::vector<bool>& used);

uint64_t packed_bytes(const Constant& constant);

}  // namespace onnxc
