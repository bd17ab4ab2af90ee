"""What users of the plugin for Alibaba Cloud ECS have: which tests show it here.

Fields are those of the plugin's cloud and templates, in their order; then its buttons.
"""

from collections.abc import Mapping
from typing import Final

_CONFIG: Final = "tests/unit/config/test_"
_BAD: Final = f"{_CONFIG}bad_files.py::test_a_bad_file_prints_what_stands_beside_it"
_SAID: Final = f"{_CONFIG}alibaba.py::test_"
_HOSTS, _CHECKS = f"{_CONFIG}hosts.py::test_", f"{_CONFIG}hosts_checks.py::test_"
_CLOUDS: Final = "tests/integration/clouds/test_alibaba_"
_MADE, _RIGHT = f"{_CLOUDS}rows.py::test_", f"{_CLOUDS}defects.py::test_"
_FAULTS, _KEYS = f"{_CLOUDS}faults.py::test_", f"{_CLOUDS}credentials.py::test_"
_NET, _PAGES = f"{_CLOUDS}network.py::test_", f"{_CLOUDS}pages.py::test_"
_DOCTOR: Final = "tests/integration/doctor/test_alibaba.py::test_"
_SSH, _AGENTS = "tests/integration/ssh/test_preparation.py::test_", "tests/integration/ssh/test_agents.py::test_"
_CORE: Final = "tests/unit/reconcile/hosts/test_"
_PLACED: Final = "tests/unit/placement/test_living.py::test_"
_JENKINS: Final = "tests/jenkins/test_"

_NAMED: Final = f"{_BAD}[195-names-of-the-plugin-for-alibaba]"
_MACHINES, _NETWORKS = f"{_BAD}[191-alibaba-machines]", f"{_BAD}[192-alibaba-network]"
_BACKENDS, _DISKS = f"{_BAD}[190-alibaba-backends]", f"{_BAD}[193-alibaba-disks]"
_WINDOWS, _NUMBERS = f"{_BAD}[194-windows-hosts]", f"{_BAD}[199-numbers-of-hosts]"
_BACKEND: Final = f"{_SAID}a_backend_becomes_plain_values_with_absolute_files"
_RULES: Final = f"{_HOSTS}what_a_pool_says_of_its_hosts_are_their_rules"
_NONE: Final = f"{_HOSTS}zero_is_without_limit_and_machines_are_no_more_than_there_are"
_USUAL: Final = f"{_SAID}what_is_not_said_has_the_plugins_defaults_or_safer_ones"
_DOCS: Final = f"{_SAID}what_is_in_the_docs_alone_is_refused_with_a_pointer_to_its_page"
_MADE_OF: Final = f"{_MADE}a_host_is_of_the_image_type_vswitch_and_groups_of_its_pool"
_LISTED: Final = f"{_MADE}disks_are_those_that_are_listed"
_SYSTEM: Final = f"{_MADE}without_disks_a_host_has_its_system_disk_alone_and_the_cloud_says_what_it_is"
_ATTACHED: Final = f"{_MADE}an_existing_disk_is_attached_once_before_anything_is_done_on_the_host"
_DIALLED: Final = f"{_MADE}a_host_is_dialled_at_the_address_that_is_said"
_LIMIT: Final = f"{_PLACED}no_more_hosts_are_opened_than_the_limit_leaves"
_AT_ONCE: Final = f"{_CORE}life.py::test_hosts_that_are_asked_for_at_one_moment_are_one_order"
_FEWEST: Final = f"{_CORE}life.py::test_a_pool_keeps_its_fewest_hosts_and_replaces_the_one_that_is_too_old"
_SIZED: Final = f"{_SAID}without_a_type_the_broker_chooses_one_of_2_vcpu_and_8_gib"
_PRICED: Final = f"{_MADE}a_spot_host_has_its_price_limit_protected_hour_and_end"
_CALLED: Final = f"{_MADE}a_host_is_called_as_is_said_with_its_job_and_build"
_FOR_ONE: Final = f"{_CORE}bounds.py::test_a_host_for_one_agent_is_ordered_for_its_job_and_build_and_others_are_not"
_PASSWORD: Final = f"{_MADE}a_windows_host_has_a_password_and_no_key_pair"

