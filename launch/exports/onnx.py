# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A folder for ONNX Runtime, which needs neither bertjax nor torch.

`model.onnx` computes in float32, `model_quantized.onnx` in integers of 8 bits;
both names are optimum's. The card says how far they are from the model.
"""

import importlib.util
import logging
import pathlib
from typing import Any

from bertjax import files
from bertjax.interop.huggingface_config import config_to_huggingface
from bertjax.interop.huggingface_files import CONFIG
from bertjax.interop.outputs import MULTI_LABEL, NONE
from bertjax.trials.finding import FoundWrong
from data_pipelines.tokenizers import tokenizers
from launch.exports import folder, onnx_texts
from launch.exports.formats import Format, Options
from launch.exports.onnx_card_kinds import pooling_of_windows
from launch.exports.onnx_scores import GraphScores
from launch.exports.trained import Trained
from launch.preflight.findings import found_wrong
from launch.preflight.policy import DEFAULT, Policy
from launch.preflight.settle import settle
from launch.preflight.task import judge_quantized
from launch.reports import model_card

LAYOUT = "onnx"
MODEL, QUANTIZED = "model.onnx", "model_quantized.onnx"
QUANTIZE = ("none", "dynamic", "static")
_COLUMNS = ("text_column", "text_pair_column", "label_column")
_PACKAGES = ("onnx", "onnxruntime")


def check(target: pathlib.Path, options: Options) -> None:
  """Refuse options that do not fit each other, and a target of another kind.

  Raises:
    ValueError: there are such options, a package is missing, or the target is
      not an export.
  """
  for name in _PACKAGES:
    if importlib.util.find_spec(name) is None:
      raise ValueError(
        f"--format=onnx needs {name}; pip install 'bertjax[onnx]'"
      )
  quantize = options.quantize or "none"
  if quantize not in QUANTIZE:
    raise ValueError(
      f"--quantize={quantize}; give one of {', '.join(QUANTIZE)}"
    )
  if quantize == "static" and options.calibration is None:
    raise ValueError(
      "--quantize=static measures the range of activations on texts; give a "
      "table of them as --calibration=FILE, or --quantize=dynamic"
    )
  if quantize == "none" and options.calibration is not None:
    raise ValueError(
      f"--calibration={options.calibration} is read only with --quantize; "
      "give --quantize=dynamic or static, too"
    )
  for name in _COLUMNS:
    if getattr(options, name) is not None and options.calibration is None:
      raise ValueError(
        f"--{name} is read only with --calibration; give that, too"
      )
  if options.policy is not None and options.calibration is None:
    raise ValueError(
      "--allow, --strict and --thresholds judge the texts of --calibration; "
      "give that, too"
    )
  folder.check_license(options)
  folder.check_target(target, MODEL, LAYOUT)


def write(trained: Trained, target: pathlib.Path, options: Options) -> None:
  """Write the folder.

  Raises:
    ValueError: no graph is known for the head, no family has the encoder's
      choices, or the texts of the calibration cannot be used.
  """
  # These modules import packages that are optional.
  from bertjax.interop.onnx import bert, heads, processor, running
  from launch.exports import onnx_card, onnx_measures

  kind = onnx_measures.kind_of(trained)
  heads.find_head(*kind)
  tokenizer = tokenizers.load(trained.tokenizer_path)
  config = _make_config(trained, kind, tokenizer.pad_id)
  longest = folder.longest_text(trained)
  texts, policy = None, options.policy or DEFAULT
  if options.calibration is not None:
    texts = onnx_texts.read(options, trained, tokenizer, longest, policy)
  with files.replace_folder(target) as partial:
    path = partial / MODEL
    model = bert.make_model(trained.params, trained.model, *kind)
    running.write_model(model, path)
    del model  # as large as the parameters
    parity = onnx_measures.compare(trained, path, tokenizer, longest)
    way = options.quantize or "none"
    quantized, findings = None, ()
    if way != "none":
      loss = onnx_measures.quantize(
        way, path, partial / QUANTIZED, texts, several=_has_several(trained)
      )
      if loss is None:
        logging.warning(
          "what %s loses is not measured; give --calibration=FILE, a table of "
          "texts, to measure it",
          QUANTIZED,
        )
      elif loss.scores:
        print(f"scores on {loss.texts:,} texts of {options.calibration}:")
        print(loss.scores.table(), flush=True)
        findings = _judge(loss.scores, loss.texts, way, policy)
      quantized = onnx_card.Quantized(
        partial / QUANTIZED, way, loss, [each.sentence for each in findings]
      )
    files.write_json(partial / CONFIG, config, sort_keys=True)
    folder.write_beside(trained, path, tokenizer, "", LAYOUT)
    page = onnx_card.Page(
      title=target.name,
      license=options.license or model_card.UNKNOWN_LICENSE,
      kind=kind,
      longest=longest,
      file=path,
      parity=parity,
      quantized=quantized,
      processor=processor.describe(),
    )
    card = onnx_card.make_card(page, trained, tokenizer)
    files.write_text(partial / folder.CARD, card)


def _judge(
  scores: GraphScores, texts: int, way: str, policy: Policy
) -> tuple[FoundWrong, ...]:
  """Settle what the scores lose; return what the card is to warn of."""
  other = next(each for each in QUANTIZE[1:] if each != way)
  finding = judge_quantized(
    scores.metric,
    scores.judged,
    texts,
    f"use {MODEL}, or try --quantize={other}",
    policy,
  )
  settle([finding], policy)
  return found_wrong([finding], policy)


def _has_several(trained: Trained) -> bool:
  head = trained.head
  return head is not None and head.outputs.problem_type == MULTI_LABEL


def _make_config(
  trained: Trained, kind: tuple[str, str], pad_id: int
) -> dict[str, Any]:
  """Return the config.json that programs over ONNX Runtime read."""
  architecture, pooling = kind
  outputs = NONE if trained.head is None else trained.head.outputs
  mapping = config_to_huggingface(trained.model, architecture, pad_id, outputs)
  if pooling:
    mapping["pooling"] = pooling
  settings = {} if trained.head is None else trained.head.settings
  if "stride" in settings:
    mapping["stride"] = int(settings["stride"])
  if pooled := pooling_of_windows(settings):
    mapping["long_texts"] = pooled
  return mapping


FORMAT = Format(
  "a folder for ONNX Runtime",
  frozenset({"license", "quantize", "calibration", "policy", *_COLUMNS}),
  check,
  write,
)
