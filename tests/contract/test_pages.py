"""The man pages say what the code does: verbs, options, keys and settings, in both directions."""
import re
import shutil
import subprocess

import pytest

import house

PAGES = ("scepter.1", "scepterd.8", "scepter-apply.8", "scepter.conf.5", "scepter.profile.5", "scepter.consumer.5", "scepter-syncml.7",
         "scepter-events.7", "scepter-diagnose.7", "scepter-keys.7", "scepter-attest.7", "scepter-interop.7")


def _page(name):
    """A page as plain words: fonts and escapes taken out."""
    text = house.read(f"packaging/man/{name}")
    text = re.sub(r"^\.\\\".*\n", "", text, flags=re.M)
    text = re.sub(r"\\f[BIRP]", "", text)
    text = text.replace("\\-", "-").replace("\\(aq", "'").replace("\\(dq", '"').replace("\\&", "").replace("\\|", "")
    return re.sub(r"^\.(?:B|I|BR|BI|IR|RB|RI|SH|SS)\s+", "", text, flags=re.M)


def _verbs():
    """(words, usage, whether this version has it)"""
    text = re.sub(r'"\s*\n\s*"', "", house.read("cli/verbs.c"))
    rows = re.findall(r'\{\s*"([^"]+)",\s*"([^"]*)",\s*"([^"]*)",\s*(?:true|false),\s*(\w+)\s*\}', text)
    assert len(rows) > 10
    return [(words, usage, function != "NULL") for words, usage, _, function in rows]


@pytest.mark.parametrize("words,usage,here", _verbs())
def test_verbs(words, usage, here):
    line = f"scepter {words}" + (f" {usage}" if usage else "")
    documented = any(line == one.strip() for one in _page("scepter.1").split("\n"))
    if here:
        assert documented, f"scepter(1) has no line '{line}'"
    else:
        assert not documented, f"scepter(1) documents '{words}', which is not in this version"


def test_no_verb_of_the_page_is_missing():
    known = [words for words, _, here in _verbs() if here]
    for line in re.findall(r"^\.B scepter (.*)$", house.read("packaging/man/scepter.1"), flags=re.M):
        line = re.sub(r"\\f[BIRP]", "", line).replace("\\-", "-")
        assert any(line == words or line.startswith(words + " ") for words in known), f"there is no 'scepter {line}'"


def test_global_flags():
    for flag in re.findall(r'\{"(--[a-z-]+)", &ret->', house.read("cli/args.c")):
        assert flag in _page("scepter.1"), flag


def test_options_of_the_daemon():
    page = _page("scepterd.8")
    options = re.findall(r'\{"([a-z-]+)", (?:required|no)_argument', house.read("service/daemon/main.c"))
    assert len(options) >= 6
    for option in options:
        assert f"\n--{option}" in page, f"scepterd(8) does not explain --{option}"
    for option in re.findall(r"^--([a-z-]+)", page, flags=re.M):
        assert option in options, f"scepterd has no --{option}"


def test_options_of_the_applier():
    page = _page("scepter-apply.8")
    options = re.findall(r'\{"([a-z-]+)", (?:required|no)_argument', house.read("service/apply/main.c"))
    assert sorted(options) == sorted(re.findall(r"^--([a-z-]+)", page.split(".SH OPTIONS")[-1], flags=re.M))


def test_options_of_the_verifier():
    page = _page("scepter.1")
    options = re.findall(r'\{"([a-z-]+)", (?:required|no)_argument', house.read("service/verify/main.c"))
    for option in set(options) - {"json", "help", "version"}:
        assert f"--{option}" in page, f"scepter(1) does not explain attest --verify --{option}"


def test_members_and_checks_of_an_attestation():
    page, bundle = house.read("packaging/man/scepter-attest.7"), house.read("service/attest/bundle.c")
    parts = dict(re.findall(r"^\.SH (CHECKS|FORMAT)\n(.*?)(?=^\.SH )", page, flags=re.M | re.S))
    told = {name: re.findall(r"^\.TP\n\.B ([\w-]+)$", part.replace("\\-", "-"), flags=re.M) for name, part in parts.items()}
    assert told["FORMAT"] == ["version"] + re.findall(r'(?:OCTETS|CERTS)\("(\w+)"', bundle)
    verify = house.read("service/verify/verify.c")
    checks = re.findall(r'tell(?:_result)?\((?:v->report|ret), "([\w-]+)"', verify) + re.findall(r'char check\[\] = "(\w+)"', verify)
    assert len(checks) > 10 and set(told["CHECKS"]) == set(checks)


