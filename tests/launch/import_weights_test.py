# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""From a Hugging Face directory to a bundle, and all the way round."""

import dataclasses
import functools
import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bertjax.checkpoints import bundle as bundles
from bertjax.config import FinetuneConfig, TaskConfig
from bertjax.finetune.artifact import load_finetuned
from bertjax.interop.huggingface import from_huggingface
from launch import export, finetune, import_weights, predict
from launch.tasks import TASKS
from tests.testing import small
from tests.testing.commands import run_command
from tests.testing.exports import make_bundle, make_classifier, snippet
from tests.testing.huggingface_models import LABELS

load = functools.partial(load_finetuned, tasks=TASKS)

HEADS = ("mlm_head", "pair_head")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  return tmp_path_factory.mktemp("import")


@pytest.fixture(scope="module")
def bundle(place):
  return make_bundle(place / "bundle")


@pytest.fixture(scope="module")
def exported(place, bundle):
  return export.run(bundle=bundle, output=place / "hf")


@pytest.fixture
def foreign(exported, tmp_path):
  """A copy that may be spoilt, and of which nothing is known."""
  folder = tmp_path / "foreign"
  folder.mkdir()
  for path in exported.iterdir():
    if path.name != "bertjax.json":
      (folder / path.name).write_bytes(path.read_bytes())
  return folder


def change(path, **fields):
  path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def change_weights(folder, change):
  tensors = load_file(folder / "model.safetensors")
  change(tensors)
  save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_there_and_back_is_the_same_bundle(bundle, exported, tmp_path):
  path = import_weights.run(source=exported, output=tmp_path / "back")
  ours, theirs = map(bundles.read_bundle_info, (bundle, path))
  assert ours.leaves == theirs.leaves  # the digests of every bit
  assert ours.model == theirs.model
  source = theirs.details.source
  assert source is not None
  assert source["folder"] == exported.name
  assert theirs.details.tokenizer_sha256
  assert ours.details == dataclasses.replace(
    theirs.details, source=None, tokenizer_sha256="", written_by=""
  )
  assert not theirs.details.pooler_trained
  again = export.run(bundle=path, output=tmp_path / "again")
  for name in ("model.safetensors", "config.json", "tokenizer.json"):
    one, other = (root / name for root in (exported, again))
    assert one.read_bytes() == other.read_bytes()


def test_a_foreign_bundle_fills_masks(bundle, foreign, tmp_path):
  path = str(import_weights.run(source=foreign, output=tmp_path / "made"))
  info = bundles.read_bundle_info(path)
  assert info.details.pooler_trained
  assert info.details.step is None
  text = "the [MASK] by the river"
  assert predict.fill_mask(path, text) == predict.fill_mask(bundle, text)


@pytest.mark.full
def test_a_foreign_bundle_is_fine_tuned(foreign, tmp_path):
  path = str(import_weights.run(source=foreign, output=tmp_path / "made"))
  table = small.write_table(tmp_path / "t.jsonl", small.make_texts(40, 0))
  config = FinetuneConfig(
    steps=2,
    batch_size=8,
    evaluation_batch_size=16,
    evaluations=1,
    seq_length=16,
    learning_rates=(1e-3,),
    seeds=1,
    task=TaskConfig(kind="table", train=table),
  )
  results = finetune.run(config, path, str(tmp_path / "run"))
  assert results.labels == ("fish", "tree")
  out = export.run(bundle=tmp_path / "run" / "model", output=tmp_path / "hf")
  back = import_weights.run(source=out, output=tmp_path / "back")
  texts = ["the cod by the river"]
  assert predict.answer(str(back), texts) == predict.answer(
    str(tmp_path / "run" / "model"), texts
  )


