// The module onnxc._runtime: compiled models as Python objects. It passes numpy's memory to the C ABI as it is, packs
// the types below one byte, and lets other Python threads run meanwhile. Names, types and shapes are checked by
// session.py before.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "python/src/loaded_model.h"
#include "runtime_lib/abi/sub_byte.h"

namespace py = pybind11;

namespace onnxc::python {
namespace {

using onnxc_entry::is_sub_byte;
using onnxc_entry::pack;
using onnxc_entry::packed_bytes;
using onnxc_entry::unpack;

// (name, kind, element type, dims or None when the rank is unknown, flags); a dim is an int, a symbol's name, or None.
py::tuple describe(const onnxc_value_info& info) {
  py::object dims = py::none();
  if (info.rank >= 0) {
    py::list list;
    for (int32_t i = 0; i < info.rank; ++i) {
      const char* symbol = info.dim_names ? info.dim_names[i] : "";
      if (info.dims[i] >= 0) {
        list.append(info.dims[i]);
      } else if (symbol && *symbol) {
        list.append(py::str(symbol));
      } else {
        list.append(py::none());
      }
    }
    dims = list;
  }
  return py::make_tuple(py::str(info.name), info.kind, info.elem, dims, info.flags);
}

py::list describe_all(const onnxc_value_info* infos, uint32_t count) {
  py::list list;
  for (uint32_t i = 0; i < count; ++i) list.append(describe(infos[i]));
  return list;
}

py::list operations_of(const onnxc_model_info& info) {
  py::list list;
  for (uint32_t i = 0; info.operations && i < info.num_operations; ++i) list.append(py::str(info.operations[i]));
  return list;
}

py::dict metadata_of(const onnxc_model_info& info) {
  py::dict dict;
  for (uint32_t i = 0; i < info.num_metadata; ++i)
    dict[py::str(info.metadata[i].key)] = py::str(info.metadata[i].value);
  return dict;
}

onnxc_value value_of(const onnxc_value_info& info, const py::ssize_t* dims, size_t rank) {
  if (rank > ONNXC_MAX_RANK)
    throw ModelError(ONNXC_INVALID_ARGUMENT,
                     std::string(info.name) + ": rank " + std::to_string(rank) + " is too high");
  onnxc_value value{};
  value.struct_size = sizeof value;
  value.kind = info.kind;
  value.elem = info.elem;
  value.rank = static_cast<uint32_t>(rank);
  for (size_t i = 0; i < rank; ++i) value.dims[i] = dims[i];
  return value;
}

bool is_list(const onnxc_value_info& info) { return info.kind == ONNXC_SEQUENCE || info.kind == ONNXC_OPTIONAL; }
// The UTF-8 of one element of an array of objects: str and bytes as they are, others as str() writes them. `held` keeps
// it alive.
onnxc_string text_of(PyObject* element, std::vector<py::object>& held) {
  py::object object = py::reinterpret_borrow<py::object>(element ? element : Py_None);
  if (PyBytes_Check(object.ptr())) {
    held.push_back(object);
    return {PyBytes_AS_STRING(object.ptr()), static_cast<uint64_t>(PyBytes_GET_SIZE(object.ptr()))};
  }
  held.push_back(py::str(object));
  Py_ssize_t bytes = 0;
  const char* data = PyUnicode_AsUTF8AndSize(held.back().ptr(), &bytes);
  if (!data) throw py::error_already_set();
  return {data, static_cast<uint64_t>(bytes)};
}

py::array objects_of(const onnxc_value& value) {
  const std::vector<py::ssize_t> dims(value.dims, value.dims + value.rank);
  py::array array(py::dtype("O"), dims);
  auto** places = static_cast<PyObject**>(array.mutable_data());
  const auto* texts = static_cast<const onnxc_string*>(value.data);
  for (py::ssize_t i = 0; i < array.size(); ++i) {
    PyObject* made = PyUnicode_DecodeUTF8(texts[i].data, static_cast<Py_ssize_t>(texts[i].bytes), nullptr);
    if (!made) throw py::error_already_set();
    Py_XDECREF(places[i]);
    places[i] = made;
  }
  return array;
}

// One run: what must stay alive while it lasts.
class Run {
 public:
  Run(const ModelSession& session, const std::vector<py::object>& inputs, const std::vector<py::dtype>& dtypes)
      : info_(session.model().info()), host_(session.host()), dtypes_(dtypes) {
    if (inputs.size() != info_.num_inputs || dtypes.size() != info_.num_outputs)
      throw ModelError(ONNXC_INVALID_ARGUMENT, "wrong number of inputs or of output types");
    packed_inputs_.resize(inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) add_input(i, inputs[i]);
    packed_outputs_.resize(info_.num_outputs);
    for (size_t i = 0; i < info_.num_outputs; ++i) add_output(i);
  }

