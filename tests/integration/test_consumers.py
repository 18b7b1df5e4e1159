"""Consumers through the real scepter-apply: what they get, what happens when one cannot take it (T10), and that nothing but
root's own word moves root."""
import contextlib
import json
import os
import shutil
import subprocess

import pytest

import crash
import labs
import neighbours
from crash import properties
from test_renewal import events, now, set_clock

ROOT = os.getuid() == 0


@pytest.fixture(scope="module")
def lab():
    with labs.lab("--no-tpm") as made:
        yield made


@pytest.fixture(scope="module")
def walk():
    with crash.walking("--no-tpm") as made:
        yield made


@pytest.fixture(scope="module")
def tpm_lab():
    with labs.lab() as made:
        yield made


def consumer(lab, name, text, mode=0o644):
    """A file of root's (or of the lab's own user)."""
    folder = lab.dir / "lab/etc/consumers.d"
    path = folder / f"{name}.consumer"
    path.write_text(text)
    path.chmod(mode)
    return path


def place(lab, name):
    """A directory that the applier can write, whoever it runs as in this lab."""
    path = lab.files / name
    path.mkdir()
    path.chmod(0o777)
    return path


def outcome(lab, name):
    return json.loads((lab.dir / "lab/applied" / f"{lab.certificate(name).name}.json").read_text())


def requests(lab):
    """What arrived at the CA."""
    return [json.loads(line) for line in lab.ndes("log", "4003", "4006").splitlines()]


def enrolled(lab, name, **values):
    lab.add(name, **values)
    lab.enroll(name)
    return settled(lab, name)


def settled(lab, name):
    def look():
        shown = lab.json("show", name)
        return shown if shown["activity"] == "idle" or (shown["activity"] == "apply-pending" and shown["lastError"]["name"]) \
            else None
    return lab.until(look)


def come(lab, seconds=4 * 3600 + 60):
    """The time of the next attempt, at the latest."""
    set_clock(lab, now(lab) + seconds)


def files(folder):
    """{key in the consumer: path}"""
    return {key: folder / name for key, name in
            (("Certificate", "cert.pem"), ("Chain", "chain.pem"), ("FullChain", "full.pem"), ("Anchor", "anchor.pem"),
             ("KeyUri", "key.uri"))}


def file_lines(paths):
    return "".join(f"{key}={path}\n" for key, path in paths.items())


def test_files(lab):
    folder = place(lab, "p-files")
    paths = files(folder)
    consumer(lab, "p-files", f"[Consumer]\nProfile=p-files\n[Files]\nMode=0640\n{file_lines(paths)}")
    shown = enrolled(lab, "p-files")
    assert shown["activity"] == "idle" and not shown["lastError"]["name"]
    home = lab.certificate("p-files")
    current = home / "current"
    assert paths["Certificate"].read_bytes() == (current / "cert.pem").read_bytes()
    assert paths["Chain"].read_bytes() == (current / "chain.pem").read_bytes()
    assert paths["FullChain"].read_bytes() == paths["Certificate"].read_bytes() + paths["Chain"].read_bytes()
    assert paths["Anchor"].read_bytes() == (home / "anchor.pem").read_bytes()
    assert paths["KeyUri"].read_text().strip() == shown["uris"][1]
    assert {path.stat().st_mode & 0o7777 for path in paths.values()} == {0o640}
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in paths.values())
    assert [event["event"] for event in events(lab, "p-files", "CERT_INSTALLED", "CERT_APPLIED")] == \
        ["CERT_INSTALLED", "CERT_APPLIED"]
    done = outcome(lab, "p-files")
    assert [row["error"] for row in done["consumers"]] == [""] and len(done["consumers"][0]["files"]) == 5