def test_a_directory_of_transformers_is_imported(tmp_path):
  torch = pytest.importorskip("torch")
  transformers = pytest.importorskip("transformers")
  torch.manual_seed(0)
  config = transformers.BertConfig(
    vocab_size=len(small.TOKENS),
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
    max_position_embeddings=16,
    hidden_act="gelu_pytorch_tanh",
  )
  theirs = transformers.BertForPreTraining(config).to(torch.bfloat16)
  theirs.save_pretrained(tmp_path / "hf", max_shard_size="20KB")
  transformers.BertTokenizer(
    {piece: id_ for id_, piece in enumerate(small.TOKENS)}
  ).save_pretrained(tmp_path / "hf")
  assert not (tmp_path / "hf" / "model.safetensors").exists()
  assert not (tmp_path / "hf" / "vocab.txt").exists()
  path = import_weights.run(source=tmp_path / "hf", output=tmp_path / "made")
  info = bundles.read_bundle_info(path)
  assert info.model.activation == "gelu_tanh"
  assert info.model.vocab_size == len(small.TOKENS)  # as it was, not padded
  wide = {
    name: tensor.float().numpy() for name, tensor in theirs.state_dict().items()
  }
  jax.tree.map(
    np.testing.assert_array_equal,
    bundles.load_params(info),
    from_huggingface(wide, info.model),
  )
  back = export.run(bundle=path, output=tmp_path / "back")
  model, report = transformers.BertForPreTraining.from_pretrained(
    back, output_loading_info=True
  )
  assert not any(report.values()), report
  for name, tensor in model.state_dict().items():
    assert torch.equal(tensor, theirs.state_dict()[name].float()), name


def test_a_classifier_goes_there_and_back(place, tmp_path):
  bundle = make_classifier(place / "classifier", pair=False)
  folder = export.run(bundle=bundle, output=place / "classifier-hf")
  path = str(import_weights.run(source=folder, output=tmp_path / "back"))
  ours, theirs = map(bundles.read_bundle_info, (bundle, path))
  assert ours.leaves == theirs.leaves
  assert ours.details.task == theirs.details.task
  texts = ["the cod by the river", "an elm"]
  assert predict.answer(bundle, texts) == predict.answer(path, texts)
  # A copy of which nothing is known says what transformers goes by.
  (folder / "bertjax.json").unlink()
  path = import_weights.run(source=folder, output=tmp_path / "foreign")
  head = load(path).head
  assert (head.labels, head.seq_length, head.pair) == (LABELS, 12, False)
  path = import_weights.run(
    source=folder, output=tmp_path / "asked", seq_length=8, pair=True
  )
  head = load(path).head
  assert (head.labels, head.seq_length, head.pair) == (LABELS, 8, True)
  # A token of each text has room beside the special ones.
  for pair, least in ((False, 3), (True, 5)):
    for length in (least - 1, 17):
      with pytest.raises(ValueError, match=f"give {least} to 16, the position"):
        import_weights.run(
          source=folder, output=tmp_path / "x", seq_length=length, pair=pair
        )


@pytest.mark.parametrize(
  "architecture", ["BertForTokenClassification", "BertForQuestionAnswering"]
)
def test_heads_of_pieces_and_spans_go_there_and_back(
  architecture, tmp_path, monkeypatch, capsys
):
  torch = pytest.importorskip("torch")
  transformers = pytest.importorskip("transformers")
  torch.manual_seed(1)
  pieces = {piece: id_ for id_, piece in enumerate(small.TOKENS)}
  config = transformers.BertConfig(
    vocab_size=len(pieces),
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
    max_position_embeddings=16,
  )
  if architecture == "BertForTokenClassification":
    config.id2label = {0: "O", 1: "B-FISH", 2: "I-FISH"}
    config.label2id = {name: id_ for id_, name in config.id2label.items()}
  theirs = getattr(transformers, architecture)(config)
  theirs.save_pretrained(tmp_path / "hf")
  transformers.BertTokenizer(pieces).save_pretrained(tmp_path / "hf")
  bundle = import_weights.run(source=tmp_path / "hf", output=tmp_path / "made")
  assert not bundles.read_bundle_info(bundle).details.pooler_trained
  with pytest.raises(ValueError, match=str(bundle)) as told:
    bundles.read_pretrained(bundle)
  assert "\n" not in str(told.value)
  assert load(bundle).task.architecture == architecture
  back = export.run(bundle=bundle, output=tmp_path / "back")
  model, report = getattr(transformers, architecture).from_pretrained(
    back, output_loading_info=True
  )
  assert not any(report.values()), report
  ours, others = model.state_dict(), theirs.state_dict()
  assert ours.keys() == others.keys()
  for name, tensor in others.items():
    assert torch.equal(ours[name], tensor), name
  if architecture == "BertForTokenClassification":
    assert model.config.id2label == theirs.config.id2label
  monkeypatch.chdir(back)
  exec(snippet(back), {})
  assert capsys.readouterr().out


