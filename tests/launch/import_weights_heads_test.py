# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Heads of fine-tuning, out to a folder of transformers and back."""

import json

import pytest
from safetensors.numpy import load_file, save_file

from bertjax.checkpoints import bundle as bundles
from bertjax.finetune.artifact import load_finetuned
from bertjax.finetune.task import Head
from data_pipelines.tokenizers import tokenizers
from launch import export, import_weights, predict
from launch.tasks import TASKS
from tests.testing import small
from tests.testing.exports import HEADS, make_head

MULTI = "multi_label_classification"
CLASSES = {
  "single_label": "BertForSequenceClassification",
  "multi_label": "BertForSequenceClassification",
  "score": "BertForSequenceClassification",
  "tokens": "BertForTokenClassification",
  "answers": "BertForQuestionAnswering",
  "choice": "BertForMultipleChoice",
}


def change(path, **fields):
  path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def head_of(bundle):
  task = bundles.read_bundle_info(bundle).details.task
  assert task is not None
  return Head(**task)


@pytest.fixture(params=HEADS, name="name")
def _name(request):
  return request.param


@pytest.fixture(name="bundle")
def _bundle(name, tmp_path):
  return make_head(tmp_path / name, name)


def test_a_head_goes_there_and_back(name, bundle, tmp_path):
  folder = export.run(bundle=bundle, output=tmp_path / "hf")
  config = json.loads((folder / "config.json").read_text())
  assert config["architectures"] == [CLASSES[name]]
  path = import_weights.run(source=folder, output=tmp_path / "back")
  ours, theirs = map(bundles.read_bundle_info, (bundle, path))
  assert ours.leaves == theirs.leaves  # the digests of every bit
  assert ours.details.task == theirs.details.task
  # Of a copy without a record, config.json says what the outputs mean.
  (folder / "bertjax.json").unlink()
  path = import_weights.run(source=folder, output=tmp_path / "foreign")
  assert bundles.read_bundle_info(path).leaves == ours.leaves
  head = head_of(path)
  assert (head.architecture, head.outputs, head.pooling) == (
    CLASSES[name],
    HEADS[name].outputs,
    HEADS[name].pooling,
  )


def test_a_head_without_a_task_is_not_taken_for_another(name, bundle):
  """Such as a score for the logits of two classes."""
  if name == "single_label":
    assert load_finetuned(bundle, TASKS).task.name == "classification"
    return
  known = {"classification": TASKS["classification"]}
  with pytest.raises(ValueError, match=r"launch\.export converts it") as told:
    load_finetuned(bundle, known)
  assert CLASSES[name] in str(told.value)
  assert "\n" not in str(told.value)


def test_a_config_that_was_changed_makes_another_task(tmp_path):
  bundle = make_head(tmp_path / "bundle", "single_label")
  folder = export.run(bundle=bundle, output=tmp_path / "hf")
  change(folder / "config.json", problem_type="multi_label_classification")
  path = import_weights.run(source=folder, output=tmp_path / "back")
  head = head_of(path)
  assert head.problem_type == "multi_label_classification"
  assert (head.task, head.temperature) == ("", None)


def test_a_regressor_of_one_class_says_nothing_of_its_problem(tmp_path):
  """As in the configs of published rerankers."""
  bundle = make_head(tmp_path / "bundle", "score")
  folder = export.run(bundle=bundle, output=tmp_path / "hf")
  (folder / "bertjax.json").unlink()
  activation = {"activation_fn": "torch.nn.modules.linear.Identity"}
  change(
    folder / "config.json", problem_type=None, sentence_transformers=activation
  )
  path = import_weights.run(source=folder, output=tmp_path / "back")
  assert head_of(path).problem_type == "regression"


