import logging
from collections import defaultdict

import av
import numpy as np
import pytest

from framehook.inference.boxes import Boxes
from framehook.inference.callbacks import Callbacks, ZoneCounter
from framehook.inference.callbacks.per_source import REMEMBERED, PerTrack
from framehook.inference.callbacks.zones import arrow_of, undrawn
from framehook.inference.errors import CallbackError, OptionError
from framehook.inference.sources import open_source

from ..scripted import Scripted  # noqa: TID252 - the same scenery as the tests of runs
from .scenes import start

LINE = {"line": [(100, 120), (200, 120)]}
AREA = {"area": [(100, 100), (200, 100), (200, 200), (100, 200)]}


def feet(*rows):
    """Boxes that stand at (id, x, y) or (id, x, y, class), 10 wide and 20 high."""
    rows = [(*row, 0)[:4] for row in rows]
    edges = [(x - 5, y - 20, x + 5, y) for _, x, y, _ in rows]
    ids, classes = [row[0] for row in rows], [row[3] for row in rows]
    return Boxes(np.reshape(edges, (-1, 4)), np.full(len(rows), 0.9), classes, ids, orig_shape=(240, 320))


def watch(script, *counters, source=None, **options):
    """A run of a scene of 320 x 240; `script` has the boxes of each frame."""
    registry = Callbacks()

    def write(predictor):
        for result in predictor.frame_results:
            result.boxes = script[result.frame.index] if isinstance(script, list) else script(result.frame)

    registry.add("on_predict_postprocess_end", write, order=-200)
    for counter in counters:
        registry.add(counter)
    return start(f"testsrc:320x240@30:{len(script)}" if source is None else source, callbacks=registry, **options)


def count(script, zones, **options):
    *_, last = watch(script, ZoneCounter(zones, **options))
    return last.data["zones"]


def way(*points, number=0):
    """One track that is at these points, one a frame; None where it is not seen."""
    return [feet() if point is None else feet((number, *point)) for point in points]


def ways(line):
    return line["in"], line["out"]


UP = [(150, y) for y in range(140, 95, -5)]


def test_up_across_a_line_from_left_to_right_is_in_and_down_is_out():
    assert count(way(*UP), LINE) == {"line": {"in": 1, "out": 0, "classes": {"thing": {"in": 1, "out": 0}}}}
    assert ways(count(way(*UP[::-1]), LINE)["line"]) == (0, 1)
    assert ways(count(way(*UP), {"line": LINE["line"][::-1]})["line"]) == (0, 1)
    assert ways(count(way(*UP, *UP[::-1], *UP), LINE)["line"]) == (2, 1)


def test_each_class_is_counted_by_itself():
    script = [feet((0, 120, y, 0), (1, 150, y, 7), (2, 180, 240 - y, 7)) for _, y in UP]
    assert count(script, LINE)["line"] == {
        "in": 2,
        "out": 1,
        "classes": {"7": {"in": 1, "out": 1}, "thing": {"in": 1, "out": 0}},
    }


def test_who_walks_round_the_end_of_a_line_has_not_crossed_it():
    round_the_end = [(180, 140), (190, 140), (220, 140), (220, 120), (220, 100), (190, 100), (180, 100), (180, 90), (180, 80)]
    assert ways(count(way(*round_the_end), LINE)["line"]) == (0, 0)
    assert ways(count(way(*round_the_end, *reversed(UP)), LINE)["line"]) == (0, 1)


def test_who_comes_from_beyond_the_end_and_passes_between_the_ends_has_crossed():
    assert ways(count(way((80, 140), (90, 130), (150, 100), (155, 95), (160, 90)), LINE)["line"]) == (1, 0)


def test_who_is_hidden_while_crossing_has_crossed():
    assert ways(count(way(*UP[:3], *[None] * 60, *UP[-3:]), LINE)["line"]) == (1, 0)


def test_trembling_on_a_line_and_a_step_back_count_as_nothing():
    trembling = [(150, 120 + 2 * (-1) ** n) for n in range(40)]
    assert ways(count(way(*trembling), LINE)["line"]) == (0, 0)
    assert ways(count(way(*trembling), LINE, min_frames=1)["line"]) == (20, 19)
    assert ways(count(way((150, 130), (150, 125), (150, 115), (150, 115), (150, 125), (150, 130)), LINE)["line"]) == (0, 0)
    assert ways(count(way(*UP[:4], *trembling, *UP[-3:]), LINE)["line"]) == (1, 0)


