#!/usr/bin/env python3
"""compiler/ops/SUPPORT.md: for each operator that the onnx library declares, what there is for it and what its tests say.

    tests/conformance/support_table.py          writes it
    tests/conformance/support_table.py --check  fails where it is not what would be written

Counts are cases of onnx.backend.test that consist of this operator only: those that are not in expected_failures.json, of all."""

import argparse
import collections
import pathlib
import re
import sys

import onnx
from onnx import defs

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from conformance import cases as case_list  # noqa: E402
from conformance.expectations import Expectations  # noqa: E402

TABLE = ROOT / "compiler/ops/SUPPORT.md"
FORMS = ("static", "dynamic", "constant", "cpp")
OLDEST_OPSET = 7
HEADER = f"""# Operators

Written by tests/conformance/support_table.py; not to be edited. `own`: a rule in this folder; `body`: the function body that ONNX
gives. Versions are those of the operator from opset {OLDEST_OPSET} of ai.onnx on. Types are of inputs and outputs in the tests that pass.
The other columns count tests: passed of all, with shapes as declared, with free dims, with constant inputs, as C++.

| operator | way | versions | types | {" | ".join(FORMS)} |
|---|---|---|---|{"---|" * len(FORMS)}
"""


def own_operators() -> set[str]:
    """Names of OpDefs, as in ops.inc."""
    return set(re.findall(r"ONNXC_OP\((\w+)\)", (ROOT / "compiler/ops/ops.inc").read_text()))


def versions() -> dict[tuple[str, str], list[int]]:
    found = collections.defaultdict(list)
    for schema in defs.get_all_schemas_with_history():
        found[schema.domain, schema.name].append(schema.since_version)
    return {
        key: sorted(v for v in all_of_it if v >= OLDEST_OPSET or v == max(w for w in all_of_it if w <= OLDEST_OPSET))
        if not key[0] and min(all_of_it) <= OLDEST_OPSET
        else sorted(all_of_it)
        for key, all_of_it in found.items()
    }


def types_of(case) -> set[str]:
    elements = [v.type.tensor_type.elem_type for v in (*case.model.graph.input, *case.model.graph.output)]
    return {onnx.TensorProto.DataType.Name(e).lower() for e in elements if e}


def table() -> str:
    expectations = Expectations(ROOT / "tests/conformance/expected_failures.json")
    passed, total = collections.Counter(), collections.Counter()
    types = collections.defaultdict(set)
    for case in case_list.node_cases():
        nodes = case.model.graph.node
        if len(nodes) != 1:
            continue
        key = nodes[0].domain, nodes[0].op_type
        total[key] += 1
        for form in FORMS:
            passed[key, form] += expectations.reason(form, case.name) is None
        if expectations.reason("static", case.name) is None:
            types[key] |= types_of(case)
    own = own_operators()
    lines = []
    for (domain, name), known in sorted(versions().items()):
        schema = defs.get_schema(name, max(known), domain)
        has_body = schema.has_function or schema.has_context_dependent_function
        way = "own" if name in own or name == "Constant" else "body" if has_body else "none"
        counts = [f"{passed[(domain, name), f]}/{total[domain, name]}" if total[domain, name] else "" for f in FORMS]
        full = f"{domain}.{name}" if domain else name
        cells = [full, way, " ".join(map(str, known)), " ".join(sorted(types[domain, name])), *counts]
        lines.append(f"| {' | '.join(cells)} |\n")
    return HEADER + "".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        TABLE.write_text(table())
        return 0
    fresh = TABLE.exists() and TABLE.read_text() == table()
    print("fresh" if fresh else f"{TABLE.relative_to(ROOT)} is stale: run tests/conformance/support_table.py")
    return 0 if fresh else 1


if __name__ == "__main__":
    sys.exit(main())
