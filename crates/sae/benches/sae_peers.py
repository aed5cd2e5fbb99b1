"""The peer of crates/sae/benches/sae_peers.rs: the training step of a TopK dictionary in PyTorch.

    sae_peers.py <peer> <folder> <batch> <k>

Reads shape.json and parameters.bin (32-bit floats: encoder and decoder [latents, width], their biases) from the folder,
then one command a line: `step`, with batch.bin; answers each with one line of JSON: seconds, the loss before the step, and
the process's peak memory. `dense` scatters values into a batch of codes, as libraries do; `sparse` sums the picked rows
(embedding_bag). With `-tuned` behind it a peer keeps its memory, as the allocator of the other side does.
"""

import json
import os
import resource
import sys
import time

TUNABLES = (
    "glibc.malloc.mmap_max=0:glibc.malloc.mmap_threshold=4294967296:"
    "glibc.malloc.trim_threshold=4294967296:glibc.malloc.hugetlb=1"
)
PEER, FOLDER, BATCH, K = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
if PEER.endswith("-tuned") and os.environ.get("GLIBC_TUNABLES") != TUNABLES:
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"GLIBC_TUNABLES": TUNABLES})

import numpy as np
import torch
from torch.nn import functional as F


def main():
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    with open(f"{FOLDER}/shape.json") as file:
        shape = json.load(file)
    n, d = shape["n_latents"], shape["width"]
    numbers = torch.from_numpy(np.fromfile(f"{FOLDER}/parameters.bin", dtype=np.float32))
    parts = numbers.split([n * d, n * d, n, d])
    encoder, decoder = (part.view(n, d).clone().requires_grad_() for part in parts[:2])
    encoder_bias, decoder_bias = (part.clone().requires_grad_() for part in parts[2:])
    parameters = [encoder, decoder, encoder_bias, decoder_bias]
    optimizer = torch.optim.Adam(parameters, lr=shape["learning_rate"], betas=(0.9, 0.999), eps=1e-8, fused=True)
    print(json.dumps({"version": torch.__version__}), flush=True)
    for _ in sys.stdin:
        x = torch.from_numpy(np.fromfile(f"{FOLDER}/batch.bin", dtype=np.float32)).view(BATCH, d)
        start = time.perf_counter()
        values, latents = F.linear(x - decoder_bias, encoder, encoder_bias).topk(K, sorted=False)
        values = values.relu()
        if PEER.startswith("sparse"):
            decoded = F.embedding_bag(latents, decoder, mode="sum", per_sample_weights=values)
        else:
            decoded = torch.zeros(BATCH, n).scatter(1, latents, values) @ decoder
        loss = (x - decoded - decoder_bias).pow(2).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        with torch.no_grad():
            decoder.grad -= (decoder.grad * decoder).sum(1, keepdim=True) * decoder
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            decoder /= decoder.norm(dim=1, keepdim=True)
        answer = {
            "s": time.perf_counter() - start,
            "loss": loss.item(),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print(json.dumps(answer), flush=True)


main()
