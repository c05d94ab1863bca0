# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Token classification: a tag for each word (Devlin et al., 2018, section 5.3).

The tag of a word is read at its first token, in the window of the text where
that token has most context. Tags of no scheme are read as seqeval does.
"""

from collections.abc import Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.batch import Batch, Feature
from bertjax.config import ComputeConfig, ModelConfig
from bertjax.finetune import scores
from bertjax.finetune.error_analysis import (
  Confusion,
  ErrorAnalysis,
  Mistake,
  Mistakes,
  count_wrong,
  find_worst,
)
from bertjax.finetune.scores import ClassCounts, entities
from bertjax.finetune.task import Answer, FinetuneTask, Scores
from bertjax.finetune.windows import Windows
from bertjax.finetune.words import Words, divide_labels, find_words
from bertjax.model import BertForTokenClassification
from bertjax.objectives.losses import classification_losses
from bertjax.objectives.metrics import Metrics

Array = jax.Array
# What stands where a text has no entity.
_NOTHING = "nothing"


def make_model(
  encoder: ModelConfig, compute: ComputeConfig, *, num_labels: int, pooling: str
) -> BertForTokenClassification:
  """Return the model, whose output is `logits_BSC`."""
  del pooling
  return BertForTokenClassification(encoder, compute, num_classes=num_labels)


def losses(
  outputs: Mapping[str, Array],
  batch: Mapping[str, Array],
  *,
  label_smoothing: float = 0.0,
  focal_exponent: float = 0.0,
) -> Metrics:
  """Return the cross-entropy of the words' tags as `loss`, and `accuracy`."""
  return classification_losses(
    outputs["logits_BSC"],
    batch["tags_BS"],
    batch["weight_BS"],
    label_smoothing,
    focal_exponent,
  )


def weights(batch: Mapping[str, Array]) -> dict[str, Array]:
  """Return the weight of the words of a batch that have their tag there."""
  return {"loss": jnp.sum(batch["weight_BS"])}


def score(outputs: Batch, windows: Windows) -> Scores:
  """Return scores of entities and words, over all examples.

  `f1`, `precision` and `recall` are seqeval's, shares of whole entities, and
  `macro_f1` is the mean of the types. `accuracy` is the share of words with
  the right tag, and `invalid` that of predicted entities which the scheme of
  the labels does not allow.
  """
  logits_WC, tags_W = class_logits(outputs, windows)
  predicted, true = _sequences(outputs, windows)
  found = entities.entity_scores(entities.count_entities(predicted, true))
  return {
    "f1": found["f1"],
    "precision": found["precision"],
    "recall": found["recall"],
    "macro_f1": found["macro_f1"],
    "accuracy": float((logits_WC.argmax(axis=1) == tags_W).mean()),
    "invalid": _invalid_share(predicted, windows.labels),
    "loss": scores.cross_entropy(logits_WC, tags_W),
  }


def by_example(outputs: Batch, windows: Windows) -> dict[str, np.ndarray]:
  """Return how many entities each text has, is given, and rightly so."""
  found = [
    ({*entities.find_entities(true)}, {*entities.find_entities(predicted)})
    for predicted, true in zip(*_sequences(outputs, windows), strict=True)
  ]
  return {
    "wanted": np.asarray([len(wanted) for wanted, _ in found]),
    "given": np.asarray([len(given) for _, given in found]),
    "right": np.asarray([len(wanted & given) for wanted, given in found]),
  }


def class_names(labels: Sequence[str]) -> tuple[str, ...]:
  """Return the types of entities, sorted."""
  tags = [entities.parse_tag(label) for label in labels]
  outside = entities.OUTSIDE
  return tuple(sorted({tag.type for tag in tags if tag.prefix != outside}))


def count_classes(outputs: Batch, windows: Windows) -> ClassCounts:
  """Count the entities, the predicted and the right ones of each type."""
  found = entities.count_entities(*_sequences(outputs, windows))
  places = {name: place for place, name in enumerate(found.types)}
  return ClassCounts(
    *(
      tuple(
        counts[places[name]] if name in places else 0
        for name in class_names(windows.labels)
      )
      for counts in (
        found.counts.labels,
        found.counts.predictions,
        found.counts.right,
      )
    )
  )


def class_logits(
  outputs: Batch, windows: Windows
) -> tuple[np.ndarray, np.ndarray]:
  """Return the logits and the true tag of each word of all examples."""
  places = find_words(windows)
  at = places.window_W, places.place_W
  return outputs["logits_NSC"][at], windows["tags_NS"][at]


def answers(
  outputs: Batch,
  windows: Windows,
  labels: Sequence[str],
  tokens: Sequence[str],
) -> Sequence[Sequence[Answer]]:
  """Return the entities of each example, in order.

  Each tag of an entity has a probability, and their product is that of the
  entity. If labels are no tags of entities, the answer is the label of each
  word.
  """
  del tokens
  places = find_words(windows)
  logits_WC = outputs["logits_NSC"][places.window_W, places.place_W]
  tags = divide_labels(logits_WC.argmax(axis=1), places, labels)
  chances_W = scores.probabilities(logits_WC).max(axis=1)
  chances = np.split(chances_W, places.stop_E[:-1])
  return [
    list(_answers_of(*each))
    for each in zip(windows.examples, tags, chances, strict=True)
  ]


