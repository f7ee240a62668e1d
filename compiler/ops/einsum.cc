// Einsum (onnx/docs/Operators.md): one nest over the output's labels that sums the products over the others.
// Tested by tests/conformance.
#include <cctype>
#include <map>
#include <optional>

#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;

// Labels of each term. "..." stands as the labels '0', '1', ... of its axes, counted from the last.
struct Equation {
  std::vector<std::string> terms;
  std::string output;
};

std::string without_spaces(const std::string& s) {
  std::string out;
  for (char ch : s)
    if (!std::isspace(static_cast<unsigned char>(ch))) out += ch;
  return out;
}

// `axes`: how many the dots stand for.
std::string expand_dots(const std::string& term, size_t axes) {
  const size_t dots = term.find("...");
  if (dots == std::string::npos) return term;
  std::string labels;
  for (size_t i = axes; i-- > 0;) labels += static_cast<char>('0' + i);
  return term.substr(0, dots) + labels + term.substr(dots + 3);
}

Result<Equation> parse_equation(const Node& node) {
  const auto bad = [&](const std::string& why) {
    return Error(ErrorKind::InvalidModel, "the equation \"" + node.attr_string("equation", "") + "\" " + why,
                 node.where());
  };
  std::string text = without_spaces(node.attr_string("equation", ""));
  std::optional<std::string> output;
  if (const size_t arrow = text.find("->"); arrow != std::string::npos) {
    output = text.substr(arrow + 2);
    text = text.substr(0, arrow);
  }
  Equation e;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    e.terms.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (e.terms.size() != node.num_inputs()) return bad("has another number of terms than there are inputs");
  size_t dot_axes = 0;
  for (size_t i = 0; i < e.terms.size(); ++i) {
    const size_t rank = node.input(i)->type.shape->size(), named = e.terms[i].size();
    const bool dots = e.terms[i].find("...") != std::string::npos;
    if (dots ? named - 3 > rank : named != rank) return bad("does not fit the rank of input " + std::to_string(i));
    const size_t axes = dots ? rank - (named - 3) : 0;
    if (axes > 9) return bad("has more axes than are supported in \"...\"");
    dot_axes = std::max(dot_axes, axes);
    e.terms[i] = expand_dots(e.terms[i], axes);
  }
  if (output) {
    e.output = expand_dots(*output, dot_axes);
    return e;
  }
  // Without "->": the dots, then the labels that occur once, in alphabetical order.
  std::map<char, int> count;
  for (const std::string& t : e.terms)
    for (char label : t) ++count[label];
  e.output = expand_dots("...", dot_axes);
  for (const auto& [label, n] : count)
    if (n == 1 && !std::isdigit(static_cast<unsigned char>(label))) e.output += label;
  return e;
}

// The extent of each label; 1 gives way to others, as in broadcasting.
Result<std::map<char, Dim>> label_extents(const Node& node, const Equation& e) {
  std::map<char, Dim> extents;
  for (size_t i = 0; i < e.terms.size(); ++i)
    for (size_t d = 0; d < e.terms[i].size(); ++d) {
      const Dim& dim = (*node.input(i)->type.shape)[d];
      auto [it, added] = extents.emplace(e.terms[i][d], dim);
      if (added || is_one(dim) || it->second == dim) continue;
      if (!is_one(it->second) && it->second.is_const() && dim.is_const())
        return Error(
            ErrorKind::InvalidModel,
            "label " + std::string(1, e.terms[i][d]) + " has the extents " + it->second.str() + " and " + dim.str(),
            node.where());
      if (is_one(it->second) || dim.is_const()) it->second = dim;
    }
  for (size_t i = 0; i < e.terms.size(); ++i)
    for (size_t d = 0; d < e.terms[i].size(); ++d)
      if (const Dim& dim = (*node.input(i)->type.shape)[d]; !is_one(dim))
        ONNXC_TRY(require_equal(node, dim, extents.at(e.terms[i][d]),
                                "label " + std::string(1, e.terms[i][d]) + " has several extents"));
  for (char label : e.output)
    if (!extents.contains(label))
      return Error(ErrorKind::InvalidModel, "label " + std::string(1, label) + " of the output stands in no input",
                   node.where());
  return extents;
}

Status infer_einsum(InferContext& c) {
  ONNXC_TRY(require_inputs(c, std::max<size_t>(c.node.num_inputs(), 1)));
  for (size_t i = 0; i < c.node.num_inputs(); ++i)
    if (!c.has_shape(i)) return c.set_unranked(0, c.elem(0)), ok();
  ONNXC_ASSIGN(const Equation e, parse_equation(c.node));
  ONNXC_ASSIGN(const auto extents, label_extents(c.node, e));
  Shape out;
  for (char label : e.output) out.push_back(extents.at(label));
  return c.set(0, c.elem(0), std::move(out)), ok();
}

Status lower_einsum(LowerContext& c) {
  ONNXC_ASSIGN(const Equation e, parse_equation(c.node()));
  ONNXC_ASSIGN(const auto extents, label_extents(c.node(), e));
  const BufferId out = c.out(0);
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    std::map<char, Expr> at_label;
    for (size_t d = 0; d < e.output.size(); ++d) at_label[e.output[d]] = idx[d];
    std::vector<LoopVar> vars;
    for (const auto& [label, dim] : extents) {
      if (at_label.contains(label)) continue;
      vars.push_back({c.fresh("k"), dim});
      at_label[label] = expr::index(Dim::symbol(vars.back().name));
    }
    Expr product;
    for (size_t i = 0; i < e.terms.size(); ++i) {
      std::vector<Expr> at;
      for (size_t d = 0; d < e.terms[i].size(); ++d)
        at.push_back(is_one(c.in_shape(i)[d]) ? constant(0) : at_label[e.terms[i][d]]);
      const Expr x = c.load(i, at);
      product = product ? expr::binary(ExprOp::Mul, product, x) : x;
    }
    Block block;
    if (!vars.empty()) {
      Reduce sum{c.fresh("sum"), ReduceOp::Add, vars, 1, false, product};
      product = expr::let(sum.name, product->type);
      block.push_back(Stmt{std::move(sum)});
    }
    block.push_back(Stmt{Store{out, to_vector(idx), product, nullptr}});
    return block;
  }));
  return ok();
}

OpDef make_einsum() {
  OpDef d;
  d.name = "Einsum";
  d.infer = infer_einsum;
  d.lower = lower_einsum;
  d.accuracy = Accuracy::Accumulating;
  return d;
}

}  // namespace

OP(Einsum) = make_einsum();

}  // namespace onnxc
