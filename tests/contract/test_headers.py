"""Every header compiles alone, under the include paths and warnings of its own target."""
import os
import subprocess

import pytest

import house


def _flags_for(header):
    """Commands of the source of the same name, or of those beside it, or below or above it."""
    known, stem = house.commands(), os.path.splitext(header)[0]
    if stem + ".c" in known:
        return known[stem + ".c"]
    folder = os.path.dirname(header)
    while folder:
        for near in (lambda path, at=folder: os.path.dirname(path) == at,
                     lambda path, at=folder: path.startswith(at + "/")):
            found = [flags for path in sorted(known) if near(path) for flags in known[path]]
            if found:
                return [list(flags) for flags in dict.fromkeys(map(tuple, found))]
        folder = os.path.dirname(folder)
    return []


@pytest.mark.parametrize("header", house.files(*house.LAYERS, ends=(".h",)))
def test_header_compiles_alone(header):
    choices, complaints = _flags_for(header), []
    assert choices, f"no target compiles anything near {header}"
    for flags in choices:
        result = subprocess.run([house.COMPILER, *flags, "-fsyntax-only", "-x", "c", "-"], text=True,
                                input=f'#include "{os.path.join(house.TOP, header)}"\n',
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if result.returncode == 0 and not result.stdout:
            return
        complaints.append(result.stdout)
    pytest.fail(complaints[0], pytrace=False)


@pytest.mark.parametrize("header", house.files(*house.LAYERS, ends=(".h",)))
def test_header_is_read_once(header):
    assert "\n#pragma once\n" in "\n" + house.read(header)
