import io

from rich.console import Console

from framehook.app.progress import ROWS, table_of
from framehook.inference.connection import SourceState
from framehook.inference.frame import SourceInfo, SourceKind
from framehook.inference.ledger import Cause, Ledger
from framehook.inference.stats import Latency, SourceStats, Stats


def figures(name, state=SourceState.CONNECTED, **more):
    info = SourceInfo(name + "#1", name, name, SourceKind.STREAM, live=True)
    ledger = Ledger(captured=1300, delivered=1234, dropped={Cause.OVERWRITTEN: 60, Cause.STRIDE: 6})
    return SourceStats(info, ledger, state, fps=29.97, latency=Latency(12.2, 30.1, 41.0), connections=3, **more)


def shown(*sources, width=80):
    console = Console(file=io.StringIO(), width=width, markup=False)
    console.print(table_of(Stats(sources={each.source.id: each for each in sources}), width=width))
    return console.file.getvalue().splitlines()


def test_each_source_has_a_row_with_what_was_missed():
    head, row = shown(figures("door"))
    assert head.split() == ["source", "state", "fps", "latency", "ms", "frames", "dropped"]
    assert row.split() == ["door", "connected", "30.0", "12", "1,234", "60"]


def test_wide_terminals_show_more():
    head, row = shown(figures("door"), width=120)
    assert head.split()[-5:] == ["p95", "p99", "frames", "dropped", "conn."]
    assert row.split()[-6:] == ["12", "30", "41", "1,234", "60", "3"]


def test_a_source_in_trouble_comes_first_with_the_reason_and_one_that_is_over_last():
    lost = figures("yard [1]", SourceState.RECONNECTING, reason="Connection refused", silence=7.3)
    lines = shown(figures("over", SourceState.ENDED), figures("door"), lost)
    assert [line.split()[0] for line in lines[1:4]] == ["yard", "door", "over"]
    assert "yard [1]  reconnecting 7 s" in lines[1]
    assert lines[4].strip() == "yard [1]: Connection refused"


def test_sources_of_one_name_are_told_apart_and_too_many_are_counted():
    lines = shown(figures("door"), *(figures(f"s{number}") for number in range(ROWS)))
    assert lines[-1].strip() == "and 1 more"
    twins = [figures("door"), figures("door")]
    twins[1] = SourceStats(SourceInfo("door#2", "door", "door", SourceKind.STREAM), twins[1].ledger, twins[1].state)
    assert [line.split()[0] for line in shown(*twins)[1:]] == ["door#1", "door#2"]
