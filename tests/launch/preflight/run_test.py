# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from launch import pretrain
from launch.preflight import run as preflight
from launch.preflight.policy import DEFAULT, Policy
from launch.preflight.settle import RECORD
from launch.run.assembly import assemble


@pytest.fixture(scope="module")
def spec(two_phases):
  return assemble(two_phases)


def with_fields(spec, **changes):
  """Return a run whose config has other fields, without making it again."""
  config = dataclasses.replace(spec.config, **changes)
  resolved = dataclasses.replace(spec.resolved, config=config)
  return dataclasses.replace(spec, resolved=resolved)


def levels(findings):
  return {each.name: each.level for each in findings}


def test_each_kind_of_finding_is_judged(spec, tmp_path):
  names = levels(preflight.judge_run(spec, tmp_path / "new", DEFAULT))
  for name in ("unknown_tokens", "epochs", "learning_rate", "disk_space"):
    assert name in names
  assert names["disk_space"] == "pass"


@pytest.mark.parametrize(
  ("name", "rate", "level"),
  [
    ("adamw", 3e-3, "pass"),
    ("adamw", 1e-2, "warn"),
    ("adamw", 1.0, "fail"),
    ("lamb", 1e-2, "pass"),
  ],
)
def test_a_rate_is_judged_by_its_optimizer(spec, tmp_path, name, rate, level):
  optimizer = dataclasses.replace(
    spec.config.optimizer, name=name, learning_rate=rate
  )
  found = preflight.judge_run(
    with_fields(spec, optimizer=optimizer), tmp_path, DEFAULT
  )
  assert levels(found)["learning_rate"] == level


def test_words_that_are_tokens_are_said_to_be(spec, tmp_path):
  def judged(unit, continues):
    objective = dataclasses.replace(spec.config.objective, mask_unit=unit)
    known = spec.program.vocabulary
    continues_V = ~known.special_V & (
      np.arange(known.size) < continues * known.size
    )
    vocabulary = dataclasses.replace(known, continues_V=continues_V)
    program = dataclasses.replace(spec.program, vocabulary=vocabulary)
    changed = dataclasses.replace(spec, program=program)
    return {
      each.name: each
      for each in preflight.judge_run(
        with_fields(changed, objective=objective), tmp_path, DEFAULT
      )
    }

  found = judged("word", 0)["continued_words"]
  assert found.level == "warn"
  assert "0.00% of the tokens of the text continue a word" in str(found)
  assert judged("word", 0.5)["continued_words"].level == "pass"
  for unit in ("token", "span", "ngram"):
    assert "continued_words" not in judged(unit, 0)


def test_static_masks_that_never_repeat_are_said_to_be_dynamic(spec, tmp_path):
  def judged(copies):
    objective = dataclasses.replace(spec.config.objective, static_copies=copies)
    changed = with_fields(spec, objective=objective)
    return {
      each.name: each
      for each in preflight.judge_run(changed, tmp_path, DEFAULT)
    }

  assert "repeated_masks" not in judged(0)
  epochs = judged(0)["epochs"].figure
  found = judged(int(epochs) + 2)["repeated_masks"]
  assert found.level == "warn"
  assert "no mask is seen twice" in str(found)
  # A run that reads its text more often repeats them.
  repeats = judged(1)["repeated_masks"]
  assert repeats.level == ("pass" if epochs >= 1 else "warn")


@pytest.mark.parametrize(
  ("rows", "level"), [(0, "pass"), (1_024, "pass"), (4_096, "warn")]
)
def test_many_rows_of_one_block_are_a_warning(spec, rows, level):
  report = {
    **spec.phases[0].pipeline.report(),
    "rows_of_a_block": rows,
    "lanes": 64,
  }
  found = list(preflight._judge_rows(report, "rows of 128 tokens", DEFAULT))
  assert levels(found)["few_lanes"] == level


class Reported:
  """A pipeline whose rows are said to be others."""

  def __init__(self, pipeline, epochs=0.5, **changes):
    self._pipeline = pipeline
    self._epochs = epochs
    self._changes = changes

  def report(self):
    return {**self._pipeline.report(), **self._changes}

  def epoch(self, step):
    return self._epochs


