"""The loss against one written from the papers' formulas, in plain loops and float64, and on everything a batch can hold."""

import math

import pytest
import torch
from torch import Tensor

from framehook.inference.nets.architecture import parse
from framehook.inference.nets.head import Raw, cells
from framehook.inference.nets.net import DetectionNet, Heads
from framehook.training.batch import Targets
from framehook.training.losses import DetectionLoss, assign

WEIGHTS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}
STRIDES = (8, 16, 32)
SIDE = 64
ROWS = {
    "nc": 3,
    "backbone": [[-1, 1, "Conv", [width, 3, 2]] for width in (8, 16, 24, 32, 32)],
    "head": [[[2, 3, 4], 1, "Detect", ["nc"]]],
}
OBJECTS = [
    (0, 0, (3.0, 5.0, 40.0, 52.0)),
    (0, 2, (10.0, 8.0, 38.0, 50.0)),
    (0, 1, (41.0, 1.0, 44.0, 3.0)),
    (2, 1, (20.0, 0.0, 64.0, 33.0)),
    (2, 1, (0.0, 40.0, 12.0, 64.0)),
    (2, 0, (0.0, 0.0, 64.0, 64.0)),
]


def targets(*objects):
    pictures, classes, boxes = zip(*objects, strict=True) if objects else ((), (), ())
    return Targets(
        torch.tensor(pictures, dtype=torch.int64),
        torch.tensor(classes, dtype=torch.int64),
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
    )


