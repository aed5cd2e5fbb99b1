"""Tiny random models of each family, with what `transformers` computes from them.

    draw.py fixtures <folder>              the fixed cases that are committed
    draw.py random <folder> <n> <seed>     n random configurations of each family
    draw.py text <model> <text> <file>     tokens and logits of a text by a model folder

A case is a folder: `model/` as transformers saves it, and `expected.safetensors` with the tokens, the
logits, every residual stream and the attention patterns, named as the hooks are.
"""

import json
import pathlib
import random
import sys

import torch
import transformers as hf
from safetensors.torch import save_file

hf.utils.logging.set_verbosity_error()
hf.utils.logging.disable_progress_bar()

CLASSES = {
    "gpt2": (hf.GPT2Config, hf.GPT2LMHeadModel),
    "gpt2_query_key_norm": (hf.GPT2Config, hf.GPT2LMHeadModel),
    "llama": (hf.LlamaConfig, hf.LlamaForCausalLM),
    "mistral": (hf.MistralConfig, hf.MistralForCausalLM),
    "qwen3": (hf.Qwen3Config, hf.Qwen3ForCausalLM),
    "gpt_oss": (hf.GptOssConfig, hf.GptOssForCausalLM),
}


def unit_attention(module, query, key, value, attention_mask, **_):
    """Cosines of queries and keys times a scale per head, causal."""
    unit = lambda x: x / x.norm(dim=-1, keepdim=True)
    scores = unit(query) @ unit(key).transpose(2, 3) * module.scale[None, :, None, None]
    n = query.shape[2]
    hidden = torch.ones(n, n, dtype=torch.bool).triu(1)
    pattern = scores.masked_fill(hidden, float("-inf")).softmax(-1)
    return (pattern @ value).transpose(1, 2), pattern


hf.AttentionInterface.register("unit", unit_attention)


def with_scales(model):
    """Gives each layer of a GPT-2 the learned scales of its heads."""
    for block in model.transformer.h:
        heads = model.config.n_head
        block.attn.register_parameter("scale", torch.nn.Parameter(torch.empty(heads)))
    model.config._attn_implementation = "unit"
    return model


