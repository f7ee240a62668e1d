"""Runs what CTest knows as unit.*: GoogleTest programs of build/bin, whose cases are counted, and other commands, each of which
is one case. The last line is "N passed, N failed"."""

import json
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


def run(command: list[str]) -> tuple[int, int]:
    """(passed, failed)"""
    if pathlib.Path(command[0]).parent != BUILD / "bin":
        failed = subprocess.run(command, check=False).returncode != 0
        return int(not failed), int(failed)
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        done = subprocess.run([*command, "--gtest_brief=1", f"--gtest_output=json:{report.name}"], check=False)
        text = pathlib.Path(report.name).read_text()
    if not text:
        print(f"FAILED: {command[0]} ended with status {done.returncode} before its report")
        return 0, 1
    totals = json.loads(text)
    failed = totals["failures"] + totals.get("errors", 0)
    if done.returncode != 0 and failed == 0:
        failed = 1
    return totals["tests"] - totals.get("disabled", 0) - failed, failed


def main() -> int:
    counts = []
    for command in programs():
        passed, failed = run(command)
        print(f"{pathlib.Path(command[0]).name}: {passed} passed, {failed} failed", flush=True)
        counts.append((passed, failed))
    passed, failed = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not counts else 0


if __name__ == "__main__":
    sys.exit(main())
