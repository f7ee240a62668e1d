"""Rows of old_versions.py for what no newer model can be set back to: functions of a random generator and a version, and texts of
models with graphs within."""

import numpy as np
import onnx.parser
from differential.random_rows import Single, floats
from onnx import helper, numpy_helper

OLD = {}  # operator -> function; what it makes is right for the version


def old(*names):
    def add(function):
        for name in names:
            OLD[name] = lambda r, version, name=name: function(r, name, version)
        return function

    return add


@old("Softmax", "LogSoftmax", "Hardmax")
def coerced_to_two_dims(r, op, version):
    shape = [int(r.integers(1, 6)) for _ in range(int(r.integers(2, 5)))]
    return Single(op, [floats(r, shape, scale=3.0)], {"axis": int(r.integers(len(shape)))} if r.random() < 0.6 else {})


@old("BatchNormalization")
def batch_norm_by_activation(r, op, version):
    c, size = int(r.integers(1, 5)), [int(d) for d in r.integers(1, 6, 2)]
    own = [c, *size] if version < 9 else [c]
    inputs = [
        floats(r, [2, c, *size]),
        floats(r, own),
        floats(r, own),
        floats(r, own),
        np.abs(floats(r, own)) + np.float32(0.1),
    ]
    return Single(op, inputs, {"spatial": 0} if version < 9 else {}, constant=(1, 2, 3, 4) if r.random() < 0.5 else ())


@old("Dropout")
def dropout(r, op, version):
    return Single(op, [floats(r, [3, 5])], {} if version >= 12 else {"ratio": 0.25}, outputs=int(r.integers(1, 3)))


@old("Clip")
def clip(r, op, version):
    x = floats(r, [4, 7], scale=3)
    bounds = {"min": -1.0, "max": 1.5}
    for name in list(bounds):
        if r.random() < 0.5:
            bounds.pop(name)
    if version < 11:
        return Single(op, [x], bounds)
    return Single(op, [x, *(np.float32(bounds[n]) if n in bounds else None for n in ("min", "max"))])


@old("CastLike")
def cast_like(r, op, version):
    return Single(op, [floats(r, [4, 5], scale=30), np.zeros(3, r.choice([np.float64, np.int32, np.float16]))])


@old("Slice")
def slicing(r, op, version):
    x = floats(r, [5, 6, 7])
    starts, ends = [int(v) for v in r.integers(-4, 3, 2)], [int(v) for v in r.choice([3, 4, -1, 1000, 2**31 - 1], 2)]
    if version < 10:
        return Single(op, [x], {"starts": starts, "ends": ends})
    kind = r.choice([np.int32, np.int64])
    return Single(op, [x, np.array(starts, kind), np.array(ends, kind)], constant=(1, 2))


@old("Split")
def equal_parts(r, op, version):
    parts = int(r.integers(1, 5))
    attributes = {"axis": 1} if version < 18 else {"axis": 1, "num_outputs": parts}
    return Single(op, [floats(r, [3, 2 * parts, 2])], attributes, outputs=parts)


@old("Upsample")
def upsample(r, op, version):
    scales = [1.0, 1.0, *(float(s) for s in r.choice([1, 1.5, 2, 3], 2))]
    x, mode = floats(r, [1, 2, *(int(d) for d in r.integers(1, 6, 2))]), {"mode": str(r.choice(["nearest", "linear"]))}
    if version < 9:
        return Single(op, [x], {**mode, "scales": scales})
    return Single(op, [x, np.array(scales, np.float32)], mode, constant=(1,))


@old("Resize")
def resize(r, op, version):
    scales = np.array([1, 1, *r.choice([0.5, 1, 1.5, 2, 3], 2)], np.float32)
    x = floats(r, [1, 2, *(int(d) for d in r.integers(2, 9, 2))])
    modes = {"mode": str(r.choice(["nearest", "linear", "cubic"][: 2 if version == 10 else 3]))}
    if version == 10:
        return Single(op, [x, scales], modes, constant=(1,))
    where = [
        "half_pixel",
        "asymmetric",
        "align_corners",
        "pytorch_half_pixel",
        "tf_half_pixel_for_nn",
        "tf_crop_and_resize",
    ]
    if version > 11:
        where.remove("tf_half_pixel_for_nn")
    modes["coordinate_transformation_mode"] = str(r.choice(where))
    crops = modes["coordinate_transformation_mode"] == "tf_crop_and_resize"
    roi = np.array([0, 0, 0.1, 0.2, 1, 1, 0.8, 0.7] if crops else [], np.float32)
    if modes["mode"] == "nearest":
        modes["nearest_mode"] = str(r.choice(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]))
    if r.random() < 0.5 and not crops:  # of scales, ONNX Runtime leaves the region out of the output's size
        return Single(op, [x, roi, scales], modes, constant=(1, 2))
    sizes = np.array([1, 2, *r.integers(1, 12, 2)], np.int64)
    return Single(op, [x, roi, np.zeros(0, np.float32), sizes], modes, constant=(1, 2, 3))


