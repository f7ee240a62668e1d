"""Users' mistakes: the same exception class and the same text as ONNX Runtime's, held against the real one."""

import numpy
import onnx
import onnxc
import onnxruntime
import pytest
import small_models
from onnx import TensorProto, helper

X = numpy.zeros((2, 4), numpy.float32)


def outcome(action):
    """(name of the exception, its text), or the shape of what came back."""
    try:
        result = action()
    except Exception as error:
        return type(error).__name__, str(error)
    return [array.shape for array in result] if isinstance(result, list) else "a session"


RUNS = {
    "missing input": (None, {"x": X}),
    "no input": (None, {}),
    "missing and unknown": (None, {"q": X}),
    "unknown input": (None, {"x": X, "y": X, "q": X}),
    "type": (None, {"x": X.astype(numpy.float64), "y": X}),
    "half": (None, {"x": X.astype(numpy.float16), "y": X}),
    "bool": (None, {"x": X.astype(bool), "y": X}),
    "strings": (None, {"x": X.astype("U"), "y": X}),
    "objects": (None, {"x": X.astype("O"), "y": X}),
    "low rank": (None, {"x": X[0], "y": X}),
    "high rank": (None, {"x": X, "y": X[None]}),
    "scalar array": (None, {"x": numpy.array(5, numpy.float32), "y": X}),
    "one dim": (None, {"x": X, "y": X[:, :3]}),
    "both dims": (None, {"x": X, "y": numpy.zeros((3, 5), numpy.float32)}),
    "empty": (None, {"x": X[:0], "y": X}),
    "unknown output": (["nope"], {"x": X, "y": X}),
    "unknown output behind a known one": (["z", "nope"], {"x": X, "y": X}),
    "type before output": (["nope"], {"x": X.astype(numpy.int64), "y": X}),
    "feed is a list": (None, [X, X]),
    "feed is None": (None, None),
    "Python number": (None, {"x": 1.0, "y": X}),
    "numpy number": (None, {"x": numpy.float32(1), "y": X}),
    "complex": (None, {"x": X.astype(numpy.complex64), "y": X}),
    "dates": (None, {"x": X.astype("datetime64[s]"), "y": X}),
    "str": (None, {"x": "abc", "y": X}),
    "tuple": (None, {"x": ((1, 2, 3, 4),), "y": X}),
    "ragged list": (None, {"x": [[1, 2], [3]], "y": X}),
    "list": (None, {"x": X.tolist(), "y": X}),
    "list of wrong rank": (None, {"x": [1, 2], "y": X}),
    "key no str, one missing": (None, {"x": X, 1: X}),
}

# Here ONNX Runtime's text spells the C++ signatures of its binding: only the class is compared.
RUNS_BY_CLASS = {
    "names are a str": ("z", {"x": X, "y": X}),
    "names are numbers": ([1], {"x": X, "y": X}),
    "key no str": (None, {"x": X, "y": X, 1: X}),
}


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    content = small_models.add_two().SerializeToString()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONNXC_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        return onnxc.InferenceSession(content), onnxruntime.InferenceSession(content)


@pytest.mark.parametrize("name", RUNS)
def test_run(sessions, name):
    ours, theirs = (outcome(lambda session=session: session.run(*RUNS[name])) for session in sessions)
    assert ours == theirs


@pytest.mark.parametrize("name", RUNS_BY_CLASS)
def test_run_by_class(sessions, name):
    ours, theirs = (outcome(lambda session=session: session.run(*RUNS_BY_CLASS[name])) for session in sessions)
    assert ours[0] == theirs[0] == "TypeError"


def test_run_options_of_a_wrong_type(sessions):
    ours, theirs = (outcome(lambda session=session: session.run(None, {"x": X, "y": X}, {})) for session in sessions)
    assert ours[0] == theirs[0] == "TypeError"


def relu_with(*extra, inputs=("x",), outputs=("y",), **node):
    nodes = [helper.make_node(node.pop("op", "Relu"), list(inputs), list(outputs), "n0", **node), *extra]
    return lambda **k: small_models.model(
        nodes, [small_models.value("x", (2, 4))], [small_models.value("y", (2, 4))], **k
    )


def constant(name, elem, dims):
    return helper.make_tensor(name, elem, dims, [1] * int(numpy.prod(dims)))


