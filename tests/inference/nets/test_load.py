"""From checkpoints, names and descriptions to models that run."""

import collections
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from framehook import Model
from framehook.inference.checkpoints import Header, own_header, read_checkpoint
from framehook.inference.errors import ModelFormatError, ModelNotFoundError, OptionError
from framehook.inference.nets.architecture import architecture_of, parse
from framehook.inference.nets.net import DetectionNet
from framehook.inference.nets.save import save_checkpoint
from framehook.inference.options import PredictOptions
from framehook.inference.sources import open_source

SCENE = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
NAMES = {0: "cat", 1: "dog"}


@pytest.fixture(scope="module")
def yolo11n():
    """A network that can be named; it is looked at, and stays as it is."""
    torch.manual_seed(0)
    return DetectionNet(architecture_of("yolo11n", nc=2), names=NAMES).eval()


@pytest.fixture
def net():
    """A small network that describes itself."""
    torch.manual_seed(0)
    rows = [[-1, 1, "Conv", [16, 3, 2]], [-1, 1, "Conv", [32, 3, 2]], [-1, 1, "C3k2", [32, True]]]
    description = {"nc": 2, "backbone": rows, "head": [[-1, 1, "Detect", ["nc"]]]}
    return DetectionNet(parse(description, source="small"), names=NAMES).eval()


@pytest.fixture(scope="module")
def street(data_dir):
    """Frames 0, 100 and 200 of a street with people."""
    with open_source(data_dir / "clips" / "vtest.avi") as clip:
        return [frame.image for frame, _ in zip(clip, range(201), strict=False) if frame.index % 100 == 0]


def outputs_of(backend, side=64):
    return backend.infer(np.random.default_rng(1).random((1, 3, side, side), np.float32))[0]


@pytest.mark.parametrize("name", ["yolo11n_vtest", "yolo11n_vtest_last"])
def test_a_trained_checkpoint_finds_people(data_dir, street, name):
    model = Model(data_dir / "checkpoints" / f"{name}.pt")
    assert model.names == {0: "person"}
    assert model.device == "cpu" or torch.cuda.is_available()
    found = model.predict(street, conf=0.4)
    assert len(found) == 3
    assert min(len(result.boxes) for result in found) >= 2


def test_a_checkpoint_says_what_an_exported_file_would(data_dir):
    network = Model(data_dir / "checkpoints" / "yolo11n_vtest.pt").detector.backend.network
    assert network.metadata["names"] == "{0: 'person'}"
    assert network.metadata["imgsz"] == "[416, 416]"
    assert network.metadata["stride"] == "32"
    assert network.metadata["license"].startswith("AGPL-3.0")
    assert network.outputs[0].shape == (None, 5, None)


def test_the_decoder_chooses_between_the_heads_of_yolo26(data_dir):
    file = data_dir / "checkpoints" / "yolo26n.pt"
    assert Model(file).detector.decoder.name == "end2end"
    raw = Model(file, decoder="yolo").detector
    assert raw.decoder.name == "yolo"
    assert outputs_of(raw.backend).shape == (1, 84, 84)
    with pytest.raises(ModelFormatError, match="has no one-to-one head"):
        Model(data_dir / "checkpoints" / "yolo11n.pt", decoder="end2end")


def test_a_checkpoint_of_ours_comes_back_as_it_was(net, tmp_path):
    file = tmp_path / "mine.pt"
    save_checkpoint(file, net, args={"imgsz": 96}, epoch=3, figures={"mAP50": 0.5}, more={"step": torch.tensor(7)})
    assert [each.name for each in tmp_path.iterdir()] == ["mine.pt"]
    model = Model(file)
    assert dict(model.names) == {0: "cat", 1: "dog"}
    assert model.detector.form.size == (96, 96)
    assert np.allclose(outputs_of(model.detector.backend), outputs_of(load_again(net)), atol=1e-5)
    assert model.detector.backend.module.architecture == net.architecture
    assert read_checkpoint(file).figures == {"mAP50": 0.5}
    assert set(torch.load(file, weights_only=True)) == {"framehook", "model", "step"}


def load_again(net):
    from framehook.inference.backends.pytorch import TorchBackend

    return TorchBackend(net.fused())


def test_a_checkpoint_that_cannot_be_saved_leaves_the_old_one(net, tmp_path):
    file = tmp_path / "mine.pt"
    save_checkpoint(file, net)
    before = file.read_bytes()
    with pytest.raises(AttributeError):
        save_checkpoint(file, net, more={"optimizer": lambda: None})
    assert file.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["mine.pt"]


