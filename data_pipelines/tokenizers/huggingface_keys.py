# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What each key of a tokenizer's files in Hugging Face's format may say.

A key is honored (`RULES` and the vocabulary), or may only say what is done
here (`FIXED`), or changes no id (`WITHOUT_EFFECT`). A key in none of these
tables is refused by its name, because ids that differ from those of the
weights would be noticed by nobody. [CLS] and so on in the text itself, as in
"a [MASK] b", are plain text here, so keys about them are without effect.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from data_pipelines.tokenizers.added_tokens import AddedTokensError
from data_pipelines.tokenizers.byte_bpe import ByteBPE
from data_pipelines.tokenizers.huggingface_names import (
  ACCENTS,
  ADDED_FILE,
  CONFIG_FILE,
  LIMIT,
  NORMALIZATION,
  RULES,
  SPECIALS_FILE,
  TOKENIZER_FILE,
)
from data_pipelines.tokenizers.kinds import KINDS, kinds_of
from data_pipelines.tokenizers.sentencepiece_model import SentencePiece

# The same file beside a byte-level BPE.
BYTE_CONFIG = f"byte-level {CONFIG_FILE}"
# The same file beside a tokenizer that writes a space as "▁".
METASPACE_CONFIG = f"metaspace {CONFIG_FILE}"


_SENTENCEPIECE = [
  KINDS[kind].tokenizer.own_class for kind in kinds_of(SentencePiece.name)
]
# Classes of transformers that cut text as BERT's does, that are those of a kind
# of SentencePiece, or that do whatever tokenizer.json says.
_SLOW = (
  *("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer"),
  *("MobileBertTokenizer", "ConvBertTokenizer", "LayoutLMTokenizer"),
  *filter(None, _SENTENCEPIECE),
  "PreTrainedTokenizer",
)
_CLASSES = (*_SLOW, *(f"{name}Fast" for name in _SLOW), "TokenizersBackend")
_SPECIALS = ("unk", "sep", "pad", "cls", "mask", "bos", "eos")
# Lists of special tokens beside those: in transformers before 5, and in 5.
LISTS = ("additional_special_tokens", "extra_special_tokens")
_ADDED = (*LISTS, "added_tokens_decoder")
# Whether special tokens in a text are cut as words are.
SPLIT = "split_special_tokens"

# Keys of tokenizer_config.json that change no id.
_IDLE = frozenset(
  {
    *("backend", "chat_template", "clean_up_tokenization_spaces"),
    *("full_tokenizer_file", "is_local", "legacy", "local_files_only"),
    *("max_len", "max_length", "model_max_length", "model_input_names"),
    *("name_or_path", "pad_to_multiple_of", "processor_class"),
    *("special_tokens_map_file", "stride"),
    *("tokenizer_file", "truncation_strategy", "use_fast", "vocab_file"),
    *("errors", "spaces_between_special_tokens", "verbose", "vocab_size"),
  }
)
# Part of a file → key → the values that it may have. None and an absent key
# are always allowed.
FIXED: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
  CONFIG_FILE: {
    "tokenizer_class": _CLASSES,
    "do_basic_tokenize": (True,),
    "never_split": ([],),
    "wordpieces_prefix": ("##",),
    "padding_side": ("right",),
    "truncation_side": ("right",),
    "pad_token_type_id": (0,),
    # As SentencePiece models have them.
    "remove_space": (True,),
    "add_prefix_space": (True,),
    "sp_model_kwargs": ({},),
  },
  SPECIALS_FILE: {},
  TOKENIZER_FILE: {},
  "model": {
    "type": ("WordPiece",),
    "unk_token": ("[UNK]",),
    "continuing_subword_prefix": ("##",),
  },
  "normalizer": {"type": ("BertNormalizer",)},
  "pre_tokenizer": {"type": ("BertPreTokenizer",)},
  BYTE_CONFIG: {
    "tokenizer_class": (
      *(ByteBPE.own_class, f"{ByteBPE.own_class}Fast"),
      *("TokenizersBackend", "PreTrainedTokenizerFast"),
    ),
    "do_lower_case": (False,),
    "padding_side": ("right",),
    "truncation_side": ("right",),
    "pad_token_type_id": (0,),
  },
  METASPACE_CONFIG: {
    "tokenizer_class": (
      *("XLMRobertaTokenizer", "XLMRobertaTokenizerFast"),
      *("CamembertTokenizer", "CamembertTokenizerFast"),
      *("GemmaTokenizer", "GemmaTokenizerFast"),
      *("TokenizersBackend", "PreTrainedTokenizerFast"),
    ),
    "do_lower_case": (False,),
    "padding_side": ("right",),
    "truncation_side": ("right",),
    "pad_token_type_id": (0,),
    "add_prefix_space": (True,),
    "add_bos_token": (True,),
    "add_eos_token": (True,),
    "sp_model_kwargs": ({},),
  },
  "metaspace model": {"type": ("Unigram", "BPE"), "dropout": (0.0,)},
  "BPE model": {
    "type": ("BPE",),
    "dropout": (0.0,),
    "continuing_subword_prefix": ("",),
    "end_of_word_suffix": ("",),
    "ignore_merges": (False,),
  },
  "byte-level normalizer": {"type": ("NFC", "NFKC", "None")},
  "byte-level pre_tokenizer": {"type": ("ByteLevel",), "use_regex": (True,)},
  "truncation": {"direction": ("Right",)},
  "padding": {"direction": ("Right",), "pad_type_id": (0,)},
}
# Part of a file → keys that change no id: they are about decoding, special
# tokens within a text, lengths, which commands set, or files and versions.
WITHOUT_EFFECT: Mapping[str, frozenset[str]] = {
  CONFIG_FILE: _IDLE,
  BYTE_CONFIG: _IDLE | {"trim_offsets"},
  METASPACE_CONFIG: _IDLE | {"trim_offsets", "use_default_system_prompt"},
  "metaspace model": frozenset(),
  SPECIALS_FILE: frozenset(),
  TOKENIZER_FILE: frozenset({"version", "decoder"}),
  "model": frozenset(),
  "normalizer": frozenset(),
  "pre_tokenizer": frozenset(),
  # All bytes are known, so that no token is unknown.
  "BPE model": frozenset({"unk_token", "fuse_unk", "byte_fallback"}),
  "byte-level normalizer": frozenset(),
  "byte-level pre_tokenizer": frozenset({"trim_offsets"}),
  "truncation": frozenset({"max_length", "strategy", "stride"}),
  "padding": frozenset(
    {"strategy", "pad_to_multiple_of", "pad_id", "pad_token"}
  ),
}
# Part of a file → keys that `huggingface_import` reads.
HONORED: Mapping[str, frozenset[str]] = {
  CONFIG_FILE: frozenset(
    {
      *(left for left, _, _ in RULES),
      *(NORMALIZATION, LIMIT, SPLIT, ACCENTS),
      *(f"{name}_token" for name in _SPECIALS),
      *_ADDED,
    }
  ),
  SPECIALS_FILE: frozenset({*(f"{name}_token" for name in _SPECIALS), *_ADDED}),
  METASPACE_CONFIG: frozenset(
    {SPLIT, *(f"{name}_token" for name in _SPECIALS), *_ADDED}
  ),
  # What a part of its tokenizer.json says, the library does.
  "metaspace model": frozenset(
    {
      *("vocab", "unk_id", "byte_fallback", "merges", "unk_token"),
      *("fuse_unk", "ignore_merges"),
      *("continuing_subword_prefix", "end_of_word_suffix"),
    }
  ),
  TOKENIZER_FILE: frozenset(
    {"model", "normalizer", "pre_tokenizer", "post_processor"}
    | {"added_tokens", "truncation", "padding"}
  ),
  "model": frozenset({"vocab", LIMIT}),
  "normalizer": frozenset(right for _, right, _ in RULES),
  "pre_tokenizer": frozenset(),
  BYTE_CONFIG: frozenset(
    {
      *("add_prefix_space", SPLIT),
      *(f"{name}_token" for name in _SPECIALS),
      *_ADDED,
    }
  ),
  "BPE model": frozenset({"vocab", "merges"}),
  "byte-level normalizer": frozenset(),
  "byte-level pre_tokenizer": frozenset({"add_prefix_space"}),
  "truncation": frozenset(),
  "padding": frozenset(),
}


