"""scepter syncml apply: each shape of document, in a lab, and the answers a management service gets."""
import base64
import hashlib
import json
import subprocess

import pytest

import messages
from messages import CSP, MSFT, OLD_CSP, ROOTS, Message, apply


def roots(message, lab):
    return message.add(f"{ROOTS}/{hashlib.sha1(messages.root_der(lab)).hexdigest()}/EncodedCertificate",
                       messages.root_base64(lab), "b64")


def states(lab, instance, old=False):
    message = Message()
    names = ["CertThumbPrint" if old else "CertThumbprint", "Status", "ErrorCode"] + ([] if old else ["RespondentServerUrl"])
    numbers = [message.get(f"{instance}/{name}") for name in names]
    answer = apply(lab, message)
    return [answer.data[n][0] if n in answer.data else answer.codes[n] for n in numbers]


def done(lab, name):
    lab.wait_for(name, "idle", "failed")
    return lab.json("show", name)


def test_android(lab):
    document = messages.intune(lab, "intune", protection=1)
    answer = apply(lab, document)
    assert answer.in_order() == [404, 404, 404, 200, 202, 200] + [404] * 8
    assert answer.data[7][1] == "node" and "LogicalName_intune" in answer.data[7][0]
    shown = done(lab, "intune")
    assert shown["health"] == "valid" and shown["keyProtection"] == "tpm"
    # Applied again, the root and the enrollment are there already; nothing is requested twice.
    before = lab.ndes("issued")
    again = apply(lab, document)
    assert [again.codes[5], again.codes[6]] == [418, 418]
    assert lab.ndes("issued") == before


def test_android_notes_and_settings(lab):
    apply(lab, messages.intune(lab, "noted"))
    profile = lab.json("profile", "show", "noted")
    assert profile["protection"] == "software" and profile["algorithm"] == "rsa-2048"
    assert profile["threshold"] == 20 and profile["retryDelay"] == 1 and profile["method"] == "challenge"
    assert profile["alternativeName"] == ["upn:john@contoso.onmicrosoft.com"]
    assert profile["challengeKind"] == "document"
    done(lab, "noted")


def test_client_certificate_install(lab):
    message = Message()
    root = roots(message, lab)
    atomic = message.atomic()
    exec_ = messages.install(message, messages.csp_values(lab), f"{CSP}/wifi-csp")
    message.end()
    answer = apply(lab, message)
    assert answer.codes[root] == 200 and answer.codes[atomic] == 200 and answer.codes[exec_] == 202, answer.reasons
    assert all(code == 200 for number, code in answer.codes.items() if atomic < number < exec_)
    shown = done(lab, "wifi-csp")
    assert shown["health"] == "valid", shown["lastError"]
    thumbprint, status, error, url = states(lab, f"{CSP}/wifi-csp")
    assert thumbprint == shown["thumbprint"].upper() and (status, error) == ("1", "0") and url.startswith(lab.url)
    profile = lab.json("profile", "show", "wifi-csp")
    assert profile["extendedKeyUsage"] == ["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.4"]
    assert profile["alternativeName"] == ["upn:user@contoso.com", "dns:pc1.contoso.com"]


def test_values_are_read_back_and_the_challenge_is_not(lab):
    instance = f"{CSP}/readback"
    message = Message()
    messages.install(message, messages.csp_values(lab), instance, enroll=False)
    assert set(apply(lab, message).in_order()) == {200}
    message = Message()
    subject, challenge = message.get(f"{instance}/Install/SubjectName"), message.get(f"{instance}/Install/Challenge")
    usage, missing = message.get(f"{instance}/install/KEYUSAGE"), message.get(f"{instance}/Install/TemplateName")
    install, whole = message.get(f"{instance}/Install"), message.get(instance)
    listed, status = message.get(CSP), message.get(f"{instance}/Status")
    answer = apply(lab, message)
    assert answer.data[subject] == ("CN=pc1,O=Contoso", "chr") and answer.data[usage] == ("160", "int")
    assert answer.codes[challenge] == 405 and answer.codes[missing] == 404
    assert answer.data[install][1] == "node" and "ServerURL" in answer.data[install][0].split("/")
    assert answer.data[whole][0].split("/") == ["Install", "CertThumbprint", "Status", "ErrorCode", "RespondentServerUrl"]
    assert "readback" in answer.data[listed][0].split("/")
    assert answer.data[status] == ("32", "int")  # unknown: nothing was requested


