# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Names of a tokenizer's files in Hugging Face's format, and of their keys."""

TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
SPECIALS_FILE = "special_tokens_map.json"
# Tokens that were added to a vocabulary, as transformers before 5 wrote them.
ADDED_FILE = "added_tokens.json"

# Names of a rule in tokenizer_config.json, in tokenizer.json, and in `Rules`.
RULES = (
  ("do_lower_case", "lowercase", "lowercase"),
  ("strip_accents", "strip_accents", "strip_accents"),
  ("tokenize_chinese_chars", "handle_chinese_chars", "split_ideographs"),
  ("clean_text", "clean_text", "clean"),
)
NORMALIZATION = "normalization"  # only bertjax writes it
ACCENTS = "keep_accents"  # of SentencePiece
# Of the model in tokenizer.json; only bertjax also writes it beside the rules.
LIMIT = "max_input_chars_per_word"
