# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the card of a model says about its class: what it is, how to load it."""

from typing import NamedTuple

from bertjax.config import ModelConfig
from bertjax.finetune.task import Head
from bertjax.interop.architectures import (
  CLASSIFICATION,
  MULTIPLE_CHOICE,
  QUESTION_ANSWERING,
  TOKEN_CLASSIFICATION,
)
from bertjax.interop.families.registry import family_of
from bertjax.interop.outputs import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from bertjax.interop.sentence_transformers import Pooling


class Kind(NamedTuple):
  """Texts of the card for one kind of model.

  Attributes:
    pipeline: the hub's name for what the model does.
    library: the hub's name for the library that loads it.
    summary: what the model is.
    usage: Python that loads it from the folder of the card and uses it.
  """

  pipeline: str
  library: str
  summary: str
  usage: str


def of_transformers(head: Head | None, model: ModelConfig) -> Kind:
  """Return the kind of a folder for transformers.

  Args:
    head: the head; None is pre-trained.
    model: shape of the encoder, which tells its family.
  """
  name = encoder_name(model)
  if head is None:
    summary = _PRETRAINED if model.pooler else _MASKED_LM
    summary = summary.format(encoder=name)
    return _kind("fill-mask", "AutoModelForMaskedLM", summary, _FILL_MASK)
  pipeline, auto, summary, usage = _HEADS[
    head.architecture, head.outputs.problem_type
  ]
  what = "pairs of texts" if head.pair else "texts"
  text = '"One text.", "Another."' if head.pair else '"Some text."'
  return _kind(
    pipeline,
    auto,
    summary.format(encoder=name, count=len(head.labels), what=what),
    # Not by `format`, because the code has braces.
    usage.replace("{text}", text),
  )


def of_sentences(pooling: Pooling, model: ModelConfig, longest: int) -> Kind:
  """Return the kind of a folder for sentence-transformers.

  Args:
    pooling: how a text becomes one vector.
    model: shape of the encoder, whose width is the number of its values.
    longest: tokens to which a text is cut.
  """
  source = _VECTORS[pooling.name]
  if pooling.pooler is not None:
    source += ", through the pooler that was trained with a head"
  if pooling.normalize:
    source += ", divided by its length"
  summary = (
    f"{encoder_name(model)} that gives a text {model.hidden_size} numbers: "
    f"{source}. Texts are cut to {longest} tokens. It has no head."
  )
  return Kind(
    "sentence-similarity", "sentence-transformers", summary, _SENTENCES
  )


def encoder_name(model: ModelConfig) -> str:
  """Return the encoder's family as a phrase, such as "A BERT encoder"."""
  title = family_of(model).title
  return f"{'An' if title.startswith('A') else 'A'} {title} encoder"


def _kind(pipeline: str, auto: str, summary: str, usage: str) -> Kind:
  code = _LOAD.format(auto=auto) + usage
  return Kind(pipeline, "transformers", summary, code)


_VECTORS = {
  "cls": "the last hidden state of [CLS]",
  "mean": "the mean of the last hidden states",
  "max": "the maximum of the last hidden states",
}
_SENTENCES = """\
from sentence_transformers import SentenceTransformer

folder = "."  # the folder of this file
model = SentenceTransformer(folder)
vectors = model.encode(["Some text.", "Another text."])
print(model.similarity(vectors, vectors))
"""
_LOAD = """\
from transformers import {auto}, AutoTokenizer

folder = "."  # the folder of this file
tokenizer = AutoTokenizer.from_pretrained(folder)
model = {auto}.from_pretrained(folder)
"""
_MASKED_LM = """\
{encoder} with its masked-LM head. `AutoModel` reads the encoder alone."""
_PRETRAINED = """\
{encoder} with its masked-LM and sentence-pair heads. `AutoModel` reads the
encoder alone, and `AutoModelForPreTraining` both heads."""
_FILL_MASK = """\
text = f"Some {tokenizer.mask_token} text."
inputs = tokenizer(text, truncation=True, return_tensors="pt")
masked = inputs["input_ids"] == tokenizer.mask_token_id
# The word table may have more rows than there are tokens.
logits = model(**inputs).logits[masked][:, : len(tokenizer)]
print(tokenizer.decode(logits.argmax(-1)))
"""
_SEQUENCES = "text-classification", "AutoModelForSequenceClassification"
# By class of transformers and problem type: the hub's name, the class that
# loads it, the summary and the code.
_HEADS = {
  (CLASSIFICATION, SINGLE_LABEL): (
    *_SEQUENCES,
    "{encoder} that classifies {what} into {count} labels.",
    """\
inputs = tokenizer({text}, truncation=True, return_tensors="pt")
label = model(**inputs).logits.argmax(-1).item()
print(model.config.id2label[label])
""",
  ),
  (CLASSIFICATION, MULTI_LABEL): (
    *_SEQUENCES,
    "{encoder} that gives {what} any of {count} labels.",
    """\
inputs = tokenizer({text}, truncation=True, return_tensors="pt")
for label, chance in enumerate(model(**inputs).logits.sigmoid()[0].tolist()):
  print(model.config.id2label[label], f"{chance:.1%}")
""",
  ),
  (CLASSIFICATION, REGRESSION): (
    *_SEQUENCES,
    "{encoder} that gives {what} a score.",
    """\
inputs = tokenizer({text}, truncation=True, return_tensors="pt")
print(model(**inputs).logits.item())
""",
  ),
  (TOKEN_CLASSIFICATION, ""): (
    "token-classification",
    "AutoModelForTokenClassification",
    "{encoder} that gives tokens {count} labels.",
    """\
inputs = tokenizer("Some text.", truncation=True, return_tensors="pt")
labels = model(**inputs).logits.argmax(-1)[0].tolist()
print([model.config.id2label[label] for label in labels])
""",
  ),
  (QUESTION_ANSWERING, ""): (
    "question-answering",
    "AutoModelForQuestionAnswering",
    "{encoder} that finds the answer in a text.",
    """\
texts = "A question?", "A text with its answer."
inputs = tokenizer(*texts, truncation=True, return_tensors="pt")
outputs = model(**inputs)
first = outputs.start_logits.argmax(-1).item()
last = outputs.end_logits.argmax(-1).item()
print(tokenizer.decode(inputs["input_ids"][0, first : last + 1]))
""",
  ),
  (MULTIPLE_CHOICE, ""): (
    "multiple-choice",
    "AutoModelForMultipleChoice",
    "{encoder} that chooses one of several endings of a text.",
    """\
choices = ["It rains.", "It snows."]
inputs = tokenizer(
  ["Some text."] * len(choices),
  choices,
  truncation=True,
  padding=True,
  return_tensors="pt",
)
batch = {name: array.unsqueeze(0) for name, array in inputs.items()}
print(choices[model(**batch).logits.argmax(-1).item()])
""",
  ),
}
