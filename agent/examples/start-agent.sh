#!/bin/sh
# Starts an agent in a sealed container and prints the container's id. More options of `docker run` may be given.
# The sizes belong to 2 GiB of memory: all of them count as memory, and what the session can fill stays below it.
image=${CLAUDECLUSTER_IMAGE:-claudecluster/agent:latest}
# Claude runs as a user of 20000 to 20999, which no two sessions on one machine should share; the start state as another.
uid=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 1000))
base=$((uid + 1000))
# The system calls that programs need, and no more.
seccomp=${SECCOMP:-$(dirname "$0")/../../docker/seccomp.json}
exec docker run --detach --pull never \
  --user 0:0 --network "${NETWORK:-none}" --read-only --init --ipc private --shm-size 16m --oom-score-adj 0 \
  --cap-drop ALL --cap-add SETUID --cap-add SETGID --cap-add KILL --security-opt no-new-privileges --security-opt "seccomp=$seccomp" \
  --memory 2g --memory-swap 2g --cpus 2 --pids-limit 512 --ulimit core=0:0 --ulimit nofile=8192:8192 \
  --log-driver local --log-opt max-size=1m --log-opt max-file=2 \
  --tmpfs /tmp:rw,exec,nosuid,nodev,size=262144k,nr_inodes=131072,mode=1777 \
  --tmpfs /home/claude:rw,exec,nosuid,nodev,size=262144k,nr_inodes=131072,uid=$uid,gid=$uid,mode=700 \
  --tmpfs /workspace:rw,exec,nosuid,nodev,size=1048576k,nr_inodes=524288,uid=$uid,gid=$uid,mode=755 \
  --tmpfs /base:rw,noexec,nosuid,nodev,size=524288k,nr_inodes=262144,uid=$base,gid=$base,mode=755 \
  --tmpfs /scan:rw,noexec,nosuid,nodev,size=262144k,nr_inodes=131072,uid=$uid,gid=$uid,mode=700 \
  --tmpfs /run/agent:rw,noexec,nosuid,nodev,size=1m,mode=700 \
  --tmpfs /home:rw,noexec,nosuid,nodev,size=64k,mode=755 \
  --tmpfs /run:rw,noexec,nosuid,nodev,size=64k,mode=755 \
  --env CLAUDECLUSTER_SESSION_UID=$uid --env CLAUDECLUSTER_SESSION_GID=$uid \
  --env CLAUDECLUSTER_BASE_UID=$base --env CLAUDECLUSTER_BASE_GID=$base \
  "$@" "$image"
