#!/usr/bin/env bash
# Get what the cloud of the OpenStack tests is made of: MariaDB and RabbitMQ of Debian, the services of OpenStack 2026.1 and the
# `openstack` command line, each in an environment of its own, outside the tree. Needs root for the packages. Nothing is started.
#
# Takes a minute the first time (500 MB), a second afterwards.
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

# An environment of Python by name, of the packages a lock names; gone and made anew when the lock has changed.
environment() {
  local venv=$cache/$1 lock=$2 stamp python
  stamp=$(sha256sum "$lock" | cut -d' ' -f1)
  [ "$(cat "$venv/stamp" 2>/dev/null || true)" != "$stamp" ] || return 0
  for python in /usr/bin/python3.11 python3.11 python3; do "$python" -c 'import venv, ensurepip' 2>/dev/null && break; done
  rm -rf "$venv"
  "$python" -m venv "$venv"
  # The lock names every package, so nothing is resolved; uv needs seconds for it, pip a minute.
  if "$venv/bin/pip" install --quiet uv==0.13.8; then
    nice -n 10 "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps -r "$lock"
  else
    nice -n 10 "$venv/bin/pip" install --quiet --no-deps --requirement "$lock"
  fi
  nice -n 10 "$venv/bin/python" -m compileall -q -j 2 "$venv/lib" >/dev/null 2>&1 || true
  echo "$stamp" >"$venv/stamp"
}

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT= PIP_BUILD_CONSTRAINT=
environment venv "$here/requirements.txt"
# oslo.messaging 14.9 to 17 sleeps half a second whenever it polls for an answer, some twenty times for every server.
sed -i 's/^\( *\)time\.sleep(0\.5)$/\1time.sleep(0.02)/' \
  "$cache"/venv/lib/python3*/site-packages/oslo_messaging/_drivers/amqpdriver.py
environment client "$here/client.txt"
echo "the services are in $cache/venv, the command line is in $cache/client"
