"""Check the dependencies of Cargo.lock: where they come from, their licences, versions that are there twice, advisories.

    python3 tools/audit.py

Sources and licences that are not listed here are failures; duplicates are told. Advisories need cargo-audit and its
database: without them the last line says that they were not checked.
"""

import collections
import json
import shutil
import subprocess
import sys

CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
# A dependency's expression must be true with these alone.
LICENCES = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}


def allowed(expression):
    """Whether an SPDX expression of AND, OR and parentheses can be met with LICENCES."""
    tokens = expression.replace("/", " OR ").replace("(", " ( ").replace(")", " ) ").split()

    def either():
        met = both()
        while tokens[:1] == ["OR"]:
            tokens.pop(0)
            met = both() or met
        return met

    def both():
        met = one()
        while tokens[:1] == ["AND"]:
            tokens.pop(0)
            met = one() and met
        return met

    def one():
        name = tokens.pop(0)
        if name == "(":
            met = either()
            assert tokens.pop(0) == ")", expression
            return met
        if tokens[:1] == ["WITH"]:
            name = " ".join([name, tokens.pop(0), tokens.pop(0)])
        return name in LICENCES

    met = either()
    assert not tokens, expression
    return met


def main():
    for expression, expected in [
        ("MIT", True), ("GPL-3.0", False), ("MIT OR GPL-3.0", True), ("MIT AND GPL-3.0", False), ("MIT/Apache-2.0", True),
        ("(GPL-3.0 OR MIT) AND Zlib", True), ("Apache-2.0 WITH LLVM-exception", True), ("GPL-3.0 AND MIT OR ISC", True),
    ]:
        assert allowed(expression) == expected, expression
    metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--locked", "--format-version", "1", "--all-features"]))
    packages = [package for package in metadata["packages"] if package["id"] not in metadata["workspace_members"]]
    failed = []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        if package["source"] != CRATES_IO:
            failed.append(f"{name} comes from {package['source']}")
        if not package["license"]:
            failed.append(f"{name} names no licence, only the file {package['license_file']}")
        elif not allowed(package["license"]):
            failed.append(f"{name} is licensed {package['license']}")
    versions = collections.defaultdict(list)
    for package in packages:
        versions[package["name"]].append(package["version"])
    twice = {name: found for name, found in versions.items() if len(found) > 1}
    for name, found in sorted(twice.items()):
        print(f"more than one version of {name}: {', '.join(found)}")
    for line in failed:
        print(line)
    print(f"{len(packages)} dependencies on all platforms: {len(failed)} complaints, {len(twice)} in several versions")
    status = bool(failed)
    if shutil.which("cargo-audit"):
        status |= subprocess.run(["cargo", "audit"]).returncode != 0
    else:
        print("advisories: not checked, for want of cargo-audit (cargo install cargo-audit)")
    sys.exit(status)


if __name__ == "__main__":
    main()
