// Text -> Program: declarations. Operations are in program_parse_operations.cc, the form is described in
// program_text.h. Names of buffers may be used before they are declared. Nesting is bounded, so that no text overflows
// the stack.
#include <charconv>
#include <unordered_map>

#include "compiler/ir/expr_text.h"
#include "compiler/ir/number_text.h"
#include "compiler/ir/program_parse_operations.h"
#include "compiler/ir/program_text.h"

namespace onnxc {
namespace {

using Names = std::unordered_map<std::string, uint32_t>;

// Declarations; operations are program_parse_operations.cc's.
class Parser {
 public:
  explicit Parser(Cursor& cursor) : cursor_(cursor) {}

  Result<Program> run() {
    ONNXC_TRY(cursor_.expect_name("program"));
    ONNXC_ASSIGN(program_.name, cursor_.expect(Token::Kind::At, "@name"));
    ONNXC_TRY(cursor_.expect_punct("{"));
    ONNXC_TRY(declarations());
    ONNXC_TRY(resolve());
    OperationParser operations(cursor_, program_, buffers_);
    ONNXC_ASSIGN(program_.ops, operations.list());
    ONNXC_TRY(cursor_.expect_punct("}"));
    if (!cursor_.at(Token::Kind::End)) return cursor_.expected("the end of the text");
    return std::move(program_);
  }

 private:
  // A name that was used before or after its declaration.
  struct Reference {
    size_t buffer;
    bool base;  // View::base, else alias_of
    std::string name;
    Error unknown;
  };

  Status declarations() {
    for (;;) {
      if (cursor_.take_name("metadata"))
        ONNXC_TRY(metadata());
      else if (cursor_.take_name("constant"))
        ONNXC_TRY(constant());
      else if (cursor_.take_name("buffer"))
        ONNXC_TRY(buffer());
      else if (cursor_.take_name("input"))
        ONNXC_TRY(value(program_.inputs));
      else if (cursor_.take_name("output"))
        ONNXC_TRY(value(program_.outputs));
      else
        return ok();
    }
  }

  Status resolve() {
    for (const Reference& r : references_) {
      const auto found = buffers_.find(r.name);
      if (found == buffers_.end()) return r.unknown;
      (r.base ? program_.buffers[r.buffer].base : program_.buffers[r.buffer].alias_of) = found->second;
    }
    for (const auto& [is_input, r] : value_references_) {
      const auto found = buffers_.find(r.name);
      if (found == buffers_.end()) return r.unknown;
      auto& list = is_input ? program_.inputs : program_.outputs;
      list[r.buffer].buffer = found->second;
    }
    return ok();
  }

  Status metadata() {
    ONNXC_ASSIGN(const std::string key, cursor_.expect(Token::Kind::String, "a quoted key"));
    ONNXC_TRY(cursor_.expect_punct("="));
    ONNXC_ASSIGN(program_.metadata[key], cursor_.expect(Token::Kind::String, "a quoted value"));
    return ok();
  }

  // The declared name, entered under `index`; gives the real one.
  Result<std::string> declare(Token::Kind kind, Names& names, size_t index) {
    ONNXC_ASSIGN(std::string name, cursor_.expect(kind, kind == Token::Kind::At ? "@name" : "%name"));
    if (!names.emplace(name, static_cast<uint32_t>(index)).second)
      return cursor_.error("'" + name + "' is declared twice");
    if (!cursor_.take_name("named")) return name;
    ONNXC_TRY(cursor_.expect_punct("("));
    ONNXC_ASSIGN(name, cursor_.expect(Token::Kind::String, "the real name"));
    ONNXC_TRY(cursor_.expect_punct(")"));
    return name;
  }

  Status typed(Elem& elem, Shape& dims) {
    ONNXC_TRY(cursor_.expect_punct(":"));
    ONNXC_ASSIGN(elem, parse_elem(cursor_));
    ONNXC_ASSIGN(dims, parse_shape(cursor_));
    return ok();
  }

  Result<std::vector<int64_t>> integers() {
    std::vector<int64_t> out;
    ONNXC_TRY(cursor_.expect_punct("["));
    while (!cursor_.at_punct("]")) {
      if (!out.empty()) ONNXC_TRY(cursor_.expect_punct(","));
      ONNXC_ASSIGN(const int64_t value, cursor_.expect_integer());
      out.push_back(value);
    }
    cursor_.next();
    return out;
  }

