"""Finds and runs `onnxc`. One compile is a process of its own, or a line given to a persistent `onnxc --batch` process."""

import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What a compiler built with sanitizers (or with the checks of its standard library) prints when it finds something.
REPORT = re.compile(r"(runtime error: .*|ERROR: \w+Sanitizer: .*|Assertion '.*' failed.*)")


def find_onnxc():
    """ONNXC of the environment, or build/bin/onnxc of this tree."""
    path = pathlib.Path(os.environ.get("ONNXC", ROOT / "build" / "bin" / "onnxc"))
    if not path.exists():
        raise SystemExit(f"{path} does not exist: build it (ninja -C build onnxc) or set ONNXC")
    return path


@dataclasses.dataclass
class Outcome:
    code: int  # exit code; negative: killed by that signal; -1000: timed out
    text: str  # what it printed
    seconds: float

    @property
    def ok(self):
        return self.code == 0

    def reason(self):
        """One line that says why it failed; it begins with "compiler: " where the compiler is at fault whatever the model is."""
        if self.code == -1000:
            return "compiler: timed out"
        if report := REPORT.search(self.text):
            return f"compiler: {report[1]}"
        if self.code < 0:
            return f"compiler: killed by {signal.Signals(-self.code).name}"
        lines = [l.strip() for l in self.text.splitlines() if "error:" in l]
        return lines[0] if lines else (self.text.strip().splitlines() or [f"exit code {self.code}"])[0]


def compile_model(model, output, args=(), timeout=600, onnxc=None):
    """Runs `onnxc MODEL -o OUTPUT ARGS`."""
    command = [str(onnxc or find_onnxc()), str(model), "-o", str(output), *map(str, args)]
    start = time.monotonic()
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, stdin=subprocess.DEVNULL
        )
        return Outcome(done.returncode, done.stdout.decode(errors="replace"), time.monotonic() - start)
    except subprocess.TimeoutExpired as e:
        return Outcome(-1000, (e.stdout or b"").decode(errors="replace"), time.monotonic() - start)


class BatchCompiler:
    """A persistent `onnxc --batch -` (a line MODEL<TAB>OUTPUT<TAB>flags in, a line of JSON out), started again after a crash.
    With batch=False: a process per model."""

    def __init__(self, onnxc=None, batch=True):
        self.onnxc = onnxc or find_onnxc()
        self.batch = batch
        self.process = None
        self.errors = tempfile.TemporaryFile()

    def compile(self, model, output, args=(), timeout=120):
        if not self.batch or any(" " in str(a) for a in args):  # --batch separates flags by spaces
            return compile_model(model, output, args, timeout, self.onnxc)
        start = time.monotonic()
        if self.process is None or self.process.poll() is not None:
            self.errors.seek(0)  # parent and child share the position
            self.errors.truncate()
            self.process = subprocess.Popen(
                [str(self.onnxc), "--batch", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors
            )
        try:
            line = "\t".join([str(model), str(output), " ".join(map(str, args))]) + "\n"
            self.process.stdin.write(line.encode())
            self.process.stdin.flush()
            for line in self.process.stdout:
                if line.startswith(b"{"):
                    answer = json.loads(line)
                    return Outcome(answer["exit"], answer["message"], time.monotonic() - start)
        except BrokenPipeError:
            pass
        code = self.process.wait()
        self.process = None
        return Outcome(code or 70, self.printed(), time.monotonic() - start)

    def printed(self):
        """What the process wrote to its standard error."""
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def close(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process = None