def test_exec_in_a_later_message_and_after_a_restart(lab):
    instance = f"{CSP}/later"
    message = Message()
    roots(message, lab)
    messages.install(message, messages.csp_values(lab), instance, enroll=False)
    apply(lab, message)
    lab.daemon("kill")
    lab.daemon("restart")
    message = Message()
    exec_ = message.command("Exec", f"{instance}/Install/Enroll", format="null")
    assert apply(lab, message).codes[exec_] == 202
    assert done(lab, "later")["health"] == "valid"
    before = lab.ndes("issued")
    assert apply(lab, message).codes[exec_] == 200  # a second Exec starts nothing
    assert lab.ndes("issued") == before


def test_the_result_is_told_once(lab, ndes):
    good, bad = f"{CSP}/told", f"{CSP}/told-bad"
    message = Message()
    roots(message, lab)
    messages.install(message, messages.csp_values(lab), good)
    messages.install(message, messages.csp_values(lab, Challenge="0123456789ABCDEF"), bad)
    assert not {good, bad} & set(apply(lab, message).alerts)
    done(lab, "told")
    done(lab, "told-bad")
    nothing = Message()
    nothing.get(CSP)
    alerts = apply(lab, nothing).alerts
    assert alerts[good] == 0 and alerts[bad] < 0
    assert not {good, bad} & set(apply(lab, nothing).alerts)
    thumbprint, status, error, _ = states(lab, bad)
    assert (thumbprint, status) == ("", "16") and int(error) == alerts[bad]


def test_certificate_store_my_scep(lab):
    instance = f"{OLD_CSP}/wifi-old"
    message = Message()
    roots(message, lab)
    exec_ = messages.install(message, messages.csp_values(lab), instance, old=True)
    answer = apply(lab, message)
    assert answer.codes[exec_] == 202, answer.reasons
    shown = done(lab, "wifi-old")
    assert shown["health"] == "valid"
    assert states(lab, instance, old=True) == [shown["thumbprint"].upper(), "1", "0"]
    message = Message()
    wrong = message.add(f"{OLD_CSP}/other/Install/HashAlgorithm", "SHA-2")  # as the newer CSP spells it
    hello = message.add(f"{OLD_CSP}/other/Install/KeyProtection", "4", "int")
    url = message.get(f"{instance}/RespondentServerUrl")
    answer = apply(lab, message)
    assert [answer.codes[n] for n in (wrong, hello, url)] == [404, 500, 404]


def test_an_anchor_serves_a_later_message(lab):
    message = Message()
    roots(message, lab)
    apply(lab, message)
    message = Message()
    exec_ = messages.install(message, messages.csp_values(lab), f"{CSP}/anchored")
    assert apply(lab, message).codes[exec_] == 202
    assert done(lab, "anchored")["health"] == "valid"


def test_roots(lab):
    digest = hashlib.sha1(messages.root_der(lab)).hexdigest()
    place = f"{MSFT}/RootCATrustedCertificates/Root/{digest.upper()}"
    message = Message()
    roots(message, lab)
    apply(lab, message)
    message = Message()
    numbers = {
        "again": (roots(message, lab), 418),
        "wrong name": (message.add(f"{ROOTS}/{'0' * 40}/EncodedCertificate", messages.root_base64(lab), "b64"), 400),
        "no certificate": (message.add(f"{ROOTS}/{'1' * 40}/EncodedCertificate", "AAAA", "b64"), 500),
        "no data": (message.command("Add", f"{ROOTS}/{'2' * 40}/EncodedCertificate"), 412),
        "wrong format": (message.add(f"{ROOTS}/{digest}/EncodedCertificate", messages.root_base64(lab), "int"), 415),
        "intermediate": (message.add(f"{MSFT}/RootCATrustedCertificates/CA/{digest}/EncodedCertificate", "x", "b64"), 406),
        "publisher": (message.add(f"{MSFT}/RootCATrustedCertificates/TrustedPublisher/{digest}/EncodedCertificate", "x"), 406),
        "people": (message.get(f"{MSFT}/RootCATrustedCertificates/TrustedPeople"), 406),
        "read-only": (message.add(f"{place}/IssuedBy", "x"), 405),
        "replace missing": (message.command("Replace", f"{ROOTS}/{'3' * 40}/EncodedCertificate",
                                            messages.root_base64(lab), "b64"), 404),
    }
    encoded, by, from_ = message.get(f"{place}/EncodedCertificate"), message.get(f"{place}/IssuedBy"), message.get(f"{place}/ValidFrom")
    answer = apply(lab, message)
    for what, (number, code) in numbers.items():
        assert answer.codes[number] == code, (what, answer.reasons.get(number))
    assert answer.data[encoded] == (messages.root_base64(lab), "b64")
    assert answer.data[by][0] and answer.data[from_][0].endswith("Z")
    message = Message()
    gone, again = message.command("Delete", place), message.get(place)
    answer = apply(lab, message)
    assert [answer.codes[gone], answer.codes[again]] == [200, 404]


