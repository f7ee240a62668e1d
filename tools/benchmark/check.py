"""Whether an engine's outputs are right.

ONNX Runtime as it is timed is the measure, and must itself agree with float64 to 1e-4 of the RMS (all but one element in a thousand:
outputs may jump where near-equal values change places). Every other engine is held against the rule of tests/differential: for each
output, its greatest error against float64 is at most 4 x ONNX Runtime's + 1e-6 x the RMS. Where the float64 evaluator cannot run a
model, ONNX Runtime without optimisations is taken for the truth, and the first rule holds for all."""

import pathlib

import numpy as np
from differential.real_models import judge
from differential.truth import errors, truth

Outputs = dict[str, np.ndarray]
TOLERANCE, MAY_JUMP = 1e-4, 1e-3


class Checker:
    def __init__(self, name: str, path: pathlib.Path, feed: Outputs, unoptimised: Outputs):
        self.name, self.note, self.measure = name, "", None
        try:
            self.exact, self.is_float64 = truth(path, feed), True
        except Exception as error:  # whatever the evaluator does not know
            self.exact, self.is_float64 = unoptimised, False
            self.note = f"no float64 truth ({type(error).__name__})"

    def problems(self, outputs: Outputs) -> list[str]:
        """Of ONNX Runtime, before the others are asked for. Empty: right."""
        wrong = []
        for name, want in self.exact.items():
            got, (error, rms) = outputs[name], errors(outputs[name], want)
            if error == np.inf or (np.abs(got - want) > TOLERANCE * rms).mean() > MAY_JUMP:
                wrong.append(f"{name}: differs by {error:.3g}, RMS {rms:.3g}")
        if self.measure is None:
            self.measure = outputs
        return wrong

    def problems_beside(self, outputs: Outputs) -> list[str]:
        """Of another engine."""
        if not self.is_float64 or self.measure is None:
            return self.problems(outputs)
        row: dict = {"wrong": []}
        judge(self.name, outputs, self.measure, self.exact, row)
        return row["wrong"]
