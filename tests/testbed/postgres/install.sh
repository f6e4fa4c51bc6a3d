#!/bin/sh
# Install the PostgreSQL server of Debian for the tests, without a cluster that starts by itself. Needs root.
set -eu

mkdir -p /etc/postgresql-common
if ! grep -qs '^create_main_cluster' /etc/postgresql-common/createcluster.conf; then
    echo 'create_main_cluster = false' >>/etc/postgresql-common/createcluster.conf
fi
apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postgresql
