"""Makes Nova's databases and its one cell in one process, as each start costs seconds: `nova_schema.py ETC_FOLDER`."""

from __future__ import annotations

import sys

folder = sys.argv[1]
sys.argv = ["nova-manage", "--config-file", f"{folder}/nova.conf", "--config-file", f"{folder}/nova-db.conf"]

from nova import config, objects  # noqa: E402 -- reads sys.argv
from nova.cmd import manage  # noqa: E402
from oslo_log import log  # noqa: E402

config.parse_args(sys.argv)
log.setup(manage.CONF, "nova")
objects.register_all()
database, queue = manage.CONF.database.connection, manage.CONF.transport_url
cells = manage.CellV2Commands()
steps = (
    manage.ApiDbCommands().sync(),
    cells.map_cell0(database.replace("/nova?", "/nova_cell0?")),
    cells.create_cell(name="cell1", database_connection=database, transport_url=queue),
    manage.DbCommands().sync(),
)
sys.exit(any(steps))
