"""The table of errors: every one has a name, an exit status that fits, and a remedy for people."""
import re

import house

# design: 1 failed, 2 usage, 3 not found, 4 not authorised, 5 TPM, 6 server refused, 7 network, 8 pending
EXIT = {
    2: {"InvalidArgument", "TooLarge", "UnknownOption", "InvalidProfile", "InvalidDocument", "NotAMemfd", "FileRefused",
        "FileNeeded"},
    3: {"NotFound"},
    4: {"NotAuthorized", "KeyDenied"},
    5: {"PinNeeded", "PinLocked", "KeyNotSupported", "KeyForeign", "KeyDamaged"},
    6: {"HttpError", "InvalidReply", "ServerRefused", "ServerAlgorithm", "CaMismatch", "CaExpired", "CertificateRefused",
        "ChallengeNeeded"},
    7: {"NetworkError", "Timeout", "TlsError"},
    8: {"Pending"},
}


def _rows():
    text = re.search(r"#define ERR_TABLE\(X\)(.*?)\n\nenum err", house.read("ksp/base/error.h"), flags=re.S)[1]
    text = re.sub(r"\\\n", "\n", text)
    rows = [(code, name, int(status), "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', remedy))) for code, name, status, remedy
            in re.findall(r'X\((\w+),\s*"(\w+)",\s*(\d+),\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\)', text)]
    assert len(rows) == text.count("X(")
    return rows


def test_names_are_unique():
    rows = _rows()
    for column in (0, 1):
        values = [row[column] for row in rows]
        assert len(set(values)) == len(values)
    for code, name, _, _ in rows:
        assert re.fullmatch(r"ERR_[A-Z0-9_]+", code) and re.fullmatch(r"([A-Z][a-z]*)+", name), (code, name)


def test_every_remedy_tells_what_to_do():
    longest = int(re.search(r"ERROR_REMEDY_MAX = (\d+)", house.read("ksp/base/error.h"))[1])
    for _, name, _, remedy in _rows():
        assert len(remedy) >= 20 and remedy[0].isupper() and remedy.endswith("."), f"{name}: '{remedy}'"
        assert len(remedy.encode()) < longest, f"{name}: the remedy is longer than struct error holds"


def test_remedies_of_the_spot():
    """What error_remedy() is given where a sentence stands beside it."""
    found = [(path, "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', given))) for path in house.sources()
             for given in re.findall(r'\berror_remedy\(\w+,\s*\w+,\s*((?:"(?:[^"\\]|\\.)*"\s*)+)[,)]', house.without_comments(house.read(path)))
             if not given.startswith('"%s"')]
    assert len(found) > 30
    for path, remedy in found:
        assert len(remedy) >= 15 and remedy[0].isupper() and re.search(r"([.?…]|%s)$", remedy), f"{path}: '{remedy}'"


def test_exit_statuses_fit():
    for _, name, status, _ in _rows():
        wanted = next((number for number, names in EXIT.items() if name in names), 5 if name.startswith("Tpm") else 1)
        assert status == wanted, f"{name} exits with {status}, not {wanted}"


def test_every_error_is_raised_or_told():
    """A code nobody uses is a promise nobody keeps."""
    text = "".join(house.without_comments(house.read(path)) for path in house.sources() if path != "ksp/base/error.h")
    for code, _, _, _ in _rows():
        assert re.search(rf"\b{code}\b", text), f"nothing uses {code}"


def test_the_help_and_the_page_list_the_statuses():
    page = house.read("packaging/man/scepter.1")
    words = ("done", "failed", "usage", "not found", "not authorised", "TPM", "server refused", "network", "pending")
    help_text = re.sub(r'"\s*"', "", house.read("cli/verbs.c"))
    for number, word in enumerate(words):
        assert f"{number} {word}" in help_text.replace("\\n", " "), word
        assert re.search(rf"\.TP\n\.B {number}\n", page), f"scepter(1) does not explain exit status {number}"
