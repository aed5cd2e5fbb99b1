"""Tiny random dictionaries of each library, with what it computes from them.

    make.py fixtures <folder>              the fixed cases that are committed
    make.py random <folder> <n> <seed>     n random cases of each kind
    make.py check <folder>                 compares what was written in each case's `written/` with the case
    make.py loaders <folder>               the same of what SAELens makes of the other libraries' files itself

A case is a folder: `given/` as the library saves it, and `expected.safetensors` with activations (x), values of
latents (latents) and reconstructions or predictions (reconstruction), computed by the library from what it loads.
"""

import json
import os
import pathlib
import random
import shutil
import sys
import tempfile
import warnings

import numpy as np
import torch
from safetensors.torch import load_file, save_file

warnings.filterwarnings("ignore")
# sparsify's kernels are for GPUs; this makes it decode by plain PyTorch.
os.environ["SPARSIFY_DISABLE_TRITON"] = "1"

import dictionary_learning.dictionary as dl  # noqa: E402
import sae_lens  # noqa: E402
import sae_lens.loading.pretrained_sae_loaders as loaders  # noqa: E402
import sparsify  # noqa: E402
from dictionary_learning.trainers import batch_top_k, gdm, jumprelu, matryoshka_batch_top_k, standard, top_k  # noqa: E402
from dictionary_learning.utils import load_dictionary  # noqa: E402
from sae_lens.saes import batchtopk_sae, matryoshka_batchtopk_sae, standard_sae, topk_sae, transcoder  # noqa: E402
from sae_lens.training.activation_scaler import ActivationScaler  # noqa: E402

# Relative in the L2 norm: both sides compute in single precision, in their own order.
TOLERANCE = 1e-5


def fill(module, generator):
    """Weights and biases that leave some latents active, and rows of the decoder of unlike lengths."""
    with torch.no_grad():
        for name, tensor in sorted(module.named_parameters()):
            noise = torch.randn(tensor.shape, generator=generator)
            if name == "threshold":
                tensor.copy_(0.4 + 0.3 * noise)
            else:
                tensor.copy_(0.5 * noise if tensor.dim() == 1 else 0.6 * noise)


class Case:
    """Sizes and activations of a case."""

    def __init__(self, folder, kind, seed, fixed):
        draw = random.Random(f"{kind} {seed}")
        self.d, self.n = (6, 10) if fixed else (draw.randint(2, 24), draw.randint(3, 60))
        self.out = 4 if fixed else draw.randint(2, 20)
        self.rows = 12 if fixed else draw.randint(1, 30)
        self.k = 3 if fixed else draw.randint(1, self.n)
        self.generator = torch.Generator().manual_seed(draw.randrange(1 << 30))
        scale = 1.0 if fixed else draw.choice([0.1, 1.0, 3.0])
        self.x = scale * torch.randn(self.rows, self.d, generator=self.generator) + 0.2
        self.folder = pathlib.Path(folder)
        self.given = self.folder / "given"
        self.given.mkdir(parents=True)

    def expect(self, latents, reconstruction):
        shapes = [(self.rows, self.n), (self.rows, self.d), (self.rows, self.out)]
        assert latents.shape == shapes[0] and reconstruction.shape in shapes[1:]
        expected = dict(x=self.x, latents=latents, reconstruction=reconstruction)
        expected = {name: tensor.detach().contiguous() for name, tensor in expected.items()}
        save_file(expected, self.folder / "expected.safetensors")


# SAELens

META = dict(model_name="tiny", hook_name="blocks.1.hook_resid_post", context_size=16, prepend_bos=True)


def lens_compute(sae, x):
    with torch.no_grad():
        return sae.encode(x), sae(x)


