"""The real models, correct through both back ends. The larger ones go through the C++ back end only with ONNXC_TEST_ALL=1."""

import os
import pathlib

import numpy as np
import onnxc
import pytest
from differential import models
from differential.real_models import compile_memory, measure
from support.compiler import compile_model

EVERYTHING = os.environ.get("ONNXC_TEST_ALL") == "1"
# g++ takes four times as long for the high tiles of AVX-512 (oww_embedding: five minutes), which the kernels' own tests
# and the LLVM back end run; what is printed around them is the same.
AVX512 = "avx512f" in pathlib.Path("/proc/cpuinfo").read_text()
LOWER_TILES = ("--mcpu=x86-64-v3",) if AVX512 else ()


def need(model):
    if not model.path().exists():
        pytest.skip(f"{model.path()} is not there (tools/fetch_models.py)")


@pytest.mark.parametrize("backend", ["llvm", "cpp"])
@pytest.mark.parametrize("model", models.MODELS, ids=lambda m: m.name)
def test_real_model(model, backend):
    need(model)
    if backend == "cpp" and not (model.small or EVERYTHING):
        pytest.skip("large: ONNXC_TEST_ALL=1 runs it")
    row = measure(model, backend, runs=1, arguments=LOWER_TILES if backend == "cpp" else ())
    assert not row["wrong"], "\n".join(row["wrong"])


def test_resnet50_compiles_in_bounded_time_and_memory():
    model = next(m for m in models.MODELS if m.name == "light_resnet50")
    need(model)
    before = os.times()
    memory = compile_memory(model)
    after = os.times()
    assert memory["exit"] == 0
    # Of CPU: tests that run beside it take from the clock's.
    assert after.children_user + after.children_system - before.children_user - before.children_system <= 20
    assert memory["of_weights"] < 4


@pytest.mark.parametrize("name", ["crnn_ddddocr_dynint8", "t5small_enc_dynint8"])
def test_dynamic_quantisation_stays_near(name, tmp_path):
    """Scales come from the run, so a difference in the last place can turn a code, and codes after it: there is no float64
    truth. But most feeds turn none, what one turns stays small, and what is read from the pictures is the same."""
    model = models.RealModel(name, name)
    need(model)
    library = tmp_path / "model.so"
    outcome = compile_model(model.path(), library, ["-q"])
    assert outcome.ok, outcome.text
    session = models.ort_session(model.path())
    compiled, greatest = onnxc.InferenceSession(str(library)), []
    for seed in range(4):
        feeds = model.feeds(seed)
        got, want = compiled.run(None, feeds)[0], session.run(None, feeds)[0]
        assert got.shape == want.shape
        difference = np.abs(got - want) / np.sqrt(np.mean(want**2))
        assert difference.mean() <= 0.03
        greatest.append(difference.max())
        if name.startswith("crnn"):
            np.testing.assert_array_equal(got.argmax(-1), want.argmax(-1))
    assert max(greatest) <= 0.15
    if name.startswith("t5"):
        assert sorted(greatest)[1] <= 1e-5
