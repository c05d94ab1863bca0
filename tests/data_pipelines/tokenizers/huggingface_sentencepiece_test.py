# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""SentencePiece models with the files of transformers beside them."""

import json
import pickle

import pytest
from tokenizers import Tokenizer

from data_pipelines.tokenizers.huggingface_import import load_huggingface
from data_pipelines.tokenizers.template import Template
from tests.testing.sentencepiece_models import learn_sentencepiece
from tests.testing.tokenizer_folders import FAST, change
from tests.testing.tokenizer_texts import TEXTS


def roberta_frame(spm):
  cls, sep = ([spm.tokens[id_], id_] for id_ in (spm.cls_id, spm.sep_id))
  return {"type": "RobertaProcessing", "cls": cls, "sep": sep}


def test_another_frame_is_kept(spm, tmp_path):
  """Rows have the special tokens that a model was trained with."""
  spm.save(tmp_path)
  fields = {"trim_offsets": True, "add_prefix_space": False}
  change(tmp_path / FAST, post_processor={**roberta_frame(spm), **fields})
  framed = load_huggingface(tmp_path)
  assert framed.template == Template.doubled(spm.cls_id, spm.sep_id)
  assert framed.sha256 != spm.sha256
  framed.save(tmp_path / "again")
  for again in (
    load_huggingface(tmp_path / "again"),
    pickle.loads(pickle.dumps(framed)),
  ):
    assert again.sha256 == framed.sha256
    assert again.template == framed.template
  a, b = framed.encode(["the fox", "the dog"])
  theirs = Tokenizer.from_file(str(tmp_path / "again" / FAST))
  pair = theirs.encode("the fox", "the dog")
  assert pair.ids == framed.template.join(a, b).tolist()


def test_berts_frame_changes_no_identity(spm, tmp_path):
  spm.save(tmp_path)
  assert load_huggingface(tmp_path).sha256 == spm.sha256
  (tmp_path / FAST).unlink()
  assert load_huggingface(tmp_path).sha256 == spm.sha256


def test_a_cls_behind_the_text_is_refused(spm, tmp_path):
  """XLNet's rows end in it."""
  spm.save(tmp_path)
  content = json.loads((tmp_path / FAST).read_text())
  processor = content["post_processor"]
  for parts in (processor["single"], processor["pair"]):
    parts.append(parts.pop(0))
  change(tmp_path / FAST, post_processor=processor)
  with pytest.raises(ValueError, match="TemplateProcessing does not make"):
    load_huggingface(tmp_path)


def test_a_frame_that_could_not_be_written_is_refused(tmp_path):
  spm = learn_sentencepiece(TEXTS, model_type="word", vocab_size=30)
  assert spm.export_obstacle
  spm.save(tmp_path)
  content = {"model": {}, "post_processor": roberta_frame(spm)}
  (tmp_path / FAST).write_text(json.dumps(content))
  with pytest.raises(ValueError, match="rows are, and it is neither a unigram"):
    load_huggingface(tmp_path)


def test_two_files_agree_on_the_tokens(spm, tmp_path):
  """As fairseq counts them, ids of the model are others."""
  spm.save(tmp_path)
  content = json.loads((tmp_path / FAST).read_text())
  vocabulary = content["model"]["vocab"]
  vocabulary[5], vocabulary[6] = vocabulary[6], vocabulary[5]
  (tmp_path / FAST).write_text(json.dumps(content))
  with pytest.raises(ValueError, match=r"model and tokenizer.json have differ"):
    load_huggingface(tmp_path)
