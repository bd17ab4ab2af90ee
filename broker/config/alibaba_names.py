"""Keys that people try: names of the Jenkins plugin for Alibaba Cloud ECS, and what the broker does not do at all."""

from collections.abc import Mapping, Sequence
from typing import Final

_PAGE: Final = "see docs/how-to/alibaba-ecs.md"
_WINRM: Final = (
    f"the broker does not speak WinRM: write 'os: windows', 'password_file' and 'start_by: cloud-assistant'; {_PAGE}"
)
_NAS: Final = f"mount a NAS cache in the script of 'init', or have it in the image; {_PAGE}"
_KEYS: Final = (
    "use 'ram_role_name', 'role_arn', 'access_key_id_file' and 'access_key_secret_file', or the default chain"
)
_DISKS: Final = "write 'data_disks: [{ category: ..., size: ..., count: ..., snapshot: ... }]' of a pool"
_KEPT: Final = (
    "write 'limits: { min_hosts: ... }' of the pool for hosts that are kept, or 'warm: { min_idle: ... }' of a policy "
    "for agents"
)
INSTEAD: Final[Mapping[str, str]] = {
    "cloudname": "a backend is called by its key",
    "intranetmaster": "write 'vpc_endpoints' of the backend",
    "credentialsid": _KEYS,
    "credentials": _KEYS,
    "accesskey": _KEYS,
    "secretkey": _KEYS,
    "regionid": "write 'region' of the backend",
    "vpc": "pools name 'vswitches'; with 'auto_network: true' a backend may name it: 'network: { vpc: ... }'",
    "vpcid": "pools name 'vswitches'; with 'auto_network: true' a backend may name it: 'network: { vpc: ... }'",
    "securitygroup": "write 'security_groups: [...]' of a pool",
    "securitygroupid": "write 'security_groups: [...]' of a pool",
    "securitygroupids": "write 'security_groups: [...]' of a pool",
    "sshkey": "write 'ssh: { private_key_file: ... }' of a pool",
    "privatekey": "write 'ssh: { private_key_file: ... }' of a pool",
    "keypairname": "write 'key_pair' of a pool",
    "attachpublicip": "write 'public_ip: {}' of a pool, with 'connect_by: public' to dial it",
    "instancecapstr": "write 'limits: { hosts: ... }' of a pool",
    "instancecap": "write 'limits: { hosts: ... }' of a pool",
    "nodelayprovisioning": "leave it out: the broker always acts at once",
    "templates": "what an agent is stands in 'templates', what its host is in 'pools'",
    "templatename": "a pool is called by its key",
    "description": "a pool is called by its key",
    "image": "write 'image_id' of the pool; the 'image' of a template is a container's",
    "imageid": "write 'image_id' of a pool",
    "zone": "write 'zones: [...]' of a pool",
    "zoneid": "write 'zones: [...]' of a pool",
    "availabilityzone": "write 'zones: [...]' of a pool",
    "vsw": "write 'vswitches: [...]' of a pool",
    "vswid": "write 'vswitches: [...]' of a pool",
    "vswitch": "write 'vswitches: [...]' of a pool",
    "vswitchid": "write 'vswitches: [...]' of a pool",
    "chargetype": "write 'charge: { spot_strategy: SpotAsPriceGo }' of a pool; without it hosts are on demand",
    "spotstrategy": "write 'charge: { spot_strategy: ... }' of a pool",
    "spotpricelimit": "write 'charge: { price_limit: ... }' of a pool",
    "pricelimit": "write 'charge: { price_limit: ... }' of a pool",
    "instancetype": "write 'instance_types: [...]' of a pool",
    "remotefs": "write 'remote_fs' of a template",
    "remoteadmin": "write 'ssh: { user: ... }' of a pool",
    "systemdiskcategory": "write 'system_disk: { category: ... }' of a pool",
    "systemdisksize": "write 'system_disk: { size: ... }' of a pool",
    "mountdatadisk": _DISKS,
    "newdatadisk": _DISKS,
    "datadiskcategory": _DISKS,
    "datadisksize": _DISKS,
    "mountquantity": _DISKS,
    "snapshotid": _DISKS,
    "datadiskid": "write 'data_disk_ids: [...]' of a pool",
    "ecstype": "write 'os: windows' of a pool; without it hosts are of Linux",
    "minimumnumberofinstances": _KEPT,
    "mininstances": _KEPT,
    "idleterminationminutes": "write 'host: { idle_timeout: ... }' of a pool, with a unit; 0s is never",
    "launchtimeout": "write 'host: { boot_timeout: ... }' of a pool, with a unit",
    "launchtimeoutstr": "write 'host: { boot_timeout: ... }' of a pool, with a unit",
    "connectionstrategy": "write 'connect_by: private' or 'public' of a pool",
    "numexecutors": "write 'agents_per_host' of a pool; 'executors' of a template are builds of one agent",
    "labelstring": "labels are of policies",
    "label": "labels are of policies",
    "labels": "labels are of policies",
    "initscript": "write 'init: { script_file: ... }' of a pool",
    "maxtotaluses": "write 'host: { max_uses: ... }' of a pool, or 'retention: { max_uses: ... }' of a template",
    "instancenameprefix": "write 'instance_name' of a pool, such as 'ECS-{job}-{build}'",
    "jvmoptions": "write 'runner: { java_opts: [...] }' of a pool",
    "jvmopts": "write 'runner: { java_opts: [...] }' of a pool",
    "javapath": "write 'runner: { java: ... }' of a pool",
    "sshport": "write 'ssh: { port: ... }' of a pool",
    "dryrun": "'agentbroker doctor --backend NAME' asks for a dry run",
    "usehttps": _WINRM,
    "allowselfsignedcertificate": _WINRM,
    "bootdelay": _WINRM,
    "specifypassword": _WINRM,
    "winrm": _WINRM,
    "winrmport": _WINRM,
    "winrmuser": _WINRM,
    "nas": _NAS,
    "nasdata": _NAS,
    "nascache": _NAS,
    "nasfilesystem": _NAS,
    "nasmounttarget": _NAS,
    "mounttarget": _NAS,
}
"""Key without its case and underscores → what to do. Where the key is known, nobody asks here."""
_NOUNS: Final = frozenset({"backends", "pools"})


def instead_of(key: str, path: Sequence[str | int]) -> str:
    """What to write for an unknown key of a map at or below `path`; empty if nothing is known of it."""
    if len(path) < 2 or path[0] not in _NOUNS:
        return ""
    return INSTEAD.get(key.replace("_", "").replace("-", "").lower(), "")
