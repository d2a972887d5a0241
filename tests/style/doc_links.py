#!/usr/bin/env python3
"""Fails when a page of Markdown links to a page, or to a heading of a page, that is not there.

Links within the repository only; headings are named as GitHub does it.

    doc_links.py [FILE...]    the pages of the repository, unless files are named
"""

import os
import re
import sys

from repository_files import repository_files

LINK = re.compile(r"""\[[^\]]*\]\(([^()\s]+)(?:\s+"[^"]*")?\)|<img [^>]*src="([^"]+)\"""")
HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.MULTILINE)
FENCE = re.compile(r"^ *(```|~~~).*?^ *\1", re.DOTALL | re.MULTILINE)


def anchors(text):
    """Returns the anchors of a page's headings."""
    found = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = 0
        while f"{anchor}-{number}" in found or (number == 0 and anchor in found):
            number += 1
        found.add(anchor if number == 0 else f"{anchor}-{number}")
    return found


def main(arguments):
    pages = arguments or repository_files("*.md")
    # What a clone has, not what happens to lie here.
    known = set(repository_files())
    texts = {}

    def text_of(path):
        if path not in texts:
            with open(path, encoding="utf-8") as page:
                texts[path] = page.read()
        return texts[path]

    links = 0
    broken = 0
    for page in pages:
        for link in ("".join(groups) for groups in LINK.findall(FENCE.sub("", text_of(page)))):
            if re.match(r"[a-z]+:", link):
                continue
            links += 1
            path, _, anchor = link.partition("#")
            target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
            if target not in known and not any(path.startswith(target + "/") for path in known):
                print(f"{page}: there is no {target}", file=sys.stderr)
                broken += 1
            elif anchor and target.endswith(".md") and anchor not in anchors(text_of(target)):
                print(f"{page}: {target} has no heading #{anchor}", file=sys.stderr)
                broken += 1
    print(f"{links} links in {len(pages)} pages, {broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
