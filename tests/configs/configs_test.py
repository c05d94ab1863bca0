# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every config and every overlay builds, and a misspelled one is refused."""

import dataclasses
import importlib
import itertools
import pathlib

import pytest

from bertjax.config import (
  SIZES,
  FinetuneConfig,
  ObjectiveConfig,
  PretrainConfig,
  accumulation,
  check_read,
  checks,
  from_mapping,
  phases,
)
from configs import common, demo, finetune, hardware, pretrain
from configs.sweeps import finetune as sweeps_finetune
from configs.sweeps import nsp

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


def objectives(*names):
  return tuple(f"objective={name}" for name in names)


_OF_PAIRS = objectives("mlm_nsp", "mlm_sop", "albert")
_OF_ROBERTA = objectives("roberta")
_OF_MODERNBERT = objectives("modernbert")
# Overlays that a recipe undoes, and so refuses.
UNDONE = {
  **dict.fromkeys(["original", "two_phase", "lamb"], ("seq=512",)),
  **dict.fromkeys(
    ["roberta", "roberta_fairseq", "roberta_500k"],
    (*_OF_PAIRS, *_OF_MODERNBERT, "seq=128"),
  ),
  "mosaicbert": (*_OF_PAIRS, *_OF_ROBERTA, "seq=512"),
  "modernbert": (*_OF_PAIRS, *_OF_ROBERTA, "seq=128", "seq=512"),
  **dict.fromkeys(
    ["ettin_17m_hours", "ettin_32m_hours"], (*_OF_PAIRS, *_OF_ROBERTA)
  ),
  "roberta_hour": (*_OF_PAIRS, *_OF_MODERNBERT),
  **dict.fromkeys(
    ["albert_v1", "albert_v2"],
    (*objectives("mlm", "mlm_nsp", "roberta", "modernbert"), "seq=128"),
  ),
  "albert_hour": objectives("mlm", "mlm_nsp", "roberta", "modernbert"),
  # Which mask 40 %.
  **dict.fromkeys(["short", "smoke"], _OF_MODERNBERT),
}
# Those of masks are tested by themselves: no size or mesh concerns them.
APART = ("family", "hardware", "masks", "mask_rate")


CROSSED = {
  name: values
  for name, values in pretrain.OVERLAYS.items()
  if name not in (*APART, "recipe")
}


def crossed():
  """Yield the values of each two kinds of overlays, by kind: two clash."""
  for kinds in itertools.combinations(CROSSED, 2):
    for values in itertools.product(*(CROSSED[kind] for kind in kinds)):
      yield dict(zip(kinds, values, strict=True))


@pytest.mark.parametrize("recipe", pretrain.OVERLAYS["recipe"])
def test_every_overlay_makes_a_run_or_is_refused(recipe):
  undone = UNDONE.get(recipe, ())
  for chosen in crossed():
    overlays = [f"{name}={value}" for name, value in chosen.items()]
    argument = ",".join([*overlays, f"recipe={recipe}"])
    refused = [overlay for overlay in undone if overlay in overlays]
    if refused:
      with pytest.raises(ValueError, match=f"'{refused[0]}' sets .* leave one"):
        pretrain.get_config(argument)
    else:
      check_run(argument, SIZES.get(chosen.get("size", "")))


def check_run(argument, published):
  made = pretrain.get_config(argument)
  config = from_mapping(PretrainConfig, made.to_dict())
  if published is not None:
    for name in ("num_layers", "hidden_size", "num_heads"):
      assert getattr(config.model, name) == getattr(published, name), argument
  check_read(config)
  # The store decides the size of the vocabulary.
  assert config.model.vocab_size == 0, argument


def objective_of(argument):
  made = pretrain.get_config(argument)
  config = from_mapping(PretrainConfig, made.to_dict())
  check_read(config)
  checks.check_objective(config.objective)
  return config.objective


@pytest.mark.parametrize("masks", pretrain.OVERLAYS["masks"])
@pytest.mark.parametrize("objective", pretrain.OVERLAYS["objective"])
def test_masks_go_with_every_objective_that_has_none_of_its_own(
  objective, masks
):
  argument = f"objective={objective},masks={masks}"
  own = {"albert": "ngram"}.get(objective, "")
  if own not in ("", masks) and masks != "mask_only":
    with pytest.raises(ValueError, match=f"'objective={objective}' sets obj"):
      pretrain.get_config(argument)
    return
  made = objective_of(argument)
  if masks == "mask_only":
    assert (made.mask_token_rate, made.random_token_rate) == (1, 0)
    assert made.mask_unit == (own or "token")
  else:
    assert made.mask_unit == masks
    assert (made.mask_token_rate, made.random_token_rate) == (0.8, 0.1)
  for rate in pretrain.OVERLAYS["mask_rate"]:
    if objective == "modernbert" and rate != "30":
      with pytest.raises(ValueError, match=r"' sets objective\.mask_rate=0\.3"):
        pretrain.get_config(f"{argument},mask_rate={rate}")
      continue
    again = objective_of(f"{argument},mask_rate={rate}")
    assert again == dataclasses.replace(made, mask_rate=int(rate) / 100)


