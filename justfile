# `./just <recipe>` brings what is missing first; `just <recipe>` does the same for those who have it.

export RUST_BACKTRACE := env("RUST_BACKTRACE", "0")

target := env("CARGO_TARGET_DIR", "target")
tools := target / "tools"

# Crates that know HDF5 compile it, experiments on language models among them, which takes cmake; `install-cmake.sh` puts one there if none is installed.
export PATH := env("PATH") + ":" + absolute_path(tools / "bin")
cmake := "sh crates/store/install-cmake.sh " + quote(tools)

# The first build takes minutes and shows what it does.
quiet := if path_exists(target / "debug/reproduce") == "true" { "--quiet" } else { "" }
reproduce := cmake + " && cargo run " + quiet + " --locked --package reproduce --"

# List the recipes.
default:
    @{{ just_executable() }} --list --unsorted

# Run every experiment that is not up to date (smoke, laptop or paper) and print the verdicts.
reproduce-all tier="laptop" *options:
    @{{ reproduce }} all {{ tier }} {{ options }}

# Run what one figure or table needs, for instance: just fig A-x03.
fig id tier="laptop" *options:
    @{{ reproduce }} run {{ id }} {{ tier }} {{ options }}

# Run one experiment and what it needs, for instance: just run a01.
run id tier="laptop" *options:
    @{{ reproduce }} run {{ id }} {{ tier }} {{ options }}

# List every figure and table with its claim, cost and state.
list *words:
    @{{ reproduce }} list {{ words }}

# Show where source, data and results of a figure lie.
where id tier="laptop":
    @{{ reproduce }} where {{ id }} {{ tier }}

# Show what a run would do: config, what is cached, time, memory, disk.
plan id tier="laptop":
    @{{ reproduce }} plan {{ id }} {{ tier }}

# Compare the results with the stored reference (drift) and with the papers (verdicts).
verify tier="laptop":
    @{{ reproduce }} verify {{ tier }}

# Store the results of a tier as the reference, all or of one experiment (--dirty: also from sources that are not committed).
bless tier="laptop" *options:
    @{{ reproduce }} bless {{ tier }} {{ options }}

# Fetch and verify one data set, or all: the only recipe that downloads data.
data *name:
    @{{ reproduce }} data {{ name }}

# Write the skeleton of a new experiment, for instance: just new-experiment a16_query_key_norm "Title".
new-experiment id title:
    @{{ reproduce }} new-experiment {{ quote(id) }} {{ quote(title) }}

# Execute every notebook and compare its outputs with the stored ones (--store: store them).
notebooks *options: notebook-tools
    @{{ reproduce }} notebooks {{ options }}

# Open the notebooks.
jupyter: (notebook-tools "lab")
    {{ quote(tools / "bin/jupyter") }} lab notebooks

# The program for models of your own, for instance: just engram capture <model folder> <text> blocks.2.resid_post --out <folder>.
engram *arguments:
    @{{ cmake }}
    @cargo build {{ if path_exists(target / "debug/engram") == "true" { "--quiet" } else { "" } }} --locked --workspace --bin engram
    @{{ quote(target / "debug/engram") }} {{ arguments }}

# Run all tests: unit, property, documentation, notebooks.
test: && notebooks
    @{{ cmake }}
    cargo test {{ quiet }} --locked --workspace --no-run
    cargo test --quiet --locked --workspace

# Compare random models of every language-model family with `transformers` (installs it and PyTorch).
test-parity n="20" seed="1": parity-tools
    @rm -rf {{ quote(tools / "parity-cases") }}
    {{ quote(tools / "parity/bin/python") }} crates/lm/tests/parity/draw.py random {{ quote(tools / "parity-cases") }} {{ n }} {{ seed }}
    cargo test --quiet --locked --package lm --test parity -- --cases {{ quote(absolute_path(tools) / "parity-cases") }}

# Exchange random dictionaries with SAELens, dictionary_learning and sparsify, both ways (installs them and PyTorch).
test-interchange n="20" seed="1": interchange-tools
    @rm -rf {{ quote(tools / "interchange-cases") }}
    {{ quote(tools / "interchange/bin/python") }} crates/sae/tests/interchange/make.py random {{ quote(tools / "interchange-cases") }} {{ n }} {{ seed }}
    cargo test --quiet --locked --package sae --test interchange -- --cases {{ quote(absolute_path(tools) / "interchange-cases") }}
    {{ quote(tools / "interchange/bin/python") }} crates/sae/tests/interchange/make.py check {{ quote(tools / "interchange-cases") }}
    {{ quote(tools / "interchange/bin/python") }} crates/sae/tests/interchange/make.py loaders {{ quote(tools / "interchange-cases") }}