def lens(case, cls, config, bits=None, heads=None, **fields):
    metadata = sae_lens.saes.sae.SAEMetadata(**META | ({"hook_name": "blocks.1.attn.hook_z"} if heads else {}))
    sae = cls(config(d_in=case.d, d_sae=case.n, metadata=metadata, **fields))
    fill(sae, case.generator)
    if bits:
        sae = sae.to(bits)
    sae.save_model(case.given)
    read = sae_lens.SAE.load_from_disk(case.given, dtype="float32")
    if heads:
        latents, reconstruction = lens_compute(read, case.x.reshape(case.rows, heads, -1))
        return case.expect(latents, reconstruction.reshape(case.rows, case.d))
    case.expect(*lens_compute(read, case.x))


def lens_trained(case, cls, config, **fields):
    """As a training saves a dictionary when it is over."""
    sae = cls(config(d_in=case.d, d_sae=case.n, metadata=sae_lens.saes.sae.SAEMetadata(**META), **fields))
    fill(sae, case.generator)
    if hasattr(sae, "topk_threshold"):
        sae.topk_threshold.fill_(0.45)
    sae.save_inference_model(case.given)
    case.expect(*lens_compute(sae_lens.SAE.load_from_disk(case.given), case.x))


def lens_checkpoint(case):
    """As a training saves it on its way, with the factor of activations in a file of its own."""
    config = standard_sae.StandardTrainingSAEConfig(
        d_in=case.d, d_sae=case.n, normalize_activations="expected_average_only_in"
    )
    sae = standard_sae.StandardTrainingSAE(config)
    fill(sae, case.generator)
    sae.save_model(case.given)
    scaler = ActivationScaler(scaling_factor=0.625)
    scaler.save(str(case.given / "activation_scaler.json"))
    read = sae_lens.SAE.load_from_disk(case.given)
    latents, reconstruction = lens_compute(read, scaler.scale(case.x))
    case.expect(latents, scaler.unscale(reconstruction))


def lens_topk_checkpoint(case):
    config = topk_sae.TopKTrainingSAEConfig(d_in=case.d, d_sae=case.n, k=case.k)
    sae = topk_sae.TopKTrainingSAE(config)
    fill(sae, case.generator)
    sae.save_model(case.given)
    case.expect(*lens_compute(sae_lens.SAE.load_from_disk(case.given), case.x))


def lens_even(case):
    case.d -= case.d % 2
    case.x = case.x[:, : case.d].contiguous()
    lens(case, sae_lens.StandardSAE, sae_lens.StandardSAEConfig, heads=2, reshape_activations="hook_z")


def lens_predicts(case, name, **fields):
    cls, config = getattr(transcoder, name), getattr(transcoder, f"{name}Config")
    lens(case, cls, config, d_out=case.out, apply_b_dec_to_input=False, **fields)


# dictionary_learning

NAMES = dict(layer=1, lm_name="tiny", submodule_name="layers.1", device="cpu")


def learned_save(ae, config, folder):
    """What `trainSAE` does at its end."""
    (folder / "config.json").write_text(json.dumps({"trainer": config, "buffer": {"ctx_len": 16, "io": "out"}}, indent=4))
    torch.save({name: tensor.cpu() for name, tensor in ae.state_dict().items()}, folder / "ae.pt")


def learned_compute(folder, x):
    """The library's own loading of a folder, whose weights may be in safetensors."""
    with tempfile.TemporaryDirectory() as copy:
        shutil.copy(folder / "config.json", copy)
        if (folder / "ae.safetensors").exists():
            torch.save(load_file(folder / "ae.safetensors"), pathlib.Path(copy) / "ae.pt")
        else:
            shutil.copy(folder / "ae.pt", copy)
        ae, _ = load_dictionary(copy, "cpu")
    with torch.no_grad():
        latents = ae.encode(x)
        return latents, ae.decode(latents)


def learned(case, trainer, threshold=None, unit=False, cls=None, **fields):
    made = trainer(activation_dim=case.d, dict_size=case.n, steps=10_000, **NAMES, **fields)
    ae, config = made.ae, made.config
    if cls:
        ae, config = cls(case.d, case.n), config | {"dict_class": cls.__name__}
    fill(ae, case.generator)
    if threshold is not None:
        ae.threshold.fill_(threshold)
    if unit:
        ae.decoder.weight.data /= ae.decoder.weight.data.norm(dim=0)
    learned_save(ae, config, case.given)
    case.expect(*learned_compute(case.given, case.x))
    if hasattr(ae, "k"):
        # Its k is a 32-bit whole number.
        state = torch.load(case.given / "ae.pt", map_location="cpu", weights_only=True)
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, case.given / "ae.safetensors")
        (case.given / "ae.pt").unlink()


