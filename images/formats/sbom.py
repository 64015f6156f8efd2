# SPDX-License-Identifier: Apache-2.0
"""The software bill of materials of a tree of Debian packages, as CycloneDX 1.6 JSON.

    images/formats/sbom.py NAME VERSION STATUS DOCS [STATUS DOCS]... >sbom.json

STATUS is a file of dpkg's stanzas (its status file, or a package's control file), DOCS the
folder with those packages' copyright files. The same packages and the same SOURCE_DATE_EPOCH
give the same bytes.
"""

import datetime
import hashlib
import json
import os
import re
import sys
import urllib.parse
import uuid

MACHINE_READABLE = "www.debian.org/doc/packaging-manuals/copyright-format/1.0"
# Debian's short names of licences that SPDX calls otherwise.
SPDX = {
    "apache-2": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "artistic-2": "Artistic-2.0",
    "artistic-2.0": "Artistic-2.0",
    "beerware": "Beerware",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause",
    "bsl-1.0": "BSL-1.0",
    "cc0": "CC0-1.0",
    "cc0-1.0": "CC0-1.0",
    "curl": "curl",
    "expat": "MIT",
    "isc": "ISC",
    "mit": "MIT",
    "mpl-2.0": "MPL-2.0",
    "openssl": "OpenSSL",
    "unlicense": "Unlicense",
    "zlib": "Zlib",
}
GNU = re.compile(r"(A?GPL|LGPL|GFDL)-([0-9](?:\.[0-9])?)(\+|-only|-or-later)?$", re.IGNORECASE)
# What is not Debian's, with its licences.
OURS = {"culvert": ["Apache-2.0", "BSD-2-Clause", "GPL-2.0-only"]}


def stanzas(path):
    """The fields of each stanza; a continued field is kept with its line ends."""
    with open(path, encoding="utf-8") as file:
        for text in re.split(r"\n\s*\n", file.read()):
            fields, name = {}, None
            for line in text.splitlines():
                if line[:1] in " \t" and name:
                    fields[name] += "\n" + line.strip()
                elif ":" in line:
                    name, _, value = line.partition(":")
                    fields[name] = value.strip()
            if "Package" in fields:
                yield fields


def spdx(name):
    """SPDX's identifier of a licence that Debian calls `name`; None if there is none."""
    found = GNU.match(name)
    if found:
        family, number, suffix = found.groups()
        number = number if "." in number else f"{number}.0"
        return f"{family.upper()}-{number}-{'only' if suffix in (None, '-only') else 'or-later'}"
    return SPDX.get(name.lower())


def licences(docs, package):
    """The licences that a copyright file in the machine-readable format names, as it names them."""
    if package in OURS:
        return OURS[package]
    path = os.path.join(docs, package, "copyright")
    if not os.path.isfile(path):
        return []
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    if MACHINE_READABLE not in text[:1000]:
        return []
    names = set()
    for line in re.findall(r"^License:[ \t]*(\S.*)$", text, re.MULTILINE):
        for name in re.split(r",?\s+(?:and/or|and|or)\s+|\s*[,|]\s*", line):
            name = re.sub(r"\s+with\s+.*", "", name.strip(" ()."))
            names.add(name)
    return sorted(names - {""})


def component(fields, docs):
    """CycloneDX's entry of one package."""
    name, version = fields["Package"], fields["Version"]
    quoted = f"{urllib.parse.quote(name)}@{urllib.parse.quote(version, safe='')}"
    purl = f"pkg:deb/debian/{quoted}?arch={fields['Architecture']}&distro=debian-13"
    if name in OURS:
        purl = f"pkg:generic/{quoted}"
    found = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    found["description"] = fields.get("Description", name).splitlines()[0]
    names = licences(docs, name)
    known = sorted({spdx(one) for one in names} - {None})
    others = [one for one in names if not spdx(one)]
    if names:
        found["licenses"] = [{"license": {"id": one}} for one in known] + [
            {"license": {"name": one}} for one in others
        ]
    source = fields.get("Source", name).split()[0]
    found["properties"] = [{"name": "debian:source", "value": source}]
    return found


def bill(name, version, lists, epoch):
    """The whole document. `lists`: pairs of a status file and a folder of copyright files."""
    components = sorted(
        (
            component(fields, docs)
            for status, docs in lists
            for fields in stanzas(status)
            if fields.get("Status", "install ok installed").endswith(" installed")
        ),
        key=lambda one: one["bom-ref"],
    )
    digest = hashlib.sha256(json.dumps([name, version, components]).encode()).digest()
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.datetime.fromtimestamp(epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {"type": "operating-system", "bom-ref": name, "name": name, "version": version},
        },
        "components": components,
    }


def main():
    name, version, *rest = sys.argv[1:]
    lists = list(zip(rest[::2], rest[1::2], strict=True))
    document = bill(name, version, lists, int(os.environ["SOURCE_DATE_EPOCH"]))
    json.dump(document, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
