"""T10 for the programs beside the daemon: the command, what hands certificates to root's consumers, and our modules in programs
of others. There is no memory at each place of our own code that asks for some, then anywhere in the libraries: nothing crashes,
what is printed is whole or there is a reason, and the next run does what was left."""
import os
import shutil

import pytest

import applying
import faults
import labs

pytestmark = pytest.mark.skipif(labs.sanitized(), reason="a library cannot be loaded before AddressSanitizer's")
CRASHES = (134, 139)  # abort() and SIGSEGV, as shells say them
RUNS = 60  # with libraries that get none now and then
STATIC = (("list",), ("list", "--json"), ("show", "one"), ("show", "one", "--json"), ("show", "one", "--chain"), ("profile", "list"),
          ("profile", "show", "one"), ("profile", "show", "one", "--resolve"), ("events", "one"), ("events", "--json"), ("tpm",),
          ("wait", "one"))


@pytest.fixture(scope="module")
def lab():
    with labs.lab() as made:
        for name in ("one", "two"):
            made.add(name, protection="tpm")
            done = made.enroll(name)
            assert done.returncode == 0, done.stderr
        yield made


@pytest.fixture(scope="module")
def memory(lab):
    with faults.beside(lab) as made:
        yield made


def nothing(*_):
    pass


def attempt(memory, run, *what):
    """One that gets none as it was told: what it came to, and how many requests were refused."""
    done = run()
    refused = memory.refused()
    memory.off()
    assert done.returncode >= 0 and done.returncode not in CRASHES, (what, done)
    assert done.returncode == 0 or (done.stdout + done.stderr).strip(), (what, done)
    return done, refused


