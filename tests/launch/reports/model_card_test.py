# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The card of an exported model: what it says, and what it loads."""

import re

import pytest

from bertjax.checkpoints.bundle import Details
from bertjax.trials.statistics import summarize
from launch import export
from launch.exports.formats import Options
from launch.reports.model_card import make_origin
from tests.testing import small
from tests.testing.arm_results import make_found
from tests.testing.exports import make_head, snippet
from tests.testing.huggingface_models import LABELS


def front_matter(card):
  _, text, _ = card.split("---\n", 2)
  fields = re.findall(r"^(\w+): (.+)$", text, re.MULTILINE)
  return dict(fields), re.findall(r"^- (.+)$", text, re.MULTILINE)


def test_the_card_says_what_the_bundle_knows(exported):
  card = (exported / "README.md").read_text()
  fields, tags = front_matter(card)
  assert fields == {
    "license": "apache-2.0",
    "library_name": "transformers",
    "pipeline_tag": "fill-mask",
  }
  assert "bert" in tags
  assert "# named\n" in card
  rows = dict(re.findall(r"^- (.+?): (.+)$", card, re.MULTILINE))
  assert rows["corpus"] == "stdlib Python 3.11.7"
  assert rows["sha256 of the prepared text"] == "4efb8f80"
  assert (rows["steps"], rows["tokens read in training"]) == (
    "1,200",
    "4,068,988",
  )
  assert rows["pooler_trained"] == "false"
  assert re.search(r"^\| mlm_loss +\| 5.6204 \|$", card, re.MULTILINE)
  assert "jax " in rows["versions"]


def test_the_card_of_a_classifier_says_its_labels(exported_classifier):
  card = (exported_classifier / "README.md").read_text()
  assert front_matter(card)[0]["license"] == "unknown"
  assert "classifies texts into 3 labels" in card
  assert "- labels: fish, tree, a | b\n" in card
  assert "| dev accuracy, mean ± std of seeds | 0.5000 ± 0.2500 |" in card


@pytest.mark.parametrize("scores", [{"mlm_loss": 5.5}, {}])
def test_the_card_of_a_pre_trained_model_says_what_is_wrong(scores):
  details = Details(
    pooler_trained=False,
    evaluation=scores,
    findings=[make_found().sentence],
  )
  text = make_origin(small.MODEL, details)
  assert text.endswith(f"\n\nWarning: {make_found().sentence}\n")
  assert ("| 5.5000 |" in text) == bool(scores)
  assert ("No scores were recorded." in text) != bool(scores)


@pytest.mark.parametrize("license_id", ["", "Apache 2.0", "mit\nx: y"])
def test_a_license_that_breaks_the_card_is_refused(
  license_id, bundle, tmp_path
):
  with pytest.raises(
    ValueError, match="is not an identifier; give one that the"
  ):
    export.run(
      bundle=bundle,
      output=tmp_path / "out",
      options=Options(license=license_id),
    )
  assert not list(tmp_path.iterdir())


def test_the_cards_load_what_they_lie_beside(
  exported, exported_classifier, monkeypatch, capsys
):
  pytest.importorskip("torch")
  pytest.importorskip("transformers")
  for folder, answers in (
    (exported, small.TOKENS),
    (exported_classifier, LABELS),
  ):
    monkeypatch.chdir(folder)
    exec(snippet(folder), {})
    assert capsys.readouterr().out.strip() in answers


def test_the_card_shows_the_spread_over_seeds(tmp_path):
  bundle = make_head(
    tmp_path / "bundle",
    "single_label",
    evaluation={
      "dev": {"accuracy": vars(summarize([0.5, 0.75, 0.625]))},
      "test": {"accuracy": vars(summarize([0.5, 0.7, 0.6]))},
    },
    trial={"learning_rate": 2e-5, "seed": 1},
    findings=[make_found().sentence],
  )
  folder = export.run(bundle=bundle, output=tmp_path / "out")
  card = (folder / "README.md").read_text()
  rows = re.findall(r"^\| (.+) \|$", card, re.MULTILINE)
  cells = [[each.strip() for each in row.split("|")] for row in rows]
  assert cells[0] == ["score", "value", "seeds", "lowest", "highest"]
  assert cells[2:] == [
    [
      "dev accuracy, mean ± std of seeds",
      *("0.6250 ± 0.1250", "3", "0.5000", "0.7500"),
    ],
    [
      "test accuracy, mean ± std of seeds",
      *("0.6000 ± 0.1000", "3", "0.5000", "0.7000"),
    ],
  ]
  assert f"\n\nWarning: {make_found().sentence}\n\n" in card
  assert "if logits are divided by it: 1.250\n" in card
  assert (
    "The weights are those of one of these runs, the best on dev: "
    "learning_rate 2e-05, seed 1.\n"
  ) in card
