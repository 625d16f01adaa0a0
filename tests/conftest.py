"""What all tests share: no test sees the settings of whoever runs it."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for variable in [name for name in os.environ if name.upper().startswith("LABELPULSE_")]:
        monkeypatch.delenv(variable)
    yield
