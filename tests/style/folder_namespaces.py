#!/usr/bin/env python3
"""Fails when a file of C++ opens another namespace than its folder's.

A library, a service and the command line have one namespace each, called as their folder: libs/store is gannet::store, and so
are its tests and what it shares with tests. A file may declare names of other namespaces in front of its own
("namespace gannet::exchange { class Store; }"), nothing else.

    folder_namespaces.py [FILE...]    the sources of the repository, unless files are named
"""

import re
import sys

from repository_files import repository_files

# Where a folder's name is not its namespace's.
SPECIAL = {"libs/exchange/memory": "memory"}
# Tests that share nothing with others: their file's own names are enough.
FREE = {"tests/long", "tests/python", "tests/fuzz"}
# Macros only, or main only.
WITHOUT = {"cli/main.cc", "libs/base/status_macros.h", "libs/gan/kernels/target_clones.h"}
BEGIN = re.compile(r"^namespace (\w+(?:::\w+)*) \{$", re.MULTILINE)
OPENED = re.compile(r"^namespace (\w+(?:::\w+)*) \{$(.*?)^\}  // namespace \1$", re.DOTALL | re.MULTILINE)
DECLARATION = re.compile(r"\s*(?:(?:class|struct|enum class) \w+;\s*)+")


def expected(path):
    """Returns the namespace of a file, or None where any will do."""
    folder = path.rsplit("/", 1)[0]
    for special, name in SPECIAL.items():
        if folder == special or folder.startswith(special + "/"):
            return f"gannet::{name}"
    parts = path.split("/")
    if "/".join(parts[:2]) in FREE or path in WITHOUT or len(parts) < 2:
        return None
    return f"gannet::{parts[0] if parts[0] == 'cli' else parts[1]}"


def main(arguments):
    files = arguments or repository_files("*.h", "*.cc")
    wrong = 0
    seen = 0
    for path in files:
        name = expected(path)
        if name is None:
            continue
        with open(path, encoding="utf-8") as source:
            text = source.read()
        seen += 1
        blocks = OPENED.findall(text)
        if name not in (opened for opened, _ in blocks):
            print(f"{path} opens no namespace {name}, closed by a comment that names it", file=sys.stderr)
            wrong += 1
        inner = {opened for opened in BEGIN.findall(text) if "::" not in opened}  # of a block, such as losses
        for opened, body in blocks:
            if opened in inner or opened == name or opened.startswith(name + "::"):
                continue
            if not DECLARATION.fullmatch(body):
                print(f"{path} opens {opened}, but its folder's namespace is {name}", file=sys.stderr)
                wrong += 1
    print(f"{seen} files, {wrong} outside of the namespace of their folder")
    return 1 if wrong or not seen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
