"""For each built-in rule a host on which it finds exactly one thing, and one where it finds nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.findings.warehouse_made import (
    Rows,
    build_cache,
    container,
    days_before,
    directory,
    gpu_check,
    host,
    image,
    image_gpu,
    mount_gone,
    package,
    removable,
    together,
    volume,
)

APP = image("i1", "shop/app:1", layers=[("base", 50_000_000, None), ("own", 900_000_000, "RUN make")])
RUNNING = container("web", "i1")
GB = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Case:
    """`row` holds columns of the one finding; `evidence` and `advice` are parts of its text."""

    rule_id: str
    finds: Rows
    nothing: Rows
    row: dict[str, Any]
    evidence: str
    advice: str = ""


def technique(rule_id: str, number: int, level: str, *, size: int = 300_000_000, dead: bool = False) -> Case:
    """A technique whose bytes lie in a layer of the image's own, and in one that another image holds too."""
    claim = f"R{number}:{level}"
    other = image("i2", "shop/other:1", layers=[("base", 50_000_000, None)])
    bytes_ = {
        "low_bytes": size if level == "low" else 0,
        "likely_bytes": size if level in ("low", "likely") else 0,
        "high_bytes": size,
    }
    gone = {
        "low": "300 MB would go;",
        "likely": "at least 0 B, likely 300 MB, at most 300 MB would go;",
        "high": "at least 0 B, likely 0 B, at most 300 MB would go;",
    }
    return Case(
        rule_id,
        together(
            host(),
            APP,
            other,
            removable("i1", "R99:low", claim, size_bytes=size, position=1, dead=dead),
            removable("i1", claim, size_bytes=20_000_000, position=0, example="srv/shared"),
        ),
        together(host(), APP, other, removable("i1", claim, size_bytes=20_000_000, position=0)),
        {
            "subject_kind": "image",
            "subject": "shop/app:1",
            "image_id": "i1",
            "path": "/srv/biggest",
            "size_bytes": size + 20_000_000,
            **bytes_,
            "technique": f"R{number}",
        },
        f"6 files of 320 MB counted, such as /srv/biggest: {gone[level]}",
    )


def plain(size_bytes: int = 0, gain: int = 0, **columns: Any) -> dict[str, Any]:
    """Columns of a finding about the application's image whose three estimates are equal."""
    row = {"subject_kind": "image", "subject": "shop/app:1", "image_id": "i1", "path": None, "size_bytes": size_bytes}
    return row | {"low_bytes": gain, "likely_bytes": gain, "high_bytes": gain} | columns


def about_directory(path: str, size_bytes: int, low: int, likely: int, high: int) -> dict[str, Any]:
    row = {"subject_kind": "directory", "subject": path, "image_id": None, "path": path, "size_bytes": size_bytes}
    return row | {"low_bytes": low, "likely_bytes": likely, "high_bytes": high}


def with_history(line: str | None) -> Rows:
    return together(host(), image("i1", "shop/app:1", layers=[("l1", 1_000, None), ("l2", 50_000_000, line)]))


def gpu_case() -> Case:
    claims = together(
        removable("i1", "R1:low", "R18:likely", size_bytes=400_000_000, position=1, example="srv/libcublas.so"),
        removable("i1", "R1:likely", size_bytes=100_000_000, position=1),
        removable("i1", "R1:high", size_bytes=50_000_000, position=1),
        package("i1", "torch", 10, version="2.8.0", local_version="2.8.0+cu128", gpu_role="framework"),
    )
    row = plain(550_000_000, severity="medium", path="/srv/libcublas.so", technique="R1")
    row |= {"low_bytes": 400_000_000, "likely_bytes": 500_000_000, "high_bytes": 550_000_000}
    return Case(
        "gpu-build-without-gpu",
        together(host(), APP, claims, gpu_check("i1", "denied")),
        together(host(), APP, claims, gpu_check("i1", "granted"), gpu_check("i1", "denied", "web")),
        row,
        "The words of the verdict. (high). torch 2.8.0+cu128. 9 files of 550 MB",
        "Put torch==2.8.0+cpu into a constraints file",
    )


