"""lab's verbs: up, down, challenge, ndes, daemon."""
import base64
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time

from . import daemon, layout as lay, polkit, process, services
from .layout import LabError, Layout, UsageError

HERE = services.HERE
sys.path.insert(0, HERE)
ORDER = ("swtpm", "dbus-daemon", "polkitd", "ndes", "scepterd")  # stopped the other way round
TAIL_LINES = 20


@contextlib.contextmanager
def locked(layout):
    """One 'lab' at a time changes what runs in a DIR."""
    descriptor = os.open(layout.dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _tail(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return "".join(f"    {line.rstrip()}\n" for line in file.readlines()[-TAIL_LINES:])
    except FileNotFoundError:
        return ""


def explain(error):
    text = f"lab: {error}"
    tail = _tail(error.log) if error.log else ""
    return text + (f"\n  the end of {error.log}:\n{tail.rstrip()}" if tail else "")


# up and down

def _collect_modules(layout, build):
    """OPENSSL_MODULES stands for the only folder OpenSSL looks into: the system's own modules (legacy, tpm2) have
    to be there too, beside ours."""
    lay.folder(layout.modules, 0o755)
    for place in (_system_modules(), os.path.join(build, "modules")):
        for name in os.listdir(place) if os.path.isdir(place) else ():
            link = os.path.join(layout.modules, name)
            if os.path.lexists(link):
                os.unlink(link)
            os.symlink(os.path.join(place, name), link)


def _system_modules():
    result = subprocess.run([services.need("openssl", "openssl"), "version", "-m"], stdout=subprocess.PIPE, text=True,
                            check=False)
    words = result.stdout.split('"')
    return words[1] if len(words) > 1 else ""


def _environment(layout, settings):
    urls = {}
    for name in ("url", "tls-url"):
        with open(os.path.join(layout.ndes, name), encoding="ascii") as file:
            urls[name] = file.read().strip()
    root = os.path.join(layout.ndes, "root.pem")
    with open(root, encoding="ascii") as file:
        der = base64.b64decode("".join(line for line in file if not line.startswith("-----")))
    build = settings["build"]
    values = {
        "DBUS_SYSTEM_BUS_ADDRESS": layout.address(),
        "SCEPTER_KEYS": layout.keys_socket,
        "LAB_DIR": layout.dir,
        "LAB_URL": urls["url"],
        "LAB_TLS_URL": urls["tls-url"],
        "LAB_TLS_CA": os.path.join(layout.ndes, "tls-ca.pem"),
        "LAB_ROOT": root,
        "LAB_ROOT_SHA1": hashlib.sha1(der).hexdigest(),
        "LAB_TCTI": f"swtpm:path={layout.tpm_socket}" if settings["tpm"] else "none",
        "LAB_STATE": layout.state,
        "OPENSSL_MODULES": layout.modules,
        "SCEPTER_PKCS11": os.path.join(build, "modules", "scepter-pkcs11.so"),
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    lines.append(f'export PATH={shlex.quote(os.path.join(build, "bin"))}:"$PATH"')
    return "\n".join(lines) + "\n"


def _stop_all(layout, records):
    problems = []
    for name in reversed(ORDER):
        try:
            records.stop(name)
        except LabError as error:
            problems.append(str(error))
    for path in (layout.bus_socket, layout.notify_socket, layout.keys_socket):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    if problems:
        raise LabError("; ".join(problems))


def up(options):
    layout = Layout(options.dir)
    layout.check()
    root = os.getuid() == 0
    uid = options.daemon_uid if root else os.getuid()
    user, own_accounts = daemon.account(root, uid)
    settings = {"build": os.path.abspath(options.build), "tpm": not options.no_tpm, "root": root, "uid": uid,
                "own_accounts": own_accounts, "arguments": options.arguments, "daemon": not options.no_daemon,
                "own_sys": options.own_sys and root, "systemd": options.systemd,
                "polkit": options.polkit}
    lay.folder(layout.dir, 0o711)
    with locked(layout):
        records = process.Records(layout)
        running = [name for name in ORDER if records.pid(name)]
        if running:
            raise LabError(f"a lab already runs in {layout.dir} ({', '.join(running)}); "
                           f"'lab down {layout.dir}' ends it")
        for path in (layout.etc, layout.log, layout.pids):
            lay.folder(path, 0o755)
        try:
            _start(layout, records, settings, user)
        except BaseException:
            _stop_all(layout, records)
            raise
    return 0


def _start(layout, records, settings, user):
    lay.save_settings(layout, settings)
    if settings["own_accounts"]:
        services.write_accounts(layout)
    if settings["own_sys"]:
        lay.folder(os.path.join(layout.sys, "class", "net"), 0o755)
    daemon.configure(layout, settings)
    if settings["daemon"]:
        daemon.program(layout, settings)  # before anything runs: the likeliest thing to be missing
    if settings["tpm"]:
        services.start_tpm(layout, records)
    if settings["polkit"]:
        polkit.configure(layout, user)
    services.start_bus(layout, records, settings["build"], user, settings["own_accounts"])
    if settings["polkit"]:
        polkit.start(layout, records)
    services.start_responder(layout, records)
    _collect_modules(layout, settings["build"])
    lay.write(layout.env, _environment(layout, settings), 0o644)
    if settings["daemon"]:
        daemon.start(layout, records, settings)


def clock(options):
    layout = Layout(options.dir)
    try:
        offset = lay.read_clock(layout)
    except FileNotFoundError:
        raise LabError(f"there is no lab in {layout.dir}") from None
    if options.seconds is None:
        print(offset)
        return 0
    if not re.fullmatch("[+@-]?[0-9]{1,12}", options.seconds):
        raise UsageError(f"'{options.seconds}' is no number of seconds")
    if options.seconds[0] == "@":
        lay.write_clock(layout, int(options.seconds[1:]) - int(time.time()))
    else:
        lay.write_clock(layout, int(options.seconds) + (offset if options.seconds[0] in "+-" else 0))
    return 0


def down(options):
    layout = Layout(options.dir)
    if os.path.isdir(layout.dir):
        with locked(layout):
            _stop_all(layout, process.Records(layout))
    return 0


def run_daemon(options):
    layout = Layout(options.dir)
    settings, records = lay.load_settings(layout), process.Records(layout)
    with locked(layout):
        if options.what == "kill":
            if not records.stop("scepterd", first=signal.SIGKILL):
                raise LabError("scepterd does not run", layout.log_of("scepterd"))
            return 0
        if not records.pid("dbus-daemon"):
            raise LabError(f"no lab runs in {layout.dir}; 'lab up {layout.dir}' starts one")
        records.stop("scepterd")
        daemon.start(layout, records, settings)
    return 0


# the responder

def call(layout, **message):
    """One call on the responder's control channel."""
    try:
        folder = os.open(layout.ndes, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        raise LabError(f"there is no lab in {layout.dir}") from None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.connect(f"/proc/self/fd/{folder}/control")
            channel.sendall(json.dumps(message).encode() + b"\n")
            with channel.makefile("rb") as file:
                line = file.readline()
    except (FileNotFoundError, ConnectionError):
        raise LabError("the responder does not run", layout.log_of("ndes")) from None
    finally:
        os.close(folder)
    if not line:
        raise LabError("the responder broke the call off", layout.log_of("ndes"))
    answer = json.loads(line)
    if "error" in answer:
        raise (UsageError if answer.get("usage") else LabError)(answer["error"])
    return answer["ok"]


def challenge(options):
    message = {key: value for key, value in (
        ("lifetime", options.lifetime), ("form", options.form), ("subject", options.subject), ("san", options.san),
        ("eku", options.eku), ("ku", options.ku), ("key_size", options.key_size), ("starts", options.starts)) if value is not None}
    print(call(Layout(options.dir), op="challenge", **message))
    return 0


def _log(layout, wanted):
    """@wanted: event ids or names; empty: all."""
    with open(os.path.join(layout.ndes, "events.jsonl"), encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            if not wanted or str(event["event"]) in wanted or event["name"] in wanted:
                sys.stdout.write(line)


NDES_USAGE = """lab ndes DIR set NAME VALUE…      one switch
lab ndes DIR reset                every switch to its default
lab ndes DIR state                switches that are set, waiting transactions, number of certificates, as JSON
lab ndes DIR log [EVENT…]         the event log; only events with these ids or names
lab ndes DIR issued [TRANSACTION] how many certificates were issued (for one transaction)
lab ndes DIR approve|deny [TRANSACTION]   the waiting requests; prints their number
lab ndes DIR revoke SERIAL        one certificate (serial number in hexadecimal), for the CRL and for renewals

Switches:
"""


def ndes(options):
    layout, what, words = Layout(options.dir), options.what, options.words
    limits = {"help": (0, 0), "set": (2, 99), "reset": (0, 0), "state": (0, 0), "log": (0, 99), "issued": (0, 1),
              "approve": (0, 1), "deny": (0, 1), "revoke": (1, 1)}
    low, high = limits[what]
    if not low <= len(words) <= high:
        raise UsageError(f"'lab ndes DIR {what}' takes other arguments:\n{NDES_USAGE.rstrip()}\n  'help' lists them")
    if what == "help":
        from ndes import switches  # needs no responder
        print(NDES_USAGE + switches.help_text())
    elif what == "set":
        call(layout, op="set", name=words[0], value=" ".join(words[1:]))
    elif what == "reset":
        call(layout, op="reset")
    elif what == "state":
        print(json.dumps(call(layout, op="state")))
    elif what == "log":
        _log(layout, words)
    elif what == "revoke":
        if not call(layout, op="revoke", serial=words[0]):
            print("it was revoked before")
    else:
        print(call(layout, op=what, **({"transaction": words[0]} if words else {})))
    return 0
