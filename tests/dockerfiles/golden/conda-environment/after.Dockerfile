FROM continuumio/miniconda3:24.5.0-0 AS build

SHELL ["/bin/bash", "-o", "pipefail", "-c"]

RUN apt-get update && apt-get install -y --no-install-recommends gcc g++ libgl1 && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/segment
COPY environment.yml .
RUN conda env create -f environment.yml && conda clean -afy

FROM continuumio/miniconda3:24.5.0-0

SHELL ["/bin/bash", "-o", "pipefail", "-c"]

RUN apt-get update && apt-get install -y --no-install-recommends libgl1 && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/segment

COPY --from=build /opt/conda/envs/segment /opt/conda/envs/segment

ENV PATH=/opt/conda/envs/segment/bin:$PATH
COPY segment/ segment/
CMD ["python", "-m", "segment.serve"]
