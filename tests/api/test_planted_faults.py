"""Two faults planted by hand into a Plan (tests/unit/planted_faults.cc), and what catches each:
an overlap of live buffers: the plan's verifier, which names both; --debug-plan, whose NaN fill shows in the output;
a read past the end of a buffer: --debug-plan --sanitize=address, which stops at the read."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from conformance.expectations import sanitizer_runtime
from support.c_abi import CompiledModel
from support.compiler import ROOT, find_onnxc

TESTS = pathlib.Path(__file__).resolve().parents[1]
RUN = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from support.c_abi import CompiledModel
with CompiledModel(sys.argv[2], host=True) as m:
    print(m.run({"x": np.arange(64, dtype=np.float32)})[0].tolist())
"""


def plant(folder, kind, *flags):
    tool = find_onnxc().parent / "planted_faults"
    if not tool.exists():
        pytest.skip(f"{tool} is not built")
    path = folder / f"{kind}.so"
    done = subprocess.run([str(tool), kind, str(path), *flags], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return path, done.stdout


def run(path):
    with CompiledModel(path, host=True) as model:
        return model.run({"x": np.arange(64, dtype=np.float32)})[0]


@pytest.mark.parametrize("flags", [[], ["debug-plan"]])
def test_sound_plan_is_right(tmp_path, flags):
    path, _ = plant(tmp_path, "sound", *flags)
    np.testing.assert_array_equal(run(path), 3 * np.arange(64, dtype=np.float32) + 1)


def test_overlap_is_named_by_the_verifier(tmp_path):
    _, text = plant(tmp_path, "overlap")
    assert "%a" in text and "%b" in text and "shares memory" in text, text


def test_overlap_is_silent_without_and_shown_by_debug_plan(tmp_path):
    silent, _ = plant(tmp_path, "overlap")
    assert np.isfinite(run(silent)).all()
    (tmp_path / "shown").mkdir()
    shown, _ = plant(tmp_path / "shown", "overlap", "debug-plan")
    expected = 3 * np.arange(64, dtype=np.float32) + 1
    assert not np.array_equal(run(shown), expected)


def child(path):
    environment = {**os.environ, "LD_PRELOAD": sanitizer_runtime(), "ASAN_OPTIONS": "detect_leaks=0"}
    return subprocess.run(
        [sys.executable, "-c", RUN, str(TESTS), str(path)], capture_output=True, text=True, env=environment, cwd=ROOT
    )


def test_sound_plan_passes_the_sanitizer(tmp_path):
    path, _ = plant(tmp_path, "sound", "debug-plan", "sanitize")
    done = child(path)
    assert done.returncode == 0, done.stderr


def test_overread_is_caught_by_the_sanitizer(tmp_path):
    path, _ = plant(tmp_path, "overread", "debug-plan", "sanitize")
    done = child(path)
    assert done.returncode != 0
    assert "AddressSanitizer: use-after-poison" in done.stderr, done.stderr
    assert "READ of size" in done.stderr