def packages_case() -> Case:
    one = image("i1", "shop/app:1", layers=[("a", GB, None)])
    two = image("i2", "shop/web:1", layers=[("b", GB, None)])
    shared = image("i2", "shop/web:1", layers=[("a", GB, None), ("c", 5, None)])
    big = [package(i, "torch", 300_000_000, fingerprint="f", location=f"opt/{i}") for i in ("i1", "i2")]
    small = [package(i, "numpy", 60_000_000) for i in ("i1", "i2")]
    row = {
        "subject_kind": "host",
        "subject": "shop/app:1, shop/web:1",
        "image_id": None,
        "path": None,
        "size_bytes": 720_000_000,
    }
    return Case(
        "packages-in-several-images",
        together(host(), one, two, *big, *small, package("i1", "scipy", 90_000_000)),
        together(host(), one, shared, *big, *small),
        row | {"low_bytes": 300_000_000, "likely_bytes": 360_000_000, "high_bytes": 360_000_000},
        "2 packages of 360 MB (torch 1.0, numpy 1.0) in 2 images, in layers of their own",
    )


def layers_case() -> Case:
    def built(image_id: str, name: str, diff_id: str, size_bytes: int, line: str) -> Rows:
        return image(image_id, name, layers=[("base", 5, None), (diff_id, size_bytes, line)])

    step = "RUN /bin/sh -c pip install torch # buildkit"
    row = {"subject_kind": "host", "subject": "web", "image_id": None, "path": None, "size_bytes": 203_000_000}
    return Case(
        "layers-almost-equal",
        together(
            host(),
            built("i1", "a:1", "x", 100_000_000, step),
            built("i2", "b:1", "y", 103_000_000, step),
            built("i3", "c:1", "z", 150_000_000, step),
        ),
        together(
            host(),
            built("i1", "a:1", "x", 100_000_000, step),
            built("i2", "b:1", "y", 110_000_000, step),
            built("i3", "c:1", "z", 100_000_000, "COPY . ."),
            built("i4", "d:1", "w", 100_000_000, "COPY . ."),
        ),
        row | {"low_bytes": 0, "likely_bytes": 100_000_000, "high_bytes": 100_000_000},
        "2 layers of 100 MB to 103 MB made by the same step, 2 different contents, in a:1, b:1: RUN /bin/sh",
    )