  Status packing(Packing& packing) {
    ONNXC_TRY(cursor_.expect_punct("("));
    if (cursor_.take_name("winograd")) {
      ONNXC_TRY(cursor_.expect_punct("="));
      ONNXC_ASSIGN(const int64_t outputs, cursor_.expect_integer());
      if (outputs != 2 && outputs != 4) return cursor_.error("winograd is 2 or 4");
      packing.winograd = static_cast<int>(outputs);
      return cursor_.expect_punct(")");
    }
    ONNXC_TRY(cursor_.expect_name("block"));
    ONNXC_TRY(cursor_.expect_punct("="));
    ONNXC_ASSIGN(packing.block, integers());
    if (cursor_.take_punct(",")) {
      ONNXC_TRY(cursor_.expect_name("perm"));
      ONNXC_TRY(cursor_.expect_punct("="));
      ONNXC_ASSIGN(packing.perm, integers());
    }
    return cursor_.expect_punct(")");
  }

  Status constant() {
    Constant c;
    ONNXC_ASSIGN(c.name, declare(Token::Kind::At, constants_, program_.constants.size()));
    Elem elem;
    Shape dims;
    ONNXC_TRY(typed(elem, dims));
    if (!is_static(dims)) return cursor_.error("the dims of a constant are constant");
    if (cursor_.take_name("packing")) ONNXC_TRY(packing(c.packing));
    ONNXC_TRY(cursor_.expect_punct("="));
    ONNXC_ASSIGN(c.source, parse_tensor_values(cursor_, elem, static_dims(dims), &c.opaque));
    program_.constants.push_back(std::move(c));
    return ok();
  }

  Result<std::pair<int64_t, int64_t>> integer_pair() {
    ONNXC_TRY(cursor_.expect_punct("("));
    ONNXC_ASSIGN(const int64_t first, cursor_.expect_integer());
    ONNXC_TRY(cursor_.expect_punct(","));
    ONNXC_ASSIGN(const int64_t second, cursor_.expect_integer());
    ONNXC_TRY(cursor_.expect_punct(")"));
    return std::pair(first, second);
  }

  Status buffer_qualifiers(Buffer& b) {
    for (;;) {
      if (cursor_.take_name("strides")) {
        ONNXC_ASSIGN(b.strides, parse_shape(cursor_));
      } else if (cursor_.take_name("layout")) {
        ONNXC_ASSIGN(const auto pair, integer_pair());
        b.layout = {static_cast<int>(pair.first), static_cast<int>(pair.second)};
      } else if (cursor_.take_name("lanes")) {
        ONNXC_TRY(cursor_.expect_punct("("));
        if (!cursor_.at_name("zero") && !cursor_.at_name("unspecified")) return cursor_.expected("zero or unspecified");
        b.pad_lanes = cursor_.next().text == "zero" ? PadLanes::Zero : PadLanes::Unspecified;
        ONNXC_TRY(cursor_.expect_punct(")"));
      } else if (cursor_.take_name("halo")) {
        ONNXC_TRY(cursor_.expect_punct("("));
        do {
          ONNXC_ASSIGN(const auto pair, integer_pair());
          b.halo.push_back(pair);
        } while (cursor_.take_punct(","));
        ONNXC_TRY(cursor_.expect_punct(")"));
      } else if (cursor_.take_name("align")) {
        ONNXC_TRY(cursor_.expect_punct("("));
        ONNXC_ASSIGN(b.align, cursor_.expect_integer());
        ONNXC_TRY(cursor_.expect_punct(")"));
      } else {
        return ok();
      }
    }
  }

  Result<Reference> reference(size_t buffer, bool base) {
    Error unknown = cursor_.error("no buffer is called '" + cursor_.peek().text + "'");
    ONNXC_ASSIGN(std::string name, cursor_.expect(Token::Kind::Percent, "%name"));
    return Reference{buffer, base, std::move(name), std::move(unknown)};
  }

  Status indexed(Buffer& b, Buffer::Storage storage) {
    b.storage = storage;
    ONNXC_TRY(cursor_.expect_punct("("));
    if (storage == Buffer::Storage::Constant && cursor_.at(Token::Kind::At)) {
      const auto found = constants_.find(cursor_.peek().text);
      if (found == constants_.end()) return cursor_.error("no constant is called '" + cursor_.peek().text + "'");
      b.index = found->second;
      cursor_.next();
    } else {
      ONNXC_ASSIGN(b.index, cursor_.expect_integer());
    }
    return cursor_.expect_punct(")");
  }

