#!/usr/bin/env python3
"""Runs onnx.backend.test through onnxc: compile, load by the C ABI, run, compare at the suite's tolerances.

    tests/conformance/run.py [-k PATTERN] [--forms static,cpp,...] [--all | --tenth] [--report FILE.json] [--update] [-v]

The static form runs in full, the others as a tenth of the cases unless --all. expected_failures.json lists what fails and
why; a listed case that passes is a failure (the list may only shrink), an unlisted one that fails is too. --update rewrites
the entries of the cases run. That the compiler dies, or that a sanitizer in it reports (tools/check_sanitizers.py), is never
expected. The last line is `N passed, N failed`; expected failures count as neither."""

import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from conformance import cases as case_list  # noqa: E402
from conformance import cpp_form, expectations  # noqa: E402
from conformance.compare import Mismatch, compare  # noqa: E402
from conformance.forms import FORMS  # noqa: E402
from support.c_abi import CompiledModel, ModelError  # noqa: E402
from support.compiler import BatchCompiler, find_onnxc  # noqa: E402
from support.workers import run_jobs  # noqa: E402


class CaseWorker:
    """Does one (case, form) job inside a worker process."""

    def __init__(self, cases, folder, batch):
        self.cases, self.folder, self.batch, self.compiler = cases, folder, batch, None

    def __call__(self, job):
        index, form_name = job
        case, form = self.cases[index], FORMS[form_name]
        start = time.monotonic()
        reason = self.attempt(case, form)
        return {"reason": reason, "seconds": round(time.monotonic() - start, 4)}

    def attempt(self, case, form):
        if self.compiler is None:
            self.compiler = BatchCompiler(batch=self.batch)
        for number, (inputs, outputs) in enumerate(case.data_sets):
            if number and form.name == "static":
                pass  # the same artefact would do; there are few such cases
            model, arguments, feeds = form.build(case, case.feeds(inputs))
            stem = self.folder / f"{form.name}-{case.suite}-{case.name}"
            source = stem.with_suffix(".onnx")
            artefact = stem if form.only_sources else stem.with_suffix(".so")
            source.write_bytes(model.SerializeToString())
            outcome = self.compiler.compile(source, artefact, ["-q", *arguments])
            if not outcome.ok:
                source.unlink()
                return shorten(outcome.reason(), source, case)
            if form.only_sources:
                source.unlink()
                shutil.rmtree(artefact)
                continue
            try:
                reason = run_and_compare(artefact, case, feeds, outputs)
            finally:
                source.unlink()
                artefact.unlink()
            if reason:
                return reason
        return None


def run_and_compare(artefact, case, feeds, expected, symbol="onnxc_get_model"):
    """None, or why the outputs are not the expected ones."""
    try:
        with CompiledModel(artefact, symbol, host=True) as model:
            actual = model.run({k: v for k, v in feeds.items()})
            if len(actual) != len(expected):
                return f"wrong number of outputs: {len(actual)} instead of {len(expected)}"
            for name, a, e in zip(model.output_names(), actual, expected):
                compare(a, e, case.rtol, case.atol, case.shape_only, f"output {name}")
    except (Mismatch, ModelError) as e:
        return str(e)
    except Exception as e:  # a fault of the harness or of the artefact: say which
        return f"{type(e).__name__}: {e}"
    return None


def shorten(reason, source, case):
    """Takes out what differs from case to case for no reason: paths and the case's own name."""
    reason = reason.replace(str(source), "MODEL").replace(source.name, "MODEL").replace(source.stem, "MODEL")
    return reason.replace(str(case.name), "CASE")[:300]


