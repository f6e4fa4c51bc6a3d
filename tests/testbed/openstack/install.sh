#!/usr/bin/env bash
# Get what the cloud of the OpenStack tests is made of: MariaDB and RabbitMQ of Debian, and the services of OpenStack 2026.1 in
# an environment of their own, outside the tree. Needs root for the packages. Nothing is started.
#
# Takes a minute the first time (350 MB), a second afterwards.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${RECONCILER_TESTBED_CACHE:-$HOME/.cache/tosca-reconciler}/openstack
policy=/usr/sbin/policy-rc.d
own_policy=
packages=(mariadb-server-core mariadb-client-core rabbitmq-server)

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
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends "${missing[@]}" \
    >/dev/null
fi

mkdir -p "$cache"
exec 9>"$cache/lock"
flock -w 900 9
stamp=$(sha256sum "$here/requirements.txt" | cut -d' ' -f1)
if [ "$(cat "$cache/venv/stamp" 2>/dev/null || true)" != "$stamp" ]; then
  python=
  for python in /usr/bin/python3.11 python3.11 python3; do "$python" -c 'import venv, ensurepip' 2>/dev/null && break; done
  rm -rf "$cache/venv"
  "$python" -m venv "$cache/venv"
  export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT= PIP_BUILD_CONSTRAINT=
  # The lock names every package, so nothing is resolved; uv needs seconds for it, pip a minute.
  if "$cache/venv/bin/pip" install --quiet uv==0.13.8; then
    nice -n 10 "$cache/venv/bin/uv" pip install --quiet --python "$cache/venv/bin/python" --no-deps -r "$here/requirements.txt"
  else
    nice -n 10 "$cache/venv/bin/pip" install --quiet --no-deps --requirement "$here/requirements.txt"
  fi
  # oslo.messaging 14.9 to 17 sleeps half a second whenever it polls for an answer, some twenty times for every server.
  sed -i 's/^\( *\)time\.sleep(0\.5)$/\1time.sleep(0.02)/' \
    "$cache"/venv/lib/python3*/site-packages/oslo_messaging/_drivers/amqpdriver.py
  nice -n 10 "$cache/venv/bin/python" -m compileall -q -j 2 "$cache/venv/lib" >/dev/null 2>&1 || true
  echo "$stamp" >"$cache/venv/stamp"
fi
echo "the services are in $cache/venv"
