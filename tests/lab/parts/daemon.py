"""scepterd: its configuration, host key and start."""
import os
import pwd
import secrets
import shutil
import subprocess

from . import process
from .layout import DAEMON_UID, LabError, folder, write
from .services import with_accounts


def _reachable(path, uid):
    """Whether @uid, a stranger, gets to @path and may execute it."""
    while True:
        info = os.stat(path)
        if not (info.st_mode & 0o001 or (info.st_uid == uid and info.st_mode & 0o100)):
            return False
        if path == "/":
            return True
        path = os.path.dirname(path)


def configure(layout, settings):
    """scepter.conf, the host key and the daemon's folders."""
    uid = settings["uid"] if settings["root"] else -1
    if settings["root"] and not _reachable(layout.dir, uid):
        raise LabError(f"uid {uid}, which the daemon runs as, cannot get to {layout.dir}: "
                       "a folder above it is closed to others")
    tcti = f"swtpm:path={layout.tpm_socket}" if settings["tpm"] else "none"
    write(os.path.join(layout.etc, "scepter.conf"),
          f"[Service]\nStateDirectory={layout.state}\nRuntimeDirectory={layout.run}\n"
          f"HostKey={layout.etc}/host.key\nFacts={layout.etc}/facts\n"
          f"ProfilesDirectory={layout.profiles}\n"
          f"ConsumersDirectory={layout.consumers}\nAppliedDirectory={layout.applied}\n"
          f"Tcti={tcti}\nDefaultKeyProtection=tpm-preferred\n"
          f"Polkit={'yes' if settings['polkit'] else 'no'}\n", 0o644)
    key = os.path.join(layout.etc, "host.key")
    if not os.path.exists(key):
        write(key, secrets.token_hex(32) + "\n", 0o640)
    os.chown(key, 0 if settings["root"] else -1, uid)
    folder(layout.state, 0o711, uid)
    folder(layout.run, 0o711, uid)
    folder(layout.consumers, 0o755)
    folder(layout.profiles, 0o755)
    folder(layout.applied, 0o755, uid)


def program(layout, settings):
    """The scepterd to start: the build's own, or a copy where the daemon's uid cannot get there."""
    built = os.path.join(settings["build"], "bin", "scepterd")
    if not os.access(built, os.X_OK):
        raise LabError(f"{built} is missing; build it first, or name a build directory with --build")
    if not settings["root"] or _reachable(os.path.realpath(built), settings["uid"]):
        return built
    copies = os.path.join(layout.dir, "libexec")
    folder(copies, 0o755)
    for name in ("scepterd", "scepter-worker", "scepter-parse", "scepter-apply"):
        shutil.copy(os.path.join(settings["build"], "bin", name), os.path.join(copies, name + ".new"))
        os.rename(os.path.join(copies, name + ".new"), os.path.join(copies, name))
    return os.path.join(copies, "scepterd")


def flush_tpm(layout):
    """What the kernel's resource manager does behind /dev/tpmrm0 when a process ends, and swtpm does not: give the object
    slots of a killed daemon back."""
    if shutil.which("tpm2_flushcontext") is None:
        return
    for kind in ("-t", "-s"):
        subprocess.run(["tpm2_flushcontext", kind, "-T", f"swtpm:path={layout.tpm_socket}"], check=False, timeout=30,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "TSS2_LOG": "all+NONE"})


def start(layout, records, settings):
    if settings["tpm"]:
        flush_tpm(layout)
    command = [program(layout, settings), "--config", os.path.join(layout.etc, "scepter.conf"), "--exec-workers",
               *([] if settings.get("systemd") else ["--exec-apply"]),
               "--clock-file", layout.clock, *settings["arguments"]]
    if settings["root"]:
        uid = str(settings["uid"])
        command = ["/usr/bin/setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", *command]
        if settings["own_accounts"]:
            command = with_accounts(layout, command, settings.get("own_sys", False))
    env = {"DBUS_SYSTEM_BUS_ADDRESS": layout.address(), "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")}
    credentials = os.path.join(layout.etc, "credentials")
    if os.path.isdir(credentials):  # as systemd does where a unit has LoadCredential=
        env["CREDENTIALS_DIRECTORY"] = credentials
    libraries = os.environ.get("LAB_PRELOAD", "").split(":")
    if os.path.exists(keys := os.path.join(layout.dir, "prepared-keys")):  # a test's
        libraries.append(os.path.join(settings["build"], "lib/prepared-keys.so"))
        env["PREPARED_KEYS"] = keys
        if "LAB_PREPARED_KEYS_AGAIN" in os.environ:
            env["PREPARED_KEYS_AGAIN"] = "yes"
    if any(libraries):  # and the files that they read
        env |= {"LD_PRELOAD": ":".join(filter(None, libraries)), "CRASH_POINT": os.environ.get("LAB_CRASH_POINT", ""),
                "NAME_SERVICE": os.environ.get("LAB_NAME_SERVICE", ""),
                "ALLOC_POINT": os.environ.get("LAB_ALLOC_POINT", "")}
    process.start_and_wait(layout, records, "scepterd", command, env)


def account(root, uid):
    """The name for the bus policy, and whether it is an account of the lab alone."""
    if not root:
        return pwd.getpwuid(os.getuid()).pw_name, False
    if uid == DAEMON_UID:
        return "scepter-lab", True
    try:
        return pwd.getpwuid(uid).pw_name, True
    except KeyError:
        raise LabError(f"uid {uid} has no account; leave --daemon-uid out or name one that has") from None


