"""What `framehook val` shows, leaves, and ends with."""

import json
import subprocess
import sys

import pytest

from framehook.app.validating import validate
from framehook.inference.errors import CallbackError, DatasetError, OptionError
from framehook.model import Model
from framehook.training.data import write_example


@pytest.fixture(scope="module")
def persons(tmp_path_factory):
    """The data.yaml of a dataset of three pictures, labelled with the one class of the bundled model."""
    folder = tmp_path_factory.mktemp("persons") / "shapes"
    file = write_example(folder, train=1, val=3, size=(96, 72), classes=("circle",))
    file.write_text(file.read_text(encoding="utf-8").replace("circle", "person"), encoding="utf-8")
    return file


@pytest.fixture
def model():
    return Model()


def test_a_table_is_printed_and_progress_goes_elsewhere(model, persons, capsys):
    assert validate(model, {"data": persons}) == 0
    told = capsys.readouterr()
    heads, everything, *_, speed = told.out.splitlines()
    assert heads.split() == ["class", "pictures", "objects", "precision", "recall", "mAP50", "mAP50-95"]
    assert everything.split()[:2] == ["all", "3"]
    assert speed.startswith("ms a picture: preprocess ")
    assert [line for line in told.err.splitlines() if line.endswith("...")] == ["reading the dataset ...", "validating ..."]


def test_json_is_all_there_is_on_standard_output(model, persons, capsys):
    assert validate(model, {"data": persons, "batch": 2}, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pictures"] == 3
    assert told["split"] == "val"
    assert told["data"] == str(persons)
    assert told["model"].endswith("person320.onnx")
    assert set(told["classes"]) == {"person"}
    assert 0 <= told["metrics/mAP50-95(B)"] <= 1
    assert told["ms a picture"]["inference"] > 0
    assert told["save_dir"] is None


def test_the_train_split_can_be_chosen(model, persons, capsys):
    assert validate(model, {"data": persons, "split": "train"}, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == 1


def test_figures_are_told_even_where_a_callback_fails_at_the_end(model, persons, capsys):
    model.add_callback("on_val_end", lambda validator: 1 / 0)
    with pytest.raises(CallbackError):
        validate(model, {"data": persons})
    assert capsys.readouterr().out.startswith("class ")


def test_an_interrupt_ends_it_as_shells_expect(model, persons, capsys):
    def interrupt(validator):
        raise KeyboardInterrupt

    model.add_callback("on_val_batch_start", interrupt)
    assert validate(model, {"data": persons}) == 130
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines()[-1] == "interrupted; 0 pictures were validated"


def test_what_is_missing_is_told_before_anything_is_read(model, tmp_path):
    with pytest.raises(OptionError, match=r"^--data is missing; pass the dataset's YAML file, or a COCO json$"):
        validate(model, {})
    with pytest.raises(OptionError, match=r"^--split 'all' is unknown; pass one of train, val, test$"):
        validate(model, {"data": "data.yaml", "split": "all"})
    with pytest.raises(DatasetError, match=r"nowhere\.yaml"):
        validate(model, {"data": tmp_path / "nowhere.yaml"})


def test_pytorch_is_not_needed_for_an_exported_file(persons):
    code = (
        "import sys\n"
        "from framehook.app.validating import validate\n"
        "from framehook.model import Model\n"
        f"code = validate(Model(), {{'data': {str(persons)!r}}}, as_json=True)\n"
        "sys.exit(code or 9 * ('torch' in sys.modules))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert (said.returncode, json.loads(said.stdout)["pictures"]) == (0, 3), said.stderr
