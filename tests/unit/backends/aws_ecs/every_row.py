"""What users of the plugin for Amazon ECS have and what they asked for in vain: which tests show it here.

The fields are those of `plugin_fields.py`: the plugin's cloud and template. `C` numbers what readers of the plugin's
page asked for, `R` what its users reported, in their order.
"""

from collections.abc import Mapping
from typing import Final

IN_ITS_REQUEST: Final = (
    "tests/unit/backends/aws_ecs/test_plugin_fields.py::test_what_a_field_says_gets_into_its_request",
    "tests/unit/backends/aws_ecs/test_register.py::test_every_key_is_taken_by_ecs_and_known_again",
)
"""Of each field whose value goes to ECS: it does, in a request that the API's model takes."""

_ECS, _CORE = "tests/unit/backends/aws_ecs/test_", "tests/integration/clouds/test_ecs_core.py::test_"
_SHAPES, _PLACES = (
    "tests/integration/clouds/test_ecs_shapes.py::test_",
    "tests/integration/clouds/test_ecs_places.py::test_",
)
_FAULTS, _SECRETS = (
    "tests/integration/clouds/test_ecs_faults.py::test_",
    "tests/integration/clouds/test_ecs_secrets.py::test_",
)
_RECONCILE, _POLICIES, _INTAKE = "tests/unit/reconcile/test_", "tests/unit/policies/test_", "tests/unit/intake/test_"
_JENKINS = "tests/jenkins/test_"
_SCHEMA = "tests/unit/config/test_"
_BAD = f"{_SCHEMA}bad_files.py::test_a_bad_file_prints_what_stands_beside_it"
_ALIKE = "tests/unit/backends/test_entrypoint.py::test_java_is_told_each_thing_once_however_the_agent_connects"
_WINDOWS = f"{_SHAPES}an_agent_for_arm_or_windows_goes_to_an_instance_that_is_one"
_NEXT = f"{_CORE}what_one_cluster_has_no_room_for_goes_to_the_next_then_to_another_region_and_then_waits_for_room"
_PULLED = f"{_CORE}an_image_that_is_not_there_ends_the_agent_at_once_in_the_clouds_words"
_NO_AGENT = f"{_CORE}an_image_that_is_no_agent_is_said_to_be_none_within_two_looks_and_not_run_again"
_SLOW = f"{_CORE}a_slow_pull_takes_its_own_time_and_leaves_all_of_that_for_connecting"
_ONE = f"{_CORE}one_build_has_one_task_however_often_it_is_asked_for_and_answers_are_lost"
_SHARED = f"{_CORE}agents_are_shared_over_capacity_providers_by_base_and_weight"
_BASE = f"{_PLACES}a_base_is_that_of_all_tasks_and_not_of_each_call"
_ZERO = f"{_CORE}what_a_build_asks_for_registers_nothing"
_PLACED = f"{_SHAPES}constraints_and_strategies_say_which_instances_take_agents"
_SIDECARS = f"{_SHAPES}an_agent_has_its_sidecars_and_a_disk_of_its_own"
_THEIRS = f"{_SHAPES}a_definition_of_somebody_else_is_run_as_it_is_and_nothing_is_registered"
_ROLES = f"{_SHAPES}a_chain_of_roles_launches_in_the_account_of_the_last"
_DIRECT = f"{_SHAPES}a_direct_agent_is_told_the_url_and_the_tunnel_of_its_pool"
_OWN_DIR = f"{_SHAPES}each_agent_has_the_directory_that_its_template_says_and_its_own_below_it"
_SPOT = f"{_CORE}a_spot_task_that_is_taken_back_drains_in_the_clouds_words_and_jenkins_hears_it"
_CEILING = f"{_INTAKE}overrides.py::test_ceilings_are_of_what_the_template_is_with_all_that_it_inherits"
_NOT_ALLOWED = f"{_POLICIES}money_and_overrides.py::test_what_a_policy_does_not_name_no_build_may_choose"
_REUSED = f"{_JENKINS}retention.py::test_an_agent_that_is_reused_ends_after_its_last_build"
_IDLE = f"{_JENKINS}retention.py::test_an_idle_agent_ends_when_its_idle_time_is_over_and_not_at_the_next_minute"
_ONE_USE = f"{_JENKINS}retention.py::test_by_default_an_agent_runs_one_build"
_EXECUTORS = f"{_JENKINS}provisioning.py::test_an_agent_with_executors_serves_as_many_builds_as_its_uses_allow"
_INHERITED = f"{_SCHEMA}ecs_checks.py::test_a_child_takes_back_what_it_inherits"
_CAP = f"{_POLICIES}limits_and_times.py::test_a_cap_lets_as_many_begin_as_it_says"

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "credentialsId": (f"{_ECS}session.py::test_files_with_keys_that_were_replaced_heal_the_calls",),
    "assumedRoleArn": (_ROLES,),
    "regionName": (_NEXT,),
    "allowedOverrides": (_NOT_ALLOWED, f"{_INTAKE}overrides.py::test_what_the_script_says_of_itself_does_not_count"),
    "maxCpu": (_CEILING,),
    "maxMemory": (_CEILING,),
    "maxMemoryReservation": (_CEILING,),
    "maxAgents": (_CAP,),
    "tunnel": (_DIRECT,),
    "jenkinsUrl": (_DIRECT,),
    "numExecutors": (_EXECUTORS,),
    "slaveTimeoutInSeconds": (_SLOW, f"{_POLICIES}limits_and_times.py::test_a_phase_has_its_time_and_no_more"),
    "retainAgents": (_REUSED,),
    "retentionTimeout": (_IDLE,),
    "taskPollingIntervalInSeconds": (f"{_SHAPES}tasks_are_looked_at_as_often_as_the_backend_says",),
    "templates": (_WINDOWS,),
    "label": (f"{_JENKINS}provisioning.py::test_a_label_expression_gets_an_agent_of_the_policy_that_it_matches",),
    "cloud": (_NEXT,),
    "taskDefinitionOverride": (_THEIRS,),
    "agentContainerName": (_THEIRS,),
    "defaultCapacityProvider": (f"{_ECS}plugin_fields.py::test_no_capacity_said_is_the_clusters_own_default",),
    "remoteFSRoot": (_OWN_DIR,),
    "uniqueRemoteFSRoot": (_OWN_DIR,),
    "inheritFrom": (_INHERITED,),
    "overrides": (_ZERO,),
}
"""Fields whose values are the broker's own affair."""

