# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The objective of pre-training, and the format of its rows."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Literal

from bertjax.config.fields import (
  Above,
  AtLeast,
  AtMost,
  Below,
  ReadWhen,
  Share,
  choices,
)

# The input formats whose rows hold two segments, A and B.
PAIR_FORMATS = ("segment_pair", "sentence_pair")

# What each label of a pair means, by `next_sentence`: "next" (B continues A),
# "swapped" (A continues B), "random" (B is from another document).
PAIR_CLASSES: Mapping[str, tuple[str, ...]] = {
  "off": (),
  "nsp": ("next", "random"),
  "sop": ("next", "swapped"),
}

# A share of the tokens of an example that are masked.
MaskRate = Annotated[float, Above(0), Below(1)]


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig:
  """Losses, input format and masking of pre-training.

  `next_sentence="off"` with a pair format means that B is always the true
  continuation; `next_sentence_weight=0` keeps the rows of nsp and drops its
  loss.
  """

  next_sentence: Literal["off", "nsp", "sop"] = "nsp"
  next_sentence_weight: Annotated[
    float,
    AtLeast(0),
    ReadWhen(
      "{}next_sentence=nsp or sop", lambda own, _: own.next_sentence != "off"
    ),
  ] = 1.0
  input_format: Literal[
    "segment_pair", "sentence_pair", "full_sentences", "doc_sentences"
  ] = "segment_pair"
  mask_rate: MaskRate = 0.15
  # The unit of masking: a token; a word (whole-word masking,
  # google-research/bert of 2019-05-31); a span of words (SpanBERT, Joshi et
  # al., 2020); an n-gram of words (ALBERT, Lan et al., 2020).
  mask_unit: Literal["token", "word", "span", "ngram"] = "token"
  # The most words of an n-gram; n words are 1/n as likely as one.
  max_ngram: Annotated[
    int,
    AtLeast(1),
    AtMost(10),
    ReadWhen("{}mask_unit=ngram", lambda own, _: own.mask_unit == "ngram"),
  ] = 3
  # Shares of the chosen positions that become [MASK] or a random token; the
  # others keep their token.
  mask_token_rate: Share = 0.8
  random_token_rate: Share = 0.1
  # The source of random tokens: "ordinary" leaves out special tokens and unused
  # entries of the vocabulary; "all" includes them, as the original does.
  random_tokens: Annotated[
    Literal["ordinary", "all"],
    ReadWhen(
      "{}random_token_rate above 0", lambda own, _: own.random_token_rate > 0
    ),
  ] = "ordinary"
  # Share that is cut to a random shorter length (Google's short_seq_prob): of
  # the documents with segment_pair, of the examples without pairs.
  short_rate: Annotated[
    Share,
    ReadWhen(
      "another {}input_format than sentence_pair",
      lambda own, _: own.input_format != "sentence_pair",
    ),
  ] = 0.1
  # Static masking: the corpus is taken in so many copies, and epochs cycle over
  # them, so that examples and masks repeat (`dupe_factor` of google-research/
  # bert; BERT and RoBERTa's table 1 have 10). 0 is dynamic: every epoch has
  # examples and masks of its own.
  static_copies: Annotated[int, AtLeast(0)] = 0


assert set(PAIR_CLASSES) == set(choices(ObjectiveConfig, "next_sentence"))
