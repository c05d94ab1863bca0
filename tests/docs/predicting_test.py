# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The page on predictions has every flag, as the commands define them."""

import inspect
import pathlib
import re

import pytest
from absl import flags

import bertjax
from bertjax.finetune.embeddings import POOLINGS
from launch import embed, predict
from launch.inference.forms import FORMATS
from launch.inference.labeling import TOP_K
from launch.predict import load_predictor

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "predicting.md").read_text(encoding="utf-8")
PARTS = {predict: "## Flags of `bertjax predict`", embed: "## Vectors"}


def defined_by(module):
  """The flags of a command, by name, with their defaults."""
  before = set(flags.FLAGS)
  try:
    module.define_flags()
    new = set(flags.FLAGS) - before
    return {name: flags.FLAGS[name].default for name in new}
  finally:
    for name in set(flags.FLAGS) - before:
      delattr(flags.FLAGS, name)


def rows(module):
  """The flags of a table of the page, with the cell of their defaults."""
  part = PAGE.partition(PARTS[module])[2].partition("\n## ")[0]
  found = {}
  for line in re.findall(r"^\| `--.*$", part, re.MULTILINE):
    names, default, purpose = line[1:-1].split("|", 2)
    assert purpose.strip()
    for name in re.findall(r"--(\w+)", names):
      found[name] = default.strip("`| ")
  return found


@pytest.mark.parametrize("module", [predict, embed])
def test_each_flag_has_a_row_with_its_default(module):
  flags_of, shown = defined_by(module), rows(module)
  assert shown.keys() == flags_of.keys()
  for name, cell in shown.items():
    # Others say in words what leaving them out does.
    if cell in {"true", "false"} or cell.isdigit() or cell in POOLINGS:
      default = TOP_K if name == "top_k" else flags_of[name]
      assert cell == str(default).lower(), name


def test_each_value_of_a_flag_is_named():
  for name in POOLINGS:
    assert f"`{name}`" in PAGE, name
  for name in FORMATS:
    shown = "glue/NAME" if name.startswith("glue/") else name
    assert f"`{shown}`" in PAGE, name


def test_arguments_of_the_loaders_are_named():
  for load in (load_predictor, bertjax.load_classifier):
    for name in inspect.signature(load).parameters:
      assert name in PAGE or name in {"path", "compute"}, name
