"""The parts beside the daemon: swtpm, the bus with the lab's accounts, and the responder."""
import os
import re
import subprocess

from . import process
from .layout import ACCOUNTS, LabError, folder, write, write_clock

SYSTEM_CONF = "/usr/share/dbus-1/system.conf"
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def need(program, package):
    for place in ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin"):
        if os.access(os.path.join(place, program), os.X_OK):
            return os.path.join(place, program)
    raise LabError(f"{program} is missing; on Debian it is in the package {package}")


def start_tpm(layout, records):
    """The state is kept: the same TPM comes back at the next 'up'."""
    folder(layout.tpm, 0o711)
    state, pid_file = os.path.join(layout.tpm, "state"), os.path.join(layout.tpm, "pid")
    folder(state, 0o700)
    log = layout.log_of("swtpm")
    if os.path.exists(pid_file):
        os.unlink(pid_file)
    command = [need("swtpm", "swtpm"), "socket", "--tpm2", "--tpmstate", f"dir={state}",
               "--server", f"type=unixio,path={layout.tpm_socket},mode=0666",
               "--ctrl", f"type=unixio,path={layout.tpm_socket}.ctrl,mode=0666",
               "--flags", "startup-clear", "--pid", f"file={pid_file}", "--log", f"file={log},level=1", "--daemon"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            text=True, check=False)
    if result.returncode:
        raise LabError(f"swtpm does not start: {result.stderr.strip()}", log)
    with open(pid_file, encoding="ascii") as file:
        records.add("swtpm", int(file.read()))


# accounts

def write_accounts(layout):
    """The machine's accounts and the lab's; only needed, and only possible, for root."""
    for name, line in (("passwd", "{0}:x:{1}:{1}:{0}:/nonexistent:/usr/sbin/nologin\n"), ("group", "{0}:x:{1}:\n")):
        with open("/etc/" + name, encoding="utf-8") as file:
            text = file.read()
        if text and not text.endswith("\n"):
            text += "\n"
        present = {one.split(":")[0] for one in text.splitlines()}
        text += "".join(line.format(account, uid) for account, uid in ACCOUNTS.items() if account not in present)
        write(os.path.join(layout.etc, name), text, 0o644)


def with_accounts(layout, command, own_sys=False):
    """@command with the lab's accounts, its nsswitch.conf where a test has placed one, and its /sys, in its own mount
    namespace, under the same pid."""
    script = ('mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group && '
              '{ [ ! -e "$1/nsswitch.conf" ] || mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf; } && '
              '{ [ -z "$2" ] || mount --bind "$2" /sys; } && shift 2 && exec "$@"')
    return [need("unshare", "util-linux"), "--mount", "--propagation", "private", "/bin/sh", "-c", script, "sh",
            layout.etc, layout.sys if own_sys else "", *command]


# the bus

def _bus_config(layout):
    """Debian's system.conf, with our socket, our policy and nothing else of this machine."""
    try:
        with open(SYSTEM_CONF, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        raise LabError(f"{SYSTEM_CONF} is missing; on Debian it is in the package dbus-system-bus-common") from None
    for element in ("user", "pidfile", "servicehelper", "include"):
        text = re.sub(rf"<{element}\b[^>]*>[^<]*</{element}>", "", text)
    text = re.sub(r"<(fork|syslog|standard_system_servicedirs)\s*/>", "", text)
    text = re.sub(r"<includedir>/[^<]*</includedir>", "", text)
    text = re.sub(r"<listen>[^<]*</listen>", f"<listen>unix:path={layout.bus_socket}</listen>", text)
    return re.sub(r"<includedir>system\.d</includedir>", f"<includedir>{layout.bus}/system.d</includedir>", text)


def _policy(build, user):
    path = os.path.join(build, "dbus", "org.scepter1.conf")
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        raise LabError(f"{path} is missing: {build} is no build directory") from None
    text, count = re.subn(r'<policy user="[^"]*">', f'<policy user="{user}">', text)
    if count != 1:
        raise LabError(f"{path} does not name its user once")
    return text


# Services of a machine that facts come from; tests stand in for them.
NEIGHBOURS = ("org.freedesktop.hostname1", "org.freedesktop.NetworkManager", "org.freedesktop.ModemManager1",
              "org.freedesktop.sssd.infopipe", "org.freedesktop.systemd1")


def _neighbours_policy():
    """Who runs the lab may be those services, and everybody may call them, as their own policies say."""
    own = "".join(f'<allow own="{name}"/>' for name in NEIGHBOURS)
    send = "".join(f'<allow send_destination="{name}"/>' for name in NEIGHBOURS)
    return ('<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN" '
            '"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">\n'
            f'<busconfig><policy user="{os.getuid()}">{own}</policy>'
            f'<policy context="default">{send}</policy></busconfig>\n')


def start_bus(layout, records, build, user, own_accounts):
    folder(layout.bus, 0o711)
    folder(os.path.join(layout.bus, "system.d"), 0o755)
    config = os.path.join(layout.bus, "system.conf")
    write(config, _bus_config(layout), 0o644)
    write(os.path.join(layout.bus, "system.d", "org.scepter1.conf"), _policy(build, user), 0o644)
    write(os.path.join(layout.bus, "system.d", "neighbours.conf"), _neighbours_policy(), 0o644)
    if os.path.lexists(layout.bus_socket):
        os.unlink(layout.bus_socket)
    read_end, write_end = os.pipe()
    command = [need("dbus-daemon", "dbus-daemon"), f"--config-file={config}", "--nofork", "--nopidfile",
               f"--print-address={write_end}"]
    if own_accounts:
        command = with_accounts(layout, command)
    try:
        process.spawn(layout, records, "dbus-daemon", command, pass_fds=(write_end,))
    finally:
        os.close(write_end)
    with os.fdopen(read_end) as answer:  # ends with the address, or with the process
        if not answer.readline():
            raise LabError("dbus-daemon does not start", layout.log_of("dbus-daemon"))


# the responder

def start_responder(layout, records):
    """Takes the ports of last time if they are free: profiles and certificates name them."""
    folder(layout.ndes, 0o711)
    if not os.path.exists(layout.clock):
        write_clock(layout, 0)
    command = ["/usr/bin/python3", "-B", "-m", "ndes", layout.ndes]
    for name in ("url", "tls-url"):
        try:
            with open(os.path.join(layout.ndes, name), encoding="ascii") as file:
                command.append(re.search(r":([0-9]+)/", file.read())[1])
        except FileNotFoundError:
            break
    process.start_and_wait(layout, records, "ndes", command, {"PYTHONPATH": HERE, "LAB_CLOCK": layout.clock})
