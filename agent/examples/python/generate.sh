#!/bin/sh
# Generates Python code from proto/ into a directory, by default "generated" beside this file.
# Needs `pip install grpcio-tools`, or Debian's protobuf-compiler, protobuf-compiler-grpc and libprotobuf-dev.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
proto=$(cd "$here/../../../proto" && pwd)
out=${1:-$here/generated}
mkdir -p "$out"
cd "$proto"
files=$(echo claudecluster/agent/v1alpha1/*.proto claudecluster/session/v1alpha1/*.proto claudecluster/error/v1alpha1/*.proto)
if python3 -c "import grpc_tools" 2>/dev/null; then
  python3 -m grpc_tools.protoc -I . --python_out="$out" --grpc_python_out="$out" $files
else
  protoc -I . --python_out="$out" --grpc_out="$out" --plugin=protoc-gen-grpc="$(command -v grpc_python_plugin)" $files
fi
