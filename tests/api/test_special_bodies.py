"""Models compiled with several values of a dim: each of these runs the body of a fixed compile, all others the general one."""

import json
import pathlib
import random
import subprocess
import threading

import numpy
import onnx
import onnxc
import pytest
import small_models
from onnx import helper
from support.c_abi import CompiledModel
from test_command_line import USAGE, run
from test_free_dims import PROGRAM, ROOT, convolutions

RNG = numpy.random.default_rng(23)


def attention() -> onnx.ModelProto:
    """softmax(x w (x v)^T) x w over a free batch and sequence"""

    def weights(name, *dims):
        return onnx.numpy_helper.from_array(RNG.standard_normal(dims).astype(numpy.float32) * 0.3, name)

    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["q"], "query"),
        helper.make_node("MatMul", ["x", "v"], ["k"], "key"),
        helper.make_node("Transpose", ["k"], ["t"], "transpose", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "t"], ["s"], "scores"),
        helper.make_node("Softmax", ["s"], ["p"], "softmax"),
        helper.make_node("MatMul", ["p", "q"], ["y"], "mix"),
    ]
    return small_models.model(
        nodes,
        [small_models.value("x", ("batch", "seq", 96))],
        [small_models.value("y", ("batch", "seq", 128))],
        [weights("w", 96, 128), weights("v", 96, 128)],
    )


def unpacked() -> onnx.ModelProto:
    """Elements below one byte, which a run unpacks in front of its arena"""
    nodes = [helper.make_node("Cast", ["x"], ["y"], "cast", to=onnx.TensorProto.FLOAT)]
    return small_models.model(
        nodes, [small_models.value("x", ("N", 3), onnx.TensorProto.INT4)], [small_models.value("y", ("N", 3))], opset=21
    )


def counted() -> onnx.ModelProto:
    """As many numbers as the values of x say: a second stage of the run"""

    def number(name, value, elem=numpy.int64):
        return onnx.numpy_helper.from_array(numpy.array(value, elem), name)

    nodes = [
        helper.make_node("Abs", ["x"], ["a"], "abs0"),
        helper.make_node("Mul", ["a", "ten"], ["b"], "mul0"),
        helper.make_node("Cast", ["b"], ["c"], "cast0", to=onnx.TensorProto.INT64),
        helper.make_node("ReduceSum", ["c"], ["total"], "sum0", keepdims=0),
        helper.make_node("Range", ["zero", "total", "one"], ["steps"], "range0"),
        helper.make_node("Cast", ["steps"], ["floats"], "cast1", to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "half"], ["y"], "mul1"),
    ]
    numbers = [
        number("ten", 10, numpy.float32),
        number("zero", 0),
        number("one", 1),
        number("half", 0.5, numpy.float32),
    ]
    return small_models.model(nodes, [small_models.value("x", ("N", 3))], [small_models.value("y", ("L",))], numbers)


def compiled(model: onnx.ModelProto, path: pathlib.Path, *options) -> str:
    onnx.save(model, path.with_suffix(".onnx"))
    outcome = run(path.with_suffix(".onnx"), *options, "-q", "-o", path)
    assert outcome.returncode == 0, outcome.stderr
    return str(path)


def session(path: str, threads: int = 1) -> onnxc.InferenceSession:
    options = onnxc.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxc.InferenceSession(path, options)


def feed_of(model: onnx.ModelProto, dims: tuple) -> dict[str, numpy.ndarray]:
    elem = model.graph.input[0].type.tensor_type.elem_type
    values = RNG.standard_normal(dims)
    if elem == onnx.TensorProto.INT4:
        values = RNG.integers(-8, 8, dims)
    return {"x": values.astype(helper.tensor_dtype_to_np_dtype(elem))}


