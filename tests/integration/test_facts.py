"""Variables of profiles, from the real daemon, each against the interface of the service its value comes from: it answers,
refuses, is not there, answers a placeholder or another type, or nothing at all."""
import contextlib
import json
import os
import pwd
import re
import select
import subprocess

import pytest

import labs

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a /sys of the lab's own and other users")
pytest.importorskip("dbusmock", reason="python3-dbusmock is not installed")
import neighbours  # noqa: E402

ALICE, BOB = "daemon", "bin"
DENIED = neighbours.DENIED
SID = "S-1-5-21-1004336348-1177238915-682003330-1601"
GUID = "0a1b2c3d-1111-4222-8333-444455556666"


@pytest.fixture(scope="module")
def machine():
    """Without hardware and neighbours; a service that does not answer is given up after a second."""
    with labs.lab("--own-sys", "--no-tpm", "--", "--clock-scale", "5") as lab:
        yield lab


@pytest.fixture(autouse=True)
def clean(request):
    """Nothing of one test is seen by the next."""
    yield
    if "machine" in request.fixturenames:
        lab = request.getfixturevalue("machine")
        with contextlib.suppress(FileNotFoundError):
            (lab.dir / "lab/etc/facts").unlink()
        subprocess.run(["rm", "-rf", lab.dir / "lab/sys/class/dmi", lab.dir / "lab/sys/class/net"], check=True)
        (lab.dir / "lab/sys/class/net").mkdir(parents=True)


def kernel(lab, path, text):
    file = lab.dir / "lab/sys" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    for folder in file.parents:
        if folder == lab.dir:
            break
        folder.chmod(0o755)
    file.write_text(text)
    file.chmod(0o644)
    return file


def facts(lab, text, mode=0o644, uid=0):
    file = lab.dir / "lab/etc/facts"
    file.write_text(text)
    os.chown(file, uid, uid)
    file.chmod(mode)


def profile(lab, variable, user):
    """The name of a profile whose only variable it is."""
    name = f"{'user' if user else 'device'}-{variable}"
    if lab.scepter("profile", "show", name).returncode:
        where = {"subject": "CN=x", "san": f"AlternativeName=uri:{{{{{variable}}}}}"} if "Security" in variable else \
            {"subject": f"CN={{{{{variable}}}}}", "san": ""}
        lab.add(name, type="user" if user else "device", **where)
    return name


def ask(lab, variable, user=None):
    options = ("--user", user) if user else ()
    return json.loads(lab.scepter("profile", "show", profile(lab, variable, user), "--resolve", "--json", *options).stdout)


def value(lab, variable, user=None):
    answer = ask(lab, variable, user)
    assert "error" not in answer, answer
    (name, found), = answer["resolved"]["variables"].items()
    assert name.lower() == variable.lower()
    return found


def missing(lab, variable, *says, user=None, name="VariableMissing"):
    """It has no value; the error names it, who was asked and what to do."""
    answer = ask(lab, variable, user)
    assert "error" in answer, answer["resolved"]
    error = answer["error"]
    assert error["name"] == name, error
    for words in (f"{{{{{variable}}}}}", *says):
        assert words in error["message"], (words, error)
    assert error["remedy"]
    return error


# device name

HOST = os.uname().nodename.split(".")[0]
KERNEL_NAME = pytest.mark.skipif(HOST == "localhost", reason="this machine has no name of its own")


@pytest.mark.parametrize("static,found", [("pc7", "pc7"), ("pc7.corp.example", "pc7")])
def test_device_name(machine, static, found):
    with neighbours.hostname(machine, static=static):
        assert value(machine, "DeviceName") == found
        assert value(machine, "DEVICENAME") == found


@KERNEL_NAME
def test_device_name_of_the_kernel(machine):
    assert value(machine, "DeviceName") == HOST  # no hostnamed
    for static in ("", "localhost", neighbours.dbus.UInt32(7)):
        with neighbours.hostname(machine, static=static):
            assert value(machine, "DeviceName") == HOST, static
    facts(machine, "DeviceName=written\n")
    assert value(machine, "DeviceName") == HOST


