# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import functools
import json

import numpy as np
import pytest

from bertjax.checkpoints.bundle import load_bundle
from bertjax.finetune.artifact import save_finetuned
from bertjax.finetune.task import Head
from data_pipelines.tasks.table_files import Columns
from launch import predict
from launch.inference.encoding import Texts
from launch.inference.inputs import Source
from launch.inference.labeling import Options, label_file
from launch.preflight.policy import Policy
from tests.testing import small
from tests.testing.commands import run_command

MASKED = "the [MASK] by the [MASK]."


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
  return small.make_bundle(tmp_path_factory.mktemp("predict") / "bundle")


def make_classifier(bundle, folder, *, pair):
  _, params = load_bundle(bundle)
  generator = np.random.default_rng(0)
  width = small.MODEL.hidden_size
  head = {
    "dense": {
      "kernel": generator.normal(size=(width, 2)).astype(np.float32),
      "bias": np.zeros(2, np.float32),
    }
  }
  save_finetuned(
    folder,
    {
      "encoder": params["encoder"],
      "pooler": params["pooler"],
      "classifier": head,
    },
    small.MODEL,
    f"{bundle}/tokenizer",
    Head("t", ("no", "yes"), "cls", 16, pair=pair),
  )
  return str(folder)


@pytest.fixture(scope="module")
def classifier(bundle, tmp_path_factory):
  folder = tmp_path_factory.mktemp("single") / "model"
  return make_classifier(bundle, folder, pair=False)


@pytest.fixture(scope="module")
def classifier_of_pairs(bundle, tmp_path_factory):
  folder = tmp_path_factory.mktemp("pairs") / "model"
  return make_classifier(bundle, folder, pair=True)


def test_each_kind_of_bundle_is_asked_its_own_question(
  bundle, classifier, classifier_of_pairs
):
  with pytest.raises(
    ValueError, match=r"not fine-tuned; give .* launch\.finetune"
  ):
    predict.answer(bundle, ["the cod"])
  with pytest.raises(ValueError, match=r"not fine-tuned; .* with \[MASK\]"):
    predict.run(None, bundle, Texts(["the cod"]))
  with pytest.raises(ValueError, match="is fine-tuned for"):
    predict.fill_mask(classifier_of_pairs, MASKED)
  with pytest.raises(ValueError, match="reads pairs"):
    predict.answer(classifier_of_pairs, ["the cod"])
  with pytest.raises(
    ValueError, match=r"reads single texts; leave out .*--text_pair"
  ):
    predict.answer(classifier, ["the cod"], ["the oak"])
  with pytest.raises(ValueError, match=r"cannot tag; give --task=classify"):
    predict.answer(classifier_of_pairs, ["the cod"], verb="tag")


def test_texts_that_are_cut_or_unknown_are_told(classifier, caplog):
  predict.answer(classifier, ["the cod"])
  assert not caplog.records
  predict.answer(classifier, ["the cod " * 9, "the cod", "the zebra"])
  cut, unknown = (record.message for record in caplog.records)
  assert cut.startswith("1 of 3 texts are longer than 16 tokens and lose")
  assert unknown.startswith("1 of 22 tokens are unknown to this model")
  caplog.clear()
  predict.answer(classifier, ["the cod " * 9, *["the cod"] * 39])
  (told,) = (record.message for record in caplog.records)
  assert told.startswith("1 of 40 texts are longer than 16 tokens")
  strict = Policy(strict=frozenset(["cut_texts"]))
  with pytest.raises(ValueError, match="longer than 16"):
    predict.answer(classifier, ["the cod " * 9], policy=strict)


def test_a_masked_text_has_no_temperature(bundle):
  with pytest.raises(ValueError, match="leave --calibrate out"):
    predict.run(predict.FILL_MASK, bundle, Texts([MASKED]), calibrate=True)


