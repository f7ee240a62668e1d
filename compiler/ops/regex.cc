#include "compiler/ops/regex.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "compiler/ops/text.h"
#include "runtime_lib/kernels/text_case.h"

namespace onnxc::regex {
namespace {

constexpr uint32_t kLastCodePoint = 0x10FFFF;
constexpr int kMostRepeats = 1000;     // as in RE2
constexpr size_t kMostNodes = 200000;  // after repeats are written out
constexpr int kMostNesting = 200;
constexpr size_t kMostSteps = 100'000'000;  // from state to state while the automaton is made

using Range = std::pair<uint32_t, uint32_t>;  // both ends within
using Ranges = std::vector<Range>;

// ---- sets of code points

Ranges sorted(Ranges ranges) {
  std::ranges::sort(ranges);
  Ranges out;
  for (const Range& r : ranges) {
    if (!out.empty() && r.first <= out.back().second + 1)
      out.back().second = std::max(out.back().second, r.second);
    else
      out.push_back(r);
  }
  return out;
}

Ranges negated(const Ranges& ranges) {
  Ranges out;
  uint32_t from = 0;
  for (const Range& r : sorted(ranges)) {
    if (r.first > from) out.emplace_back(from, r.first - 1);
    from = r.second + 1;
  }
  if (from <= kLastCodePoint) out.emplace_back(from, kLastCodePoint);
  return out;
}

void append(Ranges& to, const Ranges& more) { to.insert(to.end(), more.begin(), more.end()); }

// With all that differs from a member in case alone.
Ranges folded(Ranges ranges) {
  for (const auto& orbit : text::case_orbits()) {
    const bool touched = std::ranges::any_of(orbit, [&](uint32_t c) {
      return std::ranges::any_of(ranges, [&](const Range& r) { return r.first <= c && c <= r.second; });
    });
    if (touched)
      for (uint32_t c : orbit) ranges.emplace_back(c, c);
  }
  return sorted(std::move(ranges));
}

const Ranges* named_class(std::string_view name) {
  static const std::map<std::string_view, Ranges> kClasses{
      {"d", {{'0', '9'}}},
      {"s", {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}}},
      {"w", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
      {"alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}},
      {"alpha", {{'A', 'Z'}, {'a', 'z'}}},
      {"ascii", {{0, 127}}},
      {"blank", {{'\t', '\t'}, {' ', ' '}}},
      {"cntrl", {{0, 31}, {127, 127}}},
      {"digit", {{'0', '9'}}},
      {"graph", {{'!', '~'}}},
      {"lower", {{'a', 'z'}}},
      {"print", {{' ', '~'}}},
      {"punct", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}},
      {"space", {{'\t', '\r'}, {' ', ' '}}},
      {"upper", {{'A', 'Z'}}},
      {"word", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
      {"xdigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}},
  };
  const auto at = kClasses.find(name);
  return at == kClasses.end() ? nullptr : &at->second;
}

// ---- syntax

enum class Edge : uint8_t { TextBegin, TextEnd, LineBegin, LineEnd, Word, NoWord };

struct Tree {
  enum class Kind : uint8_t { Empty, Set, Byte, Edge, Sequence, Choice, Repeat } kind = Kind::Empty;
  Ranges set;
  Edge edge = Edge::TextBegin;
  int least = 0, most = 0;  // Repeat; most -1: any number
  std::vector<Tree> parts;
};

class Parser {
 public:
  explicit Parser(const std::string& pattern) : text_(pattern) {}

  Result<Tree> parse() {
    ONNXC_ASSIGN(Tree tree, choice(0));
    if (at_ < text_.size()) return bad("\")\" without \"(\"");
    return tree;
  }

 private:
  struct Flags {
    bool fold = false, dot_takes_newline = false, many_lines = false;
  };

  Error bad(const std::string& what) const {
    return Error(ErrorKind::InvalidModel, "the pattern \"" + std::string(text_) + "\" is wrong at character " +
                                              std::to_string(at_) + ": " + what);
  }
  bool more() const { return at_ < text_.size(); }
  bool take(std::string_view s) {
    if (text_.substr(at_, s.size()) != s) return false;
    at_ += s.size();
    return true;
  }

  Result<uint32_t> code_point() {
    uint64_t next = at_;
    const int32_t code = onnxc_kernels::next_code_point({text_.data(), text_.size()}, next);
    if (code < 0) return bad("no UTF-8");
    at_ = next;
    return static_cast<uint32_t>(code);
  }

  Tree set(Ranges ranges) const {
    Tree t;
    t.kind = Tree::Kind::Set;
    t.set = flags_.fold ? folded(std::move(ranges)) : sorted(std::move(ranges));
    return t;
  }
  static Tree at_edge(Edge edge) {
    Tree t;
    t.kind = Tree::Kind::Edge;
    t.edge = edge;
    return t;
  }

  Result<Tree> choice(int depth) {
    if (depth > kMostNesting) return bad("too deeply nested");
    const Flags before = flags_;
    Tree tree;
    tree.kind = Tree::Kind::Choice;
    do {
      ONNXC_ASSIGN(Tree branch, sequence(depth));
      tree.parts.push_back(std::move(branch));
    } while (take("|"));
    flags_ = before;
    if (tree.parts.size() > 1) return tree;
    Tree only = std::move(tree.parts.front());
    return only;
  }

  Result<Tree> sequence(int depth) {
    Tree tree;
    tree.kind = Tree::Kind::Sequence;
    bool repeated = false;  // the last part
    while (more() && text_[at_] != '|' && text_[at_] != ')') {
      const size_t begin = at_;
      if (const auto times = repetition()) {
        if (tree.parts.empty()) return at_ = begin, bad("nothing to repeat");
        if (repeated) return at_ = begin, bad("a repetition of a repetition");
        if (times->second >= 0 && times->first > times->second) return at_ = begin, bad("no such number of times");
        if (std::max(times->first, times->second) > kMostRepeats) return at_ = begin, bad("too many times");
        Tree many;
        many.kind = Tree::Kind::Repeat;
        many.least = times->first, many.most = times->second;
        many.parts.push_back(std::move(tree.parts.back()));
        tree.parts.back() = std::move(many);
        repeated = true;
        continue;
      }
      repeated = false;
      if (take("\\Q")) {
        while (more() && !take("\\E")) {
          ONNXC_ASSIGN(const uint32_t c, code_point());
          tree.parts.push_back(set({{c, c}}));
        }
        continue;
      }
      ONNXC_ASSIGN(std::optional<Tree> part, atom(depth));
      if (part) tree.parts.push_back(std::move(*part));
    }
    return tree;
  }

  // * + ? {n} {n,} {n,m}, each perhaps with ?, which changes nothing of what matches as a whole.
  std::optional<std::pair<int, int>> repetition() {
    std::optional<std::pair<int, int>> times;
    if (take("*"))
      times = {0, -1};
    else if (take("+"))
      times = {1, -1};
    else if (take("?"))
      times = {0, 1};
    else
      times = counted();
    if (times) take("?");
    return times;
  }
  std::optional<std::pair<int, int>> counted() {
    const size_t begin = at_;
    const auto number = [&]() -> std::optional<int> {
      int n = 0;
      const size_t first = at_;
      while (more() && text_[at_] >= '0' && text_[at_] <= '9') n = std::min(n * 10 + (text_[at_++] - '0'), 100000);
      return at_ > first ? std::optional(n) : std::nullopt;
    };
    if (take("{")) {
      const auto least = number();
      std::optional<int> most = least;
      if (least && take(",")) most = more() && text_[at_] == '}' ? std::optional(-1) : number();
      if (least && most && take("}")) return std::pair(*least, *most);
    }
    at_ = begin;  // a brace like any other character
    return std::nullopt;
  }

  // Nothing: only flags were set.
  Result<std::optional<Tree>> atom(int depth) {
    if (take("(")) return group(depth);
    if (take("[")) return some(bracket());
    if (take("."))
      return std::optional(plain(flags_.dot_takes_newline ? Ranges{{0, kLastCodePoint}} : negated({{'\n', '\n'}})));
    if (take("^")) return std::optional(at_edge(flags_.many_lines ? Edge::LineBegin : Edge::TextBegin));
    if (take("$")) return std::optional(at_edge(flags_.many_lines ? Edge::LineEnd : Edge::TextEnd));
    if (take("\\A")) return std::optional(at_edge(Edge::TextBegin));
    if (take("\\z")) return std::optional(at_edge(Edge::TextEnd));
    if (take("\\b")) return std::optional(at_edge(Edge::Word));
    if (take("\\B")) return std::optional(at_edge(Edge::NoWord));
    if (take("\\C")) {
      Tree byte;
      byte.kind = Tree::Kind::Byte;
      return std::optional(std::move(byte));
    }
    if (more() && text_[at_] == '\\') {
      Ranges ranges;
      ONNXC_TRY(escape(ranges));
      return std::optional(set(std::move(ranges)));
    }
    ONNXC_ASSIGN(const uint32_t c, code_point());
    return std::optional(set({{c, c}}));
  }
  static Tree plain(Ranges ranges) {
    Tree t;
    t.kind = Tree::Kind::Set;
    t.set = std::move(ranges);
    return t;
  }
  static Result<std::optional<Tree>> some(Result<Tree> tree) {
    if (!tree.ok()) return tree.error();
    return std::optional(std::move(tree.value()));
  }

  Result<std::optional<Tree>> group(int depth) {
    if (take("?P<") || take("?<")) {
      const size_t begin = at_;
      while (more() && (text_[at_] == '_' || std::isalnum(static_cast<unsigned char>(text_[at_])))) ++at_;
      if (at_ == begin || !take(">")) return bad("no name of a group");
    } else if (take("?")) {
      bool on = true, any = false;
      Flags flags = flags_;
      for (;; any = true) {
        if (!more()) return bad("a group without end");
        const char c = text_[at_++];
        if (c == 'i')
          flags.fold = on;
        else if (c == 's')
          flags.dot_takes_newline = on;
        else if (c == 'm')
          flags.many_lines = on;
        else if (c == 'U')
          continue;  // which repetitions are greedy
        else if (c == '-' && on)
          on = false;
        else if (c == ')' && any)
          return flags_ = flags, std::optional<Tree>();
        else if (c == ':')
          break;
        else
          return bad("no flag");
      }
      const Flags outer = std::exchange(flags_, flags);
      auto tree = in_group(depth);
      flags_ = outer;
      return tree;
    }
    return in_group(depth);
  }
  Result<std::optional<Tree>> in_group(int depth) {
    ONNXC_ASSIGN(Tree tree, choice(depth + 1));
    if (!take(")")) return bad("\"(\" without \")\"");
    return std::optional(std::move(tree));
  }

  // The class or character after a backslash.
  Status escape(Ranges& ranges) {
    const size_t begin = at_++;
    if (!more()) return bad("a backslash at the end");
    const char c = text_[at_];
    const auto lower = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (lower == 'd' || lower == 's' || lower == 'w') {
      ++at_;
      const Ranges& named = *named_class(std::string_view(&lower, 1));
      return append(ranges, c == lower ? named : negated(named)), ok();
    }
    if (lower == 'p')
      return Error(ErrorKind::Unsupported,
                   "classes of Unicode by name, as in the pattern \"" + std::string(text_) + "\"", {},
                   "write the ranges of characters");
    at_ = begin;
    ONNXC_ASSIGN(const uint32_t code, escaped_character());
    ranges.emplace_back(code, code);
    return ok();
  }

  Result<uint32_t> escaped_character() {
    const size_t begin = at_++;
    if (!more()) return bad("a backslash at the end");
    const auto wrong = [&] { return at_ = begin, bad("no escape sequence"); };
    const char c = text_[at_++];
    static const std::map<char, uint32_t> kControls{{'a', 7}, {'f', 12}, {'n', 10}, {'r', 13}, {'t', 9}, {'v', 11}};
    if (const auto control = kControls.find(c); control != kControls.end()) return control->second;
    const auto digit = [&](int base) -> std::optional<uint32_t> {
      if (!more()) return std::nullopt;
      const char d = text_[at_];
      const int value = d >= '0' && d <= '9'                           ? d - '0'
                        : std::isxdigit(static_cast<unsigned char>(d)) ? (d | 32) - 'a' + 10
                                                                       : 99;
      if (value >= base) return std::nullopt;
      ++at_;
      return static_cast<uint32_t>(value);
    };
    if (c >= '0' && c <= '7') {
      auto code = static_cast<uint32_t>(c - '0');
      const bool octal = more() && text_[at_] >= '0' && text_[at_] <= '7';
      if (c != '0' && !octal) return wrong();  // a reference back
      for (int i = 0; i < 2; ++i)
        if (const auto d = digit(8)) code = code * 8 + *d;
      return code;
    }
    if (c == 'x') {
      uint32_t code = 0;
      if (take("{")) {
        int digits = 0;
        while (const auto d = digit(16)) code = std::min(code * 16 + *d, kLastCodePoint + 1), ++digits;
        if (digits == 0 || code > kLastCodePoint || !take("}")) return wrong();
        return code;
      }
      for (int i = 0; i < 2; ++i) {
        const auto d = digit(16);
        if (!d) return wrong();
        code = code * 16 + *d;
      }
      return code;
    }
    if (static_cast<unsigned char>(c) < 0x80 && !std::isalnum(static_cast<unsigned char>(c)) && c != '_')
      return static_cast<uint32_t>(c);
    return wrong();
  }

  Result<Tree> bracket() {
    const bool negate = take("^");
    Ranges ranges;
    for (bool first = true; first || !take("]"); first = false) {
      if (!more()) return bad("\"[\" without \"]\"");
      if (text_.substr(at_, 2) == "[:") {
        const size_t end = text_.find(":]", at_ + 2);
        if (end != std::string_view::npos) {
          std::string_view name = text_.substr(at_ + 2, end - at_ - 2);
          const bool without = name.starts_with('^');
          if (without) name.remove_prefix(1);
          const Ranges* named = name.size() < 2 ? nullptr : named_class(name);
          if (!named) return bad("no class of characters");
          append(ranges, without ? negated(*named) : *named);
          at_ = end + 2;
          continue;
        }
      }
      if (text_[at_] == '\\' && at_ + 1 < text_.size() &&
          std::string_view("dDsSwWpP").find(text_[at_ + 1]) != std::string_view::npos) {
        ONNXC_TRY(escape(ranges));
        continue;
      }
      ONNXC_ASSIGN(const uint32_t from, member());
      uint32_t to = from;
      if (at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']') {
        ++at_;
        ONNXC_ASSIGN(to, member());
        if (to < from) return bad("a range that goes down");
      }
      ranges.emplace_back(from, to);
    }
    if (flags_.fold) ranges = folded(std::move(ranges));
    return plain(negate ? negated(ranges) : sorted(std::move(ranges)));
  }
  Result<uint32_t> member() {
    if (!more()) return bad("\"[\" without \"]\"");
    return text_[at_] == '\\' ? escaped_character() : code_point();
  }

  std::string_view text_;
  size_t at_ = 0;
  Flags flags_;
};

// ---- the non-deterministic automaton

struct Bytes {
  uint8_t first, last;
};

// All sequences of bytes that are UTF-8 of code points first .. last, as sequences of ranges of bytes.
void utf8_sequences(uint32_t first, uint32_t last, std::vector<std::vector<Bytes>>& out) {
  constexpr Range kLengths[] = {{0, 0x7F}, {0x80, 0x7FF}, {0x800, 0xFFFF}, {0x10000, kLastCodePoint}};
  for (const Range& length : kLengths)
    if (first <= length.second && last > length.second) {
      utf8_sequences(first, length.second, out);
      return utf8_sequences(length.second + 1, last, out);
    }
  const int bytes = first < 0x80 ? 1 : first < 0x800 ? 2 : first < 0x10000 ? 3 : 4;
  // Split until all bytes after the one that differs run over their whole range.
  for (int i = 1; i < bytes; ++i) {
    const uint32_t low = (1U << (6 * i)) - 1;
    if ((first & ~low) == (last & ~low)) continue;
    if ((first & low) != 0) {
      utf8_sequences(first, first | low, out);
      return utf8_sequences((first | low) + 1, last, out);
    }
    if ((last & low) != low) {
      utf8_sequences(first, (last & ~low) - 1, out);
      return utf8_sequences(last & ~low, last, out);
    }
  }
  const auto encoded = [bytes](uint32_t c, int i) {
    if (bytes == 1) return static_cast<uint8_t>(c);
    constexpr uint32_t kLead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    const uint32_t part = c >> (6 * (bytes - 1 - i));
    return static_cast<uint8_t>(i == 0 ? kLead[bytes] | part : 0x80 | (part & 0x3F));
  };
  std::vector<Bytes> sequence;
  for (int i = 0; i < bytes; ++i) sequence.push_back({encoded(first, i), encoded(last, i)});
  out.push_back(std::move(sequence));
}

struct State {
  enum class Kind : uint8_t { Bytes, Fork, Edge, Match } kind = Kind::Match;
  Bytes bytes{};
  Edge edge = Edge::TextBegin;
  int to = -1, other = -1;
};

class Builder {
 public:
  // States of `tree`, after which comes `then`; the first one.
  Result<int> build(const Tree& tree, int then) {
    switch (tree.kind) {
      case Tree::Kind::Empty: return then;
      case Tree::Kind::Byte: return add({State::Kind::Bytes, {0, 255}, {}, then});
      case Tree::Kind::Edge: return add({State::Kind::Edge, {}, tree.edge, then});
      case Tree::Kind::Set: return set(tree.set, then);
      case Tree::Kind::Sequence:
        for (auto part = tree.parts.rbegin(); part != tree.parts.rend(); ++part) {
          ONNXC_ASSIGN(then, build(*part, then));
        }
        return then;
      case Tree::Kind::Choice: {
        ONNXC_ASSIGN(int first, build(tree.parts.back(), then));
        for (size_t i = tree.parts.size() - 1; i-- > 0;) {
          ONNXC_ASSIGN(const int branch, build(tree.parts[i], then));
          ONNXC_ASSIGN(first, add({State::Kind::Fork, {}, {}, branch, first}));
        }
        return first;
      }
      case Tree::Kind::Repeat: return repeat(tree, then);
    }
    return then;
  }
  Result<int> add(State s) {
    if (states.size() >= kMostNodes)
      return Error(ErrorKind::Unsupported, "a pattern of more than " + std::to_string(kMostNodes) + " parts", {},
                   "repeat less often");
    states.push_back(s);
    return static_cast<int>(states.size()) - 1;
  }
  std::vector<State> states;

 private:
  Result<int> set(const Ranges& ranges, int then) {
    std::vector<std::vector<Bytes>> sequences;
    for (const Range& r : ranges) utf8_sequences(r.first, r.second, sequences);
    int first = -1;
    for (const auto& sequence : sequences) {
      int next = then;
      for (auto b = sequence.rbegin(); b != sequence.rend(); ++b) {
        ONNXC_ASSIGN(next, add({State::Kind::Bytes, *b, {}, next}));
      }
      if (first >= 0) {
        ONNXC_ASSIGN(next, add({State::Kind::Fork, {}, {}, next, first}));
      }
      first = next;
    }
    // No character at all: bytes of which there are none.
    return first >= 0 ? Result<int>(first) : add({State::Kind::Bytes, {1, 0}, {}, then});
  }

  Result<int> repeat(const Tree& tree, int then) {
    const Tree& part = tree.parts.front();
    int next = then;
    if (tree.most < 0) {
      ONNXC_ASSIGN(const int fork, add({State::Kind::Fork, {}, {}, -1, then}));
      ONNXC_ASSIGN(const int again, build(part, fork));
      states[static_cast<size_t>(fork)].to = again;
      next = fork;
    }
    for (int i = tree.least; i < tree.most; ++i) {
      ONNXC_ASSIGN(const int once, build(part, next));
      ONNXC_ASSIGN(next, add({State::Kind::Fork, {}, {}, once, then}));
    }
    for (int i = 0; i < tree.least; ++i) {
      ONNXC_ASSIGN(next, build(part, next));
    }
    return next;
  }
};

// ---- the deterministic automaton

// What stands before a place in the text: nothing, the end of a line, a character of a word, another.
enum class Before : uint8_t { Nothing, Line, Word, Other };

bool is_word_byte(int byte) { return byte < 128 && (std::isalnum(byte) || byte == '_'); }

class Subsets {
 public:
  explicit Subsets(const std::vector<State>& states) : states_(states), seen_(states.size()) {
    for (const State& s : states) looks_around_ |= s.kind == State::Kind::Edge;
  }

  Result<Automaton> build(int start) {
    Automaton a;
    a.class_count = classes(a.classes);
    number({{}, Before::Other});  // state 0: no way on
    a.start = number({{start}, Before::Nothing});
    for (size_t i = 0; i < all_.size(); ++i) {
      if (static_cast<int64_t>(all_.size()) > kMostStates)
        return Error(ErrorKind::Unsupported,
                     "a pattern whose automaton has more than " + std::to_string(kMostStates) + " states", {},
                     "use a simpler pattern");
      if (steps_ > kMostSteps)
        return Error(ErrorKind::Unsupported, "a pattern whose automaton takes too long to make", {},
                     "use a simpler pattern");
      const auto [set, before] = all_[i];
      a.accepts.push_back(std::ranges::any_of(
          closure(set, before, -1), [&](int s) { return states_[static_cast<size_t>(s)].kind == State::Kind::Match; }));
      std::vector<int32_t> row(static_cast<size_t>(a.class_count), -1);
      for (int byte = 0; byte < 256; ++byte) {
        int32_t& next = row[a.classes[static_cast<size_t>(byte)]];
        if (next < 0) next = step(set, before, byte);
      }
      a.next.insert(a.next.end(), row.begin(), row.end());
    }
    return a;
  }

 private:
  using Key = std::pair<std::vector<int>, Before>;

  // Bytes that lie in the same ranges are of one class.
  int64_t classes(std::array<uint8_t, 256>& of) const {
    std::set<int> begins{0};
    const auto add = [&](int first, int last) { begins.insert(first), begins.insert(last + 1); };
    for (const State& s : states_)
      if (s.kind == State::Kind::Bytes && s.bytes.first <= s.bytes.last) add(s.bytes.first, s.bytes.last);
    if (looks_around_)
      for (const auto& [first, last] :
           {std::pair('\n', '\n'), std::pair('0', '9'), std::pair('A', 'Z'), std::pair('_', '_'), std::pair('a', 'z')})
        add(first, last);
    int number = -1;
    for (int byte = 0; byte < 256; ++byte)
      of[static_cast<size_t>(byte)] = static_cast<uint8_t>(number += begins.contains(byte) ? 1 : 0);
    return number + 1;
  }

  int32_t number(Key key) {
    if (key.first.empty() || !looks_around_) key.second = Before::Other;
    const auto [at, made] = numbers_.try_emplace(key, static_cast<int32_t>(all_.size()));
    if (made) all_.push_back(std::move(key));
    return at->second;
  }

  int32_t step(const std::vector<int>& set, Before before, int byte) {
    std::set<int> next;
    for (int s : closure(set, before, byte)) {
      const State& state = states_[static_cast<size_t>(s)];
      if (state.kind == State::Kind::Bytes && state.bytes.first <= byte && byte <= state.bytes.last)
        next.insert(state.to);
    }
    return number({{next.begin(), next.end()},
                   byte == '\n'         ? Before::Line
                   : is_word_byte(byte) ? Before::Word
                                        : Before::Other});
  }

  // Where one gets from `set` without reading, `byte` being next (-1: the text ends).
  std::vector<int> closure(const std::vector<int>& set, Before before, int byte) {
    std::vector<int> reached, open = set;
    ++stamp_;
    while (!open.empty()) {
      const int s = open.back();
      open.pop_back();
      if (std::exchange(seen_[static_cast<size_t>(s)], stamp_) == stamp_) continue;
      reached.push_back(s);
      const State& state = states_[static_cast<size_t>(s)];
      if (state.kind == State::Kind::Fork) open.push_back(state.other);
      if (state.kind == State::Kind::Fork || (state.kind == State::Kind::Edge && holds(state.edge, before, byte)))
        open.push_back(state.to);
    }
    steps_ += reached.size();
    return reached;
  }

  static bool holds(Edge edge, Before before, int byte) {
    const bool word = (before == Before::Word) != (byte >= 0 && is_word_byte(byte));
    switch (edge) {
      case Edge::TextBegin: return before == Before::Nothing;
      case Edge::TextEnd: return byte < 0;
      case Edge::LineBegin: return before == Before::Nothing || before == Before::Line;
      case Edge::LineEnd: return byte < 0 || byte == '\n';
      case Edge::Word: return word;
      case Edge::NoWord: return !word;
    }
    return false;
  }

  const std::vector<State>& states_;
  bool looks_around_ = false;
  std::vector<size_t> seen_;  // the stamp of the walk that a state was last reached in
  size_t stamp_ = 0, steps_ = 0;
  std::map<Key, int32_t> numbers_;
  std::vector<Key> all_;
};

}  // namespace

bool Automaton::matches(std::string_view text) const {
  int64_t state = start;
  for (const char c : text) state = next[static_cast<size_t>(state * class_count + classes[static_cast<uint8_t>(c)])];
  return accepts[static_cast<size_t>(state)] != 0;
}

Result<Automaton> compile(const std::string& pattern) {
  ONNXC_ASSIGN(const Tree tree, Parser(pattern).parse());
  Builder builder;
  ONNXC_ASSIGN(const int match, builder.add({}));
  ONNXC_ASSIGN(const int start, builder.build(tree, match));
  return Subsets(builder.states).build(start);
}

}  // namespace onnxc::regex
