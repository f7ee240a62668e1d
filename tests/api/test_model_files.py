"""Loading compiled models: what a session says of them, what it passes through, what it refuses."""

import functools
import pathlib
import shutil
import subprocess

import ml_dtypes
import numpy
import onnx
import onnxc
import pytest
import small_models
from onnxc import feeds
from support.compiler import compile_model

ROOT = pathlib.Path(__file__).resolve().parents[2]
X = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
Q = numpy.array([-8, -1, 0, 3, 7]).astype(ml_dtypes.int4)


@pytest.fixture(scope="session")
def handmade(tmp_path_factory):
    folder = tmp_path_factory.mktemp("handmade")

    @functools.cache
    def build(elem=22, abi=1):
        output = folder / f"handmade_{elem}_{abi}.so"
        defines = [f"-DHANDMADE_ELEM={elem}", f"-DHANDMADE_ABI={abi}u"]
        includes = [f"-I{ROOT}", f"-I{ROOT}/runtime_lib/include"]
        source = ROOT / "tests/api/handmade.cc"
        subprocess.run(
            ["g++", "-std=c++17", "-O1", "-shared", "-fPIC", *defines, *includes, str(source), "-o", str(output)],
            check=True,
        )
        return str(output)

    return build


def test_describes_itself(handmade):
    session = onnxc.InferenceSession(handmade())
    assert [str(arg) for arg in session.get_inputs()] == [
        "NodeArg(name='x', type='tensor(float)', shape=[2, 3])",
        "NodeArg(name='q', type='tensor(int4)', shape=[5])",
    ]
    assert [arg.name for arg in session.get_outputs()] == ["y", "p"]
    assert session.get_modelmeta().producer_name == "hand"
    assert session.get_modelmeta().custom_metadata_map == {"colour": "green"}


def test_runs(handmade):
    session = onnxc.InferenceSession(handmade(), providers=onnxc.get_available_providers())
    y, p = session.run(None, {"x": X, "q": Q})
    assert y.dtype == numpy.float32 and y.flags.writeable and (y == 2 * X).all()
    assert p.dtype == ml_dtypes.int4 and (p == Q).all()
    assert [a.tolist() for a in session.run(["p", "y", "p"], {"x": X, "q": Q})] == [p.tolist(), y.tolist(), p.tolist()]


def test_a_pathlib_path_is_fine(handmade):
    assert onnxc.InferenceSession(pathlib.Path(handmade())).get_inputs()[0].name == "x"


@pytest.mark.parametrize(
    ("elem", "dtype", "values"),
    [
        (2, numpy.uint8, [0, 1, 127, 128, 255]),
        (9, numpy.bool_, [True, False, True, True, False]),
        (17, ml_dtypes.float8_e4m3fn, [0, -1.5, 448, 0.125, 2]),
        (18, ml_dtypes.float8_e4m3fnuz, [0, -1.5, 240, 0.125, 2]),
        (19, ml_dtypes.float8_e5m2, [0, -1.5, 57344, 0.125, 2]),
        (20, ml_dtypes.float8_e5m2fnuz, [0, -1.5, 57344, 0.125, 2]),
        (21, ml_dtypes.uint4, [0, 1, 7, 8, 15]),
        (22, ml_dtypes.int4, [-8, -1, 0, 1, 7]),
        (23, ml_dtypes.float4_e2m1fn, [0, -0.5, 6, -6, 1.5]),
        (24, ml_dtypes.float8_e8m0fnu, [1, 2, 0.5, 1024, 4]),
        (25, ml_dtypes.uint2, [0, 1, 2, 3, 1]),
        (26, ml_dtypes.int2, [-2, -1, 0, 1, -2]),
    ],
)
def test_small_types_pass_through(handmade, elem, dtype, values):
    q = numpy.array(values).astype(dtype)
    p = onnxc.InferenceSession(handmade(elem)).run(["p"], {"x": X, "q": q})[0]
    assert p.dtype == dtype
    assert p.view(numpy.uint8).tolist() == q.view(numpy.uint8).tolist()


def test_any_layout_of_an_input_is_taken(handmade):
    session = onnxc.InferenceSession(handmade())
    wide = numpy.arange(24, dtype=numpy.float32).reshape(4, 6)
    unaligned = numpy.frombuffer(b"\0" + X.tobytes(), dtype=numpy.uint8)[1:].view(numpy.float32).reshape(2, 3)
    read_only = X.copy()
    read_only.flags.writeable = False
    for x in (
        wide[::2, ::2],
        wide[3:1:-1, 2::-1],
        numpy.asfortranarray(X),
        unaligned,
        read_only,
        X.astype(">f4"),
        X.tolist(),
    ):
        expected = 2 * numpy.array(x, dtype=numpy.float32)
        assert (session.run(["y"], {"x": x, "q": Q})[0] == expected).all()


