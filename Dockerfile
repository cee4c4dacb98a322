# One image for every part, the edge with its HAProxy too; docker-compose.yml says which part a container is.
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

RUN apt-get update && apt-get install -y --no-install-recommends haproxy && rm -rf /var/lib/apt/lists/*

# What changes seldom first: the locked libraries stay in their own layer.
COPY setup.cfg pyproject.toml constraints.txt README.md ./
COPY cli cli
COPY config config
COPY local local
COPY mailroom mailroom
COPY scheduler_api scheduler_api
COPY sender sender
COPY simulator simulator
COPY web web
RUN pip install --constraint constraints.txt '.[traces]' && useradd --uid 10001 --create-home mailroom && mkdir /data /first && chown mailroom /data /first

USER mailroom
ENTRYPOINT ["mailroom"]
CMD ["--help"]
