"""Bad input, one file each: the exit code says which kind of error, the message names what is at fault, nothing is left behind.

`python tests/api/test_bad_input.py` prints the table: input, exit code, message."""

import pathlib
import random
import sys

import numpy
import onnx
import pytest
from onnx import TensorProto, helper

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.compiler import compile_model

USAGE, INVALID, UNSUPPORTED, ENVIRONMENT = 2, 3, 4, 5


def model_of(nodes, inputs=None, outputs=None, initializers=(), opset=20):
    f32 = TensorProto.FLOAT
    inputs = inputs or [helper.make_tensor_value_info("x", f32, [2, 3])]
    outputs = outputs or [helper.make_tensor_value_info("z", f32, None)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def node(op, inputs, outputs, name="the_node", **attributes):
    return helper.make_node(op, inputs, outputs, name=name, **attributes)


def relu():
    return model_of([node("Relu", ["x"], ["z"])])


def raw_tensor(name, dims, raw, type=TensorProto.FLOAT):
    tensor = TensorProto(name=name, data_type=type, raw_data=raw)
    tensor.dims.extend(dims)
    return tensor


def with_weight(tensor):
    return model_of([node("Add", ["x", "w"], ["z"])], initializers=[tensor])


def external(location, offset=None, length=None):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.dims.extend([2, 3])
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    return with_weight(tensor)


def random_bytes():
    return random.Random(1).randbytes(4096)


def cyclic():
    return model_of(
        [
            node("Add", ["x", "b"], ["a"], "first"),
            node("Add", ["x", "a"], ["b"], "second"),
            node("Relu", ["b"], ["z"], "third"),
        ]
    )


def twice():
    return model_of([node("Relu", ["x"], ["z"], "first"), node("Neg", ["x"], ["z"], "second")])


def two_initializers():
    w = raw_tensor("w", [2, 3], bytes(24))
    model = with_weight(w)
    model.graph.initializer.append(w)
    return model


def two_types():
    return model_of(
        [node("Add", ["x", "y"], ["z"])],
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3]),
            helper.make_tensor_value_info("y", TensorProto.INT64, [2, 3]),
        ],
    )


def two_shapes():
    return model_of(
        [node("Add", ["x", "y"], ["z"])],
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3]),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4]),
        ],
    )


def reshape_to(*dims):
    shape = helper.make_tensor("shape", TensorProto.INT64, [len(dims)], dims)
    return model_of([node("Reshape", ["x", "shape"], ["z"])], initializers=[shape])


def input_of(*dims):
    return model_of([node("Relu", ["x"], ["z"])], [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)])


def expand_to(*dims):
    shape = helper.make_tensor("shape", TensorProto.INT64, [len(dims)], dims)
    return model_of(
        [node("Expand", ["x", "shape"], ["z"])],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        initializers=[shape],
    )


def negative_dim_computed():
    """A convolution whose window is larger than its input."""
    return model_of(
        [node("Conv", ["x", "w"], ["z"])],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 2, 2])],
        initializers=[raw_tensor("w", [1, 1, 5, 5], bytes(100))],
    )


def unsupported_pair():
    return model_of(
        [
            helper.make_node("Strange", ["x"], ["a"], name="first", domain="com.example"),
            helper.make_node("Stranger", ["a"], ["z"], name="second", domain="com.example"),
        ]
    )


def recursive_function():
    f = helper.make_function(
        "local",
        "f",
        ["a"],
        ["b"],
        [helper.make_node("f", ["a"], ["b"], domain="local")],
        [helper.make_opsetid("local", 1)],
    )
    graph = helper.make_graph(
        [helper.make_node("f", ["x"], ["z"], domain="local")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [2])],
    )
    return helper.make_model(
        graph,
        functions=[f],
        opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("local", 1)],
        ir_version=10,
    )


def without_opset():
    model = relu()
    del model.opset_import[:]
    return model


