"""A real polkitd on a bus of its own, with the shipped rule alone: run by root in a mount namespace of its own. Reads cases as
JSON, writes what polkit says of each."""
import contextlib
import json
import os
import pathlib
import subprocess
import sys

import dbus

POLKITD = "/usr/lib/polkit-1/polkitd"
USERS = {"scepter": 64831, "another": 64832}
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth><policy context="default">
<allow user="*"/><allow own="*"/><allow send_destination="*"/><allow eavesdrop="false"/></policy></busconfig>
"""
CALLER = """import sys, dbus
bus = dbus.bus.BusConnection(sys.argv[1])
print(bus.get_unique_name(), flush=True)
sys.stdin.read()
"""


def bind(source, target):
    subprocess.run(["mount", "--bind", source, target], check=True)


def room(place, rule):
    """Accounts, rules and nothing else of this machine."""
    for name, line in (("passwd", "{0}:x:{1}:{1}::/nonexistent:/usr/sbin/nologin\n"), ("group", "{0}:x:{1}:\n")):
        text = pathlib.Path("/etc", name).read_text()
        kept = [row for row in text.splitlines(True) if row.split(":")[0] not in USERS]
        path = place / name
        path.write_text("".join(kept) + "".join(line.format(*user) for user in USERS.items()))
        path.chmod(0o644)
        bind(path, f"/etc/{name}")
    for name in ("rules", "none"):
        (place / name).mkdir(mode=0o755)
    (place / "rules/scepter.rules").write_bytes(rule.read_bytes())
    (place / "rules/scepter.rules").chmod(0o644)
    bind(place / "rules", "/usr/share/polkit-1/rules.d")
    bind(place / "none", "/etc/polkit-1/rules.d")


@contextlib.contextmanager
def running(*command, **options):
    process = subprocess.Popen([str(part) for part in command], text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def check(authority, caller, case):
    details = dbus.Dictionary(case["details"], signature="ss")
    subject = ("system-bus-name", dbus.Dictionary({"name": dbus.String(caller, variant_level=1)}, signature="sv"))
    return bool(authority.CheckAuthorization(subject, case["action"], details, dbus.UInt32(0), "")[0])


def main():
    place, rule = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    cases = json.load(sys.stdin)
    room(place, rule)
    address = f"unix:path={place}/bus"
    (place / "bus.conf").write_text(BUS.format(socket=place / "bus"))
    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = address
    with contextlib.ExitStack() as stack:
        bus = stack.enter_context(running("dbus-daemon", f"--config-file={place}/bus.conf", "--nofork", "--nopidfile",
                                          "--print-address=1", stdout=subprocess.PIPE))
        bus.stdout.readline()
        stack.enter_context(running(POLKITD, "--no-debug", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        connection = dbus.bus.BusConnection(address)
        callers = {}
        for user, uid in USERS.items():
            process = stack.enter_context(running("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                                                  "/usr/bin/python3", "-c", CALLER, address, stdin=subprocess.PIPE,
                                                  stdout=subprocess.PIPE))
            callers[user] = process.stdout.readline().strip()
        watch = stack.enter_context(running("dbus-monitor", "--address", address, stdout=subprocess.PIPE))
        while not connection.name_has_owner("org.freedesktop.PolicyKit1"):
            watch.stdout.readline()
        authority = dbus.Interface(connection.get_object("org.freedesktop.PolicyKit1",
                                                         "/org/freedesktop/PolicyKit1/Authority", introspect=False),
                                   "org.freedesktop.PolicyKit1.Authority")
        print(json.dumps([check(authority, callers[case["user"]], case) for case in cases]))


if __name__ == "__main__":
    main()
