"""The examples of README.md run as they stand there."""

import pathlib
import re
import subprocess
import sys

import numpy
import onnx
import onnxc
import small_models
from onnxc import compiler

ROOT = pathlib.Path(__file__).resolve().parents[2]


def examples(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def test_python(tmp_path):
    onnx.save(small_models.relu((3, 5)), tmp_path / "model.onnx")
    (program,) = examples("python")
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("y (3, 5)\n", "")


def test_cpp(tmp_path):
    onnx.save(small_models.relu((3, 5)), tmp_path / "model.onnx")
    (program,) = examples("cpp")
    (tmp_path / "main.cc").write_text(program)
    (tmp_path / "runtime_lib").symlink_to(ROOT / "runtime_lib")
    _, compile_model, build, _ = examples("sh")
    compile_model = compile_model.replace("onnxc ", f"{compiler.compiler_path()} ", 1)
    for command in (compile_model, build):
        subprocess.run(["sh", "-ec", command], cwd=tmp_path, check=True)
    done = subprocess.run(["./main"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_custom_operator(tmp_path):
    made = small_models.model(
        [onnx.helper.make_node("Scale", ["x"], ["y"], domain="acme", alpha=2.5)],
        [small_models.value("x", (2, 2))],
        [small_models.value("y", (2, 2))],
        domains=["acme"],
    )
    onnx.save(made, tmp_path / "model.onnx")
    (function,) = examples("c")
    (tmp_path / "scale.c").write_text(function)
    (tmp_path / "runtime_lib").symlink_to(ROOT / "runtime_lib")
    commands = examples("sh")[-1].replace("onnxc ", f"{compiler.compiler_path()} ", 1)
    subprocess.run(["sh", "-ec", commands], cwd=tmp_path, check=True)
    (y,) = onnxc.InferenceSession(tmp_path / "model.so").run(None, {"x": numpy.ones((2, 2), numpy.float32)})
    numpy.testing.assert_array_equal(y, numpy.full((2, 2), 2.5))