@pytest.mark.parametrize("label", ["-1", "", "whatever"])
def test_rows_without_a_label_are_predicted(
  classifier, tmp_path, capsys, label
):
  path = tmp_path / "unlabeled.csv"
  path.write_text(f"text,label\nthe cod,{label}\nthe oak,{label}\n")
  label_file(classifier, Source(str(path), Columns()), "", Options(top_k=1))
  lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
  assert [each["line"] for each in lines] == [2, 3]
  found = predict.answer(classifier, ["the cod", "the oak"], top_k=1)
  for each, ((text, probability),) in zip(lines, found, strict=True):
    assert each["label"] == text
    assert each["probability"] == probability
    assert each["probabilities"] == {text: probability}


def test_pairs_are_read_from_a_table(classifier_of_pairs, tmp_path):
  path = tmp_path / "pairs.tsv"
  path.write_text("a\tb\nthe cod\tthe oak\n\tthe elm\n")
  done = command(
    *("--task=classify", f"--bundle={classifier_of_pairs}", f"--input={path}"),
    *("--text_column=a", "--text_pair_column=b", "--skip_bad_rows"),
  )
  assert done.returncode == 0, done.stderr
  (line,) = done.stdout.splitlines()
  assert json.loads(line)["line"] == 2
  assert "pairs.tsv:3 has no text in the column 'a'" in done.stderr


def test_pairs_are_read_from_the_command_line(classifier_of_pairs, capsys):
  (wanted,) = predict.answer(classifier_of_pairs, ["the cod"], ["the oak"])
  predict.run(None, classifier_of_pairs, Texts(["the cod"], ["the oak"]))
  shown = capsys.readouterr().out
  for label, probability in wanted:
    assert f"{label} " in shown
    assert f"{probability:.4f}" in shown
  done = command(f"--bundle={classifier_of_pairs}", "--text=the cod")
  assert done.returncode == 1
  assert "give the second ones by --text_pair with --text" in done.stderr


@pytest.mark.parametrize(
  ("arguments", "words"),
  [
    (["--text=a", "--input=b.csv"], "both given"),
    (["--text_pair=a", "--input=b.csv"], "--text_pair and --input are both"),
    (
      ["--text=a", "--text=b", "--text_pair=c"],
      "--text_pair is given 1 times, and --text 2 times; give a --text_pair",
    ),
    (["--text=a", "--text=b", "--choice=c"], "--choice is of one text"),
    (["--text= "], "--text is given without a text; give one"),
    (["--text=a", "--text_pair="], "--text_pair is given without a text"),
    (["--text=a", "--choice=c"], "chooses nothing; leave out --choice"),
    (["--text=a", "--choice_columns=c"], "--choice_columns is read only with"),
    (["--text=a", "--skip_bad_rows"], "--skip_bad_rows is read only with"),
    (["--text=a", "--output=b"], "--output is read only with --input"),
    (["--input=nowhere.csv"], "there is no file 'nowhere.csv'"),
    (["--table=nowhere.csv"], "--table is now --input; give that"),
  ],
)
def test_flags_of_a_file_are_checked(classifier, arguments, words):
  done = command("--task=classify", f"--bundle={classifier}", *arguments)
  assert done.returncode == 1
  (line,) = done.stderr.splitlines()
  assert line.startswith("error: ")
  assert words in line


command = functools.partial(run_command, "launch.predict")


def test_the_command_shows_a_table_for_every_mask(bundle):
  done = command(f"--bundle={bundle}", f"--text={MASKED}", "--top_k=2")
  assert done.returncode == 0, done.stderr
  assert "| [MASK] 1 |" in done.stdout
  assert "| [MASK] 2 |" in done.stdout


def test_a_mistake_on_the_command_line_is_one_line(bundle):
  done = command("--task=fill_mask", f"--bundle={bundle}", "--text=the cod")
  assert done.returncode == 1
  (line,) = done.stderr.splitlines()
  assert line.startswith("error: the text has no [MASK]")
