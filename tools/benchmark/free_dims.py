"""--free-dims: real models compiled without --dim and --shape, at three sizes each: right, flat in memory, and how much slower than
the same model with these dims fixed (one thread)."""

import collections
import concurrent.futures
import multiprocessing
import statistics

import feeds
import fetch_models
import numpy as np
import onnx

from benchmark import artefacts, engines, measure, memory

HEADER = f"{'model':22} {'compiled':>9} {'free / fixed at each size':32} {'median':>6} {'RSS +MB':>8}  sizes, greatest error / RMS"
RUNS, WARM = 1000, 100  # alternating; the first ones may allocate

Sizes = dict[str, int]  # of the dims that the file names
Feed = dict[str, np.ndarray]

SIZES: dict[str, list[Sizes]] = {
    "yolov8n_nudenet": [{"height": h, "width": w} for h, w in ((320, 320), (256, 416), (480, 352))],
    "ppocrv4_det": [
        {"p2o.DynamicDimension.1": h, "p2o.DynamicDimension.2": w} for h, w in ((640, 640), (320, 480), (736, 256))
    ],
    "ppocrv4_rec": [
        {"p2o.DynamicDimension.0": n, "?": 48, "p2o.DynamicDimension.1": w} for n, w in ((1, 320), (3, 200), (1, 640))
    ],
    "crnn_ddddocr": [{"image_width": w} for w in (160, 96, 240)],
    "vit_s_focus": [{"batch_size": n} for n in (1, 2, 3)],
    "minilm_l6_w8": [{"batch": n, "sequence": s} for n, s in ((1, 128), (2, 32), (1, 200))],
    "t5small_enc_dynint8": [{"batch_size": n, "encoder_sequence_length": s} for n, s in ((1, 64), (2, 16), (1, 100))],
    "lac_bigru": [{"DynamicDimension.0": 1, "DynamicDimension.1": s, "DynamicDimension.2": 1} for s in (32, 8, 57)],
    "deepcut_thai": [{"unk__330": n, "unk__331": n} for n in (64, 16, 100)],
    "minimol_gnn": [{"num_nodes": n, "num_edges": e} for n, e in ((40, 86), (80, 172), (56, 120))],
    "piper_vits_joe": [{"phonemes": n} for n in (64, 20, 45)],
    "basic_pitch": [{"unk__749": n} for n in (1, 2, 3)],
}
# An input that holds the value of a dim.
LENGTHS = {"lac_bigru": ("length", "DynamicDimension.1"), "piper_vits_joe": ("input_lengths", "phonemes")}


def sized(name: str, model: onnx.ModelProto, sizes: Sizes) -> Feed:
    """The usual feed, its rows repeated or cut."""
    feed = feeds.feed(name)
    for value in model.graph.input:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if value.name in feed and dim.dim_param in sizes:
                array = feed[value.name]
                feed[value.name] = np.take(array, np.arange(sizes[dim.dim_param]) % array.shape[axis], axis)
    if name in LENGTHS:
        value, dim = LENGTHS[name]
        feed[value] = np.full_like(feed[value], sizes[dim])
    return feed


def measure_model(name: str, rounds: int, slice_seconds: float) -> dict:
    path = fetch_models.models_folder() / f"{name}.onnx"
    if not path.exists():
        fetch_models.provide(name, fetch_models.models_folder())
    model = onnx.load(path, load_external_data=False)
    row: dict = {"model": name, "sizes": SIZES[name], "ratios": [], "errors": []}
    try:
        free = artefacts.library(name + "-free", path, [])
        row["compile_seconds"] = free.seconds
        ours, ort = engines.runner(engines.OURS, free.library, 1), engines.runner(engines.ORT, path, 1)
        all_feeds = [sized(name, model, sizes) for sizes in SIZES[name]]
        for k, feed in enumerate(all_feeds):
            row["errors"].append(greatest_error(ours(feed), ort(feed)))
            shapes = [f"{n}={','.join(map(str, v.shape))}" for n, v in feed.items()]
            arguments = [text for shape in shapes for text in ("--shape", shape)]
            fixed_library = artefacts.library(f"{name}-fixed{k}", path, arguments).library
            fixed = engines.runner(engines.OURS, fixed_library, 1)
            calls = {"free": lambda feed=feed: ours(feed), "fixed": lambda feed=feed, fixed=fixed: fixed(feed)}
            row["ratios"].append(ratio_of(calls, rounds, slice_seconds))
        row["rss_growth"] = grown(name)
    except (artefacts.CompileError, RuntimeError) as error:
        row["problem"] = str(error)
    return row


def ratio_of(calls: dict, rounds: int, slice_seconds: float) -> float:
    times = collections.defaultdict(list)
    for _ in range(rounds):
        for key, call in calls.items():
            times[key] += [wall for wall, _ in measure.run_slice(call, slice_seconds)]
    return statistics.median(times["free"]) / statistics.median(times["fixed"])


def greatest_error(outputs: list[np.ndarray], wanted: list[np.ndarray]) -> float:
    """Over all outputs, relative to each one's RMS; infinite where shapes differ."""
    worst = 0.0
    for have, want in zip(outputs, wanted, strict=True):
        if have.shape != want.shape:
            return float("inf")
        if want.size:
            rms = float(np.sqrt(np.mean(np.square(want, dtype=np.float64)))) or 1.0
            worst = max(worst, float(np.abs(have.astype(np.float64) - want).max()) / rms)
    return worst


def grown(name: str) -> int:
    """Bytes that the resident memory of a process of its own grows by, from run WARM to run RUNS, sizes alternating."""
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(alternate, name).result()


def alternate(name: str) -> int:
    path = fetch_models.models_folder() / f"{name}.onnx"
    model = onnx.load(path, load_external_data=False)
    run = engines.runner(engines.OURS, artefacts.library(name + "-free", path, []).library, 1)
    all_feeds = [sized(name, model, sizes) for sizes in SIZES[name]]
    warm = 0
    for k in range(RUNS):
        if k == WARM:
            warm = memory.status("VmRSS")
        run(all_feeds[k % len(all_feeds)])
    return memory.status("VmRSS") - warm


def line_of(row: dict) -> str:
    if "problem" in row:
        return f"{row['model']:22} {row['problem']}"
    ratios = " ".join(f"{r:6.2f}" for r in row["ratios"])
    sizes = ", ".join("x".join(map(str, s.values())) for s in row["sizes"])
    errors = " ".join(f"{e:.1e}" for e in row["errors"])
    return (
        f"{row['model']:22} {row['compile_seconds']:7.1f} s {ratios:32} {statistics.median(row['ratios']):6.2f} "
        f"{row['rss_growth'] / 1e6:8.1f}  {sizes}; {errors}"
    )
