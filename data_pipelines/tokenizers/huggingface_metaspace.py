# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read tokenizers that write a space as "▁" from transformers' files."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from tokenizers import Tokenizer as Backend

from data_pipelines.tokenizers import huggingface_keys as keys
from data_pipelines.tokenizers.fairseq import FAIRSEQ_FILE, read_fairseq
from data_pipelines.tokenizers.huggingface_byte_bpe import split_merges
from data_pipelines.tokenizers.huggingface_files import (
  list_tokens,
  read_contents,
  read_object,
)
from data_pipelines.tokenizers.huggingface_names import (
  CONFIG_FILE,
  SPECIALS_FILE,
  TOKENIZER_FILE,
)
from data_pipelines.tokenizers.huggingface_specials import (
  Contents,
  mask_takes_space,
  read_named,
)
from data_pipelines.tokenizers.metaspace import STEPS, Metaspace, Pieces


def is_metaspace(content: Mapping[str, Any]) -> bool:
  """Return whether a tokenizer.json has a unigram model, or BPE with bytes."""
  model = content.get("model") or {}
  cutter = content.get("pre_tokenizer") or {}
  if model.get("type") == "BPE":
    return (
      bool(model.get("byte_fallback")) and cutter.get("type") != "ByteLevel"
    )
  return model.get("type") == "Unigram"


def load_metaspace(
  path: pathlib.Path, *, drop_added: bool = False
) -> Metaspace:
  """Read such a tokenizer, and the JSON files beside it.

  Args:
    path: a tokenizer.json, or a sentencepiece.bpe.model of XLM-R or CamemBERT.
    drop_added: whether to leave out tokens that were added to the vocabulary:
      where a text has one, it is cut like any other word.

  Raises:
    ValueError: a special token is missing, the files contradict each other, or
      they ask for something that is not done here.
  """
  root, origin = path.parent, str(path)
  contents: Contents = read_contents(root)
  if path.name == FAIRSEQ_FILE:
    content = read_fairseq(path, is_camembert=_is_camembert(contents, root))
    contents = {**contents, TOKENIZER_FILE: content}
  _check(contents, root, origin)
  content = contents[TOKENIZER_FILE]
  model = _model(content["model"], origin)
  words = _words(model, origin)
  named = read_named(contents, words, path, drop_added=drop_added)
  unknown = model.get("unk_token")
  if model["type"] == "Unigram":
    unknown = words[model["unk_id"]]
  if unknown != named.specials[1]:
    raise ValueError(
      f"{origin}: the unknown token of its model is {unknown} and that of the "
      f"folder {named.specials[1]}; make them agree"
    )
  return Metaspace(
    Pieces(
      tokens=named.tokens,
      steps=_steps(content, origin),
      model=json.dumps(model, sort_keys=True, ensure_ascii=False),
      specials=named.specials,
      template=named.template,
      mask_takes_space=mask_takes_space(
        contents, named.specials[4], usual=False
      ),
      added=named.added,
    ),
    origin=origin,
  )


def _is_camembert(contents: Contents, root: pathlib.Path) -> bool:
  named = contents[CONFIG_FILE].get("tokenizer_class")
  if named is None:
    named = read_object(root / "config.json").get("model_type")
  return str(named).lower().startswith("camembert")


def _check(contents: Contents, root: pathlib.Path, origin: str) -> None:
  """Refuse what is not done here."""
  content = contents[TOKENIZER_FILE]
  keys.check_keys(TOKENIZER_FILE, content, origin)
  keys.check_keys("metaspace model", content["model"], origin)
  for part in ("truncation", "padding"):
    keys.check_keys(part, content.get(part) or {}, origin)
  keys.check_keys(
    keys.METASPACE_CONFIG, contents[CONFIG_FILE], str(root / CONFIG_FILE)
  )
  keys.check_keys(
    SPECIALS_FILE, contents[SPECIALS_FILE], str(root / SPECIALS_FILE)
  )


def _model(given: Mapping[str, Any], origin: str) -> dict[str, Any]:
  """Return a model without what it says of nothing."""
  model: dict[str, Any] = {
    key: value
    for key, value in given.items()
    if value not in (None, False, "", 0.0) or key == "unk_id"
  }
  if "merges" in model:
    model["merges"] = split_merges(model["merges"], origin)
  return model


def _words(model: Mapping[str, Any], origin: str) -> list[str]:
  """Return the vocabulary of a model."""
  vocabulary = model.get("vocab")
  if model["type"] == "BPE":
    return list_tokens(vocabulary, origin)
  words = [
    entry[0]
    for entry in vocabulary or ()
    if isinstance(entry, list | tuple) and len(entry) == 2
  ]
  unknown = model.get("unk_id")
  if type(unknown) is not int or not 0 <= unknown < len(words):
    raise ValueError(
      f"{origin}: its unigram model has no token with unk_id={unknown}; write "
      "it again with save_pretrained of transformers"
    )
  return words


def _steps(content: Mapping[str, Any], origin: str) -> str:
  """Return the steps around the model as the library writes them."""
  small = {
    "version": "1.0",
    "added_tokens": [],
    "model": {"type": "BPE", "vocab": {}, "merges": []},
    **{step: content.get(step) for step in STEPS},
  }
  try:
    made = json.loads(Backend.from_str(json.dumps(small)).to_str())
  except Exception as error:  # the library has no class of its own
    raise ValueError(
      f"{origin}: `tokenizers` cannot read its {', '.join(STEPS)} ({error}); "
      "write it again with save_pretrained of transformers"
    ) from None
  return json.dumps(
    {step: made[step] for step in STEPS}, sort_keys=True, ensure_ascii=False
  )