def test_no_stand_in_for_who_does_not_answer(machine):
    """The kernel's name may be another one than the static name: not to know is no reason to take it."""
    with neighbours.hostname(machine, static="pc7") as hostnamed:
        with hostnamed.silent():
            error = missing(machine, "DeviceName", "org.freedesktop.hostname1", "does not answer", name="Timeout")
        assert "again" in error["remedy"]
        assert value(machine, "DeviceName") == "pc7"


def test_domain_name(machine):
    missing(machine, "FullyQualifiedDomainName", "org.freedesktop.hostname1")
    with neighbours.hostname(machine, static="pc7"):
        missing(machine, "FullyQualifiedDomainName", "no host name with its domain")
    with neighbours.hostname(machine, static="pc7.corp.example"):
        assert value(machine, "FullyQualifiedDomainName") == "pc7.corp.example"
        facts(machine, "FullyQualifiedDomainName=pc7.ad.example\n")
        assert value(machine, "FullyQualifiedDomainName") == "pc7.ad.example"


# serial number

PLACEHOLDERS = ("To Be Filled By O.E.M.", "Default string", "0", "None", "System Serial Number", "")


def test_serial_of_hostnamed(machine):
    with neighbours.hostname(machine, serial="ret = ' PF3ABCDE'"):
        for variable in ("SerialNumber", "SERIALNUMBER", "Device_Serial"):
            assert value(machine, variable) == "PF3ABCDE"
        facts(machine, "SerialNumber=WRITTEN\n")
        kernel(machine, "class/dmi/id/product_serial", "OTHER\n")
        assert value(machine, "SerialNumber") == "PF3ABCDE"


@pytest.mark.parametrize("code", [DENIED, "ret = 'Default string'", "ret = 'a\\nb'",
                                  "raise dbus.exceptions.DBusException('no', name='org.freedesktop.hostname1.Error')"])
def test_serial_of_the_firmware(machine, code):
    with neighbours.hostname(machine, serial=code):
        kernel(machine, "class/dmi/id/product_serial", "To Be Filled By O.E.M.\n")
        kernel(machine, "class/dmi/id/chassis_serial", "CH1234\n")
        kernel(machine, "class/dmi/id/board_serial", "BO1234\n")
        assert value(machine, "SerialNumber") == "CH1234"


def test_serial_of_another_type(machine):
    with neighbours.hostname(machine) as hostnamed:
        hostnamed.method("GetHardwareSerial", "", "u", "ret = 12345")
        missing(machine, "SerialNumber", "org.freedesktop.hostname1")
        facts(machine, "SerialNumber=WRITTEN\n")
        assert value(machine, "SerialNumber") == "WRITTEN"


def test_serial_refused(machine):
    with neighbours.hostname(machine, serial=DENIED):
        error = missing(machine, "SerialNumber", "org.freedesktop.hostname1 GetHardwareSerial: refused (Access denied)",
                        "product_serial: it does not exist", "/facts: it does not exist")
        assert "get-hardware-serial" in error["remedy"]


def test_serial_missing(machine):
    for placeholder in PLACEHOLDERS:
        for name in ("product", "chassis", "board"):
            kernel(machine, f"class/dmi/id/{name}_serial", placeholder + "\n")
        with neighbours.hostname(machine, serial=f"ret = {placeholder!r}"):
            missing(machine, "SerialNumber", "hostname1", "product_serial", "chassis_serial", "board_serial",
                    "device-tree", "facts")
    facts(machine, "SerialNumber=None\n")
    missing(machine, "SerialNumber", "placeholder")


def test_serial_unreadable(machine):
    kernel(machine, "class/dmi/id/product_serial", "PF3ABCDE\n").chmod(0o400)
    missing(machine, "SerialNumber", "product_serial: only root may read it")


