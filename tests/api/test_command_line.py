"""The command `onnxc`: what it prints, what it writes, and how it answers to wrong options."""

import json
import re
import subprocess

import onnx
import pytest
import small_models
from support.c_abi import CompiledModel
from support.compiler import find_onnxc

USAGE = 2


def run(*arguments):
    return subprocess.run(
        [str(find_onnxc()), *map(str, arguments)], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL
    )


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(small_models.matmul_relu(rows=3), path)
    return path


@pytest.mark.parametrize(
    ("form", "part"),
    [
        ("graph", r"^graph @\w+ \{"),
        ("program", r"^program "),
        ("plan", r"arena"),
        ("llvm", r"^define .*@"),
        ("asm", r"^\s+\.text"),
    ],
)
def test_emit_prints_and_writes_nothing(model, form, part):
    done = run(model, f"--emit={form}")
    assert done.returncode == 0, done.stderr
    assert re.search(part, done.stdout, re.M), done.stdout[:500]
    assert [p.name for p in model.parent.iterdir()] == ["model.onnx"]


def test_emit_cpp_writes_a_project(model, tmp_path):
    assert run(model, "--emit=cpp", "-o", tmp_path / "project").returncode == 0
    names = {p.name for p in (tmp_path / "project").iterdir()}
    assert {"CMakeLists.txt", "project.cc", "project.h", "project.weights.bin", "runtime"} <= names


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_each_optimisation_level_gives_the_same(model, tmp_path, level):
    output = tmp_path / "model.so"
    assert run(model, f"-O{level}", "-o", output).returncode == 0
    with CompiledModel(output) as compiled:
        feeds = {"x": small_models.numpy.ones((3, 8), small_models.numpy.float32)}
        expected = small_models.numpy.maximum(reference(model, feeds), 0)
        assert abs(compiled.run(feeds)[0] - expected).max() < 1e-5


def reference(model, feeds):
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in onnx.load(model).graph.initializer}
    return feeds["x"] @ weights["w"] + weights["b"]


def test_the_same_input_gives_the_same_bytes(model, tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        assert run(model, "-o", tmp_path / folder / "model.so").returncode == 0
    assert (tmp_path / "a/model.so").read_bytes() == (tmp_path / "b/model.so").read_bytes()


def test_dump_after_and_opt_bisect(model):
    dumped = run(model, "--emit=graph", "--dump-after=fuse_matmul_bias").stderr
    assert "// after fuse_matmul_bias" in dumped and "// after infer_shapes" not in dumped
    everything = re.findall(r"^// after (\w+)", run(model, "--emit=graph", "--dump-after=all").stderr, re.M)
    assert everything[0] == "infer_shapes" and "fuse_matmul_bias" in everything
    none = run(model, "--emit=graph", "--dump-after=all", "--opt-bisect=0").stderr
    assert "// after" not in none
    without = run(model, "--emit=graph", "--dump-after=all", "--disable-pass=fuse_matmul_bias").stderr
    assert "// after fuse_matmul_bias" not in without


def test_time_passes_tells_phases_and_passes(model, tmp_path):
    text = run(model, "--time-passes", "-o", tmp_path / "model.so").stderr
    assert re.search(r"fold_constants +\d+\.\d+ s", text), text
    assert re.search(r"\d+\.\d ms +generate code", text), text


def test_progress_is_told_and_quiet_is_quiet(model, tmp_path):
    told = run(model, "-o", tmp_path / "model.so").stderr
    assert "[1/" in told and "arena" in told
    quiet = run(model, "-q", "-o", tmp_path / "model.so")
    assert quiet.stdout == quiet.stderr == ""


def test_help_teaches():
    text = run("--help").stdout
    for part in ("model.so", "--dim", "--weights", "--help-passes", "--help-ops", "Exit codes"):
        assert part in text
    passes = run("--help-passes").stdout.splitlines()
    assert all(re.match(r"  \w+ +\S.*", line) for line in passes) and len(passes) > 10
    operators = run("--help-ops").stdout
    assert re.search(r"^  Conv +accumulating +kernels and loops$", operators, re.M)
    assert re.search(r"^  Exp +rounding +a fused expression$", operators, re.M)


def test_describe(model):
    described = json.loads(run(model, "--describe").stdout)
    assert described["inputs"][0]["name"] == "x" and described["inputs"][0]["dims"] == [3, 8]
    assert described["outputs"][0]["dims"] == [3, 16]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "no output given"),
        (["--emit=cpp"], "needs a directory"),
        (["-o", "m.so", "--mcpu=pentium"], "pentium"),
        (["-o", "m.so", "--disable-pass=no_such"], 'no pass "no_such"'),
        (["-o", "m.so", "--dim", "N"], "--dim batch=1"),
        (["-o", "m.so", "--shape", "x=1,a"], '"a" is not a dimension'),
        (["-o", "m.so", "--weights=elsewhere"], "elsewhere"),
        (["-o", "m.so", "-O4"], "4"),
        (["-o", "m.so", "--no-such-option"], "--no-such-option"),
    ],
)
def test_wrong_options(model, arguments, part):
    done = run(model, *arguments)
    assert done.returncode == USAGE and part in done.stderr, done.stderr
    assert [p.name for p in model.parent.iterdir()] == ["model.onnx"]
