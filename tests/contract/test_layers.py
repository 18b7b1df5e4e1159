"""The walls between the layers: who includes what, and that a breach does not compile."""
import re
import subprocess

import pytest

import house

# Foreign headers: where they may be included. The libraries behind them parse what strangers send, or hold keys.
FOREIGN = {
    "dbus/": ("dbus/",),
    "tss2/": ("ksp/tpm/",),
    "curl/": ("service/scep/http/",),
    # The worker starts libxml2 before it closes its sandbox; what it parses lies in documents.
    "libxml/": ("policy/documents/", "service/worker/parse-main.c"),
    "ini.h": ("policy/documents/", "service/daemon/ini.c"),
    "seccomp.h": ("service/worker/sandbox/",),
    "jansson.h": ("service/", "cli/"),
    "systemd/": ("service/", "dbus/server/"),
    "openssl/": ("ksp/", "policy/", "service/"),
    "openssl/ssl.h": ("service/scep/http/",),
}

# What each folder may include of the others, by the name under which a target is exposed.
OWN = {
    "ksp/": {"base", "key", "channel", "provider", "ksp.h", "evidence.h"},
    "policy/": {"base", "policy", "documents"},
    "dbus/": {"base", "bus", "bus-client", "bus-server"},
    "cli/": {"base", "bus", "bus-client", "cli"},
}

# A source, and a header its target must not see.
BREACHES = [
    ("ksp/base/bytes.c", "key/key.h"),
    ("ksp/ksp.c", "bus/names.h"),
    ("ksp/ksp.c", "policy/profile.h"),
    ("ksp/provider/provider.c", "ksp.h"),
    ("policy/profile.c", "ksp.h"),
    ("policy/profile.c", "documents/document.h"),
    ("policy/documents/xml.c", "bus/read.h"),
    ("dbus/bus/read.c", "policy/profile.h"),
    ("cli/verbs.c", "ksp.h"),
    ("cli/verbs.c", "evidence.h"),
    ("cli/verbs.c", "channel/client.h"),
    ("cli/verbs.c", "policy/profile.h"),
    ("cli/verbs.c", "bus-server/server.h"),
    ("service/scep/wire/caps.c", "scep-build/message.h"),
    ("service/scep/build/message.c", "scep-http/http.h"),
    ("service/scep/open/reply.c", "scep-build/message.h"),
    ("service/scep/http/http.c", "policy/profile.h"),
    ("service/store/store.c", "bus/read.h"),
    ("service/daemon/main.c", "scep-http/http.h"),
    ("service/daemon/main.c", "scep-open/reply.h"),
    ("service/daemon/main.c", "documents/document.h"),
    ("service/apply/main.c", "ksp.h"),
    ("service/apply/main.c", "channel/client.h"),
    ("service/apply/main.c", "scep-wire/caps.h"),
    ("service/apply/main.c", "documents/document.h"),
    ("service/verify/main.c", "ksp.h"),
    ("service/verify/main.c", "bus/read.h"),
    ("service/verify/main.c", "store/store.h"),
    ("service/worker/network-main.c", "ksp.h"),
    ("service/worker/network-main.c", "bus/read.h"),
    ("service/worker/network-main.c", "store/store.h"),
    ("service/worker/network-main.c", "documents/document.h"),
    ("service/worker/parse-main.c", "scep-http/http.h"),
    ("service/worker/network/exchange.c", "scep-build/message.h"),
]


def _includes(path, marks):
    return re.findall(r"^\s*#\s*include\s+" + marks[0] + r"([^\">]+)" + marks[1],
                      house.without_comments(house.read(path)), flags=re.M)


@pytest.mark.parametrize("library", sorted(FOREIGN))
def test_foreign_headers(library):
    breaches = [f"{path} includes <{name}>" for path in house.sources() for name in _includes(path, "<>")
                if name.startswith(library) and not path.startswith(FOREIGN[library])]
    assert not breaches, "\n".join(breaches)


@pytest.mark.parametrize("folder", sorted(OWN))
def test_own_headers(folder):
    exposed = set().union(*OWN.values()) | {"store", "worker", "sandbox", "network", "scep-wire", "scep-build",
                                             "scep-open", "scep-http"}
    breaches = []
    for path in house.sources():
        for name in _includes(path, '""') if path.startswith(folder) else ():
            first = name.split("/")[0]
            if first in exposed and first not in OWN[folder]:
                breaches.append(f'{path} includes "{name}"')
            if ".." in name.split("/"):
                breaches.append(f'{path} includes "{name}", which goes round the include paths')
    assert not breaches, "\n".join(breaches)


def _compiles(source, header):
    """Whether any target that compiles @source sees @header."""
    return any(subprocess.run([house.COMPILER, *flags, "-fsyntax-only", "-x", "c", "-"], text=True,
                              input=f'#include "{header}"\n', stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False).returncode == 0 for flags in house.commands()[source])


@pytest.mark.parametrize("source,header", BREACHES)
def test_a_breach_does_not_compile(source, header):
    assert not _compiles(source, header), f"{source} can see {header}"


def test_what_is_no_breach_compiles():
    """Else the test above would prove nothing."""
    for source, header in (("cli/verbs.c", "bus/names.h"), ("service/daemon/main.c", "ksp.h"),
                           ("service/worker/network-main.c", "scep-http/http.h"), ("policy/documents/xml.c", "policy/profile.h")):
        assert _compiles(source, header), f"{source} cannot see {header}"
