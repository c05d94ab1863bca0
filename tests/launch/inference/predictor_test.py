# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A text has the same answer whatever stands beside it."""

import types
from typing import Any

import numpy as np
import pytest

from launch.inference.predictor import Predictor, load_predictor
from launch.predict import load_predictor as public
from tests.testing.classifiers import LABELS, make_classifier, random_texts
from tests.testing.windows import make_windows

LONG = "the cod and an oak by a hill. " * 80


@pytest.fixture(scope="module")
def path(tmp_path_factory):
  folder = tmp_path_factory.mktemp("predictor") / "model"
  return make_classifier(folder, positions=512)


@pytest.fixture(scope="module")
def predictor(path):
  return load_predictor(path)


def probabilities(records):
  return np.asarray(
    [[each["probabilities"][label] for label in LABELS] for each in records]
  )


def test_the_name_of_the_page_is_the_same_function():
  assert public is load_predictor


def test_neighbors_do_not_change_a_bit(predictor):
  texts = random_texts(31, seed=3, longest=20)
  together = predictor(texts)
  beside = predictor([LONG, *texts])[1:]
  for row, text in enumerate(texts):
    (alone,) = predictor([text])
    assert alone == together[row] == beside[row]


def test_batch_size_and_packing_change_the_last_bits_at_most(path, predictor):
  texts = random_texts(50, seed=4, longest=30)
  wanted = probabilities(predictor(texts))
  others = load_predictor(path, batch_size=7), load_predictor(path, pack=True)
  for other in others:
    found = probabilities(other(texts))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_packed_rows_have_one_shape(path):
  packed = load_predictor(path, pack=True)
  for count in (1, 40, 90):
    packed(random_texts(count, seed=5))
  assert packed.forward.compiled == {512: packed.forward.rows(512)}
  outputs: Any = packed.forward._outputs
  assert outputs._cache_size() == 1


def test_records_have_every_class(predictor):
  assert predictor([]) == []
  for record in predictor(random_texts(5)):
    assert set(record["probabilities"]) == set(LABELS)
    best = max(record["probabilities"], key=record["probabilities"].get)
    assert record["label"] == best
    assert record["probability"] == record["probabilities"][best]
  shapes = predictor.describe_shapes()
  rows = predictor.forward.rows
  told = [f"{length} tokens, {rows(length)} at once" for length in (12, 16, 24)]
  assert f": {'; '.join(told)}; 32" in shapes
  assert shapes.endswith(f"; 512 tokens, {rows(512)} at once")


def test_a_long_text_is_answered_from_all_of_its_windows(tmp_path):
  predictor = load_predictor(
    make_classifier(tmp_path / "model", settings={"stride": 7, "pool_max": 0.0})
  )
  texts = ["the cod", "an oak by the hill. " * 9, *random_texts(9, 7, 40)]
  records = predictor(texts)
  assert len(records) == len(texts)
  for text, record in zip(texts, records, strict=True):
    assert predictor([text]) == [record]
  # A word at the end of a long text counts.
  (changed,) = predictor([texts[1] + "cod"])
  assert changed["probability"] != records[1]["probability"]


def test_calibration_divides_logits_by_the_temperature(tmp_path):
  path = make_classifier(tmp_path / "model", temperature=2.0)
  texts = random_texts(5)
  plain = probabilities(load_predictor(path)(texts))
  calibrated = probabilities(load_predictor(path, calibrate=True)(texts))
  wanted = np.sqrt(plain) / np.sqrt(plain).sum(axis=1, keepdims=True)
  np.testing.assert_allclose(calibrated, wanted, rtol=1e-5)
  without = make_classifier(tmp_path / "without")
  with pytest.raises(ValueError, match="has no temperature"):
    load_predictor(without, calibrate=True)


def test_what_is_compared_with_logits_is_divided_as_they_are():
  task = types.SimpleNamespace(
    answers=lambda outputs, windows, *_: windows.settings, tuned=("threshold",)
  )
  windows = make_windows({}, 1, settings={"threshold": 3.0, "stride": 5.0})
  model = types.SimpleNamespace(
    task=task, head=types.SimpleNamespace(labels=())
  )
  started: Any = types.SimpleNamespace(
    outputs=types.SimpleNamespace(read=dict),
    inputs=types.SimpleNamespace(windows=lambda: windows),
  )
  for temperature, threshold in ((1.0, 3.0), (2.0, 1.5)):
    predictor: Any = types.SimpleNamespace(
      _temperature=temperature,
      _tokenizer=types.SimpleNamespace(tokens=()),
      model=model,
    )
    found: Any = Predictor.finish(predictor, started)
    assert found == {"threshold": threshold, "stride": 5.0}


def test_what_is_not_read_is_told(tmp_path, caplog):
  predictor = load_predictor(make_classifier(tmp_path / "model"))
  predictor(["the cod"] * 3)
  assert not caplog.records
  many = 64 * predictor.forward.batch_size  # more than are encoded at once
  predictor(["the cod " * 9, *["the cod"] * many, "the oak " * 9])
  (told,) = (record.message for record in caplog.records)
  assert told.startswith(f"2 of {many + 2:,} texts are longer than 16 tokens")
  caplog.clear()
  predictor(["the zebra"])
  assert "1 of 2 tokens are unknown" in caplog.text


def test_a_model_of_pairs_says_how_to_give_them(tmp_path):
  predictor = load_predictor(make_classifier(tmp_path / "pairs", pair=True))
  with pytest.raises(
    ValueError, match=r"give .* --text_pair with --text, by .* --input, or as"
  ):
    predictor(["the cod"])


def test_texts_of_the_wrong_form_are_one_line(predictor):
  with pytest.raises(ValueError, match="texts is the string 'the cod'"):
    predictor("the cod")
  with pytest.raises(ValueError, match="reads single texts"):
    predictor(["the cod"], ["an oak"])


def test_a_temperature_divides_logits_and_not_the_weights_of_windows():
  outputs = {
    "logits_NC": np.asarray([[4.0, 0], [0, 2]]),
    "attention_N": np.asarray([0.0, 1]),
  }
  task = types.SimpleNamespace(answers=lambda outputs, *_: outputs, tuned=())
  model = types.SimpleNamespace(
    task=task, head=types.SimpleNamespace(labels=())
  )
  predictor: Any = types.SimpleNamespace(
    _temperature=2.0,
    _tokenizer=types.SimpleNamespace(tokens=()),
    model=model,
  )
  started: Any = types.SimpleNamespace(
    outputs=types.SimpleNamespace(read=lambda: outputs),
    inputs=types.SimpleNamespace(windows=lambda: None),
  )
  found: Any = Predictor.finish(predictor, started)
  np.testing.assert_array_equal(found["logits_NC"], [[2, 0], [0, 1]])
  np.testing.assert_array_equal(found["attention_N"], [0, 1])
