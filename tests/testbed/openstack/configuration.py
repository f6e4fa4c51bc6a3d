"""Writes what the services of the test cloud read: one folder of files for one folder of data and eight ports."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

HOSTS = {"ms-1": "bristol-ms", "ms-2": "bristol-ms", "hs-1": "bristol-hs", "hs-2": "bristol-hs"}
"""Host → availability zone."""
DATABASES = ("keystone", "glance", "placement", "nova_api", "nova", "nova_cell0", "neutron")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the programs listen, all on 127.0.0.1."""

    identity: int
    image: int
    placement: int
    compute: int
    network: int
    rabbit: int
    rabbit_peers: int
    epmd: int


@dataclass(frozen=True, slots=True)
class Configuration:
    """One cloud: its folder, its ports and the programs it is made of."""

    folder: Path
    ports: Ports
    programs: Path
    """The environment the services are installed in."""

    @property
    def etc(self) -> Path:
        """Where the files are."""
        return self.folder / "etc"

    @property
    def socket(self) -> Path:
        """Where the database listens."""
        return self.folder / "mysql.sock"

    @property
    def rabbit(self) -> str:
        """How the message queue is reached."""
        return f"rabbit://guest:guest@127.0.0.1:{self.ports.rabbit}/"

    def database(self, name: str) -> str:
        """Say how a database is reached."""
        return f"mysql+pymysql://root@localhost/{name}?unix_socket={self.socket}&charset=utf8mb4"

    def write(self) -> None:
        """Write all files."""
        files = {
            "my.cnf": self._mariadb(),
            "rabbitmq.conf": self._rabbitmq(),
            "enabled_plugins": "[].\n",
            "keystone/keystone.conf": self._keystone(),
            "glance/glance-api.conf": self._glance(),
            "placement/placement.conf": self._placement(),
            "nova/nova.conf": self._nova(),
            "nova/nova-db.conf": self._nova_databases(),
            "nova/api-paste.ini": (self.programs / "etc/nova/api-paste.ini").read_text(),
            "neutron/neutron.conf": self._neutron(),
            "neutron/ml2_conf.ini": _ML2,
            **{f"nova/compute-{host}.conf": self._host(host) for host in HOSTS},
        }
        for name, text in files.items():
            path = self.etc / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self._write_entry_point()

    def _write_entry_point(self) -> None:
        """Let the network service find the driver in `inside`."""
        about = self.etc / "plugins" / "testbed_binding-1.0.dist-info"
        about.mkdir(parents=True, exist_ok=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: testbed-binding\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text("[neutron.ml2.mechanism_drivers]\ntestbed = binding:TestbedBinding\n")

    # --- sections several services share ---

    def _token(self, user: str, section: str) -> str:
        url = f"http://127.0.0.1:{self.ports.identity}/v3"
        return f"""
[{section}]
www_authenticate_uri = {url}
auth_url = {url}
auth_type = password
project_domain_name = Default
user_domain_name = Default
project_name = service
username = {user}
password = service
region_name = RegionOne
valid_interfaces = public
"""

    def _shared(self) -> str:
        return f"""
[oslo_concurrency]
lock_path = {self.folder}/lock
[oslo_messaging_rabbit]
heartbeat_timeout_threshold = 0
[oslo_messaging_notifications]
driver = noop
[oslo_policy]
policy_file = policy.yaml
"""

    # --- one file after another ---

    def _mariadb(self) -> str:
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        return f"""[mariadbd]
datadir = {self.folder}/db
socket = {self.socket}
pid-file = {self.folder}/db/mariadbd.pid
skip-networking
skip-name-resolve
skip-log-bin
user = {user}
character-set-server = utf8mb3
collation-server = utf8mb3_general_ci
max_connections = 400
innodb_buffer_pool_size = 256M
innodb_log_file_size = 32M
innodb_flush_log_at_trx_commit = 0
innodb_doublewrite = 0
innodb_flush_method = nosync
performance_schema = OFF
log_warnings = 1
"""

    def _rabbitmq(self) -> str:
        return f"""listeners.tcp.1 = 127.0.0.1:{self.ports.rabbit}
loopback_users.guest = true
heartbeat = 0
vm_memory_high_watermark.relative = 0.3
disk_free_limit.absolute = 50MB
log.console = true
log.console.level = warning
log.file = false
"""

    def _keystone(self) -> str:
        return f"""[DEFAULT]
use_stderr = true
max_token_size = 300
public_endpoint = http://127.0.0.1:{self.ports.identity}/
[database]
connection = {self.database("keystone")}
[token]
provider = fernet
expiration = 86400
[fernet_tokens]
key_repository = {self.folder}/keys/fernet
[credential]
key_repository = {self.folder}/keys/credential
[identity]
password_hash_rounds = 4
[cache]
enabled = true
backend = oslo_cache.dict
{self._shared()}"""

    def _glance(self) -> str:
        return f"""[DEFAULT]
use_stderr = true
bind_host = 127.0.0.1
enabled_backends = local:file
node_staging_uri = file://{self.folder}/images/staging/
enabled_import_methods = [glance-direct]
[database]
connection = {self.database("glance")}
[glance_store]
default_backend = local
[local]
filesystem_store_datadir = {self.folder}/images/store
[os_glance_staging_store]
filesystem_store_datadir = {self.folder}/images/staging
[os_glance_tasks_store]
filesystem_store_datadir = {self.folder}/images/tasks
[paste_deploy]
flavor = keystone
config_file = {self.programs}/etc/glance/glance-api-paste.ini
{self._token("glance", "keystone_authtoken")}{self._shared()}"""

    def _placement(self) -> str:
        return f"""[DEFAULT]
use_stderr = true
[placement_database]
connection = {self.database("placement")}
[api]
auth_strategy = keystone
{self._token("placement", "keystone_authtoken")}{self._shared()}"""

    def _nova(self) -> str:
        # Fuzzy delays and spacings are off because a test does not wait a minute for a host to be known.
        return f"""[DEFAULT]
use_stderr = true
transport_url = {self.rabbit}
my_ip = 127.0.0.1
state_path = {self.folder}/nova
compute_driver = testbed.TestbedDriver
rootwrap_config = {self.programs}/etc/nova/rootwrap.conf
instance_usage_audit = false
service_down_time = 60
report_interval = 5
periodic_fuzzy_delay = 0
vif_plugging_is_fatal = false
vif_plugging_timeout = 0
allow_resize_to_same_host = true
max_concurrent_builds = 20
resume_guests_state_on_host_boot = true
heal_instance_info_cache_interval = 60
sync_power_state_interval = -1
update_resources_interval = 600
default_availability_zone = nova
osapi_max_limit = 1000
[api]
auth_strategy = keystone
max_limit = 1000
[wsgi]
api_paste_config = {self.programs}/etc/nova/api-paste.ini
[glance]
endpoint_override = http://127.0.0.1:{self.ports.image}
[scheduler]
workers = 1
discover_hosts_in_cells_interval = 3
max_attempts = 3
[filter_scheduler]
build_failure_weight_multiplier = 0
enabled_filters = {",".join(_FILTERS)}
[conductor]
workers = 1
[quota]
instances = 10000
cores = 100000
ram = 100000000
server_groups = 1000
server_group_members = 1000
key_pairs = 1000
[compute]
resource_provider_association_refresh = 3600
{self._token("nova", "keystone_authtoken")}{self._token("nova", "service_user")}send_service_user_token = true
{self._token("placement", "placement")}{self._token("neutron", "neutron")}{self._shared()}"""

    def _nova_databases(self) -> str:
        """Say where Nova's databases are, in a file of its own that hosts do not read."""
        return f"""[api_database]
connection = {self.database("nova_api")}
[database]
connection = {self.database("nova")}
"""

    def _host(self, host: str) -> str:
        return f"[DEFAULT]\nhost = {host}\nstate_path = {self.folder}/nova/{host}\n"

    def _neutron(self) -> str:
        return f"""[DEFAULT]
use_stderr = true
transport_url = {self.rabbit}
auth_strategy = keystone
core_plugin = ml2
service_plugins = router,qos,trunk,port_forwarding,sfc,flow_classifier
api_paste_config = {self.programs}/etc/neutron/api-paste.ini
state_path = {self.folder}/neutron
enable_traditional_dhcp = false
notify_nova_on_port_status_changes = true
notify_nova_on_port_data_changes = true
send_events_interval = 1
rpc_response_timeout = 10
[database]
connection = {self.database("neutron")}
[quotas]
default_quota = -1
quota_network = 10000
quota_subnet = 10000
quota_port = 100000
quota_router = 1000
quota_floatingip = 10000
quota_security_group = 10000
quota_security_group_rule = 100000
[sfc]
drivers = dummy
[flowclassifier]
drivers = dummy
{self._token("neutron", "keystone_authtoken")}{self._token("nova", "nova")}{self._shared()}"""


_FILTERS = (
    "ComputeFilter",
    "ComputeCapabilitiesFilter",
    "ImagePropertiesFilter",
    "AggregateInstanceExtraSpecsFilter",
    "ServerGroupAntiAffinityFilter",
    "ServerGroupAffinityFilter",
    "SameHostFilter",
    "DifferentHostFilter",
)

_ML2 = """[ml2]
type_drivers = flat,vlan,vxlan
tenant_network_types = vxlan
mechanism_drivers = testbed,openvswitch
extension_drivers = port_security,qos,dns
[ml2_type_flat]
flat_networks = *
[ml2_type_vlan]
network_vlan_ranges = physnet1:100:3999
[ml2_type_vxlan]
vni_ranges = 1:100000
[securitygroup]
enable_security_group = true
firewall_driver = openvswitch
"""
