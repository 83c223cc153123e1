#!/usr/bin/env bash
# What `pip install .` alone does, and how large it is: a fresh environment in FOLDER, without extras.
# Usage: bash experiments/core_install/run.sh FOLDER [PYTHON]
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
folder="${1:?the folder for the environment}"
python="${2:-python3.11}"
pip=("$folder/bin/python" -m pip --disable-pip-version-check install --quiet --constraint "$root/constraints.txt")
size() { du -sm "$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" | cut -f1; }

"$python" -m venv "$folder"
"${pip[@]}" torch==2.13.0 # first and pinned, as in the Makefile
"${pip[@]}" "$root"
echo "site-packages with the core: $(size) MB"
(cd "$folder" && bin/python "$root/experiments/core_install/journey.py" journey)
"${pip[@]}" "$root[bench]"
echo "site-packages with the extra bench: $(size) MB"
