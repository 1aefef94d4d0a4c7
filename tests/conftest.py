"""What all tests share: hypothesis tries the same examples in every run, other things a seed; what must be installed.

SHEETGEN_REQUIRE=libreoffice,tokenizers turns what is skipped where these are missing into an error (for CI).
"""

from __future__ import annotations

import os
import secrets

import pytest
from helpers import installed
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


REQUIRED = os.environ.get("SHEETGEN_REQUIRE", "").replace(",", " ").split()  # engines and packages


def pytest_configure() -> None:
    """The seed of the random models, one for all workers (SHEETGEN_SEED=… repeats a run); what must not be missing."""
    os.environ.setdefault("SHEETGEN_SEED", str(secrets.randbelow(10**6)))
    os.environ["SHEETGEN_TRACEBACK"] = "1"  # an exception that no user can cause ends the test
    if missing := [name for name in REQUIRED if not installed(name)]:
        raise pytest.UsageError(f"SHEETGEN_REQUIRE asks for {', '.join(missing)}, which the tests do not find")


def pytest_report_header() -> str:
    """Shown at the start of a run."""
    return f"SHEETGEN_SEED={os.environ['SHEETGEN_SEED']}"