@old("GroupNormalization")
def group_norm(r, op, version):
    groups = int(r.integers(1, 4))
    own = [groups if version < 21 else groups * 2]
    return Single(op, [floats(r, [2, groups * 2, 3, 5]), floats(r, own), floats(r, own)], {"num_groups": groups})


@old("GlobalLpPool")
def global_lp_pool(r, op, version):
    return Single(op, [floats(r, [2, 3, 4, 5])], {"p": int(r.integers(1, 4))})


@old("RandomNormal", "RandomUniform")
def random_numbers(r, op, version):
    return Single(op, [], {"shape": [int(d) for d in r.integers(1, 9, 3)], "dtype": int(r.choice([1, 11]))})


@old("RandomNormalLike", "RandomUniformLike")
def random_numbers_like(r, op, version):
    return Single(op, [floats(r, [int(d) for d in r.integers(1, 9, 2)])], {"dtype": 11} if r.random() < 0.5 else {})


@old("Multinomial")
def multinomial(r, op, version):
    return Single(op, [floats(r, [3, 5])], {"sample_size": int(r.integers(1, 9)), "dtype": int(r.choice([6, 7]))})


@old("Constant")
def constant(r, op, version):
    value = floats(r, [2, 3])
    kinds = [{"value": numpy_helper.from_array(value)}]
    if version >= 11:
        flat = helper.make_tensor("", 1, [2], [1.5, -2.0])
        at = helper.make_tensor("", 7, [2], [1, 4])
        kinds.append({"sparse_value": helper.make_sparse_tensor(flat, at, [6])})
    if version >= 12:
        kinds += [{"value_float": 1.5}, {"value_floats": [1.0, 2.5]}, {"value_int": 7}, {"value_ints": [1, -2]}]
        kinds += [{"value_string": "a"}, {"value_strings": ["ß", ""]}]
    return Single(op, [], kinds[int(r.integers(len(kinds)))])


@old("LabelEncoder")
def label_encoder(r, op, version):
    x = r.integers(-1, 5, [2, 4]).astype(np.int64)
    if version == 1:
        attributes = {"classes_strings": ["a", "ß", "日本"], "default_string": "none"}
    else:
        attributes = {"keys_int64s": [2, 0, 3], "values_strings": ["a", "ß", ""], "default_string": "none"}
    return Single(op, [x], attributes, domain="ai.onnx.ml")


@old("TreeEnsembleClassifier", "TreeEnsembleRegressor")
def stumps(r, op, version):
    """Trees of a comparison and two leaves."""
    trees, double = int(r.integers(1, 6)), version >= 3 and r.random() < 0.5

    def numbers(name, values):
        if double:
            return {f"{name}_as_tensor": numpy_helper.from_array(np.array(values, np.float64))}
        return {name: [float(v) for v in values]}

    attributes = {
        "nodes_treeids": [t for t in range(trees) for _ in range(3)],
        "nodes_nodeids": [0, 1, 2] * trees,
        "nodes_featureids": [int(f) for t in range(trees) for f in (r.integers(4), 0, 0)],
        "nodes_modes": [m for t in range(trees) for m in (str(r.choice(["BRANCH_LEQ", "BRANCH_GT"])), "LEAF", "LEAF")],
        "nodes_truenodeids": [1, 0, 0] * trees,
        "nodes_falsenodeids": [2, 0, 0] * trees,
        **numbers("nodes_values", [v for t in range(trees) for v in (round(r.normal(), 1), 0, 0)]),
    }
    part = "class" if op == "TreeEnsembleClassifier" else "target"
    leaves = 2 * trees
    attributes |= {
        f"{part}_treeids": [t for t in range(trees) for _ in range(2)],
        f"{part}_nodeids": [1, 2] * trees,
        f"{part}_ids": [int(i) for i in r.integers(0, 3, leaves)],
        **numbers(f"{part}_weights", r.normal(size=leaves)),
    }
    attributes |= {"classlabels_int64s": [5, 7, 9]} if part == "class" else {"n_targets": 3}
    x = floats(r, [6, 4], np.float64 if double else np.float32)
    return Single(op, [x], attributes, outputs=2 if part == "class" else 1, domain="ai.onnx.ml")


