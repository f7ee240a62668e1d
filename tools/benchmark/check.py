"""Whether an engine's outputs are right, by the rule of tests/differential: for each output, the greatest error against float64 is at
most 4 x ONNX Runtime's + 1e-6 x the RMS. ONNX Runtime as it is timed is that measure; it counts when it agrees with float64 to 1e-2 of
the RMS. Where the float64 evaluator cannot run a model, all are held against ONNX Runtime without optimisations, to 1e-4 of the RMS.
Of the comparisons with a tolerance one element in a thousand may fail: outputs may jump where near-equal values change places."""

import pathlib

import numpy as np
from differential.real_models import judge
from differential.truth import errors, truth

Outputs = dict[str, np.ndarray]
SANITY, WITHOUT_TRUTH, MAY_JUMP = 1e-2, 1e-4, 1e-3


class Checker:
    def __init__(self, name: str, path: pathlib.Path, feed: Outputs, unoptimised: Outputs):
        self.name, self.note, self.measure = name, "", None
        try:
            self.exact, self.is_float64 = truth(path, feed), True
        except Exception as error:  # whatever the evaluator does not know
            self.exact, self.is_float64 = unoptimised, False
            self.note = f"no float64 truth ({type(error).__name__})"

    def problems_of_ort(self, outputs: Outputs) -> list[str]:
        """Empty: right. Comes before the others, which are measured by it."""
        self.measure = self.measure or outputs
        return self.far_off(outputs, SANITY if self.is_float64 else WITHOUT_TRUTH)

    def problems(self, outputs: Outputs) -> list[str]:
        """Of another engine."""
        if not self.is_float64 or self.measure is None:
            return self.far_off(outputs, WITHOUT_TRUTH)
        row: dict = {"wrong": []}
        judge(self.name, outputs, self.measure, self.exact, row)
        return row["wrong"]

    def far_off(self, outputs: Outputs, tolerance: float) -> list[str]:
        wrong = []
        for name, want in self.exact.items():
            error, rms = errors(outputs[name], want)
            if error == np.inf or (np.abs(outputs[name] - want) > tolerance * rms).mean() > MAY_JUMP:
                wrong.append(f"{name}: differs by {error:.3g}, RMS {rms:.3g}")
        return wrong
