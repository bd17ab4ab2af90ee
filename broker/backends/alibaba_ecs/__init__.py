"""Hosts of Alibaba Cloud ECS: virtual machines that are made, kept and deleted."""
