"""What the plugin for Alibaba Cloud ECS did where a field was left out, and what it got wrong: which tests show it."""

from collections.abc import Mapping
from typing import Final

_CONFIG: Final = "tests/unit/config/test_"
_BAD: Final = f"{_CONFIG}bad_files.py::test_a_bad_file_prints_what_stands_beside_it"
_SAID: Final = f"{_CONFIG}alibaba.py::test_"
_HOSTS: Final = f"{_CONFIG}hosts.py::test_"
_CLOUDS: Final = "tests/integration/clouds/test_alibaba_"
_MADE, _RIGHT = f"{_CLOUDS}rows.py::test_", f"{_CLOUDS}defects.py::test_"
_FAULTS: Final = f"{_CLOUDS}faults.py::test_"
_NET, _PAGES = f"{_CLOUDS}network.py::test_", f"{_CLOUDS}pages.py::test_"
_DOCTOR: Final = "tests/integration/doctor/test_alibaba.py::test_"
_SSH, _AGENTS = "tests/integration/ssh/test_preparation.py::test_", "tests/integration/ssh/test_agents.py::test_"
_CORE: Final = "tests/unit/reconcile/hosts/test_"
_PLACED: Final = "tests/unit/placement/test_living.py::test_"
_PROMISED: Final = "broker/testing/host_contract.py::test_"

_NETWORKS: Final = f"{_BAD}[192-alibaba-network]"
_BACKENDS: Final = f"{_BAD}[190-alibaba-backends]"
_NONE: Final = f"{_HOSTS}zero_is_without_limit_and_machines_are_no_more_than_there_are"
_USUAL: Final = f"{_SAID}what_is_not_said_has_the_plugins_defaults_or_safer_ones"
_DIALLED: Final = f"{_MADE}a_host_is_dialled_at_the_address_that_is_said"
_SIZED: Final = f"{_SAID}without_a_type_the_broker_chooses_one_of_2_vcpu_and_8_gib"
_PRICED: Final = f"{_MADE}a_spot_host_has_its_price_limit_protected_hour_and_end"
_CALLED: Final = f"{_MADE}a_host_is_called_as_is_said_with_its_job_and_build"
_FOR_ONE: Final = f"{_CORE}bounds.py::test_a_host_for_one_agent_is_ordered_for_its_job_and_build_and_others_are_not"
_NO_INIT: Final = f"{_CORE}bounds.py::test_a_host_whose_init_script_fails_is_deleted_and_nothing_is_left"

LEFT_OUT: Final[Mapping[str, tuple[str, ...]]] = {
    "vpc": (
        f"{_NET}an_account_with_nothing_gets_a_vpc_of_the_documented_block_which_is_waited_for",
        f"{_NET}the_default_vpc_is_taken_and_not_just_the_first_one",
        f"{_NET}the_block_of_a_new_vpc_can_be_said",
    ),
    "securityGroup": (
        f"{_NET}ssh_is_opened_to_the_brokers_block_alone_on_a_group_of_our_own",
        f"{_NET}nothing_is_opened_on_a_group_that_the_pool_names",
        _NETWORKS,
    ),
    "zone": (f"{_NET}zones_without_stock_get_no_vswitch", f"{_NET}stock_of_spot_is_asked_for_a_pool_of_spot"),
    "vsw": (
        f"{_NET}the_default_vswitch_of_the_default_vpc_is_taken_as_it_is",
        f"{_NET}a_vswitch_of_others_is_not_taken_and_its_block_is_left_alone",
        f"{_NET}where_the_primary_block_is_full_a_secondary_one_is_used",
        _NETWORKS,
    ),
    "instanceType": (
        f"{_NET}no_type_is_chosen_that_is_not_in_stock_and_the_size_is_the_documented_one",
        f"{_NET}the_smallest_type_that_fits_is_chosen",
        _SIZED,
    ),
    "remoteFs": (_USUAL, f"{_AGENTS}an_agent_of_a_user_who_is_not_root_has_its_own_directory_and_leaves_nothing"),
    "minimumNumberOfInstances": (_NONE,),
    "clean-up": (
        f"{_CLOUDS}cleanup.py::test_all_that_was_made_goes_in_the_order_of_its_dependencies",
        f"{_NET}all_that_is_made_carries_our_tags_and_is_told_once",
        f"{_NET}a_restarted_broker_uses_what_is_there",
    ),
}
"""Field that may be left out → the tests that show what that means; then what became of what was made for it."""