def test_plain_weights_need_the_name_of_their_network(yolo11n, tmp_path):
    file = tmp_path / "weights.pt"
    torch.save(collections.OrderedDict(yolo11n.state_dict()), file)
    with pytest.raises(ModelFormatError, match=r"holds weights and no description of their network; name it: architecture="):
        Model(file)
    model = Model(file, architecture="yolo11n")
    assert len(model.names) == 2
    assert np.allclose(outputs_of(model.detector.backend), outputs_of(load_again(yolo11n)), atol=1e-5)


def test_weights_of_another_network_are_refused(net, yolo11n, tmp_path):
    file = tmp_path / "weights.pt"
    torch.save(yolo11n.state_dict(), file)
    with pytest.raises(
        ModelFormatError, match=r"do not fit architecture='yolov8n': .* name the architecture that they were made"
    ):
        Model(file, architecture="yolov8n")
    with pytest.raises(ModelFormatError, match=r"has shape \[16, 3, 3, 3\] where .*'yolo11s' asks for \[32, 3, 3, 3\]"):
        Model(file, architecture="yolo11s")
    torch.save({"framehook": header_of(net), "model": {**net.state_dict(), "more\x1b": torch.zeros(2)}}, file)
    with pytest.raises(
        ModelFormatError, match=r"fit its description: 'more\\x1b' has no place; they belong to another network"
    ):
        Model(file)


def header_of(net, **facts):
    return own_header(Header(architecture=net.architecture.as_dict(), names=net.names, stride=net.detect.strides, **facts))


@pytest.mark.parametrize("prefix", ["module.", "model.", "module._orig_mod."])
def test_weights_that_a_wrapper_put_a_prefix_before_are_taken(yolo11n, tmp_path, prefix):
    file = tmp_path / "weights.pt"
    torch.save({prefix + key: value for key, value in yolo11n.state_dict().items() if "num_batches" not in key}, file)
    model = Model(file, architecture="yolo11n")
    assert len(model.names) == 2
    assert np.allclose(outputs_of(model.detector.backend), outputs_of(load_again(yolo11n)), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.uint8])
def test_weights_that_are_no_floating_point_numbers_are_refused(yolo11n, tmp_path, dtype):
    file = tmp_path / "weights.pt"
    torch.save({key: value.to(dtype) for key, value in yolo11n.state_dict().items()}, file)
    with pytest.raises(
        ModelFormatError, match=rf"model.0.conv.weight is of type {str(dtype)[6:]}; expected weights in floating"
    ):
        Model(file, architecture="yolo11n")


def test_weights_of_a_fused_net_say_that_they_are(yolo11n, tmp_path):
    file = tmp_path / "weights.pt"
    torch.save(yolo11n.fused().state_dict(), file)
    with pytest.raises(ModelFormatError, match="was fused, and has no batch norms left; save its weights before that"):
        Model(file, architecture="yolo11n")


def test_weights_that_are_no_numbers_are_told(net, tmp_path, caplog):
    file = tmp_path / "mine.pt"
    with torch.no_grad():
        net.model[0].conv.weight[0] = torch.nan
    save_checkpoint(file, net)
    Model(file)
    assert "1 tensors hold infinities or what is no number; the first is model.0.conv.weight" in caplog.text


def test_an_architecture_is_for_weights_alone(net, tmp_path):
    file = tmp_path / "mine.pt"
    save_checkpoint(file, net)
    with pytest.raises(OptionError, match="describes its network itself; leave out architecture='yolo11n'"):
        Model(file, architecture="yolo11n")
    with pytest.raises(OptionError, match="this one knows its own: leave it out"):
        Model(architecture="yolo11n")
    with pytest.raises(OptionError, match="architecture=11 is no name"):
        Model(file, architecture=11)


def test_a_net_of_ours_keeps_its_names_its_layout_and_its_mode(net):
    model = Model(net.train())
    assert dict(model.names) == {0: "cat", 1: "dog"}
    assert model.detector.decoder.name == "yolo"
    assert all(module.training for module in net.modules())
    assert model.predict(SCENE, imgsz=64)[0].boxes.xyxy.shape[1] == 4


@pytest.mark.parametrize("imgsz", [16384, True, [640], "640"])
def test_a_size_that_is_none_falls_back_and_says_so(net, tmp_path, caplog, imgsz):
    file = tmp_path / "mine.pt"
    save_checkpoint(file, net, args={"imgsz": imgsz})
    assert Model(file).detector.form.size == (640, 640)
    assert "is none; 640 is taken" in caplog.text


def test_a_pipe_is_no_model(tmp_path):
    pipe = tmp_path / "weights.pt"
    os.mkfifo(pipe)
    with pytest.raises(ModelNotFoundError, match="is a pipe or device"):
        Model(pipe)


