"""The files of the repository, as the checks beside this one read them."""

import os
import subprocess


def repository_files(*patterns):
    """Returns what git tracks or would add, by its patterns ("*.md"); all without one. Deleted files are left out."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    return [path for path in listed if os.path.exists(path)]