def without_heads(tensors):
  for name in [name for name in tensors if name.startswith("cls.")]:
    del tensors[name]


def test_what_a_folder_lacks_is_made_anew_where_it_is_named(
  bundle, foreign, tmp_path
):
  change_weights(foreign, without_heads)
  with pytest.raises(ValueError, match=r"--new=mlm_head,pair_head initializes"):
    import_weights.run(source=foreign, output=tmp_path / "x")
  assert [path.name for path in tmp_path.iterdir()] == ["foreign"]
  ours = bundles.load_params(bundles.read_bundle_info(bundle))
  made = {}
  for name, seed in (("one", 0), ("same", 0), ("other", 1)):
    path = import_weights.run(
      source=foreign, output=tmp_path / name, new=HEADS, seed=seed
    )
    info = bundles.read_bundle_info(path)
    assert info.details.source["new"] == list(HEADS)
    made[name] = bundles.load_params(info)
  for part in ("encoder", "pooler"):
    jax.tree.map(np.testing.assert_array_equal, ours[part], made["other"][part])
  jax.tree.map(np.testing.assert_array_equal, made["one"], made["same"])
  kernels = [params["pair_head"]["dense"]["kernel"] for params in made.values()]
  assert np.abs(kernels[0] - kernels[2]).max() > 0
  std = np.std(made["one"]["mlm_head"]["dense"]["kernel"])
  assert 0.015 < std < 0.02  # a normal of 0.02, cut


def test_a_pooler_that_is_made_anew_is_not_trained(foreign, tmp_path):
  path = import_weights.run(
    source=foreign, output=tmp_path / "made", new=("pooler",)
  )
  assert not bundles.read_bundle_info(path).details.pooler_trained


@pytest.mark.parametrize(
  ("spoil", "message"),
  [
    (
      lambda f: change(
        f / "config.json", hidden_size=48, num_attention_heads=4
      ),
      r"word_embeddings.weight has shape \(32, 32\); the model has \(32, 48\)",
    ),
    (
      lambda f: change(f / "config.json", model_type="roberta"),
      "architectures=.'BertForPreTraining'.; give one of RobertaModel, ",
    ),
    (
      lambda f: change(f / "config.json", hidden_act="silu"),
      r"hidden_act='silu'; give one of \['gelu', ",
    ),
    (
      lambda f: change(f / "config.json", architectures=["BertLMHeadModel"]),
      "BertLMHeadModel.*give one of BertModel, ",
    ),
    (
      lambda f: change_weights(
        f, lambda t: t.update(more=t.pop("cls.predictions.bias"))
      ),
      r"missing: \['cls.predictions.bias'\]; unknown: \['more'\]; save the "
      r"folder again with BertForPreTraining.save_pretrained$",
    ),
    (
      lambda f: [
        (f / "tokenizer.json").unlink(),
        (f / "vocab.txt").write_text("[PAD]\n[UNK]\nthe\n"),
      ],
      r"has no \[CLS\], \[SEP\], \[MASK\]; a vocabulary needs",
    ),
    (
      lambda f: [
        (f / "tokenizer.json").unlink(),
        (f / "vocab.txt").write_text(
          "\n".join([*small.TOKENS, *map(str, range(99))])
        ),
      ],
      "the tokenizer has 121 tokens and the word table 32 rows",
    ),
    (lambda f: (f / "config.json").unlink(), "has no config.json"),
    (
      lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
      "has pytorch_model.bin, which can run code .* save_pretrained it again",
    ),
    (
      lambda f: change(
        f / "config.json", architectures=["BertForTokenClassification"]
      ),
      r"missing: \['classifier.bias', 'classifier.weight'\]; unknown: \['bert.*"
      r"; save the folder again with BertForTokenClassification.save_pretr",
    ),
  ],
)
def test_what_cannot_be_imported_is_one_line_and_writes_nothing(
  foreign, spoil, message, tmp_path
):
  spoil(foreign)
  with pytest.raises(ValueError, match=message) as told:
    import_weights.run(source=foreign, output=tmp_path / "made")
  assert "\n" not in str(told.value)
  assert [path.name for path in tmp_path.iterdir()] == ["foreign"]


