"""Credentials leave every text that an image carries, and ordinary build steps stay readable."""

from __future__ import annotations

import time

import pytest

from imgopt_pipeline.redaction import redact_history, redact_labels, redact_text

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


PIECES = 'a a. -a --a- token token_ --token_ a: a:// ://a@ -u_ " token=" = _/x_- authorization: eyJa. basic_ A=b_ \\\''


@pytest.mark.parametrize("piece", [piece.replace("_", " ") for piece in PIECES.split()])
def test_hostile_text_takes_no_time(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    started = time.monotonic()
    redact_history(text)
    redact_history(f"|1 {text}")
    redact_history(f"ENV {text}")
    assert time.monotonic() - started < 5
