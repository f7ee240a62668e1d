"""Einsum against numpy: equations that become matrix products, sums, outer products, and those that stay one loop nest."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from support.c_abi import CompiledModel
from support.compiler import compile_model

EXTENTS = {"b": 2, "c": 1, "h": 3, "i": 5, "j": 4, "k": 7, "n": 0}
EQUATIONS = [
    "bhik,bhjk->bhij",
    "ik,kj->ij",
    "ik,kj->ji",
    "ik,jk",
    "bij,bjk->ki",  # b is summed too
    "bijk,bkh->bhji",
    "ijk,ijk->",
    "ik,ik->i",
    "i,j->ij",
    "bi,bj->jbi",
    "i,i",
    "ijk->j",
    "kji->ijk",
    "ij,jk,kh->ih",
    "bi,ij,bj->b",
    "i,j,k->kji",
    "ijk,i->ki",  # j is in one term only
    "...ij,...jk->...ik",
    "...i,...i->...",
    "ii->i",  # stays a nest
    "ii,ij->j",
    "in,nj->ij",  # sums of nothing
    "bnj,bkj->bnk",
    "ci,cj->cij",
]


def terms_of(equation):
    return equation.split("->", maxsplit=1)[0].split(",")


def shape_of(term):
    return [*([2, 3] if "..." in term else []), *(EXTENTS[label] for label in term.replace("...", ""))]


def model_of(equation, dims_of, elem=TensorProto.FLOAT):
    inputs = [helper.make_tensor_value_info(f"x{i}", elem, dims_of(term)) for i, term in enumerate(terms_of(equation))]
    node = helper.make_node("Einsum", [x.name for x in inputs], ["y"], equation=equation)
    graph = helper.make_graph([node], "einsum", inputs, [helper.make_tensor_value_info("y", elem, None)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def free(term):
    return [*(["p", "q"] if "..." in term else []), *term.replace("...", "")]


def check(tmp_path, equation, model, dtype=np.float32):
    source, artefact = tmp_path / "model.onnx", tmp_path / "model.so"
    source.write_bytes(model.SerializeToString())
    outcome = compile_model(source, artefact)
    assert outcome.ok, outcome.reason()
    random = np.random.default_rng(len(equation))
    arrays = [random.integers(-9, 9, shape_of(term)).astype(dtype) for term in terms_of(equation)]
    want = np.einsum(equation, *(a.astype(np.float64) for a in arrays))
    with CompiledModel(artefact, host=True) as compiled:
        [got] = compiled.run({f"x{i}": a for i, a in enumerate(arrays)})
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, want.astype(dtype))  # small whole numbers: no sum rounds


@pytest.mark.parametrize("form", ["fixed", "free"])
@pytest.mark.parametrize("equation", EQUATIONS)
def test_equation(tmp_path, equation, form):
    check(tmp_path, equation, model_of(equation, free if form == "free" else shape_of))


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float64, np.float16])
@pytest.mark.parametrize("equation", ["bij,bjk->bki", "i,j->ij", "ij->j"])
def test_element_types(tmp_path, equation, dtype):
    model = model_of(equation, shape_of, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    check(tmp_path, equation, model, dtype)
