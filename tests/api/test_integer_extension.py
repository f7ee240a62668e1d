"""--mcpu=native multiplies integers by AVX-512 VNNI where this machine has it; a named level never does."""

import pathlib
import subprocess

import numpy as np
import onnx
import onnxc
import pytest
import small_models
from onnx import helper
from small_models import value
from support.compiler import find_onnxc

HAS_VNNI = "avx512_vnni" in pathlib.Path("/proc/cpuinfo").read_text().split()


def integers(kind, low):
    rng = np.random.default_rng(3)
    return rng.integers(low, low + 256, (37, 75)).astype(np.uint8), rng.integers(low, low + 256, (75, 50)).astype(kind)


def model_of(b, rows=37):
    weights = [onnx.numpy_helper.from_array(b, "b")]
    a = value("a", (rows, 75), onnx.TensorProto.UINT8)
    y = value("y", (rows, 50), onnx.TensorProto.INT32)
    return small_models.model([helper.make_node("MatMulInteger", ["a", "b"], ["y"])], [a], [y], weights)


def assembly(path, cpu):
    command = [find_onnxc(), path, "--emit=asm", "-q", f"--mcpu={cpu}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("rows", [37, "n"])
@pytest.mark.parametrize(("kind", "low"), [(np.uint8, 0), (np.int8, -128)])
def test_products_of_integers(kind, low, rows, tmp_path):
    a, b = integers(kind, low)
    path = tmp_path / "m.onnx"
    onnx.save(model_of(b, rows), path)
    assert ("vpdpwssd" in assembly(path, "native")) == HAS_VNNI
    assert "vpdpwssd" not in assembly(path, "x86-64-v4")
    session = onnxc.InferenceSession(path)
    np.testing.assert_array_equal(session.run(None, {"a": a})[0], a.astype(np.int32) @ b.astype(np.int32))


@pytest.mark.skipif(not HAS_VNNI, reason="this machine has no AVX-512 VNNI")
def test_floats_need_nothing_more_than_the_level(tmp_path):
    onnx.save(small_models.relu(), tmp_path / "floats.onnx")
    onnx.save(model_of(integers(np.int8, -128)[1]), tmp_path / "integers.onnx")
    for name, needed in (("floats", 7), ("integers", 15)):  # ONNXC_X86_V2, V3, V4; AVX512_VNNI
        command = [find_onnxc(), tmp_path / f"{name}.onnx", "--emit=cpp", "-q", "-o", tmp_path / name]
        subprocess.run(command, check=True)
        text = (tmp_path / name / f"{name}_model.cc").read_text()
        assert f'"x86-64-v4",\n    {needed}u,' in text
