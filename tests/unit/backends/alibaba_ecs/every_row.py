"""What users of the plugin for Alibaba Cloud ECS have, and what it got wrong: which tests show it here.

Fields are those of the plugin's cloud and templates, in their order; then what it did where one was left out, and its
defects.
"""

from collections.abc import Mapping
from typing import Final

_CONFIG: Final = "tests/unit/config/test_"
_BAD: Final = f"{_CONFIG}bad_files.py::test_a_bad_file_prints_what_stands_beside_it"
_ROWS: Final = f"{_CONFIG}alibaba.py::test_"
_HOSTS, _CHECKS = f"{_CONFIG}hosts.py::test_", f"{_CONFIG}hosts_checks.py::test_"
_NAMED: Final = f"{_BAD}[195-names-of-the-plugin-for-alibaba]"
_POOL: Final = f"{_ROWS}a_pool_becomes_what_its_backend_reads"
_BACKEND: Final = f"{_ROWS}a_backend_becomes_plain_values_with_absolute_files"
_RULES: Final = f"{_HOSTS}what_a_pool_says_of_its_hosts_are_their_rules"
_DISKS: Final = f"{_ROWS}disks_are_in_the_words_and_units_of_the_api"

OF_THE_CLOUD: Final[Mapping[str, tuple[str, ...]]] = {
    "cloudName": (_NAMED,),
    "intranetMaster": (_BACKEND, _NAMED),
    "credentialsId": (_BACKEND, f"{_BAD}[190-alibaba-backends]"),
    "region": (_BACKEND, f"{_BAD}[190-alibaba-backends]"),
    "vpc": (_BACKEND, _NAMED),
    "securityGroup": (_POOL, f"{_BAD}[192-alibaba-network]"),
    "sshKey": (
        f"{_CHECKS}a_broken_key_is_an_error_of_the_check",
        f"{_CHECKS}a_key_with_a_passphrase_is_an_error_of_the_check",
        f"{_CHECKS}a_public_key_in_the_place_of_the_private_one_is_said",
        f"{_BAD}[196-keys-of-hosts]",
    ),
    "attachPublicIp": (_POOL, f"{_BAD}[192-alibaba-network]"),
    "instanceCapStr": (_RULES, f"{_BAD}[199-numbers-of-hosts]"),
    "noDelayProvisioning": (_NAMED,),
    "templates": (_POOL,),
}
"""Field of the plugin's cloud → the tests that show what stands for it."""

OF_A_TEMPLATE: Final[Mapping[str, tuple[str, ...]]] = {
    "templateName": (_NAMED,),
    "image": (_POOL, f"{_BAD}[191-alibaba-machines]"),
    "zone": (_POOL, f"{_BAD}[192-alibaba-network]"),
    "vsw": (_POOL, f"{_BAD}[191-alibaba-machines]"),
    "chargeType": (_POOL, f"{_BAD}[191-alibaba-machines]"),
    "instanceType": (_POOL, f"{_ROWS}without_a_type_the_broker_chooses_one_of_2_vcpu_and_8_gib"),
    "remoteFs": (f"{_ROWS}what_is_not_said_has_the_plugins_defaults_or_safer_ones", _NAMED),
    "remoteAdmin": (f"{_ROWS}what_is_not_said_has_the_plugins_defaults_or_safer_ones", _NAMED),
    "systemDiskCategory": (_DISKS, f"{_BAD}[193-alibaba-disks]"),
    "systemDiskSize": (_DISKS, f"{_BAD}[193-alibaba-disks]"),
    "mountDataDisk": (_DISKS, _NAMED),
    "newDataDisk": (_DISKS,),
    "dataDiskCategory": (_DISKS, f"{_BAD}[193-alibaba-disks]"),
    "dataDiskSize": (_DISKS, f"{_BAD}[193-alibaba-disks]"),
    "mountQuantity": (_DISKS, f"{_BAD}[193-alibaba-disks]"),
    "snapshotId": (_DISKS, f"{_BAD}[193-alibaba-disks]"),
    "dataDiskId": (_POOL, f"{_BAD}[193-alibaba-disks]"),
    "ecsType": (f"{_BAD}[194-windows-hosts]",),
    "minimumNumberOfInstances": (_RULES, f"{_BAD}[199-numbers-of-hosts]"),
    "instanceCapStr": (_RULES, _NAMED),
    "idleTerminationMinutes": (_RULES, _NAMED),
    "launchTimeoutStr": (_RULES, _NAMED),
    "connectionStrategy": (_POOL, f"{_BAD}[192-alibaba-network]"),
    "numExecutors": (_RULES, _NAMED),
    "labelString": (_NAMED,),
    "tags": (_POOL, f"{_BAD}[191-alibaba-machines]"),
    "initScript": (
        f"{_CHECKS}a_script_is_text_with_a_first_line_that_says_what_runs_it",
        f"{_BAD}[198-init-scripts]",
    ),
    "userData": (f"{_CHECKS}user_data_has_32_kib_at_most", _POOL),
    "maxTotalUses": (_RULES, f"{_HOSTS}zero_is_without_limit_and_machines_are_no_more_than_there_are"),
    "instanceNamePrefix": (_POOL, f"{_BAD}[191-alibaba-machines]"),
    "name": (_POOL,),
    "password": (f"{_CHECKS}a_password_from_a_file_is_looked_at_and_never_told", f"{_BAD}[194-windows-hosts]"),
    "useHTTPS": (_NAMED,),
    "allowSelfSignedCertificate": (f"{_ROWS}what_is_in_the_docs_alone_is_refused_with_a_pointer_to_its_page",),
    "bootDelay": (_NAMED,),
    "specifyPassword": (f"{_ROWS}what_is_in_the_docs_alone_is_refused_with_a_pointer_to_its_page",),
}
"""Field of the plugin's template → the tests that show what stands for it."""

LEFT_OUT: Final[Mapping[str, tuple[str, ...]]] = {
    "vpc": (_BACKEND,),
    "securityGroup": (f"{_BAD}[192-alibaba-network]",),
    "zone": (f"{_BAD}[192-alibaba-network]",),
    "vsw": (f"{_BAD}[192-alibaba-network]",),
    "instanceType": (f"{_ROWS}without_a_type_the_broker_chooses_one_of_2_vcpu_and_8_gib",),
    "remoteFs": (f"{_ROWS}what_is_not_said_has_the_plugins_defaults_or_safer_ones",),
    "minimumNumberOfInstances": (f"{_HOSTS}zero_is_without_limit_and_machines_are_no_more_than_there_are",),
}
"""Field that may be left out → the tests that show what that means."""

DEFECTS: Final[Mapping[str, tuple[str, ...]]] = {
    "world-open SSH on reused SG": (f"{_BAD}[190-alibaba-backends]",),
    "connectionStrategy ignored on Unix": (_POOL,),
    "dead instance-name prefix": (_POOL,),
    "JDK 8/11 only": (f"{_BAD}[198-init-scripts]",),
    "no spot price limit or interruption handling": (_POOL, f"{_BAD}[191-alibaba-machines]"),
    "host keys ignored": (f"{_BAD}[197-ways-onto-hosts]",),
}
"""Defect of the plugin → the tests that show that it is none here."""