ROWS: Final[Mapping[str, tuple[str, ...]]] = {
    "C1": (
        _PULLED,
        f"{_ECS}observe.py::test_each_end_has_its_reason_and_the_clouds_words",
        f"{_JENKINS}amazon_ecs.py::test_a_task_whose_image_cannot_be_had_is_told_in_the_cloud_s_words",
        "tests/unit/telemetry/test_metrics.py::test_launches_and_calls_of_a_backend_are_counted_by_their_end",
        "tests/unit/web/test_api_fleet.py::test_an_agents_timeline_and_attempts_tell_its_life_with_durations",
        f"{_BAD}[182-ecs-on-fargate]",
    ),
    "C2": (
        _SHARED,
        _BASE,
        "tests/unit/telemetry/test_metrics.py::test_agents_are_counted_by_phase_and_the_oldest_that_waits_is_named",
        f"{_BAD}[186-names-of-the-plugin]",
        f"{_ECS}every_row.py::test_what_the_broker_leaves_to_aws_is_refused_with_a_pointer_to_its_page",
    ),
    "C3": (
        _WINDOWS,
        f"{_ECS}request.py::test_each_inject_tells_the_agent_who_it_is_without_a_shell",
        "tests/unit/backends/test_entrypoint.py::test_a_windows_image_is_told_the_same_by_variables",
    ),
    "C4": (
        f"{_INTAKE}unmatched.py::test_each_build_counts_once_and_the_label_is_said_again_after_a_day",
        f"{_INTAKE}unmatched.py::test_it_is_said_with_the_nearest_labels",
        f"{_BAD}[116-names]",
        f"{_JENKINS}build_log.py::test_a_build_that_nothing_can_run_says_what_each_policy_lacks_and_once_more_after_a_restart",
    ),
    "C5": (
        f"{_JENKINS}provisioning.py::test_builds_without_a_label_get_agents_of_the_policy_that_accepts_them_and_no_other_label_does",
        f"{_POLICIES}told_and_launched.py::test_jenkins_is_told_the_highest_priority_first_and_who_takes_builds_without_a_label",
    ),
    "C6": (
        f"{_CORE}a_changed_template_is_a_revision_of_which_the_log_says_what_has_changed",
        f"{_ECS}register.py::test_a_new_revision_is_logged_with_what_has_changed",
        _NO_AGENT,
    ),
    "C7": (f"{_ECS}definition.py::test_blank_is_unset",),
    "C8": (
        _PLACED,
        f"{_PLACES}without_a_choice_tasks_on_fargate_are_spread_over_the_zones",
        f"{_POLICIES}places.py::test_spread_keeps_hosts_even",
        f"{_POLICIES}places.py::test_binpack_fills_what_is_fullest_by_its_measure",
    ),
    "C9": (
        f"{_RECONCILE}zones_and_spot.py::test_spot_then_on_demand_then_the_next_pool_within_one_wait_in_words",
        f"{_JENKINS}amazon_ecs.py::test_without_spot_capacity_a_build_is_told_so_and_runs_on_demand",
        f"{_POLICIES}strategies.py::test_weights_share_out_the_agents",
        f"{_POLICIES}chain_and_caps.py::test_a_fallback_serves_only_in_its_hours",
    ),
    "C10": (
        f"{_JENKINS}pipelines.py::test_the_stages_of_one_block_share_an_agent",
        f"{_JENKINS}provisioning.py::test_jobs_of_other_shapes_get_an_agent_each",
    ),
    "C11": (
        f"{_SCHEMA}ecs_checks.py::test_what_ecs_refuses_is_told",
        f"{_ECS}sizes.py::test_a_fargate_size_is_legal_and_holds_what_was_asked",
        f"{_BAD}[004-no-such-fargate-size]",
    ),
    "C12": (_REUSED, _IDLE, _ONE_USE, f"{_JENKINS}pipelines.py::test_the_stages_of_one_block_share_an_agent"),
    "C13": (
        _NOT_ALLOWED,
        f"{_INTAKE}overrides.py::test_what_the_script_says_of_itself_does_not_count",
        f"{_JENKINS}placement.py::test_what_the_policy_forbids_is_refused_with_the_fields_name_in_the_log_and_other_builds_go_on",
    ),
    "C14": (f"{_BAD}[181-ecs-containers]", f"{_BAD}[185-ecs-values]"),
    "C14b": IN_ITS_REQUEST,
    "R1": (
        f"{_ECS}ticker.py::test_what_moves_is_looked_at_every_three_seconds_a_hundred_a_call",
        f"{_ECS}rates.py::test_a_quota_is_used_up_with_hardly_a_refusal_also_when_it_is_smaller_than_said",
        f"{_ECS}register.py::test_a_hundred_launches_at_once_make_one_registration",
        f"{_ECS}register.py::test_a_refusal_of_concurrent_registrations_is_tried_again",
        f"{_FAULTS}f2_a_throttled_launch_pauses_all_backends_of_the_account_and_region",
    ),
    "R2": (
        f"{_ECS}register.py::test_what_aws_fills_in_makes_no_new_revision",
        f"{_ECS}register.py::test_after_a_restart_nothing_is_asked_or_registered",
        f"{_ECS}register.py::test_each_change_that_the_plugin_overlooks_is_a_new_revision",
        f"{_ECS}prune.py::test_the_oldest_that_nothing_uses_go_and_the_newest_stay",
        _ZERO,
    ),
    "R3": (
        f"{_ECS}register.py::test_a_definition_is_run_by_its_full_revision_though_the_family_has_a_newer_one",
        f"{_CORE}a_changed_template_is_a_revision_of_which_the_log_says_what_has_changed",
    ),
    "R4": (
        _ONE,
        f"{_INTAKE}sync.py::test_an_agent_takes_builds_from_its_request_until_it_is_busy",
        f"{_JENKINS}builds.py::test_twenty_one_shot_builds_have_twenty_agents",
        f"{_RECONCILE}bulkhead.py::test_each_launch_that_is_accepted_doubles_it_and_the_first_in_line_come_first",
    ),
    "R5": (
        _CAP,
        f"{_RECONCILE}life.py::test_a_policy_limit_holds_and_is_given_back",
        "tests/unit/placement/test_properties.py::test_no_limit_is_exceeded_and_the_usage_tells_what_was_taken",
    ),
    "R6": (
        _NEXT,
        f"{_CORE}a_cluster_that_refuses_for_memory_loses_its_turn_at_once_and_no_attempt",
        f"{_FAULTS}f5_of_ten_launches_with_room_for_six_six_are_made_and_four_go_elsewhere_at_once",
    ),
    "R7": (
        _PULLED,
        f"{_RECONCILE}breaker.py::test_a_pool_that_refuses_everything_is_called_five_times_whoever_waits",
        f"{_JENKINS}build_log.py::test_an_agent_that_fails_is_told_with_its_own_words_and_what_to_do",
    ),
    "R8": (
        _SLOW,
        f"{_POLICIES}limits_and_times.py::test_a_phase_has_its_time_and_no_more",
        f"{_RECONCILE}times.py::test_a_start_that_takes_too_long_says_what_it_waits_for",
    ),
    "R9": (
        f"{_CORE}a_task_without_a_network_interface_is_made_in_another_zone_and_costs_no_attempt",
        f"{_ECS}observe.py::test_each_end_has_its_reason_and_the_clouds_words",
        f"{_FAULTS}f7_a_task_that_dies_after_its_launch_is_seen_within_two_looks_with_its_reason",
        _PULLED,
        _NO_AGENT,
    ),
    "R10": (
        _SPOT,
        "tests/e2e/test_dev_clouds.py::test_a_build_whose_spot_capacity_is_taken_ends_and_leaves_no_task",
        f"{_JENKINS}interruption.py::test_a_freestyle_build_says_why_its_agent_was_taken_back",
        f"{_JENKINS}interruption.py::test_retry_with_the_condition_agent_runs_an_interrupted_block_again",
    ),
    "R11": (
        f"{_RECONCILE}orphans.py::test_an_instance_of_nobody_is_ended_after_its_grace_and_not_before",
        f"{_FAULTS}f27_tasks_with_copied_or_stripped_marks_are_not_listed_and_one_on_record_still_ends",
        f"{_FAULTS}f10_a_listing_that_misses_a_page_is_not_complete",
        f"{_JENKINS}buttons.py::test_delete_of_a_starting_node_ends_its_agent_and_its_build_gets_another",
    ),
    "R12": (
        f"{_JENKINS}restart.py::test_an_idle_agent_takes_the_next_build_and_a_busy_one_ends_and_none_is_started_again",
        f"{_JENKINS}both_restart.py::test_both_killed_at_once_start_no_agent_again_and_serve_what_the_queue_has_kept",
        f"{_FAULTS}f3_a_restarted_broker_finds_the_task_whose_launch_nobody_has_answered",
    ),
    "R13": (_PLACED, f"{_ECS}request.py::test_instances_know_strategies_and_constraints_and_fargate_neither"),
    "R14": (_PLACED,),
    "R15": (_SHARED, _BASE, f"{_BAD}[180-ecs-pools]", f"{_PLACES}spot_without_capacity_is_told_as_such"),
    "R16": (
        f"{_JENKINS}wanted.py::test_idle_agents_come_without_a_build_and_a_build_takes_one_at_once",
        f"{_POLICIES}processes_and_warmth.py::test_idle_agents_are_kept_without_a_schedule_too",
    ),
    "R17": (_REUSED, _IDLE),
    "R18": (
        _ONE_USE,
        f"{_JENKINS}pipelines.py::test_two_blocks_after_one_another_have_an_agent_each_where_one_runs_one_build",
        "tests/unit/admission/test_admission.py::test_after_its_one_build_an_agent_is_refused",
    ),
    "R19": (
        _EXECUTORS,
        f"{_JENKINS}retention.py::test_several_executors_run_no_more_builds_than_the_agent_may",
        f"{_BAD}[108-out-of-range]",
    ),
    "R20": (_ALIKE, f"{_BAD}[136-direct-mode]"),
    "R21": (
        _ALIKE,
        f"{_POLICIES}processes_and_warmth.py::test_a_direct_agent_is_given_the_identity_that_the_pool_names",
    ),
    "R22": (_ALIKE, f"{_ECS}request.py::test_each_inject_tells_the_agent_who_it_is_without_a_shell"),
    "R23": (
        *IN_ITS_REQUEST,
        f"{_SECRETS}a_secret_is_there_before_the_task_and_gone_once_it_was_read",
        "tests/e2e/test_cloud_secrets.py::test_agents_come_in_with_secrets_that_stand_in_no_task_and_of_which_none_is_left",
    ),
    "R24": (
        _ROLES,
        f"{_ECS}session.py::test_a_profile_counts_more_than_the_environment",
        f"{_ECS}session.py::test_ecs_and_sts_are_called_through_the_proxy",
        f"{_ECS}session.py::test_a_role_is_renewed_before_its_end_and_calls_go_on",
        "tests/integration/clouds/test_moto_credentials.py::test_a_chain_of_roles_ends_in_the_last_one",
    ),
    "R25": (
        f"{_JENKINS}builds.py::test_two_label_expressions_over_one_policy_get_an_agent_a_build",
        f"{_JENKINS}provisioning.py::test_a_label_expression_gets_an_agent_of_the_policy_that_it_matches",
        "tests/unit/domain/test_labels.py::test_an_expression_is_true_of_labels_or_not",
    ),
    "R26": (
        _WINDOWS,
        f"{_ECS}definition.py::test_a_platform_is_said_on_instances_too",
        "tests/unit/backends/test_entrypoint.py::test_a_windows_image_is_told_the_same_by_variables",
        _SLOW,
    ),
    "R27": (_SIDECARS, *IN_ITS_REQUEST),
    "R28": (_SIDECARS, _THEIRS, f"{_ECS}observe.py::test_a_sidecar_that_has_failed_is_named"),
    "R29": (
        f"{_SHAPES}a_container_that_the_definition_lacks_is_told_with_those_that_there_are",
        f"{_ECS}existing.py::test_one_that_is_not_there_is_told_with_the_clouds_words_and_the_key",
        f"{_BAD}[105-unknown-references]",
    ),
    "R30": (
        _NEXT,
        f"{_JENKINS}placement.py::test_why_a_build_waits_is_said_in_the_same_words_by_its_log_the_api_and_the_command",
    ),
    "R31": (
        "tests/e2e/test_wheel.py::test_it_installs_into_a_jenkins_home_what_the_source_has",
        f"{_JENKINS}versions.py::test_a_build_runs_with_a_broker_of_another_version_and_one_line_says_how_far_it_is_away",
    ),
}
"""Wish or report → the tests that show that it is met. What stands in brackets is the case of a test with many."""
