"""The vectorised copies of River's detectors that the drift benchmark uses alarm where River's do."""

import numpy as np
import pytest
from river.drift import PageHinkley
from river.drift.binary import DDM, EDDM, HDDMA, HDDMW

from benchmarks import drift_river

STREAMS, STEPS, CHANGE = 12, 900, 400
CASES = [
    (PageHinkley, drift_river.PageHinkleyMany, {"threshold": 6.0, "delta": 0.02}),
    (PageHinkley, drift_river.PageHinkleyMany, {}),
    (DDM, drift_river.DDMMany, {}),
    (EDDM, drift_river.EDDMMany, {}),
    (HDDMA, drift_river.HDDMAMany, {}),
    (HDDMW, drift_river.HDDMWMany, {}),
    (HDDMW, drift_river.HDDMWMany, {"lambda_val": 0.02, "drift_confidence": 0.01}),
]


def _stream() -> np.ndarray:
    random = np.random.default_rng(20)
    rates = np.where(np.arange(STEPS) < CHANGE, 0.08, 0.35)
    return (random.random((STEPS, STREAMS)) < rates[:, None]).astype(float)


@pytest.mark.parametrize(("river", "many", "settings"), CASES)
def test_alarms_are_rivers(river, many, settings):
    """Every alarm of River's detector, restarts after alarms included, is the copy's alarm at the same judgement."""
    values = _stream()
    copies = many(STREAMS, **settings)
    alarms = np.array([copies.step(row) for row in values])
    singles = [river(**settings) for _ in range(STREAMS)]
    expected = np.zeros_like(alarms)
    for step, row in enumerate(values):
        for stream, detector in enumerate(singles):
            value = bool(row[stream]) if river in (DDM, EDDM) else row[stream]
            detector.update(value)
            expected[step, stream] = detector.drift_detected
    np.testing.assert_array_equal(alarms, expected)
    assert alarms.any() or (river is PageHinkley and not settings)
