"""The hot loops that models get keep their tiles in registers: kernels are specialised anew in each model, with other constants
around them than in the micro-benchmarks (tools/check_spills.py --kernels)."""

import pathlib
import subprocess
import sys

import numpy as np
import onnx
import pytest
import small_models
from onnx import helper
from small_models import value
from support.compiler import find_onnxc

CHECK = pathlib.Path(__file__).resolve().parents[2] / "tools/check_spills.py"


@pytest.mark.parametrize("level", ["v3", "v4"])
@pytest.mark.parametrize(("op", "gates"), [("LSTM", 4), ("GRU", 3)])
def test_recurrent(op, gates, level, tmp_path):
    steps, batch, hidden = 31, 8, 128
    weights = [
        onnx.numpy_helper.from_array(np.zeros((1, gates * hidden, hidden), np.float32), name) for name in ("w", "r")
    ]
    node = helper.make_node(op, ["x", "w", "r"], ["y"], hidden_size=hidden)
    shape = (steps, batch, hidden)
    onnx.save(
        small_models.model([node], [value("x", shape)], [value("y", (steps, 1, batch, hidden))], weights),
        tmp_path / "m.onnx",
    )
    command = [find_onnxc(), tmp_path / "m.onnx", f"--mcpu=x86-64-{level}", "--emit=asm", "-q"]
    assembly = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (tmp_path / "m.s").write_text(assembly)
    done = subprocess.run([sys.executable, CHECK, tmp_path / "m.s"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert " hot loops" in done.stdout and ": 0 hot loops" not in done.stdout
