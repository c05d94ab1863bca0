# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Families as overlays: choices that go together, and sizes."""

import ast
import dataclasses
import functools
import pathlib
import re
from typing import Any

import pytest

from bertjax.config import (
  SIZES,
  ModelConfig,
  PretrainConfig,
  checks,
  from_mapping,
)
from configs import pretrain
from configs.families import FAMILIES, family_of
from configs.recipes import RECIPES
from configs.sweeps import size as size_study
from tests.testing.configs import replaced

ROOT = pathlib.Path(__file__).parents[2]
EVERY = [(name, size) for name in FAMILIES for size in FAMILIES[name].sizes]


def config_of(argument) -> PretrainConfig:
  made: Any = pretrain.get_config(argument).to_dict()
  return from_mapping(PretrainConfig, made)


@pytest.mark.parametrize(("name", "size"), EVERY)
def test_every_family_and_size_makes_a_run(name, size):
  objective = (
    "mlm_nsp" if FAMILIES[name].choices.get("pooler", True) else "roberta"
  )
  config = config_of(f"family={name},size={size},objective={objective}")
  vocab = replaced(config, {"model.vocab_size": 1024, "batch_size": 256})
  checks.check_pretrain(vocab, num_devices=1, vocab_size=1000)
  family = FAMILIES[name]
  for field, value in {**family.choices, **family.sizes[size]}.items():
    assert getattr(config.model, field) == value


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_takes_every_recipe(name, recipe):
  argument = f"family={name},recipe={recipe}"
  has_types = FAMILIES[name].choices.get("type_vocab_size", 2) > 1
  own = "objective.next_sentence" in RECIPES[recipe].fields
  if not own:
    argument += ",objective=mlm" if has_types else ",objective=roberta"
  config = config_of(argument)
  known = replaced(config, {"model.vocab_size": 1024})
  if known.data.seq_length > known.model.max_positions:
    with pytest.raises(ValueError, match=r"^data\.seq_length=1024 .*positions"):
      checks.check_pretrain(known, num_devices=1, vocab_size=1000)
    return
  if own and known.objective.next_sentence != "off" and not has_types:
    with pytest.raises(ValueError, match=r"model\.type_vocab_size=|pooler"):
      checks.check_pretrain(known, num_devices=1, vocab_size=1000)
  else:
    checks.check_pretrain(known, num_devices=1, vocab_size=1000)


@pytest.mark.parametrize(("name", "size"), EVERY)
def test_a_model_tells_its_family(name, size):
  model = config_of(f"family={name},size={size}").model
  assert family_of(model) == name
  # What training alone reads, and sizes, are not of the family.
  open_ = {"num_layers": 2, "hidden_dropout_rate": 0.3, "pooler": True}
  assert family_of(dataclasses.replace(model, **open_)) == name
  assert family_of(dataclasses.replace(model, norm="rms")) == ""


@pytest.mark.parametrize(
  ("name", "changes", "family"),
  [
    ("distilbert", {"positions": "learned"}, "distilbert"),
    ("distilbert", {"positions": "rotary"}, ""),
    ("modernbert", {"rotary_base": 10_000.0}, "modernbert"),
    ("modernbert", {"rotary_local_base": 0.0}, "modernbert"),
    ("modernbert", {"positions": "learned"}, ""),
    ("bert", {"positions": "sinusoidal"}, ""),
  ],
)
def test_a_family_has_variants(name, changes, family):
  model = dataclasses.replace(ModelConfig(), **FAMILIES[name].choices)
  assert family_of(dataclasses.replace(model, **changes)) == family


def test_without_a_size_a_family_is_its_base():
  assert config_of("family=modernbert") == config_of(
    "family=modernbert,size=base"
  )
  assert config_of("family=bert,size=tiny") == config_of("size=tiny")
  assert config_of("family=bert").model.num_layers == SIZES["base"].num_layers


@pytest.mark.parametrize(
  ("argument", "message"),
  [
    ("family=xlnet", "family=xlnet' is not known; family= takes one of bert"),
    ("family=modernbert,size=tiny", "size=tiny' is not known; size= takes one"),
    ("family=albert,family=bert", "family= is given twice"),
    ("size=17m", "size=17m' is not known; size= takes one of tiny, mini"),
  ],
)
def test_a_family_or_size_that_does_not_exist_is_refused(argument, message):
  with pytest.raises(ValueError, match=message):
    pretrain.get_config(argument)


def test_a_study_takes_a_family_and_its_sizes():
  config: Any = size_study.get_config("family=albert")
  assert config.pretrain.model.layer_groups == 1


# Patterns of families whose name alone finds too much or too little: XLM-R is
# another family, others use the library's RobertaProcessing as well, and
# DistilBERT is also written with an underscore. Names that a family's models
# have besides its own are not looked for: Ettin and mmBERT, which are sizes of
# ModernBERT, and XLM-R and CamemBERT, which are read as RoBERTa is.
CALLED = {
  "roberta": "(?<!xlm)(?<!xlm_)roberta(?!processing)",
  "distilbert": "distil_?bert",
}
# Published results, which a family need not have.
PUBLISHED = {
  "launch/preflight/reference.py",
  "launch/sweep/published.py",
}


@functools.cache
def sources():
  """Text of each file, by path; not of benchmarks, which name what they run."""
  return {
    str(path.relative_to(ROOT)): path.read_text()
    for room in ("bertjax", "configs", "data_pipelines", "launch")
    for path in (ROOT / room).rglob("*.py")
  }


def is_named(pattern, text):
  """Whether code names what matches, comments apart."""
  if not re.search(pattern, text, re.IGNORECASE):
    return False
  nodes = [*ast.walk(ast.parse(text))]
  docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
  # Names, attributes, modules that are imported, and strings.
  words = [
    value
    for node in nodes
    if id(node) not in docstrings
    for _, value in ast.iter_fields(node)
    if isinstance(value, str)
  ]
  return any(re.search(pattern, word, re.IGNORECASE) for word in words)


# BERT is what the others differ from, and is named everywhere.
@pytest.mark.parametrize("name", sorted(FAMILIES.keys() - {"bert"}))
def test_a_family_is_named_in_few_files(name):
  """Its tokenizer, objective and recipes included; see docs/design.md."""
  pattern = CALLED.get(name, name)
  named = {
    path
    for path, text in sources().items()
    if path not in PUBLISHED and is_named(pattern, text)
  }
  families = "bertjax/interop/families"
  assert named >= {
    *("configs/families.py", f"{families}/{name}.py"),
    f"{families}/registry.py",
  }
  assert len(named) <= 6, named