def test_objectives_of_families_are_theirs():
  """And all else is BERT's; a recipe may give another rate."""
  bert = ObjectiveConfig()
  albert = dataclasses.replace(bert, next_sentence="sop", mask_unit="ngram")
  assert objective_of("objective=albert") == albert
  assert (albert.mask_rate, albert.max_ngram) == (0.15, 3)
  roberta = dataclasses.replace(
    bert,
    next_sentence="off",
    input_format="full_sentences",
    short_rate=0.0,
  )
  assert objective_of("objective=roberta") == roberta
  assert objective_of("objective=roberta,recipe=roberta") == roberta
  modernbert = dataclasses.replace(
    roberta, input_format="doc_sentences", mask_rate=0.3
  )
  assert objective_of("objective=modernbert") == modernbert
  assert objective_of("objective=modernbert,recipe=modernbert") == modernbert
  short = objective_of("objective=albert,recipe=short")
  assert short == dataclasses.replace(albert, mask_rate=0.4)
  with pytest.raises(ValueError, match=r"'mask_rate=15' sets .* to 0.4; leave"):
    pretrain.get_config("mask_rate=15,recipe=short")


@pytest.mark.parametrize("name", hardware.KINDS)
@pytest.mark.parametrize("size", ["base", "large"])
def test_hardware_takes_a_large_batch_in_the_fewest_parts_that_fit(name, size):
  kind = hardware.KINDS[name]
  argument = f"hardware={name},recipe=lamb,size={size}"
  config = from_mapping(PretrainConfig, pretrain.get_config(argument).to_dict())
  config = dataclasses.replace(
    config, model=dataclasses.replace(config.model, vocab_size=30_592)
  )
  check_read(config)
  config = accumulation.fit_batches(config, kind.chips)
  checks.check_pretrain(config, num_devices=kind.chips, vocab_size=30_522)
  first, second = phases.split_phases(config)
  for phase in (first, second):
    parts = phase.config.optimizer.accumulation
    positions = phase.positions / kind.chips / parts
    assert positions <= kind.positions, "fits"
    assert parts == 1 or positions * 2 > kind.positions, "and no more would"
  assert config.mesh.slices == kind.slices
  assert config.compute.dtype == "bfloat16"


@pytest.mark.parametrize("name", hardware.KINDS)
def test_hardware_chooses_no_generator_where_nothing_drops(name):
  made = pretrain.get_config(f"hardware={name},recipe=short")
  check_read(from_mapping(PretrainConfig, made.to_dict()))


@pytest.mark.parametrize(
  "config",
  [
    *(
      finetune.get_config(f"task={name}") for name in finetune.OVERLAYS["task"]
    ),
    demo.finetune(),
    demo.finetune_all_labels(),
    nsp.get_config().finetune,
    sweeps_finetune.get_config().finetune,
  ],
)
def test_configs_of_fine_tuning_set_only_what_is_read(config):
  check_read(from_mapping(FinetuneConfig, config.to_dict()))


def test_published_steps_are_too_small_for_two_slices():
  """The message names the smallest batch size that fits."""
  made = pretrain.get_config("hardware=v5e-2x256,size=base")
  config = from_mapping(PretrainConfig, made.to_dict())
  with pytest.raises(ValueError, match=r"batch_size=256 .* = 512; give 512"):
    checks.check_mesh(
      config.mesh,
      dataclasses.replace(config.model, vocab_size=30_592),
      num_devices=512,
      batch_size=config.batch_size,
    )


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
    (
      "mesh=fsdp,hardware=v5e-8",
      "overlay 'mesh=fsdp' sets mesh.data=1, and another of .* to 8; leave one",
    ),
  ],
)
def test_an_unknown_overlay_is_refused_naming_the_choices(argument, choices):
  with pytest.raises(ValueError, match=choices) as caught:
    pretrain.get_config(argument)
  assert "\n" not in str(caught.value)
