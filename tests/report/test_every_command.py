"""Every command can give JSON, and its help fits 80 columns."""

from __future__ import annotations

import re

import pytest

from thbench.cli import main
from thbench.cli.entry import COMMANDS


def help_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_json_and_eighty_columns(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = help_of(capsys, command)
    # A command of commands has no --json of its own.
    nested = re.findall(r"^    ([a-z]+) ", text, re.MULTILINE) if "ACTION" in text else []
    pages = [help_of(capsys, command, word) for word in nested] or [text]
    for page in (text, *pages):
        assert max(len(line) for line in page.splitlines()) <= 80
    assert all("--json" in page for page in pages), command