def walk(memory, run, before=nothing, after=nothing, same=True):
    """Each site at some of its times. @same: what is printed is the same each time, or something is said."""
    before()
    with memory.counted() as sites:
        whole = run()
    assert whole.returncode == 0, whole.stderr
    after(whole)
    struck, told = 0, 0
    for site, count in sorted(sites.items()):
        for nth in sorted({1, min(2, count), (count + 1) // 2, count}):
            before()
            memory.refuse(site, nth)
            done, refused = attempt(memory, run, hex(site[1]), nth, count)
            struck += refused > 0
            told += done.returncode != 0
            if same and not done.returncode:
                assert done.stdout == whole.stdout or done.stderr != whole.stderr, (hex(site[1]), nth, count, done)
            after(done)
    print(f"{len(sites)} sites, {struck} refused, {told} told")
    assert sites and struck
    return told


def seeded(memory, run, before=nothing, after=nothing):
    """Runs with one of 400 of the libraries' requests refused."""
    whole, refused, told = run(), 0, 0
    assert whole.returncode == 0, whole
    for seed in range(1, RUNS + 1):
        before()
        memory.refuse_libraries(1000 * seed)
        done, some = attempt(memory, run, seed)
        refused += some
        told += done.returncode != 0
        after(done)
    print(f"{refused} refused, {told} of {RUNS} runs told")
    assert refused


@pytest.mark.parametrize("words", STATIC, ids="-".join)
def test_the_command_reads(lab, memory, words):
    def run():
        return lab.scepter(*words, env=memory.environment())
    assert walk(memory, run)


@pytest.mark.parametrize("words", [("key", "test", "one"), ("diagnose", "one")], ids="-".join)
def test_the_command_takes_its_time(lab, memory, words):
    """And says how long."""
    assert walk(memory, lambda: lab.scepter(*words, env=memory.environment()), same=False)


def test_the_command_adds_and_removes(lab, memory):
    """A profile is there, whole, or it is not."""
    path = lab.write("added.profile", lab.profile_text("added"))

    def there():
        return lab.scepter("profile", "show", "added").returncode == 0

    def add():
        return lab.scepter("profile", "add", path, env=memory.environment())

    def remove():
        return lab.scepter("profile", "remove", "added", env=memory.environment())

    def gone():
        if there():
            assert lab.scepter("profile", "remove", "added").returncode == 0

    def present():
        if not there():
            assert lab.scepter("profile", "add", path).returncode == 0

    assert walk(memory, add, gone, lambda done: done.returncode or there() or pytest.fail(str(done)), same=False)
    assert walk(memory, remove, present, lambda done: done.returncode or not there() or pytest.fail(str(done)), same=False)
    gone()


@pytest.mark.parametrize("options", [(), ("--wait",), ("--wait", "--json")], ids=["", "wait", "json"])
def test_the_command_enrolls(lab, memory, options):
    """Whatever the command comes to, the certificate is well or on its way."""
    def run():
        return lab.scepter("enroll", "two", *options, "--challenge-file", lab.challenge(), env=memory.environment())

    def rest(*_):
        shown = lab.wait_for("two", "idle")
        assert shown["lastError"]["name"] == "", shown

    assert walk(memory, run, rest, rest, same=False)


# root's consumers

@pytest.fixture
def machine(lab, tmp_path):
    if os.getuid() != 0:
        pytest.skip("the applier is tried by root")
    made = applying.Machine(lab, tmp_path)
    made.consumer(f"[Files]\nOwner=root\nCertificate={made.out}/cert.pem\nFullChain={made.out}/full.pem\nKey={made.out}/key.pem\n"
                  f"Anchor={made.out}/anchor.pem\nKeyUri={made.out}/uri\n")
    made.consumer(f"[Files]\nCertificate={made.out}/second.pem\n", "second")
    return made


FILES = ["anchor.pem", "cert.pem", "full.pem", "key.pem", "second.pem", "uri"]


def written(machine):
    return sorted(path.name for path in machine.out.iterdir())


def test_the_applier_writes(memory, machine):
    def before():
        shutil.rmtree(machine.applied, ignore_errors=True)
        for path in machine.out.iterdir():
            path.unlink()

    def after(done):
        if done.returncode == 0:
            assert written(machine) == FILES and not any(row["error"] for row in machine.rows())
        assert set(written(machine)) <= set(FILES)
        again = machine.apply()
        assert again.returncode == 0 and written(machine) == FILES, again
        assert (machine.out / "cert.pem").read_bytes() == (machine.current / "cert.pem").read_bytes()
        assert sum(len(row["files"]) for row in machine.rows()) == len(FILES)

    def run():
        return machine.apply(env=memory.environment())

    assert walk(memory, run, before, after)
    seeded(memory, run, before, after)


def test_the_applier_takes_away(memory, machine):
    """Nothing is left behind that nobody would take away any more."""
    away = machine.dir / "away"

    def before():
        if away.exists():
            away.rename(machine.home)
        done = machine.apply()
        assert done.returncode == 0 and written(machine) == FILES, done
        machine.home.rename(away)

    def after(done):
        if done.returncode == 0:
            assert not written(machine)
        again = machine.apply()
        assert again.returncode == 0 and not written(machine) and not list(machine.applied.iterdir()), again

    assert walk(memory, lambda: machine.apply(env=memory.environment()), before, after)


# our modules

def test_the_provider(lab, memory):
    module = os.path.join(lab.env["OPENSSL_MODULES"], "ksp.so")
    load = ("-provider", "default", "-provider", "ksp")

    def program(*words):
        return lambda: lab.run("openssl", *words, env=memory.environment(module))

    assert walk(memory, program("dgst", *load, "-sha256", "-sign", "ksp:one", "-out", os.devnull, lab.root))
    assert walk(memory, program("storeutl", *load, "-certs", "ksp:one"))
    assert walk(memory, program("pkey", *load, "-in", "ksp:one", "-pubout"))


@pytest.mark.skipif(shutil.which("pkcs11-tool") is None, reason="pkcs11-tool is not there")
def test_the_pkcs11_module(lab, memory):
    module = lab.env["SCEPTER_PKCS11"]

    def program(*words):
        return lambda: lab.run("pkcs11-tool", "--module", module, *words, env=memory.environment(module))

    assert walk(memory, program("--list-objects"), same=False)  # which leaves out what C_GetAttributeValue() refuses
    signs = program("--sign", "--mechanism", "SHA256-RSA-PKCS", "--label", "one", "--input-file", lab.root, "--output-file",
                    os.devnull)
    assert walk(memory, signs)
    seeded(memory, signs)
