"""The C++ form: `onnxc --emit=cpp` for each case, about fifty emitted models compiled as one translation unit, then run."""

import os
import re
import subprocess

from support.compiler import BatchCompiler, find_onnxc
from support.workers import run_jobs

MODELS_PER_UNIT = 50


def run(cases, folder, options, run_and_compare, shorten):
    """Results as run_forms() in run.py makes them, without their expectation."""
    compiler = BatchCompiler(batch=options.batch)
    results, emitted = [], []
    for case in cases:
        name = identifier(case)
        source, out = folder / f"{name}.onnx", folder / name
        source.write_bytes(case.model.SerializeToString())
        outcome = compiler.compile(source, out, ["-q", "--emit=cpp"])
        if outcome.ok:
            emitted.append((case, out))
        else:
            results.append(result(case, shorten(outcome.reason(), source, case)))
    compiler.close()
    units = [emitted[k : k + MODELS_PER_UNIT] for k in range(0, len(emitted), MODELS_PER_UNIT)]
    for number, unit in enumerate(units):
        results += run_unit(unit, folder / f"unit_{number}.so", options, run_and_compare)
        print(f"  cpp: {min((number + 1) * MODELS_PER_UNIT, len(emitted))} of {len(emitted)} run", flush=True)
    return results


def identifier(case):
    return "m_" + re.sub(r"\W", "_", f"{case.suite}_{case.name}")


def result(case, reason):
    return {
        "case": case.name,
        "suite": case.suite,
        "form": "cpp",
        "operators": case.operators,
        "reason": reason,
        "seconds": 0,
    }


def run_unit(unit, library, options, run_and_compare):
    """Compiles a unit; when that fails, its halves, so that one bad model is found and does not spoil the rest."""
    error = build(unit, library)
    if error and len(unit) > 1:
        half = len(unit) // 2
        return [
            r
            for k, part in enumerate((unit[:half], unit[half:]))
            for r in run_unit(part, library.with_name(f"{library.stem}_{k}.so"), options, run_and_compare)
        ]
    if error:
        return [result(unit[0][0], f"C++ compiler: {error}")]
    results = []

    def work(k):
        case, out = unit[k]
        for inputs, outputs in case.data_sets:
            reason = run_and_compare(library, case, case.feeds(inputs), outputs, f"{out.name}_get_model")
            if reason:
                return reason
        return None

    run_jobs(
        list(range(len(unit))),
        work,
        lambda k, reason: results.append(result(unit[k][0], reason)),
        options.j,
        options.timeout,
        lambda k, text: "run: " + text.splitlines()[0],
    )
    return results


def build(unit, library):
    """None, or the compiler's first error."""
    source, weights = library.with_suffix(".cc"), library.with_suffix(".S")
    sources = [s for _, out in unit for s in sorted(out.glob("*.cc"))]
    source.write_text("".join(f'#include "{s}"\n' for s in sources))
    weights.write_text(
        "".join(
            f'#undef ONNXC_WEIGHTS_FILE\n#define ONNXC_WEIGHTS_FILE "{out}/{out.name}.weights.bin"\n#include "{s}"\n'
            for _, out in unit
            for s in out.glob("*_weights.S")
        )
    )
    runtime = unit[0][1] / "runtime"
    command = [
        os.environ.get("CXX", "clang++-19"),
        "-std=c++17",
        "-O1",
        "-march=native",
        "-ffp-contract=off",
        "-fno-math-errno",
        "-fPIC",
        "-shared",
        "-w",
        "-fvisibility=hidden",
        f"-I{runtime}",
        f"-I{runtime}/include",
        str(source),
        str(weights),
        f"-L{find_onnxc().parent}",
        "-Wl,--as-needed",
        "-lonnxc_images",  # for models that decode pictures
        "-o",
        str(library),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    errors = [l for l in done.stderr.splitlines() if "error" in l]
    return re.sub(r"^\S*/", "", errors[0]) if errors else f"exit code {done.returncode}"
