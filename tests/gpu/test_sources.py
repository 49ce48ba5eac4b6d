"""What the application's own Python says about GPUs is told from its syntax, traps and broken files included."""

from __future__ import annotations

import ast
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgopt_pipeline.gpu import sources
from imgopt_pipeline.gpu.image import image_gpu
from imgopt_pipeline.gpu.judgement import check_image
from imgopt_pipeline.gpu.need import need_of
from imgopt_pipeline.gpu.sources import SOURCE_BYTES, source_evidence
from imgopt_pipeline.hosts.models import HostGpu
from imgopt_pipeline.names import printable

DEMANDS = {
    "call": "model.cuda()",
    "call with a number": "model.cuda(0)",
    "to": 'model.to("cuda:0")',
    "device object": 'x = torch.device("cuda")',
    "keyword": 'model = load(path, device="cuda")',
    "device map": 'm = AutoModel.from_pretrained("x", device_map="cuda")',
    "name": 'device = "cuda"\nmodel.to(device)',
    "attribute": 'class A:\n    def __init__(self):\n        self.device = "cuda:1"\n\nA()',
    "ends without": "if not torch.cuda.is_available():\n    raise RuntimeError('no GPU')",
    "leaves without": "if torch.cuda.is_available():\n    run()\nelse:\n    sys.exit(1)",
    "assertion": "assert torch.cuda.is_available(), 'no GPU'",
    "needs the driver": "torch.cuda.set_device(0)",
    "default tensor": 'torch.set_default_tensor_type("torch.cuda.FloatTensor")',
    "route": '@app.post("/x")\ndef handler():\n    return model.cuda()',
    "method of a derived class": "class P(Base):\n    def predict(self):\n        return self.m.cuda()",
    "called function": "def go():\n    m.cuda()\n\nif __name__ == '__main__':\n    go()",
    "failing try": "try:\n    m.cuda()\nexcept RuntimeError:\n    raise",
    "lightning": 't = Trainer(accelerator="gpu", devices=1)',
    "in a lambda": 'f = lambda x: x.to("cuda")',
}


@pytest.mark.parametrize("name", DEMANDS)
def test_a_gpu_written_into_reachable_code_is_a_need(name: str) -> None:
    found = source_evidence({"app/main.py": DEMANDS[name].encode()})
    assert [piece.value for piece in found.evidence].count("required") >= 1
    assert need_of(found.evidence, "cuda") == "required"


FALLBACKS = {
    "conditional expression": 'device = "cuda" if torch.cuda.is_available() else "cpu"\nmodel.to(device)',
    "within a call": 'd = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")',
    "branch": "if torch.cuda.is_available():\n    model.cuda()",
    "replaced afterwards": 'device = "cuda"\nif not torch.cuda.is_available():\n    device = "cpu"\nm.to(device)',
    "replaced before": 'device = "cpu"\nif torch.cuda.is_available():\n    device = "cuda"',
    "early return": 'def d():\n    if not torch.cuda.is_available():\n        return torch.device("cpu")\n'
    '    return torch.device("cuda")\n\nd()',
    "caught": "try:\n    m.cuda()\nexcept RuntimeError:\n    m.cpu()",
    "auto": 'm = pipeline("asr", device="auto")',
    "device map auto": 'm = AutoModel.from_pretrained("x", device_map="auto")',
    "providers": 's = InferenceSession(p, providers=["CUDAExecutionProvider", "CPUExecutionProvider"])',
    "elif": "if torch.backends.mps.is_available():\n    d = 'mps'\nelif torch.cuda.is_available():\n    m.cuda()",
    "half precision on a GPU only": 'ct = "float16" if torch.cuda.is_available() else "int8"\nload(compute_type=ct)',
}


@pytest.mark.parametrize("name", FALLBACKS)
def test_code_that_asks_first_needs_no_gpu(name: str) -> None:
    found = source_evidence({"app/main.py": FALLBACKS[name].encode()})
    assert {piece.value for piece in found.evidence} <= {"optional", "none"}
    assert need_of(found.evidence, "cuda") == "optional"


TRAPS = {
    "comment": "# model.cuda()\nx = 1",
    "text": '"""Use device="cuda" or model.to("cuda")."""\nprint("cuda")',
    "switched off": "load(gpu=False, use_cuda=False)",
    "model name": 'load("cuda-something", model="cuda")',
    "another device": 'open_port(device="/dev/ttyUSB0")',
    "version": "print(torch.version.cuda)",
    "no value": "load(device=None)",
}


@pytest.mark.parametrize("name", TRAPS)
def test_what_only_looks_like_a_demand_is_none(name: str) -> None:
    assert source_evidence({"app/main.py": TRAPS[name].encode()}).evidence == ()


OTHERS = {
    'DEVICE = os.environ.get("DEVICE", "cuda")': ("default", "likely"),
    'DEVICE = os.environ.get("DEVICE") or "cuda"': ("default", "likely"),
    'p.add_argument("--device", default="cuda")': ("default", "likely"),
    'def load(path, device="cuda"):\n    pass': ("default", "likely"),
    'class Settings(BaseSettings):\n    device: str = "cuda"': ("default", "likely"),
    'config = {"device": "cuda"}': ("default", "likely"),
    'd = os.getenv("WHISPER_DEVICE", "cpu")': ("configurable", "optional"),
    'd = os.environ["DEVICE"]': ("configurable", "optional"),
    'm = WhisperModel("small", device="cpu")': ("none", "none"),
    'os.environ["CUDA_VISIBLE_DEVICES"] = ""': ("none", "none"),
    'm = load("small", compute_type="float16")': ("likely", "likely"),
    "def train():\n    m.cuda()": ("unknown", "unknown"),
}


