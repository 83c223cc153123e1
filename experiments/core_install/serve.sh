#!/usr/bin/env bash
# A server's installation, without torch: a fresh environment in FOLDER that answers by the router in ARTIFACT.
# Usage: bash experiments/core_install/serve.sh FOLDER ARTIFACT [PYTHON]
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
folder="${1:?the folder for the environment}"
artifact="${2:?a router that was saved by a whole installation}"
python="${3:-python3.11}"
pip=("$folder/bin/python" -m pip --disable-pip-version-check install --quiet --no-deps)

"$python" -m venv "$folder"
"${pip[@]}" --requirement "$root/requirements-serve.txt"
"${pip[@]}" "$root"
echo "site-packages of a server: $(du -sm "$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" | cut -f1) MB"
(cd "$folder" && bin/python "$root/experiments/core_install/serve.py" "$artifact")
