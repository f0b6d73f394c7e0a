"""Which cells learn which object."""

import torch

from framehook.training.batch import Targets
from framehook.training.losses import Assignment, assignment

GRID = 8
"""Cells a side, of 8 pixels each."""


def middles():
    line = torch.arange(GRID) * 8.0 + 4
    return torch.stack((line.repeat(GRID), line.repeat_interleave(GRID)), 1)


def choose(objects, *, boxes=None, scores=None, topk=10, pictures=1, classes=2) -> Assignment:
    """Boxes predicted are those of 24 pixels around the cells unless told."""
    around = torch.cat((middles() - 12, middles() + 12), 1)
    picture, cls, xyxy = zip(*objects, strict=True)
    return assignment(
        torch.zeros(pictures, classes, GRID**2) if scores is None else scores,
        around.expand(pictures, -1, -1) if boxes is None else boxes,
        middles(),
        Targets(torch.tensor(picture), torch.tensor(cls), torch.tensor(xyxy, dtype=torch.float32)),
        topk=topk,
        cell=8,
    )


def test_an_object_takes_the_best_cells_whose_middles_it_holds():
    box = (8.0, 8.0, 32.0, 32.0)  # the middles at 12, 20 and 28: the cells 1 to 3 of each line
    chosen = choose([(0, 0, box)])
    assert sorted(chosen.anchor.tolist()) == [9, 10, 11, 17, 18, 19, 25, 26, 27]
    assert sorted(choose([(0, 0, box)], topk=5).anchor.tolist()) == [10, 17, 18, 19, 26]
    assert choose([(0, 0, box)], topk=1).anchor.tolist() == [18]


def test_the_best_cell_is_to_score_the_best_overlap():
    chosen = choose([(0, 0, (10.0, 8.0, 34.0, 32.0))])
    wanted = dict(zip(chosen.anchor.tolist(), chosen.score.tolist(), strict=True))
    overlap = 22 * 24 / (2 * 24 * 24 - 22 * 24)
    assert abs(wanted[18] - overlap) < 1e-6
    other = 24 * 18 / (2 * 24 * 24 - 24 * 18)  # of the cell one to the right, equally sure of its class
    assert abs(wanted[19] - overlap * (other / overlap) ** 6) < 1e-6


def test_a_surer_cell_comes_before_one_that_overlaps_a_little_more():
    scores = torch.full((1, 2, GRID**2), -4.0)
    scores[0, 1, 19] = 4.0
    box = (11.0, 8.0, 35.0, 32.0)  # 3 pixels off the cell 18, 5 off the cell 19
    assert choose([(0, 0, box)], scores=scores, topk=1).anchor.tolist() == [18]
    assert choose([(0, 1, box)], scores=scores, topk=1).anchor.tolist() == [19]


def test_a_cell_that_two_objects_take_goes_to_the_one_it_overlaps_most():
    chosen = choose([(0, 0, (8.0, 8.0, 34.0, 34.0)), (0, 0, (8.0, 8.0, 32.0, 32.0))], topk=1)
    assert (chosen.box.tolist(), chosen.anchor.tolist()) == ([1], [18])
    swapped = choose([(0, 0, (8.0, 8.0, 32.0, 32.0)), (0, 0, (8.0, 8.0, 34.0, 34.0))], topk=1)
    assert (swapped.box.tolist(), swapped.anchor.tolist()) == ([0], [18])


def test_of_two_objects_in_one_place_the_first_has_the_cells():
    box = (8.0, 8.0, 32.0, 32.0)
    chosen = choose([(0, 0, box), (0, 1, box)])
    assert chosen.box.tolist() == [0] * 9
    assert len(set(chosen.anchor.tolist())) == 9


def test_pictures_do_not_disturb_each_other():
    box = (8.0, 8.0, 32.0, 32.0)
    chosen = choose([(0, 0, box), (2, 0, box)], pictures=3)
    alone = choose([(0, 0, box)])
    assert chosen.box.tolist() == [0] * 9 + [1] * 9
    assert chosen.anchor.tolist() == alone.anchor.tolist() * 2
    assert torch.equal(chosen.score, torch.cat((alone.score, alone.score)))


def test_a_box_smaller_than_a_cell_has_the_nearest_one():
    for x, y in [(0.0, 0.0), (7.0, 1.0), (31.0, 33.0), (61.0, 62.5)]:
        box = (x, y, x + 1.0, y + 1.0)  # no middle lies in it
        chosen = choose([(0, 0, box)])
        column, row = int((x + 0.5) // 8), int((y + 0.5) // 8)
        assert chosen.anchor.tolist() == [row * GRID + column]
        assert chosen.score.item() > 0


def test_a_box_thinner_than_a_cell_has_the_nearest_column():
    chosen = choose([(0, 0, (17.0, 0.0, 19.0, 64.0))])
    assert sorted(chosen.anchor.tolist()) == [2 + GRID * row for row in range(GRID)]


def test_a_box_on_the_edge_between_cells_has_those_beside_it():
    chosen = choose([(0, 0, (30.0, 18.0, 34.0, 22.0))])
    assert sorted(chosen.anchor.tolist()) == [19, 20]


def test_without_any_overlap_a_cell_is_to_score_nothing():
    away = torch.tensor([500.0, 500.0, 510.0, 510.0]).expand(1, GRID**2, 4)
    chosen = choose([(0, 0, (8.0, 8.0, 32.0, 32.0))], boxes=away)
    assert len(chosen.anchor) == 9
    assert not chosen.score.any()


def test_overlaps_too_small_for_their_power_still_count():
    """The sixth power of a slight overlap is near the least that float32 holds, but only ranks are made of it."""
    boxes = torch.cat((middles() - 1000, middles() + 1000), 1)[None]
    chosen = choose([(0, 0, (8.0, 8.0, 32.0, 32.0))], boxes=boxes)
    assert abs(chosen.score.max().item() / (24 * 24 / 2000**2) - 1) < 1e-3


def test_no_objects_take_no_cells():
    chosen = assignment(
        torch.zeros(2, 2, GRID**2),
        torch.zeros(2, GRID**2, 4),
        middles(),
        Targets(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4)),
        topk=10,
        cell=8,
    )
    assert [len(each) for each in chosen] == [0, 0, 0]
