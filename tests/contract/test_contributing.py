"""CONTRIBUTING.md tells of targets, tests and labels that are there; and every test that lies in the tree is run."""
import json
import os
import re
import subprocess

import pytest

import house

PAGE = "CONTRIBUTING.md"


def _rows(head):
    """Rows of the page's table whose first heading is @head."""
    table = re.search(rf"^\| {head} \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", house.read(PAGE), flags=re.M)
    assert table, f"{PAGE} has no table of '{head}'"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].strip().split("\n")]


def _targets():
    """{target: folder} of what is installed or linked into it."""
    return {name: os.path.dirname(path) for path in house.files(*house.LAYERS, ends=("CMakeLists.txt", ".cmake"))
            for name in re.findall(r"^\s*(?:scepter_layer|scepter_program|add_library|add_executable)\(([\w-]+)", house.read(path),
                                   flags=re.M)}


def test_targets_of_the_layers():
    """Those of the table exist, and each that exists is of a row."""
    told = set()
    for _, cell, *_ in _rows("folder"):
        names = re.findall(r"`([\w*-]+)`", cell)
        stem = names[0].rpartition("-")[0] if "`-" in cell else ""
        if names[0] == "scepter-bus":
            stem = "scepter-bus"
        told |= {stem + name if name.startswith("-") else name for name in names}
    there = set(_targets())
    for name in told:
        assert any(re.fullmatch(name.replace("*", r"[\w-]+"), one) for one in there), f"there is no target {name}"
    untold = {one for one in there if not any(re.fullmatch(name.replace("*", r"[\w-]+"), one) for name in told)}
    assert not untold, f"{PAGE} has no layer for {sorted(untold)}"


def test_folders_exist():
    for cell, *_ in _rows("folder"):
        assert os.path.isdir(os.path.join(house.TOP, cell.strip("`"))), cell


def test_tests_of_the_rules_exist():
    named = set(re.findall(r"`(test_\w+\.py)`", house.read(PAGE)))
    assert len(named) >= 8
    assert not {name for name in named if not os.path.exists(os.path.join(house.TOP, "tests/contract", name))}


def test_every_rule_of_the_folder_is_named():
    there = {os.path.basename(path) for path in house.files("tests/contract") if os.path.basename(path).startswith("test_")}
    assert there == set(re.findall(r"`(test_\w+\.py)`", house.read(PAGE)))


def test_paths_exist():
    """What stands in backquotes with a folder's name before it."""
    for path in re.findall(r"`((?:ksp|policy|dbus|service|cli|tests|packaging)/[\w./-]+)`", house.read(PAGE)):
        assert os.path.exists(os.path.join(house.TOP, path)), path


def _ctest():
    """{name: labels}"""
    done = subprocess.run(["ctest", "--test-dir", house.BUILD, "--show-only=json-v1"], stdout=subprocess.PIPE, check=True)
    return {test["name"]: {label for one in test["properties"] if one["name"] == "LABELS" for label in one["value"]}
            for test in json.loads(done.stdout)["tests"]}


def test_labels():
    told = {label for cell, *_ in _rows("label") for label in re.findall(r"`(\w+)`", cell)}
    used = set().union(*_ctest().values())
    assert used == told
    assert not [name for name, labels in _ctest().items() if not labels]


@pytest.mark.parametrize("folder", ["contract", "integration", "lab"])
def test_every_file_of_pytest_is_run(folder):
    known = {name.split("/")[1] for name in _ctest()}
    files = [os.path.basename(path)[5:-3] for path in house.files(f"tests/{folder}", ends=(".py",))
             if re.fullmatch(rf"tests/{folder}/test_\w+\.py", path)]
    assert len(files) > 8 and not set(files) - known


def test_every_source_of_a_unit_test_is_built():
    """And none is named test- that has no main()."""
    built = {path for path in house.commands() if path.startswith("tests/unit/")}
    there = {path for path in house.files("tests/unit", ends=(".c",)) if os.path.basename(path).startswith("test-")}
    assert len(there) > 50 and not there - built
    assert not [path for path in there if "int main(" not in house.read(path)]


def test_every_parser_has_a_corpus():
    """Under the name of its target; and every source is of one."""
    targets = {name.split("/")[1] for name, labels in _ctest().items() if "fuzz" in labels}
    assert len(targets) > 10
    for target in targets:
        assert house.files(f"tests/fuzz/corpus/{target}"), f"fuzz-{target} has no corpus"
    assert not set(house.files("tests/fuzz", ends=(".c",))) - set(house.commands())
    assert targets == set(os.listdir(os.path.join(house.TOP, "tests/fuzz/corpus")))


def test_arguments_of_the_analysis():
    """tests/analyse.d: each has a reason before it, and speaks of a line that is there."""
    for tool in ("clang-tidy", "cppcheck", "gcc"):
        reason = False
        for line in house.read(f"tests/analyse.d/{tool}").split("\n"):
            if line.startswith("#"):
                reason = True
            elif not line:
                reason = False
            else:
                path, _, part = line.split(None, 2)
                assert reason, f"{tool}: '{line}' has no reason"
                words = re.findall(r"\w{3,}", re.sub(r"^leak of|void|calloc\(.*|[<&]\w+>?", "", part))
                assert path == "*" or all(word in house.read(path) for word in words), f"{tool}: {path} has no '{part}'"
    for name in ("tsan.supp", "valgrind.supp"):
        for block in re.split(r"\n\n+", house.read(f"tests/analyse.d/{name}").strip()):
            assert not block or block.startswith("#"), f"{name}: a suppression without a reason: {block[:60]}"
    for name in ("tsan.tests", "valgrind.tests"):
        for line in house.read(f"tests/analyse.d/{name}").split("\n"):
            if line and not line.startswith("#"):
                test, _, reason = line.partition(": ")
                assert test in _ctest() and len(reason) > 20, f"{name}: {line}"
