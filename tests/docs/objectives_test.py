# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""docs/objectives.md has every overlay, every unit, and fields that exist."""

import pathlib
import re

from bertjax.config import (
  ObjectiveConfig,
  PretrainConfig,
  choices,
  from_mapping,
)
from bertjax.config.fields import hints
from configs import pretrain
from configs.sweeps import masking

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "objectives.md").read_text(encoding="utf-8")


def table(section):
  """The cells of each row of the table of a section, without its head."""
  text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
  rows = re.findall(r"^\| (.*) \|$", text, re.MULTILINE)[1:]
  return [row.split(" | ") for row in rows]


def objective(argument):
  made = pretrain.get_config(argument).to_dict()
  return from_mapping(PretrainConfig, made).objective


def test_every_objective_is_described_with_its_rows_and_its_masks():
  rows = {
    cells[0].strip("`"): cells[1:]
    for cells in table("Objectives of the families")
  }
  assert rows.keys() == pretrain.OVERLAYS["objective"].keys()
  for name, (_, loss, masks, source) in rows.items():
    made = objective(f"objective={name}")
    losses = {"off": "none", "nsp": "next sentence", "sop": "sentence order"}
    assert loss == losses[made.next_sentence]
    assert masks.startswith(f"{made.mask_unit.replace('ngram', 'n-gram')}s")
    assert source


def test_every_unit_is_described_with_its_overlay():
  rows = table("What is masked as one")
  units = choices(ObjectiveConfig, "mask_unit")
  assert [cells[1].strip("`") for cells in rows] == [*units]
  for overlay, unit, *_ in rows:
    made = objective(f"masks={overlay.strip('`')}")
    assert made.mask_unit == unit.strip("`")
  (ngram,) = (cells for cells in rows if cells[1] == "`ngram`")
  assert f"({ObjectiveConfig().max_ngram})" in ngram[2]


def test_every_rate_is_described_with_its_value():
  rows = table("How many, and what stands in their place")
  rates = {}
  for overlay, fields, value, _ in rows:
    given = re.search(r"`(\w+=\w+)`", overlay)
    made = objective(given[1] if given else "")
    names = re.findall(r"`objective\.(\w+)`", fields)
    values = [getattr(made, name) for name in names]
    assert value.startswith(
      ", ".join(f"`{v}`" if isinstance(v, str) else f"{v:g}" for v in values)
    )
    if names == ["mask_rate"] and given:
      rates[given[1].partition("=")[2]] = values[0]
  assert rates.keys() == pretrain.OVERLAYS["mask_rate"].keys()


def test_every_field_and_every_arm_exists():
  named = set(re.findall(r"objective\.(\w+)", PAGE))
  assert len(named) > 6
  assert named <= hints(ObjectiveConfig).keys()
  (arms,) = re.findall(r"--arms=(\S+)", PAGE)
  assert {*arms.split(",")} <= {**masking.ARMS, **masking.MORE_ARMS}.keys()
