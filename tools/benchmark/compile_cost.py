"""--compile: time and memory of the compiler, size of what it makes, memory at run time beside ONNX Runtime's."""

import time

from benchmark import artefacts, engines, memory, model_set

HEADER = (f"{'model':24} {'compile s':>9} {'memory':>7} {'.so':>7} {'packed':>7} {'weights':>7} {'x':>5} {'arena':>7} {'RSS':>7}"
          f" {'ORT RSS':>7} {'ORT load s':>10}   (MB; memory: of the compiler, all processes)")  # fmt: skip


def measure(model: model_set.Model) -> dict:
    path, feed = model.provide(), model.feeds()
    row = {"model": model.name}
    start = time.monotonic()
    engines.runner(engines.ORT, path, 1)
    row["ort_load_s"] = time.monotonic() - start
    row["ort_rss"] = memory.rss_of(engines.ORT, path, feed)["rss"]
    try:
        made = artefacts.library(model.name, path, model_set.shape_arguments(path, feed), fresh=True)
    except artefacts.CompileError as error:
        return row | {"problem": str(error)}
    row |= {"compile_s": made.seconds, "compile_rss": made.peak_rss, "so": made.library.stat().st_size}
    row |= {k: made.report[k] for k in ("constant_bytes", "source_constant_bytes", "arena_bytes")}
    row["rss"] = memory.rss_of(engines.OURS, made.library, feed)["rss"]
    return row


def line_of(row: dict) -> str:
    if "problem" in row:
        return f"{row['model']:24} {row['problem']}"
    cells = [f"{row['model']:24} {row['compile_s']:9.2f}"]
    cells += [f"{row[k] / 1e6:7.1f}" for k in ("compile_rss", "so", "constant_bytes", "source_constant_bytes")]
    growth = row["constant_bytes"] / row["source_constant_bytes"] if row["source_constant_bytes"] else 1
    cells.append(f"{growth:5.2f}")
    cells += [f"{row[k] / 1e6:7.1f}" for k in ("arena_bytes", "rss", "ort_rss")]
    return " ".join(cells) + f" {row['ort_load_s']:10.2f}"
