"""Checkpoints made to do harm do none: each is refused in one line, and nothing in it runs."""

from __future__ import annotations

import io
import pickle
import random
import shlex
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from framehook.inference.checkpoints import read_checkpoint
from framehook.inference.errors import ModelFormatError, UnsafeModelError

from .assembled import (
    EMPTY_DICT,
    EMPTY_LIST,
    EMPTY_TUPLE,
    FALSE,
    MARK,
    NEW_OBJECT,
    NONE,
    STORAGES,
    TRUE,
    call,
    dict_of,
    latin,
    list_of,
    made,
    module,
    named,
    net,
    number,
    numpy_float,
    pickled,
    save,
    stack_named,
    storage,
    tensor,
    tensor_on,
    text,
    tuple_of,
)

CONV = named("torch.nn.modules.conv", "Conv2d")
ORDERED = named("collections", "OrderedDict")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.pt"


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that the forged checkpoints would make in the working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "canary"


def refused(file: Path, kind: type[ModelFormatError] = ModelFormatError) -> str:
    """Read a file that is to be refused and return how that was told."""
    loaded = set(sys.modules)
    with pytest.raises(ModelFormatError) as caught:
        read_checkpoint(file)
    assert type(caught.value) is kind
    told = str(caught.value)
    assert told.startswith(str(file))
    assert "\n" not in told
    assert told.isprintable()
    assert len(told) < len(str(file)) + 400
    assert {each for each in set(sys.modules) - loaded if not each.startswith("encodings")} == set()
    return told


TOUCH = text(f"{shlex.quote(sys.executable)} -c \"open('canary', 'w')\"")
WRITE = text("open('canary', 'w').close()")

