"""A config in which every key of Amazon ECS stands once, so that tests can follow each value to the requests.

Pool `tasks` runs template `every`: on instances, for Fargate would refuse the half of it.
"""

from typing import Final

from broker.config.load import parse
from broker.domain.definitions import Definitions

EVERY_KEY: Final = """
version: 1
gateway: { websocket: { advertise: wss://agents.example.com } }
backends:
  aws:
    type: aws-ecs
    region: eu-west-1
    cluster: ci
    api_rate: 20/s
    family_prefix: ci-jobs
    profile: builds
    assume_role_arn: arn:aws:iam::111122223333:role/agentbroker
    external_id: agentbroker-ci
    sts_region: eu-central-1
    proxy: http://proxy.example.com:3128
    endpoint_url: http://127.0.0.1:4566
    poll_interval: 5s
    leave_grace: 15s
    keep_definitions: 3
  keys:
    type: aws-ecs
    access_key_id: AKIA-${ECS_KEY:-id}
    secret_access_key: ${ECS_SECRET:-secret}
    assume_role_arn:
      - role_arn: arn:aws:iam::111122223333:role/first
      - { role_arn: arn:aws:iam::444455556666:role/second, external_id: ext-2, session_name: builds }
  files:
    type: aws-ecs
    access_key_id_file: /run/secrets/id
    secret_access_key_file: /run/secrets/secret
    session_token_file: /run/secrets/token
pools:
  tasks:
    backend: aws
    capacity_provider_strategy:
      - { capacity_provider: instances-spot, weight: 4 }
      - { capacity_provider: instances, weight: 1, base: 2 }
    subnets: [subnet-0a1, subnet-0b2]
    security_groups: [sg-0agents]
    placement_strategy:
      - { type: spread, field: "attribute:ecs.availability-zone" }
      - { type: binpack, field: memory }
    placement_constraints:
      - { type: memberOf, expression: "attribute:ecs.instance-type =~ c7i.*" }
      - { type: distinctInstance }
    enable_execute_command: true
    execution_role_arn: arn:aws:iam::111122223333:role/exec
    task_role_arn: arn:aws:iam::111122223333:role/builds
    secret_delivery: ssm
    secret_prefix: agentbroker/ci
    secret_kms_key_id: alias/agentbroker
    network_mode: awsvpc
  fargate:
    backend: aws
    capacity_provider: FARGATE
    subnets: [subnet-0a1]
    assign_public_ip: true
    platform_version: 1.4.0
    execution_role_arn: arn:aws:iam::111122223333:role/exec
  plain:
    backend: aws
    launch_type: EC2
    network_mode: bridge
    execution_role_arn: arn:aws:iam::111122223333:role/exec
templates:
  every:
    image: registry.example.com/acme/agent-java:21
    cpu: 2
    memory: 8Gi
    user: "1000:1000"
    read_only: true
    env: { TZ: UTC }
    tags: { team: build }
    ecs:
      entry_point: [/usr/local/bin/jenkins-agent]
      memory_reservation: 6Gi
      privileged: true
      resource_requirements: [{ type: GPU, value: "1" }]
      secrets: { DEPLOY: /ci/deploy }
      environment_files: [{ value: "arn:aws:s3:::ci-settings/agent.env", type: s3 }]
      mount_points: [{ source_volume: m2, container_path: /m2, read_only: true }]
      port_mappings: [{ container_port: 8080, host_port: 8080, protocol: tcp }]
      ulimits: [{ name: nofile, soft_limit: 4096, hard_limit: 65536 }]
      docker_labels: { my_label: one }
      docker_security_options: [no-new-privileges]
      credential_specs: ["credentialspec:arn:aws:s3:::ci-settings/gmsa.json"]
      health_check:
        command: [CMD-SHELL, "pgrep java"]
        interval: 31s
        timeout: 6s
        retries: 4
        start_period: 61s
      linux_parameters:
        capabilities: { add: [SYS_PTRACE], drop: [NET_RAW] }
        init_process_enabled: true
        shared_memory_size: 257Mi
        tmpfs: [{ container_path: /scratch, size: 513Mi, mount_options: [exec] }]
        devices: [{ host_path: /dev/kvm, container_path: /dev/kvm0, permissions: [read, write] }]
        max_swap: 1025Mi
        swappiness: 11
      log_configuration:
        log_driver: awslogs
        options: { awslogs-group: /ci/agents, awslogs-region: eu-west-1, awslogs-stream-prefix: agent }
        secret_options: { splunk-token: /ci/splunk }
      repository_credentials:
        credentials_parameter: arn:aws:secretsmanager:eu-west-1:111122223333:secret:hub-1
      start_timeout: 62s
      stop_timeout: 91s
      system_controls: [{ namespace: net.ipv4.tcp_keepalive_time, value: "60" }]
      working_directory: /home/jenkins
      depends_on: [{ container_name: db, condition: HEALTHY }]
      firelens_configuration: { type: fluentbit, options: { enable-ecs-log-metadata: "true" } }
      sidecars:
        - name: db
          image: postgres:17
          essential: true
          cpu: 0.5
          memory: 512Mi
          command: [-c, fsync=off]
          env: { PGPORT: "5433" }
          user: postgres
          read_only: false
          health_check: { command: [CMD, pg_isready] }
      volumes:
        - { name: m2, host: { source_path: /var/cache/maven } }
        - name: docker
          docker_volume_configuration:
            scope: shared
            autoprovision: true
            driver: local
            driver_opts: { type: tmpfs }
            labels: { team_of: build }
        - name: efs
          efs_volume_configuration:
            file_system_id: fs-0123456789abcdef0
            root_directory: /
            transit_encryption: ENABLED
            transit_encryption_port: 2999
            authorization_config: { access_point_id: fsap-0123456789abcdef0, iam: ENABLED }
        - { name: workspace, configured_at_launch: true }
      volume_configurations:
        - name: workspace
          managed_ebs_volume:
            role_arn: arn:aws:iam::111122223333:role/ecsInfrastructureRole
            size_in_gib: 100
            snapshot_id: snap-0123456789abcdef0
            volume_type: gp3
            encrypted: true
            kms_key_id: alias/disks
            iops: 4000
            throughput: 250
            volume_initialization_rate: 200
            filesystem_type: ext4
            termination_policy: { delete_on_termination: true }
      task_role_arn: arn:aws:iam::111122223333:role/builds-java
      execution_role_arn: arn:aws:iam::111122223333:role/exec-java
      network_mode: awsvpc
      ipc_mode: task
      pid_mode: task
      placement_constraints: [{ type: memberOf, expression: "attribute:disk == nvme" }]
      runtime_platform: { operating_system_family: LINUX, cpu_architecture: ARM64 }
  bridged:
    image: jenkins/inbound-agent
    memory: 2Gi
    ecs:
      extra_hosts: [{ hostname: db.internal, ip_address: 10.0.0.7 }]
      dns_servers: [10.0.0.2]
      dns_search_domains: [ci.internal]
      hostname: agent-host
      links: ["db:database"]
      sidecars: [{ name: db, image: postgres, memory: 512Mi }]
  big-disk:
    image: jenkins/inbound-agent
    cpu: 1
    memory: 2Gi
    ecs: { ephemeral_storage: { size_in_gib: 60 } }
  windows:
    image: jenkins/inbound-agent:windowsservercore-ltsc2022
    cpu: 2
    memory: 4Gi
    ecs:
      runtime_platform: { operating_system_family: WINDOWS_SERVER_2022_CORE }
      volumes:
        - name: share
          fsx_windows_file_server_volume_configuration:
            file_system_id: fs-0123456789abcdef1
            root_directory: share
            authorization_config:
              credentials_parameter: arn:aws:secretsmanager:eu-west-1:111122223333:secret:ad-1
              domain: ci.example.com
  existing: { task_definition: "builds:7", agent_container: worker }
"""


def definitions() -> Definitions:
    """What the config says, as the backend sees it."""
    return parse(EVERY_KEY, env={}).definitions
