"""Coverage-guided fuzzing of decoder and adapters, for as long as a check may take."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RUNS = 30_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("atheris") is None,
        reason="NO ATHERIS, nothing is fuzzed by coverage here: pip install atheris",
    ),
]


@pytest.mark.parametrize("what", ["decoder", "adapters"])
def test_no_input_surprises(what: str, tmp_path: Path) -> None:
    """From real payloads on, so many inputs give no exception of a wrong kind and no wrong success."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz_events", what, f"-runs={RUNS}", "-seed=7", f"-artifact_prefix={tmp_path}/"],
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4_000:]
    assert f"Done {RUNS} runs" in done.stderr
