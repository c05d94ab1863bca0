# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Paths that a command will write, checked before it works for hours."""

import os
import pathlib
from collections.abc import Mapping, Sequence

Path = str | os.PathLike[str]
# The title of a page is among its first bytes.
_TITLE_BYTES = 4096


def check_folder(flag: str, value: Path | None) -> None:
  """Refuse a folder that cannot be made.

  Args:
    flag: name of the flag that `value` was given by, for the error.
    value: None or "" if the flag was not given.

  Raises:
    ValueError: `value` is an address, a file, or inside of a file.
  """
  if not value:
    return
  _check_local(flag, value)
  _check_above(flag, value, pathlib.Path(value).absolute())


def check_file(flag: str, value: Path | None) -> None:
  """Refuse a file that cannot be made.

  Args:
    flag: name of the flag that `value` was given by, for the error.
    value: None or "" if the flag was not given.

  Raises:
    ValueError: `value` is an address, a folder, or inside of a file, or of a
      folder that cannot be written to.
  """
  if not value:
    return
  _check_local(flag, value)
  path = pathlib.Path(value).absolute()
  if path.is_dir():
    raise ValueError(
      f"--{flag}={os.fspath(value)} is a folder; give the path of a file"
    )
  _check_above(flag, value, path.parent)


def check_outside(
  flag: str, value: Path | None, inputs: Mapping[str, Path | None]
) -> None:
  """Refuse to write into what is read, and to replace a folder that has it.

  What is written into a folder would be read, copied or replaced as a part of
  it. What is read inside of an output would be deleted with that, but for a
  workdir: a run goes on there, and replaces its own files alone.

  Args:
    flag: name of the flag that `value` was given by, for the error.
    value: None or "" if the flag was not given; links are followed.
    inputs: {name of its flag: file or folder that is read}; what is not on this
      machine is passed over. A name in capitals is no flag's.

  Raises:
    ValueError: `value` is one of these, inside of one, or has one inside and
      is no workdir.
  """
  if not value:
    return
  place = pathlib.Path(os.path.realpath(value))
  for name, given in inputs.items():
    if not given or not os.path.exists(given):
      continue
    source = pathlib.Path(os.path.realpath(given))
    if place.is_relative_to(source):
      how = "is in" if source.is_dir() else "is"
    elif source.is_relative_to(place) and flag != "workdir":
      how = "has inside"
    else:
      continue
    read = f"{'' if name.isupper() else '--'}{name}={os.fspath(given)}"
    raise ValueError(
      f"--{flag}={os.fspath(value)} {how} {read}, which is read; give a place "
      "outside of it"
    )


def check_begun(
  flag: str,
  value: Path | None,
  replaced: Sequence[str],
  begun: Sequence[str],
) -> None:
  """Refuse a folder with what a command would replace and has not written.

  Args:
    flag: name of the flag that `value` was given by, for the error.
    value: None or "" if the flag was not given.
    replaced: names in the folder that the command replaces.
    begun: names of which one is there wherever the command has worked.

  Raises:
    ValueError: the folder has one of `replaced`, and none of `begun`.
  """
  if not value:
    return
  folder = pathlib.Path(value)
  for name in replaced:
    if (folder / name).exists() and not any(
      (folder / each).exists() for each in begun
    ):
      raise ValueError(
        f"--{flag}={os.fspath(value)} has {name}, which this command would "
        "replace and has not written; give another folder"
      )


def check_page(flag: str, value: Path | None, title: str) -> None:
  """Refuse to replace a file that is not a page of the same command.

  Args:
    flag: name of the flag that `value` was given by, for the error.
    value: None or "" if the flag was not given.
    title: what the title of each such page has.

  Raises:
    ValueError: `value` is such a file.
  """
  if not value or not pathlib.Path(value).is_file():
    return
  with pathlib.Path(value).open("rb") as stream:
    beginning = stream.read(_TITLE_BYTES).decode(errors="replace")
  _, _, rest = beginning.partition("<title>")
  if title not in rest.partition("</title>")[0]:
    raise ValueError(
      f"--{flag}={os.fspath(value)} exists and is no page of this command; "
      "give another file"
    )


def _check_local(flag: str, value: Path) -> None:
  """Refuse an address: pathlib would make a folder named `gs:` of gs://…."""
  text = os.fspath(value)
  scheme, mark, rest = text.partition("://")
  if mark:
    raise ValueError(
      f"--{flag}={text}: a run writes plain files, which {scheme}:// cannot "
      "hold; mount it and give the folder, for example "
      f"/buckets/{rest.strip('/') or 'NAME'} (a pod that launch.pods describes "
      "mounts its bucket)"
    )


def _check_above(flag: str, value: Path, folder: pathlib.Path) -> None:
  there = next(path for path in (folder, *folder.parents) if path.exists())
  if not there.is_dir():
    raise ValueError(
      f"--{flag}={os.fspath(value)}: {there} is a file; give a folder"
    )
  if not os.access(there, os.W_OK | os.X_OK):
    raise ValueError(
      f"--{flag}={os.fspath(value)}: {there} cannot be written to; give "
      "another folder"
    )
