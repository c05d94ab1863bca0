# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A short name is a shipped config from any folder, and a path is a file."""

import pathlib

import pytest
from absl import flags

from launch.commands import shipped_configs
from launch.commands.shipped_configs import SHIPPED, resolve

ROOT = pathlib.Path(__file__).parents[3]


def test_every_config_of_a_command_has_a_short_name():
  made = {
    path
    for path in (ROOT / "configs").rglob("*.py")
    if "\ndef get_config(" in path.read_text()
  }
  assert set(SHIPPED.values()) == made


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("argument", ["", ":", ":size=tiny,recipe=short"])
def test_a_short_name_is_found_from_any_folder(
  name, argument, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  assert resolve(name + argument) == f"{SHIPPED[name]}{argument}"


def test_a_path_is_the_users_file(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "configs").mkdir()
  for path in ("configs/pretrain.py", "mine.py"):
    (tmp_path / path).touch()
    for value in (path, f"{path}:size=tiny", f"{tmp_path / path}:a=b"):
      assert resolve(value) == value


@pytest.mark.parametrize(
  ("value", "said"),
  [
    (
      "configs/pretrain.py:size=tiny",
      "there is no file configs/pretrain.py in .*; the config that bertjax "
      "ships is --config=pretrain:size=tiny",
    ),
    ("configs/sweeps/nsp.py", "ships is --config=nsp"),
    ("prertain", "no config 'prertain'; give one of pretrain, finetune, nsp, "),
    ("", "no config ''; give one of "),
    ("mine.py:size=tiny", "no config 'mine.py'; .* path of a .py file"),
  ],
)
def test_what_is_not_there_is_one_line(value, said, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(ValueError, match=said) as error:
    resolve(value)
  assert "\n" not in str(error.value)


# ml_collections loads files as Python did before 3.12.
@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
def test_the_flag_takes_a_name_and_changes_of_fields(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  argv = ["x", "--config=pretrain:size=mini", "--config.steps=7"]
  monkeypatch.setattr("sys.argv", argv)
  values = flags.FlagValues()
  shipped_configs.define_flag("pretrain:size=tiny", values)
  values(argv)
  assert values.config.steps == 7
  assert values.config.model.num_layers == 4


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
def test_fields_of_a_default_change_as_those_of_a_given_config(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  argv = ["x", "--config.steps=7"]
  monkeypatch.setattr("sys.argv", argv)
  values = flags.FlagValues()
  shipped_configs.define_flag(
    "finetune:task=glue", values, default="finetune:task=glue"
  )
  values(argv)
  assert values.config.steps == 7
  assert values.config.task.kind == "glue"


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
def test_what_is_not_there_is_said_of_the_flag(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  argv = ["x", "--task=configs/finetune.py:task=stdlib"]
  monkeypatch.setattr("sys.argv", argv)
  values = flags.FlagValues()
  shipped_configs.define_flag("finetune:task=stdlib", values, name="task")
  with pytest.raises(flags.Error, match="is --task=finetune:task=stdlib"):
    values(argv)