@pytest.mark.parametrize(("frames", "crossed"), [(2, 0), (3, 1), (9, 1)])
def test_a_crossing_counts_once_the_track_has_stayed_beyond_for_min_frames(frames, crossed):
    assert ways(count(way((150, 140), *[(150, 100)] * frames), LINE)["line"]) == (crossed, 0)


def test_tracks_are_not_mixed_up_and_boxes_without_a_track_cross_nothing():
    below_and_above = [feet((0, 150, 140), (1, 160, 100)) if n % 2 else feet((1, 160, 100), (0, 150, 140)) for n in range(10)]
    assert ways(count(below_and_above, LINE)["line"]) == (0, 0)
    assert ways(count(way(*UP, number=-1), LINE)["line"]) == (0, 0)


def test_an_area_counts_who_is_inside_the_most_at_once_and_who_ever_was():
    outside, inside = [feet((9, 50, 150))] * 3, [feet((0, 150, 150), (1, 160, 160), (9, 50, 150))] * 4
    one_is_left = [feet((0, 150, 150, 7))] * 5
    assert count([*outside, *inside, *one_is_left], AREA) == {
        "area": {
            "inside": 1,
            "most": 2,
            "entered": 2,
            "classes": {"7": {"inside": 1, "entered": 0}, "thing": {"inside": 0, "entered": 2}},
        }
    }
    out_and_in = [*inside, *outside, *inside]
    assert count(out_and_in, AREA)["area"]["entered"] == 2
    assert count(inside[:2], AREA)["area"]["entered"] == 0  # not for min_frames yet
    assert count(inside[:2], AREA, min_frames=1)["area"]["entered"] == 2


def test_without_tracks_an_area_counts_boxes_and_a_line_tells_what_it_needs():
    untracked = [each.with_ids(None) for each in [feet((0, 150, 150), (1, 160, 160))] * 4]
    assert count(untracked, AREA)["area"] == {
        "inside": 2,
        "most": 2,
        "entered": None,
        "classes": {"thing": {"inside": 2, "entered": None}},
    }
    with pytest.raises(CallbackError, match=r"OptionError: zone 'line' is a line, .* pass tracker='bytetrack'"):
        count(untracked, {**AREA, **LINE})


def test_a_picture_has_no_ids_and_is_counted_all_the_same():
    counter = ZoneCounter({**AREA, **LINE})
    script = [feet((0, 150, 150)).with_ids(None)]
    [result] = watch(script, counter, source=np.zeros((240, 320, 3), np.uint8))
    assert result.data["zones"]["area"]["inside"] == 1
    assert ways(counter.counts["line"]) == (0, 0)


def test_fractions_are_those_of_the_frame_and_who_is_cut_off_by_its_edge_is_inside_it():
    script = way((150, 240), (150, 240), (150, 240))
    assert count(script, {"all": [(0, 0), (1, 0), (1, 1), (0, 1)]})["all"]["entered"] == 1
    assert count(script, {"all": [(0, 0), (319, 0), (319, 239), (0, 239)]})["all"]["entered"] == 1
    assert ways(count(way(*UP), {"line": [(100 / 320, 0.5), (200 / 320, 0.5)]})["line"]) == (1, 0)
    assert ways(count(way(*UP), {"line": [(160 / 320, 0.5), (200 / 320, 0.5)]})["line"]) == (0, 0)


@pytest.mark.parametrize(("anchor", "expected"), [("bottom", 1), ("center", 0), ("top", 0)])
def test_the_anchor_is_the_point_that_counts(anchor, expected):
    assert count(way(*[(150, 104)] * 3), AREA, anchor=anchor)["area"]["inside"] == expected


def test_results_carry_the_counts_of_their_own_frame_when_users_see_them():
    seen = []
    counter = ZoneCounter(LINE)
    run = watch(way(*UP), counter)
    run.predictor.callbacks.add(
        "on_predict_batch_end", lambda predictor: seen.append(predictor.frame_results[0].data["zones"]["line"]["in"])
    )
    results = list(run)
    assert seen == [0, 0, 0, 0, 0, 0, 0, 1, 1]
    assert [result.data["zones"]["line"]["in"] for result in results] == seen
    results[-1].data["zones"]["line"]["in"] = 100
    assert counter.counts["line"]["in"] == 1