# name: (bytes, model, or None for no file at all; exit code; what the message must hold)
CASES = {
    "missing file": (None, ENVIRONMENT, ["model.onnx"]),
    "empty file": (b"", INVALID, ["empty"]),
    "random bytes": (random_bytes, INVALID, ["model.onnx"]),
    "text": (b"hello, this is no model at all\n", INVALID, ["model.onnx"]),
    "truncated file": (
        lambda: with_weight(raw_tensor("w", [2, 3], bytes(24))).SerializeToString()[:-20],
        INVALID,
        ["model.onnx"],
    ),
    "no opset import": (without_opset, INVALID, ["opset"]),
    "unknown operator": (lambda: model_of([node("Relo", ["x"], ["z"])]), INVALID, ["the_node", "Relo"]),
    "unknown domain": (unsupported_pair, UNSUPPORTED, ["first", "com.example::Strange", "com.example::Stranger"]),
    "opset too new": (lambda: model_of([node("Relu", ["x"], ["z"])], opset=9999), UNSUPPORTED, ["9999"]),
    "operator newer than its opset": (
        lambda: model_of([node("Gelu", ["x"], ["z"])], opset=9),
        INVALID,
        ["the_node", "Gelu"],
    ),
    "unknown attribute": (lambda: model_of([node("Relu", ["x"], ["z"], slope=1.0)]), INVALID, ["the_node", "slope"]),
    "attribute of the wrong type": (
        lambda: model_of([node("LeakyRelu", ["x"], ["z"], alpha="much")]),
        INVALID,
        ["the_node", "alpha"],
    ),
    "too many inputs": (lambda: model_of([node("Relu", ["x", "x"], ["z"])]), INVALID, ["the_node", "input"]),
    "cycle": (cyclic, INVALID, ["first", "second", "cycle"]),
    "dangling input": (lambda: model_of([node("Add", ["x", "nowhere"], ["z"])]), INVALID, ["the_node", "nowhere"]),
    "dangling output": (lambda: model_of([node("Relu", ["x"], ["y"])]), INVALID, ['"z"']),
    "name defined twice": (twice, INVALID, ["first", "second", '"z"']),
    "initializer defined twice": (two_initializers, INVALID, ['"w"']),
    "element types clash": (two_types, INVALID, ["the_node", "f32", "i64"]),
    "shapes clash": (two_shapes, INVALID, ["the_node", "[2, 3]", "[2, 4]"]),
    "rank clash": (lambda: model_of([node("Conv", ["x", "x"], ["z"])]), INVALID, ["the_node"]),
    "reshape of other size": (lambda: reshape_to(4, 4), INVALID, ["the_node", "[4, 4]"]),
    "negative dim in a target shape": (lambda: reshape_to(-2, 3), INVALID, ["the_node"]),
    "negative dim in an initializer": (
        lambda: with_weight(raw_tensor("w", [2, -3], bytes(24))),
        INVALID,
        ['"w"', "-3"],
    ),
    "negative dim computed": (negative_dim_computed, INVALID, ["the_node"]),
    "overflowing dims in an initializer": (
        lambda: with_weight(raw_tensor("w", [2**40, 2**40], bytes(24))),
        INVALID,
        ['"w"'],
    ),
    "overflowing dims in an input": (lambda: input_of(2**40, 2**40), INVALID, ['"x"']),
    "overflowing dims computed": (lambda: expand_to(2**40, 2**40), INVALID, ["the_node"]),
    "data shorter than the shape": (
        lambda: with_weight(raw_tensor("w", [2, 3], bytes(20))),
        INVALID,
        ['"w"', "20", "24"],
    ),
    "unknown element type": (lambda: with_weight(raw_tensor("w", [2, 3], bytes(24), 77)), INVALID, ['"w"', "77"]),
    "function that calls itself": (recursive_function, INVALID, ["local::f"]),
    "external data absent": (lambda: external("absent.bin"), ENVIRONMENT, ['"w"', "absent.bin"]),
    "external data too short": (lambda: external("short.bin"), INVALID, ['"w"', "short.bin", "24"]),
    "external data of another length": (lambda: external("data.bin", 0, 12), INVALID, ['"w"', "12", "24"]),
    "external data by absolute path": (lambda: external("/etc/hostname"), INVALID, ['"w"', "/etc/hostname"]),
    "external data above the folder": (lambda: external("../data.bin"), INVALID, ['"w"', ".."]),
    "external data through a link": (lambda: external("link.bin"), INVALID, ['"w"', "link.bin"]),
}


def write_case(content, folder):
    """The model and the data files that the cases speak of. Returns the model's path."""
    folder = pathlib.Path(folder)
    inside = folder / "models"
    inside.mkdir()
    numpy.zeros(6, numpy.float32).tofile(folder / "data.bin")
    numpy.zeros(6, numpy.float32).tofile(inside / "data.bin")
    numpy.zeros(2, numpy.float32).tofile(inside / "short.bin")
    (inside / "link.bin").symlink_to(folder / "data.bin")
    path = inside / "model.onnx"
    if callable(content):
        content = content()
    if isinstance(content, onnx.ModelProto):
        content = content.SerializeToString()
    if content is not None:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name, tmp_path):
    content, code, parts = CASES[name]
    model = write_case(content, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    outcome = compile_model(model, tmp_path / "model.so", timeout=120)
    assert outcome.code == code, outcome.text
    for part in parts:
        assert part in outcome.text
    assert sorted(tmp_path.rglob("*")) == before, "something is left behind"


@pytest.mark.parametrize(
    "arguments, part", [(["--dim", "M=3"], "M"), (["--shape", "y=1,2"], "x"), (["--shape", "x=1,2,3"], "f32[N, 3]")]
)
def test_shape_options_that_do_not_fit(arguments, part, tmp_path):
    model = write_case(lambda: input_of("N", 3), tmp_path)
    outcome = compile_model(model, tmp_path / "model.so", arguments)
    assert outcome.code == USAGE, outcome.text
    assert part in outcome.text and not (tmp_path / "model.so").exists()


def test_negative_input_dims_are_unknown(tmp_path):
    model = write_case(lambda: input_of(-1, 3), tmp_path)
    outcome = compile_model(model, tmp_path / "model.so", ["--shape", "x=2,3"])
    assert outcome.ok, outcome.text


def print_table():
    import tempfile

    for name, (content, code, _) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            outcome = compile_model(write_case(content, folder), pathlib.Path(folder) / "model.so", timeout=120)
        text = outcome.text.strip().replace("\n", " ").replace(folder + "/", "")
        print(f"| {name} | {outcome.code}{'' if outcome.code == code else f' (wanted {code})'} | {text} |")


if __name__ == "__main__":
    print_table()
