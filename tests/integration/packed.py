"""The Debian packages of this tree, in two versions."""
import contextlib
import re
import shutil
import subprocess

import pytest

import labs

NAMES = ("scepter", "scepter-openssl", "scepter-pkcs11")
PROGRAMS = ("dpkg-buildpackage", "dh", "lintian")


@contextlib.contextmanager
def open_packages():
    """A folder: first/, as they are, and second/, as the version after it: what has changed is the number."""
    if labs.sanitized():
        pytest.skip("packages are built without sanitizers: once is enough")
    for program in PROGRAMS:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    with labs.open_folder() as place:
        _build(place)
        yield place


def _build(place):
    done = subprocess.run([labs.SOURCE / "packaging/debian/build", place / "first"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    (place / "second").mkdir()
    for name in NAMES:
        old = next((place / "first").glob(f"{name}_*.deb"))
        subprocess.run(["dpkg-deb", "-R", old, place / name], check=True)
        control = place / name / "DEBIAN/control"
        control.write_text(re.sub(r"^Version: .*$", r"\g<0>+later", control.read_text(), flags=re.M))
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", place / name, place / f"second/{name}.deb"], check=True,
                       stdout=subprocess.DEVNULL)
    for folder in (place / "first", place / "second"):
        folder.chmod(0o755)
