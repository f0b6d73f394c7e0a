"""PyTorch modules as backends: those of checkpoints, and users' own."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from framehook import Model
from framehook.inference.backends import OnnxBackend
from framehook.inference.backends.pytorch import TorchBackend, available_torch_devices
from framehook.inference.decoders import Candidates
from framehook.inference.errors import InferenceError, ModelFormatError, OptionError
from framehook.inference.nets.load import load_network

FRAME = np.full((48, 64, 3), 200, np.uint8)


class Mean(nn.Module):
    """One box in the middle, whose score is the mean of the picture."""

    def forward(self, x):
        score = x.mean(dim=(1, 2, 3))
        middle = torch.tensor([32.0, 32.0, 16.0, 8.0], device=x.device, dtype=x.dtype).expand(len(x), 4)
        return torch.cat((middle, score[:, None]), 1)[:, :, None]


def decode(outputs, *, input_size, conf):
    return [
        Candidates(
            np.array([[x - w / 2, y - h / 2, x + w / 2, y + h / 2]], np.float32),
            score.astype(np.float32),
            np.zeros(1, np.int64),
        )
        for (x, y, w, h), score in ((row[:4, 0], row[4]) for row in outputs[0])
    ]


def test_a_module_of_ones_own_runs_with_a_decoder():
    model = Model(Mean(), decoder=decode)
    (result,) = model.predict(FRAME, imgsz=64, conf=0.1)
    assert result.boxes.xyxy.tolist() == [[24, 20, 40, 28]]
    assert result.boxes.conf[0] == pytest.approx((48 * 200 + 16 * 114) / 64 / 255, abs=1e-3)


def test_a_module_of_ones_own_in_a_known_layout_needs_no_decoder():
    model = Model(TorchBackend(Head(), metadata={"names": "{0: 'cat'}"}))
    assert model.detector.decoder.name == "yolo"
    assert model.names[0] == "cat"


class Head(nn.Module):
    def forward(self, x):
        n, _, height, width = x.shape
        return torch.zeros(n, 5, sum(height // s * (width // s) for s in (8, 16, 32)))


def test_outputs_are_never_the_buffer_that_is_used_again():
    backend = TorchBackend(nn.Identity(), input_shape=(1, 3, 8, 8))
    tensor = np.ones((1, 3, 8, 8), np.float32)
    (output,) = backend.infer(tensor)
    tensor[:] = 5
    assert (output == 1).all()


def test_lists_and_dicts_of_tensors_are_laid_out_in_order():
    class Several(nn.Module):
        def forward(self, x):
            return {"boxes": x[:, :1], "more": [x[:, 1:2], (x[:, 2:3].long(),)]}

    found = TorchBackend(Several()).infer(np.full((1, 3, 32, 32), 2, np.float32))
    assert [(each.shape, each.dtype.name) for each in found] == [((1, 1, 32, 32), "float32")] * 2 + [((1, 1, 32, 32), "int64")]


@pytest.fixture(scope="module")
def file(data_dir):
    """A checkpoint of a trained network."""
    return data_dir / "checkpoints" / "yolo11n_vtest.pt"


@pytest.fixture(scope="module")
def trained(file):
    return load_network(file)


@pytest.fixture(scope="module")
def picture(file):
    return np.load(file.with_suffix(".npz"))["input"]


@pytest.fixture(scope="module")
def exact(trained, picture):
    """What the network gives for the picture."""
    return trained.infer(picture)[0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_types_give_nearly_the_same_in_float32(file, picture, exact, dtype):
    narrow = load_network(file, dtype=dtype).infer(picture)[0]
    assert narrow.dtype == np.float32
    assert np.abs(exact - narrow)[:, 4].max() < 0.1
    assert np.abs(exact - narrow)[:, 4].max() > 0
    sure = exact[0, 4] > 0.25
    assert np.abs(exact - narrow)[0, :4, sure].max() < {"float16": 0.5, "bfloat16": 3}[dtype]  # pixels


@pytest.mark.parametrize("channels_last", [False, True])
def test_the_order_of_channels_in_memory_changes_nothing(file, picture, channels_last):
    (output,) = load_network(file, channels_last=channels_last).infer(picture)
    assert np.abs(output - np.load(file.with_suffix(".npz"))["output"]).max() < 1e-3


def test_answers_are_those_of_onnx_runtime(trained, picture, exact, tmp_path):
    from framehook.export.trace import trace

    file = tmp_path / "net.onnx"
    file.write_bytes(trace(trained.module, input_size=(416, 320)).model.SerializeToString())
    assert np.abs(exact - OnnxBackend(file).infer(picture)[0]).max() < 1e-3


def test_threads_share_a_backend(trained):
    pictures = [np.random.default_rng(seed).random((1, 3, 96, 96), np.float32) for seed in range(4)]
    alone = [trained.infer(each)[0] for each in pictures]
    together = [None] * 4

    def work(number):
        for _ in range(3):
            together[number] = trained.infer(pictures[number])[0]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.allclose(one, other, atol=1e-4) for one, other in zip(alone, together, strict=True))


def test_compiled_modules_give_the_same():
    torch.manual_seed(0)
    convolution = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU())
    picture = np.random.default_rng(0).random((1, 3, 16, 16), np.float32)
    compiled = TorchBackend(convolution, compile="eager", outputs=())
    assert np.allclose(compiled.infer(picture)[0], TorchBackend(convolution).infer(picture)[0], atol=1e-5)
    assert compiled.module is convolution


def test_no_gradients_are_kept_and_dropout_is_off():
    backend = TorchBackend(nn.Sequential(nn.Dropout(0.9), nn.Conv2d(3, 1, 1)), input_shape=(1, 3, 8, 8))
    tensor = np.ones((1, 3, 8, 8), np.float32)
    assert np.array_equal(backend.infer(tensor)[0], backend.infer(tensor)[0])


def test_a_module_that_fails_is_refused_with_its_reason():
    with pytest.raises(ModelFormatError, match=r"Conv2d failed on an input of shape 1x3x640x640: .* pass input_shape="):
        TorchBackend(nn.Conv2d(4, 1, 1))
    with pytest.raises(ModelFormatError, match="returns no tensor"):
        TorchBackend(NoTensor())
    with pytest.raises(ModelFormatError, match="Picky failed on an input of shape 1x3x640x640: not of this size"):
        TorchBackend(Picky())


class Picky(nn.Module):
    def forward(self, x):
        raise AssertionError("not of this size")


class NoTensor(nn.Module):
    def forward(self, x):
        return "nothing"


def test_a_module_that_fails_later_says_on_what():
    backend = TorchBackend(nn.Conv2d(3, 1, 1))
    with pytest.raises(InferenceError, match="Conv2d failed on an input of shape 1x4x8x8"):
        backend.infer(np.zeros((1, 4, 8, 8), np.float32))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, "device='gpu' is unknown to PyTorch"),
        ({"device": "cuda:99"}, "is not available; this PyTorch can use"),
        ({"device": 99}, "is not available"),
        ({"dtype": "int8"}, "dtype='int8' is unknown; pass one of float32, float16, bfloat16"),
    ],
)
def test_devices_and_types_that_are_not_possible_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        TorchBackend(nn.Identity(), **options)


def test_there_is_always_a_cpu():
    assert available_torch_devices()[-1] == "cpu"
    assert TorchBackend(nn.Identity(), device="cpu").device == "cpu"
    assert TorchBackend(nn.Identity(), device="cpu:0").device == "cpu"


def test_a_device_of_pytorch_names_that_of_any_model():
    assert Model(device=torch.device("cpu")).device == "cpu"
