"""The tree: what stands where, how long files are, what must not be in them."""
import os
import re
import subprocess

import pytest

import house

TOP_LEVEL = {"ksp", "service", "cli", "dbus", "policy", "tests", "packaging", "docs", "CMakeLists.txt", "CMakePresets.json",
             "README.md", "LICENSE", "CONTRIBUTING.md", "SECURITY.md"}
LONGEST = 600
PRODUCT = (*house.LAYERS, "packaging")
HERE = "tests/contract/"


def test_top_level_holds_only_what_the_design_names():
    """As git sees it: build directories are ignored and nobody's business."""
    inside = subprocess.run(["git", "-C", house.TOP, "ls-files", "--cached", "--others", "--exclude-standard"],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    if inside.returncode:
        pytest.skip("this is no git work tree")
    names = {line.split("/")[0] for line in inside.stdout.split("\n") if line}
    assert not {name for name in names if not name.startswith(".")} - TOP_LEVEL


def test_files_of_one_job():
    long = [(path, house.read(path).count("\n")) for path in house.files(*PRODUCT)]
    assert not [f"{path}: {lines} lines" for path, lines in long if lines > LONGEST]


def test_every_source_says_its_job():
    """The first comment of a file, or of the header that belongs to it."""
    for path in house.sources():
        header = os.path.splitext(path)[0] + ".h"
        known = [path] + ([header] if path.endswith(".c") and os.path.exists(os.path.join(house.TOP, header)) else [])
        assert any(house.read(one).startswith("/*") for one in known), f"{path} begins without a comment"


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX", "HACK", "stub"])
def test_nothing_is_left_for_later(word):
    found = [path for path in house.files(*PRODUCT) + ["CMakeLists.txt"]
             if re.search(rf"\b{word}\b", house.read(path), flags=0 if word.isupper() else re.I)]
    assert not found


def test_no_disabled_code():
    found = [path for path in house.sources() if re.search(r"^\s*#\s*if\s+0\b", house.read(path), flags=re.M)]
    assert not found


def test_tests_wait_on_events():
    """tests/demo is no test: it looks at the state as a person would, who also waits between two looks."""
    sleeps = re.compile(r"\b(?:u|nano)?sleep\s*\(|\btime\.sleep\b|^\s*sleep\s+[\d.$]", flags=re.M)
    found = [path for path in house.files("tests")
             if not path.startswith(HERE) and path != "tests/demo" and not path.startswith(house.DATA)
             and sleeps.search(house.read(path))]
    assert not found


def test_no_place_of_one_machine():
    places = re.compile(r"(?<![\w.$}])/(?:home|work|root|Users)/\w")
    found = [f"{path}: {match[0]}" for path in house.files(*PRODUCT, "tests")
             if not path.startswith((*house.DATA, HERE)) for match in places.finditer(house.read(path))]
    assert not found


def test_programs_are_executable():
    for path in house.files("tests", ".ci"):
        if path.startswith(house.DATA):
            continue
        with open(os.path.join(house.TOP, path), "rb") as file:
            program = file.read(2) == b"#!"
        assert program == os.access(os.path.join(house.TOP, path), os.X_OK), path