  Status view(Buffer& b) {
    b.storage = Buffer::Storage::View;
    ONNXC_TRY(cursor_.expect_punct("("));
    if (!cursor_.take_name("null")) {
      ONNXC_ASSIGN(Reference base, reference(program_.buffers.size(), true));
      references_.push_back(std::move(base));
    }
    ONNXC_TRY(cursor_.expect_punct(","));
    ONNXC_ASSIGN(b.offset, parse_dim(cursor_));
    return cursor_.expect_punct(")");
  }

  Status handle(Buffer& b) {
    b.storage = Buffer::Storage::Handle;
    ONNXC_TRY(cursor_.expect_punct("("));
    ONNXC_ASSIGN(b.handle, cursor_.expect(Token::Kind::String, "what the handle is of, in quotes"));
    return cursor_.expect_punct(")");
  }

  Status storage(Buffer& b) {
    if (cursor_.take_name("arena")) return b.storage = Buffer::Storage::Arena, ok();
    if (cursor_.take_name("dynamic")) return b.storage = Buffer::Storage::Dynamic, ok();
    if (cursor_.take_name("input")) return indexed(b, Buffer::Storage::Input);
    if (cursor_.take_name("output")) return indexed(b, Buffer::Storage::Output);
    if (cursor_.take_name("constant")) return indexed(b, Buffer::Storage::Constant);
    if (cursor_.take_name("view")) return view(b);
    if (cursor_.take_name("handle")) return handle(b);
    return cursor_.expected("arena, input, output, constant, view, dynamic or handle");
  }

  Status buffer() {
    Buffer b;
    ONNXC_ASSIGN(b.name, declare(Token::Kind::Percent, buffers_, program_.buffers.size()));
    ONNXC_TRY(typed(b.elem, b.dims));
    ONNXC_TRY(buffer_qualifiers(b));
    ONNXC_TRY(cursor_.expect_punct("="));
    ONNXC_TRY(storage(b));
    if (cursor_.take_name("alias")) {
      ONNXC_TRY(cursor_.expect_punct("("));
      ONNXC_ASSIGN(Reference alias, reference(program_.buffers.size(), false));
      references_.push_back(std::move(alias));
      ONNXC_TRY(cursor_.expect_punct(")"));
    }
    program_.buffers.push_back(std::move(b));
    return ok();
  }

  Status value(std::vector<ProgramValue>& list) {
    ProgramValue v;
    ONNXC_ASSIGN(v.name, cursor_.expect(Token::Kind::String, "the value's name in quotes"));
    ONNXC_TRY(typed(v.elem, v.dims));
    if (cursor_.take_name("names")) {
      ONNXC_TRY(cursor_.expect_punct("("));
      while (!cursor_.at_punct(")")) {
        if (!v.dim_names.empty()) ONNXC_TRY(cursor_.expect_punct(","));
        ONNXC_ASSIGN(std::string name, cursor_.expect(Token::Kind::String, "a dim's name in quotes"));
        v.dim_names.push_back(std::move(name));
      }
      cursor_.next();
    }
    if (cursor_.take_name("holds")) {
      HeldValues& held = v.held.emplace();
      held.optional = cursor_.take_name("optional");
      held.sequence = cursor_.take_name("seq");
      const bool ranked = !cursor_.take_name("unranked");
      ONNXC_TRY(typed(held.elem, held.dims.emplace()));
      if (!ranked) held.dims.reset();
    }
    ONNXC_TRY(cursor_.expect_name("at"));
    if (!cursor_.take_name("null")) {
      ONNXC_ASSIGN(Reference at, reference(list.size(), true));
      value_references_.emplace_back(&list == &program_.inputs, std::move(at));
    }
    list.push_back(std::move(v));
    return ok();
  }

  Cursor& cursor_;
  Program program_;
  Names buffers_, constants_;
  std::vector<Reference> references_;
  std::vector<std::pair<bool, Reference>> value_references_;  // (of an input, where)
};

}  // namespace

Result<Program> parse_program(std::string_view text) {
  ONNXC_ASSIGN(std::vector<Token> tokens, tokenize(text));
  Cursor cursor(std::move(tokens));
  return Parser(cursor).run();
}

}  // namespace onnxc