def check_keys(part: str, values: Mapping[str, Any], origin: str) -> None:
  """Refuse keys that are unknown, or that ask for something else.

  Args:
    part: key of the tables above.
    values: what the part says.
    origin: file and part, for messages.

  Raises:
    ValueError: names the key, its value, and what is allowed.
  """
  fixed, idle = FIXED[part], WITHOUT_EFFECT[part]
  for key in values:
    value = values[key]
    if key in fixed:
      if value is not None and value not in fixed[key]:
        raise ValueError(
          f"{origin}: {_name(part, key)} is {value}; only "
          f"{_listed(fixed[key])} can be read"
        )
    elif key not in HONORED[part] | idle:
      raise ValueError(
        f"{origin}: nothing is known about {_name(part, key)}={value!r}; "
        "remove the key if it changes no token"
      )


def check_special_tokens(
  values: Mapping[str, Any], names: Mapping[str, str], origin: str
) -> None:
  """Refuse special tokens with other names.

  Args:
    values: the content of tokenizer_config.json or special_tokens_map.json.
    names: "cls_token" and so on → the token.
    origin: the file, for messages.

  Raises:
    ValueError: names the token and what it should be.
  """
  boundaries = {"bos_token": "cls_token", "eos_token": "sep_token"}
  for key in (f"{name}_token" for name in _SPECIALS):
    found, ours = _content(values.get(key)), names[boundaries.get(key, key)]
    if found is not None and found != ours:
      raise ValueError(
        f"{origin}: {key} is {found}; the special token of this vocabulary is "
        f"{ours}"
      )


def check_added(
  files: Mapping[str, Mapping[str, Any]], specials: Iterable[str], origin: str
) -> None:
  """Refuse added tokens, where they cannot be matched before words are cut.

  Args:
    files: name of a file → its content.
    specials: names of special tokens, which do not count.
    origin: the folder, for messages.

  Raises:
    AddedTokensError: names the tokens.
  """
  added = {*files[ADDED_FILE]}
  added |= {
    str(_content(token))
    for token in files[TOKENIZER_FILE].get("added_tokens") or ()
  }
  for values in files.values():
    added |= {*_added(values)}
  others = sorted(added - set(specials))
  if others:
    raise AddedTokensError(
      f"the tokenizer of {origin} matches {' '.join(others)} before it splits "
      "words, which is not supported for SentencePiece; remove them from its "
      "added tokens"
    )


def _added(values: Mapping[str, Any]) -> list[str]:
  found: list[str] = []
  for key in _ADDED:
    listed = values.get(key) or ()
    tokens = listed.values() if isinstance(listed, Mapping) else listed
    found += [str(_content(token)) for token in tokens]
  return found


def _content(token: Any) -> Any:
  """Return the text of a token, which may be an object with properties."""
  return token.get("content") if isinstance(token, Mapping) else token


def _name(part: str, key: str) -> str:
  return key if part.endswith(".json") else f"{part} {key}"


def _listed(allowed: tuple[Any, ...]) -> str:
  return " or ".join(str(value) for value in allowed)
