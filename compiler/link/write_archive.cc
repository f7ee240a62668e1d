// model.a: a GNU archive with an index, written by hand so that the weights are streamed and every write is checked:
// the model, kernels whose sizes only a run knows, weights. Its only public symbol is <name>_get_model; the others are
// hidden.
#include <cstdio>

#include "compiler/link/link.h"
#include "compiler/link/temporary_file.h"
#include "compiler/link/undefined_symbols.h"
#include "compiler/link/weights_object.h"
#include "compiler/plan/make_plan.h"

namespace onnxc {

namespace {

struct Member {
  std::string name;
  std::vector<std::string> symbols;  // in the index
  uint64_t bytes = 0;
  uint64_t padded() const { return bytes + bytes % 2; }
};

constexpr uint64_t kMemberHeader = 60;

// Deterministic: no date, no owner.
std::string member_header(const std::string& name, uint64_t bytes) {
  char text[kMemberHeader + 1];
  std::snprintf(text, sizeof text, "%-16s%-12s%-6s%-6s%-8s%-10llu`\n", name.c_str(), "0", "0", "0", "644",
                static_cast<unsigned long long>(bytes));
  return text;
}

std::string index_of(const std::vector<Member>& members) {
  uint64_t count = 0, bytes = 4;
  for (const Member& member : members)
    for (const std::string& symbol : member.symbols) {
      ++count;
      bytes += 4 + symbol.size() + 1;
    }
  bytes += bytes % 2;
  uint64_t at = 8 + kMemberHeader + bytes;  // behind "!<arch>\n" and the index itself
  std::string index;
  auto big_endian = [&](uint64_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) index += static_cast<char>(value >> shift & 0xff);
  };
  big_endian(count);
  for (const Member& member : members) {
    for (size_t i = 0; i < member.symbols.size(); ++i) big_endian(at);
    at += kMemberHeader + member.padded();
  }
  for (const Member& member : members)
    for (const std::string& symbol : member.symbols) index += symbol + std::string(1, '\0');
  index.resize(bytes, '\0');
  return member_header("/", bytes) + index;
}

Status write_member(TemporaryFile& file, const Member& member, std::string_view text) {
  ONNXC_TRY(file.write(member_header(member.name, member.bytes)));
  ONNXC_TRY(file.write(std::string(text)));
  return member.bytes % 2 ? file.write("\n") : ok();
}

}  // namespace

Status write_archive(const std::string& object, const Plan& plan, const ModelIdentity& identity,
                     const std::string& path) {
  const bool weights = identity.embed_weights && plan.blob_bytes > 0;
  const std::string before = weights ? weights_object(identity.name, plan.blob_bytes, true) : "";
  ONNXC_ASSIGN(const std::vector<std::string> undefined, undefined_symbols(object));
  const std::string_view kernels = any_size_kernels_of(undefined);
  std::vector<Member> members = {{"model.o/", {identity.name + "_get_model"}, object.size()}};
  if (!kernels.empty()) {
    members.push_back({"kernels.o/", {}, kernels.size()});
    for (const std::string& symbol : undefined)
      if (is_any_size_kernel(symbol)) members.back().symbols.push_back(symbol);
  }
  if (weights) members.push_back({"weights.o/", {identity.name + "_weights"}, before.size() + plan.blob_bytes});
  if (object.size() + kernels.size() > UINT32_MAX)
    return Error(ErrorKind::Unsupported, "the model's code is larger than an archive's index can hold", path);

  ONNXC_ASSIGN(TemporaryFile file, TemporaryFile::create(path));
  ONNXC_TRY(file.write("!<arch>\n" + index_of(members)));
  ONNXC_TRY(write_member(file, members[0], object));
  if (!kernels.empty()) ONNXC_TRY(write_member(file, members[1], kernels));
  if (weights) {
    const Member& member = members.back();
    ONNXC_TRY(file.write(member_header(member.name, member.bytes) + before));
    ONNXC_TRY(write_blob(plan, [&](std::span<const std::byte> piece) { return file.write(piece); }));
    if (member.bytes % 2) ONNXC_TRY(file.write("\n"));
  }
  return file.commit(0666);
}

}  // namespace onnxc
