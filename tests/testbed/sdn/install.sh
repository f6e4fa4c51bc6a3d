#!/usr/bin/env bash
# Get what the fabric tests need: Open vSwitch of Debian, and Ryu in an environment of its own, outside the tree.
#
# Needs root for the packages. Nothing is started. Runs again in a second when everything is there.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${RECONCILER_TESTBED_CACHE:-$HOME/.cache/tosca-reconciler}/sdn
policy=/usr/sbin/policy-rc.d
own_policy=
packages=(openvswitch-switch iproute2 ethtool iputils-ping procps)

allow_service_starts() { [ -z "$own_policy" ] || rm -f "$policy"; }
trap allow_service_starts EXIT

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    own_policy=yes
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends "${missing[@]}"
fi

mkdir -p "$cache"
exec 9>"$cache/lock"
flock -w 600 9
stamp=$(sha256sum "$here/requirements.txt" | cut -d' ' -f1)
if [ "$(cat "$cache/venv/stamp" 2>/dev/null || true)" != "$stamp" ]; then
  rm -rf "$cache/venv"
  python3 -m venv "$cache/venv"
  # Ryu exists as source only, and its setup.py needs what setuptools lost after 67.6. The second name is for new pips.
  constraint=$cache/build-constraint.txt
  echo 'setuptools==67.6.1' >"$constraint"
  PIP_CONSTRAINT=$constraint PIP_BUILD_CONSTRAINT=$constraint PIP_DISABLE_PIP_VERSION_CHECK=1 \
    nice -n 10 "$cache/venv/bin/python" -m pip install --quiet --requirement "$here/requirements.txt"
  echo "$stamp" >"$cache/venv/stamp"
fi
"$cache/venv/bin/python" "$here/ryu_launcher.py" --version
