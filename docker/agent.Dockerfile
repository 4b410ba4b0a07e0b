# The agent image: Node, git, Claude Code and our agent; what a session's container is made of.
# Promises: works with a read-only root, no network and no capabilities but SETUID, SETGID and KILL; holds no setuid
# file, no sudo, and nothing of the machine that built it. Fit for the classic builder and for BuildKit.
#
# Build it with `node docker/build-image.mjs`, which also works behind proxies, private registries and intercepted
# HTTPS, and cleans up. `docker build -f docker/agent.Dockerfile .` does the same where the internet is plain
# (after `npm run build`; delete the "download" stage's image yourself).
#
# Claude Code comes from npm at build time under Anthropic's own terms: do not publish the image.
# Base images: Debian (or Ubuntu) with Node 24 and npm, x64 or arm64.
ARG BASE=node:24-bookworm-slim
ARG TOOLS=tools

# --- Fetches Claude Code. Only its program leaves this stage: ca.crt and npmrc may hold the machine's secrets.
FROM ${BASE} AS download
LABEL dev.claudecluster.stage=download
ARG CLAUDE_CODE_VERSION=2.1.332
WORKDIR /download
COPY docker/dial-stdio ca.cr[t] npmr[c] ./
RUN if [ -s ca.crt ]; then export NODE_EXTRA_CA_CERTS=/download/ca.crt; fi; touch npmrc \
 && npm install --userconfig ./npmrc --prefix . --ignore-scripts --no-audit --no-fund --no-update-notifier \
      --cache /tmp/npm --loglevel=error "@anthropic-ai/claude-code@${CLAUDE_CODE_VERSION}" \
 && install -m 0755 node_modules/@anthropic-ai/claude-code-linux-*/claude /usr/local/bin/claude \
 && claude --version \
 && rm -rf /download /tmp/npm

# --- Everything that seldom changes.
FROM ${BASE} AS tools
# Users: cc0..cc999 (uid 20000 and up) are sessions, ccbase0..ccbase999 (uid 21000 and up) hold a session's start state.
# No password field, no shadow entry: nobody logs in here.
RUN apt-get -o Acquire::Retries=3 update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates curl git inotify-tools less procps ripgrep socat \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/* /tmp/* \
 && find / -xdev -perm /6000 -type f -exec chmod a-s {} + \
 && awk 'BEGIN { for (i = 0; i < 1000; i++) { \
      printf "cc%d:*:%d:%d::/home/claude:/bin/bash\n", i, 20000 + i, 20000 + i; \
      printf "ccbase%d:*:%d:%d::/home/claude:/bin/bash\n", i, 21000 + i, 21000 + i } }' >> /etc/passwd \
 && awk -F: '$1 ~ /^cc(base)?[0-9]+$/ { print $1 ":*:" $4 ":" }' /etc/passwd >> /etc/group \
 && mkdir -p /workspace /home/claude /base /scan /run/agent && chmod 700 /home/claude /scan /run/agent
COPY --from=download /usr/local/bin/claude /usr/local/bin/claude
ARG CLAUDE_CODE_VERSION=2.1.332
LABEL dev.claudecluster.claude-version=${CLAUDE_CODE_VERSION}

# --- The agent. TOOLS may name an image that holds the stage above; then this stage builds alone, in a second or two.
FROM ${TOOLS} AS agent
ARG VERSION=0.0.0
LABEL dev.claudecluster.agent-version=${VERSION} \
      dev.claudecluster.agent-prepares=1 \
      org.opencontainers.image.title="ClaudeCluster agent" \
      org.opencontainers.image.description="Runs one Claude Code session in a sealed container. Contains Claude Code under Anthropic's terms: not for publication." \
      org.opencontainers.image.version=${VERSION}
COPY docker/dial-stdio /usr/local/bin/dial-stdio
COPY dist/agent.cjs /opt/claudecluster/agent.cjs
USER root
WORKDIR /
COPY docker/snapshot.json docker/try-agent.mjs /tmp/
# The agent with its modules evaluated, which starts in half the time. Without Node's own compiled code, which would bind the image to
# this kind of processor.
RUN node --no-warnings --snapshot-blob /opt/claudecluster/agent.blob --build-snapshot-config /tmp/snapshot.json \
 && node /tmp/try-agent.mjs /run/agent/agent.sock \
      node --max-semi-space-size=2 --initial-old-space-size=64 --snapshot-blob /opt/claudecluster/agent.blob \
 && rm -rf /tmp/* /run/agent/*
# What comes through a tunnel is freed with the young objects, and until then counts as old: without these bounds (MiB) all objects are
# looked through once for 8 MB that pass. It is what was tried above.
ENTRYPOINT ["node", "--max-semi-space-size=2", "--initial-old-space-size=64", "--snapshot-blob", "/opt/claudecluster/agent.blob"]
