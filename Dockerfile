# One image for every part; docker-compose.yml says which part a container is.
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

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
RUN pip install --constraint constraints.txt . && useradd --system --create-home mailroom && mkdir /data && chown mailroom /data

USER mailroom
ENTRYPOINT ["mailroom"]
CMD ["--help"]
