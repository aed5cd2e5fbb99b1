#!/bin/sh
# Puts Jupyter and the Rust kernel, both pinned, under the folder given; nothing else is touched.
# Jupyter: notebooks/requirements.txt. Kernel: evcxr_jupyter, compiled once (about ten minutes on two cores).
set -eu
mkdir -p "$1"
tools=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
EVCXR_VERSION=0.21.1

if ! cmp -s "$here/requirements.txt" "$tools/venv/requirements.txt"; then
    echo "installing Jupyter into $tools/venv" >&2
    rm -rf "$tools/venv"
    python3 -m venv "$tools/venv"
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$tools/venv/requirements.txt"
fi

kernel=$tools/evcxr-$EVCXR_VERSION/bin/evcxr_jupyter
if [ ! -x "$kernel" ]; then
    echo "compiling evcxr_jupyter $EVCXR_VERSION, about ten minutes" >&2
    cargo install --quiet --locked evcxr_jupyter --version "$EVCXR_VERSION" --root "$tools/evcxr-$EVCXR_VERSION"
fi
mkdir -p "$tools/jupyter/kernels/rust" "$tools/evcxr-cells"
printf '{"argv": ["%s", "--control_file", "{connection_file}"], "display_name": "Rust", "language": "rust", "interrupt_mode": "message"}\n' \
    "$kernel" > "$tools/jupyter/kernels/rust/kernel.json"