MODELS = {
    "unknown operator": relu_with(op="Foo")(),
    "unknown domain, imported": relu_with(op="Foo", domain="my.dom")(domains=["my.dom"]),
    "cycle": relu_with(
        helper.make_node("Add", ["x", "b"], ["a"], "a0"), helper.make_node("Add", ["x", "a"], ["b"], "b0"), inputs=["a"]
    )(),
    "dangling input": relu_with(op="Add", inputs=["x", "nope"])(),
    "duplicate name": relu_with(helper.make_node("Relu", ["x"], ["y"], "n1"))(),
    "too many inputs": relu_with(inputs=["x", "x"])(),
    "unknown attribute": relu_with(foo=3)(),
    "types differ": relu_with(op="Add", inputs=["x", "i"])(initializers=[constant("i", TensorProto.INT64, [1])]),
    "no broadcast": relu_with(op="Add", inputs=["x", "i"])(initializers=[constant("i", TensorProto.FLOAT, [3])]),
    "inner dims differ": relu_with(op="MatMul", inputs=["x", "i"])(
        initializers=[constant("i", TensorProto.FLOAT, [3, 2])]
    ),
    "output made by nothing": relu_with(outputs=["q"])(),
}


# Of these, ONNX Runtime's text is given whole; of the others its class, code and label.
WHOLE = ["unknown domain, imported", "cycle", "dangling input", "duplicate name"]


@pytest.mark.parametrize("name", MODELS)
def test_broken_model(name):
    """ONNX Runtime's class and code; its text where it fits on a line; then onnxc's own, longer, explanation."""
    content = MODELS[name].SerializeToString()
    ours, theirs = (outcome(lambda rt=rt: rt.InferenceSession(content)) for rt in (onnxc, onnxruntime))
    assert ours[0] == theirs[0]
    assert ours[1].split(" : ")[:3] == theirs[1].split(" : ")[:3]
    if name in WHOLE:
        assert ours[1].startswith(theirs[1])
    if name == "unknown operator":
        words = "No Op registered for Foo with domain_version of 17"
        assert words in ours[1] and words in theirs[1]


FILES = {
    "junk.onnx": b"\x01\x02junk" * 30,
    "empty.onnx": b"",
    "cut.onnx": small_models.two_outputs().SerializeToString()[:60],
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("from_bytes", [False, True])
def test_unreadable_file(name, from_bytes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(FILES[name])
    source = FILES[name] if from_bytes else name
    ours, theirs = (outcome(lambda rt=rt: rt.InferenceSession(source)) for rt in (onnxc, onnxruntime))
    assert ours == theirs


@pytest.mark.parametrize(
    "source", ["nope.onnx", ".", None, 1, bytearray(b"abc"), memoryview(b"abc"), onnx.ModelProto()]
)
def test_no_model_at_all(source):
    ours, theirs = (outcome(lambda rt=rt: rt.InferenceSession(source)) for rt in (onnxc, onnxruntime))
    assert ours == theirs


def test_unknown_provider_warns_and_goes_on():
    content = small_models.relu().SerializeToString()
    with pytest.warns(
        UserWarning, match="Specified provider 'CUDAExecutionProvider' is not in available provider names."
    ):
        session = onnxc.InferenceSession(content, providers=["CUDAExecutionProvider", "CPUExecutionProvider"])
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_options_refuse_what_they_do_not_know():
    for runtime in (onnxc, onnxruntime):
        options = runtime.SessionOptions()
        with pytest.raises(AttributeError):
            options.nope = 1
        with pytest.raises(TypeError):
            options.graph_optimization_level = 1
        with pytest.raises(RuntimeError, match="SessionOptions does not have configuration with key: q"):
            options.get_session_config_entry("q")
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.intra_op_num_threads = 2


def test_options_have_the_same_defaults():
    for kind in ("SessionOptions", "RunOptions"):
        ours, theirs = getattr(onnxc, kind)(), getattr(onnxruntime, kind)()
        for name in [n for n in dir(theirs) if not n.startswith("_") and not callable(getattr(theirs, n))]:
            mine, yours = getattr(ours, name), getattr(theirs, name)
            assert int(mine) == int(yours) if hasattr(yours, "value") else mine == yours, name


def test_a_crash_of_the_compiler_is_an_exception(tmp_path, monkeypatch):
    crashing = tmp_path / "onnxc"
    crashing.write_text("#!/bin/sh\necho out of luck >&2\nkill -SEGV $$\n")
    crashing.chmod(0o755)
    monkeypatch.setattr("onnxc.compiler.compiler_path", lambda: str(crashing))
    with pytest.raises(onnxc.RuntimeException, match="onnxc was ended by signal 11. out of luck"):
        onnxc.InferenceSession(small_models.relu().SerializeToString())
