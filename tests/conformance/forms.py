"""The forms in which a case is compiled. A form takes a case to a model and to arguments of onnxc; what is fed may shrink."""

import dataclasses
import zlib

import onnx
from onnx import numpy_helper


@dataclasses.dataclass
class Form:
    name: str
    what: str
    in_full: bool = False  # without --all too, but not with --tenth
    backend: str = "llvm"
    sanitized: bool = False  # the address sanitizer's runtime must be loaded first
    arguments: tuple = ()
    only_sources: bool = False  # nothing is built or run: for a compiler that watches itself; only when named

    def takes(self, case, options):
        """All cases with --all or for a form run in full; otherwise a tenth, chosen by name."""
        return (
            options.all
            or (self.in_full and not options.tenth)
            or zlib.crc32(f"{self.name} {case.name}".encode()) % 10 == 0
        )

    def build(self, case, feeds):
        """(model, arguments of onnxc, what to feed)."""
        return case.model, list(self.arguments), feeds


@dataclasses.dataclass
class Undeclared(Form):
    """No dim of an input is declared: --shape gives them, or only the run."""

    gives_shapes: bool = False

    def build(self, case, feeds):
        model = onnx.ModelProto()
        model.CopyFrom(case.model)
        arguments = []
        for k, value in enumerate(model.graph.input):
            if value.name not in feeds or value.type.WhichOneof("value") != "tensor_type":
                continue
            dims = value.type.tensor_type.shape.dim
            for axis, dim in enumerate(dims):
                dim.Clear()
                dim.dim_param = f"dim_{k}_{axis}"
            if self.gives_shapes and len(dims):
                arguments += ["--shape", f"{value.name}={','.join(str(d) for d in feeds[value.name].shape)}"]
        for value in model.graph.output:
            if value.type.WhichOneof("value") == "tensor_type":
                for dim in value.type.tensor_type.shape.dim:
                    dim.Clear()
        del model.graph.value_info[:]
        return model, arguments, feeds


class Constant(Form):
    """Every input is an initializer: the compiler's own folding computes the outputs."""

    def build(self, case, feeds):
        model = onnx.ModelProto()
        model.CopyFrom(case.model)
        left = []
        for value in model.graph.input:
            array = feeds.get(value.name)
            if value.type.WhichOneof("value") != "tensor_type" or array is None or isinstance(array, list):
                left.append(value)
                continue
            model.graph.initializer.append(numpy_helper.from_array(array, value.name))
        kept = [onnx.ValueInfoProto.FromString(v.SerializeToString()) for v in left]
        del model.graph.input[:]
        model.graph.input.extend(kept)
        return model, [], {v.name: feeds[v.name] for v in kept if v.name in feeds}


FORMS = {
    f.name: f
    for f in [
        Form("static", "LLVM back end, shapes as declared", in_full=True),
        Form("cpp", "C++ back end, many models per translation unit", backend="cpp"),
        Form("sources", "C++ back end, sources only", arguments=("--emit=cpp",), only_sources=True),
        Undeclared("shape", "no dim declared in the file, --shape at compile time", gives_shapes=True),
        Undeclared("dynamic", "no dim declared in the file, compiled with free dims"),
        Constant("constant", "all inputs constant"),
        Form("debug-plan", "each buffer a guarded allocation", arguments=("--debug-plan",)),
        Form(
            "sanitize", "generated code with the address sanitizer", sanitized=True, arguments=("--sanitize=address",)
        ),
    ]
}
