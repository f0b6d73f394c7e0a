"""Checkpoints in Framehook's own form: our reader and torch's restricted one both load them, and wrong headers are told."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from framehook.inference.checkpoints import HEADER_KEY, Header, own_header, parse_header, read_checkpoint
from framehook.inference.errors import ModelFormatError
from framehook.inference.nets.architecture import parse

from .assembled import dict_of, pickled, save, tensor, text

ROW = [-1, 1, "Conv", [64, 3, 2]]
ARCHITECTURE: dict[str, Any] = {
    "nc": 2,
    "scale": "n",
    "scales": {"n": [0.5, 0.25, 1024]},
    "backbone": [ROW, [[-1, 0], 2, "Concat", [1, None, True]]],
    "head": [ROW],
}
HEADER = Header(
    architecture=ARCHITECTURE,
    names={0: "cat", 1: "\u732b"},
    stride=(8, 16, 32),
    args={"imgsz": 320, "data": None, "scale": [0.5, 1.5]},
    figures={"mAP50": 0.5},
    mid_training=True,
    epoch=4,
    best_fitness=0.25,
    date="2026-01-01T00:00:00+00:00",
    version="0.1.0",
    license="Apache-2.0",
)


def changed(**entries: Any) -> str:
    return json.dumps({**json.loads(own_header(HEADER)), **entries})


def test_a_header_is_read_back_as_it_was_written() -> None:
    assert parse_header(own_header(HEADER)) == HEADER
    least = Header(architecture=ARCHITECTURE, names={0: "cat", 1: "dog"}, stride=(8,))
    assert parse_header(own_header(least)) == least


def test_tables_of_any_kind_and_numbers_of_numpy_can_be_written() -> None:
    header = Header(
        architecture=MappingProxyType(ARCHITECTURE),
        names=MappingProxyType({0: "cat", 1: "dog"}),
        stride=(8,),
        args=MappingProxyType({"lr": MappingProxyType({"first": np.float64(0.1)})}),
        figures={"loss": np.float64(0.5)},
    )
    read = parse_header(own_header(header))
    assert (read.args, read.figures, read.names) == ({"lr": {"first": 0.1}}, {"loss": 0.5}, {0: "cat", 1: "dog"})


def test_entries_of_a_later_version_are_left_out() -> None:
    assert parse_header(changed(colour="blue")) == HEADER


def test_a_checkpoint_of_torch_is_read_by_us_and_by_its_own_restricted_loader(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "own.pt"
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).half()
    optimizer = torch.optim.AdamW(layer.parameters())
    torch.save({HEADER_KEY: own_header(HEADER), "model": layer.state_dict(), "optimizer": optimizer.state_dict()}, path)

    checkpoint = read_checkpoint(path)
    assert (checkpoint.kind, checkpoint.net) == ("framehook", None)
    for key in ("architecture", "names", "stride", "task", "args", "figures", "mid_training", "epoch", "best_fitness"):
        assert getattr(checkpoint, key) == getattr(HEADER, key), key
    assert (checkpoint.date, checkpoint.version, checkpoint.license) == (HEADER.date, HEADER.version, HEADER.license)

    loaded = torch.load(path, weights_only=True)
    assert parse_header(loaded[HEADER_KEY]) == HEADER
    assert list(checkpoint.tensors) == list(loaded["model"]) == list(layer.state_dict())
    for key, value in loaded["model"].items():
        assert checkpoint.tensors[key].dtype == value.numpy().dtype
        assert np.array_equal(checkpoint.tensors[key], value.numpy()), key


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_kind_of_tensor_torch_saves_is_read(tmp_path: Path, protocol: int) -> None:
    torch = pytest.importorskip("torch")
    values = torch.arange(24).reshape(2, 3, 4)
    kinds = (
        "float16",
        "float32",
        "float64",
        "bfloat16",
        "uint8",
        "uint16",
        "int8",
        "int16",
        "int32",
        "int64",
        "bool",
        "complex64",
    )
    tensors = {kind: values.to(getattr(torch, kind)) for kind in kinds}
    tensors |= {
        "turned": values.permute(2, 0, 1),
        "inner": values[1:, 1:3, ::2],
        "last": values.to(memory_format=torch.contiguous_format).unsqueeze(0).to(memory_format=torch.channels_last),
        "empty": torch.empty(0, 4),
        "scalar": torch.tensor(3.5),
        "weight": torch.nn.Parameter(torch.ones(2)),
        "kept": torch.nn.Parameter(torch.ones(2), requires_grad=False),
    }
    tensors["tied"] = tensors["float32"][1]
    tensors["kept"].note = "mine"  # an attribute of its own: torch saves such a parameter another way
    torch.save(tensors, tmp_path / "tensors.pt", pickle_protocol=protocol)
    read = read_checkpoint(tmp_path / "tensors.pt").tensors
    assert list(read) == list(tensors)
    for key, value in tensors.items():
        expected = (value.float() if key == "bfloat16" else value).detach().numpy()
        assert read[key].dtype == expected.dtype, key
        assert np.array_equal(read[key], expected), key


def test_a_net_pickled_whole_gives_the_state_dict_it_has(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    inner = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.SiLU(), torch.nn.Upsample(scale_factor=2))
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1, bias=False), torch.nn.ModuleList([inner]), torch.nn.Linear(2, 2))
    net.register_buffer("passing", torch.ones(3), persistent=False)
    net.register_buffer("lasting", torch.ones(3))
    torch.save(net, tmp_path / "net.pt")
    read = read_checkpoint(tmp_path / "net.pt").tensors
    assert list(read) == list(net.state_dict())
    for key, value in net.state_dict().items():
        assert np.array_equal(read[key], value.numpy()), key


def test_the_format_of_old_torch_is_refused_with_the_way_out(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "old.pt"
    torch.save({"x": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(ModelFormatError, match=r"old\.pt cannot be read as a checkpoint: .* torch before 1\.6; .*torch\.save"):
        read_checkpoint(path)


WRONG: dict[str, tuple[Any, str]] = {
    "no text": (3, "is not a text"),
    "no JSON": ("{", "is not JSON"),
    "deep": ("[" * 100_000, "is not JSON"),
    "not a number": (changed(best_fitness=1).replace('"best_fitness": 1', '"best_fitness": NaN'), "is not JSON"),
    "beyond numbers": (changed(best_fitness=1).replace('"best_fitness": 1', '"best_fitness": 1e999'), "best_fitness: inf"),
    "too many digits": (changed(epoch=1).replace('"epoch": 1', '"epoch": ' + "9" * 5000), "is not JSON"),
    "a list": ("[]", "does not say which schema"),
    "no schema": ("{}", "does not say which schema"),
    "schema in words": (changed(schema="1"), "does not say which schema"),
    "a later schema": (changed(schema=2), "follows schema 2, and this version of Framehook knows 1: update Framehook"),
    "too long": (changed(args={"a": "x" * 2**22}), "too long"),
    "nothing in it": ('{"schema": 1}', "lacks architecture, names, stride"),
    "no rows": (changed(architecture={"nc": 2, "head": [ROW]}), "architecture backbone: None"),
    "a later schema of many digits": (changed(schema=10**4000), "follows schema 1000000000"),
    "rows in a text": (changed(architecture={**ARCHITECTURE, "head": "Conv"}), "architecture head: 'Conv'"),
    "a scale of many digits": (changed(architecture={**ARCHITECTURE, "scales": {"n": [10**400, 1, 8]}}), "entry architecture"),
    "classes without end": (changed(architecture={**ARCHITECTURE, "nc": 10**9}), "architecture nc: 1000000000"),
    "classes by halves": (changed(architecture={**ARCHITECTURE, "nc": 1.5}), "architecture nc: 1.5"),
    "too deep": (changed(architecture={**ARCHITECTURE, "a": json.loads("[" * 30 + "]" * 30)}), "wrong entry architecture"),
    "a class without a name": (changed(names={"0": "cat"}), "expected a text for each class number from 0 to 1"),
    "names in a list": (changed(names=["cat", "dog"]), "wrong entry names"),
    "names by names": (changed(names={"cat": 0, "dog": 1}), "wrong entry names"),
    "a name that is none": (changed(names={"0": "cat", "1": None}), "wrong entry names"),
    "no stride": (changed(stride=[]), "wrong entry stride"),
    "a stride of nothing": (changed(stride=[0]), "wrong entry stride"),
    "a task of words": (changed(task="find\nthings"), r"wrong entry task: 'find\nthings'"),
    "args in a list": (changed(args=[]), "wrong entry args: []"),
    "figures in words": (changed(figures={"map": "good"}), "wrong entry figures"),
    "an epoch before the first": (changed(epoch=-1), "wrong entry epoch: -1"),
    "a training that is a number": (changed(mid_training=1), "wrong entry mid_training: 1"),
    "a date that is a number": (changed(date=2026), "wrong entry date: 2026"),
    "a version without end": (changed(version="1" * 1000), "wrong entry version"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_header_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    header, wanted = WRONG[name]
    with pytest.raises(ModelFormatError) as caught:
        parse_header(header)
    assert wanted in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
    if isinstance(header, str) and "\n" not in header and len(header) < 2**22:
        save(
            tmp_path / "own.pt",
            pickled(dict_of({"framehook": text(header), "model": dict_of({"x": tensor("0", 2)})})),
            {"0": bytes(8)},
        )
        with pytest.raises(ModelFormatError, match=r"own\.pt cannot be read as a checkpoint: its header"):
            read_checkpoint(tmp_path / "own.pt")


@pytest.mark.parametrize(
    "rows",
    [[[1, 2, 3]], [["x", 1, "Conv", []]], [[-1, 10**9, "Conv", []]], [ROW] * 1001],
    ids=("three", "text", "many", "long"),
)
def test_rows_are_left_to_the_one_place_that_knows_them(rows: list[Any]) -> None:
    header = parse_header(changed(architecture={**ARCHITECTURE, "head": rows}))
    with pytest.raises(ModelFormatError, match=r"^some\.pt: its description"):
        parse(header.architecture, source="some.pt")


def test_a_checkpoint_of_ours_without_tensors_is_refused(tmp_path: Path) -> None:
    for model in ({"framehook": text(own_header(HEADER))}, {"framehook": text(own_header(HEADER)), "model": text("x")}):
        save(tmp_path / "own.pt", pickled(dict_of(model)))
        with pytest.raises(ModelFormatError, match="there are no tensors in it"):
            read_checkpoint(tmp_path / "own.pt")


def test_a_header_cannot_be_made_of_what_could_not_be_read_back() -> None:
    with pytest.raises(ModelFormatError, match=r"wrong entry figures: \{'loss': nan\}; expected a table of numbers"):
        Header(architecture=ARCHITECTURE, names={0: "cat", 1: "dog"}, stride=(8,), figures={"loss": float("nan")})
    with pytest.raises(ModelFormatError, match="wrong entry args"):
        Header(architecture=ARCHITECTURE, names={0: "cat", 1: "dog"}, stride=(8,), args={"where": Path("x")})
