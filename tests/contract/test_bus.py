"""The bus: XML and the daemon's tables say the same, and every method tells its action, options and errors."""
import re
import xml.etree.ElementTree as tree

import pytest

import house

INTERFACES = {"Manager": "service/objects/manager.c", "Profile": "service/objects/profile.c",
              "Certificate": "service/objects/certificate.c"}


def _constants():
    return dict(re.findall(r"^#define (BUS_\w+)\s+\"([^\"]*)\"", house.read("dbus/bus/names.h"), flags=re.M))


def _table(path, name):
    found = re.search(r"static const struct bus_" + name + r" \w+\[\] = \{(.*?)\n\};", house.read(path), flags=re.S)
    assert found, f"{path} has no table of bus_{name}"
    return found[1]


def _methods(path):
    """{name: (in, out, action or None)} of the daemon."""
    return {name: (given, answer, None if action == "NULL" else _constants()[action]) for name, given, answer, action
            in re.findall(r'\{\s*"(\w+)",\s*"([^"]*)",\s*"([^"]*)",\s*(\w+),', _table(path, "method"))}


def _properties(path):
    return dict(re.findall(r'\{\s*"(\w+)",\s*"([^"]*)",', _table(path, "property")))


def _xml(interface):
    """(methods {name: (in, out)}, properties {name: type}, comments {method: text}) as the file has them."""
    text = house.read(f"dbus/org.scepter1.{interface}.xml")
    root = tree.fromstring(text).find("interface")
    assert root.get("name") == f"org.scepter1.{interface}"
    methods = {method.get("name"): tuple("".join(arg.get("type") for arg in method.findall("arg")
                                                 if arg.get("direction") == way) for way in ("in", "out"))
               for method in root.findall("method")}
    properties = {prop.get("name"): prop.get("type") for prop in root.findall("property")}
    comments = {name: comment for comment, name in
                re.findall(r'<!--((?:(?!-->).)*)-->\s*<method name="(\w+)"', text, flags=re.S)}
    return methods, properties, comments


@pytest.mark.parametrize("interface", sorted(INTERFACES))
def test_the_daemon_implements_the_xml(interface):
    methods, properties, _ = _xml(interface)
    assert {name: row[:2] for name, row in _methods(INTERFACES[interface]).items()} == methods
    assert _properties(INTERFACES[interface]) == properties


@pytest.mark.parametrize("interface", sorted(INTERFACES))
def test_every_method_is_described(interface):
    methods, _, comments = _xml(interface)
    for name, (given, _) in methods.items():
        assert given.endswith("a{sv}"), f"{name} cannot grow"
        comment = comments.get(name, "")
        assert re.search(rf"^\s*{name}: ", comment), f"{name}: its comment does not begin with its name"
        for part in ("Action:", "Errors:"):
            assert part in comment, f"{name}: the comment has no '{part}'"
        assert "options:" in comment or "filter:" in comment, f"{name}: the comment does not tell its options"


@pytest.mark.parametrize("interface", sorted(INTERFACES))
def test_actions_are_those_of_the_comment(interface):
    text = house.read(f"dbus/org.scepter1.{interface}.xml")
    _, _, comments = _xml(interface)
    for name, (_, _, action) in _methods(INTERFACES[interface]).items():
        told = re.search(r"Action:(.*?)Errors:", comments[name], flags=re.S)[1]
        if action is None:
            assert told.strip() == "none.", f"{name} asks for no action, its comment says '{told.strip()}'"
        else:
            assert action in (text if "see above" in told else told), f"{name} asks for {action}"


@pytest.mark.parametrize("interface", sorted(INTERFACES))
def test_errors_of_the_comment_exist(interface):
    known = set(re.findall(r'X\(ERR_\w+, "(\w+)"', house.read("ksp/base/error.h")))
    for name, comment in _xml(interface)[2].items():
        told = re.sub(r"\([^()]*\)", "", comment.split("Errors:")[1].split(".")[0])
        for word in re.findall(r"\b[A-Z]\w*[a-z]\w*(?!\w|…)", told):
            assert word in known or word == "TPM", f"{name}: there is no error {word}"


def test_options_are_documented():
    text = "".join(house.read(f"dbus/org.scepter1.{interface}.xml") for interface in INTERFACES)
    for constant, value in _constants().items():
        if constant.startswith("BUS_OPTION_"):
            assert re.search(rf'"{value}"\s+[a-z]', text), f"option '{value}' is in no comment"


def test_actions_are_used():
    used = {row[2] for path in INTERFACES.values() for row in _methods(path).values()}
    text = "".join(house.read(f"dbus/org.scepter1.{interface}.xml") for interface in INTERFACES)
    for constant, value in _constants().items():
        if constant.startswith("BUS_ACTION_"):
            assert value in used or value in text, f"{value} guards nothing"


def test_policy_and_activation():
    policy = tree.fromstring(house.read("dbus/org.scepter1.conf.in"))
    own = [allow for part in policy for allow in part if allow.get("own")]
    assert [(part.get("user"), allow.get("own")) for part in policy for allow in part if allow in own] == \
        [("@SCEPTER_USER@", "org.scepter1")]
    assert "Name=org.scepter1\n" in house.read("dbus/org.scepter1.service.in")


def test_the_agents_interface():
    """Callers implement it, so no table has it: what the service calls and tells stands in the file."""
    methods, _, comments = _xml("Agent")
    code = house.read("service/objects/ask.c")
    assert set(re.findall(r'BUS_INTERFACE_AGENT,\s*"(\w+)"', code)) == set(methods) == set(comments)
    options = {value for name, value in _constants().items() if name.startswith("BUS_ASK_")}
    assert set(re.findall(r'"([\w-]+)"\s+[su]  ', comments["RequestPin"])) == options
    reasons = set(re.findall(r'^#define ASK_\w+\s+"(\w+)"', house.read("service/objects/ask.h"), flags=re.M))
    assert set(re.findall(r'"(\w+)"', comments["Cancel"])) == reasons
    policy = house.read("dbus/org.scepter1.conf.in")
    assert '<allow send_interface="org.scepter1.Agent" send_type="method_call"/>' in policy
