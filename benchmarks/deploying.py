"""Deploying a compose service, beside `docker compose up` that makes its container anew: seconds, soak time aside.

`python -m benchmarks.deploying [RUNS]`, as root, on a private engine of its own.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from imgopt_pipeline.deployments.models import Options
from imgopt_pipeline.deployments.targets import deploy_target, roll_back_target
from tests.engine.daemons import private_daemon
from tests.engine.deployed import Shop, shop


def main() -> None:
    """Run each in turn, and print the medians."""
    runs = int(next(iter(sys.argv[1:]), "5"))
    seconds: dict[str, list[float]] = {"docker compose up": [], "imgopt deploy": [], "service gap": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        private_daemon("classic", Path("/var/tmp")) as daemon,
        shop(daemon, Path(folder), deployments={"soak_seconds": 0, "probe_times": 3}) as made,
    ):
        made.start()
        made.candidate()
        again = ["compose", "-f", str(made.file), "up", "-d", "--no-deps", "--no-build", "--force-recreate"]
        for run in range(runs):
            started = time.monotonic()
            daemon.docker(*again)
            switched = time.monotonic()
            seconds["service gap"].append(_deploy(made, run))
            seconds["docker compose up"].append(switched - started)
            seconds["imgopt deploy"].append(time.monotonic() - switched)
            roll_back_target(made.settings, "local", made.subject)
    for name, measured in seconds.items():
        print(f"{name:18} {median(measured):6.2f} s")
    added = median(seconds["imgopt deploy"]) - median(seconds["docker compose up"])
    print(f"{'added':18} {added:6.2f} s")


def _deploy(made: Shop, run: int) -> float:
    (row,) = deploy_target(made.settings, "local", made.subject, Options(), f"run-{run}")["deployments"]
    assert row["outcome"] == "verified", row["summary"]
    return float(row["gap_seconds"])


if __name__ == "__main__":
    main()
