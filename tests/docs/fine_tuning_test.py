# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The page on fine-tuning names fields, tasks and commands that exist."""

import dataclasses
import pathlib
import re

from bertjax.config import FinetuneConfig
from bertjax.config.fields import walk
from configs.finetune import GLUE, OVERLAYS
from launch.commands.table import COMMANDS

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "fine_tuning.md").read_text(encoding="utf-8")


def test_every_field_exists():
  groups = {
    field.name
    for field in dataclasses.fields(FinetuneConfig)
    if dataclasses.is_dataclass(getattr(FinetuneConfig(), field.name))
  }
  known = {path for _, path, _ in walk(FinetuneConfig())}
  named = set(re.findall(r"--config\.([\w.]+)", PAGE))
  # In the text, `group.field` and `group.field=value`.
  named |= {
    name
    for name in re.findall(r"`([a-z]\w*\.[a-z]\w*)(?:=[^`]*)?`", PAGE)
    if name.partition(".")[0] in groups
  }
  assert len(named) > 20
  assert not named - known


def test_every_task_is_on_the_page():
  for name in OVERLAYS["task"]:
    shown = "task=glue/NAME" if name.startswith("glue/") else f"task={name}"
    assert shown in PAGE or name in {"stdlib", "glue"}, name
  for name in GLUE:
    assert name in PAGE


def test_every_command_exists():
  named = set(re.findall(r"bertjax (\w+)", PAGE))
  assert named
  assert not named - {*COMMANDS}
