#include "compiler/import/inline_functions.h"

#include <onnx/inliner/inliner.h>

#include <exception>
#include <map>
#include <set>
#include <string>

namespace onnxc {
namespace {

using Key = std::string;  // domain, name, overload

Key key_of(const std::string& domain, const std::string& name, const std::string& overload) {
  return canonical_domain(domain) + "::" + name + (overload.empty() ? "" : ":" + overload);
}

// How many nodes each function comes to when all calls in it are expanded.
class ExpansionSizes {
 public:
  explicit ExpansionSizes(const onnx::ModelProto& model) {
    for (const auto& f : model.functions()) functions_[key_of(f.domain(), f.name(), f.overload())] = &f;
  }

  Result<int64_t> of_nodes(const google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes) {
    int64_t total = 0;
    for (const auto& node : nodes) {
      ONNXC_ASSIGN(const int64_t size, of_node(node));
      total += size;
      if (total > kMaxInlinedNodes)
        return Error(ErrorKind::InvalidModel,
                     "the model's functions expand to more than " + std::to_string(kMaxInlinedNodes) + " nodes");
    }
    return total;
  }

 private:
  Result<int64_t> of_node(const onnx::NodeProto& node) {
    int64_t total = 1;
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) {
        ONNXC_ASSIGN(const int64_t size, of_nodes(attribute.g().node()));
        total += size;
      }
      for (const auto& g : attribute.graphs()) {
        ONNXC_ASSIGN(const int64_t size, of_nodes(g.node()));
        total += size;
      }
    }
    const Key key = key_of(node.domain(), node.op_type(), node.overload());
    if (!functions_.contains(key)) return total;
    ONNXC_ASSIGN(const int64_t size, of_function(key));
    return total + size;
  }

  Result<int64_t> of_function(const Key& key) {
    if (auto it = sizes_.find(key); it != sizes_.end()) return it->second;
    if (!active_.insert(key).second)
      return Error(ErrorKind::InvalidModel, "the function calls itself", "function " + key);
    if (active_.size() > static_cast<size_t>(kMaxCallDepth))
      return Error(ErrorKind::InvalidModel,
                   "functions call each other more than " + std::to_string(kMaxCallDepth) + " deep", "function " + key);
    ONNXC_ASSIGN(const int64_t size, of_nodes(functions_.at(key)->node()));
    active_.erase(key);
    sizes_[key] = size;
    return size;
  }

  std::map<Key, const onnx::FunctionProto*> functions_;
  std::map<Key, int64_t> sizes_;
  std::set<Key> active_;
};

Status check_functions(const onnx::ModelProto& model) {
  std::set<Key> seen;
  for (const auto& f : model.functions()) {
    const std::string where = "function " + key_of(f.domain(), f.name(), f.overload());
    if (f.name().empty()) return Error(ErrorKind::InvalidModel, "a function has no name", where);
    if (!seen.insert(key_of(f.domain(), f.name(), f.overload())).second)
      return Error(ErrorKind::InvalidModel, "the function is defined twice", where);
  }
  ExpansionSizes sizes(model);
  ONNXC_ASSIGN([[maybe_unused]] const int64_t size, sizes.of_nodes(model.graph().node()));
  return ok();
}

// The inliner refuses functions that import a domain which the model does not.
void complete_imports(onnx::ModelProto& model) {
  std::set<std::string> known;
  for (const auto& import : model.opset_import()) known.insert(canonical_domain(import.domain()));
  for (const auto& f : model.functions())
    for (const auto& import : f.opset_import())
      if (known.insert(canonical_domain(import.domain())).second) *model.add_opset_import() = import;
}

}  // namespace

Status inline_functions(onnx::ModelProto& model) {
  if (model.functions_size() == 0) return ok();
  ONNXC_TRY(check_functions(model));
  complete_imports(model);
  try {
    onnx::inliner::InlineLocalFunctions(model, true);
  } catch (const std::exception& e) {
    return Error(ErrorKind::InvalidModel, std::string("its functions cannot be expanded: ") + e.what());
  }
  return ok();
}

}  // namespace onnxc