def test_T10_a_consumer_that_fails_is_applied_later_without_a_new_certificate(lab):
    folder = lab.files / "p-later"  # is not there yet
    enrolled(lab, "p-later")
    consumer(lab, "p-later", f"[Consumer]\nProfile=p-later\n[Files]\nCertificate={folder}/cert.pem\n")
    before = lab.wait_for("p-later", "apply-pending")
    assert before["health"] == "valid" and before["status"] == 1
    error = before["lastError"]
    assert error["name"] == "ConsumerFailed" and "p-later" in error["message"] and str(folder) in error["message"]
    assert "directory" in error["remedy"]
    text = lab.scepter("show", "p-later").stdout
    assert "apply-pending" in text and str(folder) in text and error["remedy"] in text
    sent = requests(lab)
    failed = events(lab, "p-later", "APPLY_FAILED")
    assert len(failed) == 1 and failed[0]["consumer"] == "p-later" and failed[0]["nextAt"] > failed[0]["time"]
    # in vain at its time, and at the start of a daemon that was killed
    come(lab)
    lab.until(lambda: len(events(lab, "p-later", "APPLY_FAILED")) == 2)
    lab.daemon("kill")
    lab.daemon("restart")
    lab.until(lambda: len(events(lab, "p-later", "APPLY_FAILED")) == 3)
    assert lab.json("show", "p-later")["activity"] == "apply-pending"
    folder.mkdir()
    folder.chmod(0o777)
    come(lab)
    after = lab.wait_for("p-later", "idle")
    assert after["serialNumber"] == before["serialNumber"] and not after["lastError"]["name"]
    assert (folder / "cert.pem").read_bytes() == (lab.certificate("p-later") / "current/cert.pem").read_bytes()
    assert requests(lab) == sent
    assert len(events(lab, "p-later", "CERT_APPLIED")) == 1


@pytest.mark.skipif(labs.sanitized(), reason="a library cannot be loaded before AddressSanitizer's")
def test_T10_killed_before_each_change_of_the_disk(walk):
    """On the way into apply-pending, and on the way out of it."""
    lab = walk.lab
    folder = place(lab, "p-walk")
    path = consumer(lab, "p-walk", f"[Consumer]\nProfile=p-walk\n[Files]\nCertificate={folder}/cert.pem\n")
    before = enrolled(lab, "p-walk")
    assert before["activity"] == "idle"
    sent = requests(lab)

    def strike(step, wanted):
        walk.arm(step)
        path.write_text(path.read_text())
        lab.until(lambda: walk.struck() or (properties(lab, "p-walk") or {}).get("activity") == wanted)
        struck = walk.revive()
        lab.wait_for("p-walk", wanted)
        return struck
    for step in range(1, 60):
        folder.rename(lab.files / f"p-walk-{step}")  # whole: what was applied before may be applied once more
        there = strike(step, "apply-pending")
        folder.mkdir()
        folder.chmod(0o777)
        back = strike(step, "idle")
        assert (folder / "cert.pem").read_bytes() == (lab.certificate("p-walk") / "current/cert.pem").read_bytes()
        if not there and not back:
            break
    assert step > 2  # the record and its event
    after = lab.json("show", "p-walk")
    assert after["serialNumber"] == before["serialNumber"] and requests(lab) == sent
    assert not list(lab.state.rglob("*.new"))


