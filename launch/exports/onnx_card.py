# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The README.md of an ONNX folder: how to run it, and how close it is."""

import dataclasses
import pathlib
import textwrap
from collections.abc import Iterator, Sequence

from bertjax.interop.onnx.encoder import MASK, TOKENS, TYPES, inputs_of
from bertjax.interop.onnx.processor import Processor
from bertjax.interop.outputs import NONE
from bertjax.trials.markdown import markdown
from data_pipelines.tokenizers.huggingface_names import TOKENIZER_FILE
from data_pipelines.tokenizers.tokenizer import Tokenizer
from launch.exports.onnx_card_kinds import (
  KINDS,
  LOGITS,
  Kind,
  pooling_of_windows,
  pooling_words,
)
from launch.exports.onnx_measures import Loss, Parity
from launch.exports.trained import Trained
from launch.reports import model_card
from launch.reports.model_card_kinds import encoder_name

_CARD = """\
---
license: {license}
library_name: onnx
pipeline_tag: {pipeline}
tags:
- bert
- bertjax
- onnx
---

# {title}

{summary}

{files}

## How to run it

```python
{usage}```

{length}

## How close it is

{closeness}

{origin}"""
_INPUTS = "Inputs are int64, of any number of rows and any length up to that."
_SUMMARY = (
  "{encoder}{head} as a graph for ONNX Runtime. It gives {outputs}. "
  "Nothing but this folder is needed to run it."
)
_USAGE = """\
import json
import pathlib

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

session = onnxruntime.InferenceSession("{file}")
tokenizer = Tokenizer.from_file("tokenizer.json")
tokenizer.enable_truncation({longest}{overlap})
tokenizer.enable_padding(pad_id={pad_id}, pad_token="{pad_token}")
rows = tokenizer.encode_batch([{texts}])
{windows}inputs = {{
{inputs}}}
"""
# Inputs of a graph, and attributes of encoded texts.
_ENCODED = {TOKENS: "ids", MASK: "attention_mask", TYPES: "type_ids"}
# Windows overlap so that each begins `stride` tokens after the one before.
_WINDOWS = """\
# A long text is several windows, and its logits are {pool}.
windows = [[row, *row.overflowing] for row in rows]
rows = [window for parts in windows for window in parts]
"""
_POOL = """\
ends = np.cumsum([len(parts) for parts in windows])
logits = np.array([w.{pool}(axis=0) for w in np.split(logits, ends[:-1])])
"""
_WEIGH = """\
logits, scores = session.run(["logits", "attention"], inputs)
ends = np.cumsum([len(parts) for parts in windows])
shares = [np.exp(s - s.max()) for s in np.split(scores, ends[:-1])]
shares = [share / share.sum() for share in shares]
pairs = zip(shares, np.split(logits, ends[:-1]))
logits = np.array([share @ parts for share, parts in pairs])
"""
_POOLED = {
  "mean": "their mean",
  "max": "their max",
  "attention": "weighed by attention",
}
_NO_TOKENIZER = """\
# This tokenizer has no form in tokenizer.json; encode texts with bertjax:
# data_pipelines.tokenizers.tokenizers.load(".").
"""


@dataclasses.dataclass(frozen=True)
class Quantized:
  """A quantized graph.

  Attributes:
    file: its file.
    way: how the range of its activations is known, "dynamic" or "static".
    loss: what it loses; None if there were no texts to measure it on.
    findings: sentences on what of that is beyond its limit.
  """

  file: pathlib.Path
  way: str
  loss: Loss | None
  findings: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Page:
  """What a card says beside what `Trained` knows.

  Attributes:
    title: title of the page.
    license: license of the weights.
    kind: architecture and pooling of the graph.
    longest: tokens to which texts are cut.
    file: file of the float32 graph, with the tokenizer's files beside it.
    parity: how far it is from the model.
    quantized: the quantized graph, if there is one.
    processor: the processor that measured.
  """

  title: str
  license: str
  kind: tuple[str, str]
  longest: int
  file: pathlib.Path
  parity: Parity
  quantized: Quantized | None
  processor: Processor


def make_card(page: Page, trained: Trained, tokenizer: Tokenizer) -> str:
  """Return the text of a README.md."""
  (_, pooling), head = page.kind, trained.head
  kind = _kind(page, trained)
  count = 0 if head is None else head.outputs.size
  return _CARD.format(
    license=page.license,
    pipeline=kind.pipeline,
    title=page.title,
    summary=textwrap.fill(
      _SUMMARY.format(
        encoder=encoder_name(trained.model),
        head="" if head is None else f", fine-tuned for {head.name},",
        outputs=kind.outputs.format(
          count=count,
          pooling=pooling_words(pooling, trained.model),
          pooler=" and `pooler_output`" if pooling else "",
        )
        + _scores(trained),
      ),
      80,
    ),
    files=markdown(["file", "numbers", "MB"], list(_files(page))),
    usage=_usage(page, trained, tokenizer),
    length=textwrap.fill(
      f"{_length(page, trained)} {_INPUTS}{_temperature(trained)}", 80
    ),
    closeness="\n".join(f"- {line}" for line in _closeness(page, kind))
    + _scores_of_task(page),
    origin=model_card.make_origin(trained.model, trained.details),
  )


