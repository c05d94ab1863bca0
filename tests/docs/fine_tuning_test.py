# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The pages on fine-tuning name fields, tasks and commands that exist."""

import ast
import dataclasses
import pathlib
import re

from bertjax.config import FinetuneConfig, from_mapping
from bertjax.config.fields import walk
from configs.finetune import GLUE, OVERLAYS, get_config
from launch.commands.table import COMMANDS

DOCS = pathlib.Path(__file__).parents[2] / "docs"
INDEX = DOCS / "fine_tuning.md"
PREDICTING = DOCS / "predicting.md"
TASKS = sorted((DOCS / "tasks").glob("*.md"))
PAGE = "\n".join(path.read_text(encoding="utf-8") for path in (INDEX, *TASKS))


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


def fields_of_the_table():
  """{field: (default, when to set it)} of the tables of every field."""
  part = INDEX.read_text(encoding="utf-8").partition("## Every field")[2]
  found = re.findall(r"^\| `([\w.]+)` \| (.+?) \| (.+) \|$", part, re.MULTILINE)
  return {name: (default, purpose) for name, default, purpose in found}


def read_default(text):
  if text in {"true", "false"}:
    return text == "true"
  try:
    return ast.literal_eval(text)
  except (SyntaxError, ValueError):
    return text


def test_every_field_has_a_row_with_its_default():
  config = from_mapping(FinetuneConfig, get_config().to_dict())
  fields = {
    path: getattr(group, field.name) for group, path, field in walk(config)
  }
  table = fields_of_the_table()
  assert table.keys() == fields.keys()
  for path, (shown, _) in table.items():
    value = fields[path]
    known = read_default(shown) if not isinstance(value, str) else shown
    assert known == (value if value != "" else '""'), path


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


def test_the_index_links_every_page():
  linked = set(re.findall(r"\]\(tasks/(\w+)\.md\)", INDEX.read_text()))
  assert linked == {path.stem for path in TASKS}
