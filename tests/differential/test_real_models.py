"""The real models, correct through both back ends. The larger ones go through the C++ back end only with ONNXC_TEST_ALL=1."""

import os
import pathlib

import pytest
from differential import models
from differential.real_models import compile_memory, measure

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
