#include "compiler/import/onnx_schemas.h"

#include <onnx/defs/schema.h>

#include <algorithm>
#include <exception>

namespace onnxc {

const Opsets& newest_opsets() {
  static const Opsets newest = [] {
    Opsets result;
    for (const auto& [domain, range] : onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map())
      result[domain] = range.second;
    return result;
  }();
  return newest;
}

Opsets opsets_of(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports) {
  Opsets result;
  for (const auto& import : imports) {
    int& version = result[canonical_domain(import.domain())];
    version = std::max(version, static_cast<int>(std::clamp<int64_t>(import.version(), 0, 1 << 20)));
  }
  return result;
}

const onnx::OpSchema* find_schema(const std::string& domain, const std::string& op, int version) {
  return onnx::OpSchemaRegistry::Schema(op, version, domain);
}

bool has_function_body(const std::string& domain, const std::string& op) {
  const auto newest = newest_opsets().find(domain);
  if (newest == newest_opsets().end()) return false;
  const auto* schema = find_schema(domain, op, newest->second);
  return schema != nullptr && !schema->Deprecated() && (schema->HasFunction() || schema->HasContextDependentFunction());
}

Status check_node(const onnx::NodeProto& node, const onnx::OpSchema& schema, const std::string& where) {
  // GroupNormalization 18 was called deprecated afterwards; models hold it. Its next version has the same form.
  const auto newest = newest_opsets().find(schema.domain());
  const auto* following = schema.Deprecated() && newest != newest_opsets().end()
                              ? find_schema(schema.domain(), schema.Name(), newest->second)
                              : nullptr;
  try {
    (following && !following->Deprecated() ? *following : schema).Verify(node);
  } catch (const std::exception& e) {
    return Error(ErrorKind::InvalidModel, e.what(), where);
  }
  return ok();
}

}  // namespace onnxc
