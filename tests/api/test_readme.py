"""The examples of README.md run as they stand there."""

import pathlib
import re
import subprocess
import sys

import onnx
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
    _, compile_model, build = examples("sh")
    compile_model = compile_model.replace("onnxc ", f"{compiler.compiler_path()} ", 1)
    for command in (compile_model, build):
        subprocess.run(["sh", "-ec", command], cwd=tmp_path, check=True)
    done = subprocess.run(["./main"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
