"""The Debian packages of this tree, in two versions, made once for a state of it: that takes a minute of a processor."""
import contextlib
import fcntl
import hashlib
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
        shutil.copytree(_built(), place, dirs_exist_ok=True)
        place.chmod(0o755)
        yield place


def _known():
    """Paths that git knows of this tree; none where it is not one of git's, or there is no git."""
    if not shutil.which("git"):
        return []
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=labs.SOURCE,
                           capture_output=True, text=True, check=False)
    return [labs.SOURCE / name for name in sorted(names.stdout.split("\0")) if name and not name.startswith("tests/")]


def _state():
    """Of all that a package is made from."""
    digest = hashlib.sha256()
    for path in _known() or sorted(labs.SOURCE.rglob("*")):
        if path.is_file() and labs.BUILD.resolve() not in path.resolve().parents:
            digest.update(f"{path} {path.stat().st_mode} ".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _built():
    place = labs.BUILD.resolve() / "packages"
    with open(labs.BUILD / "packages.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mark = place / _state()
        if not mark.exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            _build(place)
            mark.touch()
    return place


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
