#!/usr/bin/env python3
"""Every superseded version of an operator that was valid at some opset from 7 on: models of one node of exactly that version,
held against ONNX Runtime on the file as it is, or onnx's reference evaluator where ONNX Runtime has no kernel.

    tests/differential/old_versions.py [--rows N] [--cases N] [-k PATTERN] [--keep DIR] [-v]

A model's opset is the last one of its version. Models come from old_rows.py (made for an old version by hand), from the rows
of random_ops.py and from the cases of onnx.backend.test; the last two are set back: an input that was an attribute
becomes one, what the old version does not know is left out. A wrong value, a refusal and a crash are failures."""

import argparse
import collections
import copy
import functools
import itertools
import os
import pathlib
import re
import sys
import tempfile
import zlib

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from conformance.cases import node_cases  # noqa: E402
from conformance.compare import Mismatch, compare  # noqa: E402
from differential import old_rows, random_ops  # noqa: E402
from differential.random_ops import accuracies, evaluate, run_onnxruntime, tolerances  # noqa: E402
from differential.random_rows import FLOATS, ROWS  # noqa: E402
from support import elements  # noqa: E402
from support.c_abi import CompiledModel  # noqa: E402
from support.compiler import BatchCompiler  # noqa: E402
from support.workers import run_jobs  # noqa: E402

OLDEST = 7  # opset
DRAWS = 12  # of a row, until one can be said in the old version
RENAMED = {"constant_value": "value"}  # input -> the attribute that it was
# Nothing but type and shape can be compared.
RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}


@functools.cache
def history():
    """(domain, operator) -> version -> schema."""
    known = collections.defaultdict(dict)
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain in ("", "ai.onnx.ml"):
            known[schema.domain, schema.name][schema.since_version] = schema
    return known


def superseded():
    """(domain, operator, version, last opset of the version's)."""
    for (domain, op), versions in sorted(history().items()):
        ordered = sorted(versions)
        for version, following in zip(ordered, ordered[1:]):
            if domain or following > OLDEST:
                yield domain, op, version, following - 1


class NotThen(Exception):
    """The model cannot be said in the old version."""


def set_back(model, feeds, version, opset):
    """(model, feeds) with its one node as of `version`."""
    model, feeds = copy.deepcopy(model), dict(feeds)
    graph, node = model.graph, model.graph.node[0]
    versions = history()[node.domain, node.op_type]
    old, new = versions[version], versions[max(versions)]
    constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    attributes = {a.name: a for a in node.attribute if a.name in old.attributes}
    inputs, known, position = [], {f.name for f in new.inputs}, {f.name: k for k, f in enumerate(old.inputs)}
    for k, name in enumerate(node.input):
        formal = new.inputs[min(k, len(new.inputs) - 1)].name
        was = RENAMED.get(formal, formal.casefold())
        if was in old.attributes and not (k < len(old.inputs) and old.inputs[k].name == formal):
            if name:
                value = feeds[name] if name in feeds else constants[name]
                attributes[was] = as_attribute(was, old.attributes[was].type, value)
        elif formal in position:
            inputs += [""] * (position[formal] - len(inputs)) + [name]
        elif k < len(old.inputs) and old.inputs[k].name not in known:  # renamed
            inputs.append(name)
    del node.attribute[:], node.input[:]
    node.attribute.extend(attributes.values())
    node.input.extend(inputs)
    remove_unused(graph, feeds)
    if len(node.output) > old.max_output:
        raise NotThen(f"has at most {old.max_output} outputs")
    set_opset(model, node.domain, opset)
    return model, feeds


def as_attribute(name, kind, value):
    kinds = onnx.defs.OpSchema.AttrType
    values = value.reshape(-1).astype(np.float32 if kind in (kinds.FLOAT, kinds.FLOATS) else np.int64).tolist()
    return helper.make_attribute(
        name, values[0] if kind in (kinds.INT, kinds.FLOAT) else values, attr_type=int(kind.value)
    )


def remove_unused(graph, feeds):
    used = set(graph.node[0].input)
    for values in (graph.input, graph.initializer):
        for value in [v for v in values if v.name not in used]:
            values.remove(value)
            feeds.pop(value.name, None)


def set_opset(model, domain, opset):
    """A model of ai.onnx.ml keeps the standard's opset."""
    for entry in model.opset_import:
        if entry.domain == domain:
            entry.version = opset


def with_types(model, version):
    """The model with the types that onnx infers. Raises NotThen if the node is none of that version's."""
    node = model.graph.node[0]
    old = history()[node.domain, node.op_type][version]
    initializers = {i.name: f"tensor({type_name(i.data_type)})" for i in model.graph.initializer}
    require_types(node.input, initializers | {v.name: type_text(v.type) for v in model.graph.input}, old.inputs)
    declared = {v.name: copy.deepcopy(v) for v in model.graph.output}
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=o) for o in declared)
    try:
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as e:
        raise NotThen(first_line(e)) from e
    for out in inferred.graph.output:
        if not out.type.WhichOneof("value") and declared[out.name].type.WhichOneof("value") != "tensor_type":
            out.CopyFrom(declared[out.name])
    require_types(node.output, {o.name: type_text(o.type) for o in inferred.graph.output}, old.outputs)
    return inferred


