"""The completions of bash, zsh and fish know every verb and option of the command, and no other verb."""
import re
import shutil
import subprocess

import pytest

import house

FILES = ("scepter.bash", "_scepter", "scepter.fish")


def _verbs():
    """Words and options, of the table; those of a later version too."""
    text = re.sub(r'"\s*\n\s*"', "", house.read("cli/verbs.c"))
    rows = re.findall(r'\{\s*"([^"]+)",\s*"([^"]*)",\s*"[^"]*",\s*\w+,\s*\w+\s*\}', text)
    assert len(rows) > 10
    return [(re.findall(r"(?<![-\w])\w[\w-]*", words), re.findall(r"--[a-z-]+", f"{words} {usage}")) for words, usage in rows]


def _script(name):
    return house.read(f"packaging/completions/{name}")


@pytest.mark.parametrize("name", FILES)
def test_all_are_known(name):
    text = _script(name)
    for words, options in _verbs():
        for word in words:
            assert re.search(rf"\b{word}\b", text), f"{name} does not know '{word}' of '{' '.join(words)}'"
        for option in options:
            assert option in text or f"-l {option[2:]}" in text, f"{name} does not know {option}"


def test_no_verb_is_invented():
    first = {words[0] for words, _ in _verbs()}
    bash = re.search(r"local verbs='([^']*)'", _script("scepter.bash"))[1].split()
    zsh = re.findall(r"^ {16}'([a-z-]+):", _script("_scepter"), flags=re.M)
    fish = re.findall(r"^complete -c scepter -n '__scepter_at' -a ([a-z-]+)", _script("scepter.fish"), flags=re.M)
    assert set(bash) == set(zsh) == set(fish) == first


@pytest.mark.parametrize("line,wanted", [
    (["sc", "re"], {"renew", "remove"}),
    (["sc", "profile", "s"], {"show"}),
    (["sc", "enroll", "corp", "--w"], {"--wait"}),
    (["sc", "profile", "add", "--format", ""], {"auto", "syncml", "ini"}),
    (["sc", "wait", "--"], {"--applied", "--json", "--no-color", "--help", "--version"}),
])
def test_bash(line, wanted):
    """As bash calls it, without bash-completion's own start."""
    start = "_init_completion() { cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=(\"${COMP_WORDS[@]}\") " \
            "cword=$COMP_CWORD; }; scepter() { :; }; "
    script = start + _script("scepter.bash") + '\nCOMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _scepter; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script, "bash", *line], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == wanted, done.stdout + done.stderr


@pytest.mark.parametrize("shell,name", [("zsh", "_scepter"), ("fish", "scepter.fish")])
def test_syntax(shell, name):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", f"{house.TOP}/packaging/completions/{name}"], check=True)
