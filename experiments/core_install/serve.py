"""Asks all that a server's installation promises, where torch is not installed.

Usage: python experiments/core_install/serve.py ARTIFACT
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

import graphrouter as gr
from graphrouter.cli.app import run
from graphrouter.exceptions import NotApplicableError


def main(artifact: str) -> None:
    if find_spec("torch") is not None:
        raise SystemExit("torch is installed here: not a server's installation")
    router = gr.load_router(artifact)
    first = router.models[0]
    decision = router.route("Add 3 and 4.", policy=gr.Policy.preset("balanced"))
    print("chose", decision.model, "among", len(decision.candidates), "by", len(decision.evidence))
    known = router.predict(
        ["", "Hi. " * 9999], tasks=["unheard of", None], known=[{first: 1.0}, {}]
    )
    if known.effect[0, 0] != 1:
        raise SystemExit("an outcome that is known is not told")
    router.plan("Add 3 and 4.", policy=gr.Policy(usd_per_effect=0.01))
    router.set_price(first, input_usd_per_mtok=1.0, output_usd_per_mtok=2.0).route("Hi.")
    if run(["route", artifact, "Add 3 and 4."]) != 0:
        raise SystemExit("the command fails")
    try:
        router.remove_model(first)
    except NotApplicableError as error:
        print("said:", error)
    else:
        raise SystemExit("a model was removed without torch")


if __name__ == "__main__":
    main(sys.argv[1])
