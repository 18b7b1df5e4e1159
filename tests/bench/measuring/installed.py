"""Enrollment as it is installed: in a booted machine, each worker a unit of systemd's; beside it the same machine's lab, where
the service starts its workers itself. The difference is what a worker of its own user, namespaces and limits costs.

The rounds are timed inside the machine, so nothing of starting a command there counts.
"""
import os
import shutil
import sys

from . import enrollment
from .table import row

INTEGRATION = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../integration")
# As measuring/enrollment.py: the key is there from an attempt that failed before.
TIMED = """. /srv/l/lab/env; unset DBUS_SYSTEM_BUS_ADDRESS
lab() { verb=$1; shift; /srv/source/tests/lab/lab $verb /srv/l/lab "$@"; }
for i in $(seq %d); do
    lab ndes set fault-on cacert >&2; lab ndes set http-status 500 >&2
    lab challenge > /srv/challenge.timed; scepter enroll timed --wait --challenge-file /srv/challenge.timed >&2 || true
    lab ndes set http-status off >&2
    lab challenge > /srv/challenge.timed
    start=$(date +%%s%%N); scepter enroll timed --wait --challenge-file /srv/challenge.timed >&2; echo $(($(date +%%s%%N) - start))
done"""


def measure(room, given):
    if os.geteuid() != 0 or not shutil.which("systemd-nspawn"):
        print("  no machine is booted: that takes root and systemd-nspawn", file=sys.stderr)
        return []
    os.environ["SCEPTER_BUILD"] = room.build
    sys.path.insert(0, INTEGRATION)
    from installed import Installed  # the tests'
    machine = Installed()
    try:
        machine.enroll("timed")
        units = [int(line) / 1e6 for line in machine.good(TIMED % given.rounds).split()]
    finally:
        machine.close()
    room.switch(caps="ndes", reply_shape="ndes", root_included="off", challenge_encoding="printable")
    room.ensure_profile(enrollment.NAME, "software", "rsa-2048")
    ours, direct = enrollment.Ours(room), []
    for _ in range(given.rounds):
        ours.prepare()
        direct.append(ours.run()[0])
    return [{"title": "Enrollment as installed, existing software RSA-2048 key", "unit": "ms", "ratio": "/ lab", "rows": [
        row("installed: each worker a unit", units, [one / two for one, two in zip(units, direct)]),
        row("in the lab: workers started by the service", direct)],
        "notes": [f"{given.rounds} rounds each, one after the other"], "samples": {"units": units, "direct": direct}}]
