from __future__ import annotations

import json
from pathlib import Path

from framehook.training.data.report import Action, DataReport, Problem, ProblemKind, shown


def report(*problems: Problem) -> DataReport:
    return DataReport("train", {0: "cat", 1: "dog"}, 1, 0, 3, 1, {0: 3, 1: 0}, problems)


def row(line: int) -> Problem:
    return Problem(ProblemKind.UNREADABLE_ROW, Path("a.txt"), line, "'x': expected numbers", Action.ROW_LEFT_OUT)


def test_a_summary_is_one_line_with_every_kind() -> None:
    corrupt = Problem(ProblemKind.CORRUPT_PICTURE, Path("b.jpg"), None, "empty", Action.PICTURE_LEFT_OUT)
    told = report(row(1), corrupt, row(2)).summary()
    assert told == ("train: 1 picture, 3 objects, 0 background, 1 crowd; 1 x corrupt picture, 2 x row that cannot be read")
    assert report().summary().endswith("nothing is wrong")


def test_lines_show_a_few_of_each_kind_or_all() -> None:
    found = report(*map(row, range(1, 31)))
    lines = found.lines(2)
    assert lines[1:] == [
        "  without any object: dog",
        "  row that cannot be read: 30",
        "    a.txt:1: 'x': expected numbers (row left out)",
        "    a.txt:2: 'x': expected numbers (row left out)",
        "    and 28 more",
    ]
    assert len(found.lines(None)) == 3 + 30


def test_a_report_can_be_written_as_json() -> None:
    told = json.loads(json.dumps(report(row(4)).as_dict()))
    assert told["counts"] == {"unreadable_row": 1}
    assert told["classes"][1] == {"number": 1, "name": "dog", "objects": 0}
    assert told["problems"] == [
        {
            "kind": "unreadable_row",
            "path": "a.txt",
            "line": 4,
            "detail": "'x': expected numbers",
            "done": "row left out",
        }
    ]


def test_what_a_message_shows_is_one_short_line() -> None:
    assert shown("a\nb") == "'a\\nb'"
    assert len(shown("x" * 1000)) == 80