def test_a_root_goes_with_its_last_node(lab, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    "/CN=Other Root", "-keyout", tmp_path / "key", "-out", tmp_path / "cert", "-days", "3"],
                   check=True, capture_output=True)
    text = "".join(line for line in (tmp_path / "cert").read_text().splitlines() if "-----" not in line)
    anchor = lab.state / "anchors/device" / (hashlib.sha256(base64.b64decode(text)).hexdigest() + ".pem")
    message = Message()
    for place in ("one", "two"):
        message.add(f"{MSFT}/CertificateStore/Root/{place}/EncodedCertificate", text, "b64")
    assert apply(lab, message).in_order() == [200, 200] and anchor.exists()
    for place, left in (("one", True), ("two", False)):
        message = Message()
        message.command("Delete", f"{MSFT}/CertificateStore/Root/{place}")
        assert apply(lab, message).in_order() == [200] and anchor.exists() == left


REFUSED_VALUES = [
    ("KeyUsage", "1", 500), ("KeyUsage", "many", 500), ("KeyUsage", "64", 500), ("KeyProtection", "5", 500),
    ("KeyLength", "1024", 500), ("KeyLength", "2047", 500), ("HashAlgorithm", "MD5", 500), ("RetryDelay", "0", 500),
    ("CAThumbprint", "12", 500), ("ServerURL", "ftp://x", 500), ("EKUMapping", "client", 500),
    ("SubjectAlternativeNames", "4+x", 406), ("SubjectAlternativeNames", "11", 500), ("ValidPeriod", "Weeks", 500),
    ("AADKeyIdentifierList", "a;b", 406), ("AttestPrivateKey", "2", 406), ("Bogus", "1", 404),
]


@pytest.mark.parametrize("name,value,code", REFUSED_VALUES)
def test_a_wrong_value_is_refused_where_it_is_written(lab, name, value, code):
    message = Message()
    number = message.add(f"{CSP}/refused/Install/{name}", value)
    instance = message.get(f"{CSP}/refused")
    answer = apply(lab, message)
    assert answer.codes[number] in (code, 500) and answer.codes[number] >= 400
    assert answer.codes[instance] == 404  # nothing of it is stored


@pytest.mark.parametrize("missing", ["ServerURL", "Challenge", "EKUMapping", "KeyUsage", "SubjectName", "KeyLength",
                                     "HashAlgorithm", "CAThumbprint"])
def test_enroll_names_what_is_missing(lab, missing):
    instance = f"{CSP}/lacks-{missing}"
    message = Message()
    message.atomic()
    exec_ = messages.install(message, messages.csp_values(lab, **{missing: None}), instance)
    message.end()
    answer = apply(lab, message)
    assert answer.codes[1] == 507 and answer.codes[exec_] == 412 and missing in answer.reasons[exec_]
    assert set(answer.codes[n] for n in range(2, exec_)) == {216}
    message = Message()
    listed = message.get(instance)
    assert apply(lab, message).codes[listed] == 404


