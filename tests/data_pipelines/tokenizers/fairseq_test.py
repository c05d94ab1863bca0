# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Models of fairseq have the ids that transformers gives them."""

import pytest

from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.fairseq import read_fairseq
from data_pipelines.tokenizers.metaspace import Metaspace
from data_pipelines.tokenizers.template import Template
from tests.testing.byte_texts import ANY
from tests.testing.metaspace_models import FAIRSEQ, fairseq_model, write_fairseq


@pytest.fixture(scope="module")
def model():
  return fairseq_model()


@pytest.mark.parametrize(
  ("kind", "first", "cls"),
  [
    ("xlm-roberta", ["<s>", "<pad>", "</s>", "<unk>"], 0),
    ("camembert", ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>"], 5),
  ],
)
def test_ids_are_those_of_transformers(kind, first, cls, model, tmp_path):
  transformers = pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )
  ours = tokenizers.load(write_fairseq(tmp_path, kind, model))
  assert isinstance(ours, Metaspace)
  assert ours.tokens[:4] == first
  assert ours.special_ids["pad"] == 1
  assert ours.template == Template.doubled(cls, cls + 1 + (cls == 0))
  name = "XLMRobertaTokenizer" if cls == 0 else "CamembertTokenizer"
  theirs = getattr(transformers, name).from_pretrained(tmp_path)
  assert len(theirs) == ours.vocab_size
  names = [ours.tokens[id_] for id_ in ours.special_ids.values()]
  texts = [t for t in ANY if not any(name in t for name in names)]
  for text, ids in zip(texts, ours.encode(texts), strict=True):
    expected = theirs(text, add_special_tokens=False)["input_ids"]
    assert ids.tolist() == expected, repr(text)
  a, b = ours.encode(["The fox", "the dog"])
  pair = theirs("The fox", "the dog")["input_ids"]
  assert pair == ours.template.join(a, b).tolist()


@pytest.mark.parametrize(
  "options",
  [{"model_type": "bpe", "vocab_size": 110}, {"unk_id": 3, "bos_id": 0}, None],
)
def test_another_model_is_one_line(options, tmp_path):
  file = tmp_path / FAIRSEQ
  if options is None:
    file.write_bytes(b"nonsense")
  else:
    file.write_bytes(fairseq_model(**options))
  with pytest.raises(ValueError, match="begins with <unk> <s> </s>, as XLM-R"):
    read_fairseq(file, is_camembert=False)