def raw(net, *, pictures=3, dtype=torch.float32, seed=0, side=SIDE):
    """What a head might give, at random; objects overlap what it predicts more or less."""
    generator = torch.Generator().manual_seed(seed)
    anchors, strides = cells([torch.empty(1, 1, side // each, side // each) for each in STRIDES], STRIDES)
    reg_max = net.detect.reg_max
    boxes = torch.rand(pictures, 4 * reg_max, len(anchors), generator=generator, dtype=torch.float64)
    boxes = 4 * boxes - 2 if reg_max > 1 else 4 * boxes - 0.5
    scores = torch.randn(pictures, net.detect.nc, len(anchors), generator=generator, dtype=torch.float64) - 1
    return Raw(boxes.to(dtype).requires_grad_(), scores.to(dtype).requires_grad_(), anchors, strides)


def heads(net, **options):
    second = raw(net, seed=1, **options) if net.architecture.one_to_one else None
    return Heads(raw(net, **options), second)


def inputs(made):
    return [tensor for head in made if head is not None for tensor in (head.boxes, head.scores)]


def loss_of(net, dtype=torch.float32):
    return DetectionLoss(net.to(dtype), **WEIGHTS)


def small_net(**head):
    torch.manual_seed(0)
    return DetectionNet(parse({**ROWS, **head}, source="a small network"))


@pytest.fixture(params=[{"reg_max": 16}, {"reg_max": 1, "end2end": True}], ids=["yolo11", "yolo26"])
def net(request):
    """A small network whose head is that of YOLO11, or of YOLO26."""
    return small_net(**request.param)


# --- the reference ----------------------------------------


def plain_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    areas = [max(x2 - x1, 0) * max(y2 - y1, 0) for x1, y1, x2, y2 in (a, b)]
    return shared / (sum(areas) - shared) if sum(areas) > shared else 0.0


def plain_ciou(a, b):
    """Eq. 6 to 11 of Zheng et al., for one pair of boxes that are tensors."""
    overlap = plain_iou(a, b)
    rho2 = ((a[0] + a[2] - b[0] - b[2]) ** 2 + (a[1] + a[3] - b[1] - b[3]) ** 2) / 4
    c2 = (max(a[2], b[2]) - min(a[0], b[0])) ** 2 + (max(a[3], b[3]) - min(a[1], b[1])) ** 2
    v = 4 / math.pi**2 * (torch.atan((b[2] - b[0]) / (b[3] - b[1])) - torch.atan((a[2] - a[0]) / (a[3] - a[1]))) ** 2
    alpha = (v / (1 - overlap + v)).detach()
    return overlap - rho2 / c2 - alpha * v


def plain_sides(column, reg_max, exp):
    """The four distances of one cell, in cells; `column` holds numbers, or tensors where a gradient is asked for."""
    if reg_max == 1:
        return list(column)
    sides = []
    for first in range(0, 4 * reg_max, reg_max):
        powers = [exp(column[number]) for number in range(first, first + reg_max)]
        sides.append(sum(i * power for i, power in enumerate(powers)) / sum(powers))
    return sides


def plain_box(sides, x, y):
    return [x - sides[0], y - sides[1], x + sides[2], y + sides[3]]


def plain_assignment(head, objects, topk, boxes):
    """(object, anchor, score) of every cell that is to learn an object."""
    taken: dict[tuple[int, int], list[tuple[float, int, float]]] = {}
    for number, (picture, cls, box) in enumerate(objects):
        ranked = []
        center = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        half = max(box[2] - box[0], STRIDES[0]) / 2, max(box[3] - box[1], STRIDES[0]) / 2
        for anchor, (middle, stride) in enumerate(zip(head.anchors.tolist(), head.strides.tolist(), strict=True)):
            if all(abs(middle[axis] * stride[0] - center[axis]) <= half[axis] for axis in (0, 1)):
                score = 1 / (1 + math.exp(-head.scores[picture, cls, anchor].item()))
                overlap = plain_iou(boxes[picture][anchor], box)
                ranked.append((score**0.5 * overlap**6, overlap, anchor))
        for value, overlap, anchor in sorted(ranked, reverse=True)[:topk]:
            taken.setdefault((picture, anchor), []).append((overlap, -number, value))
    won = [(-number, anchor, value, overlap) for (_, anchor), all_ in taken.items() for overlap, number, value in [max(all_)]]
    chosen = []
    for number, anchor, value, _ in won:
        best = max(each[2] for each in won if each[0] == number)
        tightest = max(each[3] for each in won if each[0] == number)
        chosen.append((number, anchor, value / best * tightest if best else 0.0))
    return sorted(chosen)


def plain_items(head, objects, topk, reg_max):
    strides = head.strides[:, 0].tolist()
    columns = head.boxes.detach().transpose(1, 2).tolist()
    boxes = [
        [
            [each * stride for each in plain_box(plain_sides(column, reg_max, math.exp), *middle)]
            for column, middle, stride in zip(picture, head.anchors.tolist(), strides, strict=True)
        ]
        for picture in columns
    ]
    chosen = plain_assignment(head, objects, topk, boxes)
    norm = max(1.0, sum(score for *_, score in chosen))
    wanted = torch.zeros_like(head.scores)
    zero = head.boxes.sum() * 0
    box_sum, side_sum = zero, zero
    for number, anchor, score in chosen:
        picture, cls, box = objects[number]
        wanted[picture, cls, anchor] = score
        x, y = head.anchors[anchor].tolist()
        scaled = [each / strides[anchor] for each in box]
        sides = plain_sides(head.boxes[picture, :, anchor].unbind(), reg_max, torch.exp)
        predicted = plain_box(sides, x, y)
        truth = [x - scaled[0], y - scaled[1], scaled[2] - x, scaled[3] - y]
        box_sum = box_sum + score * (1 - plain_ciou(predicted, torch.tensor(scaled, dtype=torch.float64)))
        for side in range(4):
            if reg_max == 1:
                error = abs(sides[side] - truth[side])
            else:
                shares = torch.softmax(head.boxes[picture, side * reg_max : (side + 1) * reg_max, anchor], 0)
                y_ = min(max(truth[side], 0), reg_max - 1)
                i = min(int(y_), reg_max - 2)
                error = -((i + 1 - y_) * torch.log(shares[i]) + (y_ - i) * torch.log(shares[i + 1]))
            side_sum = side_sum + score * error / 4
    probability = torch.sigmoid(head.scores)
    cross = -(wanted * torch.log(probability) + (1 - wanted) * torch.log(1 - probability)).sum()
    return torch.stack([7.5 * box_sum / norm, 0.5 * cross / norm, 1.5 * side_sum / norm])


# --- agreement ----------------------------------------


def test_values_and_gradients_are_those_of_the_papers_formulas(net):
    made = heads(net, dtype=torch.float64)
    loss, items = loss_of(net, torch.float64)(made, targets(*OBJECTS))
    gradients = torch.autograd.grad(loss, inputs(made))

    expected = plain_items(made.one2many, OBJECTS, 10, net.detect.reg_max)
    if made.one2one is not None:
        expected = expected + plain_items(made.one2one, OBJECTS, 1, net.detect.reg_max)
    torch.testing.assert_close(items, expected.detach(), rtol=1e-6, atol=0)
    torch.testing.assert_close(loss, 3 * expected.sum(), rtol=1e-6, atol=0)
    for ours, theirs in zip(gradients, torch.autograd.grad(3 * expected.sum(), inputs(made)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-8)
        assert ours.abs().max() > 1e-3


def test_single_precision_is_enough(net):
    wide, narrow = heads(net, dtype=torch.float64), heads(net)
    expected, _ = loss_of(net, torch.float64)(wide, targets(*OBJECTS))
    got, items = loss_of(net)(narrow, targets(*OBJECTS))
    assert got.dtype == items.dtype == torch.float32
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=0)
    for a, b in zip(torch.autograd.grad(got, inputs(narrow)), torch.autograd.grad(expected, inputs(wide)), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-3, atol=1e-5)


def test_half_precision_is_widened_first_also_under_autocast(net):
    narrow = heads(net, dtype=torch.bfloat16)
    wide = Heads(*(head and head._replace(boxes=head.boxes.float(), scores=head.scores.float()) for head in narrow))
    loss = loss_of(net)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got, items = loss(narrow, targets(*OBJECTS))
    assert got.dtype == torch.float32
    assert torch.equal(items, loss(wide, targets(*OBJECTS))[1])
    assert all(each.isfinite().all() for each in torch.autograd.grad(got, inputs(narrow)))


def test_items_are_named_weighted_and_for_one_picture(net):
    made = heads(net, pictures=1)
    objects = targets(*(each for each in OBJECTS if each[0] == 0))
    loss = loss_of(net)
    total, items = loss(made, objects)
    assert loss.names == ("box_loss", "cls_loss", "dfl_loss" if net.detect.reg_max > 1 else "l1_loss")
    assert not items.requires_grad
    torch.testing.assert_close(total, items.sum())

    _, doubled = DetectionLoss(net, box=15.0, cls=0.0, dfl=1.5)(made, objects)
    torch.testing.assert_close(doubled, items * torch.tensor([2.0, 0.0, 1.0], dtype=items.dtype))


# --- what a batch can hold ----------------------------------------


def test_pictures_without_objects_teach_classes_alone_and_reach_every_output(net):
    made = heads(net)
    loss, items = loss_of(net)(made, targets())
    assert items[0] == items[2] == 0
    expected = sum(-0.5 * torch.log(1 - torch.sigmoid(head.scores)).sum() for head in made if head is not None)
    torch.testing.assert_close(items[1], expected.detach())
    for head in (head for head in made if head is not None):
        # A gradient of zeros rather than none: processes that train together wait for one of every weight.
        boxes, scores = torch.autograd.grad(loss, (head.boxes, head.scores), retain_graph=True)
        assert not boxes.any()
        assert (scores > 0).all()


@pytest.mark.parametrize(
    "box",
    [
        (30.0, 30.0, 30.0, 30.0),
        (0.0, 0.0, 64.0, 0.0),
        (0.0, 0.0, 0.5, 0.5),
        (63.5, 63.9, 64.0, 64.0),
        (-900.0, -900.0, 900.0, 900.0),
        (0.0, 31.9, 64.0, 32.1),
    ],
    ids=["a point", "a line", "in the first corner", "in the last corner", "beyond all bins", "flat"],
)
def test_any_box_gives_a_finite_loss_and_gradient(net, box):
    made = heads(net, pictures=1)
    loss, _ = loss_of(net)(made, targets((0, 1, box)))
    assert loss.isfinite()
    assert all(each.isfinite().all() for each in torch.autograd.grad(loss, inputs(made)))


def test_boxes_turned_inside_out_come_back():
    """Plain distances may be negative: such a box has no area, but the loss still has a slope."""
    net = small_net(reg_max=1, end2end=True)
    made = heads(net, pictures=1)
    with torch.no_grad():
        for head in made:
            head.boxes.fill_(1.0)
            head.boxes[:, 0] = -0.9
    loss, _ = loss_of(net)(made, targets((0, 1, (8.0, 8.0, 56.0, 56.0))))
    gradient, *_ = torch.autograd.grad(loss, inputs(made))
    assert gradient.isfinite().all()
    assert gradient[:, 0].min() < 0


@pytest.mark.parametrize("broken", ["boxes", "scores"])
def test_what_is_not_a_number_makes_the_loss_none(net, broken):
    made = heads(net, pictures=1)
    with torch.no_grad():
        getattr(made.one2many, broken).fill_(math.nan)
    loss, _ = loss_of(net)(made, targets((0, 1, (8.0, 8.0, 56.0, 56.0))))
    assert loss.isnan()


def test_hundreds_of_objects_are_looked_at_in_parts_with_the_same_result(net, monkeypatch):
    generator = torch.Generator().manual_seed(3)
    middles, sides = torch.rand(200, 2, generator=generator) * SIDE, torch.rand(200, 2, generator=generator) * 20 + 1
    many = Targets(
        torch.arange(200) // 80,
        torch.randint(net.detect.nc, (200,), generator=generator),
        torch.cat((middles - sides / 2, middles + sides / 2), 1).clamp(0, SIDE),
    )
    made = heads(net)
    loss = loss_of(net)
    _, whole = loss(made, many)
    monkeypatch.setattr(assign, "PAIRS", 1000)
    _, parts = loss(made, many)
    # A processor may round a row among others and a row alone differently in the last place.
    torch.testing.assert_close(parts, whole, rtol=1e-6, atol=0)
    monkeypatch.setattr(assign, "PAIRS", 1)
    torch.testing.assert_close(loss(made, many)[1], whole, rtol=1e-6, atol=0)


def test_a_net_learns_a_picture_by_it(net):
    pictures = torch.full((2, 3, 64, 64), 0.4)
    objects = targets((0, 0, (8.0, 8.0, 40.0, 48.0)), (1, 2, (24.0, 16.0, 60.0, 60.0)))
    for picture, cls, (x1, y1, x2, y2) in [(0, 0, (8, 8, 40, 48)), (1, 2, (24, 16, 60, 60))]:
        pictures[picture, cls, y1:y2, x1:x2] = 1.0
    net.train()
    loss = loss_of(net)
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    seen: list[Tensor] = []
    for _ in range(14):
        total, items = loss(net(pictures), objects)
        seen.append(items)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert all(parameter.grad is not None for parameter in net.parameters() if parameter.requires_grad)
    assert seen[-1].sum() < 0.7 * seen[0].sum()
