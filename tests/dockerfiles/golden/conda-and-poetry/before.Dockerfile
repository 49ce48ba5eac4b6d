FROM continuumio/miniconda3:24.1.2-0

WORKDIR /app
COPY environment.yml .
RUN conda env update -n base -f environment.yml
RUN pip install poetry==1.7.1
COPY pyproject.toml poetry.lock ./
RUN poetry config virtualenvs.create false && poetry install --only main --no-root
COPY . .
CMD ["python", "-m", "lab"]
