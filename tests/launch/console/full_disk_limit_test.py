# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Commands for whose files the system really has no room.

A limit of the size of files needs no rights, and refuses a write as a full disk
does, in whatever library writes.
"""

import errno
import functools
import os

import pytest

from bertjax import files
from tests.testing.commands import run_command

# Each command has a larger file to write, and smaller ones before that.
MOST_BYTES = 16_384
TEXT = "".join(
  f"Sentence {i} of a long text has words {i**2}.\n" for i in range(9999)
)
COMMANDS = {
  "launch.export": ("--format=huggingface",),
  "launch.export of a graph": ("--format=onnx",),
  "launch.export of a bundle": ("--format=bundle",),
  "launch.prepare": ("--vocab_size=300", "--corpus=text.txt", "--validation=0"),
}


@pytest.mark.full
@pytest.mark.parametrize("name", COMMANDS)
def test_no_room_is_one_line_and_the_rerun_succeeds(name, bundle, tmp_path):
  (tmp_path / "text.txt").write_text(TEXT)
  (tmp_path / "disk").mkdir()
  arguments = COMMANDS[name]
  if name != "launch.prepare":
    arguments = (*arguments, f"--bundle={bundle}")
  run = functools.partial(
    run_command, name.partition(" ")[0], *arguments, cwd=tmp_path
  )
  output = tmp_path / "disk" / "out"
  full = run(f"--output={output}", most_bytes=MOST_BYTES)
  assert full.returncode == 1
  (line,) = [each for each in full.stderr.splitlines() if "error:" in each]
  assert line.startswith(f"error: cannot write {output.parent}/")
  assert os.strerror(errno.EFBIG) in line
  assert "run the same command again" in line
  assert "Traceback" not in full.stderr
  assert not output.exists()
  # What is prepared already is continued.
  left = ["out.partial"] if name == "launch.prepare" else []
  assert [path.name for path in output.parent.iterdir()] == left
  again = run(f"--output={output}")
  assert again.returncode == 0, again.stderr
  assert [*output.parent.iterdir()] == [output]
  other = tmp_path / "other" / "out"
  assert run(f"--output={other}").returncode == 0
  assert content(output) == content(other)


def content(folder):
  """Return the hash of each file, but of arrays, whose files have random names.

  Their digests are in `bundle.json`.
  """
  found = files.sha256_of_folder(folder).items()
  return {name: sha256 for name, sha256 in found if name[:7] != "params/"}
