"""What all tests share: one setting of hypothesis, so that every run tries the same examples; a seed for others."""

from __future__ import annotations

import os
import secrets

from hypothesis import HealthCheck, settings

settings.register_profile(
    "same",
    derandomize=True,
    print_blob=True,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("same")


def pytest_configure() -> None:
    """The seed of the random models (test_hf), one for all workers; SHEETGEN_SEED=… repeats a run."""
    os.environ.setdefault("SHEETGEN_SEED", str(secrets.randbelow(10**6)))


def pytest_report_header() -> str:
    """Shown at the start of a run."""
    return f"SHEETGEN_SEED={os.environ['SHEETGEN_SEED']}"
