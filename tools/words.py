"""Refuse the retired words of docs/glossary.md in the project's files.

    python3 tools/words.py

Each row of the glossary's last table ends with a regular expression: what it finds is printed and fails.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
GLOSSARY = "docs/glossary.md"
# Data of others, and pages that quote the words.
EXEMPT = (GLOSSARY, "tests/data/", "fuzz/corpus/", "Cargo.lock", "fuzz/Cargo.lock", "LICENSE", "assets/imagenet", "docs/images/")


def retired(page):
    """Yield the word, its successor and the pattern of each row of the last table."""
    table = page.split("## Retired")[1]
    for line in table.splitlines():
        # A `|` inside a pattern is written `\\|`, as Markdown has it.
        cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)]
        if len(cells) == 5 and cells[3].startswith("`"):
            yield cells[1], cells[2], re.compile(cells[3].strip("`"))


def main():
    rows = list(retired((ROOT / GLOSSARY).read_text(encoding="utf-8")))
    if len(rows) < 10:
        sys.exit(f"{GLOSSARY}: expected a table of retired words with patterns, found {len(rows)} rows")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    found = 0
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if name.startswith(EXEMPT) or not path.is_file():
            continue
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate([name, *lines]):
            for word, use, pattern in rows:
                if match := pattern.search(line):
                    found += 1
                    print(f"{name}:{number}: {match.group(0)!r}: not {word}, but {use}")
    sys.exit(found > 0)


if __name__ == "__main__":
    main()
