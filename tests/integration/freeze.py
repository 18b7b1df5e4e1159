#!/usr/bin/python3 -B
"""freeze.py FILE.tar.xz: a lab's state directory, TPM and CA as this version writes them, for the versions to come (T17). Run as root,
with SCEPTER_BUILD naming the build. What is written once is never edited."""
import hashlib
import json
import sys
import tarfile

import labs
import messages

# Below the ports that the kernel gives away: profiles and certificates name them.
PORTS = {"url": 18731, "tls-url": 18732}
ALICE = 64821
KEPT = ("state", "tpm", "ndes", "etc/host.key")
SHOWN = ("name", "health", "activity", "status", "subject", "serialNumber", "thumbprint", "notBefore", "notAfter", "renewAt",
         "keyProtection", "keyAlgorithm", "respondentServerUrl", "owner", "deviations", "lastError", "attempts")


def prepare(folder):
    (folder / "ndes").mkdir(parents=True)
    for name, port in PORTS.items():
        (folder / "ndes" / name).write_text(f"http{'s' * (name != 'url')}://127.0.0.1:{port}/certsrv/mscep/mscep.dll\n")


def summary(lab):
    """What must be the same afterwards."""
    names = sorted(one["name"] for one in lab.json("list")["certificates"])
    return {"certificates": {name: {key: value for key, value in lab.json("show", name).items() if key in SHOWN}
                             for name in names},
            "profiles": {name: lab.json("profile", "show", name) for name in names},
            "events": {name: [[event["event"], event["time"]] for event in lab.json("events", name)["events"]]
                       for name in names}}


def fill(lab):
    """One certificate in each state that lasts, and one of each origin."""
    lab.ndes("set", "lifetime", "30d")
    for name, values in {"soft-rsa": {}, "soft-ec": {"algorithm": "ec-p256"}, "tpm-rsa": {"protection": "tpm"},
                         "tpm-ec": {"protection": "tpm", "algorithm": "ec-p256"}, "wants": {"method": "challenge"}}.items():
        lab.add(name, **values)
        assert lab.enroll(name).returncode == 0, name
    lab.add("of-alice", type="user", subject="CN={{UserName}}", san="AlternativeName=upn:{{UserName}}@contoso.com")
    done = lab.scepter("enroll", "of-alice", "--wait", "--challenge-file", lab.challenge(), user=ALICE)
    assert done.returncode == 0, done.stderr
    message = messages.Message()
    digest = hashlib.sha1(messages.root_der(lab)).hexdigest()
    message.add(f"{messages.ROOTS}/{digest}/EncodedCertificate", messages.root_base64(lab), "b64")
    messages.install(message, messages.csp_values(lab), f"{messages.CSP}/managed")
    done = lab.scepter("syncml", "apply", lab.write("managed.xml", message.text()))
    assert done.returncode == 0, done.stderr
    lab.until(lambda: [one for one in lab.json("list")["certificates"] if one["name"] == "managed" and one["health"] == "valid"])
    lab.clock("+3600")
    for name in ("soft-rsa", "tpm-rsa"):
        assert lab.scepter("renew", name, "--wait").returncode == 0, name
    lab.scepter("renew", "wants")
    lab.wait_for("wants", "needs-challenge")
    lab.ndes("set", "wrong-challenge", "always")
    lab.add("refused")
    assert lab.enroll("refused").returncode == 6
    lab.ndes("reset")
    lab.ndes("set", "pending", "approve")
    lab.add("waiting")
    assert lab.enroll("waiting").returncode == 8


def keep(info):
    """No sockets, no locks, nobody's name."""
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info if info.isfile() and not info.name.endswith(".lock") or info.isdir() or info.issym() else None


def main():
    lab = labs.Lab(before=prepare)
    try:
        fill(lab)
        expected = summary(lab)
        expected["clock"] = max(time for events in expected["events"].values() for _, time in events) + 60
        lab.run(labs.LAB, "down", lab.dir / "lab", check=True)
        with tarfile.open(sys.argv[1], "x:xz") as archive:
            for name in KEPT:
                archive.add(lab.dir / "lab" / name, name, filter=keep)
            archive.add(lab.write("expected.json", json.dumps(expected, indent=1, sort_keys=True)), "expected.json",
                        filter=keep)
    finally:
        lab.close()


if __name__ == "__main__":
    main()