def learned_groups(case):
    fields = dict(k=case.k, group_fractions=[0.25, 0.25, 0.5])
    learned(case, matryoshka_batch_top_k.MatryoshkaBatchTopKTrainer, threshold=0.45, **fields)


# sparsify


def sparse_compute(folder, x):
    coder = sparsify.SparseCoder.load_from_disk(folder).float()
    with torch.no_grad():
        found = coder.encode(x)
        latents = torch.zeros(len(x), coder.num_latents).scatter(1, found.top_indices, found.top_acts)
        return latents, coder(x).sae_out


def sparse(case, bits=None, **fields):
    fields = {"num_latents": case.n} | fields
    coder = sparsify.SparseCoder(case.d, sparsify.SparseCoderConfig(k=case.k, **fields), dtype=bits)
    fill(coder, case.generator)
    coder.save_to_disk(case.given)
    case.expect(*sparse_compute(case.given, case.x))


def sparse_expands(case):
    case.n = 2 * case.d
    case.k = min(case.k, case.n)
    sparse(case, num_latents=0, expansion_factor=2)


def sparse_square(case):
    case.n, case.k = case.d, min(case.k, case.d)
    sparse(case)


# Gemma Scope: the files are made as they are described; SAELens has the code that reads them.


def gemma_compute(folder, x):
    params = np.load(folder / "params.npz")
    d, n = params["W_enc"].shape
    out = params["W_dec"].shape[1]
    loaders.hf_hub_download = lambda **_: str(folder / "params.npz")
    if out == d:
        load = loaders.gemma_2_sae_huggingface_loader
        name = "google/gemma-scope-2b-pt-res", "layer_1/width_16k/average_l0_10"
    else:
        load = loaders.gemma_2_transcoder_huggingface_loader
        name = "google/gemma-scope-2b-pt-transcoders", "layer_1/width_16k/average_l0_10"

    def converter(path, device, cfg_overrides):
        config, state, *_ = load(*name, device=device)
        return config | dict(d_in=d, d_sae=n, d_out=out), state

    sae = sae_lens.SAE.load_from_disk(folder, converter=converter)
    return lens_compute(sae, x)


def gemma(case, out=None, bits=np.float32):
    draw = lambda *shape: torch.randn(*shape, generator=case.generator).numpy().astype(bits)
    out = out or case.d
    half = bits(0.5)
    np.savez(
        case.given / "params.npz",
        W_enc=draw(case.d, case.n),
        W_dec=draw(case.n, out),
        b_enc=half * draw(case.n),
        b_dec=half * draw(out),
        threshold=half * draw(case.n),
    )
    case.expect(*gemma_compute(case.given, case.x))


