# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Shapes of the TPU slices that exist: chips along each axis. No JAX here.

Sources: the tables of topologies of cloud.google.com/tpu/docs/{v3, v4, v5e,
v5p, v6e, tpu7x}.
"""

import functools
import math
import re
from collections.abc import Sequence

Shape = tuple[int, ...]

_CUBE = 4  # large 3-D slices are made of cubes of 4×4×4 chips
_PLANES = ((1, 1), (2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (8, 16), (16, 16))
_OF_V3 = ((2, 2), (4, 4), (4, 8), (8, 8), (8, 16), (16, 16), (16, 32), (32, 32))
_PARTS_OF_A_CUBE = ((2, 2, 1), (2, 2, 2), (2, 2, 4), (2, 4, 4))
# Chips in the largest slice, for chips with a 3-D torus.
_LARGEST = {"v4": 4096, "v5p": 6144, "tpu7x": 9216}


def parse(text: str) -> tuple[str, Shape]:
  """Return kind and shape: `v5e:16x16` → ("v5e", (16, 16)).

  The slice need not exist.

  Raises:
    ValueError: `text` has another form.
  """
  if not re.fullmatch(r"\w+:[1-9]\d*(x[1-9]\d*)*", text):
    raise ValueError(f"--topology={text!r}; write it as v5e:16x16 or v4:4x4x8")
  kind, _, sizes = text.partition(":")
  return kind, tuple(map(int, sizes.split("x")))


def name(kind: str, shape: Shape) -> str:
  """Return the name of a slice: ("v5e", (16, 16)) → `v5e:16x16`."""
  return f"{kind}:{'x'.join(map(str, shape))}"


@functools.cache
def shapes(kind: str) -> tuple[Shape, ...]:
  """Return every shape of a kind of chip, small and compact shapes first."""
  if kind == "v3":
    return _OF_V3
  if kind not in _LARGEST:
    return _PLANES
  found = [*_PARTS_OF_A_CUBE, *([(1, 1, 1)] if kind == "tpu7x" else [])]
  cubes = _LARGEST[kind] // _CUBE**3
  for a in range(1, cubes + 1):
    for b in range(a, cubes // a + 1):
      found += [
        (_CUBE * a, _CUBE * b, _CUBE * c)
        for c in range(b, cubes // (a * b) + 1)
      ]
  return tuple(sorted(found, key=lambda s: (math.prod(s), sum(s), s)))


def of_size(kind: str, num_chips: int) -> tuple[Shape, int] | None:
  """Return the most compact shape with `num_chips`, and the number of slices.

  Several slices are used only beyond the largest one. None if no number of
  slices has exactly `num_chips`.
  """
  known = shapes(kind)
  slices = max(1, num_chips // math.prod(known[-1]))
  for shape in known:
    if math.prod(shape) * slices == num_chips:
      return shape, slices
  return None


def suggest(
  kind: str, shape: Sequence[int], flag: str, num_slices: int = 1
) -> str:
  """Return the flags of existing slices with about as many chips.

  Slices with the same number of chips come first.

  Args:
    kind: kind of chip, which exists.
    shape: shape that does not exist.
    flag: name of the flag that gives the number of slices.
    num_slices: number of slices that the user asked for.
  """
  chips = math.prod(shape)
  near = sorted(
    shapes(kind), key=lambda s: (abs(math.log(math.prod(s) / chips)), sum(s))
  )
  text = ", ".join(name(kind, each) for each in near[:3])
  many = of_size(kind, chips)
  if many and many[1] > 1:
    text += f"; or --topology={name(kind, many[0])} "
    text += f"--{flag}={many[1] * num_slices}"
  return text
