"""Other variants of official base images: which tags are understood, and how they are written back."""

from __future__ import annotations

import pytest

from imgopt_pipeline.dockerfiles.base_images import plain_system, reference, runtime_tag, slim_tag, with_tag


@pytest.mark.parametrize(
    ("image", "slim"),
    [
        ("python:3.11", "python:3.11-slim"),
        ("python:3.13.0rc1", "python:3.13.0rc1-slim"),
        ("python:3.11-bookworm", "python:3.11-slim-bookworm"),
        ("python:bookworm", "python:slim-bookworm"),
        ("python", "python:slim"),
        ("python:latest", "python:slim"),
        ("docker.io/library/python:3", "docker.io/library/python:3-slim"),
        ("public.ecr.aws/docker/library/python:3.12", "public.ecr.aws/docker/library/python:3.12-slim"),
        ("node:20", "node:20-slim"),
        ("node:20.11.1-bookworm", "node:20.11.1-bookworm-slim"),
        ("node:lts-iron", "node:lts-iron-slim"),
        ("node", "node:slim"),
        ("debian:bookworm-20240722", "debian:bookworm-20240722-slim"),
        ("debian:12.5", "debian:12.5-slim"),
        ("debian", "debian:stable-slim"),
        ("ruby:3.3-bullseye", "ruby:3.3-slim-bullseye"),
        ("openjdk:17-jdk-bullseye", "openjdk:17-jdk-slim-bullseye"),
        ("python:3.11-slim", None),
        ("python:3.11-alpine", None),
        ("python:3.11-windowsservercore", None),
        ("python:3.11@sha256:0123", None),
        ("registry.example.org/team/python:3.11", None),
        ("golang:1.22", None),
        ("node:20-alpine3.19", None),
        ("ubuntu:22.04", None),
    ],
)
def test_the_slim_variant(image: str, slim: str | None) -> None:
    assert with_tag(image, image, slim_tag) == slim


@pytest.mark.parametrize(
    ("written", "expanded", "slim"),
    [
        ("python:${V}", "python:3.11", "python:${V}-slim"),
        ("python:${V:-3.11}", "python:3.11", "python:${V:-3.11}-slim"),
        ("python:$V-bookworm", "python:3.11-bookworm", "python:$V-slim-bookworm"),
        ("node:${V}-bookworm", "node:20-bookworm", "node:${V}-bookworm-slim"),
        ("${BASE}", "python:3.11", None),
        ("python:${V}", "python:3.11-bookworm", None),
        ("python:${V}", "python:${V}", None),
    ],
)
def test_variables_of_the_tag_stay(written: str, expanded: str, slim: str | None) -> None:
    assert with_tag(written, expanded, slim_tag) == slim


@pytest.mark.parametrize(
    ("image", "runtime"),
    [
        ("nvidia/cuda:12.4.1-cudnn-devel-ubuntu22.04", "nvidia/cuda:12.4.1-cudnn-runtime-ubuntu22.04"),
        ("nvcr.io/nvidia/cuda:12.1.1-devel-ubi8", "nvcr.io/nvidia/cuda:12.1.1-runtime-ubi8"),
        ("pytorch/pytorch:2.3.1-cuda12.1-cudnn8-devel", "pytorch/pytorch:2.3.1-cuda12.1-cudnn8-runtime"),
        ("nvidia/cuda:12.4.1-runtime-ubuntu22.04", None),
        ("example/cuda:12-devel", None),
    ],
)
def test_the_runtime_variant(image: str, runtime: str | None) -> None:
    assert with_tag(image, image, runtime_tag) == runtime


@pytest.mark.parametrize(
    ("image", "system"),
    [
        ("nvidia/cuda:12.4.1-cudnn-runtime-ubuntu22.04", "ubuntu:22.04"),
        ("nvidia/cuda:12.4.1-base-ubi9", "redhat/ubi9"),
        ("nvidia/cuda:12.4.1-runtime-rockylinux9", "rockylinux:9"),
        ("nvidia/cuda:latest", None),
        ("pytorch/pytorch:2.3.1-cuda12.1-cudnn8-runtime", None),
    ],
)
def test_the_plain_system(image: str, system: str | None) -> None:
    parts = reference(image)
    assert plain_system(parts.official, parts.tag) == system


def test_a_port_is_no_tag() -> None:
    assert reference("localhost:5000/python").tag == ""
    assert reference("localhost:5000/python:3@sha256:ab").repository == "localhost:5000/python"