S = sae_lens
KINDS = {
    "lens-standard": lambda c: lens(c, S.StandardSAE, S.StandardSAEConfig),
    "lens-standard-uncentered": lambda c: lens(c, S.StandardSAE, S.StandardSAEConfig, apply_b_dec_to_input=False),
    "lens-standard-bfloat": lambda c: lens(c, S.StandardSAE, S.StandardSAEConfig, bits=torch.bfloat16),
    "lens-standard-half": lambda c: lens(c, S.StandardSAE, S.StandardSAEConfig, bits=torch.float16),
    "lens-standard-length": lambda c: lens(c, S.StandardSAE, S.StandardSAEConfig, normalize_activations="constant_norm_rescale"),
    "lens-standard-layer-norm": lambda c: lens(c, S.StandardSAE, S.StandardSAEConfig, normalize_activations="layer_norm"),
    "lens-standard-heads": lens_even,
    "lens-standard-checkpoint": lens_checkpoint,
    "lens-topk": lambda c: lens(c, S.TopKSAE, S.TopKSAEConfig, k=c.k),
    "lens-topk-rescaled": lambda c: lens(c, S.TopKSAE, S.TopKSAEConfig, k=c.k, rescale_acts_by_decoder_norm=True),
    "lens-topk-trained": lambda c: lens_trained(c, topk_sae.TopKTrainingSAE, topk_sae.TopKTrainingSAEConfig, k=c.k),
    "lens-topk-checkpoint": lens_topk_checkpoint,
    "lens-jumprelu": lambda c: lens(c, S.JumpReLUSAE, S.JumpReLUSAEConfig),
    "lens-batchtopk": lambda c: lens_trained(
        c, batchtopk_sae.BatchTopKTrainingSAE, batchtopk_sae.BatchTopKTrainingSAEConfig, k=c.k
    ),
    "lens-matryoshka": lambda c: lens_trained(
        c,
        matryoshka_batchtopk_sae.MatryoshkaBatchTopKTrainingSAE,
        matryoshka_batchtopk_sae.MatryoshkaBatchTopKTrainingSAEConfig,
        k=c.k,
        matryoshka_widths=[c.n // 2, c.n],
    ),
    "lens-gated": lambda c: lens(c, S.GatedSAE, S.GatedSAEConfig),
    "lens-transcoder": lambda c: lens_predicts(c, "Transcoder"),
    "lens-skip-transcoder": lambda c: lens_predicts(c, "SkipTranscoder"),
    "lens-jumprelu-transcoder": lambda c: lens_predicts(c, "JumpReLUTranscoder"),
    "lens-jumprelu-skip-transcoder": lambda c: lens_predicts(c, "JumpReLUSkipTranscoder"),
    "learning-standard": lambda c: learned(c, standard.StandardTrainer),
    "learning-standard-unit": lambda c: learned(c, standard.StandardTrainer, unit=True),
    "learning-new": lambda c: learned(c, standard.StandardTrainer, cls=dl.AutoEncoderNew),
    "learning-topk": lambda c: learned(c, top_k.TopKTrainer, k=c.k),
    "learning-topk-threshold": lambda c: learned(c, top_k.TopKTrainer, k=c.k, threshold=0.45),
    "learning-batchtopk": lambda c: learned(c, batch_top_k.BatchTopKTrainer, k=c.k, threshold=0.45),
    "learning-matryoshka": learned_groups,
    "learning-gated": lambda c: learned(c, gdm.GatedSAETrainer),
    "learning-jumprelu": lambda c: learned(c, jumprelu.JumpReluTrainer),
    "sparsify-topk": sparse,
    "sparsify-bfloat": lambda c: sparse(c, bits=torch.bfloat16),
    "sparsify-expands": sparse_expands,
    "sparsify-square": sparse_square,
    "sparsify-transcoder": lambda c: sparse(c, transcode=True),
    "sparsify-skip-transcoder": lambda c: sparse(c, transcode=True, skip_connection=True),
    "sparsify-skip": lambda c: sparse(c, skip_connection=True),
    "gemma-residual": gemma,
    "gemma-half": lambda c: gemma(c, bits=np.float16),
    "gemma-transcoder": lambda c: gemma(c, out=c.out),
}

LIBRARIES = {
    "sae_lens": lambda folder, x: lens_compute(sae_lens.SAE.load_from_disk(folder), x),
    "dictionary_learning": learned_compute,
    "sparsify": sparse_compute,
    "gemma_scope": gemma_compute,
}


def make(folder, n, seed, fixed):
    for kind, build in KINDS.items():
        for i in range(n):
            build(Case(pathlib.Path(folder) / (kind if fixed else f"{kind}-{i}"), kind, f"{seed} {i}", fixed))


def apart(ours, theirs):
    return ((ours - theirs).norm() / theirs.norm().clamp(min=1e-30)).item()


def cases(folder):
    return sorted(path.parent for path in pathlib.Path(folder).glob("*/expected.safetensors"))


def compare(case, compute, folder):
    """The larger of the distances of latents and of reconstructions."""
    expected = load_file(case / "expected.safetensors")
    x = expected["x"]
    config = json.loads((folder / "cfg.json").read_text()) if (folder / "cfg.json").exists() else {}
    if config.get("reshape_activations") == "hook_z":
        x = x.reshape(len(x), 2, -1)
    latents, reconstruction = compute(folder, x)
    reconstruction = reconstruction.reshape(expected["reconstruction"].shape)
    if expected["latents"].norm() == 0 and latents.norm() == 0:
        return apart(reconstruction, expected["reconstruction"])
    return max(apart(latents, expected["latents"]), apart(reconstruction, expected["reconstruction"]))


def check(folder):
    """The libraries' reading of what was written; fails if a value differs."""
    worst, counts = {}, {}
    for case in cases(folder):
        for written in sorted((case / "written").iterdir()):
            distance = compare(case, LIBRARIES[written.name], written)
            key = case.name.rstrip("0123456789").rstrip("-"), written.name
            worst[key] = max(worst.get(key, 0.0), distance)
            counts[key] = counts.get(key, 0) + 1
    for (kind, library), distance in worst.items():
        print(f"{kind} as {library}: {counts[kind, library]} cases, at most {distance:.1e} apart")
    failed = [key for key, distance in worst.items() if not distance <= TOLERANCE]
    print(f"read back by the libraries: {sum(counts.values())} folders, {len(failed)} kinds failed, allowed {TOLERANCE:.0e}")
    return bool(failed) or not counts


def loaders_of_lens(folder):
    """What SAELens makes of the other libraries' files, for the record: nothing fails."""
    def learning(path, device, cfg_overrides):
        loaders.hf_hub_download = lambda filename, **_: str(pathlib.Path(path) / pathlib.Path(filename).name)
        return loaders.dictionary_learning_sae_huggingface_loader_1("", "x", device=device)[:2]

    def repaired(path, device, cfg_overrides):
        config, state = loaders.sparsify_disk_loader(path, device, cfg_overrides)
        return config, state | {"W_dec": state["W_dec"].T.contiguous()}

    converters = {
        "learning": [("", learning)],
        "sparsify": [("", loaders.sparsify_disk_loader), (", its W_dec transposed back", repaired)],
    }
    found = {}
    for case in cases(folder):
        kind = case.name.rstrip("0123456789").rstrip("-")
        for name, converter in converters.get(kind.split("-")[0], []):
            outcome = lens_outcome(case, converter)
            found.setdefault(kind + " by SAELens" + name, []).append(outcome)
    for kind, outcomes in found.items():
        distances = [outcome for outcome in outcomes if not isinstance(outcome, str)]
        errors = [outcome for outcome in outcomes if isinstance(outcome, str)]
        text = f"{len(distances)} loaded, {max(distances):.1e} apart at most" if distances else "none loaded"
        print(f"{kind}: {text}" + (f"; {len(errors)} refused, such as {errors[0]}" if errors else ""))


def lens_outcome(case, converter):
    """The distance, or why there is none."""
    with tempfile.TemporaryDirectory() as copy:
        # Model and hook come from the names of folders.
        named = pathlib.Path(copy) / "tiny" / "layers.1"
        shutil.copytree(case / "given", named)
        if (named / "ae.safetensors").exists():
            torch.save(load_file(named / "ae.safetensors"), named / "ae.pt")
        compute = lambda path, x: lens_compute(
            sae_lens.SAE.load_from_disk(path, converter=converter, dtype="float32"), x
        )
        try:
            return compare(case, compute, named)
        except Exception as error:
            return f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["fixtures", folder]:
            make(folder, 1, 0, True)
        case ["random", folder, n, seed]:
            make(folder, int(n), seed, False)
        case ["check", folder]:
            sys.exit(check(folder))
        case ["loaders", folder]:
            loaders_of_lens(folder)
        case _:
            sys.exit(__doc__)
