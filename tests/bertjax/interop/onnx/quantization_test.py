# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Quantized graphs decide as the float32 graph, where they are quantized."""

import dataclasses
import logging

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from bertjax.interop.onnx import comparison, quantization, running
from bertjax.interop.onnx.bert import make_model
from tests.testing.choices import CONFIGS
from tests.testing.examples import SMALL, ragged
from tests.testing.huggingface_models import make_params, steady_params

ARCHITECTURE = "BertForSequenceClassification"
CONFIG = dataclasses.replace(SMALL, vocab_size=2000)
WAYS = ("dynamic", "static")


def calibration():
  for row in range(40):
    batch = ragged(1, 23, seed=row)
    length = int((batch["packs_BS"] > 0).sum())
    yield {
      name: array[:, :length] if name.endswith("_BS") else array
      for name, array in batch.items()
    }


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
  folder = tmp_path_factory.mktemp("graphs")
  source = folder / "model.onnx"
  model = make_model(
    make_params(ARCHITECTURE, CONFIG), CONFIG, ARCHITECTURE, "cls"
  )
  running.write_model(model, source)
  quantization.quantize_dynamic(source, folder / "dynamic.onnx")
  quantization.quantize_static(source, folder / "static.onnx", calibration())
  return folder


@pytest.mark.parametrize("way", WAYS)
def test_labels_hardly_change(way, graphs):
  batch = ragged(200, 23, seed=9)
  ours, theirs = (
    running.run(running.open_session(graphs / f"{name}.onnx"), batch)
    for name in ("model", way)
  )
  is_real_BS = batch["packs_BS"] > 0
  labels, others = (
    comparison.decide(each, is_real_BS) for each in (ours, theirs)
  )
  assert labels is not None
  assert others is not None
  assert len(set(labels)) == 3
  assert comparison.share_equal(labels, others) > 0.9
  difference = comparison.largest_difference(ours, theirs, is_real_BS)
  assert 0 < difference < 0.5 * ours["logits"].std()


@pytest.mark.parametrize("way", WAYS)
def test_the_encoder_and_the_words_are_quantized_to_seven_bits(way, graphs):
  graph = onnx.load(graphs / f"{way}.onnx").graph
  stored = {
    each.name: numpy_helper.to_array(each) for each in graph.initializer
  }
  narrow = {
    name.removesuffix("_quantized"): array
    for name, array in stored.items()
    if name.endswith(".weight_quantized")
  }
  layers = range(CONFIG.num_layers)
  # A dynamic graph has one operator for a layer's attention.
  one = ("attention.self.query_key_value",)
  three = tuple(f"attention.self.{name}" for name in ("query", "key", "value"))
  dense = ("attention.output.dense", "intermediate.dense", "output.dense")
  dense += one if way == "dynamic" else three
  assert narrow.keys() == {
    "bert.embeddings.word_embeddings.weight",
    *(
      f"bert.encoder.layer.{i}.{name}.weight" for i in layers for name in dense
    ),
  }
  assert narrow.pop("bert.embeddings.word_embeddings.weight").nbytes == 64_000
  for name, array in narrow.items():
    assert array.dtype == np.int8, name
    assert np.abs(array.astype(int)).max() <= 64, name
    assert stored[f"{name}_scale"].shape == (array.shape[1],), name
  assert stored["classifier.weight"].dtype == np.float32
  kinds = {node.op_type for node in graph.node}
  assert ("DynamicQuantizeLinear" in kinds) == (way == "dynamic")
  sizes = [(graphs / f"{name}.onnx").stat().st_size for name in ("model", way)]
  assert sizes[1] < 0.5 * sizes[0]


def test_a_large_model_is_quantized_in_two_files(tmp_path, monkeypatch):
  monkeypatch.setattr(running, "LARGEST", 10_000)
  model = make_model(make_params(ARCHITECTURE), SMALL, ARCHITECTURE, "cls")
  source, target = tmp_path / "model.onnx", tmp_path / "small.onnx"
  running.write_model(model, source)
  quantization.quantize_dynamic(source, target)
  outputs = running.run(running.open_session(target), ragged(2, 9))
  assert outputs["logits"].shape == (2, 3)


def test_the_advice_of_the_runtime_is_not_repeated(graphs, tmp_path, caplog):
  with caplog.at_level(logging.INFO):
    quantization.quantize_dynamic(graphs / "model.onnx", tmp_path / "q.onnx")
    logging.warning("ours")
  assert [record.getMessage() for record in caplog.records] == ["ours"]


@pytest.mark.parametrize("way", ["model", *WAYS])
def test_the_slow_operator_for_a_residual_and_its_norm_is_not_taken(
  way, graphs, tmp_path
):
  options = onnxruntime.SessionOptions()
  options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
  onnxruntime.InferenceSession(
    graphs / f"{way}.onnx", options, providers=["CPUExecutionProvider"]
  )
  nodes = onnx.load(tmp_path / "optimized.onnx").graph.node
  norms = [each.op_type for each in nodes if "LayerNorm" in each.op_type]
  # One of the embeddings, two of each layer.
  assert norms == ["LayerNormalization"] * (1 + 2 * CONFIG.num_layers)


@pytest.mark.parametrize(
  "name", [pytest.param("albert", marks=pytest.mark.full), "modernbert"]
)
def test_any_family_is_quantized(name, tmp_path):
  """Once for layers that share their weights, and without the operator."""
  config = dataclasses.replace(CONFIGS[name], vocab_size=2000)
  params = steady_params(ARCHITECTURE, config)
  source = tmp_path / "model.onnx"
  model = make_model(params, config, ARCHITECTURE, "cls")
  running.write_model(model, source)
  quantization.quantize_dynamic(source, tmp_path / "dynamic.onnx")
  quantization.quantize_static(source, tmp_path / "static.onnx", calibration())
  batch = ragged(50, 23, seed=9)
  ours = running.run(running.open_session(source), batch)["logits"]
  for way in WAYS:
    path = tmp_path / f"{way}.onnx"
    theirs = running.run(running.open_session(path), batch)["logits"]
    assert 0.99 < np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] < 1, way
    names = [each.name for each in onnx.load(path).graph.initializer]
    outputs = [n for n in names if n.endswith("output.dense.weight_quantized")]
    assert len(outputs) == 2 * config.num_stacked, way