CALLS: dict[str, tuple[bytes, str]] = {
    "os.system": (call(named("os", "system"), TOUCH), "os.system"),
    "posix.system": (call(named("posix", "system"), TOUCH), "posix.system"),
    "eval": (call(named("builtins", "eval"), WRITE), "builtins.eval"),
    "exec": (call(named("builtins", "exec"), WRITE), "builtins.exec"),
    "exec as Python 2 names it": (call(named("__builtin__", "exec"), WRITE), "builtins.exec"),
    "subprocess": (call(named("subprocess", "Popen"), list_of(text("touch"), text("canary"))), "subprocess.Popen"),
    "open": (call(named("builtins", "open"), text("canary"), text("w")), "builtins.open"),
    "import": (call(named("builtins", "__import__"), text("os")), "builtins.__import__"),
    "runpy": (call(named("runpy", "run_path"), text("other.py")), "runpy.run_path"),
    "apply": (call(named("builtins", "map"), named("os", "system"), list_of(TOUCH)), "builtins.map"),
    "a name from the stack": (call(stack_named("os", "system"), TOUCH), "os.system"),
    "a dotted name from the stack": (
        call(stack_named("torch.nn.modules.conv", "Conv2d.__init__.__globals__"), text("x")),
        "torch.nn.modules.conv.Conv2d.__init__.__globals__",
    ),
    "an attribute of an attribute": (
        call(call(named("builtins", "getattr"), named("builtins", "getattr"), text("x")), WRITE),
        "what builtins.getattr gives",
    ),
    "the globals of an initialiser": (
        call(named("builtins", "getattr"), CONV, text("__init__")),
        "builtins.getattr of __init__",
    ),
    "getattr of a chosen name": (call(named("builtins", "getattr"), CONV, list_of()), "builtins.getattr"),
    "getattr with a default": (call(named("builtins", "getattr"), CONV, text("x"), named("os", "system")), "os.system"),
    "a call of a call": (call(call(CONV), WRITE), "what torch.nn.modules.conv.Conv2d gives"),
    "a call of a text": (call(text("os.system"), TOUCH), "what is no function (str)"),
    "a call of a tensor type": (call(named("torch", "float16"), TOUCH), "torch.float16"),
    "a call of a builtin that is only mentioned": (call(named("builtins", "int"), TOUCH), "builtins.int"),
    "a function a net's module imported": (call(named("ultralytics.utils.downloads", "safe_download"), TOUCH), "safe_download"),
    "a module a net's module imported": (named("ultralytics.utils", "os"), "ultralytics.utils.os"),
    "a module below a net's": (named("torch.nn.modules.module.os", "System") + named("utils.a..b", "X"), "utils.a..b.X"),
    "the hub": (call(named("torch.hub", "load"), text("evil/net"), text("x")), "torch.hub.load"),
    "torch's own loading": (call(named("torch", "load"), text("other.pt")), "torch.load"),
    "a pickle within": (call(named("torch.storage", "_load_from_bytes"), latin(b"x")), "torch.storage._load_from_bytes"),
    "a pickle in a pickle": (call(named("pickle", "loads"), b"C\x03abc"), "pickle.loads"),
    "what torch's helpers hold": (named("torch._utils", "__builtins__"), "torch._utils.__builtins__"),
    "another helper of torch": (named("torch._utils", "_import_dotted_name"), "torch._utils._import_dotted_name"),
    "copyreg": (
        call(named("copy_reg", "_reconstructor"), CONV, named("__builtin__", "object"), NONE),
        "copy_reg._reconstructor",
    ),
    "attrgetter": (call(named("operator", "attrgetter"), text("system")), "operator.attrgetter"),
    "methodcaller": (call(named("operator", "methodcaller"), text("system"), TOUCH), "operator.methodcaller"),
    "partial": (call(named("functools", "partial"), CONV), "functools.partial"),
    "a class of its own": (made(named("__main__", "Net"), {}), "__main__.Net"),
    "a class of another package": (made(named("timm.models", "Net"), {}), "timm.models.Net"),
    "a word meant for the terminal": (named("\x1b[2J", "x\u202ey"), r"'\x1b[2J'.'x\u202ey'"),
    "a module that is very long": (named("ultralytics" + ".a" * 200, "Net"), "'ultralytics.a.a"),
    "a new object": (named("os", "system") + tuple_of(TOUCH) + NEW_OBJECT, "os.system"),
    "a new object with keywords": (
        CONV + EMPTY_TUPLE + dict_of({"a": NONE}) + b"\x92",
        "torch.nn.modules.conv.Conv2d with keywords",
    ),
    "an old instance": (MARK + TOUCH + b"ios\nsystem\n", "os.system"),
    "an old instance of a net": (MARK + b"itorch.nn.modules.conv\nConv2d\n", "torch.nn.modules.conv.Conv2d"),
    "an old object": (MARK + named("os", "system") + TOUCH + b"o", "os.system"),
    "an old object of a net": (MARK + CONV + b"o", "torch.nn.modules.conv.Conv2d"),
    "an extension": (b"\x82\x01", "extension registry"),
    "a longer extension": (b"\x84\x01\x00\x00\x00", "extension registry"),
    "another class put in": (made(CONV, {"__class__": named("os", "system")}), "os.system"),
    "a class of the same kind put in": (made(CONV, {"__class__": CONV}), "replace __class__ of torch.nn.modules.conv.Conv2d"),
    "a class put in by the slots": (
        CONV + EMPTY_TUPLE + NEW_OBJECT + tuple_of(NONE, dict_of({"__class__": CONV})) + b"b",
        "replace __class__",
    ),
    "reduction put in": (made(CONV, {"__reduce__": CONV}), "replace __reduce__"),
    "the state of a class": (CONV + dict_of({"forward": CONV}) + b"b", "the state of what has none (class)"),
    "the state of a list": (EMPTY_LIST + dict_of({}) + b"b", "the state of what has none (list)"),
    "the state of a tensor": (tensor("0", 2) + dict_of({}) + b"b", "the state of what has none (tensor)"),
    "an object made by its class's rules": (
        call(
            named("torch._tensor", "_rebuild_from_type_v2"),
            *(named("builtins", "getattr"), CONV, tuple_of(CONV, text("x")), NONE),
        ),
        "builtins.getattr",
    ),
    "a path's method": (call(named("pathlib", "os"), text("x")), "pathlib.os"),
    "a namespace's module": (named("types", "FunctionType"), "types.FunctionType"),
    "bytes by another codec": (call(named("_codecs", "decode"), b"C\x01a", text("zip")), "_codecs.decode"),
    "ctypes by NumPy": (call(named("numpy.ctypeslib", "load_library"), text("x"), text(".")), "numpy.ctypeslib.load_library"),
    "NumPy's own loading": (call(named("numpy", "load"), text("x.npy")), "numpy.load"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_checkpoint_that_wants_something_run_is_refused_by_name(file: Path, canary: Path, name: str) -> None:
    part, wanted = CALLS[name]
    for contents in (part, dict_of({"model": net(), "optimizer": part})):
        save(file, pickled(contents), STORAGES)
        told = refused(file, UnsafeModelError)
        assert wanted in told
        assert "Nothing in it was run" in told
    assert not canary.exists()


@pytest.mark.parametrize(
    "name", ["os.system", "eval", "exec", "a name from the stack", "a new object", "an old instance", "open"]
)
def test_the_same_files_would_do_harm_elsewhere(canary: Path, name: str) -> None:
    # So that the test above proves something. A new object of what is no class fails after it has been looked up.
    part, _ = CALLS[name]
    if name == "a new object":
        with pytest.raises((pickle.UnpicklingError, TypeError)):
            pickle.loads(pickled(part))
        return
    value = pickle.loads(pickled(part))
    if isinstance(value, io.IOBase):
        value.close()
    assert canary.exists()


def test_a_pickle_made_by_python_itself_is_refused_in_every_protocol(file: Path, canary: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
            return eval, ("open('canary', 'w').close()",)

    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        save(file, pickle.dumps({"model": Harm()}, protocol=protocol))
        assert "builtins.eval" in refused(file, UnsafeModelError)
    for protocol in (0, 1):
        save(file, pickle.dumps({"model": Harm()}, protocol=protocol))
        assert "protocol before 2" in refused(file)
    assert not canary.exists()


HALVES = named("torch", "HalfStorage")
WEIGHTS = dict_of({"x": tensor("0", 2)})

FORGED: dict[str, tuple[bytes, str]] = {
    "a persistent id that is a path": (storage("../../etc/passwd", 1), "'../../etc/passwd' is not in it"),
    "a persistent id of another entry": (storage("0/../../data.pkl", 1), "is not in it"),
    "a persistent id that is a text": (text("storage") + b"Q", "no storage"),
    "a persistent id of other parts": (tuple_of(text("module"), CONV, text("0"), text("cpu"), number(1)) + b"Q", "no storage"),
    "a persistent id that is short": (tuple_of(text("storage"), HALVES) + b"Q", "no storage"),
    "a persistent id with a view": (tuple_of(*[text("storage")] * 6) + b"Q", "no storage"),
    "a storage that is no storage": (storage("0", 1, CONV), "unknown kind (torch.nn.modules.conv.Conv2d)"),
    "a storage without a kind": (storage("0", 1, text("FloatStorage")), "unknown kind (str)"),
    "a storage by number": (
        tuple_of(text("storage"), HALVES, number(0), text("cpu"), number(1)) + b"Q",
        "storage 0 is not in it",
    ),
    "a storage by a list": (tuple_of(text("storage"), HALVES, list_of(), text("cpu"), number(1)) + b"Q", "(list) is not in it"),
    "a storage that claims more": (storage("0", 5), "16 bytes, of which 5 elements are claimed"),
    "a storage that claims the most": (storage("0", 2**200), "elements are claimed"),
    "a storage of less than nothing": (storage("0", -1), "-1 elements are claimed"),
    "a storage of half an element": (
        tuple_of(text("storage"), HALVES, text("0"), text("cpu"), number(1.5)) + b"Q",
        "(float) elements are claimed",
    ),
    "a storage that is not in it": (storage("77", 1), "'77' is not in it"),
    "a tensor beyond its storage": (
        tensor_on(storage("0", 4), (2,), (1,), offset=3),
        "claims 5 elements, of which 4 are there",
    ),
    "a tensor before its storage": (tensor_on(storage("0", 4), (2,), (1,), offset=-1), "shape that cannot be"),
    "a tensor that runs backwards": (tensor_on(storage("0", 4), (2,), (-1,), offset=3), "shape that cannot be"),
    "a tensor of negative size": (tensor_on(storage("0", 4), (-2, -2), (1, 1)), "shape that cannot be"),
    "strides that leave the storage": (tensor_on(storage("0", 4), (2, 2), (3, 1)), "claims 5 elements"),
    "strides that do not match": (tensor_on(storage("0", 4), (2, 2), (1,)), "shape that cannot be"),
    "one number a million million times": (tensor_on(storage("0", 4), (10**6, 10**6), (0, 0)), "claims 1000000000000 elements"),
    "a shape beyond all numbers": (tensor_on(storage("0", 4), (2**63, 2**63, 2**63), (0, 0, 0)), "elements, of which 4"),
    "nothing, enormously": (tensor_on(storage("0", 4), (0, 2**40, 2**40), (0, 0, 0)), "shape that cannot be"),
    "too many axes": (tensor_on(storage("0", 4), (1,) * 17, (1,) * 17), "shape that cannot be"),
    "a tensor on a tensor": (tensor_on(tensor("0", 4), (1,), (1,)), "no storage (tensor)"),
    "a tensor on a net": (tensor_on(call(CONV), (1,), (1,)), "no storage (torch.nn.modules.conv.Conv2d)"),
    "a tensor of nothing": (call(named("torch._utils", "_rebuild_tensor_v2")), "_rebuild_tensor_v2 of ()"),
    "a tensor of lists": (
        call(named("torch._utils", "_rebuild_tensor"), storage("0", 4), number(0), list_of(number(1)), list_of(number(1))),
        "shape that cannot be",
    ),
    "a shape of truth": (
        call(named("torch._utils", "_rebuild_tensor"), storage("0", 4), number(0), tuple_of(TRUE), tuple_of(TRUE)),
        "shape that cannot be",
    ),
    "a tensor on bare bytes": (
        tensor_on(storage("0", 4, named("torch.storage", "UntypedStorage")), (1,), (1,)),
        "has no element type",
    ),
    "a tensor of an unknown kind": (
        call(
            named("torch._utils", "_rebuild_tensor_v3"),
            *(storage("0", 4), number(0), tuple_of(), tuple_of(), FALSE, NONE, named("torch", "Size")),
        ),
        "cannot be read (torch.Size)",
    ),
    "a parameter of a text": (
        call(named("torch._utils", "_rebuild_parameter"), text("x"), FALSE, NONE),
        "_rebuild_parameter of",
    ),
    "a tensor from a type of nothing": (
        call(named("torch._tensor", "_rebuild_from_type_v2"), CONV),
        "_rebuild_from_type_v2 of",
    ),
    "objects in an array of NumPy": (call(named("numpy", "dtype"), text("O8"), FALSE, TRUE), "something other than numbers"),
    "records in an array of NumPy": (call(named("numpy", "dtype"), text("V8"), FALSE, TRUE), "something other than numbers"),
    "a number of NumPy that is too long": (
        call(named("numpy.core.multiarray", "scalar"), call(named("numpy", "dtype"), text("f8")), latin(b"123")),
        "numpy.core.multiarray.scalar of (numpy.dtype, bytes)",
    ),
    "a number of NumPy of no kind": (
        call(named("numpy.core.multiarray", "scalar"), CONV, latin(b"123")),
        "multiarray.scalar of",
    ),
    "millions of bytes from a number": (call(named("builtins", "bytearray"), number(10**12)), "builtins.bytearray of (int)"),
    "a list of a range": (
        call(named("builtins", "list"), call(named("builtins", "range"), number(10**12))),
        "builtins.list of (builtins.range)",
    ),
    "a set of a dict": (call(named("builtins", "set"), EMPTY_DICT), "builtins.set of (dict)"),
    "an ordered dict of triples": (call(ORDERED, list_of(tuple_of(NONE, NONE, NONE))), "collections.OrderedDict of (list)"),
    "a default made by a net": (call(named("collections", "defaultdict"), call(CONV)), "collections.defaultdict of"),
    "a number of NumPy from a text": (
        call(named("numpy.core.multiarray", "scalar"), text("f8"), text("x")),
        "scalar of (str, str)",
    ),
    "a path of numbers": (call(named("pathlib", "PosixPath"), number(1)), "pathlib.PosixPath of (int)"),
    "bytes that are not Latin": (call(named("_codecs", "encode"), text("\u0416"), text("latin1")), "_codecs.encode of"),
    "bytes by a codec": (call(named("_codecs", "encode"), text("x"), text("rot13")), "_codecs.encode of (str, str)"),
    "a complex number of texts": (call(named("builtins", "complex"), text("1"), text("2")), "builtins.complex of"),
    "arguments that are no tuple": (CONV + EMPTY_LIST + b"R", "Conv2d is given no tuple of arguments (list)"),
    "a name of numbers": (number(1) + number(2) + b"\x93", "other than texts (int, int)"),
    "a dict filled as a list": (EMPTY_DICT + NONE + b"a", "fills as a list what is none (dict)"),
    "a net filled as a dict": (
        call(CONV) + text("a") + NONE + b"s",
        "fills as a dict what is none (torch.nn.modules.conv.Conv2d)",
    ),
    "a class filled as a set": (CONV + MARK + NONE + b"\x90", "fills as a set what is none (class)"),
    "a key that cannot be one": (EMPTY_DICT + list_of() + NONE + b"s", "a key that no checkpoint needs, of type list"),
    "a key of nested tuples": (
        EMPTY_DICT + tuple_of(tuple_of()) + NONE + b"s",
        "a key that no checkpoint needs, of type tuple",
    ),
    "a key beyond all numbers": (EMPTY_DICT + number(2**64) + NONE + b"s", "a key that no checkpoint needs, of type int"),
    "a set of lists": (b"\x8f" + MARK + list_of() + b"\x90", "a key that no checkpoint needs"),
    "attributes without names": (
        CONV + EMPTY_TUPLE + NEW_OBJECT + EMPTY_DICT + NONE + NONE + b"sb",
        "has no text for a name (NoneType)",
    ),
    "a number of many bytes": (b"\x8a\xff" + bytes(255), "a number of 255 bytes"),
    "a text that is not UTF-8": (b"X\x02\x00\x00\x00\xff\xfe", "not UTF-8"),
    "a name that is not UTF-8": (b"c\xff\xfe\nx\n", "not UTF-8"),
    "half a character": (b"X\x03\x00\x00\x00\xed\xa0\x80", "not UTF-8"),
    "a text longer than the file": (b"X\xff\xff\xff\xff" + b"abc", "cut short"),
    "bytes longer than any file": (b"\x8e" + b"\xff" * 8 + b"abc", "cut short"),
    "a frame longer than the file": (b"\x95" + b"\xff" * 8, "cut short"),
    "a name without an end": (b"cos.system" + b"a" * 1000, "cut short"),
    "a part that is not there": (b"h\x05", "refers to a part that is not there"),
    "a mark that is not there": (b"t", "cut short"),
    "nothing to take from": (b"0", "cut short"),
    "half an entry": (EMPTY_DICT + MARK + text("a") + b"u", "cut short"),
    "values left over": (NONE + NONE, "values left over"),
    "a mark left over": (NONE + MARK + NONE, "values left over"),
    "opcodes of Python 2": (b"S'os.system'\n", "opcode that no checkpoint needs: 0x53"),
    "a persistent id in text": (b"P0\n", "opcode that no checkpoint needs: 0x50"),
    "a buffer from elsewhere": (b"\x97", "opcode that no checkpoint needs: 0x97"),
    "a later protocol": (b"\x80\x06" + NONE, "protocol 6"),
    "no value at all": (b"", "cut short"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_pickle_is_refused(file: Path, name: str) -> None:
    part, wanted = FORGED[name]
    save(file, pickled(part), {"0": np.zeros(4, np.float32)})
    assert wanted in refused(file)


NETS: dict[str, tuple[bytes, str]] = {
    "a net without tensors": (module(CONV), "no tensors"),
    "parameters in a list": (
        made(CONV, {"_parameters": list_of()}),
        "_parameters of torch.nn.modules.conv.Conv2d is not a table",
    ),
    "children by number": (made(CONV, {"_modules": EMPTY_DICT + number(1) + NONE + b"s"}), "_modules of"),
    "names that are lists": (module(CONV, {"x": tensor("0", 2)}, names=list_of(list_of())), "class names"),
    "names of no number": (module(CONV, {"x": tensor("0", 2)}, names=dict_of({"one": text("x")})), "class names"),
    "a stride of nothing": (module(CONV, {"x": tensor("0", 2)}, stride=list_of(number(0))), "the stride of its net"),
    "a stride between pixels": (module(CONV, {"x": tensor("0", 2)}, stride=list_of(number(8.5))), "the stride of its net"),
    "a stride that is no number": (module(CONV, {"x": tensor("0", 2)}, stride=list_of(number(float("nan")))), "the stride of"),
    "a description of objects": (
        module(CONV, {"x": tensor("0", 2)}, yaml=dict_of({"head": call(CONV)})),
        "the description of its net holds a torch.nn.modules.conv.Conv2d",
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_a_net_that_cannot_be_is_refused(file: Path, name: str) -> None:
    part, wanted = NETS[name]
    save(file, pickled(part), {"0": np.zeros(4, np.float32)})
    assert wanted in refused(file)


def shared(levels: int, once: bytes, wrap: Callable[[bytes], bytes]) -> bytes:
    """Opcodes of a value that holds the one before it twice, over and over: what they unfold to doubles at every level."""
    opcodes = once + b"q\x00"
    for _ in range(levels):
        opcodes += b"0" + wrap(b"h\x00") + b"q\x00"
    return opcodes


def twice(of: bytes) -> bytes:
    return module(CONV, modules={"a": of, "b": of})


BOMBS: dict[str, tuple[bytes, str]] = {
    "a tree of lists that doubles": (
        module(CONV, {"x": tensor("0", 2)}, yaml=dict_of({"a": shared(200, EMPTY_LIST, lambda last: list_of(last, last))})),
        "too large",
    ),
    "a short tree that is wide": (
        module(CONV, {"x": tensor("0", 2)}, yaml=dict_of({"a": shared(25, EMPTY_LIST, lambda last: list_of(last, last))})),
        "too large",
    ),
    "modules that double": (shared(60, module(CONV, {"x": tensor("0", 2)}), twice), "more parts than any"),
    "tuples that double, as keys": (
        EMPTY_DICT + shared(60, EMPTY_TUPLE, lambda last: last + last + b"\x86") + NONE + b"s",
        "a key that no checkpoint needs",
    ),
    "lists in lists": (EMPTY_LIST + EMPTY_LIST * 50_000 + b"a" * 50_000, "no net"),
    "tuples in tuples": (EMPTY_TUPLE + b"\x85" * 50_000, "no net"),
    "marks in marks": (MARK * 50_000 + b"t" * 50_000, "no net"),
    "a net in a net": (
        shared(2000, module(CONV, {"x": tensor("0", 2)}), lambda last: module(CONV, modules={"a": last})),
        "parts within parts without end",
    ),
    "a long name over and over": (
        text("a" * 10**7)
        + b"q\x010"
        + shared(
            200,
            module(CONV, {"x": tensor("0", 2)}),
            lambda last: made(CONV, {"_modules": EMPTY_DICT + MARK + text("a") + last + b"h\x01" + last + b"u"}),
        ),
        "is not a table of names",
    ),
    "a net in itself": (
        CONV + EMPTY_TUPLE + NEW_OBJECT + b"q\x00" + dict_of({"_modules": dict_of({"a": b"h\x00"})}) + b"b",
        "parts within parts without end",
    ),
    "a description in itself": (
        module(CONV, {"x": tensor("0", 2)}, yaml=EMPTY_DICT + b"q\x00" + text("a") + b"h\x00s"),
        "too large",
    ),
    "copies of copies": (
        list_of(*[NONE] * 10_000) + b"q\x00" + b"".join(call(named("builtins", "list"), b"h\x00") + b"0" for _ in range(2000)),
        "copies its own parts over and over",
    ),
    "attributes over and over": (
        dict_of({f"a{each}": NONE for each in range(5000)}) + b"q\x000" + call(CONV) + b"h\x00b" * 2000,
        "copies its own parts over and over",
    ),
    "bytes over and over": (
        text("a" * 100_000)
        + b"q\x00"
        + b"".join(call(named("_codecs", "encode"), b"h\x00", text("latin1")) + b"0" for _ in range(200)),
        "copies its own parts over and over",
    ),
    "one storage a thousand times": (dict_of({f"x{each}": tensor("0", 4) for each in range(1000)}), "many times the bytes"),
    "tensors without end": (
        tensor_on(storage("0", 4), (0,), (1,)) + b"q\x000" + dict_of({f"x{each}": b"h\x00" for each in range(20_001)}),
        "more than 20,000 tensors",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_unfolds_without_end_is_refused_soon(file: Path, name: str) -> None:
    part, wanted = BOMBS[name]
    save(file, pickled(part), {"0": np.zeros(4, np.float32)})
    tracemalloc.start()
    try:
        told = refused(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert wanted in told
    assert peak < 300 * 2**20


def test_opcodes_without_end_are_not_read_to_the_end(file: Path) -> None:
    save(file, pickled(NONE + b"N0" * 1_100_000))
    assert "more than 2,000,000 opcodes" in refused(file)


def test_a_value_within_itself_is_read(file: Path) -> None:
    # It is what pickles are made for, and it harms no one: only what is copied out must end.
    itself = EMPTY_LIST + b"q\x00" + b"h\x00" + b"a"
    save(file, pickled(dict_of({"x": tensor("0", 4), "rest": itself})), {"0": np.zeros(4, np.float32)})
    assert list(read_checkpoint(file).tensors) == ["x"]


def test_training_arguments_that_unfold_without_end_are_left_out(file: Path) -> None:
    bomb = shared(40, EMPTY_LIST, lambda last: list_of(last, last))
    args = dict_of({"imgsz": number(320)} | {f"a{each}": b"h\x00" for each in range(50)})
    contents = EMPTY_DICT + MARK + text("waste") + bomb + text("train_args") + args + text("model") + net() + b"u"
    save(file, pickled(contents), STORAGES)
    assert read_checkpoint(file).args == {"imgsz": 320}


# Archives.


def test_a_file_that_is_no_archive_is_told_from_one(file: Path) -> None:
    legacy = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
    cases = {
        b"": "is empty",
        b"x": "not an archive of torch.save",
        legacy: "format of torch before 1.6; where you trust it, convert it with torch.save(torch.load(",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:": "git lfs pull",
        b"\n<!DOCTYPE html>": "a web page",
        b"PK\x05\x06" + bytes(18): "not an archive of torch.save",
        b"PK\x03\x04": "cut short or damaged",
        b"PK\x03\x04" + bytes(3000): "cut short or damaged",
        pickled(call(named("os", "system"), TOUCH)): "not an archive of torch.save",
    }
    for data, wanted in cases.items():
        file.write_bytes(data)
        assert wanted in refused(file), data[:20]


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("left", [0.999, 0.9, 0.5, 0.1])
def test_an_archive_cut_short_is_refused(file: Path, left: float) -> None:
    save(file, pickled(WEIGHTS), {"0": bytes(8)}, entries={"fill": bytes(3000)})
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * left)])
    assert "cut short or damaged" in refused(file)


def test_a_pickle_cut_short_is_refused_wherever_it_ends(file: Path) -> None:
    whole = pickled(dict_of({"model": net(), "x": numpy_float(1)}))
    for end in range(0, len(whole), 7):
        save(file, whole[:end], STORAGES)
        assert "damaged" in refused(file)


def test_damaged_weights_are_noticed(file: Path) -> None:
    save(file, pickled(WEIGHTS), {"0": b"unique!!"})
    file.write_bytes(file.read_bytes().replace(b"unique!!", b"unique??"))
    assert "its part data/0 cannot be read" in refused(file)


def test_a_program_of_torchscript_is_refused(file: Path) -> None:
    for name in ("constants.pkl", "code/__torch__.py"):
        save(file, pickled(WEIGHTS), {"0": bytes(8)}, entries={name: pickled(NONE)})
        assert "TorchScript" in refused(file)


def test_compressed_entries_are_refused_before_they_are_unpacked(file: Path) -> None:
    save(file, pickled(dict_of({"x": tensor("0", 2**24)})), {"0": bytes(2**26)}, compression=zipfile.ZIP_DEFLATED)
    assert file.stat().st_size < 2**18
    tracemalloc.start()
    try:
        assert "is compressed or encrypted" in refused(file)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["../data/0", "archive/../../x", "/archive/data/0", "other/data.pkl", "archive/", "x"])
def test_entries_outside_the_folder_are_refused(file: Path, name: str) -> None:
    save(file, pickled(WEIGHTS), {"0": bytes(8)})
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(name, b"x")
    assert "not where torch.save puts one" in refused(file)


def test_two_entries_of_one_name_are_refused(file: Path) -> None:
    save(file, pickled(WEIGHTS), {"0": bytes(8)})
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("archive/data.pkl", pickled(call(named("os", "system"), TOUCH)))
    assert "two entries 'data.pkl'" in refused(file)


def test_an_archive_of_something_else_is_refused(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("word/document.xml", b"<x/>")
    assert "holds no data.pkl" in refused(file)


def test_a_strange_byte_order_is_refused(file: Path) -> None:
    for order in (b"middle", b"little" * 1000):
        save(file, pickled(WEIGHTS), {"0": bytes(8)}, entries={"byteorder": order})
        assert "byte" in refused(file)


def test_entries_that_lie_over_each_other_are_refused(file: Path) -> None:
    # A directory whose hundred entries all show the same bytes: small on disk, large once read.
    save(file, pickled(WEIGHTS), {str(each): b"" for each in range(100)} | {"big": bytes(100_000)})
    data = bytearray(file.read_bytes())
    at = data.index(b"PK\x01\x02")
    entries, big = [], b""
    while data[at : at + 4] == b"PK\x01\x02":
        lengths = struct.unpack_from("<3H", data, at + 28)
        entry = data[at : at + 46 + sum(lengths)]
        entries.append(entry)
        big = bytes(entry[16:28]) if entry.endswith(b"data/big") else big
        where = bytes(entry[42:46]) if entry.endswith(b"data/big") else b""
        at += len(entry)
    assert where or big
    for entry in entries:
        if b"data/" in entry:
            entry[16:28] = big  # checksum and both sizes
    start = data.index(b"PK\x01\x02")
    data[start : start + sum(map(len, entries))] = b"".join(entries)
    file.write_bytes(data)
    assert "claim more bytes than it has" in refused(file)


def add_directory(file: Path, count: int) -> None:
    """Write an honest archive with a directory of so many other entries behind it."""
    save(file, pickled(WEIGHTS), {"0": bytes(8)})
    entry = struct.pack("<4s4B4H3I5H2I", b"PK\x01\x02", 20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0) + b"archive/x"
    directory, told = entry * count, min(count, 65535)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, told, told, len(directory), file.stat().st_size, 0)
    file.write_bytes(file.read_bytes() + directory + end)


def test_an_archive_with_an_endless_directory_is_refused_before_it_is_read(file: Path) -> None:
    add_directory(file, 400_000)
    tracemalloc.start()
    try:
        assert "directory" in refused(file)
        assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    finally:
        tracemalloc.stop()


def test_a_pickle_larger_than_any_is_refused_before_it_is_read(file: Path) -> None:
    save(file, pickled(b"B" + struct.pack("<I", 2**25) + bytes(2**25)))
    assert "its pickle is larger than 32 MB" in refused(file)


def test_too_many_entries_are_refused(file: Path) -> None:
    add_directory(file, 50_001)
    assert "50,001 entries" in refused(file)


def test_damage_anywhere_is_refused_or_harmless(file: Path, canary: Path) -> None:
    # Any other exception than ours, or a file made, would be a way in. Seeded, so that a failure can be repeated.
    rng = random.Random(4)
    whole = pickled(dict_of({"model": net(), "best_fitness": numpy_float(1), "train_args": dict_of({"imgsz": number(3)})}))
    bits = [
        named("os", "system"),
        TOUCH,
        b"R",
        b"b",
        b"Q",
        b"t",
        MARK,
        b"0",
        b"\x81",
        b"q\x00",
        b"h\x00",
        EMPTY_DICT,
        NONE,
        b"\x93",
    ]
    refusals = 0
    for _ in range(700):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(2, len(damaged))
            if rng.random() < 0.5:
                damaged[at] = rng.randrange(256)
            else:
                damaged[at : at + rng.randint(0, 8)] = rng.choice(bits)
        refusals += said_of(save(file, bytes(damaged), STORAGES)) != ""
    data = save(file, whole, STORAGES).read_bytes()
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        file.write_bytes(damaged)
        refusals += said_of(file) != ""
    assert refusals > 300
    assert not canary.exists()


def said_of(file: Path) -> str:
    """What is said of a file that cannot be read; nothing of one that can."""
    try:
        read_checkpoint(file)
    except ModelFormatError as error:
        return str(error)
    return ""


def test_a_tensor_with_a_name_of_megabytes_is_refused(file: Path) -> None:
    save(file, pickled(dict_of({"model": dict_of({"w" * 3_000_000: tensor("0", 2)})})), {"0": bytes(8)})
    assert "the name of a tensor in it is longer than 500 characters" in refused(file)


LAYER = {"x": tensor("0", 2)}
MANY = list_of(text("x" * 10_000) + b"q\x07", *[b"h\x07"] * 999)
"""A thousand names that are the same long text."""


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"names": MANY}, "the name of its class 0 is longer than 500 characters"),
        ({"task": text("a\n\x1b[2J" * 1000)}, "its task is 'a\\n\\x1b"),
        (
            {"yaml": dict_of({"nc": EMPTY_TUPLE + b"\x85" * 100})},
            "the description of its net holds something that is too large",
        ),
    ],
    ids=("one long name for all", "a task for the terminal", "a deep description"),
)
def test_texts_of_a_net_are_bounded_and_told_in_one_line(file: Path, attributes: dict[str, bytes], said: str) -> None:
    detector = module(named("ultralytics.nn.tasks", "DetectionModel"), LAYER, **attributes)
    save(file, pickled(detector), {"0": bytes(8)})
    assert said in refused(file)