@pytest.mark.parametrize(
  ("kind", "fields", "outputs"),
  [
    ("SequenceClassification", {"num_labels": 3}, (3, "single_label")),
    ("SequenceClassification", {"num_labels": 1}, (0, "regression")),
    (
      "SequenceClassification",
      {"num_labels": 4, "problem_type": MULTI},
      (4, MULTI),
    ),
    (
      "SequenceClassification",
      {"num_labels": 1, "problem_type": MULTI},
      (1, MULTI),
    ),
    ("TokenClassification", {"num_labels": 5}, (5, "")),
    ("MultipleChoice", {"num_labels": 4}, (0, "")),
  ],
)
def test_a_head_that_transformers_wrote_is_the_same_again(
  kind, fields, outputs, tmp_path
):
  torch = pytest.importorskip("torch")
  transformers = pytest.importorskip("transformers")
  make = getattr(transformers, f"BertFor{kind}")
  torch.manual_seed(0)
  sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
  config = transformers.BertConfig(
    vocab_size=len(small.TOKENS), intermediate_size=48, **sizes, **fields
  )
  theirs = make(config)
  theirs.save_pretrained(tmp_path / "hf")
  transformers.BertTokenizer(
    {token: id_ for id_, token in enumerate(small.TOKENS)}
  ).save_pretrained(tmp_path / "hf")
  path = import_weights.run(source=tmp_path / "hf", output=tmp_path / "back")
  head = head_of(path)
  assert len(head.labels) == outputs[0]
  assert head.outputs.problem_type.startswith(outputs[1])
  again, report = make.from_pretrained(
    export.run(bundle=path, output=tmp_path / "again"), output_loading_info=True
  )
  assert not any(report.values()), report
  state = again.state_dict()
  for name, tensor in theirs.state_dict().items():
    assert torch.equal(state[name], tensor), name
  if outputs[0]:
    assert again.config.id2label == theirs.config.id2label


def test_a_number_of_labels_is_enough(tmp_path):
  bundle = make_head(tmp_path / "bundle", "tokens")
  folder = export.run(bundle=bundle, output=tmp_path / "hf")
  change(folder / "config.json", id2label=None, label2id=None, num_labels=3)
  path = import_weights.run(source=folder, output=tmp_path / "back")
  assert head_of(path).labels == ["LABEL_0", "LABEL_1", "LABEL_2"]
  change(folder / "config.json", num_labels=None)
  with pytest.raises(
    ValueError, match=r"has shape \(3, 32\); the model has \(2.*num_labels"
  ):
    import_weights.run(source=folder, output=tmp_path / "two")


def test_names_inside_of_a_wrapper_are_read(tmp_path):
  bundle = make_head(tmp_path / "bundle", "choice")
  folder = export.run(bundle=bundle, output=tmp_path / "hf")
  weights = folder / "model.safetensors"
  tensors = load_file(weights)
  save_file(
    {f"module.{name}": array for name, array in tensors.items()}, weights
  )
  path = import_weights.run(source=folder, output=tmp_path / "back")
  ours, theirs = map(bundles.read_bundle_info, (bundle, path))
  assert ours.leaves == theirs.leaves
  save_file({f"my.{name}": array for name, array in tensors.items()}, weights)
  with pytest.raises(
    ValueError, match=r"unknown: \['my.bert.*take 'my.' off the"
  ) as told:
    import_weights.run(source=folder, output=tmp_path / "other")
  assert "\n" not in str(told.value)


def test_tokens_that_were_added_are_left_out_where_it_is_asked(
  tmp_path, caplog
):
  bundle = make_head(tmp_path / "bundle", "tokens")
  folder = export.run(bundle=bundle, output=tmp_path / "hf")
  with pytest.raises(ValueError, match=r"has no added tokens; leave the flag"):
    import_weights.run(
      source=folder, output=tmp_path / "back", drop_added_tokens=True
    )
  path = folder / "tokenizer_config.json"
  change(path, additional_special_tokens=["[E1]", "[E2]"])
  with caplog.at_level("WARNING"):
    made = import_weights.run(
      source=folder, output=tmp_path / "back", drop_added_tokens=True
    )
  assert "left out: the added tokens [E1] [E2] of" in caplog.text
  ours, theirs = map(bundles.read_bundle_info, (bundle, made))
  assert ours.leaves == theirs.leaves
  hashes = [
    tokenizers.load(info.tokenizer_path).sha256 for info in (ours, theirs)
  ]
  assert hashes[0] == hashes[1]


