# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A rerun shares the identity of its checkpoint, or is refused."""

import dataclasses
import logging

import pytest

from bertjax.config import (
  ComputeConfig,
  MeshConfig,
  PretrainConfig,
  fields,
  to_mapping,
)
from bertjax.config.identity import check_identity, identity, log_changes
from tests.testing.configs import replaced

CONFIG = PretrainConfig()


def of(config, store="a" * 64, tokenizer="b" * 64, **settings):
  return identity(
    config, store_sha256=store, tokenizer_sha256=tokenizer, **settings
  )


def changed(path, value):
  return replaced(CONFIG, {path: value})


@pytest.mark.parametrize(
  ("path", "value"),
  [
    ("steps", 7),
    ("batch_size", 7),
    ("seed", 7),
    ("model.num_layers", 7),
    ("objective.mask_rate", 0.3),
    ("data.seq_length", 8),
    ("data.max_packs", 7),
    ("optimizer.learning_rate", 7.0),
  ],
)
def test_a_change_is_refused_with_field_old_and_new(path, value):
  with pytest.raises(ValueError, match=path) as caught:
    check_identity(of(CONFIG), of(changed(path, value)), allow_changes="")
  message = str(caught.value)
  assert repr(value) in message
  assert repr(of(CONFIG)[path]) in message
  assert f"allow_changes={path}" in message
  assert "\n" not in message


@pytest.mark.parametrize("name", ["store", "tokenizer"])
def test_another_store_or_tokenizer_is_refused(name):
  with pytest.raises(ValueError, match=name):
    check_identity(of(CONFIG), of(CONFIG, **{name: "c" * 64}), allow_changes="")


def test_how_it_is_computed_changes_freely():
  other = dataclasses.replace(
    CONFIG,
    mesh=MeshConfig(data=2, tensor=4),
    compute=ComputeConfig(dtype="bfloat16", remat="full"),
    log_every_steps=1,
  )
  check_identity(of(CONFIG), of(other), allow_changes="")


def test_what_the_numbers_depend_on_changes_with_a_warning(caplog):
  """A float32 run that goes on in bfloat16 writes other digits."""
  old = to_mapping(changed("compute.dtype", "float32"))
  log_changes(old, CONFIG)
  log_changes(old, changed("log_every_steps", 7))
  assert not caplog.text
  log_changes(old, changed("compute.dtype", "bfloat16"))
  assert "compute.dtype changes from 'float32' to 'bfloat16'" in caplog.text
  log_changes(old, changed("evaluation.mask_rate", 0.4))
  assert "evaluation.mask_rate changes from 0.15 to 0.4" in caplog.text


def test_a_run_keeps_the_parameters_it_began_with():
  """The path may change, the digest may not."""
  one, other = (of(CONFIG, init_from=letter * 64) for letter in "de")
  check_identity(one, one, allow_changes="")
  for old, new in ((one, other), (one, of(CONFIG)), (of(CONFIG), one)):
    with pytest.raises(ValueError, match=r"init_from: '.*' → '"):
      check_identity(old, new, allow_changes="")
    check_identity(old, new, allow_changes="init_from")


def test_an_origin_that_one_side_does_not_know_is_logged(caplog):
  known, unknown = of(CONFIG, init_from="d" * 64), of(CONFIG, init_from=None)
  check_identity(unknown, unknown, allow_changes="")
  assert not caplog.text
  check_identity(unknown, known, allow_changes="")
  assert "this checkpoint does not know its own" in caplog.text
  check_identity(known, unknown, allow_changes="")
  assert "this start does not know its own" in caplog.text


def test_a_kernel_with_draws_of_its_own_is_another_run():
  """Kernels change freely, unless others of the weights are dropped."""

  def by(kernel, rate):
    return of(
      dataclasses.replace(
        CONFIG,
        model=dataclasses.replace(CONFIG.model, attention_dropout_rate=rate),
        compute=ComputeConfig(attention=kernel),
      )
    )

  check_identity(by("xla", 0.1), by("auto", 0.1), allow_changes="")
  check_identity(by("xla", 0.0), by("flash", 0.0), allow_changes="")
  for before, after in (("xla", "flash"), ("flash", "xla")):
    with pytest.raises(ValueError, match=r"compute\.attention: 'auto'|'auto'"):
      check_identity(by(before, 0.1), by(after, 0.1), allow_changes="")


