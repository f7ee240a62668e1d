#include "compiler/link/weights_object.h"

#include <elf.h>

#include <cstring>

namespace onnxc {

namespace {

constexpr char kSectionNames[] = "\0.onnxc_weights\0.bss\0.note.GNU-stack\0.symtab\0.strtab\0.shstrtab";
enum Section : uint16_t { kNull, kWeights, kBss, kStack, kSymbols, kStrings, kNames, kSections };
constexpr uint64_t kRetain = 0x200000;  // SHF_GNU_RETAIN

uint32_t name_offset(const char* name) {
  for (uint32_t i = 0; i < sizeof kSectionNames; i += static_cast<uint32_t>(std::strlen(kSectionNames + i)) + 1)
    if (std::strcmp(kSectionNames + i, name) == 0) return i;
  return 0;
}

template <class T>
void append(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

Elf64_Shdr section(const char* name, uint32_t type, uint64_t flags, uint64_t offset, uint64_t size, uint64_t align) {
  Elf64_Shdr header = {};
  header.sh_name = name_offset(name);
  header.sh_type = type;
  header.sh_flags = flags;
  header.sh_offset = offset;
  header.sh_size = size;
  header.sh_addralign = align;
  return header;
}

}  // namespace

std::string weights_object(const std::string& name, uint64_t bytes, bool content) {
  const std::string strings = std::string(1, '\0') + name + "_weights" + std::string(1, '\0');
  const std::string names(kSectionNames, sizeof kSectionNames);
  Elf64_Sym symbols[2] = {};
  symbols[1].st_name = 1;
  symbols[1].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
  symbols[1].st_other = STV_HIDDEN;
  symbols[1].st_shndx = kWeights;
  symbols[1].st_size = bytes;

  const uint64_t symbols_at = sizeof(Elf64_Ehdr), strings_at = symbols_at + sizeof symbols,
                 names_at = strings_at + strings.size();
  const uint64_t headers_at = (names_at + names.size() + 7) / 8 * 8;
  const uint64_t blob_at = (headers_at + kSections * sizeof(Elf64_Shdr) + 63) / 64 * 64;

  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_REL;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_shoff = headers_at;
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = kSections;
  header.e_shstrndx = kNames;

  std::string out;
  append(out, header);
  append(out, symbols);
  out += strings;
  out += names;
  out.resize(headers_at, '\0');
  append(out, Elf64_Shdr{});
  append(out,
         section(".onnxc_weights", content ? SHT_PROGBITS : SHT_NOBITS, SHF_ALLOC, blob_at, bytes, kWeightsAlignment));
  // In a shared library the weights stand behind .bss, which must therefore be there.
  append(out,
         section(".bss", SHT_NOBITS, SHF_ALLOC | SHF_WRITE | (content ? 0 : kRetain), blob_at, content ? 0 : 1, 1));
  append(out, section(".note.GNU-stack", SHT_PROGBITS, 0, blob_at, 0, 1));
  Elf64_Shdr table = section(".symtab", SHT_SYMTAB, 0, symbols_at, sizeof symbols, 8);
  table.sh_link = kStrings;
  table.sh_info = 1;  // first global symbol
  table.sh_entsize = sizeof(Elf64_Sym);
  append(out, table);
  append(out, section(".strtab", SHT_STRTAB, 0, strings_at, strings.size(), 1));
  append(out, section(".shstrtab", SHT_STRTAB, 0, names_at, names.size(), 1));
  out.resize(blob_at, '\0');
  return out;
}

Result<std::vector<Patch>> place_weights(const std::string& file, uint64_t offset) {
  const Error broken(ErrorKind::Internal, "the linked library has no segment of its own for the weights");
  auto read = [&](uint64_t at, auto* value) {
    if (at + sizeof *value > file.size()) return false;
    std::memcpy(value, file.data() + at, sizeof *value);
    return true;
  };
  auto patch = [](uint64_t at, const auto& value) {
    Patch made{at, {}};
    append(made.bytes, value);
    return made;
  };
  Elf64_Ehdr header;
  Elf64_Shdr names, weights = {};
  if (!read(0, &header) || !read(header.e_shoff + uint64_t{header.e_shstrndx} * sizeof names, &names)) return broken;
  std::vector<Patch> patches;
  for (uint16_t i = 0; i < header.e_shnum; ++i) {
    const uint64_t at = header.e_shoff + i * sizeof(Elf64_Shdr);
    Elf64_Shdr candidate;
    if (!read(at, &candidate)) return broken;
    if (std::strcmp(file.c_str() + names.sh_offset + candidate.sh_name, ".onnxc_weights") != 0) continue;
    weights = candidate;
    candidate.sh_type = SHT_PROGBITS;
    candidate.sh_offset = offset;
    patches.push_back(patch(at, candidate));
  }
  for (uint16_t i = 0; i < header.e_phnum; ++i) {
    const uint64_t at = header.e_phoff + i * sizeof(Elf64_Phdr);
    Elf64_Phdr segment;
    if (!read(at, &segment)) return broken;
    const bool alone = segment.p_filesz == 0 && segment.p_memsz == weights.sh_size;
    if (segment.p_type != PT_LOAD || segment.p_vaddr != weights.sh_addr || !alone) continue;
    segment.p_offset = offset;
    segment.p_filesz = segment.p_memsz;
    segment.p_align = kWeightsAlignment;
    patches.push_back(patch(at, segment));
  }
  if (patches.size() != 2) return broken;
  return patches;
}

}  // namespace onnxc
