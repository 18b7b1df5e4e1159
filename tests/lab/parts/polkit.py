"""polkit on the lab's bus: the real polkitd, which knows the project's actions and rules and none of this machine's."""
import os
import re
import shutil
import subprocess
import time

from . import process
from .layout import LabError, folder, write
from .services import need, with_accounts

POLKITD = "/usr/lib/polkit-1/polkitd"
OWN_ACTIONS = "/usr/share/polkit-1/actions/org.freedesktop.policykit.policy"
PACKAGING = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))),
                         "packaging", "polkit")
BUS_POLICY = "/usr/share/dbus-1/system.d/org.freedesktop.PolicyKit1.conf"
READY_SECONDS = 30


def configure(layout, user):
    """Actions and rules of the lab; tests put theirs into polkit/rules.d."""
    if os.getuid() != 0:
        raise LabError("only root can give a polkitd other actions than the machine's")
    for path in (POLKITD, OWN_ACTIONS, BUS_POLICY):
        if not os.path.exists(path):
            raise LabError(f"{path} is missing; on Debian it is in the package polkitd")
    for name in ("actions", "rules", "rules.d"):
        folder(os.path.join(layout.polkit, name), 0o755)
    shutil.copy(OWN_ACTIONS, os.path.join(layout.polkit, "actions"))
    for name, place in (("org.scepter1.policy", "actions"), ("scepter.rules", "rules")):
        with open(os.path.join(PACKAGING, name), encoding="utf-8") as file:
            text = re.sub(r"unix-user:scepter\b", f"unix-user:{user}", file.read()).replace('"scepter"', f'"{user}"')
        write(os.path.join(layout.polkit, place, name), text, 0o644)
    folder(layout.bus, 0o711)
    folder(os.path.join(layout.bus, "system.d"), 0o755)
    shutil.copy(BUS_POLICY, os.path.join(layout.bus, "system.d"))


def start(layout, records):
    script = ('mount --bind "$1/actions" /usr/share/polkit-1/actions && mount --bind "$1/rules" /usr/share/polkit-1/rules.d && '
              'mount --bind "$1/rules.d" /etc/polkit-1/rules.d && shift && exec "$@"')
    command = with_accounts(layout, ["/bin/sh", "-c", script, "sh", layout.polkit, POLKITD, "--no-debug"])
    process.spawn(layout, records, "polkitd", command, env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": layout.address()})
    end = time.monotonic() + READY_SECONDS
    ask = [need("dbus-send", "dbus-bin"), f"--bus={layout.address()}", "--print-reply=literal", "--dest=org.freedesktop.DBus",
           "/org/freedesktop/DBus", "org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.PolicyKit1"]
    while "true" not in subprocess.run(ask, capture_output=True, text=True, check=False).stdout:
        if time.monotonic() > end or not records.pid("polkitd"):
            raise LabError("polkitd does not start", layout.log_of("polkitd"))
