"""The peer of crates/lm/benches/train_peers.rs: the training step of GPT-2 in PyTorch.

    train_peers.py <peer> <folder> <batch> <context>

Reads config.json and parameters.bin (32-bit floats of the parameters in the order of `Model.parameters`, weights as
[in, out]) from the folder, then one command a line: `step`, with tokens.bin (32-bit integers, context + 1 of each text);
answers each with one line of JSON: seconds, processor seconds, the loss before the step, and the process's peak memory.
"""

import json
import os
import resource
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

FOLDER, BATCH, CONTEXT = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


class Block(nn.Module):
    def __init__(self, d, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.attention_norm = nn.LayerNorm(d, eps=1e-5)
        self.qkv = nn.Linear(d, 3 * d)
        self.output = nn.Linear(d, d)
        self.mlp_norm = nn.LayerNorm(d, eps=1e-5)
        self.up = nn.Linear(d, 4 * d)
        self.down = nn.Linear(4 * d, d)

    def forward(self, x):
        batch, n, d = x.shape
        heads = self.qkv(self.attention_norm(x)).view(batch, n, 3, self.n_heads, d // self.n_heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.output(y.transpose(1, 2).reshape(batch, n, d))
        return x + self.down(F.gelu(self.up(self.mlp_norm(x)), approximate="tanh"))


class Model(nn.Module):
    def __init__(self, config):
        super().__init__()
        d = config["n_embd"]
        self.embed = nn.Embedding(config["vocab_size"], d)
        self.positions = nn.Embedding(config["n_positions"], d)
        self.blocks = nn.ModuleList(Block(d, config["n_head"]) for _ in range(config["n_layer"]))
        self.norm = nn.LayerNorm(d, eps=1e-5)

    def forward(self, tokens):
        x = self.embed(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.embed.weight.T


@torch.no_grad()
def load(model, values):
    """Parameters one after the other; of a linear map [in, out], and of qkv three of them, each with its bias."""
    at = 0

    def take(*shape):
        nonlocal at
        n = int(np.prod(shape))
        at += n
        return torch.from_numpy(values[at - n : at].copy()).view(*shape)

    def linear(to, parts=1):
        n_out, n_in = to.weight.shape
        for part in range(parts):
            rows = slice(part * n_out // parts, (part + 1) * n_out // parts)
            to.weight[rows] = take(n_in, n_out // parts).T
            to.bias[rows] = take(n_out // parts)

    def norm(to):
        to.weight.copy_(take(*to.weight.shape))
        to.bias.copy_(take(*to.bias.shape))

    model.embed.weight.copy_(take(*model.embed.weight.shape))
    model.positions.weight.copy_(take(*model.positions.weight.shape))
    for block in model.blocks:
        norm(block.attention_norm)
        linear(block.qkv, 3)
        linear(block.output)
        norm(block.mlp_norm)
        linear(block.up)
        linear(block.down)
    norm(model.norm)
    assert at == len(values), (at, len(values))


def main():
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    with open(f"{FOLDER}/config.json") as file:
        config = json.load(file)
    model = Model(config)
    load(model, np.fromfile(f"{FOLDER}/parameters.bin", dtype=np.float32))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=3e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, fused=True
    )
    print(json.dumps({"version": torch.__version__}), flush=True)
    for _ in sys.stdin:
        tokens = np.fromfile(f"{FOLDER}/tokens.bin", dtype=np.int32).astype(np.int64).reshape(BATCH, CONTEXT + 1)
        tokens = torch.from_numpy(tokens)
        start, processor = time.perf_counter(), time.process_time()
        logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        answer = {
            "s": time.perf_counter() - start,
            "processor_s": time.process_time() - processor,
            "loss": loss.item(),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print(json.dumps(answer), flush=True)


main()
