# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""One classifier in several runtimes, each of which labels lists of texts.

`benchmarks.prediction` has each in a process of its own. All but transformers'
own pipeline get texts sorted by length, so that a batch has little padding;
bertjax computes as many rows at once as suit the devices, whatever the size of
a batch, but for 1.
"""

import functools
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

# (texts, largest number of texts in a batch) → the id of each text's label.
Labeler = Callable[[Sequence[str], int], np.ndarray]
# Folders that `benchmarks.prediction` makes.
BUNDLE, TRANSFORMERS = "bundle", "transformers"
DYNAMIC, STATIC = "onnx_dynamic", "onnx_static"


def by_length(
  encode: Callable[[Sequence[str]], Sequence[Any]],
  run: Callable[[dict[str, np.ndarray]], np.ndarray],
) -> Labeler:
  """Return a labeler of batches of similar length.

  Args:
    encode: texts → the encodings of `tokenizers`.
    run: inputs named as transformers names them, int64 → logits.
  """

  def label(texts: Sequence[str], batch_size: int) -> np.ndarray:
    encodings = encode(texts)
    order = np.argsort([len(each.ids) for each in encodings], kind="stable")
    found = np.empty(len(texts), int)
    for start in range(0, len(texts), batch_size):
      rows = order[start : start + batch_size]
      longest = len(encodings[rows[-1]].ids)
      inputs = {
        name: np.zeros((len(rows), longest), np.int64)
        for name in ("input_ids", "attention_mask", "token_type_ids")
      }
      for place, row in enumerate(rows):
        ids = encodings[row].ids
        inputs["input_ids"][place, : len(ids)] = ids
        inputs["attention_mask"][place, : len(ids)] = 1
      found[rows] = run(inputs).argmax(axis=-1)
    return found

  return label


def _make_encode(folder: pathlib.Path) -> Callable[[Sequence[str]], Any]:
  from tokenizers import Tokenizer

  tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
  tokenizer.no_padding()
  return tokenizer.encode_batch


def _make_onnx(folder: pathlib.Path, file: str) -> Labeler:
  from bertjax.interop.onnx.running import open_session

  session = open_session(folder / file)

  def run(inputs: dict[str, np.ndarray]) -> np.ndarray:
    (logits,) = session.run(["logits"], inputs)
    return np.asarray(logits)

  return by_length(_make_encode(folder), run)


def _make_torch(folder: pathlib.Path) -> Labeler:
  import torch
  from transformers import AutoModelForSequenceClassification

  model = AutoModelForSequenceClassification.from_pretrained(folder).eval()

  def run(inputs: dict[str, np.ndarray]) -> np.ndarray:
    tensors = {name: torch.from_numpy(each) for name, each in inputs.items()}
    with torch.inference_mode():
      return model(**tensors).logits.numpy()

  return by_length(_make_encode(folder), run)


def _make_pipeline(folder: pathlib.Path) -> Labeler:
  from transformers import pipeline

  classify = pipeline("text-classification", model=str(folder))
  ids: Any = classify.model.config.label2id

  def label(texts: Sequence[str], batch_size: int) -> np.ndarray:
    answers = classify(list(texts), batch_size=batch_size)
    return np.array([ids[answer["label"]] for answer in answers])

  return label


def _make_ours(folder: pathlib.Path, *, pack: bool = False) -> Labeler:
  from launch.inference.encoding import Texts
  from launch.inference.predictor import load_predictor

  # A row for texts that come one by one. For more, the number of rows that
  # suits the devices: a user has no reason to give another one.
  make = functools.cache(
    lambda batch_size: load_predictor(folder, batch_size=batch_size, pack=pack)
  )

  def label(texts: Sequence[str], batch_size: int) -> np.ndarray:
    predict = make(1 if batch_size == 1 else 0)
    ids = {name: id_ for id_, name in enumerate(predict.model.head.labels)}
    answers = predict.answers(Texts(texts))
    return np.array([ids[found[0][0]] for found in answers])

  return label


RUNTIMES: Mapping[str, Callable[[pathlib.Path], Labeler]] = {
  "bertjax, float32": lambda root: _make_ours(root / BUNDLE),
  "bertjax, float32, packed": lambda root: _make_ours(root / BUNDLE, pack=True),
  "transformers pipeline, float32": lambda root: _make_pipeline(
    root / TRANSFORMERS
  ),
  "PyTorch, float32": lambda root: _make_torch(root / TRANSFORMERS),
  "ONNX Runtime, float32": lambda root: _make_onnx(
    root / DYNAMIC, "model.onnx"
  ),
  "ONNX Runtime, int8 dynamic": lambda root: _make_onnx(
    root / DYNAMIC, "model_quantized.onnx"
  ),
  "ONNX Runtime, int8 static": lambda root: _make_onnx(
    root / STATIC, "model_quantized.onnx"
  ),
}


def serve(name: str, root: pathlib.Path, connection: Connection) -> None:
  """Label what the other side sends, until it sends None.

  A request is (texts, batch size, whether each text is a request of its own).
  The answer is the seconds of each request, and the labels.
  """
  label = RUNTIMES[name](root)
  while (request := connection.recv()) is not None:
    texts, batch_size, alone = request
    lists = [[text] for text in texts] if alone else [texts]
    seconds, found = [], []
    for each in lists:
      begin = time.perf_counter()
      labels = label(each, batch_size)
      seconds.append(time.perf_counter() - begin)
      found += labels.tolist()
    connection.send((seconds, found))