DEFECTS: Final[Mapping[str, tuple[str, ...]]] = {
    "double launch": (
        f"{_FAULTS}f3_a_line_that_breaks_after_the_order_gives_the_same_hosts",
        f"{_PROMISED}one_token_is_the_same_hosts_whoever_asks",
        f"{_CORE}life.py::test_an_order_without_an_answer_is_repeated_with_its_token_and_made_once",
    ),
    "leak on API error at termination": (
        f"{_FAULTS}f11_an_outage_during_the_end_leaks_nothing",
        f"{_CORE}life.py::test_an_outage_of_the_cloud_while_hosts_are_deleted_leaks_nothing",
        f"{_CORE}life.py::test_one_empty_answer_with_success_ends_no_host",
    ),
    "node left with VM after init failure": (
        _NO_INIT,
        f"{_CORE}agents.py::test_a_host_that_cannot_be_prepared_costs_its_agents_an_attempt_and_is_deleted",
        f"{_SSH}a_failed_init_script_tells_its_code_and_its_last_twenty_lines_masked",
    ),
    "300 s stale IP": (
        f"{_RIGHT}an_address_that_comes_late_is_told_within_two_looks",
        f"{_RIGHT}an_address_that_changes_is_told_anew",
    ),
    "temp key files": (
        "tests/integration/ssh/test_no_key_files.py::test_no_key_is_written_to_a_file_here_nor_on_the_host",
    ),
    "TLS off": (f"{_RIGHT}a_place_whose_certificate_nobody_vouches_for_is_told_nothing", _BACKENDS),
    "host keys ignored": (
        f"{_SSH}a_host_key_that_is_another_is_refused_at_once_and_nothing_is_sent",
        f"{_SSH}the_first_key_is_kept_where_that_is_allowed_and_another_later_is_refused",
        "tests/unit/backends/ssh/test_trust.py::test_without_a_console_nothing_is_ever_believed",
        f"{_BAD}[197-ways-onto-hosts]",
    ),
    "world-open SSH on reused SG": (
        f"{_NET}the_world_is_never_let_in",
        f"{_NET}nothing_is_opened_on_a_group_that_the_pool_names",
        _BACKENDS,
    ),
    "all-or-nothing amounts": (
        f"{_RIGHT}an_order_is_made_as_far_as_there_is_stock_and_never_twice",
        f"{_CORE}agents.py::test_of_an_order_that_is_made_in_part_the_other_agents_go_elsewhere_at_once",
    ),
    "caps counting dead nodes and by template name": (
        f"{_CORE}bounds.py::test_a_host_that_is_dead_takes_no_place_of_the_limit",
        f"{_CORE}bounds.py::test_a_host_that_is_not_gone_yet_takes_its_place_of_the_limit",
        f"{_PLACED}the_limit_holds_over_all_openings_together",
    ),
    "synchronous launch on provisioner thread": (
        f"{_RIGHT}an_order_that_hangs_keeps_no_other_waiting",
        f"{_CORE}bounds.py::test_hosts_are_made_while_others_take_long",
    ),
    "min-instances acting on every config save": (
        f"{_CORE}bounds.py::test_a_config_that_is_read_again_and_again_makes_no_more_hosts",
    ),
    "connectionStrategy ignored on Unix": (_DIALLED,),
    "dead instance-name prefix": (_CALLED, _FOR_ONE),
    "wrong vSwitch paging": (
        f"{_NET}blocks_beyond_the_first_page_of_vswitches_are_seen_as_taken",
        f"{_PAGES}every_kind_is_found_and_has_its_columns",
    ),
    "CIDR exhaustion": (
        f"{_NET}ten_zones_worth_of_backends_find_blocks_in_a_vpc_of_16",
        "tests/unit/backends/alibaba_ecs/test_network_blocks.py::test_one_after_another_never_meet_until_the_vpc_is_full",
        f"{_NET}a_vpc_without_a_free_block_is_said_with_what_to_do",
    ),
    "JDK 8/11 only": (
        f"{_SSH}a_newer_java_is_taken_where_the_first_on_the_path_is_old",
        f"{_SSH}no_java_and_no_engine_are_said_with_what_is_needed",
        f"{_SSH}a_java_that_is_too_old_is_named_with_its_path",
        f"{_BAD}[198-init-scripts]",
    ),
    "no spot price limit or interruption handling": (
        _PRICED,
        f"{_MADE}a_spot_price_over_the_limit_is_no_capacity_and_on_demand_takes_over",
        f"{_FAULTS}f21_a_notice_says_when_it_ends_and_says_the_same_after_a_restart",
        f"{_CORE}agents.py::test_a_spot_notice_drains_the_host_and_its_agents_and_new_ones_go_elsewhere",
    ),
    "validation in wrong region": (
        f"{_DOCTOR}every_question_is_about_the_region_of_the_config",
        f"{_NET}all_calls_go_to_the_region_of_the_config",
        f"{_RIGHT}types_stock_and_hosts_are_asked_for_in_the_region_of_the_config",
    ),
    "pick-list infinite loop": (
        f"{_PAGES}a_page_that_fails_ends_with_an_error_that_says_how_far_it_came",
        f"{_PAGES}a_token_that_comes_again_is_no_endless_loop",
        f"{_PAGES}a_total_that_is_never_reached_is_no_endless_loop",
    ),
}
"""Defect of the plugin → the tests that show that it is none here."""
