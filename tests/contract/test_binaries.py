"""What the built programs link, export and are hardened with: it shows whether the walls stand."""
import os
import re
import subprocess

import pytest

import house

# Every library a binary may name itself; SYSTEM_LIBRARIES come with the compiler.
SYSTEM_LIBRARIES = {"libc", "libm", "libasan", "libubsan", "libgcc_s", "ld-linux-x86-64", "ld-linux-aarch64"}
SANITIZERS = ("__asan_", "__lsan_", "__ubsan_")
MAY_LINK = {
    "bin/scepterd": {"libtss2-esys", "libtss2-mu", "libtss2-rc", "libtss2-tctildr", "libcrypto", "libdbus-1", "libsystemd",
                     "libjansson", "libinih"},
    "bin/scepter-worker": {"libcrypto", "libssl", "libcurl", "libseccomp"},
    "bin/scepter-parse": {"libcrypto", "libxml2", "libinih", "libseccomp"},
    "bin/scepter": {"libdbus-1", "libjansson"},
    "bin/scepter-apply": {"libcrypto", "libdbus-1", "libjansson", "libinih"},
    "bin/scepter-verify": {"libtss2-mu", "libcrypto", "libjansson"},
    "modules/ksp.so": {"libcrypto"},
    "modules/scepter-pkcs11.so": {"libcrypto"},
}
MUST_LINK = {
    "bin/scepterd": {"libtss2-esys", "libdbus-1"},
    "bin/scepter-worker": {"libcurl", "libseccomp"},
    "bin/scepter-parse": {"libxml2", "libseccomp"},
    "bin/scepter": {"libdbus-1"},
    "bin/scepter-apply": {"libcrypto", "libdbus-1"},
    "bin/scepter-verify": {"libtss2-mu", "libcrypto"},
    "modules/ksp.so": {"libcrypto"},
    "modules/scepter-pkcs11.so": {"libcrypto"},
}
# Not even through another library.
NEVER_LOADED = {
    "bin/scepterd": ("libcurl", "libxml2"),
    "bin/scepter-worker": ("libtss2", "libdbus", "libxml2", "libinih"),
    "bin/scepter-parse": ("libtss2", "libdbus", "libcurl", "libssl"),
    "bin/scepter": ("libtss2", "libcurl", "libxml2"),
    "bin/scepter-apply": ("libtss2", "libcurl", "libxml2"),
    "bin/scepter-verify": ("libtss2-esys", "libtss2-tcti", "libdbus", "libcurl", "libxml2", "libssl"),
    "modules/ksp.so": ("libtss2", "libdbus", "libcurl", "libxml2", "libssl"),
    "modules/scepter-pkcs11.so": ("libtss2", "libdbus", "libcurl", "libxml2", "libssl"),
}


def _path(binary):
    path = os.path.join(house.BUILD, binary)
    assert os.path.exists(path), f"{path} is not built"
    return path


def _run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout


def _needed(binary):
    names = re.findall(r"\(NEEDED\).*\[([^]]+)\]", _run("readelf", "-dW", _path(binary)))
    return {re.sub(r"\.so.*", "", name) for name in names}


@pytest.mark.parametrize("binary", sorted(MAY_LINK))
def test_links_only_what_it_may(binary):
    extra = _needed(binary) - MAY_LINK[binary] - SYSTEM_LIBRARIES
    assert not extra, f"{binary} links {', '.join(sorted(extra))}"
    missing = MUST_LINK[binary] - _needed(binary)
    assert not missing, f"{binary} does not link {', '.join(sorted(missing))}"


@pytest.mark.parametrize("binary", sorted(NEVER_LOADED))
def test_loads_nothing_it_must_not(binary):
    loaded = re.findall(r"^\s*(\S+) =>", _run("ldd", _path(binary)), flags=re.M)
    assert loaded
    breaches = [name for name in loaded if name.startswith(NEVER_LOADED[binary])]
    assert not breaches, f"{binary} loads {', '.join(breaches)}"


@pytest.mark.parametrize("module,entry", [("ksp.so", "OSSL_provider_init"), ("scepter-pkcs11.so", "C_GetFunctionList")])
def test_modules_export_their_entry_point_alone(module, entry):
    lines = _run("nm", "-D", "--defined-only", _path(f"modules/{module}")).split("\n")
    assert [line.split()[-1] for line in lines if line] == [entry]


@pytest.mark.parametrize("binary", sorted(binary for binary in MAY_LINK if binary.startswith("bin/")))
def test_programs_export_no_function(binary):
    """Data may: the linker copies what a program uses of a library's."""
    rows = [line.split() for line in _run("nm", "-D", "--defined-only", _path(binary)).split("\n") if line]
    assert not [row[-1] for row in rows if row[-2] in "TtWiu" and not row[-1].startswith(SANITIZERS)]


@pytest.mark.parametrize("binary", sorted(MAY_LINK))
def test_hardening(binary):
    dynamic, segments = _run("readelf", "-dW", _path(binary)), _run("readelf", "-lW", _path(binary))
    assert "BIND_NOW" in dynamic, "relocations are not resolved at start"
    assert "GNU_RELRO" in segments
    assert re.search(r"GNU_STACK\s+\S+\s+\S+\s+\S+\s+\S+\s+\S+\s+RW\s", segments), "the stack is executable"
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic
    if binary.startswith("bin/"):
        assert re.search(r"Flags:.*\bPIE\b", dynamic)


def test_each_call_of_the_store_to_the_disk_is_failed():
    """By test-store-faults.c, which fails what its linker wraps."""
    calls = re.compile(r"(?:__)?(?:open(?:at)?|creat|mk(?:dir|nod|fifo)(?:at)?|f?chmod(?:at)?|f(?:data)?sync|[fl]?stat(?:at|x)?|"
                       r"f?truncate|rename(?:at2?)?|(?:un|sym)?link(?:at)?|rmdir|f?access(?:at)?|readlink(?:at)?|"
                       r"p?(?:read|write)v?|opendir|fdopendir|readdir|scandir(?:at)?)(?:64)?(?:_2|_chk)?")
    used = set()
    for library in ("service/libscepter-store.a", "ksp/libscepter-base.a"):
        used |= {name for name in re.findall(r"^\s+U (\S+)$", _run("nm", "-u", _path(library)), flags=re.M) if calls.fullmatch(name)}
    wrapped = re.search(r"^set\(wrapped ([^)]*)\)", house.read("tests/unit/service/CMakeLists.txt"), flags=re.M)[1].split()
    assert {"openat", "renameat", "write"} <= used
    assert not used - set(wrapped)