def diagnosed(lab, name):
    """What the first step of a diagnosis says."""
    done = lab.scepter("diagnose", name, "--json")
    assert done.returncode == 1, done.stderr
    first = json.loads(done.stdout.splitlines()[0])
    assert first["step"] == "profile" and first["remedy"], first
    return first["code"], first["observed"]


def test_diagnosis_of_a_variable(machine):
    """Nobody has it, who has it does not answer, or what it holds cannot be encoded: three codes."""
    name = profile(machine, "SerialNumber", user=False)
    with neighbours.hostname(machine, serial="ret = ''"):
        assert diagnosed(machine, name)[0] == "profile-variable"
    with neighbours.hostname(machine, serial="ret = 'PF3ABCDE'") as hostnamed, hostnamed.silent():
        code, observed = diagnosed(machine, name)
        assert code == "profile-source" and "{{SerialNumber}}" in observed
    machine.add("dns-serial", subject="CN=x", san="AlternativeName=dns:{{SerialNumber}}")
    with neighbours.hostname(machine, serial="ret = 'no name of DNS'"):
        assert diagnosed(machine, "dns-serial")[0] == "profile-invalid"


def test_serial_while_hostnamed_is_silent(machine):
    """Another source of the same fact is as good; where there is none, it may help to ask again."""
    with neighbours.hostname(machine, serial="ret = 'PF3ABCDE'") as hostnamed, hostnamed.silent():
        missing(machine, "SerialNumber", "does not answer", name="Timeout")
        kernel(machine, "class/dmi/id/product_serial", "PF3ABCDE\n")
        assert value(machine, "SerialNumber") == "PF3ABCDE"


# Wi-Fi

def test_wifi_of_the_kernel(machine):
    kernel(machine, "class/net/wlp3s0/phy80211/macaddress", "00:1a:7d:da:71:0b\n")
    kernel(machine, "class/net/wlp2s0/phy80211/macaddress", "00:1a:7d:da:71:0a\n")
    kernel(machine, "class/net/wlp2s0/address", "02:00:00:00:00:01\n")
    kernel(machine, "class/net/eth0/address", "00:1a:7d:da:71:00\n")
    assert value(machine, "WiFiMacAddress") == "001A7DDA710A"


def test_wifi_of_networkmanager(machine):
    path, interface = "/org/freedesktop", neighbours.OBJECTS
    missing(machine, "WiFiMacAddress", "phy80211", "org.freedesktop.NetworkManager")
    with neighbours.neighbour(machine, "org.freedesktop.NetworkManager", path, interface) as manager:
        manager.method("GetManagedObjects", "", "a{oa{sa{sv}}}", DENIED)
        missing(machine, "WiFiMacAddress", "refused (Access denied)")
        manager.method("GetManagedObjects", "", "a{oa{sa{sv}}}", neighbours.managed({}))
        missing(machine, "WiFiMacAddress", "no Wi-Fi adapter")
        device = "org.freedesktop.NetworkManager.Device"
        manager.method("GetManagedObjects", "", "a{oa{sa{sv}}}", neighbours.managed({
            "/org/freedesktop/NetworkManager/Devices/1": {
                device: {"Interface": "eth0"}, device + ".Wired": {"PermHwAddress": "00:1A:7D:DA:71:00"}},
            "/org/freedesktop/NetworkManager/Devices/2": {
                device: {"Interface": "wlp3s0"}, device + ".Wireless": {"PermHwAddress": "00:1A:7D:DA:71:0B"}},
            "/org/freedesktop/NetworkManager/Devices/3": {
                device: {"Interface": "wlp2s0"}, device + ".Wireless": {"PermHwAddress": "00:1A:7D:DA:71:0A",
                                                                       "HwAddress": "02:00:00:00:00:01"}},
            "/org/freedesktop/NetworkManager/Devices/4": {
                device: {"Interface": "a0"}, device + ".Wireless": {"PermHwAddress": ""}}}))
        assert value(machine, "WiFiMacAddress") == "001A7DDA710A"
        manager.method("GetManagedObjects", "", "s", "ret = 'devices'")
        missing(machine, "WiFiMacAddress", "of another type")
        with manager.silent():
            missing(machine, "WiFiMacAddress", "does not answer", name="Timeout")
    facts(machine, "WiFiMacAddress=00-1a-7d-da-71-0c\n")
    assert value(machine, "WiFiMacAddress") == "001A7DDA710C"