def test_an_input_that_fits_is_not_copied(handmade):
    inputs = onnxc.InferenceSession(handmade()).get_inputs()
    given = {"x": X, "q": Q}
    taken = feeds.to_arrays(inputs, {"x": 0, "q": 1}, given)
    assert all(numpy.shares_memory(array, given[arg.name]) for array, arg in zip(taken, inputs, strict=True))


def test_outputs_are_fresh(handmade):
    session = onnxc.InferenceSession(handmade())
    first = session.run(["y"], {"x": X, "q": Q})[0]
    kept = first.copy()
    second = session.run(["y"], {"x": X + 1, "q": Q})[0]
    assert (first == kept).all()
    assert not numpy.shares_memory(first, second) and not numpy.shares_memory(first, X)


def test_a_failure_in_the_model_says_where(handmade):
    session = onnxc.InferenceSession(handmade())
    with pytest.raises(onnxc.Fail, match=r"\[ONNXRuntimeError\] : 1 : FAIL : Mul_1: x is below 0"):
        session.run(None, {"x": -X, "q": Q})


def test_terminate(handmade):
    options = onnxc.RunOptions()
    options.terminate = True
    with pytest.raises(onnxc.Fail, match="Exiting due to terminate flag being set to true."):
        onnxc.InferenceSession(handmade()).run(None, {"x": X, "q": Q}, options)


def test_refuses_another_abi(handmade):
    with pytest.raises(onnxc.Fail, match="version 7 of the C ABI"):
        onnxc.InferenceSession(handmade(abi=7))


def test_refuses_other_libraries(tmp_path):
    source = tmp_path / "other.c"
    source.write_text("int f(void) { return 0; }")
    subprocess.run(["gcc", "-shared", "-fPIC", str(source), "-o", str(tmp_path / "other.so")], check=True)
    with pytest.raises(onnxc.Fail, match="no compiled model"):
        onnxc.InferenceSession(str(tmp_path / "other.so"))


def test_a_file_written_again_is_loaded_anew(handmade, tmp_path):
    """Although the first session keeps the old library open under the same name."""
    path = tmp_path / "model.so"
    shutil.copy(handmade(22), path)
    first = onnxc.InferenceSession(str(path))
    path.unlink()
    shutil.copy(handmade(21), path)
    second = onnxc.InferenceSession(str(path))
    assert [s.get_inputs()[1].type for s in (first, second)] == ["tensor(int4)", "tensor(uint4)"]


@pytest.mark.parametrize("form", ["model.so", "model.a"])
def test_weights_apart(form, tmp_path):
    onnx.save(small_models.matmul_relu(rows=3), tmp_path / "model.onnx")
    outcome = compile_model(tmp_path / "model.onnx", tmp_path / form, ["--weights=separate"])
    assert outcome.ok, outcome.text
    header = ["model.h"] if form == "model.a" else []
    assert sorted(p.name for p in tmp_path.glob("model.*")) == sorted([form, *header, "model.onnx", "model.weights"])


def test_weights_apart_are_found_and_checked(tmp_path):
    onnx.save(small_models.matmul_relu(rows=3), tmp_path / "model.onnx")
    path, weights = tmp_path / "model.so", tmp_path / "model.weights"
    for arguments, name in ([], "whole.so"), (["--weights=separate"], "model.so"):
        assert compile_model(tmp_path / "model.onnx", tmp_path / name, arguments).ok
    x = numpy.random.default_rng(3).standard_normal((3, 8)).astype(numpy.float32)
    whole = onnxc.InferenceSession(str(tmp_path / "whole.so")).run(None, {"x": x})[0]
    assert (onnxc.InferenceSession(str(path)).run(None, {"x": x})[0] == whole).all()

    kept = weights.read_bytes()
    weights.write_bytes(kept[:-1])
    with pytest.raises(onnxc.Fail, match=r"model\.weights does not hold the \d+ bytes"):
        onnxc.InferenceSession(str(path))
    onnx.save(small_models.matmul_relu(rows=3, columns=32), tmp_path / "other.onnx")
    assert compile_model(tmp_path / "other.onnx", tmp_path / "other.so", ["--weights=separate"]).ok
    (tmp_path / "other.weights").replace(weights)
    with pytest.raises(onnxc.Fail, match="belong to another model"):
        onnxc.InferenceSession(str(path))
    weights.unlink()
    with pytest.raises(onnxc.Fail, match=r"apart in .*model\.weights, which cannot be opened: No such file"):
        onnxc.InferenceSession(str(path))