  void execute(ModelSession& session) {
    onnxc_run_args args{};
    args.struct_size = sizeof args;
    args.num_inputs = info_.num_inputs;
    args.num_outputs = info_.num_outputs;
    args.inputs = inputs_.data();
    args.outputs = outputs_.data();
    py::gil_scoped_release others_may_run;
    session.run(&args);
  }

  py::list results() {
    py::list list;
    for (size_t i = 0; i < outputs_.size(); ++i) list.append(result(i));
    return list;
  }

 private:
  void add_input(size_t i, const py::object& object) {
    const onnxc_value_info& info = info_.inputs[i];
    if (is_list(info)) return inputs_.push_back(list_value(info, object));
    const auto array = py::cast<py::array>(object);
    onnxc_value value = value_of(info, array.shape(), static_cast<size_t>(array.ndim()));
    const size_t count = static_cast<size_t>(array.size());
    if (info.kind == ONNXC_STRING_TENSOR) {
      value.data = texts_of(array);
    } else if (is_sub_byte(info.elem)) {
      packed_inputs_[i].resize(packed_bytes(info.elem, count));
      pack(static_cast<const uint8_t*>(array.data()), packed_inputs_[i].data(), count, info.elem);
      value.data = packed_inputs_[i].data();
    } else {
      value.data = const_cast<void*>(array.data());
    }
    value.capacity = packed_bytes(info.elem, count);
    inputs_.push_back(value);
  }

  static onnxc_value tensor_value(const onnxc_value_info& info, const py::array& array) {
    onnxc_value value = value_of(info, array.shape(), static_cast<size_t>(array.ndim()));
    value.kind = ONNXC_TENSOR;
    value.data = const_cast<void*>(array.data());
    value.capacity = static_cast<uint64_t>(array.nbytes());
    return value;
  }

  // None, an array, or a list of arrays.
  onnxc_value list_value(const onnxc_value_info& info, const py::object& object) {
    onnxc_value value = value_of(info, nullptr, 0);
    value.kind = ONNXC_OPTIONAL;
    if (object.is_none()) return value;
    if (!py::isinstance<py::list>(object)) return tensor_value(info, py::cast<py::array>(object));
    std::vector<onnxc_value>& elements = elements_.emplace_back();
    for (const py::handle element : object) elements.push_back(tensor_value(info, py::cast<py::array>(element)));
    value.kind = ONNXC_SEQUENCE;
    value.rank = 1;
    value.dims[0] = static_cast<int64_t>(elements.size());
    value.data = elements.data();
    return value;
  }

  onnxc_string* texts_of(const py::array& array) {
    auto* const* elements = static_cast<PyObject* const*>(array.data());
    std::vector<onnxc_string>& texts = texts_.emplace_back();
    for (py::ssize_t k = 0; k < array.size(); ++k) texts.push_back(text_of(elements[k], held_));
    return texts.data();
  }

  // Static outputs are written into numpy's memory; the others get theirs from the host when their dims are known.
  void add_output(size_t i) {
    const onnxc_value_info& info = info_.outputs[i];
    if (!(info.flags & ONNXC_STATIC) || info.kind == ONNXC_STRING_TENSOR) {
      outputs_.push_back(value_of(info, nullptr, 0));
      arrays_.emplace_back();
      return;
    }
    std::vector<py::ssize_t> dims(info.dims, info.dims + info.rank);
    py::array array(dtypes_[i], dims);
    onnxc_value value = value_of(info, dims.data(), dims.size());
    const size_t bytes = packed_bytes(info.elem, static_cast<size_t>(array.size()));
    if (is_sub_byte(info.elem)) {
      packed_outputs_[i].resize(bytes);
      value.data = packed_outputs_[i].data();
    } else {
      value.data = array.mutable_data();
    }
    value.capacity = bytes;
    outputs_.push_back(value);
    arrays_.push_back(std::move(array));
  }

