"""What a .dockerignore keeps out by our reading is what the engine's builder does not get."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

from imgopt_pipeline.dockerfiles.ignore_file import ignore_file

from .daemons import Daemon

FILES = """
.git/HEAD app.log docs/a.md docs/api/a.md docs/api/deep/b.md logs/app.log node_modules/x/y.js src/main.py
src/node_modules/z.js src/temp src/temp1/t README.md README-secret.md NEWS.md a/b/c/d e!f exf
"""
LINES = r"""
# a comment
.git
/docs/*
!docs/api/*.md
**/node_modules/
*.md
!README*.md
README-secret.md
./src/../a/*/c
src/temp?
*/*.log
e[^x-z]f
"""


def test_the_builder_gets_what_we_say(classic: Daemon, tmp_path: Path) -> None:
    context, out = tmp_path / "context", tmp_path / "out.tar"
    for name in FILES.split():
        path = context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (context / ".dockerignore").write_text(LINES)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    command = ["docker", "buildx", "build", f"--output=type=tar,dest={out}", str(context)]
    subprocess.run(command, check=True, capture_output=True, env=classic.environment)
    with tarfile.open(out) as tar:
        sent = {member.name.removeprefix("./") for member in tar if member.isfile()}
    rules = ignore_file(LINES.splitlines())
    assert sent - {"Dockerfile", ".dockerignore"} == {name for name in FILES.split() if not rules.ignores(name)}
