# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Small tokenizers in the layouts of XLM-R, CamemBERT and Gemma."""

import json

from tokenizers import (
  Tokenizer,
  decoders,
  models,
  normalizers,
  pre_tokenizers,
  processors,
  trainers,
)

from tests.testing.byte_texts import LEARNED
from tests.testing.sentencepiece_models import train_model

FAIRSEQ = "sentencepiece.bpe.model"
GEMMA_FIRST = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
# Gemma's are in its vocabulary.
GEMMA_ADDED = ("<unused0>", "\n", "\n\n", "<table>")


def fairseq_model(texts=LEARNED, **options):
  """Return a model of SentencePiece as fairseq has it learned."""
  return train_model(
    texts,
    **{
      **dict(normalization_rule_name="nmt_nfkc", vocab_size=110),
      **dict(unk_id=0, bos_id=1, eos_id=2, pad_id=-1, control_symbols=[]),
      **options,
    },
  )


def write_fairseq(folder, model_type, model=None):
  """Write a folder as those of XLM-R and CamemBERT are, without a JSON."""
  folder.mkdir(parents=True, exist_ok=True)
  (folder / FAIRSEQ).write_bytes(model or fairseq_model())
  names = {"xlm-roberta": "XLMRobertaTokenizer"}
  config = {
    "tokenizer_class": names.get(model_type, "CamembertTokenizer"),
    "mask_token": {
      "__type": "AddedToken",
      **dict(content="<mask>", lstrip=True, normalized=True),
      **dict(rstrip=False, single_word=False),
    },
  }
  (folder / "tokenizer_config.json").write_text(json.dumps(config))
  return folder


def _learn_pairs(texts):
  backend = Tokenizer(models.BPE())
  backend.normalizer = normalizers.Replace(" ", "▁")
  backend.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
  trainer = trainers.BpeTrainer(vocab_size=250, show_progress=False)
  backend.train_from_iterator(texts, trainer)
  model = json.loads(backend.to_str())["model"]
  tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
  return tokens, [tuple(pair) for pair in model["merges"]]


def gemma(texts=LEARNED):
  """Return a tokenizer of the library with Gemma's layout."""
  tokens, merges = _learn_pairs([text.replace("日", "") for text in texts])
  before = [*GEMMA_FIRST, *GEMMA_ADDED, *(f"<0x{b:02X}>" for b in range(256))]
  known = set(before)
  words = [*before, *(token for token in tokens if token not in known)]
  ids = {token: id_ for id_, token in enumerate(words)}
  backend = Tokenizer(
    models.BPE(
      ids, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True
    )
  )
  backend.normalizer = normalizers.Replace(" ", "▁")
  backend.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
  backend.decoder = decoders.Sequence(
    [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
  )
  backend.post_processor = processors.TemplateProcessing(
    single=["<bos>", "$A", "<eos>"],
    pair=["<bos>", "$A", "<eos>", "$B", "<eos>"],
    special_tokens=[("<bos>", 2), ("<eos>", 1)],
  )
  backend.add_special_tokens([*GEMMA_FIRST])
  backend.add_tokens([*GEMMA_ADDED])
  return backend


def write_gemma(folder):
  """Write a folder as mmBERT's is, and return the library's tokenizer."""
  folder.mkdir(parents=True, exist_ok=True)
  backend = gemma()
  backend.save(str(folder / "tokenizer.json"))
  config = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    **dict(bos_token="<bos>", eos_token="<eos>", unk_token="<unk>"),
    **dict(pad_token="<pad>", mask_token="<mask>"),
    **dict(cls_token="<bos>", sep_token="<eos>"),
  }
  (folder / "tokenizer_config.json").write_text(json.dumps(config))
  return backend
