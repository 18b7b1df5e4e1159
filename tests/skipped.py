"""Counts the skips in CTest's results and prints each with its reason. tests/skipped.py RESULTS.xml

Three kinds: a whole test (exit status 77), a case of a cmocka program, a case of a pytest file.
"""
import re
import sys
import xml.etree.ElementTree as tree

NO_REASON = "no reason given"


def cmocka(output):
    """[(case, reason)]: the reason is what the case printed before."""
    found, printed = [], []
    for line in output.split("\n"):
        if re.match(r"\[ RUN +\]", line):
            printed = []
        elif re.match(r"\[ +SKIPPED +\] \d+ test", line):
            break  # the list at the end
        elif re.match(r"\[ +SKIPPED +\]", line):
            found.append((line.split("]", 1)[1].strip(), "; ".join(printed) or NO_REASON))
            printed = []
        elif line.strip() and not line.startswith("["):
            printed.append(re.sub(r"^skipped: ", "", line.strip()))
    return found


def pytest(output):
    """[(where, reason)], one for each case."""
    found = []
    for count, where, reason in re.findall(r"^SKIPPED \[(\d+)\] (\S+?): (.*)$", output, flags=re.M):
        found += [(where, reason or NO_REASON)] * int(count)
    return found


def skips(case):
    """[(case, reason)] of one CTest test."""
    output = case.findtext("system-out") or ""
    found = cmocka(output) + pytest(output)
    if not found and case.find("skipped") is not None:
        lines = [line.strip() for line in output.split("\n") if line.strip()]
        found = [("", re.sub(r"^skipped: ", "", lines[-1]) if lines else NO_REASON)]
    return found


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        cases = tree.parse(arguments[0]).getroot().findall("testcase")
    except (OSError, tree.ParseError) as error:
        print(f"\nNo results of CTest: {error}")
        return 1
    counted = {}
    for case in cases:
        for name, reason in skips(case):
            key = (case.get("name") + (f" ({name})" if name else ""), reason)
            counted[key] = counted.get(key, 0) + 1
    print(f"\nSkipped: {sum(counted.values())}")
    for (name, reason), count in sorted(counted.items()):
        print(f"  {name}: {reason}" + (f" [{count} times]" if count > 1 else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
