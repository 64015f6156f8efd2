# SPDX-License-Identifier: Apache-2.0
"""What a name server must answer from its zones: RFC 1034 section 4.3.2 step by step, on dnspython's
own reading of the zone text. Slow and simple; shares nothing with the C code."""

from dataclasses import dataclass, field

import dns.name
import dns.rcode
import dns.rdatatype as T
import dns.zone

CHAIN_MAX = 16


@dataclass
class Answer:
    rcode: int = dns.rcode.NOERROR
    aa: bool = True
    answer: set = field(default_factory=set)
    authority: set = field(default_factory=set)
    glue: set = field(default_factory=set)  # what must be in the additional section
    extra: set = field(default_factory=set)  # what else may be


def _records(name, ttl, rdataset):
    return {(name, rdataset.rdtype, ttl, rdata.to_digestable()) for rdata in rdataset}


class Resolver:
    def __init__(self, zones):
        """zones: {apex text: zone text}"""
        self.zones = {}
        for apex, text in zones.items():
            origin = dns.name.from_text(apex)
            self.zones[origin] = dns.zone.from_text(text, origin=origin, relativize=False)

    def _enclosing(self, name):
        while True:
            if name in self.zones:
                return name
            if name == dns.name.root:
                return None
            name = name.parent()

    def _exists(self, apex, name):
        """The name or one below it is in the zone, or leads to another zone of ours."""
        names = list(self.zones[apex].nodes) + list(self.zones)
        return any(other.is_subdomain(name) for other in names)

    def _sets(self, apex, name):
        node = self.zones[apex].nodes.get(name)
        return {rdataset.rdtype: rdataset for rdataset in node} if node else {}

    def _cut(self, apex, name, qtype):
        """The topmost delegation at or above the name."""
        path = []
        while name != apex:
            path.append(name)
            name = name.parent()
        for at in reversed(path):
            if T.NS in self._sets(apex, at) and not (at == path[0] and qtype == T.DS):
                return at
        return None

    def _addresses(self, apex, name):
        found = set()
        for rdtype in (T.A, T.AAAA):
            rdataset = self._sets(apex, name).get(rdtype)
            if rdataset:
                found |= _records(name, rdataset.ttl, rdataset)
        return found

    def _soa(self, apex):
        rdataset = self._sets(apex, apex)[T.SOA]
        return _records(apex, min(rdataset.ttl, rdataset[0].minimum), rdataset)

    def _refer(self, apex, cut):
        servers = self._sets(apex, cut)[T.NS]
        result = Answer(aa=False, authority=_records(cut, servers.ttl, servers))
        for server in servers:
            target = server.target
            if not target.is_subdomain(apex) or self._enclosing(target) != apex:
                continue
            if target.is_subdomain(cut):
                result.glue |= self._addresses(apex, target)
            else:
                result.extra |= self._addresses(apex, target)
        return result

    def _find(self, apex, name):
        """The record sets at a name of the zone: its own or a wildcard's; None: no such name."""
        if self._exists(apex, name):
            return self._sets(apex, name)
        encloser = name.parent()
        while not self._exists(apex, encloser):
            encloser = encloser.parent()
        wildcard = dns.name.Name((b"*",) + encloser.labels)
        return self._sets(apex, wildcard) if self._exists(apex, wildcard) else None

    def _outside(self, apex, name):
        return (
            not name.is_subdomain(apex)
            or self._enclosing(name) != apex
            or self._cut(apex, name, None) is not None
        )

    def ask(self, qname, qtype):
        apex = self._enclosing(qname)
        if apex is None:
            return Answer(rcode=dns.rcode.REFUSED, aa=False)
        if qtype == T.DS and qname == apex:
            parent = self._enclosing(qname.parent()) if qname != dns.name.root else None
            if parent is not None and self._cut(parent, qname.parent(), None) is None:
                apex = parent
                rdataset = self._sets(apex, qname).get(T.DS)
                if rdataset:
                    return Answer(answer=_records(qname, rdataset.ttl, rdataset))
                return Answer(authority=self._soa(apex))
        cut = self._cut(apex, qname, qtype)
        if cut is not None:
            return self._refer(apex, cut)
        return self._follow(apex, qname, qtype)

    def _follow(self, apex, name, qtype):
        result = Answer()
        for _ in range(CHAIN_MAX + 1):
            sets = self._find(apex, name)
            if sets is None:
                result.rcode = dns.rcode.NXDOMAIN
                result.authority = self._soa(apex)
                return result
            if T.CNAME in sets and qtype != T.CNAME:
                result.answer |= _records(name, sets[T.CNAME].ttl, sets[T.CNAME])
                name = sets[T.CNAME][0].target
                if self._outside(apex, name):
                    return result
                continue
            if qtype in sets:
                result.answer |= _records(name, sets[qtype].ttl, sets[qtype])
                if not any(record[1] == T.CNAME for record in result.answer) or qtype == T.CNAME:
                    result.extra = self._extra(apex, sets[qtype])
            else:
                result.authority = self._soa(apex)
            return result
        raise RecursionError(name)

    def _extra(self, apex, rdataset):
        found = set()
        for rdata in rdataset:
            if rdataset.rdtype in (T.NS, T.SRV):
                target = rdata.target
            elif rdataset.rdtype == T.MX:
                target = rdata.exchange
            else:
                continue
            if not self._outside(apex, target):
                found |= self._addresses(apex, target)
        return found
