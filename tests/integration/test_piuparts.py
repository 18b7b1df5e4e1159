"""The Debian packages under Debian's own test of installing, upgrading, removing and purging: what is left is what was before."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import labs
import packed


def suite():
    found = re.search(r"^VERSION_CODENAME=(\S+)$", pathlib.Path("/etc/os-release").read_text(), flags=re.M)
    if not found:
        pytest.skip("this is no released Debian")
    return found[1]


@pytest.fixture(scope="module")
def packages():
    if os.getuid() != 0:
        pytest.skip("only root runs piuparts")
    for program in ("piuparts", "mmdebstrap", "dpkg-scanpackages"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (tests/setup --root)")
    with packed.open_packages() as place:
        yield place


@pytest.fixture(scope="module")
def root(packages):
    """This Debian with systemd and a bus, which leave files of their own behind; its apt knows the first version."""
    repository, archive = packages / "repository", packages / "root.tar.gz"
    repository.mkdir()
    for name in packed.NAMES:
        shutil.copy(next((packages / "first").glob(f"{name}_*.deb")), repository)
    with open(repository / "Packages", "w", encoding="utf-8") as index:
        subprocess.run(["dpkg-scanpackages", "."], cwd=repository, stdout=index, stderr=subprocess.DEVNULL, check=True)
    source = "deb [trusted=yes] file:/srv/repository ./"
    done = subprocess.run([labs.SOURCE / "tests/root", "--tar", archive, suite(), "--", "--include=systemd-sysv,dbus",
                           f"--customize-hook=copy-in {repository} /srv",
                           f'--customize-hook=echo "{source}" >"$1/etc/apt/sources.list.d/first.list"'],
                          capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip((done.stderr + done.stdout)[-500:])
    assert done.returncode == 0, done.stdout + done.stderr
    return archive


def test_piuparts(packages, root):
    """eatmydata is one more package to fetch."""
    done = subprocess.run(["piuparts", "--basetgz", root, "--distribution", suite(), "--keep-sources-list", "--no-eatmydata",
                           "--tmpdir", packages, *(packages / "second").glob("*.deb")], capture_output=True, text=True, check=False)
    said = "\n".join(line for line in done.stdout.split("\n") if " DEBUG: " not in line)
    assert done.returncode == 0, said[-5000:]
    for passed in ("Installation and purging test.", "Installation, upgrade and purging tests."):
        assert f"PASS: {passed}" in said, said[-5000:]
