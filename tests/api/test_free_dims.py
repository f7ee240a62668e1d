"""Models compiled with free dims: any shape, one artefact."""

import pathlib
import subprocess

import numpy
import onnx
import onnxc
import onnxruntime
import pytest
import small_models
from onnx import helper
from test_command_line import run

ROOT = pathlib.Path(__file__).parents[2]
RNG = numpy.random.default_rng(11)


def compiled(model: onnx.ModelProto, folder, *options) -> str:
    onnx.save(model, folder / "model.onnx")
    outcome = run(folder / "model.onnx", *options, "-o", folder / "model.so")
    assert outcome.returncode == 0, outcome.stderr
    return str(folder / "model.so")


def convolutions() -> onnx.ModelProto:
    """Two convolutions, a pool and a mean over free images, heights and widths"""

    def weights(name, *dims):
        return onnx.numpy_helper.from_array(RNG.standard_normal(dims).astype(numpy.float32) * 0.2, name)

    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["a"], "conv0", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["r"], "relu0"),
        helper.make_node("Conv", ["r", "v"], ["c"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c", "r"], ["s"], "add0"),
        helper.make_node("MaxPool", ["s"], ["p"], "pool0", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["p"], ["y"], "mean0"),
    ]
    return small_models.model(
        nodes,
        [small_models.value("x", ("N", 3, "H", "W"))],
        [small_models.value("y", ("N", 24, 1, 1)), small_models.value("p", ("N", 24, "P", "Q"))],
        [weights("w", 24, 3, 3, 3), weights("b", 24), weights("v", 24, 24, 3, 3)],
    )


def sums() -> onnx.ModelProto:
    """(x + z) * v, all dims free"""
    nodes = [helper.make_node("Add", ["x", "z"], ["a"], "add0"), helper.make_node("Mul", ["a", "v"], ["y"], "mul0")]
    inputs = [small_models.value("x", ("N", "M")), small_models.value("z", ("P", "Q")), small_models.value("v", ("R",))]
    return small_models.model(nodes, inputs, [small_models.value("y", (None, None))])


def grid() -> onnx.ModelProto:
    """Places on a map of half the height and width, by floats, as detectors make their anchors"""

    def number(name, value, elem=numpy.float32):
        return onnx.numpy_helper.from_array(numpy.array(value, elem), name)

    def side(axis, name):
        return [
            helper.make_node("Gather", ["shape", f"axis{axis}"], [f"{name}_dim"], f"{name}_gather"),
            helper.make_node("Cast", [f"{name}_dim"], [f"{name}_float"], f"{name}_cast", to=onnx.TensorProto.FLOAT),
            helper.make_node("Div", [f"{name}_float", "two"], [f"{name}_half"], f"{name}_div"),
            helper.make_node("Floor", [f"{name}_half"], [f"{name}_floor"], f"{name}_floor0"),
            helper.make_node("Range", ["zero", f"{name}_floor", "one"], [name], f"{name}_range"),
        ]

    nodes = [
        helper.make_node("Shape", ["x"], ["shape"], "shape0"),
        *side(2, "rows"),
        *side(3, "columns"),
        helper.make_node("Unsqueeze", ["rows", "axis1"], ["column"], "unsqueeze0"),
        helper.make_node("Add", ["column", "columns"], ["y"], "add0"),
    ]
    constants = [number("zero", 0), number("one", 1), number("two", 2), number("axis1", [1], numpy.int64)]
    constants += [number("axis2", 2, numpy.int64), number("axis3", 3, numpy.int64)]
    return small_models.model(
        nodes, [small_models.value("x", ("N", 3, "H", "W"))], [small_models.value("y", ("P", "Q"))], constants
    )


def kernel_of_any_size() -> onnx.ModelProto:
    """A convolution by weights that are an input"""
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], "conv0", auto_pad="SAME_LOWER", strides=[1, 2])]
    inputs = [small_models.value("x", ("N", "C", "H", "W")), small_models.value("w", ("O", "C", "P", "Q"))]
    return small_models.model(nodes, inputs, [small_models.value("y", ("N", "O", "R", "S"))])


def spectrum() -> onnx.ModelProto:
    """DFT of a signal of any length, and back"""
    nodes = [
        helper.make_node("DFT", ["x"], ["y"], "dft0"),
        helper.make_node("DFT", ["y"], ["z"], "dft1", inverse=1),
    ]
    made = [small_models.value(name, ("N", "L", 2)) for name in "yz"]
    return small_models.model(nodes, [small_models.value("x", ("N", "L", "P"))], made, opset=20)