def test_a_seek_is_no_way_across_a_line():
    below, above = way((150, 140), (150, 100))
    counter = ZoneCounter(LINE)
    with watch(lambda frame: above if frame.segment else below, counter, source="testsrc:320x240@30:40") as run:
        for result in run:
            if result.frame.index == 5:
                run.seek(1.0)
    assert result.frame.segment == 1
    assert result.data["zones"]["line"]["in"] == 0


def test_tracks_that_are_known_are_bounded_and_the_ones_seen_last_stay():
    tracks = PerTrack(list)
    first = tracks.of(0)
    for number in range(1, REMEMBERED):
        tracks.of(number)
    assert tracks.of(0) is first
    for number in range(REMEMBERED, 2 * REMEMBERED - 1):
        tracks.of(number)
    assert len(tracks.values()) == REMEMBERED
    assert tracks.of(0) is first
    tracks.of(-5)
    assert len(tracks.values()) == REMEMBERED


def test_each_source_is_counted_by_itself_and_all_are_summed(tmp_path):
    files = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for file in files:
        with av.open(str(file), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
            for _ in UP:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((240, 320, 3), np.uint8), format="bgr24")))
            container.mux(stream.encode(None))
    counter = ZoneCounter({**LINE, **AREA})
    list(watch(way(*UP), counter, source=[str(file) for file in files]))
    assert [group.partition("#")[0] for group in counter.sources] == ["a.mp4", "b.mp4"]
    for counts in counter.sources.values():
        assert ways(counts["line"]) == (1, 0)
    assert ways(counter.counts["line"]) == (2, 0)
    assert (counter.counts["area"]["entered"], counter.counts["area"]["most"]) == (2, 1)


def test_sources_of_one_run_whose_frames_come_in_turn_are_not_mixed_up():
    def script(frame):  # track 0 of one source crosses in, that of the other out
        return feet((0, 150, 100 if (frame.index < 20) == (frame.size == (324, 240)) else 140))

    counter = ZoneCounter(LINE)
    sources = [
        Scripted(live=True, stepwise=True, name=f"cam {width}", pixels=np.zeros((240, width, 3), np.uint8))
        for width in (320, 324)
    ]
    with watch(script, counter, source=sources) as run:
        for _ in range(40):
            for source in sources:
                source.allowed.release()
            assert len({next(run).frame.source.group for _ in sources}) == 2  # in turn
    assert sorted(ways(counts["line"]) for counts in counter.sources.values()) == [(0, 1), (1, 0)]
    assert ways(counter.counts["line"]) == (1, 1)


def test_zones_are_drawn_only_when_asked_and_never_on_the_frame():
    for draw in (True, False):
        result = list(watch(way(*UP), ZoneCounter({**LINE, **AREA}, draw=draw)))[-1]
        changed = np.any(result.canvas != result.orig_img, axis=2)
        assert changed.any() == draw
        assert changed[120, 105:140].all() == draw
        assert changed[120:180, 200].all() == draw


LINES = [
    ((100, 120), (200, 120)), ((200, 120), (100, 120)), ((160, 60), (160, 200)), ((160, 200), (160, 60)),
    ((40, 40), (280, 200)), ((280, 200), (40, 40)), ((40, 200), (280, 40)), ((280, 40), (40, 200)),
    ((0, 120), (319, 120)), ((319, 120), (0, 120)), ((160, 0), (160, 239)), ((160, 239), (160, 0)),
    ((0, 1), (319, 1)), ((0, 238), (319, 238)), ((1, 239), (1, 0)), ((318, 0), (318, 239)),
    ((150, 120), (158, 120)), ((2, 2), (12, 2)), ((310, 236), (318, 230)), ((318, 2), (308, 8)), ((2, 236), (2, 228)),
]  # fmt: skip


@pytest.mark.parametrize(("start", "end"), LINES)
def test_a_line_s_caption_is_in_the_picture_and_leaves_its_arrow_free(start, end):
    colour = np.array((94, 89, 255))
    (result,) = watch([feet()], ZoneCounter({"a": (start, end)}, colors=["#ff595e"]))
    drawn = (result.canvas != result.frame.image).any(2)
    (tail, tip) = arrow_of(start, end, 240 / 18, (320, 240))
    assert (result.canvas == colour).all(2).sum() > 400  # all of the plate, which is 74 x 16 or so
    across = np.array(tip) - tail
    across = np.array((-across[1], across[0])) / np.hypot(*across)
    for share in (0.5, 0.9):
        at = np.array(tail) + share * (np.array(tip) - tail)
        assert drawn[tuple(np.clip(np.round(at).astype(int)[::-1], 0, (239, 319)))]
        for side in (-8, 8):  # beside the arrow, whose head is narrower, it is as it was
            x, y = np.round(at + side * across).astype(int)
            if 4 <= x < 316 and 4 <= y < 236:
                assert _away_from_line((x, y), start, end) < 4 or not drawn[y, x]