@pytest.mark.parametrize("source", OTHERS)
def test_each_sort_of_mention_has_its_value(source: str) -> None:
    value, need = OTHERS[source]
    found = source_evidence({"app/main.py": source.encode()})
    assert value in {piece.value for piece in found.evidence}
    assert need_of(found.evidence, "cuda") == need


def test_evidence_names_file_and_line() -> None:
    (piece,) = source_evidence({"srv/app/serve.py": b"import torch\n\nm.cuda()\n"}).evidence
    assert (piece.source, piece.aspect, piece.weight) == ("srv/app/serve.py:3", "need", "high")


def test_a_function_is_reached_from_another_module() -> None:
    library = b"def on_gpu(m):\n    return m.cuda()\n"
    alone = source_evidence({"app/models.py": library})
    called = source_evidence({"app/models.py": library, "app/main.py": b"import models\nmodels.on_gpu(1)\n"})
    assert [piece.value for piece in alone.evidence] == ["unknown"]
    assert [piece.value for piece in called.evidence] == ["required"]


def test_a_chain_of_calls_is_followed() -> None:
    chain = "\n".join(f"def f{n}():\n    f{n + 1}()\n" for n in range(500)) + "def f500():\n    m.cuda()\n"
    assert [p.value for p in source_evidence({"a.py": f"{chain}\n".encode()}).evidence] == ["unknown"]
    assert [p.value for p in source_evidence({"a.py": f"{chain}\nf0()\n".encode()}).evidence] == ["required"]


@pytest.mark.parametrize(
    "path",
    [
        "usr/local/lib/python3.11/site-packages/lib/x.py",
        "app/.venv/lib/python3.11/site-packages/x.py",
        "app/tests/test_gpu.py",
        "app/conftest.py",
        "app/third_party/x.py",
        "app/readme.txt",
    ],
)
def test_what_is_not_the_application_is_left_out(path: str) -> None:
    found = source_evidence({path: b"m.cuda()"})
    assert (found.evidence, found.sources) == ((), 0)


BROKEN = {
    "python 2": b'print "cuda"',
    "null byte": b"m.cuda()\0",
    "not UTF-8": b"device = '\xff\xfe cuda'",
    "deep attributes": b"device = a" + b".cuda" * 40_000,
    "deep sum": b"device = " + b"1+" * 60_000 + b"1",
    "deep not": b"device = " + b"not " * 50_000 + b"x",
    "deep parentheses": b"device = " + b"(" * 5_000,
    "deep lambda": b"device = " + b"lambda:" * 20_000 + b"1",
    "many digits": b"device = " + b"9" * 20_000,
    "too large": b"# cuda\n" * (SOURCE_BYTES // 7 + 10),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_parsed_is_passed_over_with_a_warning(name: str) -> None:
    started = time.monotonic()
    found = source_evidence({"app/broken.py": BROKEN[name], "app/good.py": b"m.cuda()"})
    assert [piece.source for piece in found.evidence] == ["app/good.py:1"]
    assert len(found.warnings) == 1
    assert "app/broken.py" in found.warnings[0]
    assert time.monotonic() - started < 5


def test_invalid_escapes_in_a_source_are_no_warnings_of_ours(recwarn: pytest.WarningsRecorder) -> None:
    assert source_evidence({"a.py": b"device = '\\d cuda'"}).warnings == ()
    assert not recwarn.list


def test_odd_names_are_escaped_once() -> None:
    """Documents go by paths that are printable already."""
    path = printable("app/\x1b[31m.py")
    (piece,) = source_evidence({path: b"m.cuda()"}).evidence
    assert piece.source == "app/\\x1b[31m.py:1"
    (warning,) = source_evidence({path: b"device ="}).warnings
    assert warning.startswith("app/\\x1b[31m.py is no Python")


def test_sources_that_time_did_not_allow_to_look_at_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_SECONDS", 0.0)
    found = source_evidence({f"app/{name}.py": b"m.cuda()" for name in "abc"})
    (piece,) = found.evidence
    assert (piece.aspect, piece.weight, piece.value, piece.source) == ("need", "weak", "unknown", "app/a.py")
    assert piece.statement == "3 Python sources of 3 were not looked at: what the code needs may be incomplete"
    assert found.warnings == ("3 Python sources of 3 were not looked at.",)
    check = check_image(image_gpu([], {"app/a.py": b"m.cuda()"}, {}), [], HostGpu())
    assert "1 Python source of 1 was not looked at" in check.evidence[0].statement


LINES = [*DEMANDS.values(), *FALLBACKS.values(), *TRAPS.values(), *OTHERS]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=6), st.integers(0, 3))
def test_moving_code_under_a_condition_about_gpus_removes_every_demand(parts: list[str], depth: int) -> None:
    """A model: what stands below `if use_gpu:` demands nothing, however the rest is written."""
    body = ast.unparse(ast.parse("\n".join(part for part in parts if "is_available" not in part) or "pass"))
    for _ in range(depth + 1):
        body = "if use_gpu:\n" + "\n".join(f"    {line}" for line in body.splitlines())
    assert "required" not in {piece.value for piece in source_evidence({"a.py": body.encode()}).evidence}


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(LINES), st.binary(max_size=12), st.integers(0, 80))
def test_no_bytes_break_it(source: str, noise: bytes, position: int) -> None:
    content = source.encode()
    source_evidence({"a.py": content[:position] + noise + content[position:]})
