"""The planted faults still fit the program: `make mutants` hunts them."""

import shutil
from pathlib import Path

import pytest

from tests.mutants.__main__ import PROJECT, plant
from tests.mutants.faults import FAULTS, Fault


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_can_be_planted(fault: Fault, tmp_path: Path) -> None:
    for file in {edit.file for edit in fault.edits}:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / file, tmp_path / file)
    plant(fault, tmp_path)
    for edit in fault.edits:
        compile((tmp_path / edit.file).read_text(), edit.file, "exec")
    assert all((PROJECT / test).exists() for test in fault.tests)
