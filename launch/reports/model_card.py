# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The README.md of an exported model: where it comes from, how to load it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bertjax.checkpoints.bundle import Details
from bertjax.config import ModelConfig
from bertjax.interop.architectures import (
  CLASSIFICATION,
  PRETRAINING,
  QUESTION_ANSWERING,
  TOKEN_CLASSIFICATION,
)
from bertjax.trials.markdown import cell, markdown

UNKNOWN_LICENSE = "unknown"
# Identifiers of the hub, such as apache-2.0, cc-by-sa-4.0 and other.
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.-]*")


class _Kind(NamedTuple):
  """Texts of the card for one class of transformers.

  Attributes:
    pipeline: the hub's name for what the model does.
    auto: class that loads the model.
    summary: what the model is.
    usage: Python that uses `tokenizer` and `model`.
  """

  pipeline: str
  auto: str
  summary: str
  usage: str


_KINDS = {
  PRETRAINING: _Kind(
    "fill-mask",
    "AutoModelForMaskedLM",
    "A BERT encoder with its masked-LM and sentence-pair heads. `AutoModel`\n"
    "reads the encoder alone, and `AutoModelForPreTraining` both heads.",
    """\
text = f"Some {tokenizer.mask_token} text."
inputs = tokenizer(text, truncation=True, return_tensors="pt")
masked = inputs["input_ids"] == tokenizer.mask_token_id
# The word table may have more rows than there are tokens.
logits = model(**inputs).logits[masked][:, : len(tokenizer)]
print(tokenizer.decode(logits.argmax(-1)))
""",
  ),
  CLASSIFICATION: _Kind(
    "text-classification",
    "AutoModelForSequenceClassification",
    "A BERT encoder that classifies {what} into {count} labels.",
    """\
inputs = tokenizer({text}, truncation=True, return_tensors="pt")
label = model(**inputs).logits.argmax(-1).item()
print(model.config.id2label[label])
""",
  ),
  TOKEN_CLASSIFICATION: _Kind(
    "token-classification",
    "AutoModelForTokenClassification",
    "A BERT encoder that gives tokens {count} labels.",
    """\
inputs = tokenizer("Some text.", truncation=True, return_tensors="pt")
labels = model(**inputs).logits.argmax(-1)[0].tolist()
print([model.config.id2label[label] for label in labels])
""",
  ),
  QUESTION_ANSWERING: _Kind(
    "question-answering",
    "AutoModelForQuestionAnswering",
    "A BERT encoder that finds the answer in a text.",
    """\
texts = "A question?", "A text with its answer."
inputs = tokenizer(*texts, truncation=True, return_tensors="pt")
outputs = model(**inputs)
first = outputs.start_logits.argmax(-1).item()
last = outputs.end_logits.argmax(-1).item()
print(tokenizer.decode(inputs["input_ids"][0, first : last + 1]))
""",
  ),
}
_CARD = """\
---
license: {license}
library_name: transformers
pipeline_tag: {pipeline}
tags:
- bert
- bertjax
---

# {title}

{summary}

## How to load it

```python
from transformers import {auto}, AutoTokenizer

folder = "."  # the folder of this file
tokenizer = AutoTokenizer.from_pretrained(folder)
model = {auto}.from_pretrained(folder)
{usage}```

{origin}"""
_ORIGIN = """\
## What it was made from

{facts}

## Evaluation

{evaluation}
"""


def check_license(license_id: str) -> None:
  """Refuse an identifier that the card's front matter cannot hold.

  Raises:
    ValueError: it is not a license identifier.
  """
  if not _LICENSE.fullmatch(license_id):
    raise ValueError(
      f"--license={license_id!r} is not an identifier; give one that the hub "
      f"lists, such as apache-2.0, or {UNKNOWN_LICENSE}"
    )