def test_atomic_is_all_or_nothing(lab):
    message = Message()
    atomic = message.atomic()
    first = message.add(f"{CSP}/half/Install/SubjectName", "CN=a")
    second = message.add(f"{CSP}/half/Install/KeyUsage", "7", "int")
    third = message.add(f"{CSP}/half/Install/KeyLength", "2048", "int")
    message.end()
    after = message.get(f"{CSP}/half")
    answer = apply(lab, message)
    assert [answer.codes[n] for n in (atomic, first, second, third, after)] == [507, 216, 500, 215, 404]
    # A Get has no place in it, nor has another Atomic.
    message = Message()
    atomic, get = message.atomic(), message.get(CSP)
    message.end()
    outer, inner = message.atomic(), message.atomic()
    value = message.add(f"{CSP}/half/Install/SubjectName", "CN=a")
    message.end()
    last = message.add(f"{CSP}/half/Install/KeyUsage", "160", "int")
    message.end()
    answer = apply(lab, message)
    assert [answer.codes[n] for n in (atomic, get)] == [507, 500]
    assert [answer.codes[n] for n in (outer, inner, value, last)] == [507, 500, 215, 215]


def test_commands_that_cannot_be_executed_are_answered(lab):
    message = Message()
    message.raw("<Copy><CmdID>90</CmdID></Copy><Add><Item><Target><LocURI>./x</LocURI></Target></Item></Add>"
                "<Alert><CmdID>91</CmdID><Data>1201</Data></Alert><Get><CmdID>92</CmdID></Get>")
    value = message.add(f"{CSP}/odd/Install/SubjectName", "CN=a")
    twice = message.add(f"{CSP}/odd/Install/SubjectName", "CN=a")
    other = message.add(f"{CSP}/odd/Install/SubjectName", "CN=b")
    replaced = message.command("Replace", f"{CSP}/odd/Install/SubjectName", "CN=b")
    nothing = message.command("Replace", f"{CSP}/odd/Install/KeyUsage", "160")
    no_data = message.command("Add", f"{CSP}/odd/Install/KeyUsage")
    read_only = message.command("Replace", f"{CSP}/odd/Status", "1")
    exec_ = message.command("Exec", f"{CSP}/odd/Install/SubjectName")
    user = message.add("./User/Vendor/MSFT/ClientCertificateInstall/SCEP/u/Install/SubjectName", "CN=a")
    pfx = message.add(f"{MSFT}/ClientCertificateInstall/PFXCertInstall/x/KeyLocation", "1", "int")
    large = message.add(f"{CSP}/odd/Install/TemplateName", "x" * 300000)
    deleted, gone = message.command("Delete", f"{CSP}/odd"), message.command("Delete", f"{CSP}/odd")
    text = message.text()
    done_ = lab.scepter("syncml", "apply", lab.write("odd.syncml", text))
    assert done_.returncode == 0, done_.stderr
    codes = [part.split("</Data>")[0] for part in done_.stdout.split("<Data>")[1:] if part[:3].isdigit()]
    assert codes[1:5] == ["406", "400", "200", "400"]
    answer = {n: int(done_.stdout.split(f"<CmdRef>{n}</CmdRef>")[1].split("<Data>")[1][:3]) for n in range(1, message.last + 1)}
    assert [answer[n] for n in (value, twice, other, replaced, nothing, no_data, read_only, exec_, user, pfx, large, deleted,
                                gone)] == [200, 418, 418, 200, 404, 412, 405, 405, 404, 406, 413, 200, 404]


def test_delete_takes_certificate_key_and_profile(lab):
    name = "deleted"
    message = Message()
    roots(message, lab)
    exec_ = messages.install(message, messages.csp_values(lab), f"{CSP}/{name}")
    assert apply(lab, message).codes[exec_] == 202
    done(lab, name)
    message = Message()
    number = message.command("Delete", f"{CSP}/{name}")
    assert apply(lab, message).codes[number] == 200
    assert lab.scepter("show", name).returncode == 3
    assert lab.scepter("profile", "show", name).returncode == 3
    assert not list(lab.state.glob("certificates/*/generations/*/key.pem")) or \
        name not in lab.scepter("list").stdout


def test_delete_of_an_enrollment_under_way(lab, ndes):
    ndes("set", "delay", "2s")
    message = Message()
    roots(message, lab)
    exec_ = messages.install(message, messages.csp_values(lab), f"{CSP}/stopped")
    assert apply(lab, message).codes[exec_] == 202
    message = Message()
    number = message.command("Delete", f"{CSP}/stopped")
    assert apply(lab, message).codes[number] == 200
    assert lab.scepter("show", "stopped").returncode == 3


