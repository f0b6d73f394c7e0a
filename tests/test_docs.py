"""What is written for people is true: examples run, commands exist, links lead somewhere."""

import ast
import doctest
import importlib
import pkgutil
import re
import shlex
from pathlib import Path

import pytest
import typer

import framehook
from framehook.app.commands import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md"), *(ROOT / "examples").glob("*.md")])
MODULES = sorted(each.name for each in pkgutil.walk_packages(framehook.__path__, "framehook.") if "__main__" not in each.name)


def blocks(page, *languages):
    """The fenced blocks of a page in one of these languages."""
    fences = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [text for language, text in fences if language in languages]


def commands(program):
    """Every command line of a program in the pages, with the page it stands in."""
    for page in PAGES:
        for block in blocks(page, "console", "sh", "bash", "shell", "text", ""):
            for line in block.splitlines():
                typed = line.strip().removeprefix("$ ").partition("  #")[0].strip()
                if typed.split(" ")[0] == program:
                    yield pytest.param(typed, id=f"{page.name}: {typed}")


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_compile_and_import_what_exists(page):
    for text in blocks(page, "python", "py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "framehook":
                module = importlib.import_module(node.module)
                for each in node.names:
                    assert hasattr(module, each.name), f"{node.module} has no {each.name}"


@pytest.mark.parametrize("typed", [*commands("framehook")])
def test_commands_in_the_pages_can_be_typed_like_that(typed):
    command = typer.main.get_command(app)
    words = shlex.split(typed)[1:]
    if not words or words[0].startswith("-"):
        return
    assert words[0] in command.commands, typed
    if "--help" not in words:
        # Parses the arguments, and raises on an unknown option, without running anything.
        command.commands[words[0]].make_context(words[0], words[1:]).close()


@pytest.mark.parametrize("typed", [*commands("make")])
def test_make_targets_in_the_pages_exist(typed):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert [word for word in typed.split()[1:] if "=" not in word and word not in targets] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_everything_public_has_a_docstring():
    bare = [name for name in framehook.__all__ if name not in ("__version__", "YOLO") and not getattr(framehook, name).__doc__]
    assert bare == []


@pytest.mark.parametrize("name", [each for each in MODULES if hasattr(importlib.import_module(each), "__path__")])
def test_tables_of_contents_name_what_exists(name):
    package = importlib.import_module(name)
    for each in getattr(package, "__all__", ()):
        assert hasattr(package, each), f"{name}.{each}"
