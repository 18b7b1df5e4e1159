"""Rules of the code that a reader of text can check: results, inputs, descriptors, globals, and what a layer calls."""
import functools
import os
import re
import subprocess

import pytest

import house

# OpenSSL's macros for ASN.1 want a name of one word: there alone.
TYPEDEFS = r"\b(ASN1_SEQUENCE|ASN1_CHOICE|ASN1_NDEF_SEQUENCE)\("
# The call, and what makes its descriptor end with the next program.
CLOEXEC = {"open": "O_CLOEXEC", "openat": "O_CLOEXEC", "openat2": "O_CLOEXEC", "open_tree": "OPEN_TREE_CLOEXEC", "socket": "SOCK_CLOEXEC",
           "socketpair": "SOCK_CLOEXEC", "accept4": "SOCK_CLOEXEC", "pipe2": "O_CLOEXEC", "dup3": "O_CLOEXEC",
           "memfd_create": "MFD_CLOEXEC", "eventfd": "EFD_CLOEXEC", "epoll_create1": "EPOLL_CLOEXEC", "timerfd_create": "TFD_CLOEXEC",
           "signalfd": "SFD_CLOEXEC", "inotify_init1": "IN_CLOEXEC", "mkostemp": "O_CLOEXEC", "recvmsg": "MSG_CMSG_CLOEXEC",
           "fopen": "e\""}
NEVER = ("accept", "pipe", "dup", "creat", "epoll_create", "inotify_init", "mkstemp", "tmpfile")
RESULT = re.compile(r"\bret(_\w+)?(\[\w*\])?$")
# What fills the object that its other functions have first; and a call whose answers are two.
RESULT_BEFORE = {"bytes_copy", "secret_new", "secret_copy", "consumer_init", "strings_copy", "store_path", "bus_client_call"}
# Inputs that belong together as they are.
WIDE = {"args_parse": "argc with argv, options with their number, and the least and the most that may be left",
        "record_set": "what was given before goes in and out",
        "store_file_write": "which file (three words), its mode, its octets",
        "pin_verify": "the key's file and its guard, as all of pin.h has them",
        "tpm_attest": "the key's file, a folder and a name, and its PIN if there is one"}
# PKCS#11 gives no context, nor does jansson to its allocator.
GLOBALS = {("api.c", "module"), ("api.c", "lock"), ("api.c", "fork_once"), ("api.c", "functions"),
           ("json-text.c", "reading"), ("json-text.c", "once")}
# What reaches beyond the process. The policy is arithmetic over texts: facts come by a table of functions.
OUTSIDE = re.compile(r"\b(f?open(at|dir)?(64)?|creat|socket|connect|bind|stat(x|at)?|l?stat(64)?|access|unlink(at)?|rename(at)?|mkdir"
                     r"|exec\w*|fork|posix_spawn\w*|popen|system|getenv|getpw\w+|gethostby\w+|getaddrinfo|time|clock_gettime)\b")


@functools.lru_cache(maxsize=None)
def code():
    return {path: house.without_comments(house.read(path)) for path in house.sources()}


def calls(text, name):
    """Arguments of each call, up to the parenthesis that closes it."""
    for match in re.finditer(rf"(?<![\w.>])(?:{name})\(", text):
        depth, at = 1, match.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            at += 1
        yield text[match.end():at - 1]


def parts(text):
    """Split at the commas outside parentheses."""
    found, depth = [""], 0
    for char in text:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and not depth:
            found.append("")
        else:
            found[-1] += char
    return [" ".join(part.split()) for part in found]


@functools.lru_cache(maxsize=None)
def prototypes():
    """[(path, whether MUST_CHECK, name, parameters)] of functions in headers that may fail."""
    found = [(path, bool(match[1]), match[2], parts(match[3]))
             for path, text in code().items() if path.endswith(".h")
             for match in re.finditer(r"^(MUST_CHECK )?(?:static inline )?enum err (\w+)\(((?:[^()]|\([^()]*\))*)\)[^;{]*[;{]",
                                      text, flags=re.M)]
    assert len(found) > 300
    return found


