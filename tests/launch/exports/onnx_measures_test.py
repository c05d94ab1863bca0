# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A graph of another model is refused, and figures are those of the texts."""

import jax
import numpy as np
import pytest

from bertjax.finetune.classification import TASK
from bertjax.interop.onnx import bert, running
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.template import Template
from launch.exports import onnx_measures
from launch.exports.calibration import Texts, alone
from launch.exports.onnx_scores import Labeled
from launch.exports.trained import read_bundle
from tests.testing.examples import ragged
from tests.testing.windows import make_windows


@pytest.fixture(scope="module")
def trained(classifier):
  return read_bundle(classifier)


def write_graph(trained, path, change=0.0):
  params = jax.tree.map(lambda leaf: np.asarray(leaf) + change, trained.params)
  kind = onnx_measures.kind_of(trained)
  running.write_model(bert.make_model(params, trained.model, *kind), path)
  return path


def test_a_graph_of_other_weights_is_refused(trained, tmp_path):
  tokenizer = tokenizers.load(trained.tokenizer_path)
  path = write_graph(trained, tmp_path / "same.onnx")
  parity = onnx_measures.compare(trained, path, tokenizer, 12)
  assert 0 < parity.difference < 1e-5
  assert (parity.rows, parity.longest) == (16, 12)
  other = write_graph(trained, tmp_path / "other.onnx", 0.01)
  with pytest.raises(ValueError, match="which is more than rounding; nothing"):
    onnx_measures.compare(trained, other, tokenizer, 12)


@pytest.mark.parametrize("frame", [Template.of_bert, Template.doubled])
def test_random_rows_have_the_special_tokens_of_the_template(trained, frame):
  tokenizer = tokenizers.load(trained.tokenizer_path)
  tokenizer.template = template = frame(2, 3)
  batch = onnx_measures._random_rows(tokenizer, 12)
  counts = {False: 0, True: 0}
  for ids, types, real in zip(
    *(batch[name] for name in ("tokens_BS", "types_BS", "packs_BS")),
    strict=True,
  ):
    ids, types = ids[real > 0], types[real > 0]
    special = np.isin(ids, [2, 3])
    is_pair = int(special.sum()) > template.count(pair=False)
    size = len(ids) - template.count(pair=is_pair)
    ends = (size // 2, size - size // 2) if is_pair else (size, None)
    np.testing.assert_array_equal(types, template.types(*ends))
    parts = np.split(ids[~special], [size // 2]) if is_pair else [ids[~special]]
    np.testing.assert_array_equal(ids, template.join(*parts))
    counts[is_pair] += 1
  assert min(counts.values()) > 3


def test_what_is_calibrated_is_not_measured(trained, tmp_path, monkeypatch):
  source = write_graph(trained, tmp_path / "model.onnx")
  batch = ragged(30, 12)
  batch["tokens_BS"] %= trained.model.vocab_size
  rows = [alone(batch, row) for row in range(30)]
  logits = [running.run(running.open_session(source), row) for row in rows]
  labels = np.array([each["logits"].argmax() for each in logits])
  windows = make_windows({"label_N": labels}, 30)
  texts = Texts(rows, 30, 0, Labeled(TASK, "accuracy", windows))
  seen = []
  monkeypatch.setattr(
    onnx_measures.quantization,
    "quantize_static",
    lambda source, target, rows: (
      seen.extend(id(row) for row in rows),
      target.write_bytes(source.read_bytes()),
    ),
  )
  monkeypatch.setattr(onnx_measures, "MEASURED", 10)
  monkeypatch.setattr(onnx_measures.quantization, "CALIBRATION_ROWS", 5)
  loss = onnx_measures.quantize(
    "static", source, tmp_path / "narrow.onnx", texts
  )
  assert seen == [id(rows[index]) for index in (0, 6, 12, 18, 24)]
  assert loss is not None
  assert loss.scores is not None
  assert loss.scores.judged == (1.0, 1.0)
  assert loss == onnx_measures.Loss(
    texts=10,
    total=30,
    cut=0,
    difference=0.0,
    calibrated=5,
    equal=1.0,
    scores=loss.scores,
  )
