"""Runs the programs of this folder that count for themselves, as tests/differential/README.md says."""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
EVERYTHING = os.environ.get("ONNXC_TEST_ALL") == "1"


def run(*command):
    done = subprocess.run([sys.executable, str(HERE / command[0]), *command[1:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] != "0 passed, 0 failed", "nothing was run"


def test_random_single_operators():
    run("random_ops.py", "--count", "5" if EVERYTHING else "1")


def test_random_single_operators_with_guarded_buffers():
    run(
        "random_ops.py",
        "--count",
        "2" if EVERYTHING else "1",
        "--seed",
        "1",
        "--flags=--debug-plan",
        *([] if EVERYTHING else ["-k", "Conv|Pool|MatMul|LSTM|Softmax"]),
    )


def test_superseded_versions_of_operators():
    run("old_versions.py", *(["--rows", "3", "--cases", "4"] if EVERYTHING else []))


def test_every_pass_on_against_off():
    run("optimisations.py", *(["--real"] if EVERYTHING else []))


def test_the_number_of_threads_changes_no_bit():
    run("threads.py", "--count", "3" if EVERYTHING else "1", "--runs", "20" if EVERYTHING else "3")


def test_the_number_of_threads_changes_no_bit_of_real_models():
    if EVERYTHING:
        run("threads.py", "--real")
    else:
        run("threads.py", "--real", "-k", "blazeface|light_shufflenet|magika|silero")
