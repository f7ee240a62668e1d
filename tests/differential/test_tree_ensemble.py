"""TreeEnsemble (version 5) with random trees of all comparisons against ONNX Runtime, whose numbers of post_transform are others
than the standard's."""

import numpy as np
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from support.c_abi import CompiledModel
from support.compiler import compile_model

FEATURES, TARGETS, DEPTH = 4, 3, 3
AVERAGE, SUM = 0, 1


class Trees:
    def __init__(self, random):
        self.random = random
        names = ("featureids", "splits", "modes", "truenodeids", "falsenodeids", "trueleafs", "falseleafs", "missing_value_tracks_true")  # fmt: skip
        self.nodes = {name: [] for name in names}
        self.targets, self.weights = [], []

    def add(self, level=0):
        """A node with all below it; its number."""
        random, nodes = self.random, self.nodes
        row = (random.integers(FEATURES), round(random.normal(), 1), random.integers(6), 0, 0, 0, 0, random.integers(2))
        number = len(nodes["modes"])
        for name, value in zip(nodes, row, strict=True):
            nodes[name].append(value)
        for branch in ("true", "false"):
            leaf = level == DEPTH or random.random() < 0.2
            nodes[branch + "leafs"][number] = int(leaf)
            nodes[branch + "nodeids"][number] = len(self.targets) if leaf else self.add(level + 1)
            if leaf:
                self.targets.append(len(self.targets) % TARGETS)
                self.weights.append(random.normal())
        return number


def model(dtype, aggregate):
    trees = Trees(np.random.default_rng(3))
    roots = [trees.add() for _ in range(9)]
    types = {"splits": dtype, "modes": np.uint8}
    attributes = {
        "nodes_" + name: numpy_helper.from_array(np.array(v, types[name])) if name in types else [int(i) for i in v]
        for name, v in trees.nodes.items()
    }
    attributes |= {
        "leaf_targetids": trees.targets,
        "leaf_weights": numpy_helper.from_array(np.array(trees.weights, dtype)),
    }
    node = helper.make_node("TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", n_targets=TARGETS, tree_roots=roots, aggregate_function=aggregate, **attributes)  # fmt: skip
    elem = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    x = helper.make_tensor_value_info("x", elem, ["N", FEATURES])
    graph = helper.make_graph([node], "g", [x], [helper.make_tensor_value_info("y", elem, None)])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("aggregate", [AVERAGE, SUM])
def test_as_onnx_runtime(tmp_path, dtype, aggregate):
    source, artefact = tmp_path / "model.onnx", tmp_path / "model.so"
    source.write_bytes(model(dtype, aggregate).SerializeToString())
    outcome = compile_model(source, artefact)
    assert outcome.ok, outcome.reason()
    real, random = onnxruntime.InferenceSession(str(source)), np.random.default_rng(4)
    with CompiledModel(artefact, host=True) as ours:
        for rows in (0, 1, 8, 77):
            x = np.round(random.normal(size=(rows, FEATURES)), 1).astype(dtype)
            x[random.random(x.shape) < 0.1] = np.nan
            np.testing.assert_allclose(ours.run({"x": x})[0], real.run(None, {"x": x})[0], rtol=1e-5, atol=1e-6)
