"""The peers of crates/sae/benches/sae_peers.rs: training steps of sparse dictionaries in other libraries and in PyTorch.

    sae_peers.py <peer> <folder> <rows> <k>

Reads shape.json (architecture and optimizer as the other side has them) and parameters.bin (32-bit floats: encoder and
decoder [latents, width], their biases, thresholds) from the folder, then one command a line, with batch.bin: `step`
answers seconds, the loss before the step if the library tells it, and the process's peak memory; `look` answers loss,
squared error, active latents of a row, and the peak memory before anything was done, and changes no weight. Answers are
lines of JSON.

`saelens` is its trainer's `step`, `learning` the `update` of dictionary_learning's trainers, `sparsify` what its trainer
does with a batch, with Adam. `dense` is what the other side does, in PyTorch with a dense batch of codes; `sparse` sums the
picked rows (embedding_bag).
"""

import json
import os
import resource
import sys
import time
import warnings

# Libraries print while they are imported.
ANSWERS, sys.stdout = sys.stdout, sys.stderr
# sparsify's kernels are for GPUs.
os.environ["SPARSIFY_DISABLE_TRITON"] = "1"
warnings.filterwarnings("ignore")

import numpy as np
import torch
from torch.nn import functional as F

PEER, FOLDER, ROWS, K = sys.argv[1].removesuffix("-tuned"), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
# Warm-ups and decays of schedules lie out of sight.
N_STEPS = 1_000_000


class Shape:
    """What the other side says of the dictionary."""

    def __init__(self):
        with open(f"{FOLDER}/shape.json") as file:
            told = json.load(file)
        self.settings = told["architecture"]
        self.kind = self.settings["kind"]
        self.n, self.d = told["n_latents"], told["width"]
        self.rate, self.decays = told["learning_rate"], tuple(told["decays"])
        numbers = torch.from_numpy(np.fromfile(f"{FOLDER}/parameters.bin", dtype=np.float32))
        parts = numbers.split([self.n * self.d, self.n * self.d, self.n, self.d, self.n])
        self.encoder, self.decoder = (part.view(self.n, self.d) for part in parts[:2])
        self.encoder_bias, self.decoder_bias, self.thresholds = parts[2:]

    def prefixes(self):
        return self.settings.get("prefixes", [self.n])

    @torch.no_grad()
    def put(self, encoder, decoder, encoder_bias, decoder_bias):
        """Into parameters of a library, which keep their place and layout."""
        pairs = (encoder, self.encoder), (decoder, self.decoder)
        for to, values in (*pairs, (encoder_bias, self.encoder_bias), (decoder_bias, self.decoder_bias)):
            to.copy_(values if to.shape == values.shape else values.T)


class SaeLens:
    def __init__(self, shape):
        import sae_lens
        from sae_lens.config import SAETrainerConfig
        from sae_lens.training.sae_trainer import SAETrainer

        self.version = sae_lens.__version__
        settings = shape.settings
        name, fields = {
            "top_k": lambda: ("TopK", dict(k=K)),
            "batch_top_k": lambda: ("BatchTopK", dict(k=K)),
            "matryoshka": lambda: ("MatryoshkaBatchTopK", dict(k=K, matryoshka_widths=shape.prefixes())),
            # One more active latent costs what it does on the other side at 1.5 times the target.
            "jump_relu": lambda: (
                "JumpReLU",
                dict(
                    jumprelu_bandwidth=settings["bandwidth"],
                    l0_coefficient=settings["sparsity"]["coefficient"] / settings["sparsity"]["target"],
                    apply_b_dec_to_input=False,
                ),
            ),
            "relu": lambda: ("Standard", dict(l1_coefficient=settings["penalty"], apply_b_dec_to_input=False)),
            "gated": lambda: ("Gated", dict(l1_coefficient=settings["penalty"])),
        }[shape.kind]()
        config = getattr(sae_lens, f"{name}TrainingSAEConfig")(d_in=shape.d, d_sae=shape.n, **fields)
        self.sae = getattr(sae_lens, f"{name}TrainingSAE")(config)
        bias = self.sae.b_gate if shape.kind == "gated" else self.sae.b_enc
        shape.put(self.sae.W_enc, self.sae.W_dec, bias, self.sae.b_dec)
        if shape.kind == "jump_relu":
            self.sae.threshold.data.copy_(shape.thresholds)
        # Its betas are Adam's usual ones for every architecture.
        config = SAETrainerConfig(
            total_training_samples=N_STEPS * ROWS, train_batch_size_samples=ROWS, lr=shape.rate, lr_end=shape.rate
        )
        self.trainer = SAETrainer(config, self.sae, iter([]))

    def step(self, x):
        output = self.trainer.step(x)
        self.trainer.n_training_steps += 1
        return output.loss.item()

    @torch.no_grad()
    def look(self, x):
        from sae_lens.saes.sae import TrainStepInput

        given = TrainStepInput(
            sae_in=x,
            coefficients=self.trainer.get_coefficients(),
            dead_neuron_mask=None,
            n_training_steps=self.trainer.n_training_steps,
            is_logging_step=False,
        )
        output = self.sae.training_forward_pass(given)
        return output.loss, output.losses["mse_loss"], (output.feature_acts > 0).sum(1).float().mean()


