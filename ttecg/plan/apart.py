"""Plans in a process of their own, since how many devices JAX has is settled when it starts."""

import json
import pathlib
import subprocess
import sys
import tempfile

from ttecg.plan.topology import Topology, environment, parse


def plan_apart(request: dict, topology: Topology) -> dict:
    """The plan of a request (config, set, topology, records, sample_batch). ValueError with the process's one line."""
    with tempfile.TemporaryDirectory(prefix="ttecg-plan-") as folder:
        answer, noise = pathlib.Path(folder, "answer.json"), pathlib.Path(folder, "noise.txt")
        with noise.open("w") as errors:  # compilers talk much on stderr; it is shown where they fail
            done = subprocess.run(
                [sys.executable, "-m", "ttecg.plan.apart", json.dumps(request), str(answer)],
                env=environment(topology),
                stderr=errors,
            )
        if not answer.exists():
            tail = " | ".join(noise.read_text(errors="replace").strip().splitlines()[-3:])
            raise ValueError(f"the compiling process ended with status {done.returncode}: {tail}")
        result = json.loads(answer.read_text())
    if "error" in result:
        raise ValueError(result["error"])
    return result


def main(request: str, answer: str) -> None:
    """What the process does: a plan, or the line that says why there is none, as JSON."""
    from ttecg.plan.plan import plan
    from ttecg.train.config import load_config, override, write_text

    asked = json.loads(request)
    try:
        config = override(load_config(asked["config"]), asked["set"])
        result = plan(
            config,
            parse(asked["topology"]),
            records=asked["records"],
            sample_batch=asked["sample_batch"],
            say=lambda line: print(line, flush=True),
        )
    except ValueError as error:
        result = {"error": str(error)}
    write_text(pathlib.Path(answer), json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
