"""scepter-apply as root, against what a daemon that was taken over, a user who writes his own directories, or a careless
administrator could put before it."""
import contextlib
import os
import shutil
import struct
import subprocess

import pytest

import labs
from applying import APPLY, DAEMON, Machine

ALICE, BOB = 64821, 64822
pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="what root must not be moved to do is tried by root")


@pytest.fixture(scope="module")
def lab():
    with labs.lab() as made:
        made.add("one", protection="tpm")
        assert made.enroll("one").returncode == 0
        made.add("two", protection="tpm")
        assert made.enroll("two").returncode == 0
        yield made


@pytest.fixture
def machine(lab, tmp_path):
    return Machine(lab, tmp_path)


def test_owner_group_and_mode(machine):
    machine.consumer(f"[Files]\nOwner={BOB}\nGroup={ALICE}\nMode=0640\nCertificate={machine.out}/cert.pem\n"
                     f"Key={machine.out}/key.pem\n")
    assert machine.apply().returncode == 0
    for name in ("cert.pem", "key.pem"):
        found = (machine.out / name).stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o7777, found.st_nlink) == (BOB, ALICE, 0o640, 1)
        assert (machine.out / name).read_bytes() == (machine.current / name).read_bytes()
    before = (machine.out / "cert.pem").stat().st_ino
    assert machine.apply().returncode == 0 and (machine.out / "cert.pem").stat().st_ino == before  # nothing to do
    os.chmod(machine.out / "cert.pem", 0o666)
    assert machine.apply().returncode == 0
    assert (machine.out / "cert.pem").stat().st_mode & 0o777 == 0o640
    assert oct((machine.applied / f"{machine.id}.json").stat().st_mode)[-3:] == "644"


# what the service could put there: (what is done, part of the sentence)
def link_current(target):
    def change(machine):
        (machine.home / "current").unlink()
        (machine.home / "current").symlink_to(target)
    return change


def replace(name, make):
    def change(machine):
        path = machine.current / name if name != "anchor.pem" and name != "record.json" else machine.home / name
        make(machine, path)
    return change


def symlink(machine, path):
    kept = machine.dir / "elsewhere.pem"
    shutil.copy(path, kept)
    os.chown(kept, DAEMON, DAEMON)
    path.unlink()
    path.symlink_to(kept)


def second_name(machine, path):
    os.link(path, path.parent / "second")


def roots(machine, path):
    os.chown(path, 0, 0)
    os.chmod(path, 0o600)


def fifo(machine, path):
    path.unlink()
    os.mkfifo(path)
    os.chown(path, DAEMON, DAEMON)


def folder(machine, path):
    path.unlink()
    path.mkdir()


def content(data):
    return lambda machine, path: machine.put(path, data)


def of_another(machine, path):
    machine.put(path, (machine.other / "current" / path.name).read_bytes())


def link_generation(machine):
    real = machine.dir / "generation"
    shutil.move(machine.current, real)
    machine.current.symlink_to(real)


def link_home(machine):
    real = machine.dir / "home"
    shutil.move(machine.home, real)
    machine.home.symlink_to(real)


STATES = {
    "current-up": (link_current("generations/../../../x"), "does not point to a generation"),
    "current-absolute": (link_current("/etc"), "does not point to a generation"),
    "current-zero": (link_current("generations/0"), "does not point to a generation"),
    "current-none": (link_current("generations/77"), "no installed generation"),
    "current-missing": (lambda machine: (machine.home / "current").unlink(), "no installed generation"),
    "generation-is-a-link": (link_generation, "could not be opened"),
    "home-is-a-link": (link_home, "could not be opened"),
    "symlink": (replace("cert.pem", symlink), "could not be opened"),
    "second-name": (replace("cert.pem", second_name), "not a regular file with one name"),
    "key-second-name": (replace("key.pem", second_name), "not a regular file with one name"),
    "root-alone-may-read": (replace("cert.pem", roots), "could not be opened"),
    "fifo": (replace("cert.pem", fifo), "not a regular file"),
    "folder": (replace("cert.pem", folder), "not a regular file"),
    "too-large": (replace("chain.pem", content(b"x" * 65537)), "more than 65536"),
    "no-certificate": (replace("cert.pem", content(b"root:x:0:0:root:/root:/bin/sh\n")), "no certificate"),
    "anchor-no-certificate": (replace("anchor.pem", content(b"\n")), "no certificate"),
    "no-key": (replace("key.pem", content(b"key")), "key.pem could not be read"),
    "another-key": (replace("key.pem", of_another), "not the key of the certificate"),
    "key-no-tss2": (replace("key.pem", content(b"-----BEGIN TSS2 PRIVATE KEY-----\nMAA=\n-----END TSS2 PRIVATE KEY-----\n")),
                    "no key of a TPM"),
    "record": (replace("record.json", content(b"{}")), "record.json"),
    "record-too-large": (replace("record.json", content(b" " * (256 * 1024 + 1))), "more than"),
}


