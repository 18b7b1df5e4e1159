"""Signatures per second on one swtpm: raw ESYS, ksp.h, ksp.so and scepter-pkcs11.so over the key socket, two peers.

swtpm holds three objects, so nobody but the daemon keeps a key loaded between its turns (the daemon one, which it
leaves to itself), and the daemon is started anew between RSA and EC, which flushes the other key. Each turn of a
path stands between two turns of raw ESYS and is compared with their mean; turns are short, since what a machine's
neighbours take changes by a tenth within a second.
"""
import glob
import os
import select
import subprocess

from .room import BenchError
from .table import row

PATIENCE_SECONDS = 120
KINDS = (("rsa", "RSA-2048", "rsa-2048", ("-algorithm", "RSA", "-pkeyopt", "bits:2048"), 0.98, 0.95),
         ("ec", "P-256", "ec-p256", ("-algorithm", "EC", "-pkeyopt", "group:P-256"), 0.96, 0.85))


class Signer:
    """One of the bench-sign programs."""

    def __init__(self, room, name, *arguments):
        self._name = name
        with open(room.log, "ab") as log:
            self._process = subprocess.Popen([room.find("bench-sign-" + name), *arguments], env=room.env, stderr=log,
                                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._line(room)
        self._room = room

    def _line(self, room):
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE_SECONDS)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            raise BenchError(f"bench-sign-{self._name} gave no answer; the end of its log:\n{room.end_of_log()}")
        return line

    def turn(self, milliseconds):
        """Signatures per second."""
        self._process.stdin.write(f"{milliseconds}\n")
        self._process.stdin.flush()
        count, nanoseconds = self._line(self._room).split()
        return int(count) * 1e9 / int(nanoseconds)

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


IN_TURN = 8  # keys: more than swtpm has room for
SHARES = 4  # of a round: so many more, and shorter ones
PEERS_MODULE, PEERS_PIN = "/usr/lib/*/pkcs11/libtpm2_pkcs11.so", "1234"


def _peers_module(room):
    """That of tpm2-pkcs11, with a token that has a key of each kind, and notes: why there is none. The module makes them
    itself, since tpm2_ptool wants a resource manager; what it leaves loaded goes when the daemon is started anew."""
    found = glob.glob(PEERS_MODULE)
    if not found:
        return None, ["tpm2-pkcs11: libtpm2-pkcs11-1 is missing (tests/setup --bench)"]
    tool = ("pkcs11-tool", "--module", found[0])
    as_user = ("--token-label", "bench", "--login", "--pin", PEERS_PIN)
    try:
        room.find("pkcs11-tool")
    except BenchError as error:
        return None, [f"tpm2-pkcs11: {error}"]
    os.mkdir(room.env["TPM2_PKCS11_STORE"], 0o700)
    room.restart_daemon()
    room.timed(*tool, "--init-token", "--slot-index", "0", "--label", "bench", "--so-pin", PEERS_PIN)
    room.timed(*tool, "--init-pin", "--token-label", "bench", "--so-pin", PEERS_PIN, "--pin", PEERS_PIN)
    for kind, what in (("rsa", "rsa:2048"), ("ec", "EC:prime256v1")):
        room.timed(*tool, *as_user, "--keypairgen", "--key-type", what, "--label", "bench-" + kind)
    return found[0], []


def _start(room, kind, genpkey, peers_module, signers):
    """Each makes its key; nothing stays loaded."""
    folder, many = os.path.join(room.dir, "ksp-" + kind), os.path.join(room.dir, "many-" + kind)
    pem = os.path.join(room.dir, f"tpm2-{kind}.pem")
    tcti = room.env["LAB_TCTI"]
    os.mkdir(folder, 0o700)
    os.mkdir(many, 0o700)
    signers["raw"] = Signer(room, "raw", tcti, kind)
    signers["ksp.h"] = Signer(room, "ksp", tcti, kind, folder, "1")
    signers["in turn"] = Signer(room, "ksp", tcti, kind, many, str(IN_TURN))
    signers["ksp.so"] = Signer(room, "evp", "ksp", "ksp:bench-" + kind)
    signers["pkcs11"] = Signer(room, "p11", room.env["SCEPTER_PKCS11"], "bench-" + kind)
    if peers_module:
        signers["tpm2-pkcs11"] = Signer(room, "p11", peers_module, "bench-" + kind, PEERS_PIN)
    try:
        room.find("openssl")
        room.timed("openssl", "genpkey", "-provider", "tpm2", "-provider", "default", *genpkey, "-out", pem)
    except BenchError:
        return  # tpm2-openssl is not here; its row stays empty
    # Without this query it would leave the signing to the default provider, which has no key.
    signers["tpm2"] = Signer(room, "evp", "tpm2", pem, "?provider=tpm2")


def _rounds(signers, given):
    paths = [name for name in signers if name != "raw"]
    rates, ratios = {name: [] for name in signers}, {name: [] for name in paths}
    length = given.turn_ms // SHARES
    before = signers["raw"].turn(length)
    for _ in range(given.rounds * SHARES):
        for name in paths:
            rate = signers[name].turn(length)
            after = signers["raw"].turn(length)
            rates[name].append(rate)
            rates["raw"].append(after)
            ratios[name].append(rate / ((before + after) / 2))
            before = after
    return rates, ratios


def _one(room, given, kind, title, genpkey, peer, least_ksp, least_so):
    signers = {}
    room.restart_daemon()
    try:
        _start(room, kind, genpkey, peer[0], signers)
        rates, ratios = _rounds(signers, given)
    finally:
        for signer in signers.values():
            signer.close()

    rate, ratio = rates.get, ratios.get
    return {"title": title + " signatures", "unit": "per second", "ratio": "/ raw ESYS",
            "rows": [row("raw ESYS, loaded key, password session", rate("raw")),
                     row("ksp.h in process", rate("ksp.h"), ratio("ksp.h"), ("at least", least_ksp), "ratio"),
                     row(f"the same, {IN_TURN} keys in turn", rate("in turn"), ratio("in turn")),
                     row("ksp.so over the key socket", rate("ksp.so"), ratio("ksp.so"), ("at least", least_so),
                         "ratio"),
                     row("scepter-pkcs11.so over the key socket", rate("pkcs11"), ratio("pkcs11"), ("at least", least_so),
                         "ratio"),
                     row("tpm2-openssl in process", rate("tpm2"), ratio("tpm2")),
                     row("tpm2-pkcs11 in process", rate("tpm2-pkcs11"), ratio("tpm2-pkcs11"))],
            "notes": [f"{given.rounds * SHARES} rounds, {given.turn_ms // SHARES} ms a turn, raw ESYS before and after each; "
                      "one swtpm, keys loaded for their turn, the daemon's stays", *peer[1]],
            "samples": {"rates": rates, "ratios": ratios}}


def measure(room, given):
    for kind, _, algorithm, _, _, _ in KINDS:
        room.ensure_profile("bench-" + kind, "tpm", algorithm)
        room.enroll("bench-" + kind)
    peer = _peers_module(room)
    return [_one(room, given, kind, title, genpkey, peer, least_ksp, least_so)
            for kind, title, _, genpkey, least_ksp, least_so in KINDS]
