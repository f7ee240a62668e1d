"""onnxc --report: a row per operation, in the order and with the names that the compiled model itself tells."""

import json
import subprocess

import numpy as np
import onnx
import pytest
import small_models
from onnx import helper
from small_models import value
from support.c_abi import CompiledModel
from support.compiler import find_onnxc

ENVIRONMENT = 5


@pytest.fixture
def model(tmp_path):
    """x [2, 3] times weights [3, 4], then an element-wise tail."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"], name="product"),
        helper.make_node("Exp", ["p"], ["y"], name="tail"),
    ]
    weights = onnx.numpy_helper.from_array(np.ones((3, 4), np.float32), "w")
    path = tmp_path / "m.onnx"
    onnx.save(small_models.model(nodes, [value("x", (2, 3))], [value("y", (2, 4))], [weights]), path)
    return path


def run(model, *arguments):
    return subprocess.run([find_onnxc(), model, "-q", *arguments], capture_output=True, text=True)


def test_rows_are_the_operations(model, tmp_path):
    assert run(model, "-o", tmp_path / "m.so", "--report", tmp_path / "r.json").returncode == 0
    report = json.loads((tmp_path / "r.json").read_text())
    with CompiledModel(tmp_path / "m.so") as compiled:
        labels = [compiled.info.operations[i].decode() for i in range(compiled.info.num_operations)]
        assert report["arena_bytes"] == compiled.info.arena_bytes
        assert report["constant_bytes"] == compiled.info.weights_bytes
    rows = report["operations"]
    assert [f"{r['kernel']} ({', '.join(r['origins'])})" for r in rows] == labels
    assert sum(r["flops"] for r in rows) == 2 * 2 * 3 * 4 + 2 * 4
    assert {o for r in rows for o in r["origins"]} == {"product", "tail"}
    assert report["source_constant_bytes"] == 3 * 4 * 4
    assert rows[0]["bytes_read"] >= (2 * 3 + 3 * 4) * 4 and rows[-1]["bytes_written"] == 2 * 4 * 4


def test_the_report_needs_no_library(model, tmp_path):
    assert run(model, "--emit=plan", "--report", tmp_path / "r.json").returncode == 0
    assert json.loads((tmp_path / "r.json").read_text())["operations"]


def test_a_report_that_cannot_be_written_fails(model, tmp_path):
    done = run(model, "-o", tmp_path / "m.so", "--report", tmp_path / "absent" / "r.json")
    assert done.returncode == ENVIRONMENT and "the report cannot be written" in done.stderr


def test_the_choice_of_a_convolution_is_reported(tmp_path):
    weights = np.random.default_rng(1).standard_normal((64, 64, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    initializer = onnx.numpy_helper.from_array(weights, "w")
    shape = (1, 64, 28, 28)
    path = tmp_path / "m.onnx"
    onnx.save(small_models.model([node], [value("x", shape)], [value("y", shape)], [initializer]), path)
    for flags, kernel in (
        ((), "conv_winograd_f32"),
        (("--no-winograd",), "conv_blocked_f32"),
        (("--small",), "conv_blocked_f32"),
    ):
        assert run(path, "--emit=plan", "--report", tmp_path / "r.json", *flags).returncode == 0
        row = next(
            r for r in json.loads((tmp_path / "r.json").read_text())["operations"] if r["kernel"].startswith("conv")
        )
        assert row["kernel"] == kernel
        assert ("F(4,3) errs" in row.get("note", "")) == (kernel == "conv_winograd_f32")