@pytest.mark.parametrize("name", STATES)
def test_state_that_is_not_believed(machine, name):
    change, says = STATES[name]
    change(machine)
    done = machine.apply()
    assert done.returncode == 1 and says in done.stderr, done.stderr
    assert not list(machine.out.iterdir())


def test_certificates_are_encoded_anew(machine):
    """What stands around them does not get through."""
    good = (machine.current / "cert.pem").read_bytes()
    machine.put(machine.current / "cert.pem", b"# root:x:0:0\n" + good + b"\nmore\n")
    assert machine.apply().returncode == 0
    assert (machine.out / "cert.pem").read_bytes() == good


def own(uid=0, gid=0, mode=0o644):
    def change(path):
        os.chown(path, uid, gid)
        os.chmod(path, mode)
    return change


def moved(path):
    real = path.parent.parent / "real.consumer"
    path.rename(real)
    path.symlink_to(real)


CONSUMERS = {"the-service's": (own(uid=DAEMON), "uid 64811"), "group-writes": (own(gid=DAEMON, mode=0o664), "0664"),
             "all-write": (own(mode=0o646), "0646"), "a-link": (moved, "symbolic link"),
             "too-large": (lambda path: path.write_text("#" * 65537), "65536"),
             "long-line": (lambda path: path.write_text("[Consumer]\nProfile=one\n#" + "x" * 5000), "longer than"),
             "no-ini": (lambda path: path.write_text("[Consumer]\nProfile=one\nwhat\n"), "line 3")}


@pytest.mark.parametrize("name", CONSUMERS)
def test_consumers_that_are_refused(machine, name):
    change, says = CONSUMERS[name]
    change(machine.consumers / "one.consumer")
    done = machine.apply()
    assert done.returncode == 1 and says in done.stderr and "one.consumer" in done.stderr, done.stderr
    assert not list(machine.out.iterdir())
    assert says in machine.rows()[0]["message"]


@pytest.mark.parametrize("change", [own(uid=DAEMON, mode=0o755), own(mode=0o775), own(mode=0o777)])
def test_a_directory_of_consumers_that_others_write(machine, change):
    change(machine.consumers)
    done = machine.apply()
    assert done.returncode == 1 and str(machine.consumers) in done.stderr and not list(machine.out.iterdir())


@pytest.mark.parametrize("change", [own(uid=DAEMON, mode=0o755), own(mode=0o777)])
def test_notes_that_others_write(machine, change):
    machine.applied.mkdir()
    change(machine.applied)
    done = machine.apply()
    assert done.returncode == 1 and str(machine.applied) in done.stderr and not list(machine.out.iterdir())


def test_what_is_left_is_no_consumer(machine):
    for name in (".one.consumer", "one.consumer.dpkg-old", "one.consumer~", ".consumer"):
        (machine.consumers / name).write_text("[Nothing]\n")
    assert machine.apply().returncode == 0 and len(machine.rows()) == 1


# places to write to that somebody else has prepared

def test_a_link_on_the_way(machine):
    aim = machine.dir / "aim"
    aim.mkdir()
    (machine.out / "way").symlink_to(aim)
    machine.consumer(f"[Files]\nCertificate={machine.out}/way/cert.pem\n")
    done = machine.apply()
    assert done.returncode == 1 and "symbolic link" in done.stderr and not list(aim.iterdir())


@pytest.mark.parametrize("name", ["cert.pem", ".cert.pem.scepter-new"])
@pytest.mark.parametrize("kind", ["symlink", "hard link", "fifo"])
def test_a_name_that_is_taken(machine, name, kind):
    aim = machine.dir / "aim"
    aim.write_text("precious\n")
    os.chown(machine.out, ALICE, ALICE)
    if kind == "symlink":
        (machine.out / name).symlink_to(aim)
    elif kind == "hard link":
        os.link(aim, machine.out / name)
    else:
        os.mkfifo(machine.out / name)
    assert machine.apply().returncode == 0
    assert aim.read_text() == "precious\n" and (aim.stat().st_uid, aim.stat().st_mode & 0o777) == (0, 0o644)
    assert (machine.out / "cert.pem").read_bytes() == (machine.current / "cert.pem").read_bytes()
    assert sorted(path.name for path in machine.out.iterdir()) == ["cert.pem", "key.pem"]


def test_a_name_that_is_a_directory(machine):
    (machine.out / "cert.pem").mkdir()
    done = machine.apply()
    assert done.returncode == 1 and "put in place" in done.stderr
    assert [path.name for path in machine.out.iterdir()] == ["cert.pem"]


@pytest.mark.parametrize("line,says", [("Owner=nobody-of-this-name", "no account"), ("Group=nobody-of-this-name", "no group")])
def test_accounts_that_are_not_there(machine, line, says):
    machine.consumer(f"[Files]\nCertificate={machine.out}/cert.pem\n{line}\n")
    done = machine.apply()
    assert done.returncode == 1 and says in done.stderr and not list(machine.out.iterdir())