def build(family, fields, seed):
    """A model whose weights are large enough that attention is far from uniform."""
    config, architecture = CLASSES[family]
    eager = dict(attn_implementation="eager")
    if family == "gpt_oss":
        # The grouped product that it takes else refuses odd sizes.
        eager["experts_implementation"] = "eager"
    config = config(**fields, **eager)
    model = architecture(config)
    if family == "gpt2_query_key_norm":
        model = with_scales(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("scale"):
                parameter.copy_(3 + noise)
            elif parameter.dim() == 1 and "weight" in name:
                parameter.copy_(1 + 0.3 * noise)
            else:
                parameter.copy_(0.4 * noise)
    return model.eval()


def expected(model, tokens):
    """Logits, residual streams and patterns, named as the hooks are."""
    found = {}
    gpt2 = hasattr(model, "transformer")
    inner = model.transformer if gpt2 else model.model
    blocks = inner.h if gpt2 else inner.layers
    first = lambda x: x[0] if isinstance(x, tuple) else x

    def keep(name, pick):
        def hook(_, inputs, output):
            found[name] = first(pick(inputs, output)).detach().float().contiguous().clone()
        return hook

    handles = [blocks[0].register_forward_hook(keep("embed", lambda i, o: i))]
    for n, block in enumerate(blocks):
        middle = block.ln_2 if gpt2 else block.post_attention_layernorm
        attention = block.attn if gpt2 else block.self_attn
        handles += [
            middle.register_forward_hook(keep(f"blocks.{n}.resid_mid", lambda i, o: i)),
            block.mlp.register_forward_hook(keep(f"blocks.{n}.mlp_out", lambda i, o: o)),
            attention.register_forward_hook(keep(f"blocks.{n}.attn_out", lambda i, o: o)),
            attention.register_forward_hook(keep(f"blocks.{n}.attn_pattern", lambda i, o: o[1])),
            block.register_forward_hook(keep(f"blocks.{n}.resid_post", lambda i, o: o)),
        ]
    norm = inner.ln_f if gpt2 else inner.norm
    handles.append(norm.register_forward_hook(keep("final_norm", lambda i, o: o)))
    with torch.no_grad():
        found["logits"] = model(tokens, use_cache=False).logits.float().contiguous()
    for handle in handles:
        handle.remove()
    for name, value in found.items():
        if name.endswith("attn_pattern"):
            batch, heads, queries, keys = value.shape
            found[name] = value.reshape(batch, heads * queries, keys)
    found["tokens"] = tokens.to(torch.int32)
    return found


def save_case(folder, family, fields, seed, shape, dtype="float32", shard="1GB"):
    model = build(family, fields, seed)
    # Rounded once; both sides compute in single precision.
    dtype = getattr(torch, dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(dtype))
    rounded = {name: value.to(dtype) for name, value in model.state_dict().items()}
    model.save_pretrained(folder / "model", max_shard_size=shard, state_dict=rounded)
    (folder / "model" / "generation_config.json").unlink(missing_ok=True)
    if family == "gpt2_query_key_norm":
        path = folder / "model" / "config.json"
        config = json.loads(path.read_text())
        config["model_type"] = family
        path.write_text(json.dumps(config, indent=2))
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(fields["vocab_size"], shape, generator=generator)
    save_file(expected(model, tokens), folder / "expected.safetensors")


def fixtures(folder):
    gpt2 = dict(vocab_size=23, n_positions=16, n_embd=12, n_layer=2, n_head=3)
    llama = dict(
        vocab_size=29, max_position_embeddings=32, hidden_size=12, intermediate_size=20,
        num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2, head_dim=4,
    )
    llama3 = dict(
        rope_type="llama3", rope_theta=500.0, factor=4.0, low_freq_factor=1.0,
        high_freq_factor=3.0, original_max_position_embeddings=24,
    )
    yarn = dict(
        rope_type="yarn", rope_theta=2000.0, factor=8.0, beta_fast=4.0, beta_slow=0.5,
        truncate=False, original_max_position_embeddings=40,
    )
    linear = dict(rope_type="linear", rope_theta=300.0, factor=2.5)
    oss = dict(llama, intermediate_size=10, num_local_experts=5, num_experts_per_tok=2, sliding_window=4)
    cases = {
        "gpt2": ("gpt2", gpt2, {}),
        "gpt2-untied-gelu": ("gpt2", dict(gpt2, tie_word_embeddings=False, n_inner=17,
                                          activation_function="gelu", layer_norm_epsilon=1e-3), {}),
        "gpt2-bf16-shards": ("gpt2", gpt2, dict(dtype="bfloat16", shard="2KB")),
        "gpt2-query-key-norm": ("gpt2_query_key_norm", gpt2, {}),
        "llama": ("llama", llama, {}),
        "llama-biases-tied-llama3": ("llama", dict(llama, attention_bias=True, mlp_bias=True,
                                                   tie_word_embeddings=True, head_dim=6,
                                                   rope_parameters=llama3), {}),
        "llama-f16-linear": ("llama", dict(llama, rope_parameters=linear, hidden_act="relu"),
                             dict(dtype="float16")),
        "mistral-window": ("mistral", dict(llama, sliding_window=3), {}),
        "mistral-full": ("mistral", dict(llama, sliding_window=None, num_key_value_heads=1), {}),
        "qwen3": ("qwen3", llama, {}),
        "qwen3-windows-yarn": ("qwen3", dict(llama, use_sliding_window=True, sliding_window=5,
                                             max_window_layers=1, attention_bias=True,
                                             rope_parameters=dict(yarn, truncate=True)), {}),
        "gpt-oss": ("gpt_oss", dict(oss, rope_parameters=yarn), {}),
        "gpt-oss-no-biases": ("gpt_oss", dict(oss, attention_bias=False, swiglu_limit=0.8,
                                              num_experts_per_tok=1, rope_parameters=yarn), {}),
    }
    for seed, (name, (family, fields, how)) in enumerate(cases.items()):
        save_case(folder / name, family, fields, seed, (2, 9), **how)


def draw(family, pick):
    """A random configuration: sizes that are odd, every switch on or off."""
    coin = lambda: pick.random() < 0.5
    heads = pick.choice([1, 2, 3, 4, 6])
    if family.startswith("gpt2"):
        return dict(
            vocab_size=pick.randint(5, 300), n_positions=pick.randint(40, 64),
            n_embd=heads * pick.randint(3, 16), n_layer=pick.randint(1, 4), n_head=heads,
            n_inner=pick.choice([None, pick.randint(5, 90)]), tie_word_embeddings=coin(),
            activation_function=pick.choice(["gelu_new", "gelu", "relu", "silu", "gelu_pytorch_tanh"]),
            layer_norm_epsilon=10 ** pick.uniform(-7, -2),
        )
    layers, theta = pick.randint(1, 4), 10 ** pick.uniform(1.5, 6)
    ropes = [
        dict(rope_type="default"),
        dict(rope_type="linear", factor=pick.uniform(1, 8)),
        dict(rope_type="llama3", factor=pick.uniform(2, 32), low_freq_factor=pick.uniform(0.5, 2),
             high_freq_factor=pick.uniform(3, 8), original_max_position_embeddings=pick.randint(20, 99)),
        dict(rope_type="yarn", factor=pick.uniform(1.5, 40), beta_fast=pick.uniform(2, 40),
             beta_slow=pick.uniform(0.2, 1.5), truncate=coin(),
             original_max_position_embeddings=pick.randint(20, 99)),
    ]
    kv_heads = pick.choice([n for n in range(1, heads + 1) if heads % n == 0])
    fields = dict(
        vocab_size=pick.randint(5, 300), max_position_embeddings=pick.randint(100, 200),
        hidden_size=heads * pick.randint(3, 12), intermediate_size=pick.randint(3, 70),
        num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv_heads,
        head_dim=2 * pick.randint(1, 9), tie_word_embeddings=coin(),
        rms_norm_eps=10 ** pick.uniform(-7, -2),
        rope_parameters=dict(pick.choice(ropes), rope_theta=theta),
    )
    if family != "gpt_oss":
        fields["hidden_act"] = pick.choice(["silu", "gelu", "relu", "gelu_pytorch_tanh"])
    if family != "mistral":
        fields["attention_bias"] = coin()
    if family == "llama":
        fields["mlp_bias"] = coin()
    if family == "mistral":
        fields["sliding_window"] = pick.choice([None, pick.randint(1, 40)])
    if family == "qwen3":
        fields.update(use_sliding_window=coin(), sliding_window=pick.randint(1, 40),
                      max_window_layers=pick.randint(0, layers))
    if family == "gpt_oss":
        experts = pick.randint(1, 8)
        types = ["sliding_attention", "full_attention"]
        fields.update(num_local_experts=experts, num_experts_per_tok=pick.randint(1, experts),
                      sliding_window=pick.randint(1, 40), swiglu_limit=pick.uniform(0.5, 9),
                      layer_types=[pick.choice(types) for _ in range(layers)])
    return fields


def randoms(folder, n, seed):
    for family in CLASSES:
        for number in range(n):
            pick = random.Random(f"{seed} {family} {number}")
            fields = draw(family, pick)
            how = dict(dtype=pick.choice(["float32", "float32", "bfloat16", "float16"]),
                       shard=pick.choice(["1GB", "20KB"]))
            shape = (pick.randint(1, 3), pick.randint(1, 40))
            save_case(folder / f"{family}-{number}", family, fields, number, shape, **how)


def existing(model, text, out):
    """The tokens of a text and their logits, by a model folder and its tokenizer."""
    loaded = hf.AutoModelForCausalLM.from_pretrained(model, attn_implementation="eager").float()
    tokens = hf.AutoTokenizer.from_pretrained(model)(text, return_tensors="pt").input_ids
    found = expected(loaded.eval(), tokens)
    save_file({name: found[name] for name in ["tokens", "logits"]}, out)


if __name__ == "__main__":
    what, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    if what == "fixtures":
        fixtures(folder)
    elif what == "random":
        randoms(folder, int(sys.argv[3]), sys.argv[4])
    else:
        existing(folder, sys.argv[3], sys.argv[4])
