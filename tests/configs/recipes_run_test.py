# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every recipe and family runs on a store of its family's tokenizer."""

import json

import jax
import pytest

from bertjax.checkpoints import bundle as bundles
from bertjax.config import MeshConfig, PretrainConfig, from_mapping
from bertjax.parallel.mesh import make_mesh
from configs import pretrain as config_file
from configs.families import FAMILIES, family_of
from configs.recipes import RECIPES
from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare
from data_pipelines.tokenizers import tokenizers
from launch import pretrain
from launch.preflight.policy import DEFAULT
from launch.preflight.run import judge_recipe
from launch.run.assembly import assemble
from tests.testing import prepared
from tests.testing.configs import replaced

# As many tokens as the made-up text gives in each kind of vocabulary.
VOCABULARIES = {"wordpiece": 100, "roberta": 300, "albert": 60}
VOCABULARIES["modernbert"] = 300
HOURS = ("roberta_hour", "albert_hour", "ettin_17m_hours", "ettin_32m_hours")
# Two steps with fewer and narrower layers, of which one is global where a model
# has windows.
TINY = {
  "steps": 2,
  "batch_size": 8,
  "data.seq_length": 64,
  "model.num_layers": 3,
  "model.hidden_size": 32,
  "model.num_heads": 2,
  "model.intermediate_size": 48,
  "optimizer.warmup_steps": 1,
  "log_every_steps": 1,
  "evaluation.every_steps": 0,
  "evaluation.rows": 8,
  "checkpoint.every_steps": 0,
}
# What each family is trained for by its authors. DistilBERT's leave out next
# sentences as RoBERTa's do, and it has no types for pairs.
OBJECTIVES = {
  "roberta": "roberta",
  "distilbert": "roberta",
  "albert": "albert",
  "modernbert": "modernbert",
}


def test_every_family_has_an_objective_of_its_authors():
  assert OBJECTIVES.keys() == FAMILIES.keys() - {"bert"}


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
  """The path of a store for each kind of tokenizer."""
  folder = tmp_path_factory.mktemp("recipes")
  corpus = prepared.write_jsonl(
    folder / "text.jsonl", prepared.make_texts(800, seed=1)
  )
  return {
    kind: str(
      prepare(
        Options(
          corpus=corpus,
          output=str(folder / kind),
          tokenizer=kind,
          vocab_size=size,
        )
      ).path
    )
    for kind, size in VOCABULARIES.items()
  }


def config_of(name, stores) -> PretrainConfig:
  recipe = RECIPES[name]
  argument = f"family={recipe.family},size={recipe.size},recipe={name}"
  config = from_mapping(
    PretrainConfig, config_file.get_config(argument).to_dict()
  )
  kind = FAMILIES[recipe.family].tokenizer
  return replaced(config, {"data.store": stores[kind]})


def test_every_family_names_a_tokenizer_that_can_be_learned(stores):
  kinds = {family.tokenizer for family in FAMILIES.values()}
  assert kinds == set(stores)
  assert kinds <= set(tokenizers.KINDS)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_passes_all_checks_on_text_of_its_tokenizer(name, stores):
  config = config_of(name, stores)
  spec = assemble(config)
  found = judge_recipe(spec, DEFAULT)
  assert {each.name for each in found} >= {"epochs", "learning_rate"}
  assert not [str(each) for each in found if each.level == "fail"]
  rate = next(each for each in found if each.name == "learning_rate")
  assert rate.level == "pass"


@pytest.fixture
def one_device(monkeypatch):
  """Run on one device, which compiles faster than eight."""
  one = lambda *_: make_mesh(MeshConfig(), jax.devices()[:1])
  monkeypatch.setattr("bertjax.train.program.make_mesh", one)


@pytest.mark.parametrize(
  "name",
  [
    pytest.param(name, marks=() if name == "modernbert" else pytest.mark.full)
    for name in OBJECTIVES
  ],
)
@pytest.mark.usefixtures("one_device")
def test_a_family_begins_from_scratch_with_its_objective(
  name, stores, tmp_path
):
  made = config_file.get_config(f"family={name},objective={OBJECTIVES[name]}")
  store = stores[FAMILIES[name].tokenizer]
  config = replaced(
    from_mapping(PretrainConfig, made.to_dict()),
    {
      **TINY,
      "data.store": store,
      "steps": 12,
      "optimizer.learning_rate": 3e-3,
    },
  )
  result = pretrain.run(config, str(tmp_path / "run"))
  assert result.step == 12
  assert family_of(bundles.read_bundle_info(result.bundle).model) == name
  lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
  first = json.loads(lines[0])["mlm_loss"]
  assert 0 < result.validation["mlm_loss"] < first - 0.5


@pytest.mark.full
@pytest.mark.parametrize("name", HOURS)
@pytest.mark.usefixtures("one_device")
def test_an_hour_takes_steps(name, stores, tmp_path):
  config = replaced(config_of(name, stores), TINY)
  result = pretrain.run(config, str(tmp_path / "run"))
  assert result.step == 2
  assert 0 < result.validation["mlm_loss"] < 12
  assert result.train["mask_rate"] == pytest.approx(
    config.objective.mask_rate, rel=0.1
  )