OF_THE_CLOUD: Final[Mapping[str, tuple[str, ...]]] = {
    "cloudName": (_NAMED,),
    "intranetMaster": (_BACKEND, _BACKENDS, _NAMED),
    "credentialsId": (
        f"{_KEYS}the_role_of_this_machine_makes_hosts",
        f"{_KEYS}a_role_is_taken_with_the_keys_and_once_for_many_calls",
        f"{_FAULTS}f26_revoked_keys_are_told_and_new_ones_are_used_without_a_restart",
        f"{_DOCTOR}keys_that_do_not_stand_are_wrong_and_the_rest_is_skipped",
        _BACKENDS,
    ),
    "region": (
        f"{_RIGHT}types_stock_and_hosts_are_asked_for_in_the_region_of_the_config",
        f"{_DOCTOR}a_region_that_is_none_is_named_with_those_that_are_near",
        _BACKENDS,
    ),
    "vpc": (f"{_NET}the_vpc_of_the_config_is_taken_and_one_that_is_not_there_is_named", _BACKENDS, _NAMED),
    "securityGroup": (_MADE_OF, f"{_PAGES}security_groups_beyond_the_first_page_are_found", _NETWORKS),
    "sshKey": (
        f"{_CHECKS}a_broken_key_is_an_error_of_the_check",
        f"{_CHECKS}a_key_with_a_passphrase_is_an_error_of_the_check",
        f"{_CHECKS}a_public_key_in_the_place_of_the_private_one_is_said",
        f"{_KEYS}a_key_pair_is_imported_once_and_hosts_are_made_with_it",
        f"{_KEYS}a_key_pair_of_another_key_is_refused_with_both_fingerprints",
        f"{_DOCTOR}a_private_key_that_is_not_the_key_pairs_is_wrong",
        f"{_BAD}[196-keys-of-hosts]",
    ),
    "attachPublicIp": (f"{_MADE}a_public_address_is_had_by_asking_for_bandwidth_and_none_without", _NETWORKS),
    "instanceCapStr": (_RULES, _LIMIT, _NUMBERS),
    "noDelayProvisioning": (_AT_ONCE, _NAMED),
    "templates": (_MADE_OF,),
}
"""Field of the plugin's cloud → the tests that show what stands for it."""