def test_a_new_version_of_a_profile(lab):
    apply(lab, messages.intune(lab, "versions", version=1))
    first = done(lab, "versions")
    assert first["health"] == "valid"
    before = lab.ndes("issued")
    # Nothing that a certificate shows has changed: the plan follows, and nothing is requested.
    text = messages.intune(lab, "versions", version=2, challenge=False).replace(
        "ExpirationThreshold&amp;gt;20&amp;lt;", "ExpirationThreshold&amp;gt;50&amp;lt;")
    answer = apply(lab, text)
    assert answer.codes[6] == 200, answer.reasons
    second = lab.json("show", "versions")
    assert second["thumbprint"] == first["thumbprint"] and second["renewAt"] < first["renewAt"]
    assert lab.json("profile", "show", "versions")["threshold"] == 50
    assert lab.ndes("issued") == before
    # Another subject: a new certificate, and the old one until it is there.
    text = messages.intune(lab, "versions", version=3, SUBJECT="CN=pc2,O=Contoso")
    assert apply(lab, text).codes[6] == 202
    third = done(lab, "versions")
    assert third["subject"] == "CN=pc2,O=Contoso" and third["health"] == "valid"
    assert third["thumbprint"] != first["thumbprint"]
    assert len([entry for entry in lab.json("list")["certificates"] if entry["name"] == "versions"]) == 1
    assert apply(lab, text).codes[6] == 418


def test_a_new_version_that_fails_keeps_the_old_certificate(lab):
    apply(lab, messages.intune(lab, "kept", version=1))
    first = done(lab, "kept")
    text = messages.intune(lab, "kept", version=2, SUBJECT="CN=pc3,O=Contoso", CHALLENGE="AAAA")
    assert apply(lab, text).codes[6] == 202
    second = done(lab, "kept")
    assert second["activity"] == "failed" and second["health"] == "valid"
    assert second["thumbprint"] == first["thumbprint"]
    # The same version with a fresh challenge is no repetition: what it asks for is not there.
    text = messages.intune(lab, "kept", version=2, SUBJECT="CN=pc3,O=Contoso")
    assert apply(lab, text).codes[6] == 202
    assert done(lab, "kept")["subject"] == "CN=pc3,O=Contoso"


def test_a_wrong_document_does_not_stop_the_others(lab):
    text = messages.intune(lab, "wrong").replace("KeyLength&amp;gt;2048", "KeyLength&amp;gt;1024")
    answer = apply(lab, text)
    assert answer.codes[5] in (200, 418) and answer.codes[6] == 500 and answer.codes[15] == 404
    assert "ConfigurationParameters/KeyLength" in answer.reasons[6] and "1024" in answer.reasons[6]
    assert lab.scepter("profile", "show", "wrong").returncode == 3
    # Added as a profile, the document has nothing else to give, and the reason is the error.
    added = lab.scepter("profile", "add", lab.write("wrong.syncml", text))
    assert added.returncode == 2 and "KeyLength" in added.stderr


def test_no_challenge_is_seen(lab):
    text = messages.intune(lab, "seen")
    challenge = text.split("CertificateRequestToken&gt;")[1].split("&lt;")[0]
    answer = apply(lab, text)
    done(lab, "seen")
    outputs = [answer.text, lab.scepter("show", "seen", "--json").stdout, lab.scepter("events", "seen", "--json").stdout,
               lab.scepter("profile", "show", "seen", "--json").stdout, lab.log()]
    assert not any(challenge in output for output in outputs)


def test_a_kill_between_acceptance_and_answer_loses_nothing(lab, ndes):
    """Killed at some moment after the document was taken: it goes on by itself, or a second delivery does it."""
    ndes("set", "delay", "1s")
    text = messages.intune(lab, "killed")
    assert apply(lab, text).codes[6] == 202
    lab.daemon("kill")
    lab.daemon("restart")
    shown = done(lab, "killed")
    assert shown["health"] == "valid", shown["lastError"]
    assert apply(lab, text).codes[6] == 418