def test_wifi_of_dbusmocks_own_networkmanager(machine):
    """Objects that nobody here shaped."""
    with neighbours.neighbour(machine, "org.freedesktop.NetworkManager", "/org/freedesktop", neighbours.OBJECTS) as manager:
        dbus = neighbours.dbus
        device = "org.freedesktop.NetworkManager.Device"
        path = "/org/freedesktop/NetworkManager/Devices/7"
        manager.mock.AddObject(path, device, dbus.Dictionary({"Interface": "wlan0", "DeviceType": dbus.UInt32(2)},
                                                             signature="sv"), dbus.Array([], signature="(ssss)"))
        dbus.Interface(manager.bus.get_object("org.freedesktop.NetworkManager", path), neighbours.MOCK).AddProperties(
            device + ".Wireless", dbus.Dictionary({"PermHwAddress": "11:22:33:44:55:66"}, signature="sv"))
        manager.method("GetManagedObjects", "", "a{oa{sa{sv}}}",
                       "ret = {dbus.ObjectPath(p): o.props for p, o in objects.items() if p != '/org/freedesktop'}")
        missing(machine, "WiFiMacAddress", "NetworkManager")  # 11:… is a group's address, no adapter's
        manager.method("GetManagedObjects", "", "a{oa{sa{sv}}}", "raise RuntimeError('broken')")
        missing(machine, "WiFiMacAddress", "NetworkManager")


# modem

MODEM = "org.freedesktop.ModemManager1.Modem"
GSM = {MODEM: {"EquipmentIdentifier": "490154203237518"}, MODEM + ".Modem3gpp": {"Imei": "490154203237518"}}
OLD = {MODEM: {"EquipmentIdentifier": "356938035643809"}}
CDMA = {MODEM: {"EquipmentIdentifier": "80A1B2C3"}, MODEM + ".ModemCdma": {"Meid": "a000000000232f"}}


def at(*objects):
    return {f"/org/freedesktop/ModemManager1/Modem/{number}": found for number, found in enumerate(objects)}


def test_imei(machine):
    with neighbours.modems(machine, at(CDMA, GSM)):
        for variable in ("IMEI", "IMEINumber", "Device_IMEI", "imei"):
            assert value(machine, variable) == "490154203237518"
        facts(machine, "IMEI=356938035643809\n")
        assert value(machine, "IMEI") == "490154203237518"


def test_imei_of_an_older_modem_or_the_smallest(machine):
    with neighbours.modems(machine, at(OLD)):
        assert value(machine, "IMEI") == "356938035643809"
    both = {MODEM + ".Modem3gpp": {"Imei": "356938035643809"}}
    for objects in (at(GSM, both), at(both, GSM)):
        with neighbours.modems(machine, objects):
            assert value(machine, "IMEI") == "356938035643809"


def test_meid(machine):
    with neighbours.modems(machine, at(GSM, CDMA)):
        assert value(machine, "MEID") == "A000000000232F"


