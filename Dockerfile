# One image for portal, worker and JupyterLab; docker-compose.yml says which of them a container is.
FROM python:3.12-slim-bookworm

# What functions are built with and run on; see docs/runtimes.md for AWS's own versions.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        nodejs npm default-jdk-headless maven golang-go git \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /srv/coldstart
COPY requirements.lock requirements-notebooks.lock pyproject.toml ./
RUN python -m venv .venv \
    && .venv/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements.lock
COPY . .
RUN .venv/bin/pip install --no-cache-dir --no-deps --editable .

ENV PATH=/srv/coldstart/.venv/bin:$PATH \
    COLDSTART_HOME=/var/lib/coldstart \
    COLDSTART_HOST=0.0.0.0
VOLUME /var/lib/coldstart
EXPOSE 8000 8001
ENTRYPOINT ["coldstart"]
CMD ["serve"]
