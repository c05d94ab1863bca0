# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the outputs of a head mean ↔ the fields of `config.json` that say it.

transformers takes the loss of `BertForSequenceClassification` from
`problem_type`. Without the field, one output is a score, and more are classes
of which one is right (modeling_bert.py, `BertForSequenceClassification`).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from bertjax.interop.architectures import CLASSIFICATION, TOKEN_CLASSIFICATION

SINGLE_LABEL = "single_label_classification"
MULTI_LABEL = "multi_label_classification"
REGRESSION = "regression"
PROBLEM_TYPES = (SINGLE_LABEL, MULTI_LABEL, REGRESSION)


class Outputs(NamedTuple):
  """What the outputs of a head mean.

  Attributes:
    labels: name of each class; empty where outputs are not classes.
    problem_type: one of PROBLEM_TYPES for `BertForSequenceClassification`, ""
      for other classes.
  """

  labels: tuple[str, ...] = ()
  problem_type: str = ""

  @property
  def size(self) -> int:
    """Number of outputs of a classifier."""
    return 1 if self.problem_type == REGRESSION else len(self.labels)


NONE = Outputs()  # of a model without a head, or whose outputs need no names


def to_mapping(outputs: Outputs) -> dict[str, Any]:
  """Return the fields of `config.json`."""
  labels = outputs.labels
  if outputs.problem_type == REGRESSION:
    labels = labels[:1] or ("LABEL_0",)
  fields: dict[str, Any] = {}
  if labels:
    fields["id2label"] = {str(id_): name for id_, name in enumerate(labels)}
    fields["label2id"] = {name: id_ for id_, name in enumerate(labels)}
  if outputs.problem_type:
    fields["problem_type"] = outputs.problem_type
  return fields


def from_mapping(mapping: Mapping[str, Any], architecture: str) -> Outputs:
  """Read what the outputs of a class of transformers mean.

  Args:
    mapping: content of `config.json`.
    architecture: class of transformers.

  Raises:
    ValueError: ids with gaps, a name twice, another number of labels than
      `num_labels`, or a problem that does not fit the number.
  """
  if architecture == TOKEN_CLASSIFICATION:
    return Outputs(_labels(mapping))
  if architecture != CLASSIFICATION:
    return Outputs()
  labels = _labels(mapping)
  given = mapping.get("problem_type")
  problem = given or (SINGLE_LABEL if len(labels) > 1 else REGRESSION)
  if problem not in PROBLEM_TYPES:
    raise ValueError(
      f"problem_type={problem!r}; give one of {', '.join(PROBLEM_TYPES)}"
    )
  if problem == SINGLE_LABEL and len(labels) < 2:
    raise ValueError(
      f"problem_type={problem} with one label; give {REGRESSION} for a score, "
      f"or {MULTI_LABEL} for a label that may be absent"
    )
  if problem == REGRESSION and len(labels) > 1:
    raise ValueError(
      f"problem_type={problem} with {len(labels)} outputs; only one score can "
      "be read"
    )
  return Outputs(() if problem == REGRESSION else labels, problem)


def _labels(mapping: Mapping[str, Any]) -> tuple[str, ...]:
  count = mapping.get("num_labels")
  if count is not None and (type(count) is not int or count < 1):
    raise ValueError(f"num_labels={count!r}; give the number of labels")
  names = mapping.get("id2label")
  if not names:
    # The default of transformers.
    return tuple(f"LABEL_{id_}" for id_ in range(count or 2))
  try:
    by_id = {int(id_): str(name) for id_, name in names.items()}
  except (AttributeError, ValueError):
    raise ValueError(f"id2label={names!r}; give a name for each id") from None
  labels = tuple(by_id[id_] for id_ in sorted(by_id))
  if sorted(by_id) != list(range(len(labels))):
    raise ValueError(f"id2label has ids {sorted(by_id)}; give 0, 1 and so on")
  if len(set(labels)) < len(labels):
    raise ValueError(
      f"id2label={names!r} has a name twice; give distinct names"
    )
  if count is not None and count != len(labels):
    raise ValueError(
      f"num_labels={count} and id2label has {len(labels)} names; make them "
      "agree"
    )
  return labels