def test_a_profile_removed_by_hand_is_delivered_anew(lab):
    text = messages.intune(lab, "byhand")
    assert apply(lab, text).codes[6] == 202
    done(lab, "byhand")
    assert lab.scepter("profile", "remove", "byhand", "--with-certificates").returncode == 0
    message = Message()
    status = message.get(f"{MSFT}/CertificateStore/Enroll/ModelName=AC_51bad41f-3854-4eb5-a2f2-0f7a94034ee8%2FLogicalName_byhand"
                         "%3BHash=-1518303401/Status")
    assert apply(lab, message).codes[status] == 404
    text = messages.intune(lab, "byhand")
    assert apply(lab, text).codes[6] == 202
    assert done(lab, "byhand")["health"] == "valid"


def issued_by(lab, name):
    done_ = subprocess.run(["openssl", "x509", "-noout", "-issuer", "-nameopt", "RFC2253", "-in",
                            lab.certificate(name) / "current/cert.pem"], capture_output=True, text=True, check=True)
    return done_.stdout.strip().removeprefix("issuer=")


def test_issuers_find_a_certificate_that_is_here(lab):
    """A profile that was removed and comes again gets its certificate back, if the issuer is one it names."""
    apply(lab, messages.intune(lab, "found"))
    first = done(lab, "found")
    issuer = issued_by(lab, "found").replace(",", "; ")
    assert lab.scepter("profile", "remove", "found").returncode == 0
    before = lab.ndes("issued")
    named = messages.intune(lab, "found", challenge=False, version=2).replace(
        "CN=FourthCoffee CA; DC=fourthcoffee; DC=local", issuer)
    answer = apply(lab, named)
    assert answer.codes[6] == 200, answer.reasons
    assert lab.json("show", "found")["thumbprint"] == first["thumbprint"] and lab.ndes("issued") == before
    assert "that is here already" in lab.scepter("events", "found").stdout
    assert apply(lab, named).codes[6] == 418
    # It is the profile's now: an edit that matters renews it under the same name.
    assert lab.scepter("profile", "remove", "found").returncode == 0
    other = messages.intune(lab, "found", version=3, SUBJECT="CN=pc9,O=Contoso").replace(
        "CN=FourthCoffee CA; DC=fourthcoffee; DC=local", issuer)
    assert apply(lab, other).codes[6] == 202  # another subject: not that one
    certificates = [entry for entry in lab.json("list")["certificates"] if entry["name"] == "found"]
    assert len(certificates) == 2


def test_issuers_that_do_not_fit_find_nothing(lab):
    apply(lab, messages.intune(lab, "notfound"))
    done(lab, "notfound")
    assert lab.scepter("profile", "remove", "notfound").returncode == 0
    assert apply(lab, messages.intune(lab, "notfound")).codes[6] == 202  # FourthCoffee issued nothing here


def instance_file(lab, name):
    for path in lab.state.glob("syncml/*/*"):
        if path.suffix != ".challenge" and name in json.loads(path.read_text())["name"]:
            return path
    raise AssertionError(f"there is no instance {name}")


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_an_accepted_edit_is_enrolled_after_a_restart(lab):
    """Killed when profile and instance were written and no enrollment had begun."""
    apply(lab, messages.intune(lab, "due"))
    assert done(lab, "due")["subject"] == "CN=pc1,O=Contoso"
    lab.daemon("kill")
    instance = instance_file(lab, "LogicalName_due")
    profile = lab.state / "profiles" / json.loads(instance.read_text())["profile"]
    settings = [[key, "CN=pc77" if key == "Subject.Name" else value]
                for key, value in json.loads((profile / "profile.json").read_text())["settings"]]
    edit(profile / "profile.json", settings=settings)
    (profile / "challenge").write_text(lab.challenge("--form", "intune").read_text().strip())
    edit(instance, due=True)
    lab.daemon("restart")
    for _ in range(1000):
        if lab.json("show", "due")["subject"] == "CN=pc77":
            break
    assert done(lab, "due")["subject"] == "CN=pc77"
    assert not json.loads(instance.read_text())["due"] and not (profile / "challenge").exists()


def test_an_accepted_delete_goes_on_after_a_restart(lab):
    apply(lab, messages.intune(lab, "half-gone"))
    done(lab, "half-gone")
    lab.daemon("kill")
    instance = instance_file(lab, "LogicalName_half-gone")
    edit(instance, leaving=True)
    lab.daemon("restart")
    for _ in range(1000):
        if not instance.exists():
            break
        lab.serves()
    assert lab.scepter("show", "half-gone").returncode == 3 and lab.scepter("profile", "show", "half-gone").returncode == 3