def _away_from_line(point, start, end):
    point, start, along = np.array(point), np.array(start), np.array(end) - start
    share = np.clip(np.dot(point - start, along) / np.dot(along, along), 0, 1)
    return np.hypot(*(point - start - share * along))


@pytest.mark.parametrize(("start", "end"), LINES)
def test_the_arrow_points_to_the_side_that_is_in_and_lies_in_the_picture(start, end):
    tail, tip = arrow_of(start, end, 14, (320, 240))
    along, way = np.subtract(end, start), np.subtract(tip, tail)
    assert along[0] * way[1] - along[1] * way[0] < 0
    assert np.hypot(*way) == pytest.approx(14)
    assert all(-2 <= x <= 322 and -2 <= y <= 242 for x, y in (tail, tip))


def test_a_zone_goes_on_counting_under_another_name():
    counter = ZoneCounter({**LINE, **AREA})
    script = way(*UP, *reversed(UP), *UP)

    def boxes(frame):
        if frame.index == 12:
            counter.rename("line", "door")
        return script[frame.index]

    results = list(watch(boxes, counter, source=f"testsrc:320x240@30:{len(script)}"))
    assert list(results[11].data["zones"]) == ["line", "area"]
    assert list(results[-1].data["zones"]) == ["door", "area"]
    assert ways(results[-1].data["zones"]["door"]) == ways(counter.counts["door"]) == (2, 1)
    assert counter.zones.keys() == counter.counts.keys() == {"door", "area"}
    (source,) = counter.sources.values()
    assert source == counter.counts
    assert (results[-1].canvas != results[-1].frame.image).any()
    with pytest.raises(OptionError, match="there is no zone 'line'"):
        counter.rename("line", "gate")
    with pytest.raises(OptionError, match="there is a zone 'area' already"):
        counter.rename("door", "area")


def test_a_zone_outside_the_frame_is_told(caplog):
    with caplog.at_level(logging.WARNING, "framehook"):
        count(way(*UP), {"far": [(400, 0), (500, 50)]})
        count(way(*UP), {"reaches in": [(100, 200), (500, 50)]})
    assert [record.getMessage() for record in caplog.records] == [
        "zone 'far' lies outside the frames of testsrc, 320 x 240, and counts nothing there"
    ]


@pytest.mark.parametrize(
    ("zones", "said"),
    [
        ({"a": [(1, 2)]}, "zone 'a' cannot be made of"),
        ({"a": [1, 2, 3, 4]}, "zone 'a' cannot be made of"),
        ({"a": [(1, 2), (3, float("nan"))]}, "zone 'a' cannot be made of"),
        ({"a": [(1, 2), (1, 2)]}, "zone 'a' has no length"),
        ({"a": [(1, 2), (2, 4), (3, 6)]}, "zone 'a' has no area"),
        ([(1, 2), (3, 4)], "zones are points by name"),
    ],
)
def test_what_is_no_zone_is_refused(zones, said):
    with pytest.raises(OptionError, match=said):
        ZoneCounter(zones)


def test_other_values_out_of_range_are_refused():
    with pytest.raises(OptionError, match="Did you mean 'bottom'"):
        ZoneCounter(LINE, anchor="botom")
    with pytest.raises(OptionError, match="min_frames=0"):
        ZoneCounter(LINE, min_frames=0)