class Learning:
    def __init__(self, shape):
        from importlib.metadata import version

        from dictionary_learning.trainers import batch_top_k, gdm, jumprelu, matryoshka_batch_top_k, standard, top_k

        self.version = version("dictionary_learning")
        settings = shape.settings
        ends = [0, *shape.prefixes()]
        penalized = dict(sparsity_warmup_steps=None)
        trainer, fields = {
            "top_k": lambda: (top_k.TopKTrainer, dict(k=K)),
            "batch_top_k": lambda: (batch_top_k.BatchTopKTrainer, dict(k=K)),
            "matryoshka": lambda: (
                matryoshka_batch_top_k.MatryoshkaBatchTopKTrainer,
                dict(k=K, group_fractions=[(b - a) / shape.n for a, b in zip(ends, ends[1:])]),
            ),
            "jump_relu": lambda: (
                jumprelu.JumpReluTrainer,
                dict(
                    penalized,
                    bandwidth=settings["bandwidth"],
                    sparsity_penalty=settings["sparsity"]["coefficient"],
                    target_l0=settings["sparsity"]["target"],
                ),
            ),
            "relu": lambda: (standard.StandardTrainerAprilUpdate, dict(penalized, l1_penalty=settings["penalty"])),
            "gated": lambda: (gdm.GatedSAETrainer, dict(penalized, l1_penalty=settings["penalty"])),
        }[shape.kind]()
        self.trainer = trainer(
            steps=N_STEPS, activation_dim=shape.d, dict_size=shape.n, layer=0, lm_name="none", lr=shape.rate,
            warmup_steps=0, device="cpu", **fields,
        )
        ae = self.trainer.ae
        if shape.kind in ("matryoshka", "jump_relu"):
            shape.put(ae.W_enc, ae.W_dec, ae.b_enc, ae.b_dec)
        elif shape.kind == "gated":
            shape.put(ae.encoder.weight, ae.decoder.weight, ae.gate_bias, ae.decoder_bias)
        else:
            bias = ae.bias if shape.kind == "relu" else ae.b_dec
            shape.put(ae.encoder.weight, ae.decoder.weight, ae.encoder.bias, bias)
        if shape.kind == "jump_relu":
            ae.threshold.data.copy_(shape.thresholds)
        # Step 0 would put the median of its batch in the place of the decoder's bias.
        self.t = 0

    def step(self, x):
        self.t += 1
        return self.trainer.update(self.t, x)

    @torch.no_grad()
    def look(self, x):
        _, decoded, codes, losses = self.trainer.loss(x, step=1, logging=True)
        return torch.tensor(losses["loss"]), (x - decoded).pow(2).sum(1).mean(), (codes > 0).sum(1).float().mean()


class Sparsify:
    def __init__(self, shape):
        from importlib.metadata import version

        import sparsify

        self.version = version("eai-sparsify")
        config = sparsify.SparseCoderConfig(num_latents=shape.n, k=K)
        self.sae = sparsify.SparseCoder(shape.d, config, dtype=torch.float32)
        shape.put(self.sae.encoder.weight, self.sae.W_dec, self.sae.encoder.bias, self.sae.b_dec)
        self.optimizer = torch.optim.Adam(self.sae.parameters(), lr=shape.rate)
        self.idle = torch.zeros(shape.n, dtype=torch.long)

    def step(self, x):
        self.sae.set_decoder_norm_to_unit_norm()
        variance = (x - x.mean(0)).pow(2).sum()
        output = self.sae(x=x, y=x, dead_mask=None, total_variance=variance)
        fired = torch.zeros_like(self.idle, dtype=torch.bool)
        fired[output.latent_indices.flatten()] = True
        output.fvu.backward()
        self.sae.remove_gradient_parallel_to_decoder_directions()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.idle += len(x)
        self.idle[fired] = 0
        return output.fvu.item()

    @torch.no_grad()
    def look(self, x):
        output = self.sae(x)
        error = (x - output.sae_out).pow(2).sum(1).mean()
        return output.fvu, error, (output.latent_acts > 0).sum(1).float().mean()


class Jump(torch.autograd.Function):
    """Values above thresholds and their number by row; slopes by thresholds are those of a rectangle kernel."""

    @staticmethod
    def forward(ctx, pre, thresholds, bandwidth):
        ctx.save_for_backward(pre, thresholds)
        ctx.bandwidth = bandwidth
        is_open = pre > thresholds
        return pre * is_open, is_open.sum(1).float()

    @staticmethod
    def backward(ctx, by_value, by_count):
        pre, thresholds = ctx.saved_tensors
        in_band = (pre - thresholds).abs() < 0.5 * ctx.bandwidth
        by_threshold = (in_band * (thresholds * by_value + by_count[:, None])).sum(0) / -ctx.bandwidth
        return by_value * (pre > thresholds), by_threshold, None


