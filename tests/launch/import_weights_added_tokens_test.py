# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A token that users added to an imported model stays a token."""

import pytest

from bertjax.config import FinetuneConfig, TaskConfig
from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare
from data_pipelines.store.store import open_store
from data_pipelines.tokenizers import tokenizers
from launch import export, finetune, import_weights, predict
from tests.testing import small
from tests.testing.exports import make_bundle
from tests.testing.tokenizer_folders import CONFIG, change


@pytest.mark.full
def test_an_added_token_stays_in_stores_and_fine_tuned_models(tmp_path):
  foreign = export.run(
    bundle=make_bundle(tmp_path / "bundle"), output=tmp_path / "foreign"
  )
  change(foreign / CONFIG, additional_special_tokens=["[E1]"])
  path = str(import_weights.run(source=foreign, output=tmp_path / "made"))
  made = tokenizers.load(path)
  assert (made.tokens[-1], made.is_special(len(made.tokens) - 1)) == (
    "[E1]",
    True,
  )
  texts = [(f"[E1] {text}", label) for text, label in small.make_texts(40, 0)]
  config = FinetuneConfig(
    steps=2,
    batch_size=8,
    evaluation_batch_size=16,
    evaluations=1,
    seq_length=16,
    learning_rates=(1e-3,),
    seeds=1,
    task=TaskConfig(
      kind="table", train=small.write_table(tmp_path / "t.jsonl", texts)
    ),
  )
  finetune.run(config, path, str(tmp_path / "run"))
  model = tmp_path / "run" / "model"
  out = export.run(bundle=model, output=tmp_path / "hf")
  onnx = export.run(bundle=model, output=tmp_path / "onnx", format="onnx")
  for folder in (model, out, onnx):
    assert tokenizers.load(folder).sha256 == made.sha256
  with_it, without = (
    predict.answer(str(model), [text])[0] for text in ("[E1] an elm", "an elm")
  )
  assert with_it != without
  documents = tmp_path / "documents.txt"
  documents.write_text("The cod[E1] swims. An elm grows.\n\nA fir.\n\n" * 40)
  prepare(
    Options(
      corpus=str(documents),
      output=str(tmp_path / "store"),
      tokenizer=path,
      documents="blank_line",
      validation="0",
      workers=1,
    )
  )
  store = open_store(tmp_path / "store")
  assert tokenizers.load(tmp_path / "store").sha256 == made.sha256
  assert store.token_counts()[len(made.tokens) - 1] > 0