ROWS = np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 9

# Operator -> (first version, last version, text, feeds).
TEXTS = {
    "If": [
        (
            1,
            99,
            """agraph (bool c, float[3] x) => (float[3] y, float[3] z) {
              y, z = If (c) <then_branch = yes () => (float[3] a, float[3] b) { a = Neg(x) b = Add(x, x) },
                             else_branch = no () => (float[3] d, float[3] e) { d = Exp(x) e = Mul(x, x) }>
            }""",
            {"c": np.array(value), "x": np.float32([1, -2, 0.5])},
        )
        for value in (True, False)
    ],
    "Loop": [
        (
            1,
            99,
            """agraph (int64 n, bool c, float[2] x) => (float[2] y, float[k, 2] all) {
              y, all = Loop (n, c, x) <body = turn (int64 i, bool on, float[2] s) => (bool go, float[2] t, float[2] row) {
                go = Identity(on) t = Add(s, x) row = Neg(s) }>
            }""",
            {"n": np.array(5), "c": np.array(True), "x": np.float32([1, -2])},
        ),
        (
            1,
            99,
            """agraph (float limit, bool c, float x) => (float y, float[k] all) {
              y, all = Loop (, c, x) <body = turn (int64 i, bool on, float s) => (bool go, float t, float row) {
                t = Add(s, s) go = Less(t, limit) row = Neg(s) }>
            }""",
            {"limit": np.array(50, np.float32), "c": np.array(True), "x": np.array(1, np.float32)},
        ),
    ],
    "Scan": [
        (
            9,
            99,
            """agraph (float[4] s, float[2, 3, 4] xs) => (float[4] y, float[2, 3, 4] all) {
              y, all = Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_input_directions = [1], scan_output_axes = [1],
                body = turn (float[4] a, float[2, 4] x) => (float[4] b, float[2, 4] row) {
                  b = Add(a, a) row = Add(x, b) }> (s, xs)
            }""",
            {"s": np.float32([1, 2, 3, 4]), "xs": ROWS},
        ),
        (
            9,
            99,
            """agraph (float[3, 4] s, float[2, 3, 4] xs) => (float[3, 4] y, float[2, 3, 4] all) {
              y, all = Scan <num_scan_inputs = 1, scan_output_directions = [1],
                body = turn (float[3, 4] a, float[3, 4] x) => (float[3, 4] b, float[3, 4] row) {
                  b = Add(a, x) row = Neg(b) }> (s, xs)
            }""",
            {"s": ROWS[1], "xs": ROWS},
        ),
        (
            8,
            8,
            """agraph (float[2, 4] s, float[2, 3, 4] xs, float[2, 3, 4] zs) => (float[2, 4] y, float[2, 3, 4] all) {
              y, all = Scan <num_scan_inputs = 2, directions = [1, 0],
                body = turn (float[4] a, float[4] x, float[4] z) => (float[4] b, float[4] row) {
                  b = Add(a, x) row = Mul(b, z) }> (, s, xs, zs)
            }""",
            {"s": ROWS[:, 1], "xs": ROWS, "zs": ROWS * 2},
        ),
    ],
    "Optional": [
        (
            15,
            99,
            "agraph (float[2, 3, 4] x) => (optional(float[2, 3, 4]) y) { y = Optional (x) }",
            {"x": ROWS},
        )
    ],
}


def texts_of(op, version):
    return [(text, feeds) for first, last, text, feeds in TEXTS.get(op, []) if first <= version <= last]


def text_model(op, version, opset, number):
    text, feeds = texts_of(op, version)[number]
    return onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": {opset}]>\n{text}'), feeds
