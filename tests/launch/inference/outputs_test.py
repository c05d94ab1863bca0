# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is written before a kill is neither lost nor written twice."""

import pytest

from launch.inference.outputs import (
  Journal,
  JsonLines,
  Output,
  locked,
  shorten_hash,
  to_line,
)


def write(output, results, *, commit=True):
  """Write results as a process does that is killed afterwards."""
  journal = output.begin()
  with locked(output.partial):
    rows = JsonLines(output.partial, journal.extent)
    rows.write(results)
    if commit:
      journal.read += len(results)
      journal.written += len(results)
      output.commit(journal, rows)
    rows.close()
  return journal


def test_what_cannot_be_written_is_one_line_with_the_way_out(tmp_path):
  (tmp_path / "notes").write_text("kept")
  path = tmp_path / "notes" / "out.jsonl.partial"
  with pytest.raises(OSError, match="cannot write") as caught, locked(path):
    pass
  assert str(caught.value) == (
    f"cannot write {path}: File exists; give another --output"
  )


@pytest.mark.parametrize(
  ("value", "said"),
  [
    ("0f" * 32, "0f0f0f0f0f0f"),
    ("x" * 64, "x" * 64),  # the name of a file may be as long
    (f"/tmp/{'0' * 59}", f"/tmp/{'0' * 59}"),
    ("0f" * 31, "0f" * 31),
    (5, "5"),
  ],
)
def test_only_hashes_are_shortened(value, said):
  assert shorten_hash(value) == said


def test_what_was_not_committed_is_written_again(tmp_path):
  output = Output(tmp_path / "out", {"input": "a"})
  write(output, [{"line": 1}])
  write(output, [{"line": 2}], commit=False)
  assert output.partial.read_text() == '{"line": 1}\n{"line": 2}\n'
  journal = write(output, [{"line": 2}, {"line": 3}])
  assert journal.written == 3
  output.finish(journal)
  assert output.path.read_text() == '{"line": 1}\n{"line": 2}\n{"line": 3}\n'
  assert output.begin().done


def test_a_kill_before_the_last_rename_leaves_nothing_to_do(tmp_path):
  output = Output(tmp_path / "out", {"input": "a"})
  journal = write(output, [{"line": 1}])
  output.finish(journal)
  output.path.rename(output.partial)
  assert output.begin().done
  assert output.path.is_file()


def test_rows_that_were_deleted_are_written_anew(tmp_path):
  output = Output(tmp_path / "out", {"input": "a"})
  write(output, [{"line": 1}])
  output.partial.unlink()
  assert output.begin() == Journal({"input": "a"})
  write(output, [{"line": 1}, {"line": 2}])
  output.partial.write_text("")  # cut by somebody else
  with pytest.raises(ValueError, match="has 0 bytes, and 24 were written"):
    write(output, [])


def test_other_outputs_and_journals_are_refused(tmp_path):
  output = Output(tmp_path / "out", {"input": "a" * 64, "top_k": 5})
  write(output, [{"line": 1}])
  other = Output(output.path, {"input": "b" * 64, "top_k": 5})
  with pytest.raises(
    ValueError, match=r"partial is of another input \(a{12} there, b{12} now"
  ):
    other.begin()
  output.journal.write_text("{}")
  with pytest.raises(ValueError, match="is not of this version"):
    output.begin()
  with pytest.raises(ValueError, match="is a folder"):
    Output(tmp_path, {"input": "a"}).begin()


def test_two_processes_do_not_write_one_file(tmp_path):
  path = tmp_path / "out.partial"
  with (
    locked(path),
    pytest.raises(ValueError, match="another process is writing"),
    locked(path),
  ):
    pass


def test_a_line_has_no_word_that_json_lacks():
  assert to_line({"label": "žluť\n"}) == '{"label": "žluť\\n"}\n'
  with pytest.raises(ValueError, match="not JSON compliant"):
    to_line({"score": float("nan")})
