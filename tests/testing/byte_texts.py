# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Texts of any characters that UTF-8 has."""

import random

from tests.testing.tokenizer_texts import HOSTILE, TEXTS

LEARNED = [
  *TEXTS,
  *["日本語のテキスト 漢字 テキスト naïve e\u0301te\u0301"] * 4,
  *["👩\u200d👩\u200d👧 👍🏽"] * 4,
]
# Characters that break tokenizers, and the runs that they come in.
_ODD = (
  *("\0", " ", "  ", "\t", "\n", "\r\n", "\x0b", "\x85", "\u00a0", "\u3000"),
  *("\u0301", "e\u0301", "\u0344", "한", "\u1112\u1161", "\u200d", "\ufeff"),
  *("👩\u200d👩\u200d👧", "🇩🇪", "\U0010ffff", "\ufffe", "Ġ", "Ċ", "▁", "##"),
  *("<s>", "</s>", "<mask>", "[MASK]", " <pad>", "'s", "n't", "3.14", "fox"),
)


def random_texts(count, seed=0):
  """Draw texts of odd runs and of any characters but surrogates."""
  draw = random.Random(seed)
  for _ in range(count):
    parts = []
    for _ in range(draw.randrange(12)):
      if draw.random() < 0.6:
        parts.append(draw.choice(_ODD))
      else:
        code = draw.choice((0x80, 0x800, 0xD800, 0x110000))
        code = draw.randrange(code)
        parts.append("?" if 0xD800 <= code < 0xE000 else chr(code))
    yield "".join(parts)


ANY = [*HOSTILE, *random_texts(300)]
