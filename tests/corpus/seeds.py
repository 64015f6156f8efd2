# SPDX-License-Identifier: Apache-2.0
"""Makes the seeds of tests/fuzz/fuzz_packet.c out of packets.txt: python3 -m tests.corpus.seeds

A seed is one packet, or several whose names start alike up to the last dash (a packet's fragments,
a flow's packets), each after its length in two bytes.
"""

import pathlib

HERE = pathlib.Path(__file__).parent
SEEDS = HERE.parent / "fuzz" / "seeds" / "fuzz_packet"


def main():
    groups = {}
    for line in (HERE / "packets.txt").read_text(encoding="ascii").splitlines():
        if line.startswith("#"):
            continue
        name, _, frame, _ = line.split()
        packet = bytes.fromhex(frame)
        stem = name.rsplit("-", 1)[0] if name.startswith(("fragment", "moving")) else name
        groups[stem] = groups.get(stem, b"") + len(packet).to_bytes(2, "little") + packet
    SEEDS.mkdir(parents=True, exist_ok=True)
    for stem, content in groups.items():
        (SEEDS / stem).write_bytes(content)


if __name__ == "__main__":
    main()
