#!/bin/sh
# Sees to it that there is a cmake, with which the HDF5 library is compiled:
#   install-cmake.sh <folder>      an installed cmake is used; else a pinned one is put into the folder
# It can be called as <folder>/bin/cmake then.
set -eu
CMAKE_VERSION=4.4.5
if command -v cmake >/dev/null 2>&1 || [ -x "$1/bin/cmake" ]; then
    exit 0
fi
mkdir -p "$1/bin"
tools=$(cd "$1" && pwd)
venv=$tools/cmake-$CMAKE_VERSION
echo "cmake is not installed: putting cmake $CMAKE_VERSION into $venv" >&2
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check "cmake==$CMAKE_VERSION" || {
    rm -rf "$venv"
    echo "cmake could not be had. Please install it (Debian, Ubuntu: apt install cmake; macOS: brew install cmake)" >&2
    exit 1
}
# Of all that lies there this alone is named, so that a PATH with the folder changes nothing else.
ln -sf "$venv/bin/cmake" "$tools/bin/cmake"
