# SPDX-License-Identifier: Apache-2.0
"""Random zones without errors, full of corner cases: few labels, so that names meet."""

import dns.name

LABELS = ["a", "b", "c", "ns", "*", "A-Much-Longer-Label-Than-The-Others"]


def _name(rng, apex, depth, wildcard=True):
    labels = [rng.choice(LABELS if wildcard else LABELS[:4]) for _ in range(depth)]
    return ".".join(labels + [apex]) if apex != "." else ".".join(labels) + "."


def _target(rng, apex):
    if rng.random() < 0.2:
        return rng.choice(["host.example.org.", "a.b.test.", "ns.elsewhere.net."])
    return _name(rng, apex, rng.randint(0, 3), wildcard=False) or "."


def _data(rng, apex):
    kind = rng.choice(["A", "A", "AAAA", "TXT", "MX", "SRV", "PTR", "TYPE731", "HINFO", "CAA"])
    ttl = rng.choice([0, 30, 3600])
    data = {
        "A": lambda: f"192.0.2.{rng.randint(0, 255)}",
        "AAAA": lambda: f"2001:db8::{rng.randint(0, 65535):x}",
        "TXT": lambda: '"' + "x" * rng.randint(0, 40) + '"',
        "MX": lambda: f"{rng.randint(0, 99)} {_target(rng, apex)}",
        "SRV": lambda: f"0 1 {rng.randint(0, 99)} {_target(rng, apex)}",
        "PTR": lambda: _target(rng, apex),
        "TYPE731": lambda: rf"\# 3 {rng.randint(0, 0xFFFFFF):06x}",
        "HINFO": lambda: '"cpu" "os"',
        "CAA": lambda: '0 issue "ca.test"',
    }[kind]
    return kind, ttl, sorted({data() for _ in range(rng.choice([1, 1, 2, 5]))})


def _place(rng, apex, sets, cuts):
    name = _name(rng, apex, rng.randint(1, 3)).lower()
    kind = rng.random()
    if kind < 0.15 and "*" not in name:
        cuts.add(name)
    elif kind < 0.35:
        sets.setdefault(name, {})["CNAME"] = (60, [_target(rng, apex)])
    else:
        for _ in range(rng.randint(1, 3)):
            rdtype, ttl, data = _data(rng, apex)
            sets.setdefault(name, {})[rdtype] = (ttl, data)


def _below(name, above):
    return dns.name.from_text(name).is_subdomain(dns.name.from_text(above))


def _delegate(rng, sets, cuts):
    """Each cut has servers; what lies below it goes, but for glue."""
    cuts = {c for c in cuts if not any(_below(c, o) and c != o for o in cuts)}
    for name in list(sets):
        if any(_below(name, cut) for cut in cuts):
            del sets[name]
    for cut in cuts:
        servers = []
        for i in range(rng.randint(1, 13)):
            if rng.random() < 0.5:
                servers.append(f"ns{i}.example.org.")
                continue
            host = f"h{i}.{cut}" if rng.random() < 0.8 else cut
            servers.append(host)
            sets.setdefault(host, {})["A"] = (300, [f"198.51.100.{i}"])
            if rng.random() < 0.5:
                sets[host]["AAAA"] = (300, [f"2001:db8::{i}"])
        sets.setdefault(cut, {})["NS"] = (300, sorted(set(servers)))
        if rng.random() < 0.3:
            sets[cut]["DS"] = (300, ["12345 8 2 " + "ab" * 32])
    return sets


def _loops(sets, name):
    """Follows aliases loosely: a wildcard may stand for any name, so any doubt is a loop."""
    for _ in range(8):
        target = sets.get(name, {}).get("CNAME")
        if not target:
            return False
        name = target[1][0].lower()
        if name not in sets:
            return any("*" in other and "CNAME" in sets[other] for other in sets)
    return True


def make_zone(rng, apex, size):
    """Zone text for an absolute apex name."""
    sets, cuts = {}, set()
    for _ in range(size):
        _place(rng, apex, sets, cuts)
    sets = _delegate(rng, sets, cuts)
    for name, here in list(sets.items()):
        if "CNAME" in here:
            sets[name] = {"CNAME": here["CNAME"]}
            if _loops(sets, name):
                sets[name] = {"TXT": (5, ['"was an alias"'])}
    lines = [f"{apex} 900 IN SOA ns.test. host.{apex if apex != '.' else ''} 7 2 3 4 "
             f"{rng.choice([0, 60, 9999])}"]
    lines.append(f"{apex} 900 IN NS ns.test.")
    for name, here in sets.items():
        for rdtype, (ttl, data) in here.items():
            lines += [f"{name} {ttl} IN {rdtype} {one}" for one in data]
    if apex == ".":  # what is outside of other zones is delegated by this one
        for top in ("org.", "net.", "test."):
            lines += [f"{top} 60 IN NS ns.{top}", f"ns.{top} 60 IN A 192.0.2.1"]
    head, tail = lines[:2], lines[2:]
    rng.shuffle(tail)
    return "\n".join(head + tail) + "\n"
