# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a run is made of, and whose it is, before its first step."""

import dataclasses
import re
import shutil

import pytest

from bertjax.checkpoints import bundle as bundles
from bertjax.config import ObjectiveConfig, PhaseConfig, identity
from bertjax.interop.huggingface_config import (
  config_from_huggingface,
  config_to_huggingface,
)
from configs.families import FAMILIES
from data_pipelines.store.store import Store
from data_pipelines.tokenizers.template import Template
from data_pipelines.tokenizers.tokenizer import Tokenizer
from data_pipelines.tokenizers.wordpiece import WordPiece
from launch import pretrain
from launch.run import assembly
from launch.run.origin import Past, find_origin
from tests.testing import corpus, small_stores
from tests.testing.family_bundles import make_bundle


def test_a_store_with_a_swapped_tokenizer_is_refused(
  store, two_phases, tmp_path
):
  shutil.copytree(store, tmp_path / "store")
  path = tmp_path / "store/tokenizer/vocab.txt"
  pieces = path.read_text().splitlines()
  pieces[-2:] = pieces[:-3:-1]
  path.write_text("\n".join(pieces) + "\n")
  path.with_name("tokenizer.json").unlink()  # which still says the old one
  data = dataclasses.replace(two_phases.data, store=str(tmp_path / "store"))
  with pytest.raises(ValueError, match="was made with tokenizer"):
    pretrain.run(
      dataclasses.replace(two_phases, data=data), str(tmp_path / "work")
    )
  assert not (tmp_path / "work").exists()


def test_two_ways_to_say_a_phase_are_one_identity(two_phases):
  second = dataclasses.replace(two_phases.phase2, accumulation=1, batch_size=16)
  other = dataclasses.replace(second, accumulation=0, batch_size=0)
  one, two = (
    assembly.assemble(dataclasses.replace(two_phases, phase2=phase2)).identity
    for phase2 in (second, other)
  )
  assert one == two


def test_a_run_may_lose_its_second_phase_if_that_is_said(two_phases):
  """The names to accept are those of either side."""
  old = assembly.assemble(two_phases).identity
  new = assembly.assemble(
    dataclasses.replace(two_phases, phase2=PhaseConfig())
  ).identity
  with pytest.raises(ValueError, match="accept with") as told:
    identity.check_identity(old, new, allow_changes="")
  names = str(told.value).split("allow_changes=")[1]
  identity.check_identity(old, new, allow_changes=names)


def test_a_run_that_masks_words_knows_where_they_begin(two_phases, monkeypatch):
  objective = dataclasses.replace(two_phases.objective, mask_unit="word")
  words = dataclasses.replace(two_phases, objective=objective)
  assert assembly.assemble(words).identity["words_version"] == 1
  monkeypatch.setattr(Tokenizer, "words_version", lambda self, counts_V: 2)
  assert assembly.assemble(words).identity["words_version"] == 2
  assert "words_version" not in assembly.assemble(two_phases).identity


def test_words_that_a_text_does_not_have_are_refused_before_any_compile(
  two_phases, monkeypatch
):
  monkeypatch.setattr(WordPiece, "continues", lambda self, token: True)
  monkeypatch.setattr(assembly, "make_program", None)
  for unit in ("word", "span", "ngram"):
    objective = dataclasses.replace(two_phases.objective, mask_unit=unit)
    with pytest.raises(ValueError, match=f"mask_unit={unit} takes whole words"):
      assembly.assemble(dataclasses.replace(two_phases, objective=objective))


def test_segments_that_nothing_tells_apart_are_refused_before_any_compile(
  two_phases, monkeypatch
):
  """Before the weights of the model, whose template is that of the store."""
  model = dataclasses.replace(two_phases.model, type_vocab_size=0)
  config = dataclasses.replace(two_phases, model=model)
  assembly.assemble(config)  # its tokenizer has [SEP] between segments
  template = Template((2,), (), (3,))
  monkeypatch.setattr(Store, "template", property(lambda _: template))
  monkeypatch.setattr(assembly, "make_program", None)
  with pytest.raises(ValueError, match="nothing tells apart with model"):
    assembly.assemble(config)


@pytest.fixture
def rotary(tmp_path):
  """A run that goes on from the bundle of a ModernBERT."""
  bundle = make_bundle("modernbert", tmp_path)
  return corpus.make_config(
    small_stores.make_store(tmp_path, str(bundle), "0.1"),
    steps=2,
    model=bundles.read_bundle_info(bundle).model,
    objective=ObjectiveConfig(
      next_sentence="off", input_format="full_sentences"
    ),
    init_from=str(bundle),
  )


# The bases of mmBERT, which are equal.
MMBERT = (
  FAMILIES["modernbert"].choices["rotary_base"],
  FAMILIES["modernbert"].sizes["mmbert_small"]["rotary_local_base"],
)


def with_bases(config, allow_changes="", **bases):
  return dataclasses.replace(
    config,
    model=dataclasses.replace(config.model, **bases),
    allow_changes=allow_changes,
  )


