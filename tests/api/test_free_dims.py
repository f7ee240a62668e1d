"""Models compiled with free dims: any shape, one artefact."""

import numpy
import onnx
import onnxc
import onnxruntime
import pytest
import small_models
from onnx import helper
from test_command_line import run

RNG = numpy.random.default_rng(11)


def compiled(model: onnx.ModelProto, folder) -> str:
    onnx.save(model, folder / "model.onnx")
    outcome = run(folder / "model.onnx", "-o", folder / "model.so")
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


SHAPES = {
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


def test_an_archive_says_that_it_needs_fixed_dims(tmp_path):
    onnx.save(small_models.matmul_relu(), tmp_path / "model.onnx")
    outcome = run(tmp_path / "model.onnx", "-o", tmp_path / "model.a")
    assert outcome.returncode == 4
    assert "--dim NAME=N" in outcome.stderr
    assert not (tmp_path / "model.a").exists()
