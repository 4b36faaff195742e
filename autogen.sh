#!/bin/sh
# Makes ./configure; tools/deps build installs what this needs.
set -eu
cd "$(dirname "$0")"
exec autoreconf --install --force
