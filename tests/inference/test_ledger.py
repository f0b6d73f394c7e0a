from concurrent.futures import ThreadPoolExecutor

from framehook.inference.frame import SourceInfo, SourceKind
from framehook.inference.ledger import Cause, Ledger, LedgerBook


def source(name):
    return SourceInfo(id=name, name=name, path=name, kind=SourceKind.VIDEO)


def test_what_is_neither_delivered_nor_dropped_is_pending():
    book = LedgerBook()
    one = source("one")
    for _ in range(5):
        book.capture(one)
    book.deliver(one)
    book.drop(one, Cause.SEEK)
    book.drop(one, Cause.SEEK)
    assert book.read() == {"one": Ledger(captured=5, delivered=1, dropped={Cause.SEEK: 2}, pending=2)}


def test_it_counts_exactly_from_several_threads():
    book = LedgerBook()
    one, two = source("one"), source("two")

    def work(_):
        for _ in range(2000):
            book.capture(one)
            book.deliver(one)
            book.capture(two)
            book.drop(two, Cause.OVERWRITTEN)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert book.read() == {
        "one": Ledger(captured=8000, delivered=8000),
        "two": Ledger(captured=8000, dropped={Cause.OVERWRITTEN: 8000}),
    }
