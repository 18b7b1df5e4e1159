"""SyncML messages for tests: made as a management service makes them, and their answers taken apart."""
import pathlib
import subprocess
import xml.etree.ElementTree as xml

import labs

NS = "{SYNCML:SYNCML1.2}"
META = "{syncml:metinf}"
MSFT = "./Device/Vendor/MSFT"
CSP = MSFT + "/ClientCertificateInstall/SCEP"
OLD_CSP = MSFT + "/CertificateStore/MY/SCEP"
ROOTS = MSFT + "/RootCATrustedCertificates/Root"


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Message:
    """Commands in their order; CmdIDs count from 1 as they are written."""

    def __init__(self):
        self.body = []
        self.last = 0

    def _next(self):
        self.last += 1
        return self.last

    def command(self, verb, location, data=None, format=None):
        number = self._next()
        meta = f'<Meta><Format xmlns="syncml:metinf">{format}</Format></Meta>' if format else ""
        text = f"<Data>{escape(data)}</Data>" if data is not None else ""
        self.body.append(f"<{verb}><CmdID>{number}</CmdID><Item><Target><LocURI>{escape(location)}</LocURI></Target>"
                         f"{meta}{text}</Item></{verb}>")
        return number

    def add(self, location, data, format="chr"):
        return self.command("Add", location, data, format)

    def get(self, location):
        return self.command("Get", location)

    def raw(self, text):
        self.body.append(text)

    def atomic(self):
        number = self._next()
        self.body.append(f"<Atomic><CmdID>{number}</CmdID>")
        return number

    def end(self):
        self.body.append("</Atomic>")

    def text(self):
        return ('<?xml version="1.0"?><SyncML xmlns="SYNCML:SYNCML1.2"><SyncHdr><VerDTD>1.2</VerDTD>'
                "<VerProto>DM/1.2</VerProto><SessionID>3</SessionID><MsgID>2</MsgID>"
                "<Target><LocURI>urn:device</LocURI></Target><Source><LocURI>https://mdm</LocURI></Source></SyncHdr>"
                f"<SyncBody>{''.join(self.body)}<Final/></SyncBody></SyncML>")


class Answer:
    """codes, reasons: by CmdRef (of a command with one item); data: CmdRef -> (text, format)."""

    def __init__(self, text):
        self.text = text
        root = xml.fromstring(text)
        body = root.find(NS + "SyncBody")
        self.codes, self.reasons, self.data, self.order, self.alerts = {}, {}, {}, [], {}
        ids = [element.find(NS + "CmdID").text for element in body if element.tag != NS + "Final"]
        assert ids == [str(n + 1) for n in range(len(ids))], "CmdIDs count from 1"
        assert body[-1].tag == NS + "Final"
        for element in body:
            if element.tag == NS + "Status":
                reference = int(element.find(NS + "CmdRef").text)
                self.codes[reference] = int(element.find(NS + "Data").text)
                self.order.append(reference)
                reason = element.find(f"{NS}Item/{NS}Data")
                if reason is not None:
                    self.reasons[reference] = reason.text
            elif element.tag == NS + "Alert":
                item = element.find(NS + "Item")
                assert element.find(NS + "Data").text == "1226"
                self.alerts[item.find(f"{NS}Source/{NS}LocURI").text] = int(item.find(NS + "Data").text)
            elif element.tag == NS + "Results":
                item = element.find(NS + "Item")
                self.data[int(element.find(NS + "CmdRef").text)] = (
                    item.find(NS + "Data").text or "", item.find(f"{NS}Meta/{META}Format").text)

    def in_order(self):
        return [self.codes[reference] for reference in self.order if reference]


def apply(lab, message, *options, status=0):
    text = message.text() if isinstance(message, Message) else message
    done = lab.scepter("syncml", "apply", lab.write("message.syncml", text), *options)
    assert done.returncode == status, done.stderr
    return Answer(done.stdout) if status == 0 else done


def root_der(lab):
    return subprocess.run(["openssl", "x509", "-in", lab.root, "-outform", "DER"], capture_output=True, check=True).stdout


def root_base64(lab):
    return "".join(line for line in pathlib.Path(lab.root).read_text().splitlines() if "-----" not in line)


def intune(lab, name, protection=3, version=-1518303401, challenge=True, **changes):
    """The message of Intune's Android agent. A change of None leaves the template's own value."""
    text = (labs.SOURCE / "tests/data/policy/intune.syncml.in").read_text()
    values = {"ROOT_BASE64": root_base64(lab), "ROOT_SHA1": lab.env["LAB_ROOT_SHA1"], "URL": lab.url,
              "CHALLENGE": lab.challenge("--form", "intune").read_text().strip() if challenge else "",
              "SUBJECT": "CN=pc1,O=Contoso", "KSP": str(protection), "NAME": name, **changes}
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text.replace("Hash=-1518303401", f"Hash={version}")


def csp_values(lab, **changes):
    """What stands below Install/ of ClientCertificateInstall, with its formats. None leaves one out."""
    values = {"ServerURL": (lab.url, "chr"), "Challenge": (lab.challenge().read_text().strip(), "chr"),
              "EKUMapping": ("1.3.6.1.5.5.7.3.2+1.3.6.1.5.5.7.3.4", "chr"), "KeyUsage": ("160", "int"),
              "SubjectName": ("CN=pc1,O=Contoso", "chr"), "KeyProtection": ("3", "int"), "RetryDelay": ("1", "int"),
              "RetryCount": ("3", "int"), "KeyLength": ("2048", "int"), "HashAlgorithm": ("SHA-1;SHA-2", "chr"),
              "CAThumbprint": (lab.env["LAB_ROOT_SHA1"], "chr"),
              "SubjectAlternativeNames": ("11+user@contoso.com;3+pc1.contoso.com", "chr"),
              "ValidPeriod": ("Years", "chr"), "ValidPeriodUnits": ("1", "int")}
    for key, value in changes.items():
        if value is None:
            values.pop(key, None)
        else:
            values[key] = (value, values.get(key, ("", "chr"))[1])
    return values


OLD_NAMES = {"HashAlgorithm": "HashAlgrithm", "CAThumbprint": "CAThumbPrint", "ValidPeriodUnits": "ValidPeriodUnit"}


def install(message, values, instance, old=False, enroll=True):
    """Adds the values and Exec Enroll; the number of the Exec."""
    for key, (value, format) in values.items():
        message.add(f"{instance}/Install/{OLD_NAMES.get(key, key) if old else key}", value, format)
    return message.command("Exec", f"{instance}/Install/Enroll", format="null") if enroll else None