def test_what_cannot_begin_leaves_nothing(lab):
    message = Message()
    roots(message, lab)
    exec_ = messages.install(message, messages.csp_values(lab, SubjectName="CN={{IMEI}}"), f"{CSP}/no-modem")
    url = message.get(f"{CSP}/no-modem/Install/ServerURL")
    answer = apply(lab, message)
    assert answer.codes[exec_] == 500 and "IMEI" in answer.reasons[exec_]
    assert answer.codes[url] == 200  # the values were written by commands of their own
    assert lab.scepter("profile", "show", "no-modem").returncode == 3 and lab.scepter("show", "no-modem").returncode == 3
    # In an Atomic the values go too; what another part of it has begun by then cannot be put back, and says so.
    message = Message()
    atomic = message.atomic()
    first = messages.install(message, messages.csp_values(lab), f"{CSP}/begun")
    second = messages.install(message, messages.csp_values(lab, SubjectName="CN={{IMEI}}"), f"{CSP}/not-begun")
    message.end()
    url = message.get(f"{CSP}/not-begun/Install/ServerURL")
    answer = apply(lab, message)
    assert [answer.codes[n] for n in (atomic, first, second, url)] == [507, 516, 500, 404]
    assert {answer.codes[n] for n in range(first + 1, second)} == {216}
    assert done(lab, "begun")["health"] == "valid"


def test_the_disk_is_full(lab):
    """What cannot be written is answered so, and nothing of it stands in memory either."""
    directory = lab.state / "syncml/device"
    directory.mkdir(mode=0o711, exist_ok=True)
    saved = directory.with_name("device.saved")
    directory.rename(saved)
    directory.write_text("no directory")  # whoever runs the service, nothing can be put below it
    try:
        message = Message()
        number = message.add(f"{CSP}/unwritable/Install/SubjectName", "CN=a")
        seen = message.get(f"{CSP}/unwritable")
        answer = apply(lab, message)
        assert answer.codes[number] in (420, 500) and answer.codes[seen] == 404
    finally:
        directory.unlink()
        saved.rename(directory)


def rows_of_codes(lab, message):
    """Facts §6.2: each code a document can bring about, by a command that does."""
    place = f"{CSP}/codes"
    subject = f"{place}/Install/SubjectName"
    return {
        "6.2 200 OK": (message.add(subject, "CN=a"), 200),
        "6.2 404 not found": (message.get(f"{place}/Install/KeyUsage"), 404),
        "6.2 405 command not allowed": (message.get(f"{place}/Install/Challenge"), 405),
        "6.2 406 optional feature not supported": (message.get(f"{MSFT}/CertificateStore/MY/WSTEP/Renew"), 406),
        "6.2 412 incomplete command": (message.command("Exec", f"{place}/Install/Enroll"), 412),
        "6.2 413 request entity too large": (message.add(f"{place}/Install/TemplateName", "x" * 300000), 413),
        "6.2 415 unsupported media type/format": (message.add(f"{place}/Install/KeyUsage", "160", "b64"), 415),
        "6.2 418 already exists": (message.add(subject, "CN=a"), 418),
        "6.2 500 command failed": (message.add(f"{place}/Install/KeyUsage", "7", "int"), 500),
        "6.2 507 Atomic failed": (message.atomic(), 507),
        "6.2 216 Atomic rolled back OK": (message.add(f"{place}/Install/KeyLength", "2048", "int"), 216),
        "6.2 500 command failed: a Get inside Atomic": (message.get(subject), 500),
        "6.2 215 not executed": (message.add(f"{place}/Install/RetryCount", "1", "int"), 215),
        "the end": (message.end(), None),
        "6.2 200 OK, a Delete": (message.command("Delete", place), 200),
    }


def test_codes(lab):
    message = Message()
    rows = rows_of_codes(lab, message)
    answer = apply(lab, message)
    for row, (number, code) in rows.items():
        assert number is None or answer.codes[number] == code, (row, answer.codes[number], answer.reasons.get(number))
