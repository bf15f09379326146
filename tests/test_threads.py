"""What unbraid tells the threads that models compute on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def policy_after(code: str, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    run = subprocess.run(
        [sys.executable, "-c", f"{code}; import os; print(os.environ.get('OMP_WAIT_POLICY'))"],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip()


def test_waiting_threads_sleep_in_any_program_that_imports_unbraid_first():
    assert policy_after("import unbraid") == "passive"
    assert policy_after("import unbraid.models") == "passive"


@pytest.mark.parametrize("name", VARIABLES)
def test_what_the_user_says_about_waiting_threads_stays(name):
    said = {name: "active" if name == "OMP_WAIT_POLICY" else "7"}
    expected = "active" if name == "OMP_WAIT_POLICY" else "None"
    assert policy_after("import unbraid", **said) == expected


def test_nothing_is_set_where_it_would_come_too_late():
    assert policy_after("import sys; sys.modules['torch'] = sys; import unbraid") == "None"
