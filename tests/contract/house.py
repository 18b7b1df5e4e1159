"""What the contract tests read: the tree, the build's compile commands, C tables as text."""
import functools
import json
import os
import re
import shlex

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
BUILD = os.environ.get("SCEPTER_BUILD", os.path.join(TOP, "build"))
COMPILER = os.environ.get("CC", "cc")
DATA = ("tests/data/", "tests/fuzz/corpus/")  # octets as others wrote them, or no text at all
LAYERS = ("ksp", "policy", "dbus", "service", "cli")


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def files(*folders, ends=("",)):
    """Files below the folders, as paths from the top; what programs leave behind is not among them."""
    found = []
    for folder in folders:
        for place, names, members in os.walk(os.path.join(TOP, folder)):
            names[:] = sorted(name for name in names if name not in ("__pycache__", ".pytest_cache"))
            found += [os.path.relpath(os.path.join(place, name), TOP) for name in sorted(members)
                      if name.endswith(ends) and not name.endswith(".pyc")]
    return found


def sources():
    return files(*LAYERS, ends=(".c", ".h"))


def without_comments(text):
    """C source with comments blanked, line numbers kept."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda found: re.sub(r"[^\n]", " ", found[0]), text, flags=re.S)


@functools.lru_cache(maxsize=None)
def commands():
    """{source: [flags that matter to the preprocessor and the warnings, …]}, one list per target that compiles it."""
    result = {}
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
        for entry in json.load(file):
            path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), TOP)
            words, flags, take = shlex.split(entry["command"]), [], False
            for word in words[1:]:
                if take or word.startswith(("-I", "-D", "-std=", "-W", "-isystem")) and not word.startswith("-Wl,"):
                    flags.append(word)
                    take = word in ("-isystem", "-I", "-D")
            result.setdefault(path, []).append(flags)
    return result


def strings_of_table(text, head):
    """The first string of every row of the C table whose declaration matches @head."""
    found = re.search(head + r"[^=]*=\s*\{(.*?)\n\s*\};", text, flags=re.S)
    assert found, f"no table {head}"
    return re.findall(r"\{\s*\"([^\"]+)\"", found[1])
