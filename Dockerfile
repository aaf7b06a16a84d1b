# yamnet-cry as a service, on linux/amd64 and linux/arm64; docs/home.md says how to run it.

FROM python:3.11.14-slim-bookworm AS build
COPY . /src
RUN python -m venv /opt/yamnet-cry && /opt/yamnet-cry/bin/pip install --no-cache-dir "/src[mqtt]"

# Neither the checkout nor pip's leftovers come along.
FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="yamnet-cry" \
      org.opencontainers.image.description="Hears a baby cry on cameras and streams, and tells Home Assistant" \
      org.opencontainers.image.licenses="MIT"
# Debian replaces a version when it mends it.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends ffmpeg && rm -rf /var/lib/apt/lists/*
# New volumes take over who owns these folders.
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin yamnet-cry \
    && install -d -o yamnet-cry -g yamnet-cry -m 0750 /clips /state
COPY --from=build /opt/yamnet-cry /opt/yamnet-cry
# The root file system may be read-only: only /clips, /state and /tmp are written.
ENV PATH=/opt/yamnet-cry/bin:$PATH HOME=/tmp HF_HOME=/state/models PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
VOLUME ["/clips", "/state"]
STOPSIGNAL SIGTERM
# To Docker any exit code but 0 and 1 is undefined.
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s \
    CMD ["sh", "-c", "yamnet-cry health /state/state.json || exit 1"]
ENTRYPOINT ["yamnet-cry"]
CMD ["listen", "--config", "/config/sources.toml", "--state", "/state/state.json", "--quiet"]
