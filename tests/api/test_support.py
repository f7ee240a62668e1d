"""The harnesses' own helpers: packed elements, workers that survive, comparison, the list of expected failures."""

import argparse
import json
import os
import re
import signal
import time

import ml_dtypes
import numpy as np
import pytest
from conformance import cases, run, support_table
from conformance.compare import Mismatch, compare
from conformance.expectations import Expectations
from conformance.wrong_cases import WRONG
from support import elements
from support.compiler import BatchCompiler, Outcome
from support.workers import run_jobs


@pytest.mark.parametrize(
    "dtype", [ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.float4_e2m1fn, ml_dtypes.int2, ml_dtypes.uint2]
)
@pytest.mark.parametrize("count", [0, 1, 5, 16])
def test_packing_and_back(dtype, count):
    values = np.arange(count).astype(np.float32) % 2
    array = values.astype(dtype)
    elem = elements.elem_of(array)
    packed = elements.pack(array)
    assert packed.nbytes == elements.packed_bytes(elem, count)
    assert elements.unpack(packed, elem, (count,)).tobytes() == array.tobytes()


def test_first_element_lies_in_the_low_bits():
    assert elements.pack(np.array([1, -2, 3], ml_dtypes.int4)).tolist() == [0xE1, 0x03]


def test_workers_survive_crash_and_time_out():
    def work(job):
        if job == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if job == "hang":
            time.sleep(60)
        return job.upper()

    results = {}
    run_jobs(
        ["a", "crash", "b", "hang", "c"],
        work,
        results.__setitem__,
        workers=2,
        timeout=2,
        on_death=lambda job, text: text.splitlines()[0],
    )
    assert results == {"a": "A", "b": "B", "c": "C", "crash": "killed by SIGKILL", "hang": "timed out"}


@pytest.mark.parametrize(
    "actual, expected",
    [
        (np.float32([1, 2]), np.float32([1, 2.1])),
        (np.float32([1]), np.float32([np.nan])),
        (np.float32([np.inf]), np.float32([-np.inf])),
        (np.float32([1]), np.float64([1])),
        (np.float32([[1]]), np.float32([1])),
        (np.array([2**62 + 2**56]), np.array([2**62])),
    ],
)
def test_differences_are_seen(actual, expected):
    with pytest.raises(Mismatch):
        compare(actual, expected, 1e-3, 1e-7)


def test_equal_specials_pass():
    x = np.array([np.nan, np.inf, -np.inf, 0, 1], np.float32)
    compare(x, x.copy(), 1e-3, 1e-7)


def test_expected_failures_grow_and_shrink(tmp_path):
    path = tmp_path / "expected_failures.json"
    path.write_text(json.dumps({"static": {"no": ["gone", "stays"]}}))
    listed = Expectations(path)
    listed.update(
        [
            {"form": "static", "case": "gone", "reason": None},
            {"form": "static", "case": "new", "reason": "why"},
            {"form": "cpp", "case": "new", "reason": "also"},
            {"form": "cpp", "case": "own", "reason": "only here"},
        ]
    )
    again = Expectations(path)
    assert again.reasons == {("static", "stays"): "no", ("static", "new"): "why", ("cpp", "own"): "only here"}
    assert (
        again.must_fail("static", "new") and again.reason("cpp", "new") == "why" and not again.must_fail("cpp", "new")
    )


@pytest.mark.parametrize(
    "text, reason",
    [
        (
            "a.cc:3:7: runtime error: signed integer overflow: 1 + 2",
            "compiler: runtime error: signed integer overflow: 1 + 2",
        ),
        (
            "==7==ERROR: AddressSanitizer: heap-use-after-free on address",
            "compiler: ERROR: AddressSanitizer: heap-use-after-free",
        ),
        (
            "stl_vector.h:1123: T& at(n): Assertion '__n < this->size()' failed.",
            "compiler: Assertion '__n < this->size()' failed",
        ),
    ],
)
@pytest.mark.parametrize("batch", [True, False])
def test_what_a_sanitizer_reports_is_the_compilers_fault(text, reason, batch, tmp_path):
    onnxc = tmp_path / "onnxc"
    onnxc.write_text(f'#!/bin/sh\necho "note: error: something" >&2\necho "{text}" >&2\nexit 1\n')
    onnxc.chmod(0o755)
    compiler = BatchCompiler(onnxc, batch)
    for _ in range(2):
        outcome = compiler.compile("model.onnx", tmp_path / "model.so")
        assert outcome.code == 1 and outcome.reason().startswith(reason)
    assert outcome.text.count(text) == 1, "each process's own report"


def test_a_fault_of_the_compiler_is_never_expected(tmp_path, capsys):
    listed = tmp_path / "expected_failures.json"
    listed.write_text(json.dumps({"static": {"error: unsupported: x": ["a", "b"]}}))
    results = [
        {"form": "static", "suite": "node", "case": "a", "operators": ["X"], "reason": "error: unsupported: x"},
        {"form": "static", "suite": "node", "case": "b", "operators": ["X"], "reason": Outcome(-11, "", 0).reason()},
    ]
    options = argparse.Namespace(report=None, update=False)
    assert run.report(results, options, Expectations(listed)) == 1
    assert "FAILED static b: compiler: killed by SIGSEGV" in capsys.readouterr().out


def test_the_table_of_operators_is_fresh():
    assert support_table.TABLE.read_text() == support_table.table(), "run tests/conformance/support_table.py"


@pytest.fixture(scope="module")
def wrong_cases():
    return {case.name: case for case in cases.collect(re.compile(f"^({'|'.join(WRONG)})$"))}


@pytest.mark.parametrize("name", WRONG)
def test_cases_said_to_be_wrong_are(name, wrong_cases):
    case = wrong_cases[name]
    inputs, expected = case.data_sets[0]
    right = [y.astype(e.dtype) for y, e in zip(WRONG[name][1](*inputs), expected, strict=True)]
    with pytest.raises(Mismatch, match="wrong values"):
        compare(right, expected, case.rtol, case.atol)
