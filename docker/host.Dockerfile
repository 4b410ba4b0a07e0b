# The host image: the MCP server and control API as a container, and the filter between it and the engine, which has the
# engine's socket mounted: docker-compose.prototype.yml. Whoever may talk to that socket is root on the machine.
# Promises: the bundled host, git and nothing else on top of the base. Build it with `node docker/build-image.mjs --host`.
ARG BASE=node:24-bookworm-slim

FROM ${BASE}
RUN apt-get -o Acquire::Retries=3 update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates git \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/* /tmp/*
ARG VERSION=0.0.0
LABEL dev.claudecluster.host-version=${VERSION} \
      org.opencontainers.image.title="ClaudeCluster host" \
      org.opencontainers.image.description="MCP server that starts Claude Code sessions in sealed containers." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version=${VERSION}
# For `docker exec`.
RUN printf '#!/bin/sh\nexec node /opt/claudecluster/claudecluster.mjs "$@"\n' > /usr/local/bin/claudecluster \
 && chmod 755 /usr/local/bin/claudecluster
COPY dist/host/ /opt/claudecluster/
WORKDIR /
# Serves on every address of the container: which of them can be reached is up to how its port is published.
EXPOSE 8811 8812
# As the host starts itself (host/daemon/start-host.ts).
ENTRYPOINT ["node", "--max-semi-space-size=8", "--initial-old-space-size=96", "/opt/claudecluster/claudecluster.mjs"]
CMD ["serve", "--mcp-http", "0.0.0.0:8811", "--listen-anywhere"]