def test_people_followed_by_hand_are_counted_exactly(data_dir):
    """Counted from the annotation, by hand: every step of every person against each line, each step for itself."""
    people = defaultdict(list)
    for frame, number, left, top, width, height in np.loadtxt(data_dir / "clips" / "vtest_gt.txt", delimiter=",")[:, :6]:
        people[int(frame)].append((int(number), left, top, left + width, top + height))
    script = [people[number] for number in range(1, max(people) + 1)]
    frames = [
        Boxes(
            np.reshape([row[1:] for row in rows], (-1, 4)),
            np.ones(len(rows)),
            np.zeros(len(rows)),
            [row[0] for row in rows],
            orig_shape=(576, 768),
        )
        for rows in script
    ]
    counter = ZoneCounter(
        {
            "across": [(0, 300), (768, 300)],
            "upright": [(384, 0), (384, 576)],
            "slanting": [(200, 200), (500, 400)],
            "short": [(300, 250), (340, 250)],
            "lawn": [(0, 0.6), (0.5, 0.6), (0.5, 1), (0, 1)],
        }
    )
    list(watch(frames, counter, source=Scripted(len(frames), pixels=np.zeros((576, 768, 3), np.uint8))))
    counts = counter.counts
    assert [ways(counts[name]) for name in ("across", "upright", "slanting", "short")] == [(20, 14), (14, 18), (10, 14), (1, 3)]
    on_lawn = [{row[0] for row in rows if (row[1] + row[3]) / 2 <= 384 and row[4] >= 345.6} for rows in script]
    assert counts["lawn"]["most"] == max(map(len, on_lawn))
    assert counts["lawn"]["inside"] == len(on_lawn[-1])
    assert counts["lawn"]["entered"] == len(set().union(*on_lawn))


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ([(900000, 0), (900000.001, 0)], "has no length"),
        ([(900000, 0), (900000.001, 0), (900000, 0.00001)], "has no area"),
        ([(0, 0), (2e6, 0)], "lies too far away; pass points within 1,000,000 pixels"),
        ([(0, 0), (1e300, 0)], "lies too far away"),
    ],
)
def test_zones_that_are_nothing_in_single_precision_or_lie_too_far_away_are_refused(points, told):
    with pytest.raises(OptionError, match=f"zone 'z' {told}"):
        ZoneCounter({"z": points})


def test_nobody_is_inside_any_more_once_the_source_or_the_run_is_over():
    counter = ZoneCounter(AREA)
    sources = [open_source(f"testsrc:320x240@30:{count}") for count in (90, 270)]
    inside = [
        sum(counts["area"]["inside"] for counts in counter.sources.values())
        for _ in watch(lambda frame: feet((0, 150, 150)), counter, source=sources)
    ]
    assert max(inside) == 2
    assert inside[-1] == 1
    assert counter.counts["area"]["inside"] == 0
    assert counter.counts["area"]["most"] == 1


def test_zones_of_some_sources_are_counted_and_drawn_in_those_alone():
    sources = [open_source(f"testsrc:320x240@30:{count}") for count in (3, 4)]
    door, yard = (source.info.id for source in sources)
    at_door = ZoneCounter(AREA, only=lambda source: source.id == door)
    at_yard = ZoneCounter({"lawn": [(0, 0), (1, 0), (1, 1), (0, 1)]}, only=lambda source: source.id == yard)
    seen = defaultdict(list)
    for result in watch(lambda frame: feet((0, 150, 150)), at_door, at_yard, source=sources):
        assert np.any(result.canvas != result.orig_img)
        seen[result.frame.source.id].append({name: counts["inside"] for name, counts in result.data["zones"].items()})
    assert seen == {door: [{"area": 1}] * 3, yard: [{"lawn": 1}] * 4}
    assert list(at_door.sources) == [door]
    assert list(at_yard.sources) == [yard]


def test_frames_of_sources_without_zones_are_left_as_they_are():
    nowhere = ZoneCounter(LINE, only=lambda source: False)
    for result in watch(lambda frame: feet((0, 150, 150)).with_ids(None), nowhere, source="testsrc:320x240@30:2"):
        assert result.data == {}
        assert np.array_equal(result.canvas, result.orig_img)
    assert nowhere.sources == {}
    assert ways(nowhere.counts["line"]) == (0, 0)


def test_a_zone_can_be_taken_from_a_result_and_the_others_stay_as_they_are():
    far = {"far": [(10, 10), (30, 10), (30, 30)]}
    *_, both = watch(way(*UP), ZoneCounter({**AREA, **LINE}, colors=["#ff0000", "#00ff00"]), ZoneCounter(far))
    *_, line = watch(way(*UP), ZoneCounter(LINE, colors=["#00ff00"]), ZoneCounter(far))
    less = undrawn(both, {"area"})
    assert less.data["zones"] == line.data["zones"]
    assert np.array_equal(less.canvas, line.canvas)
    assert set(both.data["zones"]) == {"area", "line", "far"}
    assert not np.array_equal(both.canvas, line.canvas)


def test_a_result_without_zones_is_given_none():
    *_, last = watch(way(*UP))
    assert "zones" not in undrawn(last, {"area"}).data