@pytest.mark.parametrize(
  ("change", "name", "level"),
  [
    ({"random_share": 0.5}, "random_pairs", "pass"),
    ({"random_share": 0.7}, "random_pairs", "warn"),
    ({"random_share": 1.0}, "random_pairs", "fail"),
    ({"efficiency": 0.9}, "filled_rows", "pass"),
    ({"efficiency": 0.3}, "filled_rows", "warn"),
    ({"truncated_share": 0.1}, "cut_tokens", "pass"),
    ({"truncated_share": 0.5}, "cut_tokens", "warn"),
    # Two phases read the text one after another.
    ({"epochs": 20.0}, "epochs", "pass"),
    ({"epochs": 20.1}, "epochs", "warn"),
  ],
)
def test_the_rows_of_each_phase_are_judged(spec, tmp_path, change, name, level):
  phases = tuple(
    dataclasses.replace(phase, pipeline=Reported(phase.pipeline, **change))
    for phase in spec.phases
  )
  found = preflight.judge_run(
    dataclasses.replace(spec, phases=phases), tmp_path, DEFAULT
  )
  assert {each.level for each in found if each.name == name} == {level}


def test_pairs_without_a_loss_do_not_fail_where_all_are_random(spec, tmp_path):
  phases = tuple(
    dataclasses.replace(
      phase,
      pipeline=Reported(phase.pipeline, random_share=1.0),
      config=dataclasses.replace(
        phase.config,
        objective=dataclasses.replace(
          phase.config.objective, next_sentence="off"
        ),
      ),
    )
    for phase in spec.phases
  )
  found = preflight.judge_run(
    dataclasses.replace(spec, phases=phases), tmp_path, DEFAULT
  )
  assert "random_pairs" not in levels(found)


def test_a_warm_up_that_takes_most_of_the_run_warns(spec, tmp_path):
  for steps, level in ((4, "pass"), (5, "warn")):
    optimizer = dataclasses.replace(spec.config.optimizer, warmup_steps=steps)
    found = preflight.judge_run(
      with_fields(spec, optimizer=optimizer), tmp_path, DEFAULT
    )
    assert levels(found)["warmup_share"] == level


def test_more_checkpoints_than_the_disk_holds_fail(spec, tmp_path, monkeypatch):
  size = preflight._state_bytes(spec)
  kept = spec.config.checkpoint.keep_last + 1
  for free, level in ((2 * kept, "pass"), (kept * 1.1, "warn"), (1, "fail")):
    usage = SimpleNamespace(free=int(free * size))
    monkeypatch.setattr(shutil, "disk_usage", lambda _, usage=usage: usage)
    assert preflight.judge_disk(spec, tmp_path, DEFAULT).level == level
  # The checkpoints that a resumed run has are among those it keeps.
  folder = tmp_path / "checkpoints"
  folder.mkdir()
  (folder / "saved").write_bytes(bytes(kept * size))
  assert preflight.judge_disk(spec, tmp_path, DEFAULT).level == "pass"


def test_a_failure_ends_a_run_before_anything_is_written(
  two_phases, tmp_path, caplog
):
  config = dataclasses.replace(
    two_phases,
    optimizer=dataclasses.replace(two_phases.optimizer, learning_rate=1.0),
  )
  with pytest.raises(ValueError, match="--allow=learning_rate"):
    pretrain.run(config, str(tmp_path / "work"))
  assert not (tmp_path / "work").exists()


def test_what_a_user_allows_is_stored_with_the_run(spec, tmp_path):
  optimizer = dataclasses.replace(spec.config.optimizer, learning_rate=1.0)
  policy = Policy(allow=frozenset(["learning_rate"]))
  bold = with_fields(spec, optimizer=optimizer)
  findings = preflight.check_run(bold, tmp_path, policy)
  preflight.record_run(tmp_path, findings, policy)
  stored = json.loads((tmp_path / RECORD).read_text())
  assert [each["name"] for each in stored if each["allowed"]] == [
    "learning_rate"
  ]


def test_clocks_that_are_apart_warn(
  monkeypatch, spec, tmp_path, caplog, capsys
):
  assert preflight.judge_clocks(0.4, DEFAULT).level == "pass"
  assert preflight.judge_clocks(12.0, DEFAULT).level == "warn"
  monkeypatch.setattr(preflight, "measure_skew", lambda: 12.0)
  preflight.check_run(spec, tmp_path / "w", DEFAULT)
  printed = caplog.text + capsys.readouterr().err + capsys.readouterr().out
  assert "the clocks of the hosts are 12 s apart" in printed