def made(rate, accumulation, dropout_rng):
  return of(
    dataclasses.replace(
      CONFIG,
      model=dataclasses.replace(
        CONFIG.model, hidden_dropout_rate=rate, attention_dropout_rate=0.0
      ),
      optimizer=dataclasses.replace(
        CONFIG.optimizer, accumulation=accumulation
      ),
      compute=ComputeConfig(dropout_rng=dropout_rng),
    )
  )


def test_micro_batches_change_freely_where_dropout_goes_by_the_row():
  """Or where nothing is dropped."""
  for rate, before, after in (
    (0.1, "threefry", "threefry"),
    (0.0, "rbg", "rbg"),
    (0.0, "threefry", "rbg"),
  ):
    old, new = made(rate, 1, before), made(rate, 4, after)
    check_identity(old, new, allow_changes="")


def test_rbg_draws_for_each_micro_batch_and_is_another_generator():
  with pytest.raises(ValueError, match="accumulation: 1 → 4"):
    check_identity(made(0.1, 1, "rbg"), made(0.1, 4, "rbg"), allow_changes="")
  with pytest.raises(ValueError, match="dropout_rng: 'threefry' → 'rbg'"):
    check_identity(
      made(0.1, 1, "threefry"), made(0.1, 1, "rbg"), allow_changes=""
    )


def test_another_dropout_of_attentions_output_is_another_run_if_any_drops():
  """A checkpoint of before there was a choice dropped at the hidden rate."""
  name = "model.attention_output_dropout"
  for rate in (0.0, 0.1):
    model = dataclasses.replace(
      CONFIG.model, hidden_dropout_rate=rate, attention_dropout_rate=0.0
    )
    old = of(dataclasses.replace(CONFIG, model=model))
    older = {field: old[field] for field in old if field != name}
    check_identity(older, old, allow_changes="")
    changed = dataclasses.replace(model, attention_output_dropout="none")
    new = of(dataclasses.replace(CONFIG, model=changed))
    if rate:
      with pytest.raises(ValueError, match=rf"{name}: 'hidden' → 'none'"):
        check_identity(older, new, allow_changes="")
    else:
      check_identity(older, new, allow_changes="")


def test_draws_of_another_width_are_another_run_where_anything_is_dropped():
  narrow = ComputeConfig(dropout_draws="uint8")
  old, new = of(CONFIG), of(dataclasses.replace(CONFIG, compute=narrow))
  # A checkpoint of the time before there was a choice goes on as it was.
  older = {name: old[name] for name in old if name != "compute.dropout_draws"}
  check_identity(older, old, allow_changes="")
  for each in (old, older):
    with pytest.raises(ValueError, match="draws: 'uint16' → 'uint8'"):
      check_identity(each, new, allow_changes="")
  assert "compute.dropout_draws" not in made(0.0, 1, "threefry")


def test_an_allowed_change_is_logged_and_only_that_one(caplog):
  other = of(dataclasses.replace(CONFIG, steps=7, seed=3))
  with caplog.at_level(logging.WARNING):
    check_identity(of(CONFIG), other, allow_changes="seed, steps")
  assert "steps changes from 1000000 to 7" in caplog.text
  with pytest.raises(ValueError, match="seed: 0 → 3"):
    check_identity(of(CONFIG), other, allow_changes="steps")
  with pytest.raises(ValueError, match="is no field"):
    check_identity(of(CONFIG), of(CONFIG), allow_changes="speed")