def test_a_rate_of_a_head_that_is_not_kept_is_named(tmp_path, caplog):
  bundle = make_head(tmp_path / "bundle", "tokens")
  folder = export.run(bundle=bundle, output=tmp_path / "hf")
  for rate in (0.1, 0.375):
    change(folder / "config.json", classifier_dropout=rate)
    import_weights.run(source=folder, output=tmp_path / "back")
    assert (f"classifier_dropout={rate} of" in caplog.text) == (rate == 0.375)


def test_tokens_that_do_not_fit_are_named_or_left_out(tmp_path, caplog):
  bundle = make_head(tmp_path / "bundle", "tokens")
  folder = export.run(bundle=bundle, output=tmp_path / "hf")
  (folder / "tokenizer.json").unlink()
  (folder / "added_tokens.json").write_text('{"[E1]": 30}')
  with pytest.raises(ValueError, match=r"'\[E1\]' has id 30.* id 22;") as told:
    import_weights.run(source=folder, output=tmp_path / "back")
  assert str(told.value).endswith("leave them out with --drop_added_tokens")
  assert "\n" not in str(told.value)
  with caplog.at_level("WARNING"):
    made = import_weights.run(
      source=folder, output=tmp_path / "back", drop_added_tokens=True
    )
  assert "left out: added tokens, of which this is known: " in caplog.text
  info = bundles.read_bundle_info(made)
  assert tokenizers.load(info.tokenizer_path).added == ()
  numbers = {f"[E{number}]": 22 + number for number in range(11)}
  (folder / "added_tokens.json").write_text(json.dumps(numbers))
  with pytest.raises(
    ValueError,
    match=r"33 tokens and the word table 32 rows;"
    ".*resize_token_embeddings",
  ) as told:
    import_weights.run(source=folder, output=tmp_path / "other")
  assert "\n" not in str(told.value)


@pytest.fixture(name="widened")
def _widened(tmp_path):
  """A classifier of transformers, with a special and an ordinary token more."""
  torch = pytest.importorskip("torch")
  transformers = pytest.importorskip("transformers")
  bundle = make_head(tmp_path / "bundle", "single_label")
  folder = export.run(bundle=bundle, output=tmp_path / "hf")
  tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
  model = transformers.AutoModelForSequenceClassification.from_pretrained(
    folder
  )
  tokenizer.add_special_tokens({"additional_special_tokens": ["[E1]"]})
  tokenizer.add_tokens(["newword"])
  torch.manual_seed(0)
  model.resize_token_embeddings(len(tokenizer))
  model.save_pretrained(tmp_path / "wide")
  tokenizer.save_pretrained(tmp_path / "wide")
  return tmp_path / "wide"


def test_tokens_that_transformers_added_are_read_as_it_reads_them(
  widened, tmp_path
):
  transformers = pytest.importorskip("transformers")
  texts = ["[E1] the cod", "the newword[E1]", "NEWWORDs, [E1][E1]", "the cod"]
  made = import_weights.run(source=widened, output=tmp_path / "back")
  info = bundles.read_bundle_info(made)
  assert info.model.vocab_size == 24
  tokenizer = tokenizers.load(info.tokenizer_path)
  assert tokenizer.tokens[22:] == ["[E1]", "newword"]
  assert tokenizer.vocabulary().special_V[22:].tolist() == [True, False]
  out = export.run(bundle=made, output=tmp_path / "out")
  ours = predict.answer(str(made), texts, top_k=9)
  for folder in (widened, out):
    read = transformers.AutoTokenizer.from_pretrained(folder)
    expected = read(texts, add_special_tokens=False)["input_ids"]
    found = tokenizer.encode(texts)
    assert [ids.tolist() for ids in found] == expected
    pipeline = transformers.pipeline("text-classification", model=str(folder))
    for text, answers in zip(texts, ours, strict=True):
      scores = {x["label"]: x["score"] for x in pipeline(text, top_k=9)}
      assert len(scores) == len(answers)
      for answer in answers:
        assert scores[answer[0]] == pytest.approx(answer[1], abs=1e-5)