def wide_convolution() -> onnx.ModelProto:
    """Channels enough for Winograd's forms: with F(4,3) or F(2,3), by the likely dims"""
    w = onnx.numpy_helper.from_array(RNG.standard_normal((64, 32, 3, 3)).astype(numpy.float32) * 0.02, "w")
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], "conv0", pads=[1, 1, 1, 1])]
    inputs = [small_models.value("x", ("N", 32, "H", "W"))]
    return small_models.model(nodes, inputs, [small_models.value("y", ("N", 64, "P", "Q"))], [w])


SHAPES = {
    "grid": (grid, [{"x": (1, 3, 8, 6)}, {"x": (1, 3, 5, 7)}, {"x": (2, 3, 1, 1)}]),
    "kernel": (
        kernel_of_any_size,
        [
            {"x": (1, 2, 9, 8), "w": (3, 2, 3, 3)},
            {"x": (2, 5, 6, 40), "w": (17, 5, 2, 5)},
            {"x": (1, 1, 4, 4), "w": (1, 1, 1, 1)},
        ],
    ),
    "spectrum": (spectrum, [{"x": (1, 8, 1)}, {"x": (2, 7, 2)}, {"x": (1, 1, 1)}]),
    "wide": (
        wide_convolution,
        [{"x": (n, 32, h, w)} for n, h, w in [(1, 128, 128), (2, 1, 1), (1, 3, 2), (0, 8, 8), (3, 9, 33), (1, 57, 5)]],
    ),
    "matmul": (small_models.matmul_relu, [{"x": (3, 8)}, {"x": (1, 8)}, {"x": (100, 8)}, {"x": (0, 8)}]),
    "conv": (convolutions, [{"x": (1, 3, 32, 32)}, {"x": (2, 3, 17, 40)}, {"x": (1, 3, 4, 4)}]),
    "sums": (
        sums,
        [
            {"x": (3, 4), "z": (3, 4), "v": (4,)},
            {"x": (3, 4), "z": (1, 4), "v": (1,)},
            {"x": (3, 1), "z": (1, 4), "v": (4,)},
        ],
    ),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("threads", [1, 2])
def test_every_shape_gives_what_onnx_runtime_gives(name, threads, tmp_path):
    make, feeds = SHAPES[name]
    model = make()
    options = onnxc.SessionOptions()
    options.intra_op_num_threads = threads
    ours = onnxc.InferenceSession(compiled(model, tmp_path), options)
    theirs = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for shapes in feeds * 2:
        feed = {key: RNG.standard_normal(dims).astype(numpy.float32) for key, dims in shapes.items()}
        for got, wanted in zip(ours.run(None, feed), theirs.run(None, feed), strict=True):
            assert got.shape == wanted.shape
            numpy.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "make, shapes, part",
    [
        (sums, {"x": (3, 4), "z": (2, 4), "v": (4,)}, "does not broadcast"),
        (convolutions, {"x": (1, 4, 8, 8)}, "Got: 4 Expected: 3"),
        (small_models.matmul_relu, {"x": (2, 3)}, "Got: 3 Expected: 8"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(make, shapes, part, tmp_path):
    session = onnxc.InferenceSession(compiled(make(), tmp_path))
    feed = {key: numpy.zeros(dims, numpy.float32) for key, dims in shapes.items()}
    with pytest.raises(Exception, match="INVALID_ARGUMENT") as caught:
        session.run(None, feed)
    assert part in str(caught.value)


PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include "model.h"

static void* allocate(void*, uint64_t bytes, uint64_t alignment) {
  return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}
static void release(void*, void* memory) { free(memory); }

int main() {
  onnxc_host host = {};
  host.struct_size = sizeof host;
  host.allocate = allocate;
  host.release = release;
  onnxc_create_args create = {};
  create.struct_size = sizeof create;
  create.abi_version = ONNXC_ABI_VERSION;
  create.host = &host;
  onnxc_session* session;
  onnxc_message message = {sizeof message, ""};
  const onnxc_model* model = model_get_model();
  if (model->create(&create, &session, &message)) return puts(message.text), 1;
  for (int64_t rows = 0; rows < 4; ++rows) {
    float x[32];
    for (int i = 0; i < 32; ++i) x[i] = static_cast<float>(i % 5 - 2);
    onnxc_value in = {sizeof in, ONNXC_TENSOR, 1, 2, {rows, 8}, x, sizeof x, nullptr};
    onnxc_value out = {};
    out.struct_size = sizeof out;
    onnxc_run_args run = {sizeof run, 1, 1, &in, &out, nullptr, 0};
    if (model->run(session, &run, &message)) return puts(message.text), 1;
    for (int64_t i = 0; i < out.dims[0] * out.dims[1]; ++i) printf("%.6g ", static_cast<const float*>(out.data)[i]);
    release(nullptr, out.data);
  }
  model->destroy(session);
}
"""


@pytest.mark.parametrize("backend", ["llvm", "cpp"])
def test_an_archive_runs_any_size(backend, tmp_path):
    model = small_models.matmul_relu()
    onnx.save(model, tmp_path / "model.onnx")
    outcome = run(tmp_path / "model.onnx", f"--backend={backend}", "--single-thread", "-o", tmp_path / "model.a")
    assert outcome.returncode == 0, outcome.stderr
    (tmp_path / "main.cc").write_text(PROGRAM)
    include = ROOT / "runtime_lib" / "include"
    subprocess.run(
        ["c++", "-std=c++17", f"-I{include}", f"-I{tmp_path}", "main.cc", "model.a", "-o", "main"],
        cwd=tmp_path,
        check=True,
    )
    printed = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout.split()
    theirs = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    whole = (numpy.arange(32) % 5 - 2).astype(numpy.float32).reshape(4, 8)
    wanted = numpy.concatenate([theirs.run(None, {"x": whole[:rows]})[0].ravel() for rows in range(4)])
    numpy.testing.assert_allclose(numpy.array(printed, numpy.float32), wanted, rtol=1e-4, atol=1e-5)


# ---- dims that the run computes


def ints(*values):
    return numpy.array(values, numpy.int64)


def value_of(name: str, array: numpy.ndarray):
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def shaped_by_inputs() -> tuple[onnx.ModelProto, list[dict]]:
    """The shapes of the outputs are what integer inputs say"""
    floats = RNG.standard_normal((4, 6)).astype(numpy.float32)
    feeds = [
        {"x": floats, "shape": ints(3, 8), "begin": ints(1), "end": ints(-1), "k": ints(2), "pads": ints(0, 1, 2, 0)},
        {"x": floats, "shape": ints(2, -1), "begin": ints(-3), "end": ints(99), "k": ints(6), "pads": ints(0, 0, 0, 0)},
        {"x": floats, "shape": ints(0, 6), "begin": ints(2), "end": ints(2), "k": ints(0), "pads": ints(1, -1, 0, 3)},
    ]
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["reshaped"], "reshape0"),
        helper.make_node("Relu", ["reshaped"], ["r"], "relu0"),
        helper.make_node("Slice", ["x", "begin", "end", "begin1"], ["slice"], "slice0"),
        helper.make_node("TopK", ["x", "k"], ["top", "places"], "top0"),
        helper.make_node("Pad", ["x", "pads"], ["pad"], "pad0"),
    ]
    one = onnx.numpy_helper.from_array(ints(1), "begin1")
    outputs = [
        small_models.value("r", ("A", "B")),
        small_models.value("slice", (4, "C")),
        small_models.value("top", (4, "D")),
        small_models.value("pad", ("E", "F")),
    ]
    return small_models.model(nodes, [value_of(k, v) for k, v in feeds[0].items()], outputs, [one]), feeds


def shaped_by_results() -> tuple[onnx.ModelProto, list[dict]]:
    """Two stages: as long as the sum of what a cast gives, then as long as a maximum of that"""
    nodes = [
        helper.make_node("Cast", ["x"], ["lengths"], "cast0", to=onnx.TensorProto.INT64),
        helper.make_node("ReduceSum", ["lengths"], ["total"], "sum0", keepdims=0),
        helper.make_node("Range", ["zero", "total", "one"], ["steps"], "range0"),
        helper.make_node("Cast", ["steps"], ["floats"], "cast1", to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "half"], ["y"], "mul0"),
        helper.make_node("Mod", ["steps", "seven"], ["rest"], "mod0"),
        helper.make_node("ReduceMax", ["rest"], ["most"], "max0", keepdims=1),
        helper.make_node("Expand", ["y", "most2"], ["wide"], "expand0"),
        helper.make_node("Concat", ["most", "one1"], ["most2"], "concat0", axis=0),
    ]
    constants = {
        "zero": numpy.int64(0),
        "one": numpy.int64(1),
        "one1": ints(1),
        "seven": numpy.int64(7),
        "half": numpy.float32(0.5),
    }
    weights = [onnx.numpy_helper.from_array(numpy.asarray(v), k) for k, v in constants.items()]
    order = [nodes[i] for i in (0, 1, 2, 3, 4, 5, 6, 8, 7)]
    feeds = [{"x": numpy.array(v, numpy.float32)} for v in ([1, 2, 3, 4], [0, 0, 0, 1], [90, 1, 1, 8], [2, 0, 0, 0])]
    outputs = [small_models.value("y", ("L",)), small_models.value("wide", ("M", "L"))]
    return small_models.model(order, [small_models.value("x", (4,))], outputs, weights), feeds


@pytest.mark.parametrize("make", [shaped_by_inputs, shaped_by_results])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("backend", ["llvm", "cpp"])
def test_dims_that_the_run_computes(make, threads, backend, tmp_path):
    model, feeds = make()
    options = onnxc.SessionOptions()
    options.intra_op_num_threads = threads
    ours = onnxc.InferenceSession(compiled(model, tmp_path, f"--backend={backend}", "--thread-grain=0"), options)
    theirs = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for feed in feeds * 3:
        for got, wanted in zip(ours.run(None, feed), theirs.run(None, feed), strict=True):
            assert got.shape == wanted.shape
            numpy.testing.assert_allclose(got, wanted, rtol=1e-5)


@pytest.mark.parametrize(
    "name, value, part",
    [
        ("shape", ints(5, 5), "cannot be reshaped"),
        ("shape", ints(-2, -12), "would be negative"),
        ("k", ints(7), "outside of axis"),
        ("k", ints(-1), "outside of axis"),
        ("pads", ints(0, 2**62, 0, 0), "fits no memory"),
        ("pads", ints(-5, 0, 0, 0), "would have a dim"),
    ],
)
def test_values_that_give_no_shape_are_refused(name, value, part, tmp_path):
    model, feeds = shaped_by_inputs()
    session = onnxc.InferenceSession(compiled(model, tmp_path))
    with pytest.raises(Exception, match=part):
        session.run(None, {**feeds[0], name: value})
    session.run(None, feeds[0])  # and the session lives on


def test_a_stage_that_fails_leaves_nothing(tmp_path):
    model, feeds = shaped_by_results()
    session = onnxc.InferenceSession(compiled(model, tmp_path))
    for _ in range(3):
        with pytest.raises(Exception, match="memory"):
            session.run(None, {"x": numpy.full(4, 2.0**60, numpy.float32)})
        session.run(None, feeds[0])


def zeros_beside_rank_4(op: str, *, rank=4) -> onnx.ModelProto:
    """Zeros whose dims are an input of free length, and `op` of them and a tensor of four dims"""
    nodes = [
        helper.make_node("ConstantOfShape", ["sizes"], ["zeros"], "zeros0"),
        helper.make_node(op, ["zeros", "x"], ["y"], "join0", **({"axis": 0} if op == "Concat" else {})),
    ]
    inputs = [small_models.value("sizes", ("count",), onnx.TensorProto.INT64), small_models.value("x", ("N", 2, 3, 1))]
    return small_models.model(nodes, inputs, [small_models.value("y", (None,) * rank)])


def test_the_only_length_that_fits_is_found(tmp_path):
    path = compiled(zeros_beside_rank_4("Concat"), tmp_path)
    session = onnxc.InferenceSession(path)
    x = numpy.ones((5, 2, 3, 1), numpy.float32)
    (y,) = session.run(None, {"sizes": numpy.array([4, 2, 3, 1]), "x": x})
    numpy.testing.assert_array_equal(y, numpy.concatenate([numpy.zeros((4, 2, 3, 1), numpy.float32), x]))
    with pytest.raises(onnxc.InvalidArgument, match="sizes"):
        session.run(None, {"sizes": numpy.array([4, 2, 3]), "x": x})


@pytest.mark.parametrize(("op", "rank"), [("Add", 4), ("Concat", 3)])
def test_no_length_or_several_is_an_error(op, rank, tmp_path):
    """Zeros of any rank up to 4 may be added; none makes three dims of four."""
    onnx.save(zeros_beside_rank_4(op, rank=rank), tmp_path / "model.onnx")
    outcome = run(tmp_path / "model.onnx", "-o", tmp_path / "model.so")
    assert outcome.returncode == 4
    assert "known rank" in outcome.stderr
    assert not (tmp_path / "model.so").exists()