  static py::array copy_of(const onnxc_value& value, const py::dtype& dtype) {
    const std::vector<py::ssize_t> dims(value.dims, value.dims + value.rank);
    py::array array(dtype, dims);
    if (value.data) std::memcpy(array.mutable_data(), value.data, static_cast<size_t>(array.nbytes()));
    return array;
  }

  py::object list_result(size_t i) {
    const onnxc_value& value = outputs_[i];
    if (value.kind == ONNXC_OPTIONAL) return py::none();
    py::object result;
    if (value.kind == ONNXC_SEQUENCE) {
      py::list list;
      for (int64_t k = 0; k < value.dims[0]; ++k)
        list.append(copy_of(static_cast<const onnxc_value*>(value.data)[k], dtypes_[i]));
      result = list;
    } else {
      result = copy_of(value, dtypes_[i]);
    }
    if (value.data) host_.release(host_.user, value.data);
    return result;
  }

  py::object result(size_t i) {
    onnxc_value& value = outputs_[i];
    if (is_list(info_.outputs[i])) return list_result(i);
    if (value.kind == ONNXC_STRING_TENSOR) {
      const auto release = [this](void* memory) { host_.release(host_.user, memory); };
      const std::unique_ptr<void, decltype(release)> owner(value.data, release);
      return objects_of(value);
    }
    if (info_.outputs[i].flags & ONNXC_STATIC) {
      if (is_sub_byte(value.elem)) unpack_into(arrays_[i], value);
      return arrays_[i];
    }
    std::vector<py::ssize_t> dims(value.dims, value.dims + value.rank);
    if (is_sub_byte(value.elem)) {
      py::array array(dtypes_[i], dims);
      unpack_into(array, value);
      host_.release(host_.user, value.data);
      return array;
    }
    if (!value.data) return py::array(dtypes_[i], dims);                     // empty
    py::capsule owner(value.data, [](void* memory) { std::free(memory); });  // as libonnxc_rt's host releases
    return py::array(dtypes_[i], dims, value.data, owner);
  }

  // ml_dtypes holds signed elements without their sign extended, as if they were unsigned.
  static void unpack_into(py::array& array, const onnxc_value& value) {
    constexpr onnxc_elem kUint4 = 21, kInt4 = 22, kUint2 = 25, kInt2 = 26;
    const onnxc_elem elem = value.elem == kInt4 ? kUint4 : value.elem == kInt2 ? kUint2 : value.elem;
    unpack(static_cast<const uint8_t*>(value.data), static_cast<uint8_t*>(array.mutable_data()),
           static_cast<uint64_t>(array.size()), elem);
  }

  const onnxc_model_info& info_;
  const onnxc_host& host_;
  const std::vector<py::dtype>& dtypes_;
  std::vector<onnxc_value> inputs_, outputs_;
  std::vector<py::array> arrays_;
  std::vector<std::vector<uint8_t>> packed_inputs_, packed_outputs_;
  std::deque<std::vector<onnxc_value>> elements_;  // of the sequences among the inputs
  std::vector<std::vector<onnxc_string>> texts_;
  std::vector<py::object> held_;  // whose characters the texts are
};

// A session of a model whose inputs and outputs are arrays of these types.
class Session {
 public:
  Session(std::shared_ptr<LoadedModel> model, int32_t threads, std::vector<py::dtype> inputs,
          std::vector<py::dtype> outputs)
      : session_(std::move(model), threads), input_types_(std::move(inputs)), output_types_(std::move(outputs)) {
    const onnxc_model_info& info = session_.model().info();
    for (uint32_t i = 0; i < info.num_inputs; ++i) names_.emplace_back(info.inputs[i].name);
  }