def make_card(
  title: str,
  architecture: str,
  model: ModelConfig,
  details: Details,
  license_id: str,
) -> str:
  """Return the text of a README.md.

  Args:
    title: title of the page.
    architecture: class of transformers that loads the weights.
    model: shape of the encoder.
    details: where the weights come from.
    license_id: license of the weights.
  """
  kind, task = _KINDS[architecture], details.task or {}
  pair = bool(task.get("pair"))
  count = len(task.get("labels", ()))
  what = "pairs of texts" if pair else "texts"
  text = '"One text.", "Another."' if pair else '"Some text."'
  return _CARD.format(
    license=license_id,
    pipeline=kind.pipeline,
    auto=kind.auto,
    title=title,
    summary=kind.summary.format(count=count, what=what),
    # Not by `format`, because other kinds have braces.
    usage=kind.usage.replace("{text}", text),
    origin=make_origin(model, details),
  )


def make_origin(model: ModelConfig, details: Details) -> str:
  """Return the sections on what weights were made from, and their scores.

  Args:
    model: shape of the encoder.
    details: where the weights come from.
  """
  numbers = list(_numbers(details.evaluation))
  return _ORIGIN.format(
    facts="\n".join(
      f"- {name}: {shown}" for name, shown in _facts(model, details)
    ),
    evaluation=markdown(["score", "value"], numbers)
    if numbers
    else "No scores were recorded.",
  )


def _facts(model: ModelConfig, details: Details) -> Iterator[tuple[str, str]]:
  yield (
    "shape",
    f"{model.num_layers} layers of width {model.hidden_size}, "
    f"{model.num_heads} heads, a vocabulary of {model.vocab_size} rows, "
    f"{model.max_positions} positions",
  )
  if details.source:
    yield "imported from", _shown(details.source)
  if details.task is not None:
    yield from _task_facts(details.task, details)
  else:
    yield from _pretraining_facts(details)
  yield "steps", _shown(details.step)
  yield "sha256 of the tokenizer", _shown(details.tokenizer_sha256 or None)
  yield "pooler_trained", _shown(details.pooler_trained).lower()
  yield "versions", _shown(details.versions)


def _task_facts(
  task: Mapping[str, Any], details: Details
) -> Iterator[tuple[str, str]]:
  yield "task", _shown(task["name"])
  yield "labels", _shown(task["labels"])
  yield "longest text in tokens", _shown(task["seq_length"])
  yield "fine-tuned from", _shown(details.init)
  yield "settings of this run", _shown(details.trial)


def _pretraining_facts(details: Details) -> Iterator[tuple[str, str]]:
  yield "corpus", _shown(details.corpus)
  if details.mixture:
    shares = details.mixture.items()
    yield "mixture", _shown({name: f"{share:.1%}" for name, share in shares})
  yield "sha256 of the prepared text", _shown(details.store_sha256)
  config = details.config
  if config:
    yield "objective", _shown(config["objective"])
    yield "rows in a batch", _shown(config["batch_size"])
    yield "tokens in a row", _shown(config["data"]["seq_length"])
    yield "optimizer", _shown(config["optimizer"])
    shape = config.get("model") or {}
    yield (
      "dropout",
      f"{shape.get('hidden_dropout_rate', '?')}, of attention "
      f"{shape.get('attention_dropout_rate', '?')}",
    )
    second = config.get("phase2") or {}
    if second.get("steps"):
      yield "second phase", _shown(second)
  yield "tokens read in training", _shown(details.tokens)


def _numbers(values: Mapping[str, Any], of: str = "") -> Iterator[list[str]]:
  """Yield a row of the table for each score of each split."""
  for name, value in values.items():
    if not isinstance(value, Mapping):
      yield [of + name, f"{value:.4f}"]
    elif "mean" in value:
      yield [f"{of}{name}, mean ± std of seeds", cell(value)]
    else:
      yield from _numbers(value, f"{of}{name} ")


def _shown(value: Any) -> str:
  """Return a value as text on one line."""
  if value is None:
    return "not recorded"
  if isinstance(value, Mapping):
    value = [f"{name} {_shown(each)}" for name, each in value.items()]
  if isinstance(value, list | tuple):
    return ", ".join(map(_shown, value))
  if isinstance(value, int) and not isinstance(value, bool):
    return f"{value:,}"
  return " ".join(str(value).split())
