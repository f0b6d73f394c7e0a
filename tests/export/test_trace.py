"""PyTorch networks as ONNX graphs, run by ONNX Runtime."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

from framehook.export.trace import OPSET, trace
from framehook.inference.errors import ExportError
from framehook.inference.nets.architecture import architecture_of, parse
from framehook.inference.nets.load import load_network
from framehook.inference.nets.net import DetectionNet


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return DetectionNet(architecture_of("yolo11n", nc=2)).eval().fused()


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


def test_a_batch_and_another_opset_can_be_asked_for(net):
    model = trace(net, input_size=(64, 64), batch=2, opset=20).model
    assert axes(model.graph.input[0]) == [2, 3, 64, 64]
    assert model.opset_import[0].version == 20


def test_the_one_to_one_head_finds_the_same_scores(data_dir):
    backend = load_network(data_dir / "checkpoints" / "yolo26n.pt")
    given = np.load(data_dir / "checkpoints" / "yolo26n.npz")["input"]
    found = run(trace(backend.module, input_size=(320, 256)).model, given)[0]
    expected = backend.infer(given)[0][0]
    assert found.shape == (300, 6)
    # Random weights give scores that are all but equal, so that rows may change places; scores do not.
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


def test_other_numbers_of_channels_are_taken():
    description = architecture_of("yolov8n", nc=1).as_dict()
    net = DetectionNet(parse({**description, "channels": 1}, source="grey")).eval().fused()
    assert axes(trace(net, input_size=(64, 64), channels=1).model.graph.input[0]) == [1, 1, 64, 64]
