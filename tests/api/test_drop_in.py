"""A program written for ONNX Runtime works when only its import line changes."""

import subprocess
import sys

import numpy
import onnx
import onnxc
import onnxruntime
import pytest
import small_models

PROGRAM = """
import numpy
import {module} as rt
numpy.random.seed(3)
sess = rt.InferenceSession("{model}", providers=rt.get_available_providers())
input_name = sess.get_inputs()[0].name
output_name = sess.get_outputs()[0].name
x = numpy.random.random((3, 4, 5)).astype(numpy.float32)
res = sess.run([output_name], {{input_name: x}})
print(res[0])
"""


def run_program(module, model):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module, model=model)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_program(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(small_models.two_outputs(), path)
    assert run_program("onnxc", path) == run_program("onnxruntime", path)


def test_the_program_on_a_compiled_model(tmp_path):
    path, compiled = tmp_path / "model.onnx", tmp_path / "model.so"
    onnx.save(small_models.two_outputs(), path)
    subprocess.run([sys.executable, "-m", "onnxc", "-q", str(path), "-o", str(compiled)], check=True)
    assert run_program("onnxc", compiled) == run_program("onnxruntime", path)


@pytest.fixture
def both():
    """Makes a session of the same model in each."""

    def make(model, **options):
        content = model.SerializeToString()
        return onnxc.InferenceSession(content, **options), onnxruntime.InferenceSession(content, **options)

    return make


def test_what_sessions_tell(both):
    for model in (
        small_models.two_outputs(),
        small_models.matmul_relu(),
        small_models.add_two(("a", None), (), ("a", None)),
    ):
        ours, theirs = both(model)
        assert [str(a) for a in ours.get_inputs()] == [str(a) for a in theirs.get_inputs()]
        assert [str(a) for a in ours.get_outputs()] == [str(a) for a in theirs.get_outputs()]
        mine, yours = ours.get_modelmeta(), theirs.get_modelmeta()
        fields = ("producer_name", "graph_name", "domain", "description", "graph_description", "version")
        assert {f: getattr(mine, f) for f in fields} == {f: getattr(yours, f) for f in fields}
        assert mine.custom_metadata_map == yours.custom_metadata_map
    assert onnxc.get_device() == onnxruntime.get_device()


def test_order_and_choice_of_outputs(both):
    ours, theirs = both(small_models.two_outputs())
    x = numpy.random.default_rng(1).standard_normal((3, 4, 5)).astype(numpy.float32)
    for names in (None, [], ["s"], ["t"], ["t", "s"], ["s", "s", "t"], ("t",)):
        mine, yours = ours.run(names, {"x": x}), theirs.run(names, {"x": x})
        assert isinstance(mine, list) and len(mine) == len(yours)
        for a, b in zip(mine, yours, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            numpy.testing.assert_allclose(a, b, rtol=1e-6)
    numpy.testing.assert_array_equal(ours.run(output_names=["s"], input_feed={"x": x})[0], numpy.maximum(x, 0))


def test_free_dims_compile_at_the_first_run_of_each_shape(both, own_cache):
    ours, theirs = both(small_models.matmul_relu())
    assert not list(own_cache.glob("*.so"))
    for rows in (1, 5, 5, 32, 1):
        x = numpy.random.default_rng(rows).standard_normal((rows, 8)).astype(numpy.float32)
        numpy.testing.assert_allclose(ours.run(None, {"x": x})[0], theirs.run(None, {"x": x})[0], rtol=1e-5, atol=1e-6)
    assert len(list(own_cache.glob("*.so"))) == 3


def test_a_named_dim_fixed_by_an_option(own_cache):
    options = onnxc.SessionOptions()
    options.add_free_dimension_override_by_name("N", 4)
    session = onnxc.InferenceSession(small_models.matmul_relu().SerializeToString(), options)
    assert session.get_inputs()[0].shape == [4, 8]
    assert len(list(own_cache.glob("*.so"))) == 1
    assert session.run(None, {"x": numpy.zeros((4, 8), numpy.float32)})[0].shape == (4, 16)