def _kind(page: Page, trained: Trained) -> Kind:
  architecture, _ = page.kind
  outputs = NONE if trained.head is None else trained.head.outputs
  return KINDS[architecture, outputs.problem_type]


def _files(page: Page) -> Iterator[list[str]]:
  rows = [(page.file, "float32")]
  if page.quantized is not None:
    rows.append((page.quantized.file, f"int8, {page.quantized.way}"))
  for file, numbers in rows:
    parts = file.parent.glob(f"{file.name}*")  # large ones stand in two files
    size = sum(part.stat().st_size for part in parts)
    yield [file.name, numbers, f"{size / 1e6:.1f}"]


def _usage(page: Page, trained: Trained, tokenizer: Tokenizer) -> str:
  if not (page.file.parent / TOKENIZER_FILE).is_file():
    return _NO_TOKENIZER
  head, kind = trained.head, _kind(page, trained)
  pair = head is not None and head.pair
  texts = '("One text.", "Another.")' if pair else '"Some text.", "Another."'
  windows = overlap = ""
  usage = kind.usage
  if _slides(trained) and head is not None:
    pool = pooling_of_windows(head.settings)
    windows = _WINDOWS.format(pool=_POOLED[pool])
    specials = tokenizer.template.count(pair=False)
    shared = page.longest - specials - int(head.settings["stride"])
    overlap = f", stride={shared}"
    lines = LOGITS + _POOL.format(pool=pool)
    usage = usage.replace(LOGITS, _WEIGH if pool == "attention" else lines)
  return (
    _USAGE.format(
      file=page.file.name,
      longest=page.longest,
      overlap=overlap,
      pad_id=tokenizer.pad_id,
      pad_token=tokenizer.tokens[tokenizer.pad_id],
      texts=kind.texts or texts,
      windows=windows,
      inputs="".join(
        f'  "{name}": np.array([row.{_ENCODED[name]} for row in rows]),\n'
        for name in inputs_of(trained.model)
      ),
    )
    + usage
  )


def _slides(trained: Trained) -> bool:
  """Return whether the lines of the card read long texts in windows."""
  head = trained.head
  return (
    head is not None
    and bool(pooling_of_windows(head.settings))
    and not head.pair
  )


def _scores(trained: Trained) -> str:
  """Name the output that weighs windows."""
  settings = {} if trained.head is None else trained.head.settings
  if pooling_of_windows(settings) != "attention":
    return ""
  return (
    ", and `attention`, a score whose softmax over the windows of a long text "
    "weighs their logits"
  )


def _length(page: Page, trained: Trained) -> str:
  """Say what becomes of a text that is too long."""
  head = trained.head
  if head is None or "stride" not in head.settings:
    return f"Texts are cut to {page.longest} tokens, the length of the model."
  text = (
    f"The model reads {page.longest} tokens, and longer texts in windows that "
    f"begin every {int(head.settings['stride'])} tokens"
  )
  return f"{text}." if _slides(trained) else f"{text}; these lines cut them."


def _temperature(trained: Trained) -> str:
  value = None if trained.head is None else trained.head.temperature
  if value is None:
    return ""
  return (
    f" Logits that are divided by {value:.4g} give calibrated probabilities, "
    "by dev."
  )


def _closeness(page: Page, kind: Kind) -> Iterator[str]:
  parity = page.parity
  yield (
    f"{page.file.name} differs from the model in JAX by at most "
    f"{parity.difference:.1e} on outputs up to {parity.largest:.2g}, in "
    f"{parity.rows} rows of 3 to {parity.longest} random tokens, with padding "
    "and alone."
  )
  if page.quantized is None:
    return
  name, loss = page.quantized.file.name, page.quantized.loss
  if loss is None:
    yield (
      f"What {name} loses was not measured; --calibration=FILE of "
      "launch.export, a table of texts, measures it."
    )
  else:
    yield f"{name}, against {page.file.name}: {_lost(loss, kind)}."
    yield f"It was measured on {_texts(loss)}, each alone."
  yield from (f"Warning: {each}" for each in page.quantized.findings)
  if page.quantized.way == "dynamic":
    yield (
      "The range of activations is taken over a whole batch, so that outputs "
      "depend slightly on the texts beside a text."
    )
  yield (
    f"Processor: {page.processor}. Weights have 7 bits, which do not saturate "
    "where there are no instructions for int8; such a processor is slower."
  )


def _lost(loss: Loss, kind: Kind) -> str:
  found = [f"outputs differ by at most {loss.difference:.2g}"]
  if loss.equal is not None:
    found.insert(0, f"{loss.equal:.2%} of the {kind.decisions} are equal")
  if loss.cosine is not None:
    found.insert(
      0, f"the mean cosine of the hidden states of tokens is {loss.cosine:.4f}"
    )
  if loss.scores is not None:
    exact, narrow = loss.scores.judged
    found.insert(0, f"{loss.scores.metric} is {narrow:.4f} and was {exact:.4f}")
  return ", ".join(found)


def _scores_of_task(page: Page) -> str:
  loss = page.quantized and page.quantized.loss
  return f"\n\n{loss.scores.table()}" if loss and loss.scores else ""


def _texts(loss: Loss) -> str:
  text = f"{loss.texts:,} of {loss.total:,} texts"
  if loss.calibrated:
    text += f", and calibrated on {loss.calibrated:,} others"
  if loss.cut:
    text += f" ({loss.cut:,} of all were cut)"
  return text
