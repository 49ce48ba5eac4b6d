"""Two processes never hold one lock, and none is left by a process that was killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from imgopt_pipeline.journal.locks import Busy, locked

HOLD = (
    "import sys, pathlib, time\n"
    "from imgopt_pipeline.journal.locks import locked\n"
    "with locked(pathlib.Path(sys.argv[1]), sys.argv[2:], 'imgopt deploy web'):\n"
    "    print('held', flush=True)\n"
    "    time.sleep(60)\n"
)


def test_a_second_process_is_told_who_is_at_it(tmp_path: Path) -> None:
    names = ["local|service shop/web", "local|host local"]
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path), *names], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        busy = pytest.raises(Busy, match=rf"imgopt deploy web \(process {process.pid}\) is at work on it")
        with busy, locked(tmp_path, ["local|service shop/web"], "imgopt rollback web"):
            pass
        with locked(tmp_path, ["local|service shop/db"], "imgopt deploy db"):
            process.kill()
            process.wait()
    with locked(tmp_path, names, "imgopt resume web"):
        pass


def test_one_process_locks_itself_out_too(tmp_path: Path) -> None:
    with locked(tmp_path, ["a"], "one"), pytest.raises(Busy), locked(tmp_path, ["a"], "two"):
        pass
