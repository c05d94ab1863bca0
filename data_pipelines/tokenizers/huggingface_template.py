# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The post_processor of a tokenizer.json: special tokens around texts."""

from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import processors

from data_pipelines.tokenizers.template import Template


def make_processor(
  template: Template, tokens: Sequence[str], *, prefix_space: bool = False
) -> processors.PostProcessor:
  """Return the processor of the library that does what a template says.

  Args:
    template: the special tokens around texts.
    tokens: text of each token, by id.
    prefix_space: whether a text that begins without a space gets one, which
      `RobertaProcessing` must know to tell where tokens stand.
  """
  cls_id, sep_id = template.first[0], template.last[-1]
  if template == Template.doubled(cls_id, sep_id):
    return processors.RobertaProcessing(
      (tokens[sep_id], sep_id),
      (tokens[cls_id], cls_id),
      trim_offsets=True,
      add_prefix_space=prefix_space,
    )
  first = [tokens[id_] for id_ in template.first]
  between = [tokens[id_] for id_ in template.between]
  last = [tokens[id_] for id_ in template.last]
  kind = template.second_type
  second = [f"$B:{kind}", *(f"{token}:{kind}" for token in last)]
  return processors.TemplateProcessing(
    single=[*first, "$A", *last],
    pair=[*first, "$A", *between, *second],
    special_tokens=[
      (tokens[id_], id_)
      for id_ in dict.fromkeys(
        (*template.first, *template.between, *template.last)
      )
    ],
  )


def other_frame(
  processor: Any, tokens: Sequence[str], specials: Mapping[Any, int]
) -> str:
  """Return what is wrong with a processor that frames texts in another way.

  Args:
    processor: its JSON object.
    tokens: text of each token, by id.
    specials: ids of the special tokens, as `Tokenizer.special_ids`.
  """
  cls, sep = (tokens[specials[name]] for name in ("cls", "sep"))
  return (
    f"its post_processor {processor.get('type')} does not make {cls} A {sep} B "
    f"{sep} with types 0 and 1, as BERT's rows are"
  )


def read_template(processor: Any, ids: Mapping[str, int]) -> Template | None:
  """Return the template of a post_processor; None where no template does so.

  Args:
    processor: its JSON object.
    ids: the id of each token.
  """
  kind = processor.get("type")
  if kind == "Sequence":
    steps = [
      step
      for step in processor.get("processors") or ()
      if step.get("type") != "ByteLevel"  # it only moves offsets
    ]
    return read_template(steps[0], ids) if len(steps) == 1 else None
  if kind in ("BertProcessing", "RobertaProcessing"):
    cls, sep = processor.get("cls"), processor.get("sep")
    if not all(_is_known(token, ids) for token in (cls, sep)):
      return None
    is_bert = kind == "BertProcessing"
    make = Template.of_bert if is_bert else Template.doubled
    return make(cls[1], sep[1])
  if kind != "TemplateProcessing":
    return None
  used = processor.get("special_tokens") or {}
  if any(each.get("ids") != [ids.get(name)] for name, each in used.items()):
    return None
  return _from_parts(
    _parts(processor.get("single")), _parts(processor.get("pair")), ids
  )


def _is_known(token: Any, ids: Mapping[str, int]) -> bool:
  return (
    isinstance(token, list)
    and len(token) == 2
    and ids.get(str(token[0])) == token[1]
  )


def _parts(template: Any) -> list[tuple[str, str, int]]:
  """Return kind, name and type of each part."""
  return [
    (kind, part[kind]["id"], part[kind]["type_id"])
    for part in template or ()
    for kind in part
  ]


def _from_parts(
  single: list[tuple[str, str, int]],
  pair: list[tuple[str, str, int]],
  ids: Mapping[str, int],
) -> Template | None:
  """Return the template whose parts these are."""
  names = [name if kind == "Sequence" else "" for kind, name, _ in pair]
  if names.count("A") != 1 or names.count("B") != 1:
    return None
  a, b = names.index("A"), names.index("B")
  specials = [name for kind, name, _ in pair if kind == "SpecialToken"]
  if not 0 < a < b < len(pair) - 1 or not all(n in ids for n in specials):
    return None
  found = Template(
    tuple(ids[name] for _, name, _ in pair[:a]),
    tuple(ids[name] for _, name, _ in pair[a + 1 : b]),
    tuple(ids[name] for _, name, _ in pair[b + 1 :]),
    pair[b][2],
  )
  types = [0] * b + [found.second_type] * (len(pair) - b)
  alone = [(k, n, 0) for k, n, _ in (*pair[: a + 1], *pair[b + 1 :])]
  fits = [kind for _, _, kind in pair] == types and single == alone
  return found if fits else None
