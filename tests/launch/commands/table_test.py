# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every launcher is a command, and a mistyped one is answered in one line."""

import pathlib
import sys

import pytest

import bertjax
from launch.commands import table

ROOT = pathlib.Path(__file__).parents[3]
# Started by other processes, and not by a user.
INTERNAL = {"launch.reports.samples"}


def test_every_launcher_is_a_command():
  launchers = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
      ".__main__"
    )
    for path in (ROOT / "launch").rglob("*.py")
    if '\nif __name__ == "__main__":' in path.read_text()
  }
  assert set(table.COMMANDS.values()) == launchers - INTERNAL
  for name, module in table.COMMANDS.items():
    assert module.startswith("launch.")
    assert module.rpartition(".")[2] == name


@pytest.mark.parametrize("flag", ["--help", "-h", "help"])
def test_help_says_one_line_about_each_command(flag, capsys):
  table.main([flag])
  shown = capsys.readouterr().out
  assert "\n  pretrain        Pre-train on a prepared store; " in shown
  for name, module in table.COMMANDS.items():
    summary = table.summary(module)
    assert summary.endswith((".", "`")), "the first line is a whole sentence"
    assert any(
      line.split() == [name, *summary.split()] for line in shown.splitlines()
    )
  assert max(map(len, shown.splitlines())) <= 96


def test_the_version_is_the_packages(capsys):
  table.main(["--version"])
  assert capsys.readouterr().out == f"bertjax {bertjax.__version__}\n"


@pytest.mark.parametrize(
  ("words", "said"),
  [
    (["pretrian", "--workdir=x"], "did you mean `bertjax pretrain`?"),
    (["import-weights"], "did you mean `bertjax import_weights`?"),
    (["launch.plan"], "did you mean `bertjax plan`?"),
    (["quantize"], "give one of prepare, doctor, "),
    (["--config=pretrain"], "'--config=pretrain' is no command; "),
    ([], "no command is given; give one of prepare, doctor, "),
  ],
)
def test_another_word_is_one_line(words, said, capsys):
  with pytest.raises(SystemExit) as stop:
    table.main(words)
  assert said in str(stop.value)
  assert str(stop.value).startswith("error: ")
  assert "\n" not in str(stop.value)
  assert capsys.readouterr().out == ""


def test_a_command_gets_its_flags_as_a_launcher_does(monkeypatch):
  ran = {}

  def run_module(module, *, run_name, alter_sys):
    ran.update(module=module, name=run_name, alters=alter_sys, argv=sys.argv)

  monkeypatch.setattr(table.runpy, "run_module", run_module)
  monkeypatch.setattr(sys, "argv", ["bertjax", "pods", "--kind=x", "--", "--y"])
  table.main(sys.argv[1:])
  assert ran["module"] == "launch.pods"
  assert (ran["name"], ran["alters"]) == ("__main__", True)
  assert ran["argv"][1:] == ["--kind=x", "--", "--y"]
