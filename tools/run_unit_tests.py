"""Runs what CTest knows as unit.*, as many at once as there are cores: GoogleTest programs of build/bin, whose cases are
counted, and other commands, each of which is one case. The last line is "N passed, N failed"."""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(__file__).resolve().parent.parent / "build"


def programs() -> list[list[str]]:
    shown = subprocess.run(
        ["ctest", "--test-dir", str(BUILD), "--show-only=json-v1"], capture_output=True, text=True, check=True
    )
    return [test["command"] for test in json.loads(shown.stdout)["tests"] if test["name"].startswith("unit.")]


def run(command: list[str]) -> tuple[int, int, str]:
    """(passed, failed, what it printed)"""
    if pathlib.Path(command[0]).parent != BUILD / "bin":
        done = output_of(command)
        return int(done.returncode == 0), int(done.returncode != 0), done.stdout
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        done = output_of([*command, "--gtest_brief=1", f"--gtest_output=json:{report.name}"])
        text = pathlib.Path(report.name).read_text()
    if not text:
        return 0, 1, f"{done.stdout}FAILED: {command[0]} ended with status {done.returncode} before its report\n"
    totals = json.loads(text)
    failed = totals["failures"] + totals.get("errors", 0)
    if done.returncode != 0 and failed == 0:
        failed = 1
    return totals["tests"] - totals.get("disabled", 0) - failed, failed, done.stdout


def output_of(command: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )


def main() -> int:
    counts = []
    commands = programs()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for command, (passed, failed, output) in zip(commands, pool.map(run, commands), strict=True):
            print(f"{output}{pathlib.Path(command[0]).name}: {passed} passed, {failed} failed", flush=True)
            counts.append((passed, failed))
    passed, failed = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not counts else 0


if __name__ == "__main__":
    sys.exit(main())
