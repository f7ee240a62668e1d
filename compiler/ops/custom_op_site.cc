#include "compiler/ops/custom_op_site.h"

#include <cstring>
#include <vector>

#include "runtime_lib/abi/custom_op.h"

namespace onnxc {
namespace {

class SiteWriter {
 public:
  explicit SiteWriter(const Node& node) : node_(node) { workspace_ = values() * kValueBytes; }

  Status add_attributes(std::string_view own) {
    for (const auto& [name, attr] : node_.attrs) {
      if (name.starts_with(own)) continue;
      onnxc_site_attribute a{add_text(name), 0, 1, 0};
      ONNXC_TRY(add(name, attr, a));
      attributes_.push_back(a);
      workspace_ += sizeof(onnxc_attribute);
    }
    return ok();
  }

  CustomOpSite finish(const std::string& op, const std::string& function) {
    onnxc_site site = {};
    site.op = add_text(op);
    site.node = add_text(node_.origins.empty() ? node_.name : node_.origins.front());
    site.function = add_text(function);
    site.num_outputs = static_cast<int64_t>(node_.num_outputs());
    site.num_inputs = static_cast<int64_t>(node_.num_inputs());
    site.num_attributes = static_cast<int64_t>(attributes_.size());
    std::vector<onnxc_site_value> values;
    for (const auto* list : {&node_.outputs(), &node_.inputs()})
      for (const Value* v : *list)
        values.push_back(v ? type_of(v->type.elem, v->type.shape->size()) : onnxc_site_value{});
    site.values = add_list(values);
    site.attributes = add_list(attributes_);
    std::memcpy(bytes_.data(), &site, sizeof site);
    const auto size = static_cast<int64_t>(bytes_.size());
    return {Tensor::of(Elem::U8, {size}, bytes_), workspace_};
  }

 private:
  static constexpr int64_t kValueBytes = sizeof(onnxc_value);

  int64_t values() const { return static_cast<int64_t>(node_.num_outputs() + node_.num_inputs()); }

  static onnxc_site_value type_of(Elem elem, size_t rank) {
    return {elem == Elem::String ? ONNXC_STRING_TENSOR : ONNXC_TENSOR, static_cast<int64_t>(elem),
            static_cast<int64_t>(elem_size(elem)), static_cast<int64_t>(rank)};
  }

  int64_t add_bytes(const void* data, size_t size) {
    const size_t place = bytes_.size();
    bytes_.resize(place + (size + 7) / 8 * 8);
    if (size) std::memcpy(bytes_.data() + place, data, size);
    return static_cast<int64_t>(place);
  }
  int64_t add_text(const std::string& text) { return add_bytes(text.c_str(), text.size() + 1); }
  template <class T>
  int64_t add_list(const std::vector<T>& list) {
    return add_bytes(list.data(), list.size() * sizeof(T));
  }

  template <class T>
  Status set(onnxc_site_attribute& a, onnxc_attribute_type type, const std::vector<T>& list) {
    a.type = type;
    a.count = static_cast<int64_t>(list.size());
    a.data = add_list(list);
    return ok();
  }
  Status add(const std::string& name, const Attr& attr, onnxc_site_attribute& a) {
    if (const auto* v = std::get_if<int64_t>(&attr)) return set(a, ONNXC_ATTRIBUTE_INT, std::vector<int64_t>{*v});
    if (const auto* v = std::get_if<float>(&attr)) return set(a, ONNXC_ATTRIBUTE_FLOAT, std::vector<float>{*v});
    if (const auto* v = std::get_if<std::vector<int64_t>>(&attr)) return set(a, ONNXC_ATTRIBUTE_INTS, *v);
    if (const auto* v = std::get_if<std::vector<float>>(&attr)) return set(a, ONNXC_ATTRIBUTE_FLOATS, *v);
    if (const auto* v = std::get_if<std::string>(&attr)) return set_texts(a, ONNXC_ATTRIBUTE_STRING, {*v});
    if (const auto* v = std::get_if<std::vector<std::string>>(&attr)) return set_texts(a, ONNXC_ATTRIBUTE_STRINGS, *v);
    if (const auto* v = std::get_if<Tensor>(&attr)) return set_tensor(name, *v, a);
    return refuse(name, "a graph, a type, or a list of tensors");
  }
  Status set_texts(onnxc_site_attribute& a, onnxc_attribute_type type, const std::vector<std::string>& list) {
    std::vector<onnxc_site_text> texts;
    for (const std::string& text : list) texts.push_back({add_text(text), static_cast<int64_t>(text.size())});
    workspace_ += static_cast<int64_t>(list.size() * sizeof(onnxc_string));
    return set(a, type, texts);
  }
  Status set_tensor(const std::string& name, const Tensor& t, onnxc_site_attribute& a) {
    if (t.elem() == Elem::String) return refuse(name, "a tensor of strings");
    if (t.dims().size() > ONNXC_MAX_RANK) return refuse(name, "a tensor of more than 8 dims");
    onnxc_site_tensor tensor = {type_of(t.elem(), t.dims().size()), {}, add_bytes(t.raw(), t.bytes())};
    for (size_t d = 0; d < t.dims().size(); ++d) tensor.dims[d] = t.dims()[d];
    workspace_ += kValueBytes;
    a.type = ONNXC_ATTRIBUTE_TENSOR;
    a.data = add_bytes(&tensor, sizeof tensor);
    return ok();
  }
  Error refuse(const std::string& name, const std::string& what) const {
    return Error(ErrorKind::Unsupported,
                 "attribute \"" + name + "\" is " + what + ", which is not passed to functions of custom operators",
                 node_.where(), "make it an input of the node, or numbers and strings");
  }

  const Node& node_;
  std::vector<uint8_t> bytes_ = std::vector<uint8_t>(sizeof(onnxc_site));
  std::vector<onnxc_site_attribute> attributes_;
  int64_t workspace_ = 0;
};

}  // namespace

Result<CustomOpSite> describe_custom_op(const Node& node, const std::string& op, const std::string& function,
                                        std::string_view own) {
  SiteWriter writer(node);
  ONNXC_TRY(writer.add_attributes(own));
  return writer.finish(op, function);
}

}  // namespace onnxc
