// Einsum (onnx/docs/Operators.md): matrix products of two terms at a time, or, where a label stands twice in a term or
// an extent of 1 gives way, one nest over the output's labels that sums the products over the others.
// Tested by tests/conformance and tests/differential/test_einsum.py.
#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <set>

#include "compiler/ops/graph_writer.h"
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

// ---- By matrix products

struct Term {
  Value* value;
  std::string labels;
};

class Products {
 public:
  Products(Graph& graph, Node& node, Equation equation)
      : node_(node), write_(graph, node), equation_(std::move(equation)) {}

  void expand() {
    for (size_t i = 0; i < equation_.terms.size(); ++i)
      for (size_t d = 0; d < equation_.terms[i].size(); ++d) extents_.emplace(equation_.terms[i][d], extent_of(i, d));
    Term left = summed({node_.input(0), equation_.terms[0]}, 0);
    for (size_t i = 1; i < equation_.terms.size(); ++i)
      left = product(left, summed({node_.input(i), equation_.terms[i]}, i), i);
    write_.replace({ordered(left, equation_.output)});
  }

 private:
  Value* extent_of(size_t input, size_t axis) {
    const auto at = static_cast<int64_t>(axis);
    return write_.add("Shape", {node_.input(input)}, {{"start", at}, {"end", at + 1}});
  }
  static bool holds(const std::string& labels, char label) { return labels.find(label) != std::string::npos; }
  static std::string those(const std::string& labels, const std::function<bool(char)>& wanted) {
    std::string out;
    std::copy_if(labels.begin(), labels.end(), std::back_inserter(out), wanted);
    return out;
  }
  // In the output or in a term after term i.
  bool needed_after(char label, size_t i) const {
    return holds(equation_.output, label) ||
           std::any_of(equation_.terms.begin() + static_cast<ptrdiff_t>(i) + 1, equation_.terms.end(),
                       [&](const std::string& t) { return holds(t, label); });
  }

  // Term i less the labels that stand nowhere else.
  Term summed(Term term, size_t i) {
    std::vector<int64_t> axes;
    std::string kept;
    for (size_t d = 0; d < term.labels.size(); ++d) {
      const char label = term.labels[d];
      const bool stays = needed_after(label, i) ||
                         std::any_of(equation_.terms.begin(), equation_.terms.begin() + static_cast<ptrdiff_t>(i),
                                     [&](const std::string& t) { return holds(t, label); });
      if (stays)
        kept += label;
      else
        axes.push_back(static_cast<int64_t>(d));
    }
    if (axes.empty()) return term;
    return {write_.add("ReduceSum", {term.value, write_.ints(axes)}, {{"keepdims", int64_t{0}}}), kept};
  }

  Value* ordered(const Term& term, const std::string& labels) {
    if (term.labels == labels) return term.value;
    std::vector<int64_t> perm;
    for (char label : labels) perm.push_back(static_cast<int64_t>(term.labels.find(label)));
    return write_.transpose(term.value, perm);
  }
  // The term with one axis for each group of labels; a group of none has the extent 1.
  Value* grouped(const Term& term, const std::vector<std::string>& groups) {
    std::string all;
    for (const std::string& g : groups) all += g;
    Value* x = ordered(term, all);
    if (std::all_of(groups.begin(), groups.end(), [](const std::string& g) { return g.size() == 1; })) return x;
    return write_.add("Reshape", {x, shape_of(groups)}, {{"allowzero", int64_t{1}}});
  }
  Value* shape_of(const std::vector<std::string>& groups) {
    std::vector<Value*> dims;
    for (const std::string& g : groups) {
      Value* dim = g.empty() ? write_.ints({1}) : extents_.at(g[0]);
      for (size_t i = 1; i < g.size(); ++i) dim = write_.add("Mul", {dim, extents_.at(g[i])});
      dims.push_back(dim);
    }
    return dims.empty() ? write_.ints({}) : write_.add("Concat", dims, {{"axis", int64_t{0}}});
  }
  static std::vector<std::string> each(const std::string& labels) {
    std::vector<std::string> groups;
    for (char label : labels) groups.emplace_back(1, label);
    return groups;
  }

  // The product of the terms before term i with it, summed over what nothing after it needs.
  Term product(const Term& a, const Term& b, size_t i) {
    const std::string both = those(a.labels, [&](char l) { return holds(b.labels, l); }),
                      rows = those(a.labels, [&](char l) { return !holds(b.labels, l); }),
                      columns = those(b.labels, [&](char l) { return !holds(a.labels, l); }),
                      over = those(both, [&](char l) { return !needed_after(l, i); }),
                      batch = those(both, [&](char l) { return needed_after(l, i); });
    const std::string all = batch + rows + columns;
    if (over.empty()) {
      std::vector<std::string> left = each(batch + rows), right = each(batch);
      left.resize(all.size());
      right.resize(batch.size() + rows.size());
      for (char label : columns) right.emplace_back(1, label);
      return {write_.add("Mul", {grouped(a, left), grouped(b, right)}), all};
    }
    std::vector<std::string> left = each(batch), right = each(batch);
    left.insert(left.end(), {rows, over});
    right.insert(right.end(), {over, columns});
    Value* x = write_.add("MatMul", {grouped(a, left), grouped(b, right)});
    if (rows.size() != 1 || columns.size() != 1)
      x = write_.add("Reshape", {x, shape_of(each(all))}, {{"allowzero", int64_t{1}}});
    return {x, all};
  }

  Node& node_;
  GraphWriter write_;
  Equation equation_;
  std::map<char, Value*> extents_;
};

bool is_products(const Node& node) {
  const Elem type = node.input(0)->type.elem;
  static const std::set<Elem> kTypes{Elem::F16, Elem::BF16, Elem::F32, Elem::F64,
                                     Elem::I32, Elem::I64,  Elem::U32, Elem::U64};
  if (!kTypes.contains(type)) return false;
  for (const Value* v : node.inputs())
    if (!v->type.shape) return false;
  const auto equation = parse_equation(node);
  if (!equation) return false;
  std::map<char, Dim> extents;
  for (size_t i = 0; i < equation->terms.size(); ++i) {
    const std::string& term = equation->terms[i];
    if (std::set<char>(term.begin(), term.end()).size() != term.size()) return false;
    for (size_t d = 0; d < term.size(); ++d)
      if (const Dim& dim = (*node.input(i)->type.shape)[d]; extents.emplace(term[d], dim).first->second != dim)
        return false;
  }
  return std::set<char>(equation->output.begin(), equation->output.end()).size() == equation->output.size();
}

Status decompose_einsum(Graph& graph, Node& node) {
  ONNXC_ASSIGN(Equation e, parse_equation(node));
  Products(graph, node, std::move(e)).expand();
  return ok();
}

OpDef make_einsum() {
  OpDef d;
  d.name = "Einsum";
  d.infer = infer_einsum;
  d.decompose = decompose_einsum;
  d.decompose_if = is_products;
  d.lower = lower_einsum;
  d.accuracy = Accuracy::Accumulating;
  return d;
}

}  // namespace

OP(Einsum) = make_einsum();

}  // namespace onnxc
