# Three stages. `build` makes /opt/sidecar, with an interpreter of its own (image/bundle.sh). `dist` is that folder and nothing
# else: any image with a glibc takes it along, and brings a Chromium where browser jobs run:
#   COPY --from=sidecar /opt/sidecar /opt/sidecar
#   RUN ln -s /opt/sidecar/bin/sidecar /usr/local/bin/sidecar
# `runtime` adds Chromium, ffmpeg and fonts. The scraper is the parent: it runs in an image made from this one, or starts
# `docker run --interactive sidecar`.
# Chromium keeps its own sandbox, which an engine's defaults forbid: `--security-opt seccomp=image/seccomp.json` allows it.

FROM debian:bookworm-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates patchelf python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY image/bundle.sh image/launcher.py image/
COPY clients clients
COPY protocol protocol
COPY sidecar sidecar
RUN image/bundle.sh /src

FROM scratch AS dist
COPY --from=build /opt/sidecar /opt/sidecar

FROM debian:bookworm-slim AS runtime
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
    ca-certificates chromium-headless-shell chromium-sandbox ffmpeg fonts-liberation tini tzdata \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 sidecar \
 && install --directory --owner=sidecar --group=sidecar --mode=0700 /var/lib/sidecar
COPY --from=dist /opt/sidecar /opt/sidecar
RUN ln -s /opt/sidecar/bin/sidecar /usr/local/bin/sidecar
LABEL org.opencontainers.image.title="sidecar" \
      org.opencontainers.image.description="A long-lived child process for scrapers: JSON lines on stdin and stdout" \
      org.opencontainers.image.licenses="MIT"
ENV SIDECAR_HOME=/var/lib/sidecar
VOLUME /var/lib/sidecar
USER sidecar
WORKDIR /home/sidecar
# the compiled code of Playwright's driver, which a container would otherwise make at its first job
RUN NODE_COMPILE_CACHE=/home/sidecar/.cache/sidecar/driver /opt/sidecar/python/bin/python3 -Im playwright run-driver </dev/null
HEALTHCHECK --interval=1m --timeout=20s --start-period=5s CMD ["sidecar", "doctor", "--quick"]
ENTRYPOINT ["tini", "-s", "--", "sidecar"]
