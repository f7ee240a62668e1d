"""Ctrl-C and a full disk leave nothing behind: no artefact, no temporary file, neither beside the output nor in TMPDIR."""

import os
import pathlib
import signal
import subprocess
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.compiler import find_onnxc


def write_model(path, megabytes=4, layers=24):
    """A chain of products whose weights take `megabytes` in all."""
    size = int((megabytes * 1e6 / 4 / layers) ** 0.5)
    rng = np.random.default_rng(1)
    nodes, weights = [], []
    for k in range(layers):
        weights.append(numpy_helper.from_array(rng.standard_normal((size, size)).astype(np.float32), f"w{k}"))
        nodes += [
            helper.make_node("MatMul", [f"x{k}", f"w{k}"], [f"m{k}"]),
            helper.make_node("Tanh", [f"m{k}"], [f"x{k + 1}"]),
        ]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, [1, size])],
        [helper.make_tensor_value_info(f"x{layers}", TensorProto.FLOAT, [1, size])],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)


FORMS = {
    "llvm.so": [],
    "apart.so": ["--weights=separate"],
    "llvm.a": [],
    "cpp.so": ["--backend=cpp"],
    "sources": ["--emit=cpp"],
}


def ignore_interrupts():
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def start(model, output, arguments, scratch, before=None):
    scratch.mkdir(exist_ok=True)
    return subprocess.Popen(
        [str(find_onnxc()), str(model), "-o", str(output), "-q", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "TMPDIR": str(scratch)},
        start_new_session=True,
        preexec_fn=before,
    )


def left_in(*folders):
    return [str(p) for f in folders for p in pathlib.Path(f).rglob("*")]


def output_path(folder, form):
    return folder / ("project" if form == "sources" else f"model.{form.split('.')[1]}")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("delay", [0.02, 0.1, 0.3])
def test_interrupted(tmp_path, form, delay):
    model, out, scratch = tmp_path / "chain.onnx", tmp_path / "out", tmp_path / "scratch"
    out.mkdir()
    write_model(model, megabytes=60)
    process = start(model, output_path(out, form), FORMS[form], scratch)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("done before the signal came")
    assert left_in(out, scratch) == []


@pytest.mark.parametrize("form", FORMS)
def test_ignored_interrupt(tmp_path, form):
    """As under nohup, or in a script's background job: the compilation goes on and its files stay."""
    model, out, scratch = tmp_path / "chain.onnx", tmp_path / "out", tmp_path / "scratch"
    out.mkdir()
    write_model(model, megabytes=60)
    process = start(model, output_path(out, form), FORMS[form], scratch, ignore_interrupts)
    while process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.01)
    assert process.returncode == 0, process.stdout.read().decode()
    assert output_path(out, form).exists() and left_in(scratch) == []


@pytest.mark.parametrize("form", FORMS)
def test_full_disk(tmp_path, form):
    model, out = tmp_path / "chain.onnx", tmp_path / "small"
    out.mkdir()
    if (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(out)], capture_output=True).returncode
        != 0
    ):
        pytest.skip("no right to mount a tmpfs here")
    try:
        write_model(model, megabytes=4)
        process = start(model, output_path(out, form), FORMS[form], out / "scratch")
        text = process.communicate(timeout=120)[0].decode()
        (out / "scratch").rmdir()  # fails when something is left there
        assert process.returncode == 5, text
        assert "error" in text
        assert left_in(out) == []
    finally:
        subprocess.run(["umount", str(out)], check=True)