  // `inputs` in the model's order: arrays, each C-contiguous, aligned, and of its declared element type; lists of such
  // arrays; None.
  py::list run(const std::vector<py::object>& inputs) {
    Run call(session_, inputs, output_types_);
    call.execute(session_);
    return call.results();
  }
  // The usual case, kept short: a dict of all inputs of the model and nothing else, each an array of the declared type
  // and dims, C-contiguous and aligned. None: there is something to check or to convert.
  py::object run_fitting(const py::object& feed) {
    if (!PyDict_CheckExact(feed.ptr()) || PyDict_GET_SIZE(feed.ptr()) != static_cast<Py_ssize_t>(names_.size()))
      return py::none();
    std::vector<py::object> inputs(names_.size());
    for (size_t i = 0; i < names_.size(); ++i) {
      PyObject* value = PyDict_GetItemWithError(feed.ptr(), names_[i].ptr());
      if (!value && PyErr_Occurred()) throw py::error_already_set();
      if (!value || !fits(i, value)) return py::none();
      inputs[i] = py::reinterpret_borrow<py::object>(value);
    }
    return run(inputs);
  }

 private:
  bool fits(size_t i, PyObject* value) const {
    using Numpy = py::detail::npy_api;
    constexpr int needed = Numpy::NPY_ARRAY_C_CONTIGUOUS_ | Numpy::NPY_ARRAY_ALIGNED_;
    const onnxc_value_info& info = session_.model().info().inputs[i];
    if (info.kind != ONNXC_TENSOR || Py_TYPE(value) != Numpy::get().PyArray_Type_) return false;
    const auto* array = py::detail::array_proxy(value);
    // numpy has one object for each of its own types in the machine's byte order.
    if (array->descr != input_types_[i].ptr() || (array->flags & needed) != needed) return false;
    if (array->nd != info.rank) return false;
    for (int d = 0; d < array->nd; ++d)
      if (info.dims[d] >= 0 && info.dims[d] != array->dimensions[d]) return false;
    return true;
  }

  ModelSession session_;
  std::vector<py::dtype> input_types_, output_types_;
  std::vector<py::str> names_;  // of the inputs
};

}  // namespace

PYBIND11_MODULE(_runtime, module) {
  module.doc() = "Compiled models over onnxc's C ABI";
  static py::exception<ModelError> error(module, "ModelError");  // args: (status, text)
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(std::move(pointer));
    } catch (const ModelError& e) {
      PyErr_SetObject(error.ptr(), py::make_tuple(static_cast<int>(e.status), e.what()).ptr());
    }
  });

  py::class_<LoadedModel, std::shared_ptr<LoadedModel>>(module, "Model")
      .def(py::init<const std::string&>(), py::arg("path"))
      .def_property_readonly("name", [](const LoadedModel& m) { return m.info().name; })
      .def_property_readonly("compiler", [](const LoadedModel& m) { return m.info().compiler; })
      .def_property_readonly("target", [](const LoadedModel& m) { return m.info().target; })
      .def_property_readonly("arena_bytes", [](const LoadedModel& m) { return m.info().arena_bytes; })
      .def_property_readonly("weights_bytes", [](const LoadedModel& m) { return m.info().weights_bytes; })
      .def_property_readonly("inputs",
                             [](const LoadedModel& m) { return describe_all(m.info().inputs, m.info().num_inputs); })
      .def_property_readonly("outputs",
                             [](const LoadedModel& m) { return describe_all(m.info().outputs, m.info().num_outputs); })
      .def_property_readonly("operations", [](const LoadedModel& m) { return operations_of(m.info()); })
      .def_property_readonly("metadata", [](const LoadedModel& m) { return metadata_of(m.info()); });

  py::class_<Session>(module, "Session")
      .def(py::init<std::shared_ptr<LoadedModel>, int32_t, std::vector<py::dtype>, std::vector<py::dtype>>(),
           py::arg("model"), py::arg("threads"), py::arg("input_types"), py::arg("output_types"))
      .def("run", &Session::run, py::arg("inputs"))
      .def("run_fitting", &Session::run_fitting, py::arg("feed"));
}

}  // namespace onnxc::python
