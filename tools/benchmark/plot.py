"""The ratios as a picture: a bar per model and number of threads on a logarithmic axis."""

import math
import pathlib

from benchmark import table


def write(result: dict, path: pathlib.Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    threads = sorted({t for row in result["models"] for t in row["threads"]}, key=int)
    rows = [row for row in reversed(result["models"]) if any(table.ratio(row, t) for t in threads)]
    figure, axes = pyplot.subplots(figsize=(9, 1.5 + 0.3 * len(rows)), layout="constrained")
    height = 0.8 / max(len(threads), 1)
    for k, t in enumerate(threads):
        values = [math.log2(table.ratio(row, t) or 1) for row in rows]
        places = [y + 0.4 - (k + 0.5) * height for y in range(len(rows))]
        axes.barh(places, values, height, label=f"{t} thread{'s' * (t != '1')}")
    axes.set_yticks(range(len(rows)), [row["model"] for row in rows])
    axes.xaxis.set_major_formatter(lambda x, _: f"{2**x:.2g}")
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("time of the faster of ONNX Runtime and OpenVINO / time of onnxc")
    axes.set_title(f"{result['cpu']}, {result['commit']}, {result['date'][:10]}", fontsize=9)
    if len(threads) > 1:
        axes.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