OF_A_TEMPLATE: Final[Mapping[str, tuple[str, ...]]] = {
    "templateName": (_NAMED,),
    "image": (
        _MADE_OF,
        f"{_MADE}an_image_family_is_its_newest_image",
        f"{_DOCTOR}an_image_that_is_not_there_is_named",
        _MACHINES,
    ),
    "zone": (f"{_MADE}zones_that_are_named_are_the_only_ones", _NETWORKS),
    "vsw": (f"{_MADE}a_host_is_in_the_vswitch_of_its_zone", _MACHINES),
    "chargeType": (
        f"{_MADE}without_a_spot_strategy_a_host_is_on_demand",
        _PRICED,
        f"{_MADE}a_spot_price_over_the_limit_is_no_capacity_and_on_demand_takes_over",
        f"{_MADE}without_a_fallback_no_offer_is_on_demand",
        _MACHINES,
    ),
    "instanceType": (
        _MADE_OF,
        f"{_FAULTS}f8_what_has_no_stock_is_offered_last",
        f"{_DOCTOR}a_type_that_is_sold_out_in_one_zone_is_a_warning_and_in_all_is_wrong",
        _SIZED,
        _MACHINES,
    ),
    "remoteFs": (
        f"{_AGENTS}an_agent_of_a_user_who_is_not_root_has_its_own_directory_and_leaves_nothing",
        _USUAL,
        _NAMED,
    ),
    "remoteAdmin": (f"{_SSH}a_script_with_sudo_runs_as_root_for_a_user_who_is_not", _USUAL, _NAMED),
    "systemDiskCategory": (_LISTED, _SYSTEM, _DISKS),
    "systemDiskSize": (_LISTED, _SYSTEM, _DISKS),
    "mountDataDisk": (_LISTED, _SYSTEM, _NAMED),
    "newDataDisk": (_LISTED, _SYSTEM),
    "dataDiskCategory": (_LISTED, _DISKS),
    "dataDiskSize": (_LISTED, _DISKS),
    "mountQuantity": (_LISTED, _DISKS),
    "snapshotId": (_LISTED, _DISKS),
    "dataDiskId": (
        _ATTACHED,
        f"{_MADE}a_disk_that_is_not_there_or_is_another_hosts_fails_the_host_with_the_key",
        _DISKS,
    ),
    "ecsType": (_PASSWORD, _WINDOWS),
    "minimumNumberOfInstances": (
        _FEWEST,
        f"{_CORE}life.py::test_more_hosts_than_the_fewest_idle_away_one_by_one_and_the_fewest_stay",
        f"{_CORE}bounds.py::test_fewest_hosts_that_are_raised_are_made_and_lowered_idle_away",
        _NUMBERS,
    ),
    "instanceCapStr": (_RULES, _LIMIT, _NUMBERS, _NAMED),
    "idleTerminationMinutes": (
        f"{_CORE}life.py::test_a_host_is_made_prepared_kept_while_it_may_idle_and_deleted_until_nothing_is_left",
        _RULES,
        _NAMED,
    ),
    "launchTimeoutStr": (
        f"{_CORE}life.py::test_a_host_that_does_not_boot_in_time_is_deleted",
        f"{_CORE}life.py::test_a_host_that_is_not_prepared_in_time_is_deleted_with_the_step_in_its_reason",
        _RULES,
        _NAMED,
    ),
    "connectionStrategy": (_DIALLED, _NETWORKS),
    "numExecutors": (f"{_PLACED}slots_bound_agents_that_say_no_size", _RULES, _NAMED),
    "labelString": (
        f"{_JENKINS}provisioning.py::test_a_label_expression_gets_an_agent_of_the_policy_that_it_matches",
        _NAMED,
    ),
    "tags": (
        f"{_MADE}tags_are_the_pools_and_say_controller_policy_job_and_build",
        f"{_MADE}a_host_for_many_builds_is_tagged_with_none",
        _FOR_ONE,
        _MACHINES,
    ),
    "initScript": (
        f"{_SSH}an_init_script_runs_once_with_its_variables_and_its_last_line_is_told_without_their_values",
        f"{_SSH}a_legacy_marker_stands_for_a_script_that_was_run",
        f"{_SSH}an_init_script_that_takes_too_long_is_killed_with_all_that_it_started",
        f"{_CHECKS}a_script_is_text_with_a_first_line_that_says_what_runs_it",
        f"{_BAD}[198-init-scripts]",
    ),
    "userData": (
        f"{_MADE}user_data_goes_as_base64_of_its_text",
        f"{_MADE}user_data_that_has_grown_too_long_or_has_gone_is_said_with_its_key",
        f"{_CHECKS}user_data_has_32_kib_at_most",
    ),
    "maxTotalUses": (
        f"{_PLACED}a_host_that_is_too_old_or_used_up_takes_nobody",
        f"{_PLACED}a_host_for_one_agent_has_one_in_its_life",
        _RULES,
        _NONE,
    ),
    "instanceNamePrefix": (
        _CALLED,
        f"{_MADE}what_of_a_name_is_not_known_is_left_out",
        f"{_MADE}a_name_that_is_long_is_cut_to_what_the_cloud_takes",
        _FOR_ONE,
        _MACHINES,
    ),
    "name": (f"{_MADE}a_name_that_is_long_is_cut_to_what_the_cloud_takes",),
    "password": (_PASSWORD, f"{_CHECKS}a_password_from_a_file_is_looked_at_and_never_told", _WINDOWS),
    "useHTTPS": (_DOCS, _NAMED),
    "allowSelfSignedCertificate": (_DOCS,),
    "bootDelay": (_DOCS, _NAMED),
    "specifyPassword": (_DOCS,),
}
"""Field of the plugin's template → the tests that show what stands for it."""

BUTTONS: Final[Mapping[str, tuple[str, ...]]] = {
    "Test Connection": (
        f"{_DOCTOR}a_sound_backend_has_every_check_green_and_is_not_changed",
        f"{_DOCTOR}keys_that_do_not_stand_are_wrong_and_the_rest_is_skipped",
        f"{_DOCTOR}a_private_key_that_is_not_the_key_pairs_is_wrong",
        f"{_DOCTOR}every_question_is_about_the_region_of_the_config",
    ),
    "Dry run": (f"{_DOCTOR}what_the_cloud_would_refuse_is_told_by_the_dry_run_in_its_words",),
}
"""Button of the plugin → the tests that show what stands for it."""