@pytest.mark.parametrize("variable", ["IMEI", "MEID"])
def test_no_modem(machine, variable):
    missing(machine, variable, "org.freedesktop.ModemManager1", "no such service runs here", "/facts")
    with neighbours.modems(machine, {}):
        missing(machine, variable, "no modem")
    with neighbours.modems(machine, at({MODEM: {"EquipmentIdentifier": 7}, MODEM + ".Modem3gpp": {"Imei": 7},
                                        MODEM + ".ModemCdma": {"Meid": True}})):
        missing(machine, variable, "no modem")
    with neighbours.modems(machine, code=DENIED):
        missing(machine, variable, "refused (Access denied)")
    with neighbours.modems(machine, at(GSM, CDMA)) as manager:
        manager.method("GetManagedObjects", "", "as", "ret = ['x']")
        missing(machine, variable, "of another type")
        with manager.silent():
            missing(machine, variable, "does not answer", name="Timeout")
    facts(machine, "IMEI=490154203237518\nMEID=A000000000232F\n")
    assert value(machine, variable) in ("490154203237518", "A000000000232F")


# the directory

PERSON = {"userPrincipalName": ["alice@corp.example"], "mail": ["a.lice@corp.example"], "sAMAccountName": ["ALICE1"],
          "distinguishedName": ["CN=Alice,OU=Staff,DC=corp,DC=example"], "objectSIDString": [SID], "department": ["Sales, North"]}
OF_A_USER = [("UserPrincipalName", "alice@corp.example"), ("EmailAddress", "a.lice@corp.example"),
             ("OnPremisesSamAccountName", "ALICE1"), ("onPremisesSamAccountName", "ALICE1"),
             ("OnPrem_Distinguished_Name", "CN=Alice,OU=Staff,DC=corp,DC=example"),
             ("OnPremisesSecurityIdentifier", SID), ("Department", "Sales, North")]
UID = pwd.getpwnam(ALICE).pw_uid


def test_user_name(machine):
    assert value(machine, "UserName", ALICE) == ALICE
    assert value(machine, "USERNAME", BOB) == BOB


@pytest.mark.parametrize("variable,found", OF_A_USER)
def test_directory(machine, variable, found):
    with neighbours.directory(machine, neighbours.attributes(UID, **PERSON)) as sssd:
        assert value(machine, variable, ALICE) == found
        if "SamAccount" in variable:
            return
        sssd.method("GetUserAttr", "sas", "a{sv}", neighbours.attributes(UID))
        error = missing(machine, variable, "org.freedesktop.sssd.infopipe", f"tells none for '{ALICE}'", user=ALICE)
        assert "user_attributes" in error["remedy"]
        sssd.method("GetUserAttr", "sas", "a{sv}", DENIED)
        error = missing(machine, variable, "refused (Access denied)", user=ALICE)
        assert "allowed_uids" in error["remedy"]
        sssd.method("GetUserAttr", "sas", "a{sv}", "ret = dbus.Dictionary(dict.fromkeys(args[1], dbus.UInt32(7)), signature='sv')")
        missing(machine, variable, "of another type", user=ALICE)
        sssd.method("GetUserAttr", "sas", "as", "ret = ['x']")
        missing(machine, variable, "of another type", user=ALICE)
        sssd.method("GetUserAttr", "sas", "a{sv}",
                    neighbours.attributes(UID, **{key: ["a\x1b[2Jb@c"] for key in PERSON}))
        missing(machine, variable, "org.freedesktop.sssd.infopipe", user=ALICE)
        with sssd.silent():
            missing(machine, variable, "does not answer", user=ALICE, name="Timeout")
    error = missing(machine, variable, "no such service runs here", user=ALICE)
    assert "InfoPipe" in error["remedy"]


def test_the_name_alone_does_not_tell_whose(machine):
    """A local account with the name of one in the directory is somebody else, and gets nothing of it."""
    with neighbours.directory(machine, neighbours.attributes(UID + 1000, **PERSON)) as sssd:
        for variable, _ in OF_A_USER:
            missing(machine, variable, "is somebody else", user=ALICE)
        sssd.method("GetUserAttr", "sas", "a{sv}", neighbours.attributes(UID, **{**PERSON, "uidNumber": []}))
        missing(machine, "EmailAddress", "which uid", user=ALICE)