def check(model, values):
    """Declares the outputs that onnx's inference did not tell; then asks onnx's checker."""
    for out, value in zip(model.graph.output, values, strict=True):
        kind = out.type.WhichOneof("value")
        if kind is None or (kind == "tensor_type" and not out.type.tensor_type.HasField("shape")):
            array = np.asarray(value)
            elem = onnx.TensorProto.STRING if array.dtype.kind in "OU" else elements.elem_of(array)
            out.CopyFrom(helper.make_tensor_value_info(out.name, elem, array.shape))
    node = model.graph.node[0]
    opset = next(o.version for o in model.opset_import if o.domain == node.domain)
    if onnx.defs.get_schema(node.op_type, opset, node.domain).deprecated:  # GroupNormalization 18: always was
        return
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as e:
        raise NotThen(first_line(e)) from e


def require_types(names, types, formals):
    for k, name in enumerate(names):
        text = types.get(name)
        if text and text not in formals[min(k, len(formals) - 1)].types:
            raise NotThen(f"{name} is of type {text}")


def type_name(elem):
    return onnx.TensorProto.DataType.Name(elem).lower()


def type_text(t):
    """As schemas write it; nothing for an unknown type."""
    kind = t.WhichOneof("value")
    if kind is None or (kind == "tensor_type" and not t.tensor_type.elem_type):
        return ""
    if kind == "tensor_type":
        return f"tensor({type_name(t.tensor_type.elem_type)})"
    if kind in ("sequence_type", "optional_type"):
        return f"{kind[:3] if kind[0] == 's' else 'optional'}({type_text(getattr(t, kind).elem_type)})"
    return kind


def candidates(job, cases):
    """Models of the job, to be taken in turn until one is of the version and ONNX Runtime runs it."""
    domain, op, version, opset, source, number = job
    if source == "text":
        yield lambda: old_rows.text_model(op, version, opset, number)
        return
    if source == "case":  # whose turn it is differs from version to version
        turns = np.random.default_rng([zlib.crc32(op.encode()), version]).permutation(len(cases[op]))
        for case in (cases[op][n] for n in np.roll(turns, -number)):
            yield lambda case=case: set_back(case.model, case.feeds(case.data_sets[0][0]), version, opset)
        return
    for draw in range(DRAWS):
        r = np.random.default_rng([zlib.crc32(op.encode()), version, number, draw])
        if source == "old":
            yield lambda r=r: of_version(*random_ops.model_of(old_rows.OLD[op](r, version), opset), domain, opset)
        else:
            yield lambda r=r: set_back(*random_ops.model_of(ROWS[op](r), random_ops.OPSET), version, opset)


def of_version(model, feeds, domain, opset):
    set_opset(model, "", random_ops.OPSET if domain else opset)
    set_opset(model, domain, opset)
    return model, feeds


class Worker:
    def __init__(self, folder, cases, flags):
        self.folder, self.cases, self.flags, self.compiler = pathlib.Path(folder), cases, flags, None
        self.accuracies = accuracies()

    def __call__(self, job):
        """(kind, who gave the reference, text)."""
        self.compiler = self.compiler or BatchCompiler()
        result, second_best = ("not of the version", None, ""), None
        for make in itertools.islice(candidates(job, self.cases), DRAWS):
            try:
                model, feeds = make()
                model = with_types(model, job[2])
                who, expected = reference(model, feeds)
                if who is None:
                    result = ("without a reference", None, expected)
                    continue
                check(model, expected)
            except NotThen as e:
                if result[0] == "not of the version":
                    result = (result[0], None, str(e))
                continue
            if who == "ONNX Runtime":
                return self.hold(job, model, feeds, who, expected)
            second_best = second_best or (model, feeds, who, expected)
        return self.hold(job, *second_best) if second_best else result

    def hold(self, job, model, feeds, who, expected):
        domain, op, version, opset, source, number = job
        path = self.folder / f"{op}-{version}-{source}-{number}.onnx"
        path.write_bytes(model.SerializeToString())
        outcome = self.compiler.compile(path, path.with_suffix(".so"), ["-q", *self.flags])
        if not outcome.ok:
            return "failed", who, outcome.reason()
        try:
            with CompiledModel(path.with_suffix(".so"), host=True) as compiled:
                actual = compiled.run(feeds)
            self.compare(f"{domain}::{op}".removeprefix("::"), actual, expected, is_random(model, feeds))
        except Mismatch as e:
            return "failed", who, f"{e}; {describe(model)}"
        except Exception as e:
            return "failed", who, f"{type(e).__name__}: {e}; {describe(model)}"
        return "passed", who, ""

    def compare(self, op, actual, expected, shape_only):
        # An operator without a declaration is a function of ONNX: as its parts, which may hold sums. ONNX Runtime's own
        # functions are not exact to a few units in the last place.
        accuracy = "exact" if self.accuracies.get(op) == "exact" else "accumulating"
        for k, (a, e) in enumerate(zip(actual, expected, strict=True)):
            rtol, atol = tolerances(accuracy, e) if isinstance(e, np.ndarray) and e.dtype in FLOATS else (0, 0)
            compare(a, e, rtol, atol, shape_only, where=f"output {k}")