def test_structs_have_no_other_name():
    assert not [path for path, text in code().items()
                if re.search(r"^\s*typedef\s+(struct|union)\b", text, flags=re.M) and not re.search(TYPEDEFS, text)]


def test_what_fails_is_checked():
    """But for functions that make an error, whose result is the code they were given, and two whose operation holds it."""
    made = re.compile(r"error|fault|refuse|remedy|_fail$|^err_from_name$|^(ksp|pin)_run$")
    assert not [f"{path}: {name}" for path, checked, name, _ in prototypes() if not checked and not made.search(name)]


def test_results_come_last_but_the_error():
    """Constructors put the object they make first, like every other function of that object."""
    bad = []
    for path, _, name, given in prototypes():
        if given[-1].endswith("struct error *e"):
            given = given[:-1]
        results = [bool(RESULT.search(part)) for part in given]
        if sorted(results) != results and name not in RESULT_BEFORE:
            bad.append(f"{path}: {name}({', '.join(given)})")
    assert not bad, "\n".join(bad)


def test_many_inputs_are_a_struct():
    """More than four, besides the object the function belongs to."""
    wide = {name for _, _, name, given in prototypes()
            if len([part for part in given if not re.search(r"struct error \*e$|\bctx$", part) and not RESULT.search(part)]) > 5}
    assert wide == set(WIDE)


@pytest.mark.parametrize("name", sorted(CLOEXEC))
def test_descriptors_end_with_the_next_program(name):
    bad = [f"{path}: {name}({given})" for path, text in code().items() for given in calls(text, name) if CLOEXEC[name] not in given
           and not re.match(r"\s*(const|struct|int)\b", given)]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("name", NEVER)
def test_calls_that_cannot_say_so(name):
    assert not [path for path, text in code().items() if list(calls(text, name))]


def test_every_descriptor_is_looked_at():
    """Else the tests above prove nothing."""
    text = "int fd = open(path, O_RDONLY); f(openat(at, name(1, 2), O_CLOEXEC)); x->open(a);"
    assert list(calls(text, "open")) == ["path, O_RDONLY"] and list(calls(text, "openat")) == ["at, name(1, 2), O_CLOEXEC"]


def archives():
    """{target: file} of the libraries that are installed programs' parts."""
    found = {}
    for layer in house.LAYERS:
        for folder, _, names in os.walk(os.path.join(house.BUILD, layer)):
            found.update({name[3:-2]: os.path.join(folder, name) for name in names if name.endswith(".a")})
    if not found:
        pytest.skip("nothing is built")
    return found


def read(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout


def test_no_globals():
    """Data that can be written. PKCS#11's list of functions is not const."""
    found, objects = set(), 0
    for layer in house.LAYERS:
        for folder, _, names in os.walk(os.path.join(house.BUILD, layer)):
            for name in (name for name in names if name.endswith(".c.o")):
                path = os.path.join(folder, name)
                text = read("readelf", "-SsW", path)
                if re.search(r"__[at]san_", text):
                    pytest.skip("sanitizers add data of their own")
                sections = dict(re.findall(r"\[ *(\d+)\] (\.(?:data|bss|tdata|tbss)\S*) ", text))
                rows = [line.split() for line in text.split("\n") if re.search(r"\b(OBJECT|TLS)\b", line)]
                objects += 1
                found |= {(name[:-2], row[7].split(".")[0]) for row in rows if row[6] in sections or row[6] == "COM"
                          if not sections.get(row[6], "").startswith(".data.rel.ro")}
    if not objects:
        pytest.skip("nothing is built")
    assert found == GLOBALS


@pytest.mark.parametrize("target", ["scepter-policy", "scepter-documents"])
def test_the_policy_reaches_nothing(target):
    names = {row.split()[0].split("@")[0] for row in read("nm", "-u", "--format=posix", archives()[target]).split("\n") if row.split()}
    assert not sorted(name for name in names if OUTSIDE.fullmatch(name)), target
