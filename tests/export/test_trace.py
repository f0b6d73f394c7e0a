"""PyTorch networks as ONNX graphs, run by ONNX Runtime."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

from framehook.export.trace import OPSET, trace
from framehook.inference.errors import ExportError
from framehook.inference.nets.architecture import parse
from framehook.inference.nets.net import DetectionNet


def small(*, blocks="C3k2", flags=([False, 0.25], [True], [False]), pool=(), attention=True, **facts):
    """A net with each kind of layer of a family, but few of them: two levels, of strides 4 and 8."""
    torch.manual_seed(0)
    backbone = [
        [-1, 1, "Conv", [16, 3, 2]],
        [-1, 1, "Conv", [32, 3, 2]],
        [-1, 1, blocks, [32, *flags[0]]],
        [-1, 1, "Conv", [64, 3, 2]],
        [-1, 1, blocks, [64, *flags[1]]],
        [-1, 1, "SPPF", [64, 5, *pool]],
        [-1, 1, *(("C2PSA", [64]) if attention else ("Conv", [64]))],
    ]
    head = [
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 2], 1, "Concat", [1]],
        [-1, 1, blocks, [32, *flags[2]]],
        [[9, 6], 1, "Detect", ["nc"]],
    ]
    net = DetectionNet(parse({"nc": 2, "backbone": backbone, "head": head, **facts}, source="small")).eval()
    for module in net.modules():
        if isinstance(module, nn.Conv2d):  # so strong that what is seen matters, unlike those that training starts with
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net.fused()


@pytest.fixture(scope="module")
def net():
    """Of the layers of YOLO11."""
    return small()


def run(model, picture):
    return ort.InferenceSession(model.SerializeToString()).run(None, {"images": picture})[0]


def picture(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


def axes(value):
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_a_fixed_graph_gives_what_the_net_gives(net):
    traced = trace(net, input_size=(96, 64))
    onnx.checker.check_model(traced.model, full_check=True)
    assert traced.note is None
    assert axes(traced.model.graph.input[0]) == [1, 3, 64, 96]
    assert [output.name for output in traced.model.graph.output] == ["output0"]
    assert traced.model.opset_import[0].version == OPSET
    given = picture(1, 3, 64, 96)
    with torch.inference_mode():
        assert np.abs(run(traced.model, given) - net(torch.from_numpy(given)).numpy()).max() < 1e-3


def test_a_dynamic_graph_takes_any_batch_and_size(net):
    model = trace(net, input_size=(64, 64), dynamic=True).model
    onnx.checker.check_model(model, full_check=True)
    assert axes(model.graph.input[0]) == ["batch", 3, "height", "width"]
    assert axes(model.graph.output[0]) == ["batch", 6, "proposals"]
    for shape in ((1, 3, 64, 64), (2, 3, 96, 160), (3, 3, 32, 64)):
        given = picture(*shape)
        with torch.inference_mode():
            assert np.abs(run(model, given) - net(torch.from_numpy(given)).numpy()).max() < 1e-3


def test_a_batch_another_opset_and_other_channels_can_be_asked_for():
    net = small(blocks="C2f", flags=([True], [True], []), attention=False, channels=1)  # the layers of YOLOv8
    model = trace(net, input_size=(64, 64), batch=2, opset=20, channels=1).model
    assert axes(model.graph.input[0]) == [2, 1, 64, 64]
    assert model.opset_import[0].version == 20
    given = picture(2, 1, 64, 64)
    with torch.inference_mode():
        assert np.abs(run(model, given) - net(torch.from_numpy(given)).numpy()).max() < 1e-3


def test_the_one_to_one_head_finds_the_same_scores():
    flags = ([False, 0.25], [True], [True, 0.5, True])
    net = small(flags=flags, pool=(3, True), nc=80, reg_max=1, end2end=True)  # the layers of YOLO26
    given = picture(1, 3, 64, 96)
    found = run(trace(net, input_size=(96, 64)).model, given)[0]
    with torch.inference_mode():
        expected = net(torch.from_numpy(given)).numpy()[0]
    assert found.shape == (300, 6)
    assert np.ptp(expected[:, 4]) > 1e-3
    # Scores that are all but equal may change places.
    assert np.abs(found[:, 4] - expected[:, 4]).max() < 1e-4


def test_what_the_newer_exporter_cannot_do_the_older_one_may_and_it_is_said():
    class Branching(nn.Module):
        def forward(self, x):
            return x * 2 if x.sum() > 0 else x * 3

    traced = trace(Branching().eval(), input_size=(8, 8))
    assert "the older one was used" in traced.note
    assert run(traced.model, np.zeros((1, 3, 8, 8), np.float32)).shape == (1, 3, 8, 8)
    with pytest.raises(ExportError, match="cannot export this network with open axes"):
        trace(Branching().eval(), input_size=(8, 8), dynamic=True)


def test_what_nothing_can_export_is_refused_in_one_line():
    class Counting(nn.Module):
        def forward(self, x):
            raise RuntimeError("this network\ncannot run")

    with pytest.raises(ExportError, match="PyTorch cannot export this network: RuntimeError: this network cannot run") as error:
        trace(Counting().eval(), input_size=(8, 8))
    assert "\n" not in str(error.value)
