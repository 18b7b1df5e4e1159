"""Layout of the C sources: .clang-format of the top level, as version 14 reads it (others differ in details)."""
import os
import shutil
import subprocess

import pytest

import house

VERSION = "14"


def _program():
    for name in (f"clang-format-{VERSION}", "clang-format"):
        path = shutil.which(name)
        if path and f"version {VERSION}." in subprocess.run([path, "--version"], stdout=subprocess.PIPE, text=True,
                                                            check=True).stdout:
            return path
    pytest.skip(f"clang-format {VERSION} is not installed")
    return None


def test_sources_are_formatted():
    paths = house.files(*house.LAYERS, "tests", ends=(".c", ".h"))
    result = subprocess.run([_program(), "-n", "--Werror", *paths], cwd=house.TOP, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False)
    bad = sorted({line.split(":")[0] for line in result.stdout.split("\n") if ": error:" in line})
    assert not bad, "clang-format -i would change " + ", ".join(bad)
    assert result.returncode == 0, result.stdout


def test_text_files():
    """.editorconfig: final line end, no trailing blanks, no tabs."""
    bad = []
    for path in house.files(*house.LAYERS, "packaging", "tests"):
        if path.startswith(house.DATA) or not os.path.isfile(os.path.join(house.TOP, path)):
            continue
        text = house.read(path)
        if text and not text.endswith("\n"):
            bad.append(f"{path}: no line end at the end")
        if ("\t" in text and path != "packaging/debian/rules") or "\r" in text:  # make wants tabs
            bad.append(f"{path}: a tab or carriage return")
        if any(line.endswith(" ") for line in text.split("\n")):
            bad.append(f"{path}: blanks at the end of a line")
    assert not bad, "\n".join(bad)
