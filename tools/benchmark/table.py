"""What tools/bench prints: a line per model and number of threads, then how each number of threads did. Pure functions of the result
that is also written as JSON."""

import math

from benchmark import engines, model_set

# A wrong peer does not count: its times are in brackets.
HEADER = (f"{'model':24} {'t':>2} {'onnxc':>8} {'best':>8} {'ORT':>9} {'best':>8} {'OpenVINO':>9} {'best':>8}"
          f" {'ratio':>6} {'goal':>4} {'GFLOP/s':>8} {'peak':>5} {'of peer':>7} {'arena':>8} {'RSS':>7}")  # fmt: skip
BUSY = 0.9  # of the time by the clock
SLOW, FAST = 0.9, 1.0  # ratios below which a model fails the gate, or the goal


def faster_peer(row: dict, threads: str) -> float | None:
    """Median seconds of the faster of the peers that count."""
    times = row["threads"].get(threads, {})
    return min((times[p]["median"] for p in engines.PEERS if p in times and p not in row["wrong"]), default=None)


def ratio(row: dict, threads: str) -> float | None:
    """The faster peer's median time / ours; above 1 we are ahead. None when we are missing or no peer counts."""
    peer, times = faster_peer(row, threads), row["threads"].get(threads, {})
    return peer / times[engines.OURS]["median"] if peer and engines.OURS in times else None


def goal(row: dict) -> float | None:
    """The model's own, or that of very short models."""
    peer = faster_peer(row, "1")
    return row["goal"] or (model_set.SHORT_GOAL if peer and peer < model_set.SHORT_SECONDS else None)


def number(value: float | None, width: int, digits: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}.{digits}f}"


def times_cells(row: dict, threads: str, engine: str, width: int) -> list[str]:
    times = row["threads"][threads].get(engine)
    cells = [number(times and times[k] * 1e3, 0, 3) for k in ("median", "best")]
    if engine in row["wrong"]:
        cells[0] = f"[{cells[0]}]"
    return [f"{cells[0]:>{width}}", f"{cells[1]:>8}"]


def model_line(row: dict, threads: str, peaks: dict[str, float]) -> str:
    cells = [f"{row['model']:24} {threads:>2}", *times_cells(row, threads, engines.OURS, 8)]
    for peer in engines.PEERS:
        cells += times_cells(row, threads, peer, 9)
    ours = row["threads"][threads].get(engines.OURS)
    rate, peer, peak = (
        row["flops"] and ours and row["flops"] / ours["median"],
        faster_peer(row, threads),
        peaks.get(threads),
    )
    cells += [number(ratio(row, threads), 6, 2), number(goal(row), 4, 1), number(rate and rate * 1e-9, 8, 1)]
    cells.append(number(100 * rate / peak if rate and peak else None, 5, 1))
    cells.append(number(100 * row["flops"] / peer / peak if row["flops"] and peer and peak else None, 7, 1))
    cells += [megabytes(row.get("arena"), 8), megabytes(row.get("rss", {}).get(engines.OURS), 7)]
    return " ".join(cells)


def megabytes(value: int | None, width: int) -> str:
    return number(value if value is None else value / 1e6, width, 2 if value is not None and value < 1e7 else 0)


def lines_of(row: dict, peaks: dict[str, float]) -> list[str]:
    lines = [model_line(row, threads, peaks) for threads in row["threads"]]
    notes = [*row["problems"].items(), *((e, f"wrong: {text}") for e, text in row["wrong"].items())]
    return lines + [f"{row['model']:24}    {engine}: {text}" for engine, text in notes]


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def summary(result: dict) -> list[str]:
    """Per number of threads: geometric mean and worst ratio, what is missing and which goals are missed."""
    lines = []
    rows = result["models"]
    for threads in sorted({t for row in rows for t in row["threads"]}, key=int):
        ratios = {r["model"]: q for r in rows if (q := ratio(r, threads)) is not None}
        missing = [r["model"] for r in rows if r["model"] not in ratios]
        if ratios:
            worst = min(ratios, key=ratios.get)
            lines.append(f"{threads} thread{'s' * (threads != '1')}: geometric mean {geometric_mean(list(ratios.values())):.3f}"
                         f" over {len(ratios)} of {len(rows)} models, worst {ratios[worst]:.2f} ({worst}); "
                         f"{sum(q < SLOW for q in ratios.values())} below {SLOW}, "
                         f"{sum(q < FAST for q in ratios.values())} below {FAST}")  # fmt: skip
        if missing:
            lines.append(f"   missing: {' '.join(missing)}")
        missed = [f"{r['model']} {ratios[r['model']]:.2f} of {goal(r)}" for r in rows
                  if r["model"] in ratios and goal(r) and ratios[r["model"]] < goal(r)]  # fmt: skip
        if missed:
            lines.append(f"   goals missed: {', '.join(missed)}")
    return lines + speed_ups(rows) + disturbed(rows)


def disturbed(rows: list[dict]) -> list[str]:
    """Models in whose one-thread slices an engine got the core for less than nine tenths of the time."""
    found = [r["model"] for r in rows if any(t["cpu"] < BUSY * t["median"] for t in r["threads"].get("1", {}).values())]
    return [f"NOT ALONE: something else ran beside {', '.join(found)}"] if found else []


def speed_ups(rows: list[dict]) -> list[str]:
    """Our own time with one thread / with two."""
    found = []
    for row in rows:
        one, two = (row["threads"].get(t, {}).get(engines.OURS) for t in ("1", "2"))
        if one and two:
            found.append(f"{row['model']} {one['median'] / two['median']:.2f}")
    return [f"our time with 1 thread / with 2: {', '.join(found)}"] if found else []


def compare(old: dict, new: dict) -> list[str]:
    """Our old time / our new one per model and number of threads, and how the ratio to the faster peer moved."""
    before = {row["model"]: row for row in old["models"]}
    lines, gains = [f"{'model':24} {'t':>2} {'old ms':>9} {'new ms':>9} {'faster':>7}   ratio"], {}
    for row in new["models"]:
        was = before.get(row["model"])
        for threads in row["threads"] if was else ():
            a, b = (r["threads"].get(threads, {}).get(engines.OURS) for r in (was, row))
            if not a or not b:
                continue
            gain = a["median"] / b["median"]
            gains.setdefault(threads, []).append(gain)
            lines.append(f"{row['model']:24} {threads:>2} {a['median'] * 1e3:9.3f} {b['median'] * 1e3:9.3f} {gain:7.3f}"
                         f"   {number(ratio(was, threads), 0, 2)} -> {number(ratio(row, threads), 0, 2)}")  # fmt: skip
    for threads, values in gains.items():
        lines.append(f"{'geometric mean':24} {threads:>2} {'':19} {geometric_mean(values):7.3f}   {len(values)} models")
    return lines
