# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the card of an ONNX folder says about its head, and the lines to run."""

from collections.abc import Mapping
from typing import NamedTuple

from bertjax.config import ModelConfig
from bertjax.interop.architectures import (
  CLASSIFICATION,
  ENCODER,
  MULTIPLE_CHOICE,
  QUESTION_ANSWERING,
  TOKEN_CLASSIFICATION,
)
from bertjax.interop.families.registry import family_of
from bertjax.interop.outputs import MULTI_LABEL, REGRESSION, SINGLE_LABEL

_UNKNOWN_MEAN = ", which no class of transformers computes"


def pooling_of_windows(settings: Mapping[str, float]) -> str:
  """Return how the windows of a long text are pooled: mean, max or attention.

  Args:
    settings: those of a head; "" if it pools no windows.
  """
  if settings.get("pool_attention"):
    return "attention"
  if "pool_max" not in settings:
    return ""
  return "max" if settings["pool_max"] else "mean"


def pooling_words(pooling: str, model: ModelConfig) -> str:
  """Return what logits of a sequence are made from, as a phrase.

  Args:
    pooling: how an example becomes one vector.
    model: shape of the encoder, which tells its family.
  """
  if pooling == "cls":
    return "the pooled [CLS]"
  known = "" if family_of(model).pooling else _UNKNOWN_MEAN
  return f"the mean over the tokens{known}"


class Kind(NamedTuple):
  """Texts of the card for one class of transformers.

  Attributes:
    pipeline: the hub's name for what the model does.
    outputs: what it gives.
    decisions: what is compared between graphs.
    usage: Python that uses `session`, `rows` and `inputs`.
    texts: texts of the usage, if they are not one or two texts, or pairs.
  """

  pipeline: str
  outputs: str
  decisions: str
  usage: str
  texts: str = ""


_NAMES = """\
names = json.loads(pathlib.Path("config.json").read_bytes())["id2label"]
"""
LOGITS = """\
logits = session.run(["logits"], inputs)[0]
"""
_SEQUENCES = "`logits`, one for each of {count} labels, from {pooling}"
# By class of transformers and problem type.
KINDS = {
  (ENCODER, ""): Kind(
    "feature-extraction",
    "`last_hidden_state`, a vector for each token{pooler}",
    "",
    """\
hidden = session.run(["last_hidden_state"], inputs)[0]
""",
  ),
  (CLASSIFICATION, SINGLE_LABEL): Kind(
    "text-classification",
    _SEQUENCES,
    "labels of texts",
    f"""\
{LOGITS}{_NAMES}\
print([names[str(label)] for label in logits.argmax(axis=-1)])
""",
  ),
  (CLASSIFICATION, MULTI_LABEL): Kind(
    "text-classification",
    _SEQUENCES,
    "sets of labels of texts",
    f"""\
{LOGITS}{_NAMES}\
for chances in 1 / (1 + np.exp(-logits)):
  print({{names[str(i)]: f"{{each:.1%}}" for i, each in enumerate(chances)}})
""",
  ),
  (CLASSIFICATION, REGRESSION): Kind(
    "text-classification",
    "`logits`, the score of a text, from {pooling}",
    "",
    f"""\
{LOGITS}\
print(logits[:, 0])
""",
  ),
  (MULTIPLE_CHOICE, ""): Kind(
    "multiple-choice",
    "`logits`, one for each choice of an example",
    "",
    """\
# The choices of one example: inputs have an axis of examples before them.
inputs = {name: array[None] for name, array in inputs.items()}
logits = session.run(["logits"], inputs)[0]
print(logits.argmax(axis=-1))
""",
    '("Some text.", "One choice."), ("Some text.", "Another.")',
  ),
  (TOKEN_CLASSIFICATION, ""): Kind(
    "token-classification",
    "`logits`, one for each token and each of {count} labels",
    "labels of tokens",
    f"""\
{LOGITS}{_NAMES}\
for row, labels in zip(rows, logits.argmax(axis=-1)):
  print(row.tokens, [names[str(label)] for label in labels])
""",
  ),
  (QUESTION_ANSWERING, ""): Kind(
    "question-answering",
    "`start_logits` and `end_logits`, one for each token",
    "answers",
    """\
starts, ends = session.run(["start_logits", "end_logits"], inputs)
for row, start, end in zip(rows, starts.argmax(-1), ends.argmax(-1)):
  print(tokenizer.decode(row.ids[start : end + 1]))
""",
  ),
}
