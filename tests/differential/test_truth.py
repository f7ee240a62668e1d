"""The truth is checked before it is trusted: ONNX Runtime must agree with it, model by model, to float32's precision."""

import numpy as np
import pytest
from differential import models
from differential.truth import errors, truth

# Outputs that jump: ONNX Runtime's own error is far above rounding there.
JUMPS = {
    (
        "mlsd_tiny_320",
        "scores",
    ): "keeps a score only where it equals the maximum of its neighbourhood; near-equal neighbours change places",
}


@pytest.mark.parametrize("model", models.MODELS, ids=lambda m: m.name)
def test_onnx_runtime_agrees(model):
    if not model.path().exists():
        pytest.skip(f"{model.path()} is not there (tools/fetch_models.py)")
    feeds = model.feeds()
    exact = truth(model.path(), feeds)
    session = models.ort_session(model.path())
    for output, value in zip(session.get_outputs(), session.run(None, feeds)):
        error, rms = errors(value, exact[output.name])
        if (model.name, output.name) in JUMPS:
            bad = np.abs(value - exact[output.name]) > 1e-4 * rms
            assert bad.mean() < 1e-3, f"{output.name}: {bad.sum()} values differ"
        else:
            assert error <= 1e-4 * rms, f"{output.name}: ONNX Runtime differs by {error:.3g}, RMS {rms:.3g}"