def test_account_name_without_a_directory(machine):
    assert value(machine, "OnPremisesSamAccountName", ALICE) == ALICE
    with neighbours.directory(machine, neighbours.attributes(UID)) as sssd:
        assert value(machine, "OnPremisesSamAccountName", ALICE) == ALICE
        with sssd.silent():
            missing(machine, "OnPremisesSamAccountName", "does not answer", user=ALICE, name="Timeout")


def test_distinguished_name_as_sssd_calls_it(machine):
    with neighbours.directory(machine, neighbours.attributes(UID, originalDN=["CN=Alice,DC=x"])):
        assert value(machine, "OnPrem_Distinguished_Name", ALICE) == "CN=Alice,DC=x"


def test_sid_becomes_the_tag(machine):
    with neighbours.directory(machine, neighbours.attributes(UID, **PERSON)):
        resolved = ask(machine, "OnPremisesSecurityIdentifier", ALICE)["resolved"]
    assert resolved["alternativeName"] == [f"uri:tag:microsoft.com,2022-09-14:sid:{SID}"]


@pytest.mark.parametrize("variable", ["UserName", "UserPrincipalName", "EmailAddress", "OnPrem_Distinguished_Name",
                                      "OnPremisesSamAccountName", "Department"])
def test_a_device_is_nobody(machine, variable):
    with neighbours.directory(machine, neighbours.attributes(0, **PERSON)):
        error = missing(machine, variable, "about a person")
    assert "Type=user" in error["remedy"]


# the facts file

WRITTEN = [("AAD_Device_ID", "AzureADDeviceId", GUID), ("AzureADDeviceId", "AzureADDeviceId", GUID), ("DeviceId", "DeviceId", GUID),
           ("OnPremisesSecurityIdentifier", "DeviceSecurityIdentifier", SID), ("SerialNumber", "SerialNumber", "W123"),
           ("IMEI", "IMEI", "490154203237518"), ("FullyQualifiedDomainName", "FullyQualifiedDomainName", "a.b.example")]


@pytest.mark.parametrize("variable,key,written", WRITTEN)
def test_facts_file(machine, variable, key, written):
    missing(machine, variable, "/facts: it does not exist")
    facts(machine, f"# from the agent\n{key}={written}\n")
    assert value(machine, variable) == written
    facts(machine, f"{key}=\x07{written}\n")
    missing(machine, variable, "/facts")
    facts(machine, "# nothing\n")
    missing(machine, variable, f"it has no line {key}=")


@pytest.mark.parametrize("mode,uid,says", [(0o664, 0, "0664"), (0o646, 0, "0646"), (0o644, 1, "uid 1"), (0o000, 1, "opened")])
def test_facts_file_of_others(machine, mode, uid, says):
    facts(machine, f"DeviceId={GUID}\n", mode=mode, uid=uid)
    error = missing(machine, "DeviceId", "/facts: refused", says)
    assert "root's" in error["remedy"]
    assert re.search(r"warning: Nothing of the facts file \S+/facts is used: .*" + says, machine.log())


def test_facts_file_that_is_none(machine):
    path = machine.dir / "lab/etc/facts"
    path.symlink_to(machine.write("elsewhere", f"DeviceId={GUID}\n"))
    missing(machine, "DeviceId", "symbolic link")
    path.unlink()
    os.mkfifo(path, 0o644)
    missing(machine, "DeviceId", "no regular file")
    path.unlink()
    facts(machine, f"DeviceId={GUID}\n" + "#" * 65536)
    missing(machine, "DeviceId", "larger than 65536")
    facts(machine, f"DeviceId={GUID}\nwords\n")
    missing(machine, "DeviceId", "line 2")
    facts(machine, f"[Device]\nDeviceId={GUID}\n")
    missing(machine, "DeviceId", "no sections")