def test_keys_of_consumers():
    text = house.read("policy/consumer.c")
    keys = {"Consumer": re.search(r"take_follow\(.*?\n}", text, flags=re.S)[0],
            "Files": re.search(r"file_names\[_CONSUMER.*?\};", text, flags=re.S)[0]
                     + re.search(r"enum err take_file\(.*?\n}", text, flags=re.S)[0],
            "Units": re.search(r"verb_names\[_UNIT.*?\};", text, flags=re.S)[0],
            "TrustStore": re.search(r"enum err take_trust\(.*?\n}", text, flags=re.S)[0],
            "NetworkManager": re.search(r"enum err take_network\(.*?\n}", text, flags=re.S)[0]}
    known = {f"{section}.{key}" for section, part in keys.items()
             for key in re.findall(r'(?:\(key,|\] =)\s*"(\w+)"', part)}
    explained, section = set(), ""
    for line in house.read("packaging/man/scepter.consumer.5").split("\n"):
        heading, key = re.match(r"\.SS \[(\w+)\]", line), re.match(r"\.BI? (\w+)=", line)
        section = heading[1] if heading else section
        if key:
            explained.add(f"{section}.{key[1]}")
    assert explained == known


def _config_keys():
    text = house.read("service/daemon/config.c")
    return house.strings_of_table(text, r"\} keys\[\]") + re.findall(r'strcmp\(key, "(\w+)"\) == 0', text)


def _explained(page, pattern):
    return re.findall(r"^\.TP\n\.BI? (" + pattern + r")=", house.read(f"packaging/man/{page}"), flags=re.M)


def test_keys_of_the_configuration():
    assert sorted(_explained("scepter.conf.5", r"\w+")) == sorted(_config_keys())


def test_defaults_of_the_configuration():
    page = _page("scepter.conf.5")
    for value in re.findall(r'offsetof\(struct config, \w+\), "([^"]+)"\}', house.read("service/daemon/config.c")):
        assert value in page, f"scepter.conf(5) does not tell the default {value}"


def _settings():
    text = house.read("policy/profile.c")
    keys = re.findall(r'(?:_FIELD\(|\.key = )"(\w+\.\w+)"', text)
    assert len(keys) > 30
    return [key for key in keys if not key.startswith("Document.")]


def test_settings_of_the_profile():
    explained, section = [], ""
    for line in house.read("packaging/man/scepter.profile.5").split("\n"):
        heading, setting = re.match(r"\.SS \[(\w+)\]", line), re.match(r"\.BI? (\w+)=", line)
        section = heading[1] if heading else section
        if setting:
            explained.append(f"{section}.{setting[1]}")
    assert explained == _settings(), "scepter.profile(5) explains the settings of policy/profile.c, in that order"


def test_settings_without_effect_are_named():
    """What the profile carries and no step of an enrollment looks at, the page says has no effect yet."""
    plan = {"Server.ChallengeReusable": "challenge_reusable", "Server.RequireCaps": "require_caps",
            "Server.AllowLegacy": "allow_legacy", "Server.Proxy": "proxy", "Server.CaIdentifier": "ca_identifier",
            "Server.PkiClientSuffix": "suffix", "Server.PendingLimit": "pending_limit",
            "Key.ReuseAtRenewal": "reuse_key", "Key.AllowDowngrade": "allow_downgrade", "Key.Algorithm": "algorithm",
            "Key.Protection": "protection", "Subject.Hash": "hash", "Subject.Validity": "validity",
            "Subject.TemplateName": "template_name", "Subject.KeyUsage": "key_usage",
            "Subject.ExtendedKeyUsage": "extended_key_usage", "Subject.AlternativeName": "san", "Subject.Name": "subject",
            "Renewal.Threshold": "threshold", "Renewal.Method": "method", "Renewal.RetryCount": "retry_count",
            "Renewal.RetryDelay": "retry_delay", "Renewal.AfterExpiry": "after_expiry"}
    code = "".join(house.without_comments(house.read(path)) for path in house.files("service/enroll", "service/keys"))
    paragraphs, section = {}, ""
    for part in re.split(r"\n(?=\.TP\n\.BI? \w+=|\.S[SH] )", house.read("packaging/man/scepter.profile.5")):
        heading, setting = re.match(r"\.SS \[(\w+)\]", part), re.match(r"\.TP\n\.BI? (\w+)=", part)
        section = heading[1] if heading else section
        if setting:
            paragraphs[f"{section}.{setting[1]}"] = part
    for setting, member in plan.items():
        used = re.search(rf"\bplan(?:\.|->){member}\b", code) is not None
        told = re.search(r"(has no effect|(It|yes) is refused) in this version", paragraphs[setting]) is not None
        assert used != told, f"{setting}: " + ("it has an effect by now" if used else "nothing looks at it, and the page is silent")


def test_values_of_the_profile():
    page = _page("scepter.profile.5")
    text = house.read("policy/values.c")
    for table in ("profile_type", "protection", "algorithm", "hash", "renewal_method", "after_expiry", "suffix", "key_usage",
                  "legacy", "capability"):
        row = re.search(table + r"_names\[\] = \{(.*?)NULL\};", text, flags=re.S)[1]
        for value in re.findall(r'"([^"]+)"', row):
            assert re.search(rf"(?<![\w-]){re.escape(value)}(?![\w-])", page), f"scepter.profile(5) lacks the value {value}"