def _answers_of(
  example: Words, tags: Sequence[str], chances_W: np.ndarray
) -> Iterator[Answer]:
  try:
    spans = entities.find_entities(tags)
  except ValueError:
    spans = [entities.Entity(tag, at, at + 1) for at, tag in enumerate(tags)]
  for span in spans:
    first, last = span.start, span.stop - 1
    start = int(example.offsets_W2[first, 0])
    stop = int(example.offsets_W2[last, 1])
    chance = float(chances_W[span.start : span.stop].prod())
    text = example.text[start:stop]
    yield text, span.type, chance, first, last, start, stop


def analyze(outputs: Batch, windows: Windows) -> ErrorAnalysis:
  """Return the texts with most wrong entities, and types taken for types.

  A wrong entity is one that is missed, or given where there is none such.
  """
  given_E, wanted_E = (
    [entities.find_entities(tags) for tags in each]
    for each in _sequences(outputs, windows)
  )
  wrong_E = np.asarray(
    [
      len({*given} ^ {*wanted})
      for given, wanted in zip(given_E, wanted_E, strict=True)
    ]
  )
  examples: Sequence[Words] = windows.examples
  return ErrorAnalysis(
    Mistakes(
      "The texts with most wrong entities",
      count_wrong(wrong_E > 0, "texts"),
      ("wrong",),
      tuple(
        Mistake(
          (f"{wrong_E[number]:,}",),
          tuple(_show(examples[number], each) for each in wanted_E[number]),
          tuple(_show(examples[number], each) for each in given_E[number]),
          (examples[number].text,),
        )
        for number in find_worst(wrong_E, wrong_E > 0)
      ),
    ),
    _confuse(wanted_E, given_E, class_names(windows.labels)),
  )


def _show(example: Words, entity: entities.Entity) -> str:
  start = int(example.offsets_W2[entity.start, 0])
  stop = int(example.offsets_W2[entity.stop - 1, 1])
  return f"{example.text[start:stop]} ({entity.type})"


def _confuse(
  wanted_E: Sequence[Sequence[entities.Entity]],
  given_E: Sequence[Sequence[entities.Entity]],
  types: Sequence[str],
) -> Confusion:
  """Count types at the same words; elsewhere an entity meets nothing."""
  names = (*types, _NOTHING)
  places = {name: place for place, name in enumerate(names)}
  counts_CC = np.zeros((len(names), len(names)), np.int64)
  for wanted, given in zip(wanted_E, given_E, strict=True):
    by_words = [
      {entity[1:]: entity.type for entity in each} for each in (wanted, given)
    ]
    for words in {**by_words[0], **by_words[1]}:
      row, column = (places[each.get(words, _NOTHING)] for each in by_words)
      counts_CC[row, column] += 1
  return Confusion(
    names,
    counts_CC,
    "entities",
    "How often an entity (row) is given as one of another type at the same "
    f"words; one with other bounds is missed, and given for {_NOTHING}.",
  )


def _sequences(
  outputs: Batch, windows: Windows
) -> tuple[list[list[str]], list[list[str]]]:
  """Return the predicted and the true tags of each example."""
  places = find_words(windows)
  logits_WC, tags_W = class_logits(outputs, windows)
  predicted, true = (
    divide_labels(ids_W, places, windows.labels)
    for ids_W in (logits_WC.argmax(axis=1), tags_W)
  )
  return predicted, true


def _invalid_share(
  predicted: Sequence[Sequence[str]], labels: Sequence[str]
) -> float:
  """Return the share of entities that only the lenient reading has."""
  prefixes = {entities.parse_tag(label).prefix for label in labels}
  if not prefixes & {"B", "S"}:  # IO allows every sequence
    return 0.0
  reading = "BIOES" if prefixes & {"E", "S"} else "BIO"
  total = invalid = 0
  for tags in predicted:
    lenient = entities.find_entities(tags)
    total += len(lenient)
    invalid += len({*lenient} - {*entities.find_entities(tags, reading)})
  return invalid / max(total, 1)


TASK = FinetuneTask(
  name="tagging",
  verb="tag",
  architecture="BertForTokenClassification",
  pools=False,
  targets={
    "tags_BS": Feature("BS", "int32"),
    # The weight of the tag where a word has its own, 0 elsewhere.
    "weight_BS": Feature("BS", "float32"),
  },
  make_model=make_model,
  coefficients={"loss": 1.0},
  weights=weights,
  losses=losses,
  scores=score,
  count_classes=count_classes,
  class_names=class_names,
  metrics=("f1", "macro_f1", "precision", "recall", "accuracy"),
  columns={
    "dev F1": ("dev", "f1"),
    "test F1": ("test", "f1"),
    "test precision": ("test", "precision"),
    "test recall": ("test", "recall"),
    "test accuracy": ("test", "accuracy"),
  },
  answer_columns=(
    "entity",
    "type",
    "probability",
    "first_word",
    "last_word",
    "start",
    "stop",
  ),
  answers=answers,
  class_logits=class_logits,
  by_example=by_example,
  analyze=analyze,
  loss_options=("label_smoothing", "focal_exponent"),
)