LIBRARY = labs.BUILD / "lib/crash-point.so"


@pytest.mark.skipif(labs.sanitized(), reason="a library cannot be loaded before AddressSanitizer's")
def test_killed_before_each_change_of_the_disk(machine):
    """The next run makes it whole, and nothing half-written is under a name that a program reads."""
    point = machine.dir / "point"
    machine.consumer(f"[Files]\nOwner={BOB}\nMode=0600\nCertificate={machine.out}/cert.pem\nKey={machine.out}/key.pem\n"
                     f"Anchor={machine.out}/anchor.pem\n")
    whole = {name: (machine.current / name).read_bytes() for name in ("cert.pem", "key.pem")}
    whole["anchor.pem"] = (machine.home / "anchor.pem").read_bytes()
    room = ("env", f"LD_PRELOAD={LIBRARY}", f"CRASH_POINT={point}", "CRASH_PROGRAM=scepter-apply")
    struck = 0
    for step in range(1, 100):
        shutil.rmtree(machine.applied, ignore_errors=True)
        for path in machine.out.iterdir():
            path.unlink()
        (machine.out / "cert.pem").write_text("the one before\n")
        point.write_bytes(struct.pack("<qqq", 0, step, 0))
        if machine.apply(*room).returncode == 0:
            break
        struck += 1
        for path in machine.out.iterdir():
            if path.suffix == ".pem" and not path.name.startswith("."):
                assert path.read_bytes() in (whole[path.name], b"the one before\n")
        assert machine.apply().returncode == 0
        assert {path.name: path.read_bytes() for path in machine.out.iterdir()} == whole
        assert {path.stat().st_uid for path in machine.out.iterdir()} == {BOB}
        assert [path.name for path in machine.applied.iterdir()] == [f"{machine.id}.json"]
    assert struck >= 4


# the end

def test_nothing_is_taken_away_where_the_state_is_missing(machine):
    assert machine.apply().returncode == 0
    shutil.move(machine.state / "certificates", machine.dir / "unmounted")
    assert machine.apply().returncode == 1
    assert len(list(machine.out.iterdir())) == 2
    (machine.state / "certificates").mkdir()
    assert machine.apply().returncode == 0
    assert not list(machine.out.iterdir()) and not list(machine.applied.iterdir())


def test_what_is_somebody_elses_by_now_stays(machine):
    assert machine.apply().returncode == 0
    (machine.out / "cert.pem").write_text("somebody else's by now\n")
    shutil.rmtree(machine.home)
    done = machine.apply()
    assert done.returncode == 0 and not done.stderr, done
    assert [path.name for path in machine.out.iterdir()] == ["cert.pem"] and not list(machine.applied.iterdir())


@pytest.mark.parametrize("arguments", [(), ("x",), ("0" * 31,), ("0" * 33,), ("A" * 32,), ("../" + "0" * 29,), ("0" * 32, "1"),
                                       ("--what", "0" * 32)])
def test_arguments(arguments):
    done = subprocess.run([APPLY, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Usage: " in done.stderr


@contextlib.contextmanager
def trusting(folder):
    """A trust store of its own, with this machine's program."""
    for path in ("/usr/sbin/update-ca-certificates", "/usr/local/share/ca-certificates", "/usr/bin/unshare"):
        if not os.path.exists(path):
            pytest.skip(f"{path} is not there")
    (folder / "local").mkdir()
    (folder / "certs").mkdir()
    script = 'mount --bind "$0/local" /usr/local/share/ca-certificates && mount --bind "$0/certs" /etc/ssl/certs && exec "$@"'
    yield ("unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(folder))


def test_the_trust_store(machine):
    machine.consumer("[TrustStore]\nAnchor=yes\n")
    anchor = (machine.home / "anchor.pem").read_bytes()
    with trusting(machine.dir) as room:
        done = machine.apply(*room)
        assert done.returncode == 0, done.stderr
        placed = machine.dir / f"local/scepter-{machine.id}.crt"
        bundle = machine.dir / "certs/ca-certificates.crt"
        assert placed.read_bytes() == anchor and placed.stat().st_mode & 0o777 == 0o644
        assert anchor.strip() in bundle.read_bytes()
        chain = subprocess.run(["openssl", "verify", "-CAfile", bundle, "-untrusted", machine.current / "chain.pem",
                                machine.current / "cert.pem"], capture_output=True, text=True, check=False)
        assert chain.returncode == 0, chain.stderr
        # not again, and gone with the certificate
        before = bundle.stat().st_ino
        assert machine.apply(*room).returncode == 0 and bundle.stat().st_ino == before
        shutil.rmtree(machine.home)
        assert machine.apply(*room).returncode == 0
        assert not placed.exists() and anchor.strip() not in bundle.read_bytes()
