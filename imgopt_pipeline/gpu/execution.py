"""Asks torch inside a running container whether it sees a GPU. The one place that executes anything of an image.

Only when somebody asks for it, and only in a container that runs anyway: one line of Python through the
engine's exec, which ends itself by an alarm. What comes back is as hostile as the image.
"""

from __future__ import annotations

from typing import Any

import orjson

from imgopt_pipeline.errors import ImageNotFound, ImgoptError
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.names import printable

_SECONDS = 60
_OUTPUT_BYTES = 64_000
_TEXT_CHARACTERS = 200
_DEVICES = 16
_MARK = "imgopt:"
_NO_PROGRAM = (126, 127)
_BY_ALARM = (142, -14)

_LINE = f"""
import json, platform, signal
signal.alarm({_SECONDS})
answer = dict(python=platform.python_version())
try:
    import torch
except ImportError:
    pass
else:
    answer.update(torch=torch.__version__, cuda=torch.version.cuda, hip=getattr(torch.version, "hip", None))
    answer.update(gpu_available=torch.cuda.is_available())
    answer.update(devices=[torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())])
print({_MARK!r} + json.dumps(answer))
"""


def exec_torch_check(host: EngineHost, container: str) -> dict[str, Any]:
    """What torch says in a running container: its version, what it is built for, and the GPUs it sees.

    Raises ImageNotFound where there is no such container, ImgoptError where it does not run, has no Python, or
    does not answer in time.
    """
    with engine_errors("the engine does not know that container", missing=ImageNotFound):
        inspected = host.client.inspect_container(container)
    name = printable(str(inspected.get("Name") or container).removeprefix("/"))
    state = inspected.get("State") or {}
    if not state.get("Running") or state.get("Paused") or state.get("Restarting"):
        raise ImgoptError(
            f"it does not run now (its state is {printable(str(state.get('Status') or 'unknown'))}).",
            subject=name,
            hint="Nothing is started for this check: start it, or use `imgopt gpu-check` without --exec.",
        )
    for program in ("python3", "python"):
        code, output = _run(host, str(inspected["Id"]), [program, "-B", "-c", _LINE])
        if code not in _NO_PROGRAM:
            return {"container": name, **_answer(name, code, output)}
    raise ImgoptError("it has no python3 and no python.", subject=name, hint="There is no torch to ask then.")


def _run(host: EngineHost, container_id: str, command: list[str]) -> tuple[int, bytes]:
    """Exit code and output of a command in a container; the output is cut off at its bound."""
    output = b""
    usual, host.client.timeout = host.client.timeout, _SECONDS + 15
    try:
        with engine_errors("the engine does not run the check in it", missing=ImageNotFound):
            created = host.client.exec_create(container_id, command, stdout=True, stderr=True)
            for chunk in host.client.exec_start(created["Id"], stream=True):
                output += chunk[: _OUTPUT_BYTES - len(output)]
                if len(output) >= _OUTPUT_BYTES:
                    break
            code = host.client.exec_inspect(created["Id"]).get("ExitCode")
    except ImgoptError as error:
        # Older engines refuse a missing program at once instead of ending with its exit code.
        if "executable file not found" in error.message or "no such file" in error.message:
            return _NO_PROGRAM[1], b""
        raise
    finally:
        host.client.timeout = usual
    return (code if isinstance(code, int) else 0), output


def _answer(name: str, code: int, output: bytes) -> dict[str, Any]:
    lines = [line for line in output.decode(errors="replace").splitlines() if line.startswith(_MARK)]
    try:
        said = orjson.loads(lines[-1].removeprefix(_MARK)) if lines else None
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        tail = printable(" ".join(output[-300:].decode(errors="replace").split()))
        reason = (
            f"it took longer than {_SECONDS} s" if code in _BY_ALARM else f"exit code {code}: {tail or 'no output'}"
        )
        raise ImgoptError(f"the check did not answer ({reason}).", subject=name)
    torch, cuda, hip = (_text(said.get(key)) for key in ("torch", "cuda", "hip"))
    answer: dict[str, Any] = {"python": _text(said.get("python")), "torch": torch or "not installed"}
    if torch:
        answer["built_for"] = f"CUDA {cuda}" if cuda else f"ROCm {hip}" if hip else "CPU"
        answer["gpu_available"] = said.get("gpu_available") is True
        devices = said.get("devices")
        answer["devices"] = [_text(device) for device in devices[:_DEVICES]] if isinstance(devices, list) else []
    return answer


def _text(value: object) -> str:
    return printable(value[:_TEXT_CHARACTERS]) if isinstance(value, str) else ""
