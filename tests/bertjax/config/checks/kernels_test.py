# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which kernel attends on which platform, and the message when none can."""

import dataclasses
import itertools
import logging
import types

import pytest

from bertjax.config import SIZES, ComputeConfig, choices
from bertjax.config.checks import kernels
from bertjax.config.names import FINETUNING

NO_DROPOUT = dataclasses.replace(SIZES["base"], attention_dropout_rate=0.0)
BFLOAT16 = ComputeConfig(dtype="bfloat16")


def choose(platform, length=512, model=NO_DROPOUT, **compute):
  asked = dataclasses.replace(BFLOAT16, **compute)
  return kernels.choose_attention(asked, model, platform, length)


@pytest.mark.parametrize(
  ("platform", "length", "name"),
  [
    ("tpu", 512, "splash"),
    ("tpu", 1024, "splash"),
    ("tpu", 640, "splash"),
    ("tpu", 128, "xla"),
    ("tpu", 384, "splash"),
    ("tpu", 256, "xla"),
    ("TPU v3", 512, "xla"),
    ("Tesla V100-SXM2-16GB", 512, "xla"),
    ("rocm", 512, "xla"),
    ("cpu", 512, "xla"),
  ],
)
def test_auto_takes_the_fastest_of_the_platform_in_silence(
  platform, length, name
):
  assert choose(platform, length) == (name, "")


@pytest.mark.parametrize("platform", ["tpu", "gpu", "cpu", "metal"])
def test_xla_is_left_alone_whatever_is_asked(platform):
  got = choose(platform, 77, SIZES["base"], attention="xla", dtype="float32")
  assert got == ("xla", "")


@pytest.mark.parametrize(
  ("platform", "length", "changes", "fix"),
  [
    ("tpu", 512, {}, "--config.model.attention_dropout_rate=0"),
    ("tpu", 600, {"attention_dropout_rate": 0.0}, "data.seq_length=600"),
  ],
)
def test_auto_falls_back_and_says_what_to_set(platform, length, changes, fix):
  model = dataclasses.replace(SIZES["base"], **changes)
  name, reason = choose(platform, length, model)
  assert name == "xla"
  assert fix in reason
  assert "\n" not in reason


def test_splash_has_windows_and_cudnn_refuses_them():
  model = dataclasses.replace(NO_DROPOUT, attention_pattern="window")
  assert choose("tpu", model=model) == ("splash", "")
  assert choose("tpu", model=model, attention="splash") == ("splash", "")
  # Nobody would change the pattern of a model for its kernel.
  assert choose("gpu", model=model) == ("xla", "")
  with pytest.raises(
    ValueError,
    match=r"^compute\.attention=cudnn has windows to the left only, and "
    r"model\.attention_pattern=window; give compute\.attention=auto, or",
  ):
    choose("gpu", model=model, attention="cudnn")


@pytest.mark.parametrize(
  ("platform", "length", "pattern", "spared"),
  [
    ("tpu", 512, "window", True),
    ("tpu", 8192, "window", True),
    ("tpu", 256, "window", False),
    ("tpu", 512, "full", False),
    ("gpu", 512, "window", False),
    ("cpu", 512, "window", False),
    ("TPU v3", 512, "window", False),
  ],
)
def test_a_kernel_spares_pairs_of_windows_in_long_rows(
  platform, length, pattern, spared
):
  model = dataclasses.replace(NO_DROPOUT, attention_pattern=pattern)
  assert kernels.spares_pairs(model, platform, length) == spared


def test_auto_leaves_a_kernel_that_was_never_run_to_be_asked_for():
  for length in (128, 512):
    name, reason = choose("gpu", length)
    assert name == "xla"
    assert "cudnn" in reason
    assert "--config.compute.attention=cudnn" in reason
    # With dropout there is another one to ask for.
    name, reason = choose("gpu", length, SIZES["base"])
    assert name == "xla"
    assert reason == (
      "attention is left to the compiler (xla): cudnn drops no attention "
      "weights, and model.attention_dropout_rate=0.1; flash drops them, may be "
      "faster, and has not been tried on a GPU; "
      "--config.compute.attention=flash takes it"
    )
    # Where neither could run, there is nothing to ask for.
    wide = dataclasses.replace(SIZES["base"], num_heads=4)
    assert choose("gpu", length, wide) == ("xla", "")
  heads = dataclasses.replace(NO_DROPOUT, num_heads=4)
  with pytest.raises(ValueError, match="num_heads"):
    choose("gpu", 512, heads, attention="cudnn")


def test_auto_says_nothing_of_what_would_be_no_faster():
  assert choose("tpu", 128, SIZES["base"]) == ("xla", "")
  assert choose("cpu", 512, SIZES["base"]) == ("xla", "")


