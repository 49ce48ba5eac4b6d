FROM continuumio/miniconda3:24.1.2-0

WORKDIR /app
COPY environment.yml .
RUN conda env update -n base -f environment.yml \
    && conda clean -afy
RUN pip install --no-cache-dir poetry==1.7.1
COPY pyproject.toml poetry.lock ./
RUN poetry config virtualenvs.create false && poetry install --only main --no-root \
    && rm -rf ~/.cache/pypoetry/artifacts ~/.cache/pypoetry/cache
COPY . .
CMD ["python", "-m", "lab"]