def test_variables_of_the_profile():
    for name in re.findall(r'\{"(\w+)", FACT_\w+\}', house.read("policy/variables.c")):
        assert "{{" + name + "}}" in _page("scepter.profile.5"), name


def test_nodes_of_documents():
    page, text = _page("scepter-syncml.7"), house.read("policy/nodes.c")
    leaves = re.findall(r'^\s+\{"([\w/]+)", NODE_', text, flags=re.M)
    lists = re.findall(r'\.path = "([\w/]+)"', text)
    assert len(leaves) > 40 and len(lists) > 10
    for name in {leaf.rsplit("/", 1)[-1] for leaf in leaves} | {path.rsplit("/", 1)[-1] for path in lists}:
        assert re.search(rf"(?<!\w){name}(?!\w)", page), f"scepter-syncml(7) does not name {name}"


def test_codes_of_documents():
    numbers = dict(re.findall(r"(STATUS_\w+) = (\d+),", house.read("policy/answer.h")))
    code = "".join(house.without_comments(house.read(path)) for path in house.files("service/syncml"))
    used = {numbers[name] for name in re.findall(r"STATUS_\w+", code)}
    told = set(re.findall(r"^\.TP\n\.B (\d+)$", house.read("packaging/man/scepter-syncml.7"), flags=re.M))
    assert used == told, "scepter-syncml(7) explains the codes of service/syncml"


def _diagnose_codes():
    """[name, result, cause, remedy] of service/diagnose/codes.h, in its order."""
    text = re.sub(r'"\s*\n\s*"', "", re.sub(r"\s*\\\n", "\n", house.read("service/diagnose/codes.h")))
    rows = re.findall(r'X\(\w+, *\n?\s*"([^"]+)",\s*STEP_\w+,\s*RESULT_(\w+),\s*"([^"]*)",\s*"([^"]*)"\)', text)
    assert len(rows) > 80 and len(rows) == len(re.findall(r"\bX\([A-Z]", text))
    return rows


def test_codes_of_a_diagnosis():
    page = " ".join(_page("scepter-diagnose.7").replace("\\(aq", "'").split())
    source = house.read("packaging/man/scepter-diagnose.7").replace("\\-", "-")
    told = re.findall(r'^\.BR ([\w-]+) " \((\w+)\)"$', source, flags=re.M)
    assert told == [(name, result.lower()) for name, result, _, _ in _diagnose_codes()]
    for name, result, cause, remedy in _diagnose_codes():
        assert (cause.strip() or result == "OK") and (remedy.strip() or result != "FAULT"), f"{name} tells nothing, or not what to do"
        for sentence in (cause, remedy):
            assert " ".join(sentence.split()) in page, f"scepter-diagnose(7) tells something else about {name}"


def test_every_page_is_looked_at():
    """And the README names it."""
    assert sorted(PAGES) == sorted(path.rsplit("/", 1)[1] for path in house.files("packaging/man"))
    manual = re.search(r"^The manual: (.*?)\n\n", house.read("README.md"), flags=re.M | re.S)[1]
    assert not [page for page in PAGES if f"`{page}`" not in manual and f"/{page}`" not in manual]


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_well_formed(page):
    source = house.read(f"packaging/man/{page}")
    assert re.search(r"^\.TH ", source, flags=re.M)
    for section in ("NAME", "SYNOPSIS" if not page.endswith("5") else "DESCRIPTION", "SEE ALSO"):
        assert f".SH {section}\n" in source or f'.SH "{section}"\n' in source, f"{page} has no {section}"
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    result = subprocess.run(["groff", "-man", "-Tutf8", "-K", "utf8", "-ww", "-z"], input=source, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert not result.stdout, result.stdout


@pytest.mark.parametrize("page", PAGES)
def test_references_lead_somewhere(page):
    """Our own pages among what SEE ALSO and the text point to exist."""
    for name, section in re.findall(r"\b(scepter[\w.-]*) ?\((\d)\)", _page(page)):
        assert f"{name}.{section}" in PAGES, f"{page} points to {name}({section})"


def test_programs_that_use_keys():
    """scepter-keys(7) names for each program the test that has used it, and each of those tests is named."""
    others = ("test_applications", "test_pin_keys")  # which test more than programs
    named = set(re.findall(r"\btest_\w+", house.read("packaging/man/scepter-keys.7"))) - {"test_pages"}
    files = ("test_programs", "test_own_keys", "test_desktop", *others)
    sources = {file: house.read(f"tests/integration/{file}.py") for file in files}
    there = {name: file for file, text in sources.items() for name in re.findall(r"^def (test_\w+)", text, flags=re.M)}
    assert named <= set(there), named - set(there)
    assert {name for name, file in there.items() if file not in others} <= named