def test_rows_of_another_version_are_refused_and_can_be_accepted(caplog):
  new = of(CONFIG, rows_version=2)
  old = {name: new[name] for name in new if name != "rows_version"}
  with pytest.raises(ValueError, match="rows_version: 1 → 2, since") as caught:
    check_identity(old, new, allow_changes="")
  assert "accept with --config.allow_changes=rows_version" in str(caught.value)
  assert "\n" not in str(caught.value)
  with caplog.at_level(logging.WARNING):
    check_identity(old, new, allow_changes="rows_version")
  assert "rows_version changes from 1 to 2" in caplog.text
  check_identity(old, of(CONFIG), allow_changes="")
  # Which chooses the packs of a row as well.
  packs = {**new, "data.max_packs": 7}
  check_identity(old, packs, allow_changes="rows_version")
  with pytest.raises(ValueError, match=r"data\.max_packs: 0 → 7"):
    check_identity(new, packs, allow_changes="rows_version")


@pytest.mark.parametrize("unit", ["word", "span", "ngram"])
def test_words_that_begin_otherwise_are_refused_where_words_are_masked(unit):
  config = changed("objective.mask_unit", unit)
  new = of(config, words_version=2)
  old = {name: new[name] for name in new if name != "words_version"}
  with pytest.raises(ValueError, match="words_version: 1 → 2, since") as caught:
    check_identity(old, new, allow_changes="")
  assert "accept with --config.allow_changes=words_version" in str(caught.value)
  check_identity(old, new, allow_changes="words_version")
  check_identity(old, of(config), allow_changes="")
  # Masks of single tokens do not depend on it.
  assert of(CONFIG, words_version=2) == of(CONFIG)
  # Who masks other units has other masks anyway.
  check_identity(new, of(CONFIG), allow_changes="objective.mask_unit")


def test_a_second_phase_is_part_of_it():
  second = dataclasses.replace(CONFIG.phase2, steps=7)
  other = of(dataclasses.replace(CONFIG, phase2=second))
  for old, new in ((of(CONFIG), other), (other, of(CONFIG))):
    with pytest.raises(ValueError, match=r"run \(phase2.steps: \d → \d\)"):
      check_identity(old, new, allow_changes="")


FIELDS = sorted(set(of(CONFIG)) - {"store", "tokenizer", "init_from"})


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_that_one_side_lacks_counts_as_before_there_was_the_field(name):
  full = of(CONFIG)
  lacking = {field: full[field] for field in full if field != name}
  check_identity(lacking, full, allow_changes="")
  check_identity(full, lacking, allow_changes="")
  other = {**full, name: "another"}
  for old, new in ((lacking, other), (other, lacking)):
    with pytest.raises(ValueError, match=f"{name}: "):
      check_identity(old, new, allow_changes="")


def test_a_field_says_what_runs_did_before_where_that_is_not_its_default(
  monkeypatch,
):
  monkeypatch.setattr(
    fields, "before", lambda _, name: 3 if name == "num_layers" else None
  )
  full = of(changed("model.num_layers", 3))
  lacking = {field: full[field] for field in full if field[-6:] != "layers"}
  check_identity(lacking, full, allow_changes="")


@pytest.mark.parametrize("name", ["store", "tokenizer", "data.stores"])
def test_what_is_no_field_has_no_value_before(name):
  full = {**of(CONFIG), "data.stores": {"a": 3}}
  lacking = {field: full[field] for field in full if field != name}
  with pytest.raises(ValueError, match=f"{name}: None → "):
    check_identity(lacking, full, allow_changes="")


def test_a_base_of_windows_is_one_base_however_it_is_said():
  """0 is that of the other layers, and moves with it."""
  family = {"model.positions": "rotary", "model.attention_pattern": "window"}
  config = replaced(CONFIG, {**family, "model.rotary_base": 16e4})
  said = replaced(config, {"model.rotary_local_base": 16e4})
  check_identity(of(config), of(said), allow_changes="")
  check_identity(of(said), of(config), allow_changes="")
  other = replaced(config, {"model.rotary_base": 1e4})
  with pytest.raises(
    ValueError,
    match=r"rotary_base: 160000\.0 → 10000\.0; "
    r"model\.rotary_local_base: 160000\.0 → 10000\.0\)",
  ):
    check_identity(of(config), of(other), allow_changes="")
  # Without windows no layer has the other base.
  full = {"model.attention_pattern": "full"}
  check_identity(
    of(replaced(config, full)),
    of(replaced(other, full)),
    allow_changes="model.rotary_base",
  )
