# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Entity-level precision, recall and F1 of tag sequences, as conlleval's.

A tag is O, or B, I, E or S with a type, as B-PER: the beginning, the inside,
the end of an entity, or a whole one of a single word (IO, BIO and BIOES). The
lenient reading makes an entity of every run of tags, also of one that no
scheme allows, such as I-PER after O. It is the default of seqeval and of
conlleval.pl (CoNLL 2000). The strict readings drop what a scheme forbids, as
seqeval does with mode="strict".
"""

import collections
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from bertjax.finetune.scores.checks import check_examples
from bertjax.finetune.scores.classes import ClassCounts

OUTSIDE = "O"
PREFIXES = "BIES"
Reading = Literal["lenient", "BIO", "BIOES"]


class Entity(NamedTuple):
  """An entity: its type, its first word, and the word after its last one."""

  type: str
  start: int
  stop: int


class Tag(NamedTuple):
  """A tag: one of O, B, I, E and S, and the type of the entity."""

  prefix: str
  type: str


@dataclasses.dataclass(frozen=True)
class EntityCounts:
  """How often each type of entity occurs, is predicted, and is right.

  Attributes:
    types: the types that occur or are predicted, sorted.
    counts: their entities; one is right if type, start and stop are.
  """

  types: tuple[str, ...]
  counts: ClassCounts


def parse_tag(tag: str) -> Tag:
  """Return the prefix and the type of a tag; a tag without a type has "_".

  Raises:
    ValueError: the tag has another form.
  """
  prefix, dash, type_ = tag.partition("-")
  if tag == OUTSIDE:
    return Tag(OUTSIDE, "_")
  if len(prefix) != 1 or prefix not in PREFIXES or (dash and not type_):
    raise ValueError(
      f"the tag {tag!r} is not {OUTSIDE}, nor B-, I-, E- or S- with a type; "
      "entities need tags such as B-PER"
    )
  return Tag(prefix, type_ or "_")


def find_entities(
  tags: Sequence[str], reading: Reading = "lenient"
) -> list[Entity]:
  """Return the entities of the tags of a text's words, in order.

  Args:
    tags: one tag for each word.
    reading: "lenient"; "BIO" wants B I…; "BIOES" wants B I… E, or S.

  Raises:
    ValueError: a tag is none.
  """
  return list(_READINGS[reading]([parse_tag(tag) for tag in tags]))


def count_entities(
  predictions: Sequence[Sequence[str]],
  answers: Sequence[Sequence[str]],
  reading: Reading = "lenient",
) -> EntityCounts:
  """Count the entities of texts, by type.

  Args:
    predictions: for each text, the predicted tag of each word.
    answers: for each text, the true tag of each word.
    reading: as `find_entities` takes it.

  Raises:
    ValueError: there is no text, or a text has another number of predicted
      tags than of true ones.
  """
  check_examples(predictions, answers)
  counts = [collections.Counter[str]() for _ in range(3)]
  for number, (predicted, true) in enumerate(
    zip(predictions, answers, strict=True)
  ):
    if len(predicted) != len(true):
      raise ValueError(
        f"text {number} has {len(predicted)} predicted tags and {len(true)} "
        "true ones; give one of each for each word"
      )
    found = set(find_entities(predicted, reading))
    wanted = set(find_entities(true, reading))
    for counter, entities in zip(
      counts, (wanted, found, wanted & found), strict=True
    ):
      counter.update(entity.type for entity in entities)
  types = tuple(sorted({*counts[0], *counts[1]}))
  return EntityCounts(
    types, ClassCounts(*(tuple(each[t] for t in types) for each in counts))
  )


def entity_scores(counts: EntityCounts) -> dict[str, float]:
  """Return precision, recall and F1 over all entities, and macro F1.

  A share of nothing is 0. Macro F1 is the mean F1 of the types.
  """
  labels, predictions, right = (
    sum(each)
    for each in (
      counts.counts.labels,
      counts.counts.predictions,
      counts.counts.right,
    )
  )
  by_type = [counts.counts.f1(index) for index in range(len(counts.types))]
  return {
    "precision": right / max(predictions, 1),
    "recall": right / max(labels, 1),
    "f1": counts.counts.micro_f1,
    "macro_f1": sum(by_type) / max(len(by_type), 1),
  }


def _lenient(tags: Sequence[Tag]) -> Iterator[Entity]:
  start = None
  before = Tag(OUTSIDE, "_")
  for place, tag in enumerate((*tags, Tag(OUTSIDE, "_"))):
    goes_on = (
      start is not None
      and tag.prefix in "IE"
      and before.prefix in "BI"
      and tag.type == before.type
    )
    if not goes_on:
      if start is not None:
        yield Entity(before.type, start, place)
      start = None if tag.prefix == OUTSIDE else place
    before = tag


def _bio(tags: Sequence[Tag]) -> Iterator[Entity]:
  for place, tag in enumerate(tags):
    if tag.prefix == "B":
      yield Entity(tag.type, place, _skip_inside(tags, place))


def _bioes(tags: Sequence[Tag]) -> Iterator[Entity]:
  for place, tag in enumerate(tags):
    if tag.prefix == "S":
      yield Entity(tag.type, place, place + 1)
    elif tag.prefix == "B":
      last = _skip_inside(tags, place)
      if last < len(tags) and tags[last] == ("E", tag.type):
        yield Entity(tag.type, place, last + 1)


def _skip_inside(tags: Sequence[Tag], place: int) -> int:
  """Return the place after the I tags that follow a B tag."""
  stop = place + 1
  while stop < len(tags) and tags[stop] == ("I", tags[place].type):
    stop += 1
  return stop


_READINGS: dict[Reading, Callable[[Sequence[Tag]], Iterator[Entity]]] = {
  "lenient": _lenient,
  "BIO": _bio,
  "BIOES": _bioes,
}
