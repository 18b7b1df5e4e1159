"""scepterd --check-config and --print-config: what an administrator asks before a restart."""
import subprocess

import pytest

import labs

SCEPTERD = labs.BUILD / "bin/scepterd"
CONSUMER = "[Consumer]\nProfile=x\n[Units]\nReload=a.service\n"


@pytest.fixture
def place(tmp_path):
    for name in ("profiles", "consumers"):
        (tmp_path / name).mkdir(mode=0o755)
    (tmp_path / "conf").write_text(f"[Service]\nProfilesDirectory={tmp_path}/profiles\nConsumersDirectory={tmp_path}/consumers\n")
    return tmp_path


def ask(place, option):
    return subprocess.run([SCEPTERD, "--config", place / "conf", option], capture_output=True, text=True, check=False, timeout=30)


def put(path, text, mode=0o644):
    path.write_text(text)
    path.chmod(mode)


def test_nothing_is_wrong(place):
    put(place / "consumers/a.consumer", CONSUMER)
    put(place / "profiles/a.profile", "[Profile]\n")
    done = ask(place, "--check-config")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name,text,mode,says", [
    ("conf", "[Service]\nTcty=none\n", 0o644, "line 2: unknown key 'Tcty'"),
    ("conf", "[Service]\nPolkit=maybe\n", 0o644, "Polkit is yes or no"),
    ("consumers/a.consumer", "[Consumer]\nProfil=x\n", 0o644, "a.consumer: line 2: section [Consumer] has no key 'Profil'"),
    ("consumers/a.consumer", CONSUMER, 0o666, "a.consumer"),
    ("profiles/a.profile", "[Profile]\n", 0o666, "a.profile"),
])
def test_what_is_wrong(place, name, text, mode, says):
    put(place / name, text, mode)
    done = ask(place, "--check-config")
    assert done.returncode == 1 and says in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) >= 2, "a remedy"


def test_all_of_it_is_told(place):
    put(place / "consumers/a.consumer", "[Consumer]\nProfil=x\n")
    put(place / "consumers/b.consumer", CONSUMER, 0o666)
    put(place / "profiles/c.profile", "[Profile]\n", 0o666)
    done = ask(place, "--check-config")
    assert all(name in done.stderr for name in ("a.consumer", "b.consumer", "c.profile")) and "3 of the files" in done.stderr


def test_a_file_that_is_missing(place):
    (place / "conf").unlink()
    assert "no configuration file" in ask(place, "--print-config").stderr


def test_what_is_printed_means_the_same(place):
    printed = ask(place, "--print-config").stdout
    assert f"ConsumersDirectory={place}/consumers\n" in printed and "Polkit=yes\n" in printed
    put(place / "conf", printed)
    assert ask(place, "--print-config").stdout == printed


def test_every_key_is_printed(place):
    """As the manual lists them."""
    page = (labs.SOURCE / "packaging/man/scepter.conf.5").read_text()
    keys = {line.split("=")[0] for line in ask(place, "--print-config").stdout.splitlines()[1:]}
    assert all(f"{key}=" in page for key in keys)