CASES = [
    gpu_case(),
    Case(
        "pip-without-uv",
        with_history("RUN /bin/sh -c pip install -r requirements.txt # buildkit"),
        with_history("RUN /bin/sh -c uv pip install -r requirements.txt # buildkit"),
        plain(severity="info", technique="R2"),
        "1 layer made by pip install, none by uv",
    ),
    technique("build-tools-left-in", 3, "low"),
    technique("recommended-packages", 4, "likely"),
    technique("package-lists-left-in", 5, "low"),
    technique("package-caches-left-in", 6, "low"),
    technique("node-development-packages", 7, "likely"),
    technique("full-base-image", 8, "likely"),
    technique("tests-docs-and-bytecode", 9, "high"),
    technique("copied-without-need", 10, "high"),
    technique("cache-mounts", 11, "low"),
    technique("copied-to-change-their-owner", 12, "low", dead=True),
    technique("next-without-standalone", 13, "high"),
    technique("debug-files", 14, "likely"),
    technique("static-libraries-and-headers", 15, "likely"),
    technique("cuda-devel-files", 16, "likely"),
    technique("overwritten-or-deleted-files", 17, "low", dead=True),
    technique("cuda-libraries-twice", 18, "likely"),
    Case(
        "image-over-limit",
        together(host(), image("i1", "shop/app:1", layers=[("l1", 6 * GB, None)])),
        together(host(), image("i1", "shop/app:1", layers=[("l1", 2 * GB, None)])),
        plain(6 * GB, severity="high"),
        "It takes 6 GB in 1 layer; the limit is 2 GB.",
        "`imgopt explain shop/app:1`",
    ),
    Case(
        "secret-in-history",
        with_history("RUN |2 API_TOKEN=*** VERSION=*** /bin/sh -c curl -H 'Authorization: ***' x # buildkit"),
        with_history("RUN |2 PYTHON_VERSION=*** TOKENIZERS_PARALLELISM=*** /bin/sh -c make # buildkit"),
        plain(severity="high"),
        "1 line of its history with a credential (layer 1: a value of API_TOKEN)",
        "change the credential",
    ),
    Case(
        "secret-in-environment",
        together(host(), image("i1", "shop/app:1", env_names=["PATH", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY"])),
        together(
            host(),
            image("i1", "shop/app:1", env_names=["PATH", "PWD", "GPG_KEY", "DB_PASSWORD_FILE", "AUTHOR", "MAX_TOKENS"]),
        ),
        plain(severity="medium"),
        "2 variables whose name says that the value is secret: AWS_SECRET_ACCESS_KEY, DB_PASSWORD",
    ),
    Case(
        "root-user",
        together(host(), image("i1", "shop/app:1", default_user="0:0"), RUNNING, container("two", "i1", running=False)),
        together(
            host(),
            image("i1", "shop/app:1", default_user="rooty"),
            RUNNING,
            image("i2", "shop/idle:1", default_user=""),
        ),
        plain(severity="low"),
        "Its user is 0:0; 1 container of it runs.",
    ),
    Case(
        "no-health-check",
        together(host(), image("i1", "shop/app:1", has_healthcheck=False), RUNNING),
        together(host(), APP, RUNNING, image("i2", "shop/idle:1", has_healthcheck=False)),
        plain(severity="low"),
        "The image defines none; 1 container of it runs.",
    ),
    Case(
        "latest-in-production",
        together(host(), APP, container("web", "i1", image_reference="registry:5000/shop/app")),
        together(
            host(),
            APP,
            container("web", "i1", image_reference="registry:5000/shop/app:1.2"),
            container("two", "i1", image_reference="shop/app@sha256:12"),
            container("three", "i1", image_reference="d5d345e4aae3"),
            container("four", "i1", image_reference="shop/app:latest", running=False),
        ),
        plain(subject_kind="container", subject="web"),
        "It runs registry:5000/shop/app, which names no tag",
        "`registry:5000/shop/app:1.2.3`",
    ),
    Case(
        "stopped-containers",
        together(
            host(), APP, container("old", "i1", running=False, state="exited", writable_bytes=150_000_000), RUNNING
        ),
        together(host(), APP, RUNNING, container("flapping", "i1", running=False, state="restarting")),
        plain(150_001_000, 150_001_000, subject_kind="container", subject="old", severity="medium"),
        "It is exited, last started 2026-05-27; what it wrote takes 150 MB, its log 1 kB.",
        "`docker container rm old`",
    ),
    Case(
        "dangling-images",
        together(
            host(),
            APP,
            RUNNING,
            image("d5d345e4aae3cc", layers=[("base", 50_000_000, None), ("lost", 7_000_000, None)]),
        ),
        together(
            host(),
            image("d5d345e4aae3cc", layers=[("lost", 7_000_000, None)]),
            container("web", "d5d345e4aae3cc"),
        ),
        plain(57_000_000, 7_000_000, subject="d5d345e4aae3", image_id="d5d345e4aae3cc", severity="low"),
        "7 MB of its 57 MB lie in layers that no other image holds",
        "`docker image rm d5d345e4aae3`",
    ),
    Case(
        "unused-images",
        together(host(), APP, image("i2", "shop/used:1", layers=[("base", 50_000_000, None)]), container("web", "i2")),
        together(host("archives"), APP),
        plain(950_000_000, 900_000_000, severity="medium"),
        "No container, running or stopped, uses it and no other image is built on it; 900 MB of its 950 MB",
        "`docker image rm shop/app:1`",
    ),
    Case(
        "unused-volumes",
        together(host(), volume("db", anonymous=True)),
        together(host(), volume("db", containers=1)),
        plain(7_000_000, 7_000_000, subject_kind="volume", subject="db", image_id=None, low_bytes=0)
        | {"path": "/var/lib/docker/volumes/db/_data"},
        "mounts it; it holds 7 MB and has no name of its own.",
        "`docker volume rm db`",
    ),
    Case(
        "moved-data-is-gone",
        together(host(), mount_gone("music")),
        together(host(), mount_gone("music", kind="unreadable layer")),
        plain(0, 0, subject_kind="directory", subject="music", image_id=None, low_bytes=0) | {"severity": "high"},
        "the mount /mnt/remote is gone",
        "Mount it again",
    ),
    Case(
        "old-build-cache",
        together(host(), build_cache(3 * GB)),
        together(host(), build_cache(GB - 1)),
        plain(3 * GB + 5_000, 3 * GB, subject_kind="host", subject="web", image_id=None, low_bytes=1_500_000_000),
        "40 records in the build cache take 3 GB, 3 GB of it not in use",
        "docker builder prune",
    ),
    Case(
        "logs-without-rotation",
        together(host(), APP, container("web", "i1", log_bytes=2 * GB)),
        together(host(), APP, container("web", "i1", log_bytes=99_999_999), container("two", "i1", log_bytes=None)),
        plain(2 * GB, 1_970_000_000, subject_kind="container", subject="web", high_bytes=2 * GB, severity="high"),
        "Its log files (json-file) take 2 GB",
        "max-size: 10m",
    ),
    Case(
        "stale-images",
        together(host(), image("i1", "shop/app:1", created_at=days_before(200)), RUNNING),
        together(
            host(),
            image("i1", "shop/app:1", created_at=days_before(180)),
            image("i2", "nix/app:1", created_at=datetime(1970, 1, 1), layers=[("n", 1, None)]),
            RUNNING,
            container("nix", "i2"),
        ),
        plain(severity="medium"),
        "200 days before the audit; the limit is 180.",
    ),
    Case(
        "base-image-behind",
        together(
            host(),
            image("i1", "shop/app:1", base_reference="python:3.11-slim", base_evidence="annotation"),
            image("b1", "python:3.11-slim", layers=[("new", 1_000, None)], created_at=days_before(1)),
        ),
        together(
            host(),
            image("b1", "python:3.11-slim", layers=[("new", 1_000, None)], created_at=days_before(20)),
            image("b2", "python:3.11", layers=[("full", 1_000, None)], created_at=days_before(1)),
            image("i1", "shop/app:1", layers=[("new", 1_000, None), ("own", 5, None)], base="b1") | {},
        ),
        plain(1_000),
        "python:3.11-slim has been renewed here since (2026-05-31), the image does not stand on it",
        "docker build --pull",
    ),
    Case(
        "same-content-under-several-names",
        together(host(), image("i1", "shop/app:1", "shop/app:latest"), image("i2", "shop/copy:1")),
        together(host(), image("i1", "shop/app:1"), image("i2", "shop/copy:1", layers=[("other", 1_000, None)])),
        plain(1_000),
        "3 names for the same layers (shop/app:1, shop/app:latest, shop/copy:1); 2 images",
    ),
    Case(
        "old-versions-kept",
        together(
            host(),
            image(
                "i1",
                "shop/app:1",
                layers=[("base", 5_000, None), ("v1", 200_000_000, None)],
                created_at=days_before(30),
            ),
            image("i2", "shop/app:2", layers=[("base", 5_000, None), ("v2", 200_000_000, None)]),
            container("web", "i2"),
        ),
        together(
            host(),
            image("i1", "shop/app:1", layers=[("v1", 200_000_000, None)], created_at=days_before(30)),
            image("i2", "shop/app:2", layers=[("v2", 200_000_000, None)]),
            image("i3", "shop/web:1", layers=[("v3", 5, None)], created_at=days_before(40)),
            container("web", "i1"),
        ),
        plain(200_005_000, 200_000_000, severity="medium"),
        "Built 2026-05-02; shop/app:2 of the same repository was built 2026-05-22.",
        "`docker image rm shop/app:1`",
    ),
    packages_case(),
    layers_case(),
    Case(
        "python-package-twice",
        together(
            host(),
            APP,
            package("i1", "Typing_Extensions", 6_000_000, position=1),
            package("i1", "typing-extensions", 9_000_000, position=1, location="opt/venv/site-packages", version="2"),
        ),
        together(
            host(),
            APP,
            package("i1", "six", 6_000_000),
            package("i1", "six", 6_000_000, ecosystem="node", location="srv/node_modules"),
        ),
        plain(15_000_000, 6_000_000, path="/usr/lib/python3/site-packages", low_bytes=0, severity="low"),
        "1 package in more than one place (typing-extensions), in opt/venv/site-packages, usr/lib/python3/",
    ),
    Case(
        "gpu-needed-but-absent",
        together(host(), APP, gpu_check("i1", "broken"), gpu_check("i1", "broken", "web")),
        together(host(), APP, gpu_check("i1", "required"), gpu_check("i1", "denied", "web")),
        plain(5 * GB, subject_kind="container", subject="web", severity="high"),
        "The words of the verdict. (high). Seen: device=cuda (app/main.py:7).",
        "--gpus all",
    ),
    Case(
        "gpu-granted-but-unused",
        together(host(), APP, gpu_check("i1", "granted", "web", granted=True, used=False)),
        together(
            host(),
            APP,
            gpu_check("i1", "granted", "web", granted=True, used=None),
            gpu_check("i1", "used", "two", granted=True, used=True),
        ),
        plain(5 * GB, subject_kind="container", subject="web"),
        "none of its processes was on one when the audit looked",
    ),
    Case(
        "named-cpu-but-gpu-build",
        together(host(), image("i1", "shop/tts-cpu:1"), gpu_check("i1", "denied")),
        together(host(), image("i1", "shop/cpuinfo:1"), gpu_check("i1", "denied"), image("i2", "shop/tts:cpu")),
        plain(5 * GB, subject="shop/tts-cpu:1", severity="high"),
        "Its name says cpu, its content is a cuda build with 5 GB",
    ),
    Case(
        "cuda-environment-without-grant",
        together(host(), APP, image_gpu("i1", NVIDIA_VISIBLE_DEVICES="all"), gpu_check("i1", "denied", "web")),
        together(
            host(),
            APP,
            image("i2", "shop/two:1"),
            image_gpu("i1", NVIDIA_VISIBLE_DEVICES="void"),
            image_gpu("i2", NVIDIA_VISIBLE_DEVICES="all"),
            gpu_check("i1", "denied", "web"),
            gpu_check("i2", "granted", "two", granted=True),
        ),
        plain(subject_kind="container", subject="web", severity="info"),
        "NVIDIA_VISIBLE_DEVICES is all in the image, and no GPU is granted",
    ),
    Case(
        "data-on-local-disk",
        together(
            host(),
            directory("/srv/music", "audio", 4_100_000_000, unused_bytes=3 * GB),
            directory("/srv/music/old", "audio", 2 * GB),
        ),
        together(
            host(),
            directory("/srv/music", "audio", 4 * GB, remote=True),
            directory("/srv/db", "database", 4 * GB),
            directory("/srv/few", "audio", 99_999_999),
        ),
        about_directory("/srv/music", 4_100_000_000, 4_100_000_000, 4_100_000_000, 4_100_000_000),
        "120 files of 4.1 GB, mostly audio (4.1 GB of audio, video, images, models and archives), on a local ext4; "
        "mounted by music; 3 GB not used for 180 days.",
        "stop music, copy",
    ),
    Case(
        "build-output-on-host",
        together(host(), directory("/srv/site/node_modules", "node_modules", 500_000_000, in_use_by=["node (7)"])),
        together(host(), directory("/srv/site/node_modules", "node_modules", 99_999_999)),
        about_directory("/srv/site/node_modules", 500_000_000, 0, 500_000_000, 500_000_000),
        "500 MB of modules and build output in 120 files; in use by node (7).",
        "Stop the application first",
    ),
    Case(
        "files-unused-for-long",
        together(
            host(), directory("/srv/m", "audio", GB, unused_bytes=None, unread_bytes=None, unmodified_bytes=800_000_000)
        ),
        together(host(), directory("/srv/m", "audio", GB, unused_bytes=5, unmodified_bytes=800_000_000)),
        about_directory("/srv/m", GB, 0, 0, 800_000_000),
        "800 MB of 1 GB not modified for 180 days; whether they were read is not recorded there.",
    ),
    Case(
        "low-efficiency",
        together(
            host(),
            image(
                "i1",
                "shop/app:1",
                layers=[("a", 100_000_000, None), ("b", 300_000_000, None)],
                dead={0: 20_000_000, 1: GB // 5},
            ),
            image("i2", "shop/web:1", layers=[("a", 100_000_000, None)]),
        ),
        together(host(), image("i1", "shop/app:1", layers=[("a", 100_000_000, None)], dead={0: 10_000_000})),
        plain(220_000_000, GB // 5, severity="medium"),
        "180 MB of 400 MB are visible (45.0 %), the limit is 90.0 %; 220 MB are hidden, 200 MB of them in layers",
    ),
]
