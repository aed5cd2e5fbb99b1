"""The peers of `just bench-peers`: the memory of crates/sdm/benches/peers.rs in NumPy and PyTorch.

    peers.py <peer> <folder> <n> <radius>

Reads addresses.bin, patterns.bin and queries.bin (packed rows of 64-bit words) from the folder, then one
command a line: `write`, `read 1`, `read all` or `table`; answers each with one line of JSON: seconds, a
checksum of the result, and the process's peak memory.
"""

import json
import os
import resource
import sys
import time

import numpy as np

PEER, FOLDER, N, RADIUS = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
WORDS = (N + 63) // 64


def rows(name):
    return np.fromfile(f"{FOLDER}/{name}.bin", dtype=np.uint64).reshape(-1, WORDS)


def signs(packed, dtype):
    bits = np.unpackbits(packed.view(np.uint8), axis=1, bitorder="little")[:, :N]
    return bits.astype(dtype) * 2 - 1


class Packed:
    """Words and popcount; the words of all neurons side by side, which is the faster layout here."""

    version = np.__version__

    def __init__(self):
        self.planes = np.ascontiguousarray(rows("addresses").T)
        self.patterns, self.queries = rows("patterns"), rows("queries")
        self.signs = signs(self.patterns, np.int16)
        self.counters = np.zeros((self.planes.shape[1], N), dtype=np.int16)

    def active(self, query):
        distance = np.zeros(self.planes.shape[1], dtype=np.uint16)
        for plane, word in zip(self.planes, query):
            distance += np.bitwise_count(plane ^ word)
        return np.flatnonzero(distance <= RADIUS)

    def write(self):
        for pattern, values in zip(self.patterns, self.signs):
            self.counters[self.active(pattern)] += values
        return int(self.counters[:1000].sum(dtype=np.int64))

    def read(self, count):
        sums = [self.counters[self.active(q)].sum(axis=0, dtype=np.int32) for q in self.queries[:count]]
        return int(np.abs(np.stack(sums)).sum(dtype=np.int64))

    def table(self):
        """Eq. (2) in log space for every distance, vectorized over its two sums."""
        ln_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, N + 1)))])

        def ln_binomial(top, bottom):
            return ln_factorial[top] - ln_factorial[bottom] - ln_factorial[top - bottom]

        total = 0.0
        for d_v in range(N + 1):
            a = np.arange(max(0, N - RADIUS - d_v // 2), N - d_v + 1)
            c = np.arange(d_v + 1)
            keeps = (c >= np.maximum(0, N - RADIUS - a)[:, None]) & (c <= (d_v - (N - RADIUS - a))[:, None])
            if keeps.any():
                terms = ln_binomial(N - d_v, a)[:, None] + ln_binomial(d_v, c)[None, :]
                largest = terms[keeps].max()
                total += largest + np.log(np.exp(terms[keeps] - largest).sum())
        return total


class Float(Packed):
    """The float product: addresses as ±1, a neuron is active where the dot product is at least n − 2d."""

    def __init__(self):
        super().__init__()
        del self.planes
        self.addresses = signs(rows("addresses"), np.float32)
        self.cues = {"write": signs(self.patterns, np.float32), "read": signs(self.queries, np.float32)}

    def products(self, cues):
        return self.addresses @ cues.T if len(cues) > 1 else (self.addresses @ cues[0])[:, None]

    def actives(self, cues):
        return [np.flatnonzero(product >= N - 2 * RADIUS) for product in self.products(cues).T]

    def write(self):
        for active, values in zip(self.actives(self.cues["write"]), self.signs):
            self.counters[active] += values
        return int(self.counters[:1000].sum(dtype=np.int64))

    def read(self, count):
        actives = self.actives(self.cues["read"][:count])
        sums = [self.counters[active].sum(axis=0, dtype=np.int32) for active in actives]
        return int(np.abs(np.stack(sums)).sum(dtype=np.int64))


class Torch(Float):
    """The float product in PyTorch, the counters too."""

    def __init__(self):
        import torch

        self.torch = torch
        torch.set_num_threads(os.cpu_count())
        self.version = torch.__version__
        super().__init__()
        self.cues = {name: torch.from_numpy(cue) for name, cue in self.cues.items()}
        self.addresses = torch.from_numpy(self.addresses)
        self.counters = torch.from_numpy(self.counters)
        self.signs = torch.from_numpy(self.signs)

    def products(self, cues):
        return self.addresses @ cues.T

    def actives(self, cues):
        products = self.products(cues).T.contiguous()
        return [self.torch.nonzero(product >= N - 2 * RADIUS)[:, 0] for product in products]

    def write(self):
        for active, values in zip(self.actives(self.cues["write"]), self.signs):
            self.counters[active] += values
        return int(self.counters[:1000].sum())

    def read(self, count):
        actives = self.actives(self.cues["read"][:count])
        sums = [self.counters[active].sum(dim=0, dtype=self.torch.int32) for active in actives]
        return int(self.torch.stack(sums).abs().sum())


def main():
    peer = {"numpy-packed": Packed, "numpy-float": Float, "pytorch-float": Torch}[PEER]()
    print(json.dumps({"version": peer.version}), flush=True)
    for line in sys.stdin:
        command = line.split()
        start = time.perf_counter()
        if command[0] == "read":
            check = peer.read(1 if command[1] == "1" else len(peer.queries))
        else:
            check = getattr(peer, command[0])()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"s": seconds, "check": check, "peak_mb": peak}), flush=True)


main()