def main():
    options = parse_arguments()
    if any(FORMS[f].sanitized for f in options.forms) and "LD_PRELOAD" not in os.environ and len(options.forms) > 0:
        options.forms, sanitized = (
            [f for f in options.forms if not FORMS[f].sanitized],
            [f for f in options.forms if FORMS[f].sanitized],
        )
    else:
        sanitized = []
    cases = case_list.collect(re.compile(options.k) if options.k else None)
    results = run_forms(cases, options) if options.forms else []
    if sanitized:
        results += run_sanitized(sanitized, options)
    if options.results:
        pathlib.Path(options.results).write_text(json.dumps(results))
        return 0
    expected = expectations.Expectations(pathlib.Path(__file__).with_name("expected_failures.json"))
    return report(results, options, expected)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", metavar="PATTERN", help="only cases whose name matches this regular expression")
    usual = ",".join(name for name, form in FORMS.items() if not form.only_sources)
    parser.add_argument("--forms", default=usual, type=lambda s: s.split(","), help=f"of {','.join(FORMS)}")
    parser.add_argument("--all", action="store_true", help="every case in every form")
    parser.add_argument("--tenth", action="store_true", help="a tenth of the cases in every form")
    parser.add_argument("--report", metavar="FILE", help="write every result as JSON")
    parser.add_argument("--update", action="store_true", help="rewrite expected_failures.json for the cases run")
    parser.add_argument("-j", type=int, default=os.cpu_count(), help="workers")
    parser.add_argument("--timeout", type=float, default=300, help="seconds per case")
    parser.add_argument("--no-batch", dest="batch", action="store_false", help="one onnxc process per case")
    parser.add_argument("-v", action="store_true", help="print every failure as it happens")
    parser.add_argument("--results", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.forms = options.forms.split(",") if isinstance(options.forms, str) else options.forms
    for form in options.forms:
        if form not in FORMS:
            parser.error(f"no form {form!r}; there are {', '.join(FORMS)}")
    return options


def run_forms(cases, options):
    """All results: dicts of case, suite, form, operators, reason (None: passed), seconds."""
    find_onnxc()
    jobs = [
        (k, form)
        for form in options.forms
        if FORMS[form].backend == "llvm"
        for k, case in enumerate(cases)
        if FORMS[form].takes(case, options)
    ]
    results, start = [], time.monotonic()

    def on_result(job, outcome):
        case = cases[job[0]]
        results.append({"case": case.name, "suite": case.suite, "form": job[1], "operators": case.operators, **outcome})
        if options.v and outcome["reason"]:
            print(f"{job[1]} {case.name}: {outcome['reason']}", flush=True)
        if len(results) % 100 == 0:
            passed = sum(r["reason"] is None for r in results)
            print(f"  {len(results)} of {len(jobs)} run, {passed} pass, {time.monotonic() - start:.0f} s", flush=True)

    def on_death(job, text):
        return {"reason": describe_death(text), "seconds": 0}

    with tempfile.TemporaryDirectory(prefix="onnxc-conformance-") as folder:
        worker = CaseWorker(cases, pathlib.Path(folder), options.batch)
        run_jobs(jobs, worker, on_result, options.j, options.timeout, on_death)
        for form in options.forms:
            if FORMS[form].backend == "cpp":
                chosen = [c for c in cases if FORMS[form].takes(c, options)]
                results += cpp_form.run(chosen, pathlib.Path(folder), options, run_and_compare, shorten)
    return results


def describe_death(text):
    """The first line, and the sanitizer's summary where there is one."""
    lines = text.splitlines()
    summary = [l for l in lines if l.startswith("SUMMARY: ") or "guard" in l]
    return "run: " + lines[0] + (f" ({summary[0]})" if summary else "")


def run_sanitized(forms, options):
    """Runs this program again with the address sanitizer's runtime loaded first."""
    runtime = expectations.sanitizer_runtime()
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [sys.executable, __file__, "--forms", ",".join(forms), "--results", out.name, "-j", str(options.j)]
        command += ["--all"] * options.all + ["--tenth"] * options.tenth
        command += (["-k", options.k] if options.k else []) + ["-v"] * options.v
        command += [] if options.batch else ["--no-batch"]
        environment = {
            **os.environ,
            "LD_PRELOAD": runtime,
            "ASAN_OPTIONS": "detect_leaks=0:handle_segv=0:allocator_may_return_null=1",
        }
        subprocess.run(command, env=environment, check=True)
        return json.loads(pathlib.Path(out.name).read_text())


def report(results, options, expected):
    passed = failed = excused = 0
    problems = []
    for r in results:
        listed = expected.reason(r["form"], r["case"])
        if r["reason"] is None and (not listed or not expected.must_fail(r["form"], r["case"])):
            passed += 1
        elif r["reason"] is not None and listed and not r["reason"].startswith("compiler: "):
            excused += 1
        else:
            failed += 1
            problems.append(
                f"{r['form']} {r['case']}: "
                + (r["reason"] or f"passes, but is listed as failing ({listed}): take it off the list")
            )
    print_figures(results)
    print_histogram(results)
    if options.report:
        pathlib.Path(options.report).write_text(json.dumps(results, indent=1) + "\n")
    if options.update:
        expected.update(results)
        print(f"expected_failures.json: {expected.count()} entries")
    else:
        for line in sorted(problems)[:200]:
            print("FAILED", line)
    print(f"{excused} expected failures")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed and not options.update else 0


def print_figures(results):
    table = collections.defaultdict(lambda: [0, 0])
    for r in results:
        table[r["form"], r["suite"]][0] += r["reason"] is None
        table[r["form"], r["suite"]][1] += 1
    print(f"{'form':12} {'suite':20} {'pass':>6} {'of':>6}")
    for form in FORMS:
        for suite in case_list.SUITES:
            if (form, suite) in table:
                print(f"{form:12} {suite:20} {table[form, suite][0]:6} {table[form, suite][1]:6}")


def print_histogram(results):
    """What to do next: failure reasons of the static form by kind, and by operator."""
    failures = [r for r in results if r["reason"]]
    kinds = collections.Counter((r["form"], expectations.group(r["reason"])) for r in failures)
    if kinds:
        print("\nmost frequent reasons")
    for (form, kind), count in kinds.most_common(40):
        print(f"{count:6} {form:11} {kind}")
    operators = collections.defaultdict(collections.Counter)
    for r in failures:
        if r["suite"] == "node" and r["form"] == "static":
            operators[",".join(r["operators"])][expectations.group(r["reason"])] += 1
    if operators:
        print("\nfailing operators (node suite, static form)")
    for name, reasons in sorted(operators.items(), key=lambda item: -sum(item[1].values())):
        print(f"{sum(reasons.values()):6} {name}: {reasons.most_common(1)[0][0]}")


if __name__ == "__main__":
    sys.exit(main())