@pytest.mark.parametrize(
  ("name", "platform", "length", "changes", "words"),
  [
    (
      "splash",
      "cpu",
      512,
      {},
      "only, and this is cpu; give auto, which takes xla",
    ),
    ("splash", "TPU v3", 512, {}, "v4 on only, and this is TPU v3; give auto"),
    (
      *("flash", "cpu", 512, {}),
      "TPUs from v4 on and NVIDIA's GPUs from Ampere on only, and this is cpu; "
      "give auto, which takes xla here",
    ),
    (
      "flash",
      "Tesla T4",
      512,
      {},
      "Ampere on only, and this is Tesla T4; give",
    ),
    (
      "cudnn",
      "tpu",
      512,
      {},
      "Ampere on only, and this is tpu; give auto, which takes splash here, or",
    ),
    ("splash", "tpu", 64, {}, "data.seq_length=64; give 128"),
    ("splash", "tpu", 500, {}, "data.seq_length=500; give 512"),
    ("cudnn", "gpu", 512, {"dtype": "float32"}, "compute.dtype=bfloat16"),
    ("cudnn", "gpu", 129, {}, "data.seq_length=129; give 130"),
    ("cudnn", "Tesla V100", 512, {}, "from Ampere on only, and this is Tesla"),
  ],
)
def test_a_named_kernel_that_cannot_is_refused_with_the_fix(
  name, platform, length, changes, words
):
  with pytest.raises(ValueError, match=r"^compute\.attention=") as caught:
    choose(platform, length, attention=name, **changes)
  assert words in str(caught.value)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
  ("name", "platform"), [("splash", "tpu"), ("cudnn", "gpu")]
)
def test_a_named_kernel_refuses_dropout_of_attention(name, platform):
  with pytest.raises(ValueError, match=r"rate=0\.1; set .*rate=0, or .*=xla"):
    choose(platform, model=SIZES["base"], attention=name)
  assert choose(platform, attention=name) == (name, "")


def test_flash_drops_has_windows_and_is_taken_only_by_name():
  windows = dataclasses.replace(SIZES["base"], attention_pattern="window")
  for platform, length in itertools.product(("tpu", "gpu"), (77, 512, 4096)):
    asked = choose(platform, length, windows, attention="flash")
    assert asked == ("flash", "")
    assert choose(platform, length, windows)[0] == "xla"


@pytest.mark.parametrize(
  ("length", "compute", "words"),
  [
    (4097, {}, "room for 4096 positions of 64 numbers in bfloat16"),
    (5000, {"dtype": "float32"}, "for 4096 positions of 64 numbers in float32"),
  ],
)
def test_flash_refuses_rows_that_a_chip_has_no_room_for(length, compute, words):
  with pytest.raises(
    ValueError, match=r"give compute\.attention=auto"
  ) as caught:
    choose("tpu", length, SIZES["base"], attention="flash", **compute)
  assert words in str(caught.value)
  assert f"data.seq_length={length}; give" in str(caught.value)


@pytest.mark.parametrize(
  ("heads", "dtype", "words"),
  [
    (12, "float32", ""),
    (6, "bfloat16", ""),
    (6, "float32", "= 128; set --config.compute.dtype=bfloat16, or compute.a"),
    (3, "bfloat16", "heads of 128 numbers in bfloat16, and model.hidden_size"),
    (2, "float32", "= 384; give another model.num_heads, or"),
  ],
)
def test_flash_refuses_heads_that_a_gpu_has_no_registers_for(
  heads, dtype, words
):
  """A GPU has room for rows of any length."""
  model = dataclasses.replace(SIZES["base"], num_heads=heads)
  run = lambda: choose("gpu", 9000, model, attention="flash", dtype=dtype)
  if not words:
    assert run() == ("flash", "")
    return
  with pytest.raises(
    ValueError, match=r"^compute\.attention=flash has room on a GPU"
  ) as caught:
    run()
  assert words in str(caught.value)


def test_a_named_kernel_is_taken_where_auto_would_not():
  assert choose("tpu", 128, attention="splash") == ("splash", "")


def device(platform, kind="", version="", **more):
  client = types.SimpleNamespace(platform_version=version)
  return types.SimpleNamespace(
    platform=platform, device_kind=kind, client=client, **more
  )


@pytest.mark.parametrize(
  ("one", "platform"),
  [
    (device("tpu", "TPU v5 lite"), "tpu"),
    (device("tpu", "TPU v3"), "TPU v3"),
    (device("gpu", "NVIDIA H100", "cuda 12090"), "gpu"),
    (device("gpu", "NVIDIA A100", "cuda", compute_capability="8.0"), "gpu"),
    (device("gpu", "NVIDIA B200", "cuda", compute_capability="10.0"), "gpu"),
    (device("gpu", "Tesla T4", "cuda", compute_capability="7.5"), "Tesla T4"),
    (device("gpu", "AMD Instinct MI300X", "rocm 60300"), "rocm"),
    (types.SimpleNamespace(platform="cpu"), "cpu"),
  ],
)
def test_a_device_says_what_it_is(one, platform):
  assert kernels.platform_of(one) == platform


def test_the_choice_is_logged_once_and_leaves_a_name(caplog):
  kernels._warn_once.cache_clear()
  tpu = device("tpu", "TPU v5 lite")
  with caplog.at_level(logging.WARNING):
    chosen = [
      kernels.resolve(BFLOAT16, SIZES["base"], tpu, 512, FINETUNING)
      for _ in range(3)
    ]
  compute = dataclasses.replace(BFLOAT16, attention="xla")
  assert chosen == [compute] * 3
  assert compute.attention in choices(ComputeConfig, "attention")
  assert [record.getMessage() for record in caplog.records] == [
    "attention is left to the compiler (xla): splash, which is faster, drops "
    "no attention weights, and attention_dropout_rate=0.1; set "
    "--config.attention_dropout_rate=0, or --config.compute.attention=flash, "
    "which drops them and has not been tried on a TPU"
  ]
