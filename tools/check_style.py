#!/usr/bin/env python3
"""Checks what reviewers should not have to: formatting, the order of rooms, the length of files, a README per folder,
and that the files which comments and READMEs name are there.

tools/check_style.py          each check is counted; the last line is "N passed, N failed"
tools/check_style.py --fix    formats what can be formatted
"""

import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
MAX_LINES = 800
MAX_README_LINES = 40
# Folders that the README of the folder above covers.
COVERED = ("python/src", "python/onnxc", "tools/cmake", "tests/support", "runtime_lib/include/onnxc")

# Who may include whom, in compiler/. Each room may include itself.
BELOW = {
    "support": set(),
    "ir": {"support"},
    "ops": {"support", "ir"},
    "passes": {"support", "ir", "ops"},
    "import": {"support", "ir", "ops", "passes"},  # passes: only the interface FunctionBodies, which import implements
    "lower": {"support", "ir", "ops"},
    "plan": {"support", "ir"},
    "emit": {"support", "ir", "plan"},
    "link": {"support", "ir", "plan", "emit"},  # emit: only ModelIdentity
    "driver": {"support", "ir", "ops", "passes", "import", "lower", "plan", "emit", "link"},
}


def tracked(*patterns: str) -> list[str]:
    out = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [name for name in out.stdout.split() if (ROOT / name).is_file()]


def cpp_files() -> list[str]:
    return tracked("compiler/*.cc", "compiler/*.h", "runtime_lib/*.cc", "runtime_lib/*.h", "python/*.cc", "python/*.h",
                   "tests/*.cc", "tests/*.h")  # fmt: skip


def run(command: list[str]) -> list[str]:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else (done.stdout + done.stderr).splitlines()


def clang_format(fix: bool) -> list[str]:
    return run(
        ["clang-format-19", "-i"] + cpp_files() if fix else ["clang-format-19", "--dry-run", "-Werror", *cpp_files()]
    )


def ruff_format(fix: bool) -> list[str]:
    return run([sys.executable, "-m", "ruff", "format", "--quiet", *([] if fix else ["--diff"]), "."])


def ruff_check(fix: bool) -> list[str]:
    return run([sys.executable, "-m", "ruff", "check", "--quiet", "--output-format=concise", *["--fix"] * fix, "."])


def rooms(fix: bool) -> list[str]:
    problems = []
    for name in tracked("compiler/*.cc", "compiler/*.h"):
        room = name.split("/")[1]
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match or not match[1].startswith("compiler/"):
                continue
            other = match[1].split("/")[1]
            if other != room and other not in BELOW[room]:
                problems.append(f"{name}:{number}: {room}/ may not include {match[1]}")
    for name in tracked("runtime_lib/*.cc", "runtime_lib/*.h"):
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
            if (match := INCLUDE.match(line)) and match[1].startswith("compiler/"):
                problems.append(f"{name}:{number}: runtime_lib/ may not include {match[1]}")
    return problems


def lengths(fix: bool) -> list[str]:
    names = [*cpp_files(), *tracked("*.py")]
    counts = {name: len((ROOT / name).read_text().splitlines()) for name in names}
    return [f"{name}: {count} lines, more than {MAX_LINES}" for name, count in counts.items() if count > MAX_LINES]


def readmes(fix: bool) -> list[str]:
    problems = []
    folders = {str(pathlib.PurePath(name).parent) for name in [*cpp_files(), *tracked("*.py", "tools/*")]} - {"."}
    for folder in sorted(folders):
        if folder.count("/") > 2 or folder in COVERED:
            continue
        readme = ROOT / folder / "README.md"
        if not readme.exists():
            problems.append(f"{folder}: no README.md")
        elif len(readme.read_text().splitlines()) > MAX_README_LINES and folder != "compiler":
            problems.append(f"{folder}/README.md: more than {MAX_README_LINES} lines")
    return problems


PATH = re.compile(r"(?<![\w/.<{$-])((?:compiler|runtime_lib|codegen_templates|python|tests|tools)/[\w./-]*\w)")


def named_files(fix: bool) -> list[str]:
    """Comments and READMEs that send the reader to a file that is not there."""
    problems = []
    for name in [*cpp_files(), *tracked("*.md", "*.py", "*.txt", "*.cmake")]:
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
            problems += [
                f"{name}:{number}: there is no {path}" for path in PATH.findall(line) if not (ROOT / path).exists()
            ]
    return problems


CHECKS = {
    "clang-format": clang_format,
    "ruff format": ruff_format,
    "ruff check": ruff_check,
    "rooms include only what is below them": rooms,
    "files have at most 800 lines": lengths,
    "folders have a short README": readmes,
    "files that texts name are there": named_files,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the style of the sources.")
    parser.add_argument("--fix", action="store_true", help="format what can be formatted")
    arguments = parser.parse_args()
    failed = 0
    for name, check in CHECKS.items():
        problems = check(arguments.fix)
        failed += bool(problems)
        print(f"{'FAILED' if problems else 'ok'}: {name}")
        for problem in problems[:40]:
            print("    " + problem[:200])
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
