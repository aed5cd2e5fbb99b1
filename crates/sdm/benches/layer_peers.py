"""The peers of crates/sdm/benches/layer_peers.rs: an epoch of the SDM layer in PyTorch.

    layer_peers.py <peer> <folder> <inputs> <neurons>

Reads x.bin, w.bin, v.bin (32-bit floats, row after row) and labels.bin (bytes) from the folder, then one
command a line: `epoch`; answers each with one line of JSON: seconds, the sum of V, and the process's peak
memory.
"""

import json
import os
import resource
import sys
import time

import numpy as np
import torch

PEER, FOLDER, N_INPUTS, N_NEURONS = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
BATCH, K, RATE, CLIP = 128, 10, 0.05, 1.0


def floats(name, columns):
    return torch.from_numpy(np.fromfile(f"{FOLDER}/{name}.bin", dtype=np.float32).reshape(-1, columns))


class Dense:
    """The layer as it is written in the authors' framework."""

    def __init__(self):
        self.x, self.w = floats("x", N_INPUTS), floats("w", N_INPUTS).requires_grad_()
        self.v = floats("v", 10).requires_grad_()
        self.labels = torch.from_numpy(np.fromfile(f"{FOLDER}/labels.bin", dtype=np.uint8).astype(np.int64))
        self.optimizer = torch.optim.SGD([self.w, self.v], lr=RATE)

    def step(self, x, labels):
        a = torch.relu(x @ self.w.T)
        inhibition = torch.topk(a, K + 1, dim=1).values[:, -1:].detach()
        logits = torch.relu(a - inhibition) @ self.v
        self.optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, labels).backward()
        torch.nn.utils.clip_grad_norm_([self.w, self.v], CLIP)
        self.optimizer.step()
        with torch.no_grad():
            self.w.clamp_(min=0)
            self.v.clamp_(min=0)
            self.w.div_(self.w.norm(dim=1, keepdim=True).clamp_(min=1e-12))

    def epoch(self):
        for first in range(0, len(self.x), BATCH):
            self.step(self.x[first : first + BATCH], self.labels[first : first + BATCH])
        return float(self.v.detach().sum(dtype=torch.float64))


class Sparse(Dense):
    """Only rows that were active in a batch have gradients and are stepped, clamped and scaled."""

    @torch.no_grad()
    def step(self, x, labels):
        w, v = self.w.data, self.v.data
        values, places = torch.topk(x @ w.T, K + 1, dim=1)
        values = values.clamp_(min=0)
        h = values[:, :K] - values[:, K:]
        places = places[:, :K]
        own = v[places]
        error = torch.softmax((h.unsqueeze(2) * own).sum(1), 1)
        error[torch.arange(len(x)), labels] -= 1
        error /= len(x)
        rows, which = torch.unique(places, return_inverse=True)
        which = which.reshape(-1)
        dv = torch.zeros(len(rows), v.shape[1]).index_add_(0, which, (h.unsqueeze(2) * error.unsqueeze(1)).reshape(-1, v.shape[1]))
        dh = (own * error.unsqueeze(1)).sum(2) * (h > 0)
        # dW of the active rows as a product with the sparse activations.
        weights = torch.zeros(len(rows), len(x))
        weights[which, torch.arange(len(x)).repeat_interleave(K)] = dh.reshape(-1)
        dw = weights @ x
        norm = torch.sqrt((dw * dw).sum() + (dv * dv).sum())
        scale = -RATE * min(1.0, float(CLIP / (norm + 1e-6)))
        new = w[rows].add_(dw, alpha=scale).clamp_(min=0)
        w[rows] = new / new.norm(dim=1, keepdim=True).clamp_(min=1e-12)
        v[rows] = v[rows].add_(dv, alpha=scale).clamp_(min=0)


def main():
    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(0)
    peer = {"pytorch-dense": Dense, "pytorch-sparse": Sparse}[PEER]()
    print(json.dumps({"version": torch.__version__}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        check = peer.epoch()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"s": seconds, "check": check, "peak_mb": peak}), flush=True)


main()
