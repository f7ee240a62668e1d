// verify_program, first part: buffers, constants, inputs and outputs.
#include "compiler/ir/verify_program_parts.h"
#include "compiler/ir/winograd.h"

namespace onnxc {
namespace {

Dim bytes(const Buffer& b, const Dim& elements) { return elements * Dim(static_cast<int64_t>(elem_size(b.elem))); }

class BufferVerifier {
 public:
  explicit BufferVerifier(const Program& program) : program_(program) {}

  Status run() {
    for (BufferId b = 0; b < program_.buffers.size(); ++b)
      if (Status status = buffer(program_.buffers[b], b); !status.ok()) {
        Error error = std::move(status).error();
        return std::move(error).at("buffer %" + program_.buffers[b].name + " (#" + std::to_string(b) + ")");
      }
    ONNXC_TRY(values(program_.inputs, Buffer::Storage::Input, "input"));
    return values(program_.outputs, Buffer::Storage::Output, "output");
  }

 private:
  static Error bug(std::string message) { return Error(ErrorKind::Internal, std::move(message)); }

  Status buffer(const Buffer& b, BufferId id) const {
    if (b.elem == Elem::Undefined && b.storage != Buffer::Storage::Handle) return bug("has no element type");
    ONNXC_TRY(shape(b));
    switch (b.storage) {
      case Buffer::Storage::Constant: return constant(b);
      case Buffer::Storage::View: return view(b, id);
      case Buffer::Storage::Input: return bounded(b, program_.inputs.size());
      case Buffer::Storage::Output: return output(b);
      default: return ok();
    }
  }

  Status shape(const Buffer& b) const {
    for (const Dim& dim : b.dims) {
      if (dim.is_overflow()) return bug("has a dim that overflows");
      if (dim.is_const() && dim.value() < 0) return bug("has the negative dim " + dim.str());
    }
    if (numel(b.dims).is_overflow()) return bug("has too many elements: " + shape_str(b.dims));
    if (!b.strides.empty() && b.strides.size() != b.dims.size())
      return bug("has strides of another rank than its dims");
    if (!b.halo.empty() && b.halo.size() != b.dims.size()) return bug("has a halo of another rank than its dims");
    for (const auto& [before, after] : b.halo)
      if (before < 0 || after < 0) return bug("has a negative halo");
    if (b.align < 1 || (b.align & (b.align - 1))) return bug("has an alignment that is no power of two");
    if (b.layout.plain()) return b.pad_lanes == PadLanes::None ? ok() : Status(bug("is plain and has padding lanes"));
    if (b.layout.axis >= static_cast<int>(b.dims.size()) - 1) return bug("has a blocked axis that is no dim");
    if (b.dims.back() != Dim(b.layout.block))
      return bug("is blocked by " + std::to_string(b.layout.block) + ", but its last dim is " + b.dims.back().str());
    return ok();
  }

  static Status bounded(const Buffer& b, size_t count) {
    return b.index >= 0 && b.index < static_cast<int64_t>(count) ? ok() : Status(bug("has an index out of range"));
  }

  Status output(const Buffer& b) const {
    ONNXC_TRY(bounded(b, program_.outputs.size()));
    if (b.alias_of == kNoBuffer) return ok();
    if (b.alias_of >= program_.buffers.size()) return bug("aliases a buffer that does not exist");
    const Buffer& other = program_.buffers[b.alias_of];
    if (other.storage != Buffer::Storage::Input) return bug("aliases %" + other.name + ", which is no input");
    return other.elem == b.elem && other.dims == b.dims
               ? ok()
               : Status(bug("aliases %" + other.name + ", which has another type"));
  }

  Status constant(const Buffer& b) const {
    ONNXC_TRY(bounded(b, program_.constants.size()));
    const Constant& c = program_.constants[static_cast<size_t>(b.index)];
    if (c.source.elem() != b.elem) return bug("has another element type than its constant");
    ONNXC_TRY(packing(c));
    int64_t count = 1;
    for (int64_t dim : c.packing.packed_dims(c.source.dims())) count *= dim;
    if (numel(b.dims) != Dim(count))
      return bug("has " + numel(b.dims).str() + " elements, its packed constant " + std::to_string(count));
    return ok();
  }