@pytest.mark.skipif(labs.sanitized(), reason="a library cannot be loaded before AddressSanitizer's")
@pytest.mark.parametrize("verb", ["renew", "enroll", "remove"])
def test_nobody_is_refused_while_an_outcome_is_written(walk, verb):
    lab, name = walk.lab, f"p-busy-{verb}"
    path = consumer(lab, name, f"[Consumer]\nProfile={name}\n[Files]\nCertificate={lab.files}/{name}/cert.pem\n")
    before = enrolled(lab, name)
    assert before["activity"] == "apply-pending"
    place(lab, name)
    options = ("--challenge-file", lab.challenge()) if verb == "enroll" else ()
    set_clock(lab, now(lab) + 60)
    walk.arm(1, crash.HOLD)
    path.write_text(path.read_text())
    lab.until(walk.struck)
    with subprocess.Popen([labs.BUILD / "bin/scepter", verb, name, *options], env=lab.env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as asked:
        for _ in range(5):  # by then it has asked
            assert lab.serves()
        walk.arm(0)
        _, said = asked.communicate(timeout=60)
    assert asked.returncode == 0, said
    if verb == "remove":
        lab.until(lambda: properties(lab, name) is None and not (lab.files / name / "cert.pem").exists())
    else:
        lab.until(lambda: crash.another(before["thumbprint"])(lab.json("show", name)))


def test_who_waits_is_told(lab):
    consumer(lab, "p-told", f"[Consumer]\nProfile=p-told\n[Files]\nCertificate={lab.files}/nowhere/cert.pem\n")
    lab.add("p-told")
    done = lab.enroll("p-told")
    assert done.returncode == 1 and "nowhere" in done.stderr and "p-told" in done.stderr, done.stderr
    place(lab, "nowhere")
    come(lab)
    lab.wait_for("p-told", "idle")


@pytest.fixture(scope="module")
def unit_lab():
    """scepter-apply is a unit here."""
    with labs.lab("--no-tpm", "--systemd") as made:
        yield made


def unit_of(lab, name):
    return f"scepter-apply@{lab.certificate(name).name}.service"


@contextlib.contextmanager
def followed(lab, name):
    """Nothing of it is left for the systemd of the next test."""
    path = consumer(lab, name, f"[Consumer]\nProfile={name}\n[Files]\nCertificate={lab.files}/{name}/cert.pem\n")
    try:
        yield
    finally:
        path.unlink()
        lab.scepter("remove", name)


def started(lab, systemd, times=1):
    lab.until(lambda: len(systemd.asked()) == times)


def test_the_daemon_starts_the_unit_and_hears_of_its_end(unit_lab):
    lab = unit_lab
    with followed(lab, "u-done"), neighbours.systemd(lab) as systemd:
        lab.add("u-done")
        lab.add("u-alone")
        assert lab.enroll("u-alone").returncode == 0  # nothing follows it
        assert systemd.asked() == []
        lab.scepter("enroll", "u-done", "--challenge-file", lab.challenge())
        lab.wait_for("u-done", "apply-pending")
        started(lab, systemd)
        assert systemd.asked() == [("StartUnit", unit_of(lab, "u-done"), "replace")]
        systemd.end(unit_of(lab, "u-done"), "done")
        lab.wait_for("u-done", "idle")
        assert [event["event"] for event in events(lab, "u-done", "CERT_APPLIED", "APPLY_FAILED")] == ["CERT_APPLIED"]


def test_an_end_that_systemd_does_not_tell_is_none(unit_lab):
    lab = unit_lab
    with followed(lab, "u-forged"), neighbours.systemd(lab) as systemd:
        lab.add("u-forged")
        lab.scepter("enroll", "u-forged", "--challenge-file", lab.challenge())
        lab.wait_for("u-forged", "apply-pending")
        started(lab, systemd)
        arguments = ("uint32:1", f"objpath:{systemd.job()}", f"string:{unit_of(lab, 'u-forged')}", "string:done")
        owner = subprocess.run(["dbus-send", f"--bus={lab.env['DBUS_SYSTEM_BUS_ADDRESS']}", "--print-reply=literal",
                                "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus.GetNameOwner",
                                "string:org.scepter1"], capture_output=True, text=True, check=True).stdout.strip()
        lab.run("dbus-send", f"--bus={lab.env['DBUS_SYSTEM_BUS_ADDRESS']}", "--type=signal", f"--dest={owner}",
                "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager.JobRemoved", *arguments, check=True)
        assert lab.json("show", "u-forged")["activity"] == "apply-pending"
        systemd.end(unit_of(lab, "u-forged"), "done")
        lab.wait_for("u-forged", "idle")


@pytest.mark.parametrize("result", ["failed", "timeout", "canceled", "dependency"])
def test_a_unit_that_fails_is_tried_again(unit_lab, result):
    lab, name = unit_lab, f"u-{result}"
    with followed(lab, name), neighbours.systemd(lab) as systemd:
        lab.add(name)
        lab.scepter("enroll", name, "--challenge-file", lab.challenge())
        lab.wait_for(name, "apply-pending")
        started(lab, systemd)
        systemd.end(unit_of(lab, name), result)
        shown = settled(lab, name)
        assert shown["activity"] == "apply-pending" and result in shown["lastError"]["message"]
        assert f"journalctl -u {unit_of(lab, name)}" in shown["lastError"]["remedy"]
        come(lab)
        started(lab, systemd, 2)
        systemd.end(unit_of(lab, name), "done")
        lab.wait_for(name, "idle")


@pytest.mark.parametrize("name,error", [("u-no-unit", "org.freedesktop.systemd1.NoSuchUnit"),
                                        ("u-no-rule", "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired")])
def test_systemd_refuses(unit_lab, name, error):
    lab = unit_lab
    with followed(lab, name), neighbours.systemd(lab, refuses=error):
        shown = enrolled(lab, name)
        assert shown["activity"] == "apply-pending" and "polkit rule" in shown["lastError"]["remedy"]


def test_there_is_no_systemd(unit_lab):
    lab = unit_lab
    with followed(lab, "u-nobody"):
        shown = enrolled(lab, "u-nobody")
        assert shown["activity"] == "apply-pending" and "systemd does not start" in shown["lastError"]["message"]


def test_a_daemon_that_is_killed_starts_the_unit_again(unit_lab):
    lab = unit_lab
    with followed(lab, "u-killed"), neighbours.systemd(lab) as systemd:
        lab.add("u-killed")
        lab.scepter("enroll", "u-killed", "--challenge-file", lab.challenge())
        lab.wait_for("u-killed", "apply-pending")
        started(lab, systemd)
        sent = requests(lab)
        lab.daemon("kill")
        systemd.end(unit_of(lab, "u-killed"), "done")  # nobody hears it
        lab.daemon("restart")
        started(lab, systemd, 2)
        systemd.end(unit_of(lab, "u-killed"), "done")
        lab.wait_for("u-killed", "idle")
        assert requests(lab) == sent


def test_units_of_a_consumer(lab):
    consumer(lab, "p-units", "[Consumer]\nProfile=p-units\n[Units]\nReload=a.service b@x.service\nRestart=c.service\n"
                             "Start=d.service\n")
    wanted = [("ReloadOrTryRestartUnit", "a.service", "replace"), ("ReloadOrTryRestartUnit", "b@x.service", "replace"),
              ("TryRestartUnit", "c.service", "replace"), ("StartUnit", "d.service", "replace")]
    with neighbours.systemd(lab, ends="done") as systemd:
        assert enrolled(lab, "p-units")["activity"] == "idle"
        assert systemd.asked() == wanted
        lab.daemon("restart")  # nothing has changed: nobody is reloaded
        assert lab.json("show", "p-units")["activity"] == "idle" and systemd.asked() == wanted
        before = lab.json("show", "p-units")
        set_clock(lab, now(lab) + 120)  # else the new one would not end later
        assert lab.scepter("renew", "p-units", "--wait").returncode == 0
        settled(lab, "p-units")
        assert lab.json("show", "p-units")["serialNumber"] != before["serialNumber"]
        assert systemd.asked() == 2 * wanted


def test_T10_a_unit_that_fails(lab):
    folder = place(lab, "p-unit")
    consumer(lab, "p-unit", f"[Consumer]\nProfile=p-unit\n[Files]\nCertificate={folder}/cert.pem\n"
                            "[Units]\nReload=web.service\n")
    with neighbours.systemd(lab, ends="failed") as systemd:
        before = enrolled(lab, "p-unit")
        assert before["activity"] == "apply-pending" and "web.service" in before["lastError"]["message"]
        assert "systemctl status web.service" in before["lastError"]["remedy"]
        assert (folder / "cert.pem").exists() and len(systemd.asked()) == 1
    sent = requests(lab)
    with neighbours.systemd(lab, ends="done") as systemd:
        come(lab)
        after = lab.wait_for("p-unit", "idle")
        assert len(systemd.asked()) == 1  # the file was there, and the unit had not been reloaded
    assert after["serialNumber"] == before["serialNumber"] and requests(lab) == sent


def test_a_consumer_that_is_written_or_edited_takes_effect(lab):
    one, other = place(lab, "p-edit"), place(lab, "p-edited")
    shown = enrolled(lab, "p-edit")
    assert shown["activity"] == "idle"
    path = consumer(lab, "p-edit", f"[Consumer]\nProfile=p-edit\n[Files]\nCertificate={one}/cert.pem\n")
    lab.until(lambda: (one / "cert.pem").exists())
    new = path.with_suffix(".new")
    new.write_text(f"[Consumer]\nProfile=p-edit\n[Files]\nCertificate={other}/cert.pem\nMode=0600\n")
    new.rename(path)
    lab.until(lambda: (other / "cert.pem").exists())
    assert (other / "cert.pem").stat().st_mode & 0o777 == 0o600
    assert not events(lab, "p-edit", "APPLY_FAILED") and not events(lab, "p-edit", "CERT_APPLIED")  # it never waited
    # one that an editor empties and then writes is not read in between
    os.utime(path)
    with path.open("w") as file:
        lab.scepter("list")  # handles what came before
        file.write(f"[Consumer]\nProfile=p-edit\n[Files]\nCertificate={one}/cert.pem\nMode=0640\n")
    lab.until(lambda: (one / "cert.pem").stat().st_mode & 0o777 == 0o640)
    assert not events(lab, "p-edit", "APPLY_FAILED") and "has no Profile" not in lab.log()
    # an edit that is wrong is told, with its line, and cured by the next
    path.write_text(f"[Consumer]\nProfile=p-edit\n[Files]\nCertificat={one}/cert.pem\n")
    shown = lab.wait_for("p-edit", "apply-pending")
    assert "p-edit.consumer" in shown["lastError"]["message"] and "line 4" in shown["lastError"]["message"]
    assert "Certificat'" in shown["lastError"]["message"]
    path.write_text(f"[Consumer]\nProfile=p-edit\n[Files]\nCertificate={one}/cert.pem\n")
    assert not lab.wait_for("p-edit", "idle")["lastError"]["name"]


def test_what_was_changed_is_written_again_at_the_start(lab):
    folder = place(lab, "p-heal")
    consumer(lab, "p-heal", f"[Consumer]\nProfile=p-heal\n[Files]\nCertificate={folder}/cert.pem\nMode=0644\n")
    enrolled(lab, "p-heal")
    good = (folder / "cert.pem").read_bytes()
    (folder / "cert.pem").unlink()
    (folder / "cert.pem").symlink_to("/etc/hostname")
    lab.daemon("restart")
    lab.until(lambda: not (folder / "cert.pem").is_symlink())
    assert (folder / "cert.pem").read_bytes() == good


def test_a_renewal_begins_where_consumers_wait(lab):
    consumer(lab, "p-renew", f"[Consumer]\nProfile=p-renew\n[Files]\nCertificate={lab.files}/p-renew/cert.pem\n")
    before = enrolled(lab, "p-renew")
    assert before["activity"] == "apply-pending"
    set_clock(lab, now(lab) + 20)
    # one that fails leaves what is installed, and what is to be applied
    lab.ndes("set", "http-status", "500")
    done = lab.scepter("renew", "p-renew", "--wait")
    lab.ndes("reset")
    assert done.returncode != 0, done.stderr
    assert lab.json("show", "p-renew")["activity"] == "failed"
    place(lab, "p-renew")
    lab.daemon("restart")
    lab.until(lambda: (lab.files / "p-renew/cert.pem").exists())
    assert lab.json("show", "p-renew")["activity"] == "failed"
    assert lab.scepter("renew", "p-renew", "--wait").returncode == 0
    after = lab.wait_for("p-renew", "idle")
    assert after["serialNumber"] != before["serialNumber"]
    lab.until(lambda: (lab.files / "p-renew/cert.pem").read_bytes() ==
              (lab.certificate("p-renew") / "current/cert.pem").read_bytes())


def test_removal_takes_away_what_was_written(lab):
    folder = place(lab, "p-gone")
    consumer(lab, "p-gone", f"[Consumer]\nProfile=p-gone\n[Files]\nCertificate={folder}/cert.pem\n"
                            f"Anchor={folder}/anchor.pem\n")
    enrolled(lab, "p-gone")
    known = lab.dir / "lab/applied" / f"{lab.certificate('p-gone').name}.json"
    assert known.exists()
    assert lab.scepter("remove", "p-gone").returncode == 0
    lab.until(lambda: not known.exists())
    assert not list(folder.iterdir())


def test_the_key_of_a_tpm(tpm_lab):
    lab = tpm_lab
    folder = place(lab, "t-key")
    consumer(lab, "t-key", f"[Consumer]\nProfile=t-key\n[Files]\nKey={folder}/key.pem\nMode=0600\n")
    shown = enrolled(lab, "t-key", protection="tpm")
    assert shown["activity"] == "idle" and shown["keyProtection"] == "tpm"
    assert (folder / "key.pem").read_text() == (lab.certificate("t-key") / "current/key.pem").read_text()
    assert (folder / "key.pem").read_text().startswith("-----BEGIN TSS2 PRIVATE KEY-----")


def test_a_key_in_software_is_not_handed_out(lab):
    folder = place(lab, "p-soft")
    consumer(lab, "p-soft", f"[Consumer]\nProfile=p-soft\n[Files]\nKey={folder}/key.pem\n")
    shown = enrolled(lab, "p-soft")
    assert shown["activity"] == "apply-pending" and "KeyUri" in shown["lastError"]["remedy"]
    assert not list(folder.iterdir())


def test_diagnose(lab):
    folder = place(lab, "p-look")
    enrolled(lab, "p-look")
    path = consumer(lab, "p-look", f"[Consumer]\nProfile=p-look\n[Files]\nCertificate={folder}/cert.pem\n")

    def found(code):
        rows = [json.loads(line) for line in lab.scepter("diagnose", "p-look", "--json").stdout.splitlines()]
        return [row for row in rows if row.get("code") == code]
    assert "p-look" in lab.until(lambda: found("consumers-applied"))[0]["observed"]
    (folder / "cert.pem").write_text("another")
    changed = found("consumers-changed")[0]
    assert str(folder / "cert.pem") in changed["observed"] and unit_of(lab, "p-look")[:-8] in changed["remedy"]
    (folder / "cert.pem").unlink()
    assert "is not there" in found("consumers-changed")[0]["observed"]
    folder.rmdir()
    path.write_text(path.read_text() + "Owner=nobody-of-this-name\n")
    lab.wait_for("p-look", "apply-pending")
    assert "nobody-of-this-name" in found("consumers-failed")[0]["observed"]
    path.write_text("[Consumer]\nProfile=p-look\nMore=x\n")
    wrong = found("consumers-wrong")[0]
    assert "line 3" in wrong["observed"]
    path.unlink()


def test_a_file_that_does_not_say_whom_it_follows_is_told_everywhere(lab):
    shown = enrolled(lab, "p-all")
    assert shown["activity"] == "idle"
    path = consumer(lab, "p-lost", "[Consumer]\nProfil=p-other\n")
    try:
        shown = lab.wait_for("p-all", "apply-pending")
        assert "p-lost.consumer" in shown["lastError"]["message"]
    finally:
        path.unlink()
    lab.daemon("restart")


@pytest.mark.parametrize("user", [64821])
def test_certificates_of_users_are_not_followed(lab, user):
    if not ROOT:
        pytest.skip("the lab has users of its own for root alone")
    folder = place(lab, "p-user")
    consumer(lab, "p-user", f"[Consumer]\nProfile=p-user\n[Files]\nCertificate={folder}/cert.pem\n")
    lab.add("p-user", type="user")
    assert lab.scepter("enroll", "p-user", "--wait", "--for", "lab-alice", "--challenge-file", lab.challenge()).returncode == 0
    assert lab.json("show", "p-user")["activity"] == "idle"
    done = lab.run(labs.BUILD / "bin/scepter-apply", "--config", lab.dir / "lab/etc/scepter.conf",
                   lab.certificate("p-user").name, user=64811)
    assert done.returncode == 0, done.stderr
    assert not list(folder.iterdir())


def test_a_removal_that_was_cut_off_is_finished_at_the_start(lab):
    """The daemon was killed when the certificate was gone and the applier not told."""
    folder = place(lab, "p-cut")
    path = consumer(lab, "p-cut", f"[Consumer]\nProfile=p-cut\n[Files]\nCertificate={folder}/cert.pem\n")
    enrolled(lab, "p-cut")
    home = lab.certificate("p-cut")
    lab.daemon("kill")
    path.unlink()
    shutil.rmtree(home)
    lab.daemon("restart")
    lab.until(lambda: not list(folder.iterdir()))
    lab.until(lambda: not (lab.dir / "lab/applied" / f"{home.name}.json").exists())
