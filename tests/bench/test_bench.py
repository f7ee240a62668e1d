"""tools/bench: how it counts operations, fixes dims, times in slices, and what it makes of the times."""

import json
import math

import feeds
import make_bench_models
import numpy as np
import onnx
import pytest
from benchmark import against, check, engines, flops, layers, measure, model_set, plot, table
from onnx import TensorProto, helper


def model(nodes, inputs, weights=()):
    """inputs: name -> dims. The outputs are those of the last node."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, d) for n, d in inputs.items()],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.zeros(d, np.float32), n) for n, d in dict(weights).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def zeros(**shapes):
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


PRODUCTS = [
    # node, inputs, weights, multiply-adds
    (("Conv", ["x", "w"], {"group": 2, "pads": [1, 1, 1, 1], "strides": [2, 2]}), {"x": (1, 4, 8, 8)},
     {"w": (6, 2, 3, 3)}, 6 * 4 * 4 * 2 * 9),
    (("ConvTranspose", ["x", "w"], {"strides": [2, 2]}), {"x": (1, 4, 5, 5)}, {"w": (4, 3, 2, 2)}, 4 * 5 * 5 * 3 * 4),
    (("Gemm", ["x", "w"], {"transA": 1, "transB": 1}), {"x": (7, 2)}, {"w": (5, 7)}, 2 * 5 * 7),
    (("MatMul", ["x", "w"], {}), {"x": (3, 2, 4)}, {"w": (4, 5)}, 3 * 2 * 5 * 4),
    (("MatMul", ["x", "w"], {}), {"x": (4,)}, {"w": (4,)}, 4),
    (("LSTM", ["x", "w", "r"], {"hidden_size": 3}), {"x": (5, 2, 4)}, {"w": (1, 12, 4), "r": (1, 12, 3)},
     5 * 2 * 12 * (4 + 3)),
    (("GRU", ["x", "w", "r"], {"hidden_size": 3, "direction": "bidirectional"}), {"x": (5, 2, 4)},
     {"w": (2, 9, 4), "r": (2, 9, 3)}, 2 * 5 * 2 * 9 * (4 + 3)),
    (("Einsum", ["x", "w"], {"equation": "bij, bjk -> bik"}), {"x": (2, 3, 4)}, {"w": (2, 4, 5)}, 2 * 3 * 4 * 5),
    (("Relu", ["x"], {}), {"x": (3,)}, {}, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    "node, inputs, weights, multiply_adds", PRODUCTS, ids=lambda v: v[0] if isinstance(v, tuple) else ""
)
def test_products_are_counted(node, inputs, weights, multiply_adds):
    operator, names, attributes = node
    made = model([helper.make_node(operator, names, ["y"], **attributes)], inputs, weights)
    assert flops.count(made, zeros(**inputs)) == 2 * multiply_adds


@pytest.mark.parametrize(
    "attributes, query, value",
    [({}, (1, 2, 8, 4), (1, 2, 8, 5)), ({"q_num_heads": 2, "kv_num_heads": 2}, (1, 8, 8), (1, 8, 10))],
)
def test_attention_is_two_products(attributes, query, value):
    node = helper.make_node("Attention", ["q", "k", "v"], ["y"], **attributes)
    assert flops.attention(node, [query, query, value, value]) == 2 * 2 * 8 * 8 * (4 + 5)


def test_shapes_that_the_file_does_not_tell_are_found():
    nodes = [helper.make_node("Concat", ["x", "x"], ["c"], axis=0), helper.make_node("MatMul", ["c", "w"], ["y"])]
    made = model(nodes, {"x": ("n", 4)}, {"w": (4, 5)})
    assert flops.count(made, zeros(x=(3, 4))) == 2 * 6 * 4 * 5


def test_free_dims_are_fixed_as_fed(tmp_path):
    made = model([helper.make_node("Relu", ["x"], ["y"])], {"x": ("n", 4)})
    onnx.save(made, tmp_path / "m.onnx")
    feed = zeros(x=(3, 4))
    fixed = model_set.with_fixed_dims(tmp_path / "m.onnx", feed)
    assert [d.dim_value for d in fixed.graph.input[0].type.tensor_type.shape.dim] == [3, 4]
    assert model_set.shape_arguments(tmp_path / "m.onnx", feed) == ["--shape", "x=3,4"]
    onnx.save(fixed, tmp_path / "m.onnx")
    assert model_set.shape_arguments(tmp_path / "m.onnx", feed) == []


def test_patterns_choose_models():
    assert [m.name for m in model_set.chosen(["bert_*", "vgg19"])] == ["vgg19", "bert_base_32", "bert_base_128"]
    assert model_set.chosen([]) == model_set.MODELS


def test_a_slice_begins_with_a_pause_and_an_uncounted_run(monkeypatch):
    now, log = [0.0], []

    def call(name, seconds):
        log.append(name)
        now[0] += seconds * (5 if len(log) == 1 or log[-2] == "pause" else 1)  # cold

    monkeypatch.setattr(measure.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(measure.time, "process_time", lambda: now[0] / 2)
    monkeypatch.setattr(measure.time, "sleep", lambda s: log.append("pause"))
    calls = {"a": lambda: call("a", 1.0), "b": lambda: call("b", 2.0)}
    times = measure.interleave(calls, rounds=2, slice_seconds=3)
    assert "".join(name[0] for name in log) == "paaaa" + "pbbb" + "pbbb" + "paaaa"  # 2 runs at least, or 3 seconds
    assert times["a"] == measure.Times(1.0, 1.0, [1.0, 1.0], 0.5) and times["b"].median == 2.0


def row(name, wrong=(), goal=None, **threads):
    """threads: t1=(ours, ORT, OpenVINO) in ms; None: does not run."""
    engines = ("onnxc", "ONNX Runtime", "OpenVINO")
    times = {
        t[1:]: {e: {"median": v / 1e3, "best": v / 1e3, "cpu": v / 1e3} for e, v in zip(engines, values) if v}
        for t, values in threads.items()
    }
    return {
        "model": name,
        "goal": goal,
        "flops": 2e6,
        "problems": {},
        "wrong": dict.fromkeys(wrong, "why"),
        "threads": times,
    }


def test_the_ratio_is_to_the_faster_peer_that_is_right():
    assert table.ratio(row("m", t1=(2, 3, 4)), "1") == pytest.approx(1.5)
    assert table.ratio(row("m", t1=(2, 4, 3)), "1") == pytest.approx(1.5)
    assert table.ratio(row("m", ["OpenVINO"], t1=(2, 4, 3)), "1") == pytest.approx(2)
    assert table.ratio(row("m", t1=(None, 4, 3)), "1") is None
    assert table.ratio(row("m", t1=(2, None, None)), "1") is None
    assert table.ratio(row("m", t1=(2, 3, 4)), "2") is None


def test_very_short_models_have_a_goal():
    assert table.goal(row("m", t1=(1, 0.09, 4))) == 2
    assert table.goal(row("m", t1=(1, 0.11, 4))) is None
    assert table.goal(row("m", goal=1.2, t1=(1, 0.09, 4))) == 1.2


def test_lines_show_rate_share_and_reasons():
    r = row("m", ["OpenVINO"], t1=(2, 3, 4))
    r["problems"]["onnxc"] = "unsupported: Foo"
    first, *notes = table.lines_of(r, {"1": 4e9})
    assert first.split() == "m 1 2.000 2.000 3.000 3.000 [4.000] 4.000 1.50 - 1.0 25.0 16.7 - -".split()
    assert [n.split(maxsplit=1)[1] for n in notes] == ["onnxc: unsupported: Foo", "OpenVINO: wrong: why"]
    assert len(table.HEADER) == len(first)


def test_the_summary_names_what_is_missing_and_missed():
    rows = [row("a", t1=(1, 2, 3), t2=(0.5, 1, 3)), row("b", t1=(2, 1, 3), goal=1.5), row("c", t1=(None, 1, 1))]
    text = "\n".join(table.summary({"models": rows}))
    assert "1 thread: geometric mean 1.000 over 2 of 3 models, worst 0.50 (b); 1 below 0.9, 1 below 1.0" in text
    assert "missing: c" in text and "goals missed: b 0.50 of 1.5" in text and "with 2: a 2.00" in text


def test_a_busy_machine_is_noticed():
    rows = [row("a", t1=(1, 2, 3)), row("b", t1=(1, 2, 3))]
    assert table.disturbed(rows) == []
    rows[1]["threads"]["1"]["OpenVINO"]["cpu"] /= 2
    assert table.disturbed(rows) == ["NOT ALONE: something else ran beside b"]


def test_compare_gives_gains_and_their_mean():
    old = {"models": [row("a", t1=(4, 4, 4)), row("b", t1=(1, 1, 1))]}
    new = {"models": [row("a", t1=(1, 4, 4)), row("b", t1=(1, 2, 2)), row("c", t1=(1, 1, 1))]}
    lines = [" ".join(line.split()) for line in table.compare(old, new)]
    assert lines[1:] == ["a 1 4.000 1.000 4.000 1.00 -> 4.00", "b 1 1.000 1.000 1.000 1.00 -> 2.00",
                         "geometric mean 1 2.000 2 models"]  # fmt: skip
    assert math.isclose(table.geometric_mean([4, 1]), 2)


def test_layers_come_costliest_first_then_by_kernel():
    def operation(kernel, origin, seconds, count):
        return {
            "kernel": kernel,
            "origins": [origin],
            "seconds": seconds,
            "flops": count,
            "bytes_read": 1e3,
            "bytes_written": 0,
        }

    result = {"model": "m", "seconds": 3e-6, "operations": [
        operation("nest", "Add_0", 1e-6, None), operation("gemm", "MatMul_1", 2e-6, 1e3), operation("nest", "Add_2", 3e-6, 0)]}  # fmt: skip
    lines = [" ".join(line.split()) for line in layers.lines_of(result, {"flops": 1e9})]
    assert lines[2:5] == ["2 3.0 50.0% - - 0.3 nest (Add_2)", "1 2.0 33.3% 0.5 50.0% 0.5 gemm (MatMul_1)",
                          "0 1.0 16.7% - - 1.0 nest (Add_0)"]  # fmt: skip
    assert lines[-2:] == ["2 4.0 66.7% - - 0.5 nest", "1 2.0 33.3% 0.5 50.0% 0.5 gemm"]


def test_rows_survive_json():
    r = row("m", t1=(2, 3, 4))
    assert table.lines_of(json.loads(json.dumps(r)), {}) == table.lines_of(r, {})


def checker_of(monkeypatch, exact, unoptimised=None):
    def truth(path, feed):
        if exact is None:
            raise NotImplementedError
        return {"y": np.array(exact)}

    monkeypatch.setattr(check, "truth", truth)
    return check.Checker("m", None, {}, {"y": np.array(unoptimised, np.float32)} if unoptimised else {})


def outputs(*values):
    return {"y": np.array(values, np.float32)}


def test_engines_are_held_against_float64_by_the_error_of_onnx_runtime(monkeypatch):
    checker = checker_of(monkeypatch, [1.0, 2.0])
    assert checker.problems_of_ort(outputs(1, 2.001)) == []
    assert checker.problems(outputs(1, 2.003)) == []
    assert checker.problems(outputs(1, 2.005)) != []
    assert checker.problems_of_ort(outputs(1, 2.1)) != []
    assert checker.problems_of_ort(outputs(1, np.nan)) != []


def test_without_float64_the_unoptimised_model_is_the_measure(monkeypatch):
    checker = checker_of(monkeypatch, None, [1.0, 2.0])
    assert checker.note and checker.problems_of_ort(outputs(1, 2)) == []
    assert checker.problems(outputs(1, 2.0001)) == [] and checker.problems(outputs(1, 2.001)) != []


@pytest.mark.parametrize("identifier", ["mobilenet_v2", "lstm_2", "gru_2"])
def test_made_models_are_the_same_each_time_and_well_scaled(identifier):
    content = make_bench_models.MAKERS[identifier]().SerializeToString(deterministic=True)
    assert content == make_bench_models.MAKERS[identifier]().SerializeToString(deterministic=True)
    for output in engines.runner(engines.ORT, content, 1)(feeds.feed(identifier)):
        assert np.isfinite(output).all() and 0.01 < output.std() < 10


def test_the_picture_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [row("a", t1=(1, 2, 3), t2=(1, 4, 3)), row("b", t1=(2, 1, 3))]
    plot.write({"models": rows, "cpu": "c", "commit": "d", "date": "2026-01-01"}, tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_builds_are_compared_by_the_geometric_mean():
    rows = [{"here": 1.0, "there": 2.0}, {"here": 2.0, "there": 1.0}, {"problem": "there: no such file"}]
    assert against.summary(rows) == "geometric mean 1.000, least 0.500, of 2 of 3 rows"
    assert against.summary(rows[2:]) == "nothing was measured"
