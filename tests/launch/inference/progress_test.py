# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import re

from launch.inference import progress


def test_rows_agree_with_their_verb():
  given = [progress.rows_are(count) for count in (0, 1, 2, 1234)]
  assert given == ["0 rows are", "1 row is", "2 rows are", "1,234 rows are"]
  with progress.Progress(1) as shown:
    shown.advance(1)
    assert shown.summary().startswith("1 row, ")


def test_a_log_has_lines_with_the_rate(capsys, monkeypatch):
  monkeypatch.setattr(progress, "_LINE_SECONDS", -1.0)
  with progress.Progress(200, done=50) as shown:
    shown.advance(50)
    assert re.fullmatch(r"100 rows, [\d,]+ rows/s", shown.summary())
  (line,) = capsys.readouterr().err.splitlines()
  assert re.fullmatch(r"100 rows, [\d,]+ rows/s \(50%\)", line)