@pytest.mark.usefixtures("one_device")
def test_rotary_bases_may_differ_from_those_of_init_from_if_that_is_said(
  rotary, caplog
):
  """As where a second phase of pre-training has longer rows."""
  path, bases = rotary.init_from, ("rotary_base", "rotary_local_base")
  changed = with_bases(rotary, rotary_base=5e5, rotary_local_base=5e5)
  with pytest.raises(ValueError, match="does not have this run") as caught:
    assembly.assemble(changed)
  assert str(caught.value) == (
    f"init_from={path} does not have this run's model.rotary_base=500000.0, "
    "model.rotary_local_base=500000.0; give "
    "--config.model.rotary_base=160000.0 "
    "--config.model.rotary_local_base=10000.0, or allow other bases with "
    "--config.allow_changes=model.rotary_base,model.rotary_local_base"
  )
  # Each base has to be named, and the fix names those that were as well.
  some = with_bases(changed, "model.rotary_local_base")
  with pytest.raises(
    ValueError,
    match=r"run's model\.rotary_base=500000\.0; give .*"
    r"=model\.rotary_base,model\.rotary_local_base$",
  ):
    assembly.assemble(some)
  # Nothing else may differ, whatever is allowed.
  other = dataclasses.replace(rotary.model, attention_window=8)
  with pytest.raises(ValueError, match=r"--config\.model\.attention_window=6$"):
    assembly.assemble(
      dataclasses.replace(
        rotary, model=other, allow_changes="model.attention_window"
      )
    )
  caplog.clear()
  spec = assembly.assemble(
    with_bases(changed, "model.rotary_base, model.rotary_local_base")
  )
  told = [line for line in caplog.messages if "rotary" in line]
  assert told == [
    f"model.{name} changes from {was}, which init_from={path} was trained "
    "with, to 500000.0"
    for name, was in zip(bases, (160000.0, 10000.0), strict=True)
  ]
  # A run that is resumed has its own bases, and not those of the bundle.
  with pytest.raises(
    ValueError, match=r"model\.rotary_base: 500000\.0 → 160000"
  ):
    identity.check_identity(
      spec.identity, assembly.assemble(rotary).identity, allow_changes=""
    )


_BOTH = ("rotary_base", "rotary_local_base")


@pytest.mark.parametrize(
  ("was", "now", "moved"),
  [
    # The first phase of a ModernBERT, and mmBERT; 0 is as the other layers.
    ((1e4, 1e4), (16e4, 1e4), _BOTH[:1]),
    (MMBERT, MMBERT, ()),
    (MMBERT, (16e4, 16e4), ()),
    (MMBERT, (16e4, 1e4), _BOTH[1:]),
    ((1e4, 1e4), (16e4, 0.0), _BOTH),
  ],
)
def test_a_run_goes_on_with_the_bases_of_layers_whatever_names_them(
  was, now, moved, rotary, monkeypatch, caplog
):
  """From a folder of transformers, which tells the bases of all layers."""
  first = with_bases(rotary, **dict(zip(_BOTH, was, strict=True))).model
  folder = config_to_huggingface(first, "BertModel", 0)
  origin = find_origin(rotary, Past())
  assert origin.info
  info = dataclasses.replace(origin.info, model=config_from_huggingface(folder))
  origin = dataclasses.replace(origin, info=info)
  monkeypatch.setattr(assembly, "find_origin", lambda *_: origin)
  # What follows once the origin is seen to fit.
  monkeypatch.setattr(assembly, "resolve", lambda *_: 1 / 0)
  bases, names = (
    dict(zip(_BOTH, now, strict=True)),
    [f"model.{x}" for x in moved],
  )
  if moved:
    with pytest.raises(ValueError, match="allow other bases") as caught:
      assembly.assemble(with_bases(rotary, **bases))
    assert str(caught.value).endswith(f"allow_changes={','.join(names)}")
    advised = re.findall(r"--config\.(model\.\w+)=([\d.]+)", str(caught.value))
    held = {"rotary_base": was[0], "rotary_local_base": was[1] or was[0]}
    assert advised == [(f"model.{x}", str(held[x])) for x in moved]
  caplog.clear()
  with pytest.raises(ZeroDivisionError):
    assembly.assemble(with_bases(rotary, ",".join(names), **bases))
  told = [line.split()[0] for line in caplog.messages if "rotary" in line]
  assert told == names


@pytest.mark.full
@pytest.mark.usefixtures("one_device")
def test_a_run_with_another_rotary_base_goes_on_and_is_resumed(
  rotary, tmp_path, caplog
):
  changed = with_bases(rotary, "model.rotary_base", rotary_base=5e5)
  workdir = str(tmp_path / "run")
  made = bundles.read_bundle_info(pretrain.run(changed, workdir).bundle)
  assert made.model == changed.model
  origin = made.details.origin or {}
  assert origin["path"] == rotary.init_from
  given = bundles.read_bundle_info(rotary.init_from)
  assert origin["sha256"] == given.params_sha256
  caplog.clear()
  # With the same command, and with one that allows nothing.
  for allow_changes in ("model.rotary_base", ""):
    again = with_bases(changed, allow_changes)
    assert pretrain.run(again, workdir).step == 2
  assert not [line for line in caplog.messages if "rotary" in line]
  with pytest.raises(ValueError, match="the checkpoint here is of another run"):
    pretrain.run(with_bases(rotary), workdir)