def test_a_record_of_another_version_is_one_line(foreign, tmp_path):
  (foreign / "bertjax.json").write_text(
    json.dumps({"weights_sha256": "0", "details": {"step": 3}})
  )
  target = tmp_path / "bundle"
  with pytest.raises(ValueError, match="whether the pooler is trained") as told:
    import_weights.run(source=foreign, output=target)
  assert "\n" not in str(told.value)
  assert not target.exists()


def test_only_what_was_imported_is_replaced(foreign, tmp_path):
  """A trained bundle is one wherever it was moved to."""
  trained = make_classifier(tmp_path / "moved")
  with pytest.raises(ValueError, match="import_weights does not replace; give"):
    import_weights.run(source=foreign, output=trained)
  assert load(trained)
  for _ in range(2):
    import_weights.run(source=foreign, output=tmp_path / "made")


@pytest.mark.parametrize("longest", [1e30, float("inf"), "many", None])
def test_a_length_that_is_none_is_all_positions(place, tmp_path, longest):
  folder = export.run(
    bundle=make_classifier(tmp_path / "classifier"), output=tmp_path / "hf"
  )
  (folder / "bertjax.json").unlink()
  change(folder / "tokenizer_config.json", model_max_length=longest)
  target = import_weights.run(source=folder, output=tmp_path / "again")
  assert load(target).head.seq_length == small.MODEL.max_positions


def test_flags_of_a_classifier_are_refused_elsewhere(foreign, tmp_path):
  with pytest.raises(
    ValueError, match="is not a classifier; leave out --seq_len"
  ):
    import_weights.run(source=foreign, output=tmp_path / "made", pair=True)
  with pytest.raises(ValueError, match="is not a folder on this machine"):
    import_weights.run(source="bert-base-uncased", output=tmp_path / "made")
  (tmp_path / "other").mkdir()
  (tmp_path / "other/notes").touch()
  with pytest.raises(ValueError, match="exists and is no bundle"):
    import_weights.run(source=foreign, output=tmp_path / "other")


def test_the_command_makes_a_bundle_or_says_why_not(foreign, tmp_path):
  command = functools.partial(
    *(run_command, "launch.import_weights", f"--source={foreign}"),
    f"--output={tmp_path / 'made'}",
  )

  done = command("--new=decoder")
  assert done.returncode == 1
  (line,) = done.stderr.splitlines()
  assert (
    line == "error: --new=decoder; give parts of pooler, mlm_head, pair_head"
  )
  assert not (tmp_path / "made").exists()
  done = command("--new=pooler,pair_head")
  assert done.returncode == 0, done.stderr
  assert bundles.read_bundle_info(tmp_path / "made").model == small.MODEL