class Plain:
    def __init__(self, shape):
        self.version, self.shape = torch.__version__, shape
        numbers = [shape.encoder, shape.decoder, shape.encoder_bias, shape.decoder_bias]
        if shape.kind == "jump_relu":
            numbers.append(shape.thresholds.log())
        if shape.kind == "gated":
            numbers += [torch.zeros(shape.n), torch.zeros(shape.n)]
        self.parameters = [part.clone().requires_grad_() for part in numbers]
        self.optimizer = torch.optim.Adam(self.parameters, lr=shape.rate, betas=shape.decays, eps=1e-8, fused=True)

    def loss(self, x):
        """The loss, the squared error, and the values of latents, dense or of the picked ones."""
        encoder, decoder, encoder_bias, decoder_bias, *others = self.parameters
        settings, kind = self.shape.settings, self.shape.kind
        mean_square = lambda left: left.pow(2).sum(1).mean()
        if kind in ("relu", "jump_relu"):
            pre = F.linear(x, encoder, encoder_bias)
        else:
            pre = F.linear(x - decoder_bias, encoder, encoder_bias)
        if kind == "top_k":
            codes, latents = pre.topk(K, sorted=False)
            codes = codes.relu()
            if PEER == "sparse":
                decoded = F.embedding_bag(latents, decoder, mode="sum", per_sample_weights=codes)
            else:
                decoded = torch.zeros_like(pre).scatter(1, latents, codes) @ decoder
            error = mean_square(x - decoded - decoder_bias)
            return error, error, codes
        if kind in ("batch_top_k", "matryoshka"):
            values, places = pre.relu().flatten().topk(K * len(x), sorted=False)
            codes = torch.zeros(pre.numel()).scatter(0, places, values).view_as(pre)
            left, loss, start = x - decoder_bias, 0.0, 0
            weights = settings.get("weights", [1.0])
            for end, weight in zip(self.shape.prefixes(), weights):
                left = left - codes[:, start:end] @ decoder[start:end]
                error = mean_square(left)
                loss, start = loss + weight * error, end
            return loss, error, codes
        if kind == "relu":
            codes = pre.relu()
            error = mean_square(x - codes @ decoder - decoder_bias)
            return error + settings["penalty"] * (codes * decoder.norm(dim=1)).sum(1).mean(), error, codes
        if kind == "jump_relu":
            codes, counts = Jump.apply(pre, others[0].exp(), settings["bandwidth"])
            error = mean_square(x - codes @ decoder - decoder_bias)
            sparsity = settings["sparsity"]
            return error + sparsity["coefficient"] * (counts.mean() / sparsity["target"] - 1).pow(2), error, codes
        gates = pre.relu()
        codes = (others[0].exp() * (pre - encoder_bias) + others[1]).relu() * (pre > 0)
        error = mean_square(x - codes @ decoder - decoder_bias)
        aside = mean_square(x - gates @ decoder.detach() - decoder_bias.detach())
        return error + settings["penalty"] * gates.sum(1).mean() + aside, error, codes

    def step(self, x):
        loss = self.loss(x)[0]
        decoder = self.parameters[1]
        self.optimizer.zero_grad()
        loss.backward()
        with torch.no_grad():
            if self.shape.kind != "relu":
                decoder.grad -= (decoder.grad * decoder).sum(1, keepdim=True) * decoder
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimizer.step()
            if self.shape.kind != "relu":
                decoder /= decoder.norm(dim=1, keepdim=True)
        return loss.item()

    @torch.no_grad()
    def look(self, x):
        loss, error, codes = self.loss(x)
        return loss, error, (codes > 0).sum(1).float().mean()


def main():
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    peak_mb = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say = lambda answer: print(json.dumps(answer), file=ANSWERS, flush=True)
    shape = Shape()
    made = {"saelens": SaeLens, "learning": Learning, "sparsify": Sparsify, "dense": Plain, "sparse": Plain}[PEER]
    peer, loaded_mb = made(shape), peak_mb()
    own = "" if isinstance(peer, Plain) else f"{peer.version}, torch "
    say({"version": own + torch.__version__})
    for command in sys.stdin:
        x = torch.from_numpy(np.fromfile(f"{FOLDER}/batch.bin", dtype=np.float32)).view(ROWS, shape.d)
        if command.strip() == "look":
            loss, error, l0 = (number.item() for number in peer.look(x))
            say({"loss": loss, "squared_error": error, "l0": l0, "loaded_mb": loaded_mb})
            continue
        start = time.perf_counter()
        loss = peer.step(x)
        say({"s": time.perf_counter() - start, "loss": loss, "peak_mb": peak_mb()})


main()
