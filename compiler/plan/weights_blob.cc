// Chooses, lays out and streams constants; the layout is described in weights_blob.h. Tested in
// tests/unit/pack_test.cc.
#include "compiler/plan/weights_blob.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <span>

#include "compiler/plan/make_plan.h"
#include "compiler/plan/verify_plan.h"

namespace onnxc {
namespace {

uint64_t align_to(uint64_t value, uint64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

// splitmix64's finaliser (Steele, Lea, Flood 2014), chained.
uint64_t mix(uint64_t hash, uint64_t value) {
  uint64_t z = hash * 0x9e3779b97f4a7c15ull + value + 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

uint64_t hash_text(uint64_t hash, const std::string& text) {
  for (char c : text) hash = mix(hash, static_cast<unsigned char>(c));
  return mix(hash, text.size());
}

uint64_t hash_packing(uint64_t hash, const Constant& constant) {
  hash = hash_text(hash, constant.packing.str());
  for (int64_t dim : constant.source.dims()) hash = mix(hash, static_cast<uint64_t>(dim));
  return mix(hash, static_cast<uint64_t>(constant.source.elem()));
}

std::vector<std::byte> header_and_table(const Plan& plan) {
  BlobHeader header{};
  std::memcpy(header.magic, kBlobMagic, sizeof kBlobMagic);
  header.version = kBlobVersion;
  header.num_entries = static_cast<uint32_t>(plan.blob.size());
  header.hash = plan.weights_hash;
  header.bytes = plan.blob_bytes;
  header.table_offset = sizeof header;
  std::vector<std::byte> out(sizeof header + plan.blob.size() * sizeof(BlobTableEntry));
  for (size_t i = 0; i < plan.blob.size(); ++i) {
    const Constant& constant = plan.program.constants[plan.blob[i].constant];
    header.packing_id = hash_packing(header.packing_id, constant);
    const BlobTableEntry entry{plan.blob[i].offset, plan.blob[i].bytes, constant.source.hash(),
                               static_cast<uint32_t>(constant.source.elem()), 0};
    std::memcpy(out.data() + sizeof header + i * sizeof entry, &entry, sizeof entry);
  }
  std::memcpy(out.data(), &header, sizeof header);
  return out;
}

}  // namespace

uint64_t packed_bytes(const Constant& constant) {
  uint64_t bytes = elem_size(constant.source.elem());
  for (int64_t dim : constant.packing.packed_dims(constant.source.dims())) bytes *= static_cast<uint64_t>(dim);
  return bytes;
}

namespace {

// Which constants are in the blob, and for each constant the one whose entry it uses (itself, or an equal one).
struct Chosen {
  std::vector<BlobEntry> entries;
  std::vector<int64_t> stands_for;  // per constant; -1: not used
  uint64_t source_bytes = 0;
};

int64_t find_equal(const Program& program, const Constant& constant, const std::vector<uint32_t>& candidates) {
  for (uint32_t other : candidates)
    if (program.constants[other].packing.str() == constant.packing.str() &&
        program.constants[other].source.equals(constant.source))
      return other;
  return -1;
}

Result<Chosen> choose_constants(const Program& program, const std::vector<bool>& used) {
  Chosen chosen;
  chosen.stands_for.assign(program.constants.size(), -1);
  std::map<uint64_t, std::vector<uint32_t>> by_hash;
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    if (!used[b] || program.buffers[b].storage != Buffer::Storage::Constant) continue;
    const auto index = static_cast<uint32_t>(program.buffers[b].index);
    if (chosen.stands_for[index] >= 0) continue;
    const Constant& constant = program.constants[index];
    if (constant.source.elem() == Elem::String)
      return Error(ErrorKind::Internal, "a constant of strings is not packed", "constant \"" + constant.name + "\"");
    const uint64_t hash = hash_packing(constant.source.hash(), constant);
    const int64_t equal = find_equal(program, constant, by_hash[hash]);
    chosen.stands_for[index] = equal >= 0 ? equal : index;
    if (equal >= 0) continue;
    by_hash[hash].push_back(index);
    chosen.entries.push_back({index, 0, packed_bytes(constant), hash});
    chosen.source_bytes += constant.source.bytes();
  }
  return chosen;
}

// Gives each entry of the blob its offset, which are returned by constant.
std::vector<uint64_t> lay_out(Plan& plan) {
  plan.weights_hash = 0;
  for (const BlobEntry& entry : plan.blob) plan.weights_hash = mix(plan.weights_hash, entry.hash);
  // Small constants first, so that page alignment wastes little.
  const auto is_large = [](const BlobEntry& entry) { return entry.bytes >= kBlobPage; };
  std::stable_partition(plan.blob.begin(), plan.blob.end(), [&](const BlobEntry& entry) { return !is_large(entry); });
  uint64_t end = sizeof(BlobHeader) + plan.blob.size() * sizeof(BlobTableEntry);
  std::vector<uint64_t> offsets(plan.program.constants.size());
  for (BlobEntry& entry : plan.blob) {
    entry.offset = align_to(end, is_large(entry) ? kBlobPage : kBlobAlignment);
    end = entry.offset + entry.bytes;
    offsets[entry.constant] = entry.offset;
  }
  plan.blob_bytes = plan.blob.empty() ? 0 : align_to(end, kBlobAlignment);
  return offsets;
}

}  // namespace

Status place_constants(Plan& plan, const std::vector<bool>& used) {
  const Program& program = plan.program;
  ONNXC_ASSIGN(Chosen chosen, choose_constants(program, used));
  plan.blob = std::move(chosen.entries);
  plan.source_constant_bytes = chosen.source_bytes;
  const std::vector<uint64_t> offsets = lay_out(plan);
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    if (!used[b] || program.buffers[b].storage != Buffer::Storage::Constant) continue;
    const auto constant = static_cast<size_t>(chosen.stands_for[static_cast<size_t>(program.buffers[b].index)]);
    plan.places[b].kind = Place::Kind::Weights;
    plan.places[b].offset = static_cast<int64_t>(offsets[constant]);
    plan.places[b].bytes = static_cast<int64_t>(packed_bytes(program.constants[constant]));
  }
  return ok();
}

namespace {

// Constants of the first plan, by the offset at which a plan has them in its blob. Of those at one offset all but the
// last are empty.
using ConstantAt = std::map<int64_t, uint32_t>;

// Adds to `owner` what it lacks of the constants of `joining`, which then keeps no copy of its own.
ConstantAt join_constants(Plan& owner, Plan& joining) {
  std::map<uint64_t, std::vector<uint32_t>> by_hash;
  for (const BlobEntry& entry : owner.blob) by_hash[entry.hash].push_back(entry.constant);
  std::vector<Constant>& constants = owner.program.constants;
  ConstantAt joined;
  for (const BlobEntry& entry : joining.blob) {
    Constant& constant = joining.program.constants[entry.constant];
    int64_t equal = find_equal(owner.program, constant, by_hash[entry.hash]);
    if (equal < 0) {
      equal = static_cast<int64_t>(constants.size());
      constants.push_back(constant);
      owner.blob.push_back({static_cast<uint32_t>(equal), 0, entry.bytes, entry.hash});
    }
    constant.source = constants[static_cast<size_t>(equal)].source;
    joined[static_cast<int64_t>(entry.offset)] = static_cast<uint32_t>(equal);
  }
  joining.blob.clear();
  return joined;
}

}  // namespace

Status share_blob(std::span<Plan> plans) {
  Plan &owner = plans.front(), &joining = plans.back();
  ConstantAt shared;
  for (const BlobEntry& entry : owner.blob) shared[static_cast<int64_t>(entry.offset)] = entry.constant;
  const ConstantAt joined = join_constants(owner, joining);
  const std::vector<uint64_t> offsets = lay_out(owner);
  for (Plan& plan : plans) {
    const ConstantAt& before = &plan == &joining ? joined : shared;
    for (Place& place : plan.places)
      if (place.kind == Place::Kind::Weights)
        place.offset = static_cast<int64_t>(offsets[before.at(place.offset.value())]);
    plan.blob_bytes = owner.blob_bytes;
    plan.weights_hash = owner.weights_hash;
  }
  ONNXC_TRY(verify_plan(owner));
  return verify_plan(joining);
}

Status write_blob(const Plan& plan, const std::function<Status(std::span<const std::byte>)>& sink) {
  if (plan.blob.empty()) return ok();
  const std::vector<std::byte> head = header_and_table(plan);
  ONNXC_TRY(sink(head));
  uint64_t written = head.size();
  const auto pad_to = [&](uint64_t offset) -> Status {
    static constexpr std::array<std::byte, kBlobPage> kZeros{};
    const uint64_t count = offset - written;
    written = offset;
    return count == 0 ? ok() : sink(std::span(kZeros).first(count));
  };
  for (const BlobEntry& entry : plan.blob) {
    ONNXC_TRY(pad_to(entry.offset));
    const Tensor packed = pack_constant(plan.program.constants[entry.constant]);
    ONNXC_TRY(sink({packed.raw(), packed.bytes()}));
    written += packed.bytes();
  }
  return pad_to(plan.blob_bytes);
}

}  // namespace onnxc