# Damage files of every kind a million times, or as often as asked for, and read them (an hour; a word picks parsers).
test-mutations cases="1000000" seed="8" *word:
    @{{ cmake }}
    cargo test --quiet --locked --package engram --test mutations -- {{ word }} --cases {{ cases }} --seed {{ seed }}

# Run the parity tests of language models on LibTorch (installs PyTorch; builds Burn anew in a folder of its own).
test-libtorch: peer-tools
    PATH={{ quote(absolute_path(tools) / "peers/bin") }}:"$PATH" LIBTORCH_USE_PYTORCH=1 CARGO_TARGET_DIR={{ quote(target / "libtorch") }} \
    LD_LIBRARY_PATH="$({{ quote(absolute_path(tools) / "peers/bin/python") }} -c 'import os, torch; print(os.path.join(torch.__path__[0], "lib"))')" \
    cargo test --quiet --locked --package lm --features device/libtorch --test parity -- --device libtorch

# Build the parity tests of language models for NVIDIA GPUs, as a folder to carry to one: it is built here, and not run (that build fetches LLVM).
test-cuda:
    @rm -rf {{ quote(target / "cuda/parity") }} && mkdir -p {{ quote(target / "cuda/parity") }}
    CARGO_TARGET_DIR={{ quote(target / "cuda") }} CARGO_PROFILE_DEV_STRIP=symbols \
    cargo test --locked --package lm --features device/cuda --test parity --no-run --message-format json \
    | sed -n 's/.*"executable":"\([^"]*\/parity-[^"]*\)".*/\1/p' | xargs -I FILE cp FILE {{ quote(target / "cuda/parity/parity") }}
    @cp -r crates/lm/tests/fixtures {{ quote(target / "cuda/parity/fixtures") }}
    @test -x {{ quote(target / "cuda/parity/parity") }}
    @echo "Built but not run. On a machine with an NVIDIA GPU and its driver, in a copy of {{ target }}/cuda/parity:"
    @echo "    ./parity --device cuda --cases fixtures"

# Check format, lints, documentation, floors and index.
check:
    @{{ cmake }}
    cargo fmt --all --check
    cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --workspace --no-deps
    cargo test --quiet --locked --package reproduce --test runner tidy

# Run the criterion benches.
bench *options:
    @{{ cmake }}
    cargo bench --locked --bench '*' {{ options }}

# Time ours beside the Python peers, in one interleaved run (22 GB of memory in all; installs NumPy and PyTorch).
bench-peers *options: (peer-tools)
    cargo bench --quiet --locked --package sdm --features peers --bench peers -- --python {{ absolute_path(tools) }}/peers/bin/python {{ options }}
    cargo bench --quiet --locked --package sdm --features peers --bench layer_peers -- --python {{ absolute_path(tools) }}/peers/bin/python
    cargo bench --quiet --locked --package lm --features peers --bench train_peers -- --python {{ absolute_path(tools) }}/peers/bin/python

# Time training steps of sparse autoencoders beside SAELens, dictionary_learning, sparsify and PyTorch (installs them; --quick, --only relu).
bench-peers-sae *options: interchange-tools
    cargo bench --quiet --locked --package sae --features peers --bench sae_peers -- --python {{ quote(absolute_path(tools) / "interchange/bin/python") }} {{ options }}

# Free the results of a tier; without one, say what there is to free.
clean *tier:
    @{{ reproduce }} clean {{ tier }}

[private]
peer-tools:
    @test -x {{ tools }}/peers/bin/python || python3 -m venv {{ tools }}/peers
    @{{ tools }}/peers/bin/pip install --quiet --disable-pip-version-check --requirement crates/sdm/benches/requirements.txt

[private]
parity-tools:
    @test -x {{ quote(tools / "parity/bin/python") }} || python3 -m venv {{ quote(tools / "parity") }}
    @{{ quote(tools / "parity/bin/pip") }} install --quiet --disable-pip-version-check --requirement crates/lm/tests/parity/requirements.txt

[private]
interchange-tools:
    @test -x {{ quote(tools / "interchange/bin/python") }} || python3 -m venv {{ quote(tools / "interchange") }}
    @{{ quote(tools / "interchange/bin/pip") }} install --quiet --disable-pip-version-check --requirement crates/sae/tests/interchange/requirements.txt

[private]
notebook-tools *what:
    @{{ cmake }}
    @sh notebooks/install.sh {{ quote(tools) }} {{ what }}
