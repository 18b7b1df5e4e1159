"""scepter-interop(7): each cell of its table is a test that is there, or a note that gives the reason."""
import re

import house

OPERATIONS = ["GetCACaps", "GetCACert", "PKCSReq", "RenewalReq", "polling", "GetCRL", "GetNextCACert", "EC key", "failure"]
FILES = ("scepserver", "strongswan", "scepclient", "certmonger", "captured", "reply", "authority", "http")


def _page():
    return house.read("packaging/man/scepter-interop.7").replace("\\-", "-")


def _table():
    """{peer: [cell of each operation]}"""
    text = re.search(r'^\.\\" table\n(.*?)^\.\\" end of table', _page(), flags=re.M | re.S)[1]
    rows = {line[:22].strip(): line[22:].split() for line in text.strip().split("\n")}
    assert len(rows) >= 10 and all(len(cells) == len(OPERATIONS) for cells in rows.values()), rows
    return rows


def _sections():
    """{peer: {operation: [tests]}}"""
    found = {}
    for name, text in re.findall(r"^\.SS (.*)\n((?:(?!\.S[SH] ).*\n)*)", _page(), flags=re.M):
        found[name] = {operation: re.findall(r"[\w/:-]+", tests.replace(",", " "))
                       for operation, tests in re.findall(r"^\.TP\n\.B (.*)\n((?:(?!\.).*\n)+)", text, flags=re.M)}
    return found


def _notes():
    return re.findall(r"^\.IP (\d+) 4\n((?:(?!\.IP|\.S).*\n)+)", _page(), flags=re.M)


def _tests():
    """What may stand in a cell."""
    known = {f"test_{file}::{name}" for file in FILES
             for name in re.findall(r"^def (test_\w+)", house.read(f"tests/lab/test_{file}.py"), flags=re.M)}
    units = "".join(house.read(path) for path in house.files("tests/unit", ends=("CMakeLists.txt",)))
    return known | {f"unit/{name}" for name in re.findall(r"scepter_unit\(([\w-]+)", units)}


def test_headings_are_the_operations():
    head = re.search(r"^\.SH TABLE\n\.nf\n(.*?)^\.\\\" table", _page(), flags=re.M | re.S)[1]
    assert [line.lstrip("| ") for line in head.strip("\n").split("\n")] == OPERATIONS
    assert [line.index(name) for line, name in zip(head.split("\n"), OPERATIONS)] == [22 + 3 * i for i in range(len(OPERATIONS))]


def test_every_cell_is_a_test_or_has_a_reason():
    sections, notes = _sections(), [number for number, _ in _notes()]
    assert list(sections) == list(_table())
    for peer, cells in _table().items():
        for operation, cell in zip(OPERATIONS, cells):
            if cell == "t":
                assert sections[peer].get(operation), f"{peer}, {operation}: no test is named"
            else:
                assert cell in notes, f"{peer}, {operation}: there is no note {cell}"
                assert operation not in sections[peer], f"{peer}, {operation}: a test is named, and the table says {cell}"


def test_every_test_is_there():
    known = _tests()
    for peer, cells in _sections().items():
        for operation, names in cells.items():
            assert operation in OPERATIONS, operation
            assert not set(names) - known, f"{peer}, {operation}: {set(names) - known}"
    for name in re.findall(r"test_\w+::test_\w+", _page()):
        assert name in known, name


def test_notes_are_used_and_in_order():
    assert [number for number, _ in _notes()] == [str(i + 1) for i in range(len(_notes()))]
    used = {cell for cells in _table().values() for cell in cells}
    for number, text in _notes():
        assert number in used and len(text) > 20, number


def test_every_test_of_a_foreign_program_is_named():
    """Else the page tells less than was tried."""
    for file in ("scepserver", "scepclient"):
        for name in re.findall(r"^def (test_\w+)", house.read(f"tests/lab/test_{file}.py"), flags=re.M):
            assert f"test_{file}::{name}" in _page(), name


def test_every_captured_peer_has_its_row():
    """tests/data/scep/captured/CLIENT--SERVER."""
    rows = {"certmonger": "certmonger", "jscep": "jscep, client", "micromdm": "micromdm, client", "micromdm-head": "micromdm, client",
            "pyscep": "PyScep", "sscep": "sscep", "strongswan": "strongSwan pki"}
    servers = {"jscep": "jscep, server", "micromdm": "scepserver", "micromdm-head": "micromdm, newest", "scepy": "SCEPy"}
    folders = {path.split("/")[4] for path in house.files("tests/data/scep/captured") if path.count("/") > 4}
    for folder in folders:
        client, server = folder.split("--")
        server = re.sub(r"^jscep-.*", "jscep", server)
        assert rows[client] in _table() and servers[server] in _table(), folder
    assert {folder.split("--")[0] for folder in folders} == set(rows)
