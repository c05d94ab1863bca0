# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every config and every overlay builds, and a misspelt one is refused."""

import importlib
import itertools
import pathlib

import pytest

from bertjax.config import SIZES, PretrainConfig, from_mapping
from configs import common, pretrain

ROOT = pathlib.Path(__file__).parents[2]
CONFIGS = sorted(
  path
  for path in (ROOT / "configs").rglob("*.py")
  if "def get_config" in path.read_text()
)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_builds_locked(path):
  name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
  config = importlib.import_module(name).get_config()
  assert config.is_locked
  with pytest.raises(AttributeError):
    config.no_such_field = 1


@pytest.mark.parametrize(
  "argument",
  [
    ",".join(f"{name}={value}" for name, value in choice)
    for choice in itertools.product(
      *(
        [(name, value) for value in values]
        for name, values in pretrain.OVERLAYS.items()
      )
    )
  ],
)
def test_every_overlay_makes_a_run(argument):
  config = from_mapping(PretrainConfig, pretrain.get_config(argument).to_dict())
  for size, published in SIZES.items():
    if f"size={size}" in argument.split(","):
      assert config.model.num_layers == published.num_layers
      assert config.model.hidden_size == published.hidden_size
      assert config.model.num_heads == published.num_heads
  # The store decides how many pieces there are.
  assert config.model.vocab_size == 0


def test_a_config_is_its_dataclass():
  config = PretrainConfig()
  made = common.from_dataclass(config)
  assert from_mapping(PretrainConfig, made.to_dict()) == config


@pytest.mark.parametrize(
  ("argument", "choices"),
  [
    ("size=huge", "tiny, mini, small"),
    ("sise=tiny", "size=…, objective=…"),
    ("tiny", "size=…, objective=…"),
    ("size=tiny,size=base", "given twice"),
  ],
)
def test_an_unknown_overlay_is_refused_naming_the_choices(argument, choices):
  with pytest.raises(ValueError, match=choices) as caught:
    pretrain.get_config(argument)
  assert "\n" not in str(caught.value)