def test_unknown_facts_are_told_once(machine):
    facts(machine, f"Colour=red\nDeviceId={GUID}\n")
    assert value(machine, "DeviceId") == GUID
    assert value(machine, "DeviceId") == GUID
    assert machine.log().count("unknown key 'Colour'") == 1


# who may ask, and what it is for

def test_all_of_a_profile(machine):
    machine.add("all", subject="CN={{DEVICENAME}}-{{SerialNumber}},O=\"{{Device_Serial}}, x\"",
                san="AlternativeName=dns:{{DeviceName}}.corp.example\nAlternativeName=uri:{{OnPremisesSecurityIdentifier}}")
    facts(machine, f"DeviceSecurityIdentifier={SID}\n")
    with neighbours.hostname(machine, static="pc7", serial="ret = 'A+B'"):
        resolved = machine.json("profile", "show", "all", "--resolve")["resolved"]
        text = machine.scepter("profile", "show", "all", "--resolve").stdout
    assert resolved == {
        "variables": {"DeviceName": "pc7", "SerialNumber": "A+B", "Device_Serial": "A+B", "OnPremisesSecurityIdentifier": SID},
        "subjectName": "CN=pc7-A\\+B,O=A\\+B\\, x",
        "alternativeName": ["dns:pc7.corp.example", f"uri:tag:microsoft.com,2022-09-14:sid:{SID}"]}
    assert re.search(r"^\{\{SerialNumber\}\} +A\+B$", text, flags=re.M) and "CN=pc7-A" in text
    assert "{{DEVICENAME}}" in text  # the settings stand before them
    # What a value does not fit is told as an enrollment would.
    machine.add("long", subject="C={{DeviceName}}", san="")
    with neighbours.hostname(machine, static="pc7"):
        done = machine.scepter("profile", "show", "long", "--resolve", "--json")
    assert json.loads(done.stdout)["error"]["name"] == "InvalidProfile"


def test_who_may_resolve(machine):
    machine.add("for-users", type="user", subject="CN={{UserName}}", san="")
    machine.add("for-device", subject="CN={{DeviceName}}", san="")
    text = machine.profile_text("alices", type="user", subject="CN={{UserName}}", san="")
    alice, bob = (pwd.getpwnam(name).pw_uid for name in (ALICE, BOB))
    done = machine.scepter("profile", "add", machine.write("alices.profile", text), "--user", user=alice)
    assert done.returncode == 0, done.stderr
    own = machine.json("profile", "show", "alices", user=alice)["id"]

    def resolve(who, name, *options):
        return machine.scepter("profile", "show", name, "--resolve", "--json", *options, user=who)

    for who, name, login in ((alice, "for-users", ALICE), (bob, "for-users", BOB), (alice, own, ALICE), (None, own, ALICE)):
        done = resolve(who, name)
        assert json.loads(done.stdout)["resolved"]["subjectName"] == f"CN={login}", (who, name)
    assert resolve(alice, "for-device").returncode == 4
    assert resolve(bob, own).returncode == 3
    assert resolve(alice, "for-users", "--user", BOB).returncode == 4
    assert resolve(alice, "for-users", "--user", ALICE).returncode == 4
    assert resolve(None, "for-users", "--user", "nobody-has-this-name").returncode == 3
    assert resolve(None, "for-device", "--user", ALICE).returncode == 2
    # On the bus a profile one may not see is as good as missing.
    call = ("busctl", "--system", "call", "org.scepter1", f"/org/scepter1/profile/{own}", "org.scepter1.Profile", "Resolve",
            "a{sv}", "0")
    assert 'a{ss} 2 "UserName" "daemon"' in machine.run(*call, user=alice).stdout
    missing_call = tuple(part.replace(own, "0" * 32) for part in call)
    hidden, absent = machine.run(*call, user=bob), machine.run(*missing_call, user=bob)
    assert hidden.returncode and hidden.stderr.replace(own, "X") == absent.stderr.replace("0" * 32, "X")


