#!/bin/sh
set -eu
apt-get install --yes nginx
