# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The losses of others and of runs here, by size and tokens seen."""

import dataclasses
import functools
import json
import math
import pathlib
import statistics

import pytest

from bertjax.config import SIZES, PretrainConfig, from_mapping
from launch.preflight import reference
from launch.preflight.bands import objective_of
from launch.preflight.kinds import BERT, SHORT, Kind, Objective
from launch.preflight.reference import ROBERTA

ROOT = pathlib.Path(__file__).parents[3]
STUDIES = "docs/studies/nsp/"
describe = functools.partial(reference.describe, objective="mlm_nsp")


def test_every_reference_has_a_source_and_a_loss():
  for each in reference.REFERENCES:
    assert each.source
    assert each.loss is not None or each.below is not None


def test_a_perplexity_is_shown_as_nats():
  """Devlin et al. (2019), table 6: 3.99 for BERT-base, 3.23 for BERT-large."""
  for size, nats in (("base", "1.384 nats"), ("large", "1.172 nats")):
    lines = list(describe(SIZES[size], BERT, tokens=1e9, loss=2.0))
    assert any(line.startswith(f"  {nats} (held-out English") for line in lines)
    assert "this run: 2.000 nats after 1 G tokens" in lines[0]


@pytest.mark.parametrize(
  ("loss", "words"),
  [(4.0, "1.50 nats below the un"), (6.0, "0.50 nats above the un")],
)
def test_a_loss_is_shown_beside_the_unigram_entropy(loss, words):
  lines = list(
    describe(SIZES["base"], BERT, tokens=1e9, loss=loss, entropy=5.5)
  )
  assert words in lines[0]


@pytest.mark.parametrize(
  ("tokens", "steps"), [(1e6, "600 steps"), (9e6, "4,000 steps")]
)
def test_the_nearest_number_of_tokens_comes_first(tokens, steps):
  lines = list(describe(SIZES["mini"], BERT, tokens=tokens, loss=5.0))
  assert steps in lines[1]


def test_where_no_source_is_known_none_is_shown():
  odd = dataclasses.replace(SIZES["base"], num_layers=7)
  (line,) = describe(odd, BERT, tokens=None, loss=5.0)
  assert line == (
    "no loss of others is known for 7 layers of width 768; there are some for "
    "tiny, mini, base, large"
  )


def test_each_kind_has_its_own_references():
  pairs = dataclasses.replace(SHORT, sentence_pairs=True)
  found = [*map(reference.comparable, (BERT, SHORT, ROBERTA, pairs))]
  assert all(found)
  assert {*found[0], *found[2], *found[3]} == {*reference.REFERENCES}
  for kind, each in zip((BERT, SHORT, ROBERTA, pairs), found, strict=True):
    assert {one.kind.family for one in each} == {kind.family}
    assert {one.kind.sentence_pairs for one in each} == {kind.sentence_pairs}


def test_a_roberta_is_shown_beside_others_of_its_vocabulary():
  lines = list(describe(SIZES["base"], ROBERTA, tokens=26e9, loss=2.0))
  assert "1.369 nats" in lines[1]
  assert all("roberta" in line or "flax" in line for line in lines[1:])


BY_OBJECTIVE: dict[Objective, set[str]] = {
  "mlm": {"nsp_rows", "mlm", "full_sentences", "doc_sentences"},
  "mlm_sop": {"sop"},
}


def test_results_of_the_same_objective_stand_for_others():
  """Of one shape and as many tokens; where there is none, others stay."""
  tiny = functools.partial(describe, SIZES["tiny"], SHORT, tokens=3e6, loss=4.7)
  for objective, arms in BY_OBJECTIVE.items():
    lines = [line for line in tiny(objective=objective) if "python" in line]
    assert {line.rpartition(", ")[2] for line in lines} == arms
  base = describe(
    SIZES["base"], BERT, tokens=1e9, loss=2.0, objective="mlm_sop"
  )
  assert "of mlm_nsp: Devlin" in "".join(base)
  pairs = dataclasses.replace(SHORT, sentence_pairs=True)
  lines = [*describe(SIZES["tiny"], pairs, tokens=3e6, loss=3.7)]
  assert "3.721 ± 0.030 nats, 2.72 nats below" in lines[1]


def from_studies():
  """References that are results of studies, with the name and the arm."""
  for each in reference.REFERENCES:
    if each.source.startswith(STUDIES):
      study, arm = each.source.removeprefix(STUDIES).split(", ")
      yield each, study, arm


def test_every_arm_of_the_studies_that_has_three_seeds_is_in_the_table():
  losses = json.loads((ROOT / "benchmarks/study_losses.json").read_text())
  done = {
    (study, trial.rpartition("-seed")[0])
    for study, trials in losses.items()
    for trial in trials
    if trial.endswith("-seed2") and trial.replace("-seed2", "-seed1") in trials
  }
  assert {(study, arm) for _, study, arm in from_studies()} == {
    (study, arm)
    for study, arm in done
    if (ROOT / STUDIES / study / "trials" / f"{arm}-seed2").is_dir()
  }


def test_a_result_of_a_study_is_what_its_kept_records_say():
  losses = json.loads((ROOT / "benchmarks/study_losses.json").read_text())
  for each, study, arm in from_studies():
    report = json.loads((ROOT / STUDIES / study / "report.json").read_text())
    config = from_mapping(PretrainConfig, merged(report, arm))
    measured, below = [], []
    for seed in range(3):
      trial = f"{arm}-seed{seed}"
      kept = json.loads(
        (ROOT / STUDIES / study / "trials" / trial / "result.json").read_text()
      )["result"]
      found = losses[study][trial]
      assert found["mlm_loss"] == kept["mlm_loss"]
      assert (found["steps"], found["tokens"]) == (
        kept["cost"]["steps"],
        kept["cost"]["tokens"],
      )
      measured.append(found)
      below.append(found["unigram_entropy"] - found["mlm_loss"])
    values = [found["mlm_loss"] for found in measured]
    assert each.loss == round(statistics.mean(values), 3)
    assert each.spread == round(statistics.stdev(values), 3)
    assert each.below == round(statistics.mean(below), 3)
    assert each.tokens is not None
    tokens = statistics.mean(found["tokens"] for found in measured)
    assert math.isclose(each.tokens, tokens, abs_tol=500)
    rows = f"{config.steps:,} steps of {config.batch_size} rows"
    assert each.trained == rows
    assert (each.layers, each.width) == (
      config.model.num_layers,
      config.model.hidden_size,
    )
    assert each.objective == objective_of(config.objective)
    assert each.kind == Kind.of(config, "wordpiece")


def merged(report, arm):
  """The config of an arm, from a report."""
  changes = report["changes"][arm]
  return {
    **report["base"],
    **{
      name: {**report["base"][name], **value}
      if isinstance(value, dict)
      else value
      for name, value in changes.items()
    },
  }


def test_rows_of_two_sentences_have_other_losses():
  """By as much as `Kind.sentence_pairs` says."""
  found = {
    arm: each.loss or 0.0
    for each, study, arm in from_studies()
    if study == "python"
  }
  gaps = [
    found[name.removeprefix("sentence_")] - found[name]
    for name in found
    if name.startswith("sentence_")
  ]
  assert [round(min(gaps), 1), round(max(gaps), 1)] == [0.8, 1.1]
