# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pathlib

import pytest

from data_pipelines.tasks.glue_files import (
  UnlabeledTexts,
  find_folder,
  read_test,
)
from data_pipelines.tasks.glue_tasks import GLUE
from launch.glue import submission
from launch.inference.predictor import load_predictor
from launch.preflight.policy import DEFAULT
from tests.testing import glue_folders
from tests.testing.classifiers import make_classifier, random_texts


@pytest.fixture(scope="module")
def glue(tmp_path_factory):
  return glue_folders.make(tmp_path_factory.mktemp("glue"), rows=3)


@pytest.mark.parametrize("name", GLUE)
def test_files_are_those_that_the_server_takes(
  glue, tmp_path, monkeypatch, name
):
  task = GLUE[name]
  label = task.labels[-1] if task.labels else 5.25
  monkeypatch.setattr(submission, "load_predictor", lambda model: None)
  monkeypatch.setattr(
    submission,
    "predict",
    lambda predictor, test, policy: [label] * len(test.texts),
  )
  folder = find_folder(name, str(glue))
  assert folder
  written = submission.write_predictions(
    name, folder, pathlib.Path("model"), tmp_path, DEFAULT
  )
  assert written == tuple(task.tests.values())
  # A score beyond the scale is its end.
  shown = label if task.labels else "5.000"
  rows = 4 if name == "qqp" else 3
  for file in written:
    assert (tmp_path / file).read_text() == "index\tprediction\n" + "".join(
      f"{index}\t{shown}\n" for index in range(rows)
    )


def test_scores_of_the_model_are_written_as_they_are(glue, tmp_path):
  test = read_test(str(glue / "STS-B/test.tsv"), GLUE["stsb"])
  path = tmp_path / "STS-B.tsv"
  submission.write_file(path, GLUE["stsb"], test, [1.23456, -0.5, "4"])
  lines = path.read_text().splitlines()
  assert lines[1:] == ["0\t1.235", "1\t0.000", "2\t4.000"]


def test_predictions_do_not_depend_on_how_many_texts_are_in_memory(
  tmp_path, monkeypatch, caplog
):
  predictor = load_predictor(make_classifier(tmp_path / "model", pair=True))
  texts, pairs = random_texts(7), random_texts(7, seed=1)
  # A text that is cut, and one that is empty.
  texts[0], pairs[1] = "the cod " * 40, ""
  test = UnlabeledTexts(tuple("0123456"), tuple(texts), tuple(pairs))
  wanted = [each["label"] for each in predictor(texts, pairs)]
  for size in (2, 100):
    monkeypatch.setattr(submission, "_TEXTS", size)
    caplog.clear()
    assert submission.predict(predictor, test, DEFAULT) == wanted
    assert " of 7 texts are longer than 16 tokens" in caplog.text
  single = UnlabeledTexts(("0",), ("a",), None)
  with pytest.raises(ValueError, match="reads pairs of texts"):
    submission.predict(predictor, single, DEFAULT)
