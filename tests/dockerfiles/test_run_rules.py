"""What the rules on single RUN steps leave alone, and why; what they change is shown by the golden pairs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imgopt_pipeline.dockerfiles.drafts import Rule
from imgopt_pipeline.dockerfiles.facts import BuilderFacts, ByteRange, ContextFacts, Hidden, ImageFacts, StepFacts
from imgopt_pipeline.dockerfiles.rewriting import Rewrite, rewrite
from imgopt_pipeline.dockerfiles.rules import (
    apt_recommends,
    cache_mounts,
    copy_owner,
    merged_runs,
    package_caches,
    package_lists,
    package_tests,
    uv_for_pip,
)

BASE = "FROM debian:bookworm-slim\n"


def after(text: str, rule: Rule, **known: object) -> str:
    return rewritten(text, rule, **known).text.removeprefix(BASE)


def rewritten(text: str, rule: Rule, **known: object) -> Rewrite:
    return rewrite(f"{BASE}{text}", [rule], **known)  # type: ignore[arg-type]


def image(*hidden: Hidden, **claims: int) -> ImageFacts:
    """Facts of an image whose instructions of lines 2, 3, … made layers 1, 2, …; `claims` hold for each of them."""
    ranges = {technique: ByteRange(size, size, size) for technique, size in claims.items()}
    steps = {line: StepFacts(line - 1, 10_000_000, ranges) for line in range(2, 10)}
    dead = sum(file.size_bytes for file in hidden)
    in_all = {**ranges, **({"R12": ByteRange(dead, dead, dead), "R17": ByteRange(dead, dead, dead)} if hidden else {})}
    return ImageFacts("sha256:a", 10**8, "none", claims=in_all, steps=steps, hidden=hidden, base_position=0)


@pytest.mark.parametrize(
    ("rule", "run"),
    [
        (apt_recommends.RULE, "RUN apt-get install -y --no-install-recommends curl"),
        (apt_recommends.RULE, "RUN apt-get -o APT::Install-Recommends=0 install -y curl"),
        (apt_recommends.RULE, "RUN apt-get install -y --install-recommends texlive"),
        (apt_recommends.RULE, 'RUN ["apt-get", "install", "-y", "curl"]'),
        (apt_recommends.RULE, "RUN if test -e /x; then apt-get install -y curl; fi"),
        (apt_recommends.RULE, "ONBUILD RUN apt-get install -y curl"),
        (apt_recommends.RULE, "RUN echo apt-get install -y curl"),
        (package_lists.RULE, "RUN apt-get update && apt-get install -y a && rm -rf /var/lib/apt/lists/*"),
        (package_lists.RULE, "RUN apt-get update; apt-get install -y a; rm -rf /var/lib/apt/*"),
        (package_lists.RULE, "RUN --mount=type=cache,target=/var/lib/apt apt-get update && apt-get install -y a"),
        (package_lists.RULE, "RUN (apt-get update && apt-get install -y a) # later"),
        (package_lists.RULE, "RUN apk add --no-cache curl"),
        (package_lists.RULE, "RUN apk update && apk add curl && rm -rf /var/cache/apk/*"),
        (package_lists.RULE, "RUN dnf install -y a && dnf clean all"),
        (package_caches.RULE, "RUN pip install --no-cache-dir a"),
        (package_caches.RULE, "RUN --mount=type=cache,target=/root/.cache pip install a"),
        (package_caches.RULE, "RUN pip install a && rm -rf ~/.cache/pip"),
        (package_caches.RULE, "RUN pip install a && pip cache purge"),
        (package_caches.RULE, "ENV PIP_NO_CACHE_DIR=1\nRUN pip install a"),
        (package_caches.RULE, "RUN export PIP_NO_CACHE_DIR=1; pip install a"),
        (package_caches.RULE, "RUN npm ci && npm cache clean --force"),
        (package_caches.RULE, "RUN npm run build"),
        (package_caches.RULE, "RUN yarn install"),
        (package_caches.RULE, "RUN pip --version"),
        (package_caches.RULE, 'SHELL ["pwsh", "-c"]\nRUN pip install a'),
        (cache_mounts.RULE, "USER app\nRUN pip install a"),
        (cache_mounts.RULE, "ENV PIP_NO_CACHE_DIR=1\nRUN pip install a"),
        (cache_mounts.RULE, "RUN pip install --cache-dir /x a"),
        (cache_mounts.RULE, "RUN poetry install"),
        (uv_for_pip.RULE, "RUN pip install a"),
        (uv_for_pip.RULE, "RUN pip install uv\nRUN pip install --user a"),
        (uv_for_pip.RULE, "RUN pip install uv\nRUN /opt/venv/bin/pip install a"),
        (uv_for_pip.RULE, "RUN pip install uv\nRUN pip install --upgrade pip setuptools"),
        (copy_owner.RULE, "COPY . /app\nRUN chown -R 1000:1000 /"),
        (copy_owner.RULE, "COPY . /app\nRUN chown 1000:1000 /app"),
        (copy_owner.RULE, "ADD app.tar /app\nRUN chown -R 1000:1000 /app"),
        (copy_owner.RULE, "COPY . /\nRUN chown -R 1000:1000 /app"),
        (copy_owner.RULE, "COPY . /app\nRUN make -C /app\nRUN chown -R 1000:1000 /app"),
        (copy_owner.RULE, "COPY . /app\nRUN useradd app\nRUN chown -R app:app /app"),
        (copy_owner.RULE, "COPY . /app\nARG U=app\nRUN useradd $U && chown -R $U:$U /app"),
        (copy_owner.RULE, "COPY . /app\nRUN chown -R $UNKNOWN /app"),
        (copy_owner.RULE, "COPY . /app\nRUN useradd app && chown -R app:app /app"),
        (copy_owner.RULE, "WORKDIR /app\nCOPY . .\nRUN mkdir log\nRUN useradd app && chown -R app:app /app"),
        (copy_owner.RULE, "COPY --chown=1:1 . /app\nRUN chown -R 1000:1000 /app"),
        (copy_owner.RULE, "COPY . /app\nRUN chmod -R u+x /app"),
    ],
)
def test_it_is_left_alone(rule: Rule, run: str) -> None:
    result = rewritten(f"{run}\n", rule)
    assert result.text == f"{BASE}{run}\n", result.changes


@pytest.mark.parametrize(
    ("rule", "claim", "run"),
    [
        (apt_recommends.RULE, "R4", "RUN apt-get install -y curl"),
        (package_lists.RULE, "R5", "RUN apt-get update && apt-get install -y curl"),
        (package_caches.RULE, "R6", "RUN pip install a"),
        (cache_mounts.RULE, "R11", "RUN pip install a"),
    ],
)
def test_facts_decide_where_there_are_any(rule: Rule, claim: str, run: str) -> None:
    assert rewritten(run, rule).techniques == (claim,)
    assert rewritten(run, rule, image=image()).techniques == ()
    result = rewritten(run, rule, image=image(**{claim: 5_000_000}))
    assert result.techniques == (claim,)
    assert "5 MB" in result.changes[0].reason


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("RUN apt-get install curl", "RUN apt-get install --no-install-recommends ca-certificates curl"),
        ("RUN apt-get install -y git zip", "RUN apt-get install -y --no-install-recommends ca-certificates git zip"),
        ("RUN apt-get install -y zip git", "RUN apt-get install -y --no-install-recommends zip git ca-certificates"),
        (
            "RUN apt-get install -y \\\n      a \\\n      wget",
            "RUN apt-get install -y --no-install-recommends \\\n      a \\\n      ca-certificates \\\n      wget",
        ),
        ("RUN sudo apt-get -y install gcc", "RUN sudo apt-get -y install --no-install-recommends gcc libc6-dev"),
        (
            "RUN apt-get install -t bookworm-backports curl",
            "RUN apt-get install --no-install-recommends -t bookworm-backports ca-certificates curl",
        ),
        ("RUN apt-get install -y $PACKAGES", "RUN apt-get install -y --no-install-recommends $PACKAGES"),
        (
            "RUN apt-get install -y ca-certificates\nRUN apt-get install -y curl=7.*",
            "RUN apt-get install -y --no-install-recommends ca-certificates\n"
            "RUN apt-get install -y --no-install-recommends curl=7.*",
        ),
    ],
)
def test_what_came_by_recommendation_and_is_needed_is_named(run: str, expected: str) -> None:
    assert after(run, apt_recommends.RULE) == expected


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (
            "RUN apt-get update && apt-get install -y a",
            "RUN apt-get update && apt-get install -y a \\\n    && rm -rf /var/lib/apt/lists/*",
        ),
        (
            "RUN apt-get update && \\\n  apt-get install -y a",
            "RUN apt-get update && \\\n  apt-get install -y a && \\\n  rm -rf /var/lib/apt/lists/*",
        ),
        (
            "RUN set -eux; \\\n\tapt-get update; \\\n\tapt-get install -y a",
            "RUN set -eux; \\\n\tapt-get update; \\\n\tapt-get install -y a; \\\n\trm -rf /var/lib/apt/lists/*",
        ),
        (
            "RUN set -e; \\\n  x; \\\n  apt-get update && apt-get install -y a",
            "RUN set -e; \\\n  x; \\\n  apt-get update && apt-get install -y a && \\\n  rm -rf /var/lib/apt/lists/*",
        ),
        (
            "RUN apt-get update; apt-get install -y a > /dev/null",
            "RUN apt-get update; apt-get install -y a > /dev/null \\\n    && rm -rf /var/lib/apt/lists/*",
        ),
        (
            "RUN <<EOF\nset -e\n  apt-get update\n  apt-get install -y a\nEOF",
            "RUN <<EOF\nset -e\n  apt-get update\n  apt-get install -y a\n  rm -rf /var/lib/apt/lists/*\nEOF",
        ),
        (
            "RUN sudo apt-get update && sudo apt-get install -y a",
            "RUN sudo apt-get update && sudo apt-get install -y a \\\n    && sudo rm -rf /var/lib/apt/lists/*",
        ),
        (
            "RUN apt-get update && apt-get install -y a # why",
            "RUN apt-get update && apt-get install -y a \\\n    && rm -rf /var/lib/apt/lists/* # why",
        ),
        ("RUN apk add curl || true", "RUN apk add --no-cache curl || true"),
        ("RUN apk update\nRUN apk --update add curl", "RUN apk update\nRUN apk --no-cache add curl"),
    ],
)
def test_a_command_is_added_as_the_author_writes_them(run: str, expected: str) -> None:
    assert after(run, package_lists.RULE) == expected


def test_much_more_than_lists_is_cleaned_by_apt_itself() -> None:
    result = after("RUN apt-get update && apt-get install -y a", package_lists.RULE, image=image(R5=200_000_000))
    assert result.endswith("&& apt-get clean && rm -rf /var/lib/apt/lists/*")


def test_lists_that_a_program_fetched_are_removed_at_its_end() -> None:
    run = "RUN npx playwright install --with-deps"
    assert after(run, package_lists.RULE) == run
    assert after(run, package_lists.RULE, image=image(R5=9_000_000)).endswith("&& rm -rf /var/lib/apt/lists/*")


def test_yarn_is_cleaned_only_where_it_keeps_no_packages_in_its_cache() -> None:
    run = "RUN yarn install"
    classic = ContextFacts(texts={"package.json": '{"packageManager": "yarn@1.22.22"}'})
    assert after(run, package_caches.RULE, context=classic).endswith("&& yarn cache clean")
    berry = ContextFacts(folders={".yarnrc.yml": 20}, texts=classic.texts)
    assert after(run, package_caches.RULE, context=berry) == run


def test_a_builder_without_mounts_gets_none() -> None:
    result = rewritten("RUN pip install a", cache_mounts.RULE, builder=BuilderFacts(cache_mounts=False))
    assert result.techniques == ()
    assert "no cache mounts" in result.left_out["R11"]


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ("RUN wget x\nRUN rm x", "RUN wget x \\\n    && rm x"),
        ("RUN wget x && \\\n  a\n\n# gone\nRUN rm x", "RUN wget x && \\\n  a && \\\n  # gone\n  rm x"),
        ("RUN cd /opt && wget x\nRUN rm /opt/x", "RUN cd /opt && wget x \\\n    && rm /opt/x"),
        ("RUN --network=host a\nRUN --network=host b", "RUN --network=host a \\\n    && b"),
        ("RUN a || b\nRUN c", "RUN a || b \\\n    && c"),
        ("RUN set -e; a; b\nRUN c || d", "RUN set -e; a; b; \\\n    c || d"),
        ("RUN cd /opt && wget x\nRUN rm x", ""),
        ("RUN a\nRUN b || c", ""),
        ("RUN a\nRUN b; c", ""),
        ("RUN X=1; a $X\nRUN b $X", ""),
        ("RUN . /opt/env && a\nRUN b", ""),
        ("RUN --network=none a\nRUN b", ""),
        ("RUN a &\nRUN b", ""),
        ("RUN a\nRUN <<EOF\nb\nEOF", ""),
        ("RUN if a; then exit 0; fi\nRUN b", ""),
        ("RUN set -u; a\nRUN b $UNSET", ""),
    ],
)
def test_steps_are_joined_where_they_go_on_to_mean_the_same(runs: str, expected: str) -> None:
    hidden = Hidden(1, 2, "deleted", 5_000_000)
    lines = [number for number, line in enumerate(runs.split("\n"), start=2) if line.startswith("RUN")]
    steps = {line: StepFacts(position, 5_000_000) for position, line in enumerate(lines, start=1)}
    facts = replace(image(hidden), steps=steps)
    assert after(runs, merged_runs.RULE, image=facts) == (expected or runs)


def test_a_few_bytes_join_nothing_and_metadata_is_another_rules() -> None:
    runs = "RUN a\nRUN b"
    assert after(runs, merged_runs.RULE, image=image(Hidden(1, 2, "deleted", 5_000))) == runs
    assert after(runs, merged_runs.RULE, image=image(Hidden(1, 2, "metadata", 5_000_000))) == runs


def test_bytes_hidden_by_steps_apart_are_told() -> None:
    result = rewritten("RUN a\nCOPY b c\nRUN d", merged_runs.RULE, image=image(Hidden(1, 3, "deleted", 5_000_000)))
    assert result.techniques == ()
    assert "5 MB" in result.left_out["R17"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COPY . /app\nRUN chown -R 5:6 /app", "COPY --chown=5:6 . /app\nRUN chown 5:6 /app"),
        ("COPY . /app/\nRUN chown -vR 5 /app/", "COPY --chown=5:root . /app/\nRUN chown -v 5 /app/"),
        ("COPY . /app\nRUN chmod -R 755 /app", "COPY --chmod=755 . /app\nRUN chmod 755 /app"),
        (
            "WORKDIR /app\nCOPY . .\nRUN useradd -u 9 app && chown -R app: .\nUSER app",
            "WORKDIR /app\nRUN useradd -u 9 app && chown app: .\nCOPY --chown=app:app . .\nUSER app",
        ),
        (
            "WORKDIR /app\nCOPY . .\n\n# Not as root\nRUN useradd app && chown -R app:app /app\nRUN make",
            "WORKDIR /app\n\n# Not as root\nRUN useradd app && chown app:app /app\n\n"
            "COPY --chown=app:app . .\n\nRUN make",
        ),
        (
            "COPY a /srv/\nRUN mkdir -p /srv/x/y && chown -R www-data:www-data /srv && a2enmod ssl",
            "COPY --chown=www-data:www-data a /srv/\n"
            "RUN mkdir -p /srv/x/y && chown www-data:www-data /srv /srv/x /srv/x/y && a2enmod ssl",
        ),
    ],
)
def test_copy_gives_the_owner_and_folders_keep_theirs(text: str, expected: str) -> None:
    assert after(text, copy_owner.RULE) == expected


def test_files_of_the_base_stay_with_the_recursive_command() -> None:
    text = "COPY . /app\nRUN chown -R 5:6 /app"
    facts = image(Hidden(0, 2, "metadata", 900), Hidden(1, 2, "metadata", 90_000))
    result = rewritten(text, copy_owner.RULE, image=facts)
    assert result.techniques == ()
    assert "base" in result.left_out["R12"]


def test_tests_go_only_where_python_packages_were_installed() -> None:
    assert rewritten("RUN make", package_tests.RULE, image=image(R9=5_000_000)).techniques == ()
