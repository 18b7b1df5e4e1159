"""What is installed beside the programs agrees with them: units, sockets, folders, users, polkit's actions and rules."""
import os
import re
import xml.etree.ElementTree as tree

import pytest

import house

UNITS = [os.path.basename(path) for path in house.files("packaging/systemd")]
# The files below packaging/ whose place is not of CMake's.
OTHERWISE = ("packaging/debian/", "packaging/CMakeLists.txt", "packaging/journal/")


def _unit(name):
    return house.read(f"packaging/systemd/{name}")


def _values(text, key):
    return re.findall(rf"^{key}=(.*)$", text, flags=re.M)


def _defaults():
    """{key: compiled default} of scepter.conf."""
    rows = dict(re.findall(r'\{"(\w+)", offsetof\(struct config, \w+\), "([^"]+)"\}', house.read("service/daemon/config.c")))
    assert len(rows) > 5
    return rows


def test_everything_is_installed():
    text = house.read("packaging/CMakeLists.txt")
    for path in house.files("packaging"):
        if path.startswith(OTHERWISE):
            continue
        name = os.path.basename(path)
        assert re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", text) or f"man/*.{name[-1]}" in text.replace("${section}", name[-1]), \
            f"{path} is not installed"


@pytest.mark.parametrize("socket,path", [("scepterd.socket", "keys.sock"), ("scepter-worker.socket", "worker.sock"),
                                         ("scepter-parse.socket", "parse.sock")])
def test_sockets_lie_where_the_service_looks(socket, path):
    runtime = _defaults()["RuntimeDirectory"]
    assert _values(_unit(socket), "ListenStream") == [f"{runtime}/{path}"]
    code = house.read("service/daemon/config.c") + house.read("service/work/process.c")
    name, end = path.split(".")
    assert f'"%s/{path}"' in code or f'"%s/%s.{end}"' in code and f'"{name}"' in code, f"the service does not look for {path}"
    assert f"d {runtime} 0755 root root -" in house.read("packaging/tmpfiles/scepter.conf")


def test_modules_look_where_the_socket_is():
    assert any(f'"{_defaults()["RuntimeDirectory"]}/keys.sock"' in house.read(path) for path in house.files("ksp", ends=(".c", ".h")))


def test_folders_of_the_state():
    defaults = _defaults()
    for unit, key in (("scepterd.service", "StateDirectory"), ("scepter-apply@.service", "AppliedDirectory")):
        assert [f"/var/lib/{name}" for name in _values(_unit(unit), "StateDirectory")] == [defaults[key]]
    assert defaults["StateDirectory"] in _values(_unit("scepter-apply@.service"), "ReadOnlyPaths")[0].split()
    shipped = house.read("packaging/debian/scepter.dirs").split()
    for key in ("ProfilesDirectory", "ConsumersDirectory"):
        assert defaults[key].lstrip("/") in shipped, f"the package does not make {defaults[key]}"


@pytest.mark.parametrize("unit", UNITS)
def test_pages_of_a_unit_exist(unit):
    pages = re.findall(r"man:([\w.-]+)\((\d)\)", "".join(_values(_unit(unit), "Documentation")))
    assert pages
    for name, section in pages:
        assert os.path.exists(os.path.join(house.TOP, f"packaging/man/{name}.{section}")), f"{unit}: {name}({section})"


@pytest.mark.parametrize("unit", UNITS)
def test_users_and_units_of_a_unit_exist(unit):
    text = _unit(unit)
    made = set(re.findall(r"^u ([\w-]+)", house.read("packaging/sysusers/scepter.conf"), flags=re.M))
    groups = set(re.findall(r"^g ([\w-]+)", house.read("packaging/sysusers/scepter.conf"), flags=re.M))
    if "DynamicUser=yes" not in text:
        assert set(_values(text, "(?:Socket)?User")) <= made | {"@SCEPTER_USER@"}
    assert set(_values(text, "SupplementaryGroups")) <= groups
    named = set(re.findall(r"\bscepter[\w-]*@?(?:%i)?\.(?:service|socket|target)\b", text))
    assert {name.replace("%i", "") for name in named} <= set(UNITS)


def test_programs_of_the_units_are_built():
    """@SCEPTER_…@ are places of programs; each has a target of that name."""
    text = house.read("packaging/CMakeLists.txt")
    targets = "".join(house.read(path) for path in house.files(*house.LAYERS, ends=("CMakeLists.txt", ".cmake")))
    for unit in UNITS:
        for word in re.findall(r"@(SCEPTER_\w+)@", "".join(_values(_unit(unit), "ExecStart"))):
            program = re.search(rf"set\({word} \S+/([\w-]+)\)", text)[1]
            assert re.search(rf"(?:scepter_program|add_executable)\({program}[\s)]", targets), f"{unit}: {program}"


def test_the_bus_starts_the_unit():
    text = house.read("dbus/org.scepter1.service.in")
    assert _values(text, "SystemdService") == ["scepterd.service"]
    assert _values(_unit("scepterd.service"), "BusName") == _values(text, "Name") == ["org.scepter1"]


def _actions():
    return dict(re.findall(r'^#define (BUS_ACTION_\w+)\s+"([^"]+)"', house.read("dbus/bus/names.h"), flags=re.M))


def test_actions_of_polkit():
    """The four of the code, each owned by the service's user, explained, and never free for who is not at the machine."""
    found = tree.fromstring(house.read("packaging/polkit/org.scepter1.policy")).findall("action")
    assert sorted(action.get("id") for action in found) == sorted(_actions().values())
    page = house.read("packaging/man/scepter.conf.5").replace("\\-", "-")
    for action in found:
        owner = [one.text for one in action.findall("annotate") if one.get("key") == "org.freedesktop.policykit.owner"]
        assert owner == ["unix-user:scepter"]
        assert action.find("message").text.endswith(".") and action.find("description").text
        assert action.find("defaults/allow_any").text in ("auth_self", "auth_admin", "no")
        assert action.get("id") in page, f"scepter.conf(5) does not explain {action.get('id')}"


def test_the_rule_speaks_of_what_is_there():
    rules = house.read("packaging/polkit/scepter.rules")
    for unit in re.findall(r"scepter-\w+@", rules):
        assert f"{unit}.service" in UNITS
    users = set(re.findall(r'subject\.user == "([\w-]+)"', rules))
    made = set(re.findall(r"^u ([\w-]+)", house.read("packaging/sysusers/scepter.conf"), flags=re.M))
    assert users and users <= made


def test_interfaces_of_the_bus_policy():
    """It names interfaces that have a file; and nobody but the service may own the name or call agents."""
    policy = tree.fromstring(house.read("dbus/org.scepter1.conf.in"))
    interfaces = {os.path.basename(path)[:-4] for path in house.files("dbus", ends=(".xml",))}
    rows = [(part.get("user") or part.get("context"), dict(allow.attrib)) for part in policy for allow in part]
    assert {row["send_interface"] for _, row in rows if "send_interface" in row} <= interfaces
    assert [row for who, row in rows if who == "default"] == [{"send_destination": "org.scepter1"}]
    assert {who for who, _ in rows} == {"default", "@SCEPTER_USER@"}
    assert interfaces == {value for _, value in
                          re.findall(r'^#define (BUS_INTERFACE_\w+)\s+"(org\.scepter1\.\w+)"', house.read("dbus/bus/names.h"), flags=re.M)}


def test_interfaces_are_installed():
    text = house.read("dbus/CMakeLists.txt")
    for path in house.files("dbus", ends=(".xml",)):
        name = os.path.basename(path)
        listed = re.search(r"foreach\(interface ([\w ]+)\)", text)[1].split()
        assert name in text or name.split(".")[2] in listed, f"{name} is not installed"