def test_how_many_at_once(lab):
    """Each asks other services, so a user has four of them; the fifth is told at once."""
    lab.add("many", type="user", subject="CN={{SerialNumber}}", san="")
    alice = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", labs.BUILD / "bin/scepter")
    with neighbours.hostname(lab, serial="ret = 'PF3ABCDE'") as hostnamed:
        with hostnamed.silent():
            asking = [subprocess.Popen([*alice, "profile", "show", "many", "--resolve", "--json"], env=lab.env,
                                       stdout=subprocess.PIPE, text=True) for _ in range(5)]
            ends = select.poll()
            for process in asking:
                ends.register(os.pidfd_open(process.pid), select.POLLIN)
            assert len(ends.poll(60000)) == 1
        answers = [json.loads(process.communicate(timeout=60)[0]) for process in asking]
    refused = [answer["error"]["name"] for answer in answers if "error" in answer]
    assert refused == ["LimitExceeded"], answers


def test_certificate(machine):
    machine.add("serial", subject="CN={{SerialNumber}},O=Contoso", san="AlternativeName=dns:{{DeviceName}}.corp.example")
    with neighbours.hostname(machine, static="pc7", serial="ret = 'PF3ABCDE'"):
        done = machine.enroll("serial")
    assert done.returncode == 0, done.stderr
    text = machine.openssl("x509", "-in", machine.certificate("serial") / "current/cert.pem", "-noout", "-subject", "-nameopt", "oneline", "-ext",
                           "subjectAltName").stdout
    assert "CN = PF3ABCDE, O = Contoso" in text and "DNS:pc7.corp.example" in text
    machine.add("no-serial", subject="CN={{SerialNumber}}", san="")
    done = machine.enroll("no-serial", "--json")
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 1 and error["name"] == "VariableMissing" and "{{SerialNumber}}" in error["message"]
    assert "no-serial" not in {entry["name"] for entry in machine.serves()["certificates"]}


# while values are gathered

@pytest.fixture
def waiting(lab):
    """An enrollment whose source is in the middle of its answer: the process, and a way to let the source go on."""
    gate = lab.dir / "gate"
    os.mkfifo(gate)
    if lab.scepter("profile", "show", "slow").returncode:
        lab.add("slow", subject="CN={{SerialNumber}}", san="")
    with neighbours.hostname(lab, serial=f"ret = open({str(gate)!r}).read()"):
        enrolling = subprocess.Popen([labs.BUILD / "bin/scepter", "enroll", "slow", "--wait", "--json", "--challenge-file",
                                      lab.challenge()], env=lab.env, stdout=subprocess.PIPE, text=True)
        with open(gate, "w") as source:  # returns when hostnamed has the question
            yield enrolling, source
        enrolling.communicate(timeout=60)
    gate.unlink()


def test_requests_join_while_values_are_gathered(lab, waiting):
    enrolling, source = waiting
    second = subprocess.Popen([labs.BUILD / "bin/scepter", "enroll", "slow", "--json"], env=lab.env, stdout=subprocess.PIPE,
                              text=True)
    done = lab.scepter("profile", "remove", "slow", "--json")
    assert json.loads(done.stdout)["error"]["name"] == "Busy"
    source.write("PF3ABCDE")
    source.close()
    first = json.loads(enrolling.communicate(timeout=60)[0])
    assert first["subject"] == "CN=PF3ABCDE"
    assert json.loads(second.communicate(timeout=60)[0])["id"] == first["id"]
    assert lab.scepter("remove", "slow").returncode == 0


def test_the_service_ends_while_values_are_gathered(lab, waiting):
    enrolling, _ = waiting
    lab.daemon("restart")
    out = enrolling.communicate(timeout=60)[0]
    assert json.loads(out)["error"]["name"] == "Cancelled", out
    assert lab.serves()["certificates"] == []
    assert "ERROR" not in lab.log()
