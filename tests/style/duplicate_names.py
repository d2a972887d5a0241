#!/usr/bin/env python3
"""Fails when two files define a type of the same name in the same namespace.

Linked into one program, both are one name to the linker, which keeps one of them without a word (the one definition rule,
[basic.def.odr]). Types in anonymous namespaces are their file's own. Reads sources, compiles nothing.

    duplicate_names.py [FILE...]    the sources of the repository, unless files are named
"""

import collections
import re
import sys

from repository_files import repository_files

TOKEN = re.compile(
    r"""(?P<skip>//[^\n]*|/\*.*?\*/|R"(?P<mark>[^()\s\\]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'"""
    r"""|^[ \t]*\#(?:[^\n\\]|\\.|\\\n)*)|(?P<token>[A-Za-z_]\w*|::|[{}();<>=:,\[\]]|\S)""",
    re.DOTALL | re.MULTILINE,
)
KINDS = {"class", "struct", "union", "enum"}


def tokens(text):
    return [match["token"] for match in TOKEN.finditer(text) if match["token"]]


def defined_types(text):
    """Yields the qualified name of every class, struct, union and enum defined at namespace scope."""
    words = tokens(text)
    scopes = []  # a namespace's name, "" for an anonymous one, None for any other pair of braces
    i = 0
    while i < len(words):
        word = words[i]
        if word == "namespace" and None not in scopes:
            end = i + 1
            while words[end] not in "{;=":
                end += 1
            if words[end] == "{":
                scopes.append("".join(words[i + 1 : end]))
            i = end + 1
            continue
        if word in KINDS and None not in scopes and (i == 0 or words[i - 1] not in ("<", ",", "friend")):
            end = i + 1
            depth = 0
            while end < len(words) and (depth or words[end] not in ("{", ";", "(", ")", "=", ">", ",")):
                depth += {"<": 1, ">": -1}.get(words[end], 0)
                end += 1
            if end < len(words) and words[end] == "{":
                head = words[i + 1 : end]
                if ":" in head:
                    head = head[: head.index(":")]
                names = [
                    name for name in head if re.match(r"[A-Za-z_]", name) and name not in KINDS | {"final", "alignas"}
                ]
                # A specialisation, or a member that is defined outside of its class, is no name of its own.
                if names and "<" not in head and "::" not in head and "" not in scopes:
                    yield "::".join(scopes + [names[-1]])
                scopes.append(None)
                i = end + 1
                continue
        if word == "{":
            scopes.append(None)
        elif word == "}" and scopes:
            scopes.pop()
        i += 1


def main(arguments):
    files = arguments or repository_files("*.h", "*.cc")
    places = collections.defaultdict(set)
    for path in files:
        with open(path, encoding="utf-8") as source:
            for name in defined_types(source.read()):
                places[name].add(path)
    twice = {name: sorted(paths) for name, paths in places.items() if len(paths) > 1}
    for name, paths in sorted(twice.items()):
        print(f"{name} is defined in {' and in '.join(paths)}: rename one, or give each a namespace", file=sys.stderr)
    print(f"{len(places)} types in {len(files)} files, {len(twice)} defined twice")
    return 1 if twice else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
