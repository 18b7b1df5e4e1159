"""T10: no memory, at each place of our own code that asks for some while a profile comes in, a certificate is enrolled and
renewed, in the daemon and its workers; then anywhere in the libraries. What fails is told, the daemon stays, the same
succeeds as soon as there is memory, and nothing is left."""
import contextlib
import json
import os
import pathlib
import random
import select

import pytest

import crash
import faults
import labs

pytestmark = pytest.mark.skipif(labs.sanitized(), reason="a library cannot be loaded before AddressSanitizer's")
EACH = 50  # times of one site, at most
GROUP = 4


@pytest.fixture(scope="module")
def memory():
    with faults.short_of_memory("--no-tpm") as made:
        yield made


def chosen(sites):
    """(site, nth): each at first and at last, of these a seeded third; with WALK=all every time."""
    seed = crash.third()
    if seed is None:
        return [(site, nth) for site, count in sorted(sites.items()) for nth in range(1, min(count, EACH) + 1)]
    draw = random.Random(seed)
    return [(site, nth) for site, count in sorted(sites.items()) for nth in sorted({1, count}) if draw.random() < 1 / 3]


def running(pid):
    """And is not one that nobody has waited for."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def tell(done):
    """Whether it went well; what failed says so, and nothing says that the daemon is gone."""
    if done.returncode:
        assert done.stderr.strip() and "is not running" not in done.stderr and "NoReply" not in done.stderr, done
    return done.returncode == 0


def there(lab, name):
    return lab.scepter("profile", "show", name).returncode == 0


def enroll(lab, name, **values):
    path = lab.write("faults.profile", lab.profile_text(name, **values))
    challenge = lab.challenge()
    return (there(lab, name) or tell(lab.scepter("profile", "add", path))) and tell(
        lab.scepter("enroll", name, "--challenge-file", challenge)) and ended(lab, name)


def renew(lab, name):
    lab.clock("+60")
    return tell(lab.scepter("renew", name)) and ended(lab, name)


def ended(lab, name):
    """Whether it came to a good end; a failure has a name and a remedy."""
    shown = at_rest(lab, name)
    assert shown["activity"] == "idle" or shown["lastError"]["name"] and shown["lastError"]["remedy"], shown
    return shown["activity"] == "idle"


def at_rest(lab, name):
    """What it is then, None: nothing. What runs goes on by itself; after a while, where an error was the last it said."""
    def look():
        assert running(lab.daemon_pid())
        done = lab.scepter("show", name, "--json")
        if done.returncode not in (0, 3):  # that got no memory
            return None
        shown = json.loads(done.stdout) if done.returncode == 0 else None
        if shown and shown["activity"] in ("requesting", "installing"):
            if lab.log().rstrip().rsplit("\n", 1)[-1].startswith("scepterd: error: "):
                lab.clock("+60")
            return None
        return (shown,)
    return lab.until(look)[0]


def well(lab, name):
    """Once there is memory it succeeds, whatever was reached; and what was installed was told."""
    if not there(lab, name):
        lab.add(name)
    at_rest(lab, name)
    done = lab.enroll(name)
    assert done.returncode == 0, done.stderr
    crash.check(lab, name, abandoned=True)
    told = [event["serial"] for event in lab.json("events", name)["events"] if event["event"] == "CERT_INSTALLED"]
    assert crash.properties(lab, name)["serialNumber"] in told


def removed(lab, name):
    done = lab.scepter("remove", name)
    assert done.returncode == 0, done.stderr
    lab.until(lambda: crash.properties(lab, name) is None)
    done = lab.scepter("profile", "remove", name)
    assert done.returncode == 0, done.stderr
    kept = {home.name for home in lab.state.glob("certificates/*")}
    assert kept == {one["id"] for one in lab.json("list")["certificates"]}


def walk(memory, kind, sites, attempt):
    """So many faults for one certificate, which is well afterwards."""
    lab, pid = memory.lab, memory.lab.daemon_pid()
    open_before, todo, struck, failed = memory.descriptors(), chosen(sites), 0, 0
    for at in range(0, len(todo), GROUP):
        name, group = f"{kind}-{at}", todo[at:at + GROUP]
        if attempt is renew:
            lab.add(name)
            assert lab.enroll(name).returncode == 0
        for site, nth in group:
            memory.refuse(site, nth)
            failed += not attempt(lab, name)
            struck += memory.refused()
            memory.off()
            assert lab.daemon_pid() == pid and running(pid), (site, nth, lab.log()[-3000:])
        print(at, group)  # pytest shows it where what follows fails
        well(lab, name)
        removed(lab, name)
    print(f"{kind}: {len(sites)} sites, {sum(sites.values())} requests, {len(todo)} refused, {struck} struck, {failed} told")
    assert struck > len(todo) / 2
    lab.until(lambda: memory.descriptors() <= open_before)


def test_enrollment(memory):
    lab = memory.lab
    assert enroll(lab, "before")
    with memory.counted() as sites:
        assert enroll(lab, "counted")
    removed(lab, "counted")
    assert len({site for site in sites if site[0] == "scepterd"}) > 30
    assert len({site for site in sites if site[0] == "scepter-worker"}) > 7
    walk(memory, "enroll", sites, enroll)


def test_enrollment_in_the_tpm():
    """The sites that a software key does not come to, or not as often."""
    def in_tpm(lab, name):
        return enroll(lab, name, protection="tpm")

    with faults.short_of_memory() as memory:
        lab = memory.lab
        assert enroll(lab, "before") and in_tpm(lab, "in-tpm")
        with memory.counted() as software:
            assert enroll(lab, "software")
        with memory.counted() as sites:
            assert in_tpm(lab, "counted")
        removed(lab, "counted")
        mine = {site: count for site, count in sites.items() if software.get(site) != count}
        assert len(mine) > 5
        walk(memory, "tpm", mine, in_tpm)


def test_renewal(memory):
    lab = memory.lab
    assert enroll(lab, "renewed")
    with memory.counted() as sites:
        assert renew(lab, "renewed")
    removed(lab, "renewed")
    walk(memory, "renew", sites, renew)


def restarted(lab):
    """Whether libcrypto has lost something for good: the daemon says so and ends, and is started anew, as systemd does."""
    pid, log = lab.daemon_pid(), lab.log()
    if "For want of memory libcrypto has lost" not in log[log.rfind("scepterd: Ready"):]:
        assert running(pid), log[-3000:]
        return False
    with contextlib.suppress(ProcessLookupError), os.fdopen(os.pidfd_open(pid)) as process:
        assert select.select([process], [], [], 30)[0]
    lab.daemon("restart")
    return True


def enroll_or_end(memory, name):
    """False also where the daemon has ended meanwhile."""
    try:
        return enroll(memory.lab, name)
    except AssertionError:
        memory.off()
        assert restarted(memory.lab)
        return False


def test_libraries(memory):
    """One of 400 requests of theirs, which an enrollment seldom survives: it is told, and nothing else suffers."""
    lab = memory.lab
    seed = crash.third()
    refused, failed, restarts, runs = 0, 0, 0, 12 if seed is not None else 200
    for at in range(runs):
        name = f"library-{at // GROUP}"
        memory.refuse_libraries(1000 * ((seed or 0) + at))
        failed += not enroll_or_end(memory, name)
        refused += memory.refused()
        memory.off()
        restarts += restarted(lab)
        if at % GROUP == GROUP - 1:
            try:
                well(lab, name)
            except AssertionError:  # a worker that was started ahead has it from before; or the daemon finds out now
                restarts += restarted(lab)
                well(lab, name)
            removed(lab, name)
    print(f"libraries: {refused} requests refused, {failed} of {runs} enrollments told of it, {restarts} restarts")
    assert refused > runs and failed


def signed(lab, name):
    """Over the key socket, by a program that has memory."""
    return lab.openssl("dgst", "-provider", "default", "-provider", "ksp", "-sha256", "-sign", f"ksp:{name}", "-out", os.devnull,
                       lab.root).returncode == 0


def test_signatures(memory):
    """What libcrypto lost with the first signature of a process is found out with the next ones, and the daemon starts anew."""
    lab, seed, restarts, refused = memory.lab, crash.third(), 0, 0
    runs = 12 if seed is not None else 200
    assert enroll(lab, "signer")
    for at in range(runs):
        lab.daemon("restart")
        memory.refuse_libraries(1000 * ((seed or 0) + at))
        signed(lab, "signer")
        refused += memory.refused()
        memory.off()
        if not signed(lab, "signer") and not signed(lab, "signer"):
            assert restarted(lab), lab.log()[-3000:]
            restarts += 1
            assert signed(lab, "signer")
    print(f"signatures: {refused} requests refused, {restarts} of {runs} daemons started anew")
    assert refused