def reference(model, feeds):
    """("ONNX Runtime" or "evaluator", outputs), or (None, why there is none)."""
    try:
        outputs = run_onnxruntime(model, feeds)
        return "ONNX Runtime", [as_declared(o, v) for o, v in zip(model.graph.output, outputs, strict=True)]
    except Exception as e:
        why = first_line(e)
    try:
        with np.errstate(all="ignore"):
            return "evaluator", evaluate(model, feeds)
    except Exception as e:
        return None, f"{why} / {first_line(e)}"


def as_declared(output, value):
    """ONNX Runtime gives elements of eight bits that numpy has not as uint8."""
    elem = output.type.tensor_type.elem_type
    if isinstance(value, np.ndarray) and value.dtype == np.uint8 and elements.NUMPY.get(elem) not in (None, np.uint8):
        return value.view(elements.NUMPY[elem])
    return value


def first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def is_random(model, feeds):
    node = model.graph.node[0]
    return node.op_type in RANDOM or (
        node.op_type == "Dropout" and len(node.input) > 2 and bool(feeds.get(node.input[2], False))
    )


def describe(model):
    return re.sub(r"\s+", " ", onnx.printer.to_text(model.graph))[:500]


def make_jobs(options, cases):
    for domain, op, version, opset in superseded():
        name = f"{domain}::{op}-{version}".removeprefix("::")
        if not re.search(options.k, name):
            continue
        counts = {
            "text": len(old_rows.texts_of(op, version)),
            "old": options.rows if op in old_rows.OLD else 0,
            "row": options.rows if op in ROWS else 0,
            "case": min(options.cases, len(cases[op])),
        }
        yield from ((domain, op, version, opset, source, n) for source, count in counts.items() for n in range(count))


def single_node_cases():
    cases = collections.defaultdict(list)
    for case in node_cases():
        if case.suite == "node" and len(case.model.graph.node) == 1:
            cases[case.model.graph.node[0].op_type].append(case)
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1, help="models of each row per version")
    parser.add_argument("--cases", type=int, default=1, help="cases of onnx.backend.test per version")
    parser.add_argument("-k", default="", metavar="PATTERN", help="of OPERATOR-VERSION")
    parser.add_argument("--flags", default="")
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("-j", type=int, default=os.cpu_count())
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args()
    cases = single_node_cases() if options.cases else collections.defaultdict(list)
    results = {}
    with tempfile.TemporaryDirectory(prefix="onnxc-old-") as scratch:
        folder = options.keep or scratch
        pathlib.Path(folder).mkdir(exist_ok=True, parents=True)
        run_jobs(
            list(make_jobs(options, cases)),
            Worker(folder, cases, options.flags.split()),
            results.__setitem__,
            options.j,
            60,
            lambda job, text: ("failed", "", " / ".join(text.splitlines()[:: len(text.splitlines()) - 1 or 1])),
        )
    return report(results, options)


def report(results, options):
    held = collections.defaultdict(set)
    tally = collections.Counter()
    for job, (kind, who, text) in sorted(results.items()):
        held[job[:4]].add(who if kind in ("passed", "failed") else kind)
        tally[kind] += 1
        if kind == "failed" or options.v:
            print(f"{kind.upper()} {':'.join(map(str, job))} ({who}): {text}")
    best = collections.Counter()
    for version in (v for v in superseded() if re.search(options.k, f"{v[0]}::{v[1]}-{v[2]}".removeprefix("::"))):
        kinds = held[version]
        kind = next((k for k in ("ONNX Runtime", "evaluator", "without a reference") if k in kinds), "not built")
        best[kind] += 1
        if kind in ("without a reference", "not built"):
            print(f"{kind}: {version[1]} {version[2]} (opset {version[3]})")
    print(
        f"{sum(best.values())} superseded versions: {best['ONNX Runtime']} against ONNX Runtime, {best['evaluator']} against "
        f"onnx's evaluator, {best['without a reference']} without a reference, {best['not built']} not built"
    )
    missing = best["without a reference"] + best["not built"]
    print(f"{tally['passed']} passed, {tally['failed'] + missing} failed")
    return 1 if tally["failed"] or missing else 0


if __name__ == "__main__":
    sys.exit(main())
