"""--trees: forests of random trees, made here, one thread: 1 and 1,000 rows beside ONNX Runtime, and what compiling costs."""

import dataclasses
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper

from benchmark import artefacts, engines, measure

FEATURES = 30
ROWS = (1, 1000)
HEADER = f"{'trees':>6} {'depth':>5} {'file MB':>7} {'compile s':>9} " + " ".join(
    f"{f'{rows} rows: ms':>14} {'ORT ms':>8} {'ratio':>5}" for rows in ROWS
)


@dataclasses.dataclass(frozen=True)
class Forest:
    trees: int
    depth: int

    @property
    def name(self) -> str:
        return f"trees-{self.trees}-{self.depth}"


FORESTS = [Forest(100, 6), Forest(5000, 6), Forest(5000, 9)]


def model_of(forest: Forest) -> onnx.ModelProto:
    """Full binary trees with one target; node i is followed by 2 i + 1 and 2 i + 2."""
    random = np.random.default_rng(forest.trees)
    inner, nodes = 2**forest.depth - 1, 2 ** (forest.depth + 1) - 1
    ids = np.arange(nodes)
    branch = np.tile(ids < inner, forest.trees)
    each = np.tile(ids, forest.trees)
    leaves = forest.trees * (nodes - inner)
    attributes = {
        "nodes_treeids": np.repeat(np.arange(forest.trees), nodes),
        "nodes_nodeids": each,
        "nodes_featureids": branch * random.integers(FEATURES, size=branch.size),
        "nodes_values": branch * random.normal(size=branch.size),
        "nodes_modes": np.where(branch, "BRANCH_LEQ", "LEAF"),
        "nodes_truenodeids": branch * (2 * each + 1),
        "nodes_falsenodeids": branch * (2 * each + 2),
        "target_treeids": np.repeat(np.arange(forest.trees), nodes - inner),
        "target_nodeids": each[~branch],
        "target_ids": np.zeros(leaves, int),
        "target_weights": random.normal(size=leaves) / forest.trees,
    }
    made = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", n_targets=1)
    for name, values in attributes.items():
        made.attribute.append(helper.make_attribute(name, values.tolist()))
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", columns])
        for name, columns in (("x", FEATURES), ("y", 1))
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(helper.make_graph([made], "forest", [x], [y]), opset_imports=opsets, ir_version=8)


def provide(forest: Forest) -> pathlib.Path:
    artefacts.FOLDER.mkdir(parents=True, exist_ok=True)
    path = artefacts.FOLDER / f"{forest.name}.onnx"
    if not path.exists():
        onnx.save(model_of(forest), path)
    return path


def measure_forest(forest: Forest, rounds: int, slice_seconds: float) -> dict:
    path = provide(forest)
    row: dict = dataclasses.asdict(forest) | {"bytes": path.stat().st_size, "rows": {}}
    theirs = engines.runner(engines.ORT, path, 1)
    for rows in ROWS:
        try:
            made = artefacts.library(f"{forest.name}-{rows}", path, ["--shape", f"x={rows},{FEATURES}"])
        except artefacts.CompileError as error:
            return row | {"problem": str(error)}
        row["compile_s"] = made.seconds
        ours = engines.runner(engines.OURS, made.library, 1)
        feed = {"x": np.random.default_rng(rows).normal(size=(rows, FEATURES)).astype(np.float32)}
        if not np.allclose(ours(feed)[0], theirs(feed)[0], rtol=1e-4, atol=1e-5):
            return row | {"problem": f"{rows} rows: not what ONNX Runtime gives"}
        calls = {"ours": lambda ours=ours, feed=feed: ours(feed), "ort": lambda feed=feed: theirs(feed)}
        times = measure.interleave(calls, rounds, slice_seconds)
        row["rows"][rows] = {name: t.median for name, t in times.items()}
    return row


def line_of(row: dict) -> str:
    start = f"{row['trees']:6} {row['depth']:5} {row['bytes'] / 1e6:7.1f}"
    if "problem" in row:
        return f"{start} {row['problem']}"
    cells = [f"{t['ours'] * 1e3:14.3f} {t['ort'] * 1e3:8.3f} {t['ort'] / t['ours']:5.2f}" for t in row["rows"].values()]
    return " ".join([start, f"{row['compile_s']:9.2f}", *cells])
