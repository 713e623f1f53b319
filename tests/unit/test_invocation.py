"""The commands that messages show can be pasted as they are, however the program was called."""

import sys
from pathlib import Path

import pytest

from orchestration.invocation import command_line, program_name


@pytest.mark.parametrize("called", ["-", "-c", ""])
def test_program_from_standard_input_names_the_installed_command(called: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [called])
    assert program_name() == "perdure"
    assert command_line("up") == "perdure up"


def test_starter_of_a_checkout_is_named_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "starter.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["starter.py"])
    assert program_name() == "python starter.py"
    assert command_line("status", "--workflow-id", "my run").endswith(" starter.py status --workflow-id 'my run'")
