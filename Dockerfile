# Two stages: `build` makes /opt/sidecar, `runtime` holds only what runs. /opt/sidecar/bin has `sidecar` alone, fit for a PATH:
# the bundle's own python3 stays in /opt/sidecar/venv/bin.
# Another image can take the sidecar along; it then brings Debian's python3 and, for browser jobs, a Chromium:
#   COPY --from=sidecar /opt/sidecar /opt/sidecar
# The scraper is the parent: it runs in an image made from this one, or starts `docker run --interactive --init sidecar`.
# Chromium keeps its own sandbox, which an engine's defaults forbid: add `--cap-add SYS_ADMIN` where browser jobs run.

FROM debian:bookworm-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY protocol protocol
COPY sidecar sidecar
RUN python3 -m venv /opt/sidecar/venv \
 && /opt/sidecar/venv/bin/pip install --no-cache-dir -c constraints.txt '.[fleet]' \
 && /opt/sidecar/venv/bin/pip uninstall -y setuptools pip \
 && mkdir /opt/sidecar/bin \
 && ln -s ../venv/bin/sidecar /opt/sidecar/bin/sidecar

FROM debian:bookworm-slim AS runtime
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
    ca-certificates chromium-headless-shell chromium-sandbox fonts-liberation python3 tzdata \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 sidecar \
 && install --directory --owner=sidecar --group=sidecar --mode=0700 /var/lib/sidecar
COPY --from=build /opt/sidecar /opt/sidecar
ENV SIDECAR_HOME=/var/lib/sidecar
VOLUME /var/lib/sidecar
USER sidecar
WORKDIR /home/sidecar
ENTRYPOINT ["/opt/sidecar/bin/sidecar"]
