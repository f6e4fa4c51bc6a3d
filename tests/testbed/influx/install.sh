#!/bin/sh
# Install the InfluxDB 1.x server of Debian for the tests, without a service that starts by itself. Needs root.
set -eu

own=
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    own=yes
fi
trap '[ -z "$own" ] || rm -f /usr/sbin/policy-rc.d' EXIT

command -v influxd >/dev/null && exit 0
apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends influxdb
