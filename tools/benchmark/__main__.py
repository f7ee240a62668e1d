"""onnxc beside ONNX Runtime and OpenVINO on real models.

    tools/bench [--models PATTERN ...] [--threads 1,2] [--rounds N] [--quick] [--json FILE] [--plot FILE] [--compare OLD.json]
    tools/bench --layers MODEL         where our time goes, operation by operation
    tools/bench --compile              what compiling costs, and what the result weighs
    tools/bench --together             two sessions at once beside one alone, a thread each
    tools/bench --free-dims            three sizes of each model with free dims, beside the same with fixed dims
    tools/bench --small                graphs of one operator, and loops, beside ONNX Runtime
    tools/bench --trees                forests of random trees, 1 and 1,000 rows
    tools/bench --against BUILD        beside another build of onnxc (the folder that holds its bin/ and python/)
    tools/bench --prepare              only fetches, makes, compiles and checks the models

Times are medians over rounds; the ratio is the faster peer's time / ours, so above 1 we are ahead."""

import argparse
import datetime
import importlib.metadata
import json
import pathlib
import subprocess
import sys

from benchmark import (
    against,
    compile_cost,
    free_dims,
    layers,
    model_set,
    one_model,
    plot,
    small_graphs,
    table,
    together,
    trees,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAYER_RUNS = 51


def main() -> int:
    arguments = parse_arguments()
    if arguments.free_dims:
        names = [n for n in free_dims.SIZES if model_set.fits(n, arguments.models)]
        slices = arguments.rounds, arguments.slice / 1000
        return show_rows(names, arguments, "free_dims", free_dims, lambda n: free_dims.measure_model(n, *slices))
    if arguments.small:
        names = [n for n in small_graphs.rows() if model_set.fits(n, arguments.models)]
        slices = arguments.rounds, arguments.slice / 1000
        return show_rows(names, arguments, "small", small_graphs, lambda n: small_graphs.measure_row(n, *slices))
    if arguments.trees:
        slices = arguments.rounds, arguments.slice / 1000
        return show_rows(trees.FORESTS, arguments, "trees", trees, lambda f: trees.measure_forest(f, *slices))
    models = model_set.chosen(arguments.models or ([arguments.layers] if arguments.layers else []))
    if not models:
        raise SystemExit(f"no such model; there are: {' '.join(m.name for m in model_set.MODELS)}")
    if arguments.layers:
        return show_layers(models, arguments)
    if arguments.compile:
        return show_rows(models, arguments, "compile", compile_cost, compile_cost.measure)
    if arguments.together:
        slices = arguments.rounds, arguments.slice / 1000
        return show_rows(models, arguments, "together", together, lambda m: together.measure_pair(m, *slices))
    if arguments.against:
        return show_against(models, arguments)
    return show_times(models, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--layers", metavar="MODEL")
    what.add_argument("--compile", action="store_true")
    what.add_argument("--together", action="store_true")
    what.add_argument("--free-dims", action="store_true")
    what.add_argument("--small", action="store_true")
    what.add_argument("--trees", action="store_true")
    what.add_argument("--against", type=pathlib.Path, metavar="BUILD")
    what.add_argument("--prepare", action="store_true")
    parser.add_argument("--models", nargs="+", default=[], metavar="PATTERN", help="names, with shell wildcards")
    parser.add_argument("--threads", type=lambda t: tuple(map(int, t.split(","))), default=(1, 2), metavar="N,N")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--slice", type=float, default=60, metavar="MS", help="time per engine and round")
    parser.add_argument("--quick", action="store_true", help="3 rounds of 20 ms, no resident memory")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all that was measured")
    parser.add_argument("--plot", type=pathlib.Path, metavar="FILE.png", help="write the ratios as a picture")
    parser.add_argument("--compare", type=pathlib.Path, metavar="OLD.json", help="also print what changed since")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.slice = 3, 20
    return arguments


def show_times(models: list[model_set.Model], arguments: argparse.Namespace) -> int:
    old = json.loads(arguments.compare.read_text()) if arguments.compare else None
    plan = one_model.Plan(
        threads=arguments.threads,
        rounds=arguments.rounds,
        slice_seconds=arguments.slice / 1000,
        time=not arguments.prepare,
        memory=not (arguments.quick or arguments.prepare),
    )
    peaks = [] if arguments.prepare else probe_peaks(max(arguments.threads))
    result = circumstances() | {"rounds": arguments.rounds, "peaks": peaks, "models": []}
    for peak in peaks:
        print(
            f"{peak['threads']} thread(s): FMA peak {peak['flops'] * 1e-9:.1f} GFLOP/s, reads {peak['bytes'] * 1e-9:.1f} GB/s"
        )
    print("" if arguments.prepare else table.HEADER, flush=True)
    flops = {str(p["threads"]): p["flops"] for p in peaks}
    for model in models:
        row = one_model.measure_apart(model, plan)
        result["models"].append(row)
        print("\n".join(table.lines_of(row, flops) or [f"{model.name:24} ready"]), flush=True)
        write_json(arguments, result)  # so that nothing is lost when it is interrupted
    print("\n".join(table.summary(result)))
    if arguments.plot:
        plot.write(result, arguments.plot)
    if old:
        print("\n".join(table.compare(old, result)))
    return 0


def show_layers(models: list[model_set.Model], arguments: argparse.Namespace) -> int:
    build("profile_clock")
    peak = probe_peaks(1)[0]
    results = [layers.run(model, LAYER_RUNS) for model in models]
    for result in results:
        print("\n".join(layers.lines_of(result, peak)))
    write_json(arguments, circumstances() | {"peaks": [peak], "layers": results})
    return 0


def show_rows(models: list, arguments: argparse.Namespace, name: str, table_of, measure) -> int:
    """A table of another kind: HEADER and line_of(row) of the module `table_of`."""
    print(table_of.HEADER, flush=True)
    result = circumstances() | {name: []}
    for model in models:
        result[name].append(measure(model))
        print(table_of.line_of(result[name][-1]), flush=True)
    write_json(arguments, result)
    return 0


def show_against(models: list[model_set.Model], arguments: argparse.Namespace) -> int:
    slices = arguments.rounds, arguments.slice / 1000
    print(against.HEADER, flush=True)
    rows = []
    for threads in arguments.threads:
        for model in models:
            rows.append(against.measure_model(model, arguments.against, threads, *slices))
            print(against.line_of(rows[-1]), flush=True)
    print(against.summary(rows))
    write_json(arguments, circumstances() | {"against": rows})
    return 0


def write_json(arguments: argparse.Namespace, result: dict) -> None:
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def circumstances() -> dict:
    cpus = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    commit = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True)
    packages = {name: importlib.metadata.version(name) for name in ("onnxruntime", "openvino", "numpy")}
    now = datetime.datetime.now().isoformat(timespec="seconds")
    return {"date": now, "cpu": cpus[0], "cpus": len(cpus), "commit": commit.stdout.strip(), "packages": packages}


def build(target: str) -> None:
    subprocess.run(["ninja", "-C", str(ROOT / "build"), target], check=True, stdout=subprocess.DEVNULL)


def probe_peaks(threads: int) -> list[dict]:
    build("peak_probe")
    done = subprocess.run([str(ROOT / "build/bin/peak_probe"), str(threads)], check=True, capture_output=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
