"""What the rules on stages leave alone, and why, and what the golden pairs do not show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from imgopt_pipeline.dockerfiles.drafts import Rule
from imgopt_pipeline.dockerfiles.facts import BuilderFacts, ContextFacts, PackageFacts
from imgopt_pipeline.dockerfiles.rewriting import Rewrite, rewrite
from imgopt_pipeline.dockerfiles.rules import (
    cuda_runtime,
    multi_stage,
    nextjs_standalone,
    production_node,
    single_cuda,
    slim_base,
)
from tests.dockerfiles.stage_facts import PACKAGES, SITE, debian, facts_of, in_base, node, python

ALL = ("R3", "R7", "R8", "R13", "R16", "R18")
TYPESCRIPT = {"scripts": {"build": "tsc", "start": "node dist/main.js"}, "devDependencies": {"typescript": "5.5.4"}}
DEVELOPMENT = (node("express"), node("typescript", development=True))


def rewritten(
    text: str,
    *rules: Rule,
    packages: Sequence[PackageFacts] = PACKAGES,
    manifest: object = None,
    texts: dict[str, str] | None = None,
    folders: dict[str, int] | None = None,
    builder: BuilderFacts | None = None,
    missing: Sequence[str] = (),
) -> Rewrite:
    made = {
        "npm": ("/app/node_modules",),
        "yarn": ("/app/node_modules",),
        "pnpm": ("/app/node_modules",),
        "pip": (SITE,),
    }
    context = ContextFacts(texts={**({"package.json": json.dumps(manifest)} if manifest else {}), **(texts or {})})
    return rewrite(
        text,
        rules,
        image=facts_of(text, *ALL, made=made, packages=packages),
        context=replace(context, folders=folders or {}),
        builder=builder,
        packages=missing,
    )


def node_file(*lines: str, base: str = "node:20-slim") -> str:
    return "\n".join([f"FROM {base}", "WORKDIR /app", "COPY package.json package-lock.json yarn.lock ./", *lines, ""])


@pytest.mark.parametrize(
    "rule", [multi_stage, slim_base, production_node, nextjs_standalone, cuda_runtime, single_cuda]
)
def test_without_anything_to_gain_nothing_changes(rule: object) -> None:
    text = node_file("RUN npm ci", "RUN npm run build", 'CMD ["npm", "start"]', base="node:20")
    one: Rule = rule.RULE  # type: ignore[attr-defined]
    assert rewrite(text, [one], image=facts_of(text)).text == text
    assert rewrite(text, [one]).left_out[one.technique].startswith("needs ")


def test_r3_leaves_what_compiles_when_it_runs() -> None:
    text = "FROM debian\nRUN apt-get update && apt-get install -y gcc\nRUN pip install vllm\n"
    result = rewritten(text, multi_stage.RULE, packages=[*PACKAGES, python("vllm")])
    assert result.left_out["R3"] == "vllm may compile when it runs"


def test_r3_says_where_tools_come_from_a_stage_below() -> None:
    text = "FROM debian AS base\nRUN apt-get update && apt-get install -y gcc\nFROM base\nRUN make x\n"
    assert "others build on" in rewritten(text, multi_stage.RULE).left_out["R3"]


def test_r3_trims_a_stage_that_builds_nothing() -> None:
    text = "FROM debian\nRUN apt-get update && apt-get install -y gcc curl\nRUN apt-get install -y git\nCOPY app /app\n"
    assert rewritten(text, multi_stage.RULE).text == (
        "FROM debian\nRUN apt-get update && apt-get install -y curl\nCOPY app /app\n"
    )


def test_r3_keeps_git_for_packages_that_call_it() -> None:
    text = "FROM debian\nRUN apt-get update && apt-get install -y gcc git\nCOPY app /app\n"
    kept = rewritten(text, multi_stage.RULE, packages=[*PACKAGES, python("gitpython")])
    assert "install -y git\n" in kept.text


def test_r8_knows_which_bases_can_be_had() -> None:
    text = "FROM python:3.11\nCOPY . .\n"
    without = BuilderFacts(references=frozenset({"python:3.11"}))
    assert rewritten(text, slim_base.RULE, builder=without).left_out["R8"] == "python:3.11-slim cannot be had"
    there = BuilderFacts(references=frozenset({"python:3.11-slim"}))
    assert rewritten(text, slim_base.RULE, builder=there).text.startswith("FROM python:3.11-slim\n")


def test_r8_leaves_digests_and_shared_stages() -> None:
    assert "digest" in rewritten("FROM python:3.11@sha256:ab\n", slim_base.RULE).left_out["R8"]
    text = "FROM python:3.11 AS base\nFROM base AS test\nFROM base\n"
    assert "may build on" in rewritten(text, slim_base.RULE).left_out["R8"]


def test_r8_names_what_the_image_uses_of_the_full_base() -> None:
    text = "FROM node:20\nENV A=1\nCOPY . .\nHEALTHCHECK CMD curl -f localhost\nCMD node ."
    result = rewritten(text, slim_base.RULE, packages=in_base(PACKAGES, "curl"), missing=["libgomp1"])
    assert result.text.startswith(
        "FROM node:20-slim\nENV A=1\n# hadolint ignore=DL3008\nRUN apt-get update \\\n"
        "    && apt-get install -y --no-install-recommends ca-certificates curl libgomp1 \\\n"
        "    && rm -rf /var/lib/apt/lists/*\nCOPY . .\n"
    )


def test_r8_adds_to_the_list_that_is_there_and_installs_no_tool_anew() -> None:
    text = "FROM python:3.11\nRUN apt-get update && apt-get install -y git libpq5\nCOPY . .\n"
    packages = [*in_base(PACKAGES, "git", "perl"), debian("libgl1")]
    result = rewritten(text, slim_base.RULE, packages=packages, missing=["libgl1"])
    assert result.text == "FROM python:3.11-slim\nRUN apt-get update && apt-get install -y libpq5 libgl1\nCOPY . .\n"


def test_r8_builds_on_the_full_base() -> None:
    text = "FROM python:3.11\nRUN pip install flask\nCMD flask run\n"
    assert rewritten(text, slim_base.RULE).text == (
        "FROM python:3.11 AS build\nRUN pip install flask\n\n"
        f"FROM python:3.11-slim\nCOPY --from=build {SITE} {SITE}\nCMD flask run\n"
    )


@pytest.mark.parametrize(
    ("install", "base", "expected"),
    [
        ("npm ci", "node:20", "npm ci --omit=dev"),
        ("npm ci", "node:14", "npm ci --production"),
        ("npm install", "node:20", "npm install --omit=dev"),
        ("yarn install --frozen-lockfile", "node:20", "yarn install --production --frozen-lockfile"),
        ("yarn", "node:20", "yarn install --production"),
        ("pnpm i --frozen-lockfile", "node:20", "pnpm i --prod --frozen-lockfile"),
    ],
)
def test_r7_installs_without_them_where_nothing_is_built(install: str, base: str, expected: str) -> None:
    text = node_file(f"RUN {install}", "COPY src src", "CMD node src", base=base)
    assert f"RUN {expected}\n" in rewritten(text, production_node.RULE, packages=DEVELOPMENT).text


@pytest.mark.parametrize(
    "line",
    [
        "RUN npm ci --omit=dev",
        "RUN npm ci --only=production",
        "RUN yarn install --production",
        "RUN pnpm install --prod",
        "ENV NODE_ENV=production\nRUN npm ci",
        "RUN npm install --global pm2",
        "RUN cd api && npm ci",
    ],
)
def test_r7_leaves_what_is_production_already_or_not_understood(line: str) -> None:
    text = node_file(line, "CMD node src")
    assert rewritten(text, production_node.RULE, packages=DEVELOPMENT).text == text


@pytest.mark.parametrize(
    ("install", "build", "more", "pruned"),
    [
        ("npm ci", "npm run build", {}, "npm prune --omit=dev"),
        ("pnpm install --frozen-lockfile", "pnpm build", {}, "pnpm prune --prod"),
        (
            "pnpm install",
            "pnpm -r build",
            {"pnpm-workspace.yaml": ""},
            "CI=true pnpm install --prod --offline --ignore-scripts --config.modules-cache-max-age=0",
        ),
        ("yarn", "yarn build", {}, "yarn install --production --ignore-scripts --prefer-offline"),
        ("yarn", "yarn build", {".yarnrc.yml": ""}, "yarn workspaces focus --production"),
        ("yarn install --immutable", "yarn run build", {}, "yarn workspaces focus --production"),
        ("yarn", "yarn build", {"yarn.lock": "__metadata:\n"}, "yarn workspaces focus --production"),
    ],
)
def test_r7_prunes_after_the_build(install: str, build: str, more: dict[str, str], pruned: str) -> None:
    text = node_file(f"RUN {install}", "COPY . .", f"RUN {build}", 'CMD ["npm", "start"]')
    result = rewritten(text, production_node.RULE, packages=DEVELOPMENT, manifest=TYPESCRIPT, texts=more)
    assert f"RUN {build} \\\n    && {pruned}\n" in result.text
    assert result.text.endswith('WORKDIR /app\nCOPY --from=build /app /app\nCMD ["npm", "start"]\n')
    assert result.replaces == {"typescript": ""}


def test_r7_knows_what_an_application_starts_with() -> None:
    text = node_file("RUN npm ci", "COPY . .", "RUN npm run build", "CMD npm run preview")
    manifest = {"scripts": {"build": "vite build", "preview": "vite preview"}, "devDependencies": {"vite": "5.4.2"}}
    result = rewritten(text, production_node.RULE, packages=DEVELOPMENT, manifest=manifest)
    assert "started with vite" in result.left_out["R7"]


def test_r7_gives_the_files_to_whom_they_belonged() -> None:
    text = node_file("USER node", "RUN npm ci", "RUN npm run build", "CMD node .")
    result = rewritten(text, production_node.RULE, packages=DEVELOPMENT, manifest=TYPESCRIPT)
    assert "COPY --from=build --chown=node:node /app /app\n" in result.text
    text = node_file("RUN npm ci", "RUN npm run build", "RUN chown -R node:node /app", "USER node", "CMD node .")
    result = rewritten(text, production_node.RULE, packages=DEVELOPMENT, manifest=TYPESCRIPT)
    assert "COPY --from=build --chown=node:node /app /app\nRUN chown node:node /app\n" in result.text
    # The user is made only later: the files cannot be given to them before.
    text = node_file("RUN npm ci", "RUN npm run build", "RUN useradd web && chown -R web /app", "CMD node .")
    result = rewritten(text, production_node.RULE, packages=DEVELOPMENT, manifest=TYPESCRIPT)
    assert "COPY --from=build /app /app\nRUN useradd web && chown -R web /app\n" in result.text


NEXT = {"scripts": {"build": "next build", "start": "next start"}, "dependencies": {"next": "15.1.0"}}
NEXT_FILE = node_file("RUN npm ci", "COPY . .", "RUN npm run build", 'CMD ["npm", "start"]')


def test_r13_runs_the_standalone_server() -> None:
    result = rewritten(
        NEXT_FILE, nextjs_standalone.RULE, packages=[node("next", "15.1.0")], manifest=NEXT, folders={"public": 1}
    )
    assert "RUN NEXT_PRIVATE_STANDALONE=true npm run build\n" in result.text
    assert result.text.endswith(
        "WORKDIR /app\nENV HOSTNAME=0.0.0.0\nCOPY --from=build /app/.next/standalone /app\n"
        "COPY --from=build /app/.next/static /app/.next/static\nCOPY --from=build /app/public /app/public\n"
        'CMD ["node", "server.js"]\n'
    )
    assert set(result.explains) == {"command", "env"}


@pytest.mark.parametrize(
    ("version", "text", "texts", "why"),
    [
        ("11.1.0", NEXT_FILE, {}, "version"),
        ("15.1.0", NEXT_FILE, {"next.config.js": "module.exports = { output: 'export' }"}, "output itself"),
        ("15.1.0", NEXT_FILE, {"next.config.ts": "export default { distDir: 'out' }"}, "moves its output"),
        ("15.1.0", NEXT_FILE.replace("CMD", 'ENTRYPOINT ["/start.sh"]\nCMD'), {}, "started by"),
        ("15.1.0", NEXT_FILE.replace('["npm", "start"]', "node server.mjs"), {}, "started by"),
        ("15.1.0", NEXT_FILE.replace("RUN npm run build", "RUN npm run docs"), {}, "next build"),
    ],
)
def test_r13_leaves_what_it_does_not_know(version: str, text: str, texts: dict[str, str], why: str) -> None:
    result = rewritten(text, nextjs_standalone.RULE, packages=[node("next", version)], manifest=NEXT, texts=texts)
    assert result.text == text
    assert why in result.left_out["R13"]


def test_r13_says_that_it_needs_the_manifest() -> None:
    assert "package.json" in rewritten(NEXT_FILE, nextjs_standalone.RULE, packages=()).left_out["R13"]


DEVEL = "FROM nvidia/cuda:12.4.1-devel-ubuntu22.04\nRUN pip install torch\nCMD python3 x.py\n"


def test_r16_changes_the_tag_where_wheels_are_installed_and_parts_where_something_is_compiled() -> None:
    assert rewritten(DEVEL, cuda_runtime.RULE).text == DEVEL.replace("-devel-", "-runtime-")
    compiled = rewritten(DEVEL, cuda_runtime.RULE, packages=[python("flash-attn")])
    assert compiled.text.startswith("FROM nvidia/cuda:12.4.1-devel-ubuntu22.04 AS build\n")
    assert "\n\nFROM nvidia/cuda:12.4.1-runtime-ubuntu22.04\nCOPY --from=build" in compiled.text


@pytest.mark.parametrize("name", ["vllm", "cupy-cuda12x", "deepspeed"])
def test_r16_leaves_what_calls_nvcc(name: str) -> None:
    assert name in rewritten(DEVEL, cuda_runtime.RULE, packages=[python(name)]).left_out["R16"]


RUNTIME = "FROM nvidia/cuda:12.4.1-runtime-ubuntu22.04\nRUN pip install torch\nCMD python3 x.py\n"
TORCH = (python("torch", gpu_role="framework"), python("nvidia-cublas-cu12", gpu_role="library"))


def test_r18_keeps_what_is_said_to_the_driver() -> None:
    result = rewritten(RUNTIME, single_cuda.RULE, packages=TORCH)
    assert result.text.startswith(
        "FROM ubuntu:22.04\n\nENV NVIDIA_VISIBLE_DEVICES=all \\\n    NVIDIA_DRIVER_CAPABILITIES=compute,utility\n"
    )
    said = RUNTIME.replace("\nRUN", "\nENV NVIDIA_VISIBLE_DEVICES=0 NVIDIA_DRIVER_CAPABILITIES=all\nRUN")
    assert rewritten(said, single_cuda.RULE, packages=TORCH).text == said.replace(
        "nvidia/cuda:12.4.1-runtime-ubuntu22.04", "ubuntu:22.04"
    )


@pytest.mark.parametrize(
    ("text", "packages", "why"),
    [
        (RUNTIME, [*TORCH, python("ctranslate2")], "may load the base's CUDA"),
        (RUNTIME, [*TORCH, python("onnxruntime-gpu", gpu_role="framework")], "may load the base's CUDA"),
        (RUNTIME, [*TORCH, python("vllm")], "nvcc"),
        (RUNTIME.replace("CMD", "ENV CUDA_HOME=/usr/local/cuda\nCMD"), TORCH, "speaks of"),
        (RUNTIME.replace("pip", "apt-get install -y libcudnn8 && pip"), TORCH, "libcudnn8"),
        (RUNTIME.replace("pip", "make && pip"), TORCH, "compiled"),
    ],
)
def test_r18_leaves_what_may_need_the_base(text: str, packages: Sequence[PackageFacts], why: str) -> None:
    result = rewritten(text, single_cuda.RULE, packages=packages)
    assert result.text == text
    assert why in result.left_out["R18"]
