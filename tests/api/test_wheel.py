"""`pip install .` gives a package that works in another environment, without any build folder. Builds everything once more,
so it runs with `tools/test --all` only."""

import os
import pathlib
import subprocess
import sys

import onnx
import pytest
import small_models
from test_readme import ROOT, examples


@pytest.mark.skipif(os.environ.get("ONNXC_TEST_ALL") != "1", reason="builds a wheel: only with --all")
def test_installed_package(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    python = tmp_path / "venv/bin/python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--no-cache-dir", str(ROOT)], check=True)
    onnx.save(small_models.relu((3, 5)), tmp_path / "model.onnx")
    (program,) = examples("python")
    done = subprocess.run([str(python), "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "y (3, 5)\n"
    where = [str(python), "-c", "import onnxc.compiler; print(onnxc.compiler.compiler_path())"]
    compiler = subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()
    assert pathlib.Path(compiler).resolve().is_relative_to(tmp_path)
    version = subprocess.run([str(python.with_name("onnxc")), "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("onnxc ")
