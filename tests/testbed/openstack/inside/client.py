"""Runs commands of the `openstack` command line, one a line of standard input; ends at the first that fails."""

from __future__ import annotations

import shlex
import sys

from openstackclient import shell

for line in sys.stdin:
    if code := shell.main(shlex.split(line)):
        sys.exit(f"openstack {line.strip()}: exit code {code}")
