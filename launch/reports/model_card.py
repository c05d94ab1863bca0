# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The README.md of an exported model: where it comes from, how to load it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bertjax.checkpoints.bundle import Details
from bertjax.config import ModelConfig
from bertjax.interop.outputs import REGRESSION
from bertjax.trials.markdown import cell, markdown
from launch.reports.encoder_words import differences
from launch.reports.model_card_kinds import Kind

UNKNOWN_LICENSE = "unknown"
# Identifiers of the hub, such as apache-2.0, cc-by-sa-4.0 and other.
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.-]*")


_CHOSEN = "The weights are those of one of these runs, the best on dev: "
_CARD = """\
---
license: {license}
library_name: {library}
pipeline_tag: {pipeline}
tags:
- bert
- bertjax
---

# {title}

{summary}

## How to load it

```python
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
  kind: Kind,
  model: ModelConfig,
  details: Details,
  license_id: str = UNKNOWN_LICENSE,
  notes: Sequence[str] = (),
) -> str:
  """Return the text of a README.md.

  Args:
    title: title of the page.
    kind: what the model is, and how to load it.
    model: shape of the encoder.
    details: where the weights come from.
    license_id: license of the weights.
    notes: paragraphs below the scores.
  """
  return "\n".join(
    (
      _CARD.format(
        license=license_id,
        library=kind.library,
        pipeline=kind.pipeline,
        title=title,
        summary=kind.summary,
        usage=kind.usage,
        origin=make_origin(model, details),
      ),
      *(f"{note}\n" for note in notes),
    )
  )


def make_origin(model: ModelConfig, details: Details) -> str:
  """Return the sections on what weights were made from, and their scores.

  Args:
    model: shape of the encoder.
    details: where the weights come from.
  """
  return _ORIGIN.format(
    facts="\n".join(
      f"- {name}: {shown}" for name, shown in _facts(model, details)
    ),
    evaluation=_evaluation(details),
  )


def _facts(model: ModelConfig, details: Details) -> Iterator[tuple[str, str]]:
  yield (
    "shape",
    f"{model.num_layers} layers of width {model.hidden_size}, "
    f"{model.num_heads} heads, a vocabulary of {model.vocab_size} rows, "
    f"{model.max_positions} positions",
  )
  if found := list(differences(model)):
    yield "unlike BERT's encoder", "; ".join(found)
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
  if task["labels"]:
    is_score = task.get("problem_type") == REGRESSION
    yield "score" if is_score else "labels", _shown(task["labels"])
  if task.get("settings"):
    yield "settings of its answers", _shown(task["settings"])
  if task.get("temperature"):
    yield (
      "temperature, which calibrates probabilities if logits are divided by it",
      f"{task['temperature']:.3f}",
    )
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


def _evaluation(details: Details) -> str:
  """Return the scores of the run, their spread, and what is wrong."""
  rows = list(_numbers(details.evaluation))
  # Scores of pre-training have no spread.
  names = ["score", "value", "seeds", "lowest", "highest"]
  shown = len(names) if details.task else 2
  parts = [
    markdown(names[:shown], [row[:shown] for row in rows])
    if rows
    else "No scores were recorded."
  ]
  parts += [f"Warning: {each}" for each in details.findings or ()]
  if rows and details.trial is not None:
    parts.append(f"{_CHOSEN}{_shown(details.trial)}.")
  return "\n\n".join(parts)


def _numbers(values: Mapping[str, Any], of: str = "") -> Iterator[list[str]]:
  """Yield a row of the table for each score of each split."""
  for name, value in values.items():
    if not isinstance(value, Mapping):
      yield [of + name, f"{value:.4f}", "1", "–", "–"]
    elif "mean" in value:
      seeds = value.get("values") or ()
      spread = (
        [f"{end:.4f}" for end in (min(seeds), max(seeds))]
        if seeds
        else ["–", "–"]
      )
      yield [
        f"{of}{name}, mean ± std of seeds",
        cell(value),
        str(len(seeds)) if seeds else "–",
        *spread,
      ]
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