def test_an_architecture_gives_a_net_with_random_weights_and_says_so(caplog):
    model = Model("yolo11n.yaml")
    assert "random until it is trained" in caplog.text
    assert len(model.names) == 80
    assert model.predict(SCENE, imgsz=64)[0].boxes.xyxy.shape[1] == 4
    with pytest.raises(ModelNotFoundError, match=r"no architecture is called 'yolo13n.yaml'. Did you mean"):
        Model("yolo13n.yaml")


def test_a_description_on_disk_is_read(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(
        "nc: 3\nbackbone:\n  - [-1, 1, Conv, [16, 3, 2]]\n  - [-1, 1, Conv, [32, 3, 2]]\n  - [-1, 1, Conv, [32, 3, 2]]\n"
        "head:\n  - [[2], 1, Detect, [nc]]\n",
        encoding="utf-8",
    )
    assert outputs_of(Model(file).detector.backend).shape == (1, 7, 64)
    file.write_text("!!python/object/apply:os.system ['true']", encoding="utf-8")
    with pytest.raises(ModelFormatError, match="is no YAML file"):
        Model(file)
    file.write_text("nc: 2026-13-45", encoding="utf-8")
    with pytest.raises(ModelFormatError, match="is no YAML file: month must be"):
        Model(file)
    file.write_text("a: &a [x, x]\nnc: [*a, *a]", encoding="utf-8")
    with pytest.raises(ModelFormatError, match=r"has aliases \(\*name\)"):
        Model(file)
    file.write_text("- a\n- list", encoding="utf-8")
    with pytest.raises(ModelFormatError, match="describes no network"):
        Model(file)


@pytest.mark.parametrize(
    ("name", "letter"), [("yolov8s-p6.yaml", "s"), ("YOLOV8S.YAML", "s"), ("yolo11n.yml", "n"), ("people.yaml", "n")]
)
def test_the_name_of_a_description_tells_its_scale(tmp_path, caplog, name, letter):
    file = tmp_path / name
    file.write_text(
        "nc: 3\nscales: {n: [1, 0.25, 1024], s: [1, 0.5, 1024]}\nbackbone:\n  - [-1, 1, Conv, [64, 3, 2]]\n"
        "  - [-1, 1, Conv, [64, 3, 2]]\nhead:\n  - [-1, 1, Detect, [nc]]\n",
        encoding="utf-8",
    )
    module = Model(file).detector.backend.module
    assert module.architecture.letter == letter
    assert module.model[0].conv.out_channels == {"n": 16, "s": 32}[letter]
    assert ("its name tells none" in caplog.text) == (name == "people.yaml")


def test_sizes_are_rounded_up_to_what_a_deeper_pyramid_can_take(tmp_path):
    file = tmp_path / "deep.yaml"
    halvings = "".join("  - [-1, 1, Conv, [16, 3, 2]]\n" for _ in range(6))
    file.write_text(f"nc: 1\nbackbone:\n{halvings}head:\n  - [[2, 5], 1, Detect, [nc]]\n", encoding="utf-8")
    model = Model(file)
    assert model.detector.stride == 64
    assert model.detector.input_size(PredictOptions(imgsz=(96, 130))) == (192, 128)
    assert model.predict(SCENE, imgsz=96)[0].boxes.xyxy.shape[1] == 4


def test_a_model_for_another_task_is_refused(net, tmp_path):
    file = tmp_path / "mine.pt"
    save_checkpoint(file, net, task="segment")
    with pytest.raises(ModelFormatError, match="a model for the task 'segment'; only detection"):
        Model(file)


def test_a_device_that_is_not_there_is_refused(net, tmp_path):
    file = tmp_path / "mine.pt"
    save_checkpoint(file, net)
    with pytest.raises(OptionError, match=r"device='cuda:99' is not available; this PyTorch can use"):
        Model(file, device="cuda:99")


def test_without_torch_one_line_says_how_to_go_on(tmp_path):
    """Torch is hidden from a new interpreter, which is as good as not installed."""
    (tmp_path / "x.pt").touch()
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from framehook import Model\n"
        "try:\n    Model('x.pt')\nexcept ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "PyTorch is not installed; install it with: pip install 'framehook[torch]'" in done.stdout


def test_onnx_files_run_without_torch_and_onnx():
    program = (
        "import sys\nfrom framehook import Model\n"
        "Model().predict('testsrc:64x48@30:1')\n"
        "print({'torch', 'onnx', 'framehook.export', 'framehook.inference.checkpoints'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
