# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import math
import re

import pytest

from bertjax.plan.hardware import slices
from launch.pods import topologies

EVERY = [
  f"{kind}:{'x'.join(map(str, shape))}"
  for kind in topologies.CHIPS
  for shape in slices.shapes(kind)
]


def test_hosts_hold_all_chips_of_every_slice():
  for text in EVERY:
    piece = topologies.find(text)
    assert piece.hosts * piece.chips_per_host == piece.chips, text
    assert piece.machine.endswith(f"-{piece.chips_per_host}t"), text
    assert str(piece) == text


def test_a_name_of_gcloud_means_one_shape_and_each_size_has_one():
  for kind in topologies.CHIPS:
    pieces = [topologies.find(text) for text in EVERY if text.startswith(kind)]
    names = [
      piece.accelerator_type for piece in pieces if piece.accelerator_type
    ]
    assert len(set(names)) == len(names)
    assert len(names) == len({piece.chips for piece in pieces})


# As the pages of Google and the tables of XPK have them.
@pytest.mark.parametrize(
  ("text", "name", "hosts", "machine"),
  [
    ("v4:2x2x1", "v4-8", 1, "ct4p-hightpu-4t"),
    ("v4:4x4x8", "v4-256", 32, "ct4p-hightpu-4t"),
    ("v4:8x16x16", "v4-4096", 512, "ct4p-hightpu-4t"),
    ("v5e:1x1", "v5litepod-1", 1, "ct5lp-hightpu-1t"),
    ("v5e:2x4", "v5litepod-8", 1, "ct5lp-hightpu-8t"),
    ("v5e:4x4", "v5litepod-16", 4, "ct5lp-hightpu-4t"),
    ("v5e:16x16", "v5litepod-256", 64, "ct5lp-hightpu-4t"),
    ("v5p:4x8x8", "v5p-512", 64, "ct5p-hightpu-4t"),
    ("v5p:16x16x24", "v5p-12288", 1536, "ct5p-hightpu-4t"),
    ("v6e:16x16", "v6e-256", 64, "ct6e-standard-4t"),
    ("tpu7x:2x2x1", "tpu7x-8", 1, "tpu7x-standard-4t"),
    ("tpu7x:4x4x8", "tpu7x-256", 32, "tpu7x-standard-4t"),
  ],
)
def test_slices_have_the_names_of_google(text, name, hosts, machine):
  piece = topologies.find(text)
  assert (piece.accelerator_type, piece.hosts, piece.machine) == (
    name,
    hosts,
    machine,
  )


@pytest.mark.parametrize(
  ("text", "named"),
  [
    ("v5e:16x8", "v5e:8x16"),
    ("v5e:32x32", "v5e:8x8; or --topology=v5e:16x16 --slices=4"),
    ("v5p:4x4x6", "v5p:4x4x4"),
    ("v5p:16x16x48", "v5p:16x16x24"),
    ("v6e:3x3", "v6e:2x4"),
    ("v3:4x4", "launch.pods does not write files for v3; give v4, v5e"),
    ("h100:8", "tpu7x"),
    ("v5e", "v5e:16x16"),
    ("v5e-256", "v5e:16x16"),
    ("v5e:0x4", "v5e:16x16"),
    ("v5e:16x16\n", "v5e:16x16"),
  ],
)
def test_an_unknown_topology_is_refused_with_the_nearest(text, named):
  with pytest.raises(ValueError, match=re.escape(named)) as error:
    topologies.find(text)
  assert repr(text)[1:-1] in str(error.value)
  assert "\n" not in str(error.value)


def test_the_first_suggestion_is_the_nearest():
  with pytest.raises(ValueError, match="nearest") as error:
    topologies.find("v4:4x4x11")
  named = re.findall(r"v4:\d+x\d+x\d+", str(error.value).partition(";")[2])
  pieces = [topologies.find(text) for text in named]
  sizes = sorted({topologies.find(t).chips for t in EVERY if t[:2] == "v4"})
  assert pieces[0].chips == min(sizes, key=lambda n: abs(math.log(n / 176)))
  assert len(set(pieces)) == 3
