# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Give each element of a tuple a line of its own.

Newer compilers write `add(%t#1, %a)`. Older ones have a line for the element,
`%e = … get-tuple-element(%t), index=1`, which is what `parsing` expects.
"""

import re
from collections.abc import Iterable, Iterator

_MADE = re.compile(r"\s+(?:ROOT )?%([\w.\-]+) = (\(.*)$")
_COMMENT = re.compile(r"/\*.*?\*/")  # such as /*index=5*/
_ELEMENT = re.compile(r"%([\w.\-]+)#(\d+)")


def spell_out(lines: Iterable[str]) -> Iterator[str]:
  """Yield the lines of a program in the older form.

  A reference is kept as it is unless an earlier line of the same computation
  makes the tuple.
  """
  tuples: dict[str, list[str]] = {}
  named: set[str] = set()
  for line in lines:
    if line[:1] and not line[0].isspace():
      tuples, named = {}, set()
    for name, place in dict.fromkeys(_ELEMENT.findall(line)):
      types = tuples.get(name, [])
      if int(place) >= len(types):
        continue
      element = f"{name}.element.{place}"
      if element not in named:
        named.add(element)
        made = f"get-tuple-element(%{name}), index={place}"
        yield f"  %{element} = {types[int(place)]} {made}"
      line = re.sub(rf"%{re.escape(name)}#{place}\b", f"%{element}", line)
    yield line
    if match := _MADE.match(line):
      tuples[match[1]] = _types(match[2])


def _types(text: str) -> list[str]:
  """Return the element types of the tuple type that `text` starts with."""
  types, depth, begin = [], 0, 1
  for match in re.finditer(r"[()\[\]{},]", text):
    place = match.start()
    if match[0] in "([{":
      depth += 1
    elif match[0] in ")]}":
      depth -= 1
    if not depth or (match[0] == "," and depth == 1):
      types.append(_COMMENT.sub("", text[begin:place]).strip())
      begin = place + 1
    if not depth:
      break
  return types
