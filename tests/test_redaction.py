"""Credentials leave every text that an image carries, and ordinary build steps stay readable."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.redaction import redact_history, redact_labels, redact_log, redact_text, secret_parts

SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    ("line", "redacted"),
    [
        ("|1 A=hunter2 /bin/sh -c make", "|1 A=*** /bin/sh -c make"),
        ("|2 A=hunter2 B=hunter2 /bin/sh -c pip install x", "|2 A=*** B=*** /bin/sh -c pip install x"),
        ("RUN |1 A=hunter2 hunter2 /bin/bash -ec make # buildkit", "RUN |1 A=*** /bin/bash -ec make # buildkit"),
        ("RUN |1 A=two\nhunter2 /bin/sh -c make # buildkit", "RUN |1 A=*** /bin/sh -c make # buildkit"),
        ("|1 A=hunter2 cmd /S /C make", "|1 A=***"),
        ("ENV A=hunter2 B=hunter2", "ENV A=*** B=***"),
        ("/bin/sh -c #(nop)  ENV A=hunter2 hunter2", "/bin/sh -c #(nop)  ENV A=***"),
        ("/bin/sh -c #(nop)  ARG A=hunter2", "/bin/sh -c #(nop)  ARG A=***"),
        ("ARG A=hunter2", "ARG A=***"),
        ("ENV KEY=-----BEGIN KEY-----\nhunter2hunter2\nhunter2==", "ENV KEY=***"),
        ('CMD ["python", "-m", "app"]', 'CMD ["python", "-m", "app"]'),
        ("", ""),
    ],
)
def test_build_arguments_and_environment(line: str, redacted: str) -> None:
    assert redact_history(line) == redacted


@pytest.mark.parametrize(
    "text",
    [
        f"curl https://user:{SECRET}@host/path",
        f"curl https://{SECRET}@host/path",
        f"git clone git+https://oauth2:{SECRET}@host/x.git",
        f"psql postgres://u:{SECRET}@{SECRET}@db/name",
        f"curl 'https://host/?access_token={SECRET}&x=1'",
        f"curl https://host/?X-Amz-Signature={SECRET}",
        f"login --password {SECRET}",
        f"login --password={SECRET}",
        f"login -password '{SECRET} more'",
        f'login --api-token "{SECRET}"',
        f"curl -u user:{SECRET} https://host",
        f"curl --user='user:{SECRET}' https://host",
        f"curl -H 'Authorization: Bearer {SECRET}'",
        f'curl -H "authorization: token {SECRET}" https://host',
        f"curl -H Authorization:Basic\\ {SECRET}",
        f"curl -H 'X-Api-Key: {SECRET}'",
        f"curl -H 'PRIVATE-TOKEN:{SECRET}'",
        f"Bearer {SECRET}",
        f"export GITHUB_TOKEN={SECRET} && make",
        f"AWS_SECRET_ACCESS_KEY='{SECRET}' aws s3 ls",
        f'MY_PASSWORD="{SECRET} and \\" {SECRET}" run',
        f"PASSWORD='{SECRET} without an end",
        f"db_passwd = {SECRET}",
        f'echo \'{{"auths": {{"host": {{"auth": "{SECRET}"}}}}}}\'',
        f"npm config set //registry/:_authToken={SECRET}",
        f"PrivateKey: {SECRET}",
        f"echo ghp_{SECRET}{SECRET}",
        f"echo glpat-{SECRET}{SECRET}",
        f"pip install --extra-index-url https://__token__:{SECRET}@host/simple torch",
    ],
)
def test_credentials_in_text(text: str) -> None:
    assert SECRET not in redact_history(f"RUN /bin/sh -c {text} # buildkit")
    assert SECRET not in redact_text(text)
    assert "***" in redact_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "RUN /bin/sh -c apt-get update && apt-get install -y --no-install-recommends curl # buildkit",
        "pip install tokenizers==0.15.0 google-auth==2.0 authlib>=1 torch --index-url https://host/whl/cpu",
        "COPY --chown=1000:1000 . /app # buildkit",
        "RUN --mount=type=secret,id=key make",
        "useradd -u 1000 app",
        "WORKDIR /srv/a@b",
        "git clone https://host/a.git && cd a@1.2",
        "LABEL org.opencontainers.image.authors=me",
    ],
)
def test_ordinary_steps_stay_as_they_are(text: str) -> None:
    assert redact_text(text) == text
    assert redact_history(text) == text


def test_labels() -> None:
    labels = {
        "org.opencontainers.image.authors": "me <me@host>",
        "version": "1.0",
        "com.example/api-key": SECRET,
        "DB_PASSWORD": SECRET,
        "url": f"https://u:{SECRET}@host",
        "token/of": "not a name of a secret",
    }
    assert redact_labels(labels) == {
        "org.opencontainers.image.authors": "me <me@host>",
        "version": "1.0",
        "com.example/api-key": "***",
        "DB_PASSWORD": "***",
        "url": "https://***@host",
        "token/of": "not a name of a secret",
    }


BODY = "MIIEvSECRETLINEONE0001\nSECRETLINETWO0002\nQUFB"
KEY = f"-----BEGIN PRIVATE KEY-----\n{BODY}\n-----END PRIVATE KEY-----\n"
BASE64 = "Qk9EWQ9z" * 8


@pytest.mark.parametrize("text", [KEY, KEY.replace("\n", " "), json.dumps({"k": KEY}), KEY.split("-----END")[0]])
def test_private_keys_in_text(text: str) -> None:
    cleaned = redact_text(f"before\n{text}")
    assert cleaned.startswith("before\n")
    assert not {part for part in ("SECRETLINE", "QUFB") if part in cleaned}


@pytest.mark.parametrize(
    "text",
    [
        'RUN grep -q -- "-----BEGIN PRIVATE KEY-----" /key && make',
        "RUN echo -----BEGIN PRIVATE KEY-----\nRUN make all",
        KEY.replace("PRIVATE KEY", "CERTIFICATE"),
    ],
)
def test_what_only_names_a_private_key_stays(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (KEY, "SECRETLINETWO0002"),
        (KEY, "key is 'SECRETLINETWO0002' QUFB"),
        (KEY, json.dumps(KEY)),
        (KEY, repr(KEY)),
        ("  user\r\n  hunter2\r\n", "hunter2"),
        (f"postgres://app:{SECRET}@db/x", f"using password {SECRET}"),
        (f"postgres://app:{quote('p@ss/' + SECRET, safe='')}@db/x", f"using password p@ss/{SECRET}"),
        (f"postgres://app:{quote('p@ss ' + SECRET)}@db/x", f"using password {quote('p@ss ' + SECRET)}"),
        ("redis://:hunter2@cache", "hunter2"),
        ("https://tok-hunter2@host/a.git", "tok-hunter2"),
        ("Server=db;User=sa;Password=hunter2;Encrypt=no", "login hunter2"),
        ("host=db password='hunter2 and more' port=1", "login hunter2 and more"),
        ('{"db": {"pass": "hunter2, you"}}', "login hunter2, you"),
        ('["hunter2", "other"]', "hunter2"),
        ("admin:hunter2", "hunter2"),
        ("password: hunter2\nother: 1", "hunter2"),
        ('with "quotes" hunter2', json.dumps('with "quotes" hunter2')),
        ("hunter2", "\x1b[31mhun\x1b[0mter2"),
        ("a b/hunter2", quote("a b/hunter2", safe="")),
        ("", f"app | {BASE64.replace('z', 'hunter2')}=="),
    ],
)
def test_no_part_of_a_given_value_stays(value: str, said: str) -> None:
    cleaned = redact_log(f"starting\n{said}\nended", secret_parts([value, "x" * 9]))
    assert cleaned.startswith("starting\n") and cleaned.endswith("\nended")
    assert not {part for part in ("hunter2", "SECRETLINE", "QUFB") if part in cleaned}, cleaned


@given(st.lists(st.text(min_size=4, max_size=20), min_size=1, max_size=5), st.text(max_size=9), st.text(max_size=9))
def test_no_line_of_a_given_value_stays(lines: list[str], before: str, after: str) -> None:
    parts = secret_parts(["\n".join(lines)])
    for line in "\n".join(lines).splitlines():
        if len(line.strip()) >= 4 and line.strip() not in "***":
            cleaned = redact_log(f"{before}{line}{after}", parts)
            assert line.strip() not in cleaned or line.strip() in cleaned.replace("***", "")


def test_a_log_stays_readable() -> None:
    path = "/usr/local/sbin:/usr/local/bin:/usr/bin"
    digest = "0123456789abcdef" * 4
    said = f"Traceback in /usr/local/bin/app\nsha256:{digest} {digest}\nKeyError: 'a' at 10:20"
    assert redact_log(said, secret_parts([path, "1", "on", ""])) == said


def test_where_there_is_too_much_to_look_for_nothing_is_shown() -> None:
    values = [f"value {number}" for number in range(50_000)]
    assert redact_log("hello", secret_parts(values)) == "***"


PIECES = 'a a. -a --a- token token_ --token_ a: a:// ://a@ -u_ " token=" = _/x_- authorization: eyJa. basic_ A=b_ \\\''
PIECES += " -----BEGIN_A----- -----BEGIN_A-----abcdefghijklmnopqrst -----BEGIN_A-----\\n aA1+/ aaaa/ \x1b[1"


@pytest.mark.parametrize("piece", [piece.replace("_", " ") for piece in PIECES.split()])
def test_hostile_text_takes_no_time(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    started = time.monotonic()
    redact_history(text)
    redact_history(f"|1 {text}")
    redact_history(f"ENV {text}")
    redact_log(text, secret_parts([text[:50_000]]))
    assert time.monotonic() - started < 5
