#!/usr/bin/env python3
"""Fails when a file of C++ opens another namespace than its folder's.

A library, a service and the command line have one namespace each, called as their folder: libs/store is gannet::store, and so
are its tests and what it shares with tests. A file may declare names of other namespaces in front of its own
("namespace gannet::exchange { class Store; }"), nothing else.

    folder_namespaces.py [FILE...]    the sources of the repository, unless files are named
"""

import re
import subprocess
import sys

# Where a folder's name is not its namespace's.
SPECIAL = {"libs/exchange/memory": "memory"}
# Tests that share nothing with others: their file's own names are enough.
FREE = {"tests/long", "tests/python", "tests/fuzz"}
OPENED = re.compile(r"^namespace (gannet(?:::\w+)*) \{(.*?)^\}  // namespace \1$", re.DOTALL | re.MULTILINE)
DECLARATION = re.compile(r"\s*(?:(?:class|struct|enum class) \w+;\s*)+")


def expected(path):
    """Returns the namespace of a file, or None where any will do."""
    folder = path.rsplit("/", 1)[0]
    for special, name in SPECIAL.items():
        if folder.startswith(special):
            return f"gannet::{name}"
    parts = path.split("/")
    if "/".join(parts[:2]) in FREE:
        return None
    return f"gannet::{parts[0] if parts[0] == 'cli' else parts[1]}"


def main(arguments):
    files = (
        arguments
        or subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.h", "*.cc"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
    )
    wrong = 0
    for path in files:
        name = expected(path)
        if name is None:
            continue
        with open(path, encoding="utf-8") as source:
            for opened, body in OPENED.findall(source.read()):
                if opened != name and not opened.startswith(name + "::") and not DECLARATION.fullmatch(body):
                    print(f"{path} opens {opened}, but its folder's namespace is {name}", file=sys.stderr)
                    wrong += 1
    print(f"{len(files)} files, {wrong} outside of the namespace of their folder")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
