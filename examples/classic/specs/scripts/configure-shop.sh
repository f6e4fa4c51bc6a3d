#!/bin/sh
# Gets database_url and password in its environment.
set -eu
printf 'DATABASE_URL=%s\n' "$database_url" > /etc/shop.env
