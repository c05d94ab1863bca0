# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Texts that tokenizers are compared on, and what they are compared with."""

# Kinds of tokenizers that are of no family alone.
GENERAL = ("wordpiece", "sentencepiece", "sentencepiece_bpe")
TEXTS = [
  "The quick brown fox jumps over the lazy dog, again and again.",
  "Cafés serve “naïve” résumés — don’t they? (Yes: 3.14!)",
  "Unbelievable! Tokenization of tokenizers tokenizes tokens.",
] * 4
ODD = [
  "",
  " ",
  "\n",
  "two\nlines and\ttabs\r\nhere",
  "[MASK] [CLS][SEP] [PAD]and[UNK] ##ing",
  "soft\u00adhyphen zero\u200bwidth nul\0 bell\x07rings dele\x7fted",
  "form\x0cfeed vertical\x0btab \x1cfile\x1dsep\x85nel",
  "日本語のテキスト and 漢字kanji，。！",
  "≮ \u037e \u1fef \u0387 e\u0301 !\u0301 \u0301x ﬁne Ⅸ İstanbul ΣΑΣ ß",
  "a b\u2003c\u3000d\u2028e\u2029f \ufeffbom \ufffdreplaced",
  "x" * 99 + " " + "y" * 150 + " " + "z" * 201 + "-tail",
  "emoji 👩‍👩‍👧 🇩🇪 नमस्ते العربية ไทย 𝔘𝔫𝔦",
  "“quoted”—dash–dash…ellipsis‘single’ ¿qué? ¡sí! «g» §5 ¶ a·b don’t",
]
HOSTILE = [
  *ODD,
  "Ame\u0301lie AME\u0301LIE Zu\u0308rich o\u0308\u0332\u0301x \u0344a A\u030a",
  "ẛ̣ ǆ ǅ Ǆ ﬀ ﷺ ½ ① ™ K Å Ω ﹏ ＡＢＣ！ ｶﾞ ガ 가 각 \u1100\u1161\u11a8",
  "一二three四 x\u3400y \U00020000z \u9fff\ua000 \uf900 \u2f00 々〆〇 ｱ日",
  "nul\x00 bell\x07 esc\x1b[0m del\x7f c1\x80\x9f nbsp\u00a0 shy\u00ad",
  "zwsp\u200b zwnj\u200c zwj\u200d lrm\u200e rlo\u202eab\u202c wj\u2060 \ufeff",
  "a\u180eb a\u1680b a\u2000b a\u200ab a\u202fb a\u205fb \u3000b \u2028\u2029b",
  "👍🏽 👩🏿‍🚀 🏳️‍🌈 ☃︎ ❤️ 5️⃣ 🇫🇷 a😀b 😀! \U0001f9d1\u200d\U0001f4bb",
  "[MASK][MASK] [mask] [ MASK ] ##[MASK] [UNK]known [CLS]. [unused1] [PAD",
  "pre-fix re—set don't $5.00 a_b c^d `e` 1/2 100% #tag @you ~n | x&y <br/>",
  "×÷±€£¥©®°¬ ←→∑∞≤ ¿¡«»‹› ‐‑‒–—― ‘’‚‛“”„ †‡•‣․‥… ‰′″ ⁂⁄⁅⁆ 、。〃「」",
  "\ufffd\ufffd a\ufffdb \ufffe \uffff \u0378",
  *(f"{c * n} {c * n}." for c in "ax¡é漢Σ가" for n in (99, 100, 101, 200, 201)),
  "e\u0301" * 200 + " " + "e\u0301" * 201 + " " + "\u0301" * 300 + "a",
  "가" * 66 + " " + "가" * 67 + " " + "각" * 66 + " " + "각" * 67,
]


def library_ids(tokenizer, texts):
  """Ids that Hugging Face `tokenizers` gives."""
  encodings = tokenizer.make_backend().encode_batch(
    list(texts), add_special_tokens=False
  )
  return [encoding.ids for encoding in encodings]


def assert_equals_library(tokenizer, texts):
  ours = tokenizer.encode(texts)
  for text, ids, expected in zip(
    texts, ours, library_ids(tokenizer, texts), strict=True
  ):
    assert ids.tolist() == expected, repr(text)
