#!/bin/sh
# Puts what notebooks need, all pinned, into the folder given, and touches nothing else:
#   install.sh <folder>        what executes them: Jupyter's client (requirements.txt) and the Rust kernel
#   install.sh <folder> lab    also what opens them in a browser (requirements-lab.txt)
# The kernel is evcxr_jupyter, compiled once (about ten minutes on two cores).
set -eu
mkdir -p "$1"
tools=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
EVCXR_VERSION=0.21.1

# install <requirements>: installs it, unless that was done in this place before
install() {
    { echo "$tools"; cat "$here/$1"; } > "$tools/$1"
    cmp -s "$tools/$1" "$tools/venv/$1" && return
    echo "installing notebooks/$1 into $tools/venv" >&2
    if [ "$1" = requirements.txt ]; then
        python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
            { echo "notebooks need Python 3.10 or later as python3" >&2; exit 1; }
        rm -rf "$tools/venv"
        python3 -m venv "$tools/venv"
    fi
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/$1"
    cp "$tools/$1" "$tools/venv/$1"
}
install requirements.txt
[ "${2-}" != lab ] || install requirements-lab.txt

kernel=$tools/evcxr-$EVCXR_VERSION/bin/evcxr_jupyter
if [ ! -x "$kernel" ]; then
    echo "compiling evcxr_jupyter $EVCXR_VERSION, about ten minutes" >&2
    cargo install --quiet --locked evcxr_jupyter --version "$EVCXR_VERSION" --root "$tools/evcxr-$EVCXR_VERSION"
fi

# evcxr compiles cells as the package `cells`, whose manifest it writes. Around it lies a workspace whose
# other member keeps the facade in the lock file, so that cells get the versions of our Cargo.lock.
# Profiles count only in the workspace; without rpath the kernel does not find Rust's standard library.
papers=$(sed -n 's/^\(paper-[a-e]\) = .*/"\1", /p' "$here/../crates/engram/Cargo.toml")
mkdir -p "$tools/evcxr/cells" "$tools/evcxr/versions" "$tools/evcxr/config"
cp "$here/../Cargo.lock" "$tools/evcxr/Cargo.lock"
cat > "$tools/evcxr/Cargo.toml" <<EOF
[workspace]
resolver = "3"
members = ["cells", "versions"]

[profile.dev]
opt-level = 2
debug = false
rpath = true
EOF
cat > "$tools/evcxr/versions/Cargo.toml" <<EOF
[package]
name = "versions"
edition = "2024"

[lib]
path = "empty.rs"

[dependencies]
engram = { path = "$here/../crates/engram", features = [$(echo $papers)] }
EOF
: > "$tools/evcxr/versions/empty.rs"

# Nothing of Jupyter or evcxr is read from, or written to, the user's home.
mkdir -p "$tools/bin" "$tools/jupyter/kernels/rust"
cat > "$tools/jupyter/kernels/rust/kernel.json" <<EOF
{
  "argv": ["$kernel", "--control_file", "{connection_file}"],
  "display_name": "Rust",
  "language": "rust",
  "interrupt_mode": "message",
  "env": {"EVCXR_TMPDIR": "$tools/evcxr/cells", "EVCXR_CONFIG_DIR": "$tools/evcxr/config"}
}
EOF
cat > "$tools/bin/jupyter" <<EOF
#!/bin/sh
unset JUPYTER_PATH JUPYTER_RUNTIME_DIR
export JUPYTER_DATA_DIR="$tools/jupyter" JUPYTER_CONFIG_DIR="$tools/jupyter/config" IPYTHONDIR="$tools/jupyter/ipython"
exec "$tools/venv/bin/jupyter" "\$@"
EOF
chmod +x "$tools/bin/jupyter"
