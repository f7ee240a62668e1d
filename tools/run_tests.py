"""Runs the project's test suites one after the other and adds up what they count. Called by tools/test.

A suite is a command plus the way to read its counts: a JUnit file that it writes, or its last line "N passed, N failed".
A suite whose folder or program is not there is left out, and said to be. Each suite's output goes to the screen and to
build/test-logs/SUITE.log. The last line printed is "N passed, N failed".
"""

import argparse
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LOGS = BUILD / "test-logs"
COUNT_LINE = re.compile(r"^(\d+) passed, (\d+) failed$")


@dataclasses.dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Suite:
    name: str
    needs: pathlib.Path  # absent: the suite is left out
    command: Callable[[pathlib.Path, bool], list[str]]  # (report file, everything?) -> what to run
    report: str  # "junit": the command writes a JUnit file; "line": its last line counts
    prepare: list[str] = dataclasses.field(default_factory=list)  # a script of the repository to run before


def pytest(folder: str) -> Callable[[pathlib.Path, bool], list[str]]:
    def command(report: pathlib.Path, everything: bool) -> list[str]:
        options = ["-v", "--color=no", "--tb=short", "-p", "no:cacheprovider", f"--junitxml={report}"]
        options += ["-n", str(os.cpu_count()), "--dist=worksteal"]
        return [sys.executable, "-m", "pytest", *options, str(ROOT / folder)]

    return command


def style(report: pathlib.Path, everything: bool) -> list[str]:
    return [sys.executable, str(ROOT / "tools/check_style.py")]


def unit(report: pathlib.Path, everything: bool) -> list[str]:
    return [sys.executable, str(ROOT / "tools/run_unit_tests.py")]


def lit(report: pathlib.Path, everything: bool) -> list[str]:
    return [
        str(pathlib.Path(sys.executable).with_name("lit")),
        "-v",
        f"--xunit-xml-output={report}",
        str(ROOT / "tests/lit"),
    ]


def script(path: str) -> Callable[[pathlib.Path, bool], list[str]]:
    def command(report: pathlib.Path, everything: bool) -> list[str]:
        return [sys.executable, str(ROOT / path), *(["--all"] if everything else [])]

    return command


SUITES = [
    Suite("style", ROOT / "tools/check_style.py", style, "line"),
    Suite("tidy", ROOT / "tools/check_tidy.py", script("tools/check_tidy.py"), "line"),
    Suite("unit", BUILD / "CTestTestfile.cmake", unit, "line"),
    Suite("lit", ROOT / "tests/lit/lit.cfg.py", lit, "junit"),
    Suite("conformance", ROOT / "tests/conformance/run.py", script("tests/conformance/run.py"), "line"),
    Suite("sanitizers", ROOT / "tools/check_sanitizers.py", script("tools/check_sanitizers.py"), "line"),
    Suite("api", ROOT / "tests/api", pytest("tests/api"), "junit"),
    Suite("bench", ROOT / "tests/bench/test_bench.py", pytest("tests/bench"), "junit"),
    Suite("embedded", ROOT / "tests/embedded", pytest("tests/embedded"), "junit"),
    Suite(
        "differential",
        ROOT / "tests/differential",
        pytest("tests/differential"),
        "junit",
        ["tools/fetch_models.py", "--tests"],
    ),
]


def read_junit(report: pathlib.Path) -> Counts:
    counts = Counts()
    for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            counts.failed += 1
            counts.failures.append(f"{case.get('classname')}.{case.get('name')}")
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            counts.skipped += 1
        else:
            counts.passed += 1
    return counts


def read_last_line(log: pathlib.Path) -> Counts | None:
    lines = log.read_text(errors="replace").rstrip().splitlines()
    match = COUNT_LINE.match(lines[-1].strip()) if lines else None
    return Counts(int(match[1]), int(match[2])) if match else None


def environment(everything: bool) -> dict[str, str]:
    env = dict(os.environ)
    env["PATH"] = os.pathsep.join([str(BUILD / "bin"), str(pathlib.Path(sys.executable).parent), env.get("PATH", "")])
    env["ONNXC_TEST_ALL"] = "1" if everything else "0"
    return env


def run_logged(command: list[str], log: pathlib.Path, everything: bool) -> int:
    """Runs it with its output on the screen and in the log; its exit status."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(everything), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    with log.open("ab") as out:
        for line in process.stdout:
            out.write(line)
            sys.stdout.buffer.write(b"   " + line)
            sys.stdout.flush()
    return process.wait()


def run_suite(suite: Suite, everything: bool) -> Counts:
    report, log = LOGS / f"{suite.name}.xml", LOGS / f"{suite.name}.log"
    report.unlink(missing_ok=True)
    log.unlink(missing_ok=True)
    if suite.prepare and run_logged([sys.executable, *suite.prepare], log, everything) != 0:
        return Counts(failed=1, failures=[f"{suite.name}: {' '.join(suite.prepare)} failed"])
    status = run_logged(suite.command(report, everything), log, everything)
    counts = None
    if suite.report == "line":
        counts = read_last_line(log)
    elif report.exists():
        counts = read_junit(report)
    if counts is None:
        return Counts(failed=1, failures=[f"{suite.name}: ended with status {status} and without a count"])
    if status != 0 and counts.failed == 0:
        counts.failed = 1
        counts.failures.append(f"{suite.name}: all its cases passed, yet it ended with status {status}")
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the tests; the last line counts them.")
    parser.add_argument("--all", action="store_true", help="everything, not a tenth of the costly forms")
    parser.add_argument("--only", default="", help="suites, separated by commas")
    parser.add_argument("--list", action="store_true", help="name the suites")
    arguments = parser.parse_args()
    names = [suite.name for suite in SUITES]
    if arguments.list:
        print("\n".join(names))
        return 0
    chosen = [name for name in arguments.only.split(",") if name] or names
    if unknown := set(chosen) - set(names):
        parser.error(f"no suite is named {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    LOGS.mkdir(parents=True, exist_ok=True)
    return run_all([suite for suite in SUITES if suite.name in chosen], arguments.all)


def is_there(suite: Suite) -> bool:
    return any(suite.needs.glob("test_*.py")) if suite.needs.is_dir() else suite.needs.exists()


def run_all(suites: list[Suite], everything: bool) -> int:
    total, rows = Counts(), []
    for suite in suites:
        if not is_there(suite):
            rows.append(f"{suite.name:14} absent: nothing in {suite.needs.relative_to(ROOT)}")
            continue
        print(f"== {suite.name}", flush=True)
        started = time.monotonic()
        counts = run_suite(suite, everything)
        rows.append(f"{suite.name:14} {counts.passed:6} passed {counts.failed:5} failed {counts.skipped:5} skipped"
                    f" {time.monotonic() - started:7.0f} s")  # fmt: skip
        total.passed += counts.passed
        total.failed += counts.failed
        total.failures += counts.failures
    print("== summary")
    for row in rows:
        print("   " + row)
    for failure in total.failures:
        print("   FAILED " + failure)
    if total.passed == 0 and total.failed == 0:
        print("   no test ran")
        total.failed = 1
    print(f"{total.passed} passed, {total.failed} failed", flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