  static Status packing(const Constant& c) {
    const Packing& p = c.packing;
    if (p.identity()) return ok();
    if (p.winograd != 0) {
      const auto& dims = c.source.dims();
      const bool fits = c.source.elem() == Elem::F32 && dims.size() == 4 && has_winograd_taps(dims[2], dims[3]);
      return fits ? ok()
                  : Status(bug("has a Winograd packing, but is no f32 tensor of weights with 2 or 3 taps per axis"));
    }
    if (p.block.size() != c.source.dims().size()) return bug("has a packing of another rank than its constant");
    std::vector<bool> seen(2 * p.block.size());
    for (int64_t block : p.block)
      if (block < 1) return bug("has a packing with a block below 1");
    for (int64_t split : p.perm) {
      if (split < 0 || split >= static_cast<int64_t>(seen.size()) || seen[static_cast<size_t>(split)])
        return bug("has a packing whose perm is no permutation");
      seen[static_cast<size_t>(split)] = true;
    }
    for (size_t i = 0; i < seen.size() && !p.perm.empty(); ++i)
      if (!seen[i] && (i % 2 == 0 || p.block[i / 2] != 1)) return bug("has a packing whose perm leaves out a dim");
    return ok();
  }

  Status view(const Buffer& b, BufferId id) const {
    if (b.base >= program_.buffers.size()) return bug("is a view of a buffer that does not exist");
    const BufferId root = storage_root(program_, id);
    if (root == kNoBuffer) return bug("is a view of itself");
    if (b.offset.is_overflow()) return bug("has an offset that overflows");
    // First and last byte, counted from element 0 of the root.
    Dim low = view_offset_bytes(program_, id), high = low + bytes(b, Dim(1));
    const Shape strides = b.effective_strides();
    for (size_t i = 0; i < b.dims.size(); ++i) {
      if (b.dims[i].constant() == 0) return ok();
      if (!b.dims[i].is_const() || !strides[i].is_const()) return ok();
      const Dim reach = bytes(b, (b.dims[i] - Dim(1)) * strides[i]);
      (reach.value() < 0 ? low : high) = (reach.value() < 0 ? low : high) + reach;
    }
    const Buffer& base = program_.buffers[root];
    const Dim begin = Dim(0) - bytes(base, base.lead()), end = bytes(base, base.extent()) + begin;
    if (!low.is_const() || !high.is_const() || !begin.is_const() || !end.is_const()) return ok();
    if (low.value() < begin.value() || high.value() > end.value())
      return bug("reaches from byte " + low.str() + " to " + high.str() + " of %" + base.name + ", which has " +
                 begin.str() + " to " + end.str());
    return ok();
  }

  Status values(const std::vector<ProgramValue>& list, Buffer::Storage storage, const std::string& what) const {
    for (size_t i = 0; i < list.size(); ++i) {
      const ProgramValue& v = list[i];
      const auto wrong = [&](const std::string& message) {
        return Error(ErrorKind::Internal, message, what + " \"" + v.name + "\"");
      };
      if (v.buffer >= program_.buffers.size()) return wrong("has no buffer");
      const Buffer& b = program_.buffers[v.buffer];
      if (b.storage == Buffer::Storage::Handle) continue;
      if (b.storage != storage || b.index != static_cast<int64_t>(i))
        return wrong("is not what its buffer %" + b.name + " says it is");
      if (b.elem != v.elem || b.dims != v.dims) return wrong("has another type than its buffer %" + b.name);
      if (!v.dim_names.empty() && v.dim_names.size() != v.dims.size())
        return wrong("has another number of dim names than of dims");
    }
    return ok();
  }

  const Program& program_;
};

}  // namespace

Status verify_buffers(const Program& program) { return BufferVerifier(program).run(); }

}  // namespace onnxc