# The model, the options, and per shape of x the options that fix it (none: the general body).
CASES = {
    "batch and sequence": (
        attention,
        ["--dim=batch=1,8", "--dim=seq=128,20"],
        {
            (1, 128, 96): ["--dim=batch=1", "--dim=seq=128"],
            (8, 20, 96): ["--dim=batch=8", "--dim=seq=20"],
            (1, 21, 96): [],
            (2, 128, 96): [],
            (0, 5, 96): [],
        },
    ),
    "a dim of two": (
        attention,
        ["--dim=batch=2,1"],
        {(1, 9, 96): ["--dim=batch=1"], (2, 30, 96): ["--dim=batch=2"], (3, 30, 96): []},
    ),
    "one dim fixed": (
        attention,
        ["--dim=batch=1", "--dim=seq=16,32"],
        {(1, 16, 96): ["--dim=batch=1", "--dim=seq=16"], (1, 17, 96): ["--dim=batch=1"]},
    ),
    "convolutions": (
        convolutions,
        ["--dim=N=1,3", "--dim=H=32,18", "--dim=W=32"],
        {
            (1, 3, 32, 32): ["--shape=x=1,3,32,32"],
            (3, 3, 18, 32): ["--shape=x=3,3,18,32"],
            (2, 3, 32, 32): ["--dim=W=32"],
        },
    ),
    "counted": (counted, ["--dim=N=1,4"], {(1, 3): ["--dim=N=1"], (4, 3): ["--dim=N=4"], (3, 3): [], (0, 3): []}),
    "half bytes": (unpacked, ["--dim=N=1,5"], {(1, 3): ["--dim=N=1"], (5, 3): ["--dim=N=5"], (4, 3): []}),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("threads", [1, 2])
def test_each_shape_gives_the_bits_of_its_body(name, threads, tmp_path):
    make, options, shapes = CASES[name]
    model = make()
    ours = session(compiled(model, tmp_path / "all.so", *options, "--thread-grain=0"), threads)
    runs = []
    for i, (dims, fixing) in enumerate(shapes.items()):
        alone = session(compiled(model, tmp_path / f"alone{i}.so", *fixing, "--thread-grain=0"), threads)
        feed = feed_of(model, dims)
        runs.append((feed, alone.run(None, feed)))
    order = random.Random(1).choices(runs, k=60)  # sizes alternate
    for feed, wanted in order:
        for got, want in zip(ours.run(None, feed), wanted, strict=True):
            assert got.shape == want.shape and got.tobytes() == want.tobytes()


def test_several_threads_run_several_bodies_at_a_time(tmp_path):
    model = attention()
    ours = session(compiled(model, tmp_path / "m.so", "--dim=batch=1,8", "--dim=seq=16"), 2)
    feeds = [feed_of(model, dims) for dims in ((1, 16, 96), (8, 16, 96), (2, 16, 96))]
    wanted = [ours.run(None, feed)[0] for feed in feeds]
    wrong = []

    def work(feed, want):
        for _ in range(100):
            if ours.run(None, feed)[0].tobytes() != want.tobytes():
                wrong.append(want.shape)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(feeds, wanted, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_session_shows_the_free_dims(tmp_path):
    ours = session(compiled(attention(), tmp_path / "m.so", "--dim=batch=1,8", "--dim=seq=16,32"))
    assert ours.get_inputs()[0].shape == ["batch", "seq", 96]
    assert ours.get_outputs()[0].shape == ["batch", "seq", 128]


def test_inputs_that_differ_in_a_dim_of_one_name_run_the_general_body(tmp_path):
    model = small_models.add_two(("N", 4), ("N", 4), ("N", 4))
    general, ours = (
        session(compiled(model, tmp_path / f"m{i}.so", *options)) for i, options in enumerate([(), ("--dim=N=1,8",)])
    )
    feed = {"x": numpy.ones((1, 4), numpy.float32), "y": numpy.ones((8, 4), numpy.float32)}
    outcomes = []
    for each in (general, ours):
        try:
            outcomes.append(each.run(None, feed)[0].shape)
        except Exception as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def test_bodies_share_their_weights_and_kernels(tmp_path):
    w = onnx.numpy_helper.from_array(RNG.standard_normal((512, 1024)).astype(numpy.float32), "w")
    model = small_models.model(
        [helper.make_node("MatMul", ["x", "w"], ["y"], "matmul0")],
        [small_models.value("x", ("N", 512))],
        [small_models.value("y", ("N", 1024))],
        [w],
    )
    free = pathlib.Path(compiled(model, tmp_path / "free.so"))
    ours = pathlib.Path(compiled(model, tmp_path / "ours.so", "--dim=N=1,8,64"))
    with CompiledModel(free, host=True) as a, CompiledModel(ours, host=True) as b:
        assert b.info.weights_bytes == a.info.weights_bytes
    assert ours.stat().st_size < free.stat().st_size + 512 * 1024


def test_the_same_options_give_the_same_bytes_and_weights_may_be_apart(tmp_path):
    model, options = attention(), ("--dim=batch=1,8", "--dim=seq=16")
    files = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        path = pathlib.Path(compiled(model, folder / "m.so", *options, "--weights=separate"))
        files.append((path.read_bytes(), path.with_suffix(".weights").read_bytes()))
    assert files[0] == files[1]
    whole, apart = session(compiled(model, tmp_path / "m.so", *options)), session(str(tmp_path / "a" / "m.so"))
    for dims in ((1, 16, 96), (8, 16, 96), (3, 16, 96)):
        feed = feed_of(model, dims)
        assert whole.run(None, feed)[0].tobytes() == apart.run(None, feed)[0].tobytes()


def test_operations_are_numbered_through_all_bodies(tmp_path):
    model = attention()
    path = compiled(model, tmp_path / "m.so", "--dim=batch=1,2", "--report", tmp_path / "r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    counts = []
    for options in ((), ("--dim=batch=1",), ("--dim=batch=2",)):
        with CompiledModel(compiled(model, tmp_path / f"m{len(counts)}.so", *options), host=True) as alone:
            counts.append(alone.info.num_operations)
    with CompiledModel(path, host=True) as ours:
        assert ours.info.num_operations == len(report["operations"]) == sum(counts)


def test_an_archive_has_all_bodies(tmp_path):
    model = small_models.matmul_relu()
    compiled(model, tmp_path / "model.a", "--dim=N=2,3", "--single-thread")
    (tmp_path / "main.cc").write_text(PROGRAM)
    include = ROOT / "runtime_lib" / "include"
    command = ["c++", "-std=c++17", f"-I{include}", f"-I{tmp_path}", "main.cc", "model.a", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout.split()
    free = session(compiled(model, tmp_path / "free.so"))
    whole = (numpy.arange(32) % 5 - 2).astype(numpy.float32).reshape(4, 8)
    wanted = numpy.concatenate([free.run(None, {"x": whole[:rows]})[0].ravel() for rows in range(4)])
    numpy.testing.assert_allclose(numpy.array(printed, numpy.float32), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "options, parts",
    [
        (["-o", "m.so", "--dim=batch=1,2,3,4,5", "--dim=seq=1,2,3,4"], ["more than 16", "leave a dim free"]),
        (["-o", "m.so", "--dim=batch=1,1"], ["has a value twice"]),
        (["-o", "m.so", "--dim=batch=1,"], ['"" is not a dimension']),
        (["-o", "m.so", "--dim=bach=1,2"], ["no input has a dim of that name", "batch, seq"]),
        (["-o", "m.so", "--dim=batch=1,2", "--shape=x=1,4,96"], ["with batch=2", "given two values"]),
        (["-o", "m.so", "--dim=batch=1,2", "--backend=cpp"], ["C++ sources have one body", "give one value"]),
        (["-o", "project", "--dim=batch=1,2"], ["C++ sources have one body"]),
        (["-o", "project", "--dim=batch=1,2", "--emit=cpp"], ["C++ sources have one body"]),
        (["--emit=plan", "--dim=batch=1,2"], ["prints one body"]),
    ],
)
def test_what_cannot_have_several_bodies_is_refused(options, parts, tmp_path):
    onnx.save(attention(), tmp_path / "m.onnx")
    outcome = run(tmp_path / "m.onnx", *(tmp_path / o if o.startswith(("m.", "pro")) else o for o in options))
    assert outcome.returncode == USAGE
    for part in parts:
        assert part in outcome.stderr
    assert [p.name for p in tmp_path.iterdir() if p.name != "cache"] == ["m.onnx"]


def test_the_last_of_two_options_counts(tmp_path):
    path = compiled(attention(), tmp_path / "m.so", "--dim=batch=1,2", "--dim=batch=3")
    assert session(path).get_inputs()[0].shape == [3, "seq", 96]
