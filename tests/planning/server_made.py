"""A full server of 48 GB of images, with the variants that its tests need."""

from __future__ import annotations

from tests.planning.warehouse_made import APT_LAYER, BASE, BASE_LAYER, COPY, GB, MB, Layer, Row, Server, pip_layer

TORCH = {"torch": "2.8.0", "torchaudio": "2.8.0"}
OTHERS = {"postgres:16": 430, "redis:7": 120, "nginx:1.27": 190, "n8nio/n8n:1.100": 990, "ollama/ollama:0.9": 3400}


def full_server(
    *,
    whisperx_gpu: bool = False,
    whisperx_name: str = "whisperx_whisperx:latest",
    kokoro_cpu: bool = False,
    app_running: bool = True,
) -> Server:
    server = Server(has_gpu=whisperx_gpu)
    gpu: Row = {"verdict": "denied", "build": "cuda"}
    whisperx = server.image(
        whisperx_name,
        [BASE_LAYER, APT_LAYER, pip_layer("pip whisperx", 5400 * MB, 2500 * MB), Layer("app", COPY, 17_300)],
        gpu_bytes=5400 * MB,
        packages=TORCH,
        **gpu | ({"verdict": "granted", "granted": True} if whisperx_gpu else {}),
    )
    compose: Row = {
        "compose_working_dir": "/srv/whisperx",
        "compose_config_files": ["/srv/whisperx/docker-compose.yml"],
    }
    server.container("whisperx", whisperx, compose_project="whisperx", compose_service="whisperx", **compose)
    server.finding("cuda_without_gpu", "R1", "image", whisperx_name, image_id=whisperx)

    worker = server.image(
        "paperflow_paperflow-worker:latest",
        [BASE_LAYER, pip_layer("pip worker", 2300 * MB, 4270 * MB)],
        gpu_bytes=2300 * MB,
        packages=TORCH,
        **gpu,
    )
    server.container("worker", worker, compose_project="paperflow", compose_service="paperflow-worker")
    kokoro = server.image(
        "kokoro-fastapi-cpu:latest",
        [BASE_LAYER, pip_layer("pip kokoro", 0 if kokoro_cpu else 2200 * MB, 3330 * MB)],
        packages=TORCH,
        verdict="denied",
        build="cpu" if kokoro_cpu else "cuda",
        gpu_bytes=0 if kokoro_cpu else 2200 * MB,
    )
    server.container("kokoro", kokoro)

    ragflow = server.image(
        "infiniflow/ragflow:v0.21.0-slim",
        [
            Layer("ubuntu", BASE, 80 * MB),
            pip_layer("uv sync", 0, 5980 * MB),
            Layer("apt ragflow", "RUN apt-get install texlive", GB, {"R4:likely": 600 * MB, "R3:likely": 200 * MB}),
        ],
        digests=["infiniflow/ragflow@sha256:" + "1" * 64],
    )
    server.container("ragflow", ragflow)
    calcom = server.image(
        "calcom/cal.com:v4.7.8",
        [
            Layer("debian", BASE, 100 * MB),
            Layer("node", "RUN /bin/sh -c install node", 154 * MB),
            Layer("yarn", "RUN /bin/sh -c install yarn", 5_340_000),
            Layer("monorepo", "COPY /calcom /calcom # buildkit", 3730 * MB, {"R7:likely": 2 * GB, "R10:low": 20 * MB}),
            Layer("rest", "RUN /bin/sh -c yarn build", 830 * MB, {"R6:low": 40 * MB}),
        ],
        digests=["calcom/cal.com@sha256:" + "2" * 64],
    )
    server.container("calcom", calcom)
    for reference, size in OTHERS.items():
        name = reference.partition(":")[0]
        layers = [Layer(f"base of {name}", BASE, size * MB, {"R9:likely": size * MB // 50})]
        image = server.image(reference, layers, digests=[f"{name}@sha256:" + "3" * 64])
        server.container(name.rpartition("/")[2], image)
    # What else fills it up to 48.31 GB, each just as it should be.
    for number in range(11):
        plain = server.image(f"team/service-{number}:1", [Layer(f"service {number}", BASE, 900 * MB)])
        server.container(f"service-{number}", plain)

    server.directory(
        "/srv/impro-manager/music",
        {"audio": 4_100 * MB},
        containers=["impro-manager"],
        compose_project="impro-manager",
        running=True,
        unused_bytes=1_500 * MB,
    )
    server.directory(
        "/srv/impro-manager/nextjs-app",
        {"node_modules": 400 * MB, "build output": 100 * MB, "source": 3 * MB},
        kind="project",
        compose_project="impro-manager",
        in_use_by=["node (4711)"] if app_running else [],
    )
    return server
